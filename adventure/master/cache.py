"""A position in a file that only saves time: what can't be read or written is done without.

Knows files; of a position its parts alone.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from adventure.master.position import Position
from engine.errors import SnapshotError

Rebuild = Callable[[Mapping[str, Tensor], Mapping[str, Any]], Position]


def read_position(file: Path, rebuild: Rebuild) -> Position | None:
    """None for a file that can't be used, for whatever reason; it is as good as none.

    rebuild: makes a position of its parts, or raises SnapshotError.
    """
    try:
        with safe_open(file, "pt") as opened:
            meta = json.loads((opened.metadata() or {})["meta"])
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        return rebuild(tensors, meta)
    except (OSError, SafetensorError, KeyError, ValueError, SnapshotError):
        return None


def write_position(file: Path, tensors: dict[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Whole or not at all; a full disk only costs time at the next start."""
    temporary = file.with_suffix(f".{os.getpid()}.tmp")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, temporary, {"meta": json.dumps(meta)})
        temporary.replace(file)
    except (OSError, SafetensorError):
        with contextlib.suppress(OSError):
            temporary.unlink()
