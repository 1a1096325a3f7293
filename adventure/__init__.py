"""A text-adventure engine whose game master is an RWKV network; the network's state is the game."""

__version__ = "0.8.0"
