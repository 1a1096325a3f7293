"""RWKV networks, one file a generation, with their configuration and state."""
