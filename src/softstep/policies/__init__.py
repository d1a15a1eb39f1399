"""Trained agents: load, evaluate and export their greedy policies."""
