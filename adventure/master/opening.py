"""A game master's opening as bytes that go into a packed world, and back. Trusts none of them."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load, save

from adventure.master.gamemaster import GameMaster, Position
from adventure.world.parcel import OPENING, is_parcel, manifest_of, open_parcel
from adventure.world.prompt import initial_records
from engine.errors import SnapshotError

LARGEST_HEADER = 1 << 24  # bytes


def opening_bytes(master: GameMaster) -> bytes:
    """The position after the pack is read, as a safetensors file."""
    tensors, meta = master.position_to_file_parts(master.opening())
    return save(tensors, {"meta": json.dumps(meta, sort_keys=True)})


def use_opening(master: GameMaster, data: bytes, made_for: str) -> bool:
    """Begin from an opening that somebody made, if it was made for this very master and world.

    False where it wasn't, or can't be read: the master then makes its own.
    """
    if made_for != master.opening_hash:
        return False
    try:
        meta = json.loads(_metadata(data)["meta"])
        position = master.position_from_parts(load(data), meta)
    except (SafetensorError, SnapshotError, KeyError, ValueError, TypeError, RecursionError):
        return False
    hints = position.state.hints
    if hints is not None and hints[0].tokens != tuple(master.tokenizer.encode(master.prompt)):
        return False
    # Whatever the file says of the records, a game begins with the world's.
    fresh = Position(position.state, position.logits, initial_records(master.world))
    master.begin_from(fresh)
    return True


def use_packed_opening(master: GameMaster, place: Path) -> bool:
    """`use_opening` with what a packed world brings along; False for any other place."""
    if not is_parcel(place):
        return False
    files = open_parcel(place)
    made_for = manifest_of(files).get("opening", "")
    return OPENING in files and use_opening(master, files[OPENING], str(made_for))


def _metadata(data: bytes) -> dict[str, str]:
    """What safetensors.torch.load leaves out: the texts of the header."""
    length = int.from_bytes(data[:8], "little")
    if not 0 < length <= min(LARGEST_HEADER, len(data) - 8):
        raise ValueError("no header")
    found: dict[str, str] = json.loads(data[8 : 8 + length])["__metadata__"]
    return found
