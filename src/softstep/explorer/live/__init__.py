"""Live agents: each trains in a process of its own while its learning rate and target network can be changed."""
