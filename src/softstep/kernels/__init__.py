"""Machine code of our own for small networks on a CPU; importing this package alone does not load JAX or LLVM."""
