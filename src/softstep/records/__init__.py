"""What training reports, and the history that a checkpoint keeps of it. No JAX."""
