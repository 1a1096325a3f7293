"""The network: models, states, snapshots; knows nothing of games."""

from engine.checkpoint import load_model
from engine.rwkv.state import State
from engine.snapshot import Snapshot

__all__ = ["Snapshot", "State", "load_model"]
