"""Comparison of ways to set α and the target: arms, scores, claims declared beforehand, and verdicts."""
