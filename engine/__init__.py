"""The network: models, states, snapshots; knows nothing of games.

The names below are imported when they are first asked for, so that what only needs engine.errors
(a list of saves, --help) doesn't wait for torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from engine.checkpoint import load_model
    from engine.rwkv.network import Network
    from engine.rwkv.state import State
    from engine.snapshot import Snapshot

__all__ = ["Network", "Snapshot", "State", "load_model"]
_HOMES = {
    "Network": "engine.rwkv.network",
    "Snapshot": "engine.snapshot",
    "State": "engine.rwkv.state",
    "load_model": "engine.checkpoint",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
