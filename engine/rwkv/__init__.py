"""RWKV networks of generations 2 to 7, with their configuration, first weights and state."""
