"""Faces of a run: terminal, pictures, animation, TensorBoard. Tables and dictionaries in, something to look at out."""
