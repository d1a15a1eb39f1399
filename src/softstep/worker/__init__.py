"""Run a block of agents: in a child process that serves JSON lines, or in the calling process."""
