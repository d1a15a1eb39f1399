"""Run folders: start, resume and read runs; checkpoints, tables and worker processes. No JAX."""
