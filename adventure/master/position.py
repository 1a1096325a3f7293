"""Where a game stands for the game master, as a value; to and from the parts of a file.

Knows a network's state and the world's records; reads and writes no tokens.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from adventure.world.prompt import Records
from engine.errors import SnapshotError
from engine.memory import LatentMemory
from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.snapshot import Snapshot


@dataclass(frozen=True)
class TurnStart:
    """How it was before a turn that may be read again: `at` is how many tokens had been read."""

    records: Records
    changed: tuple[str, ...]
    at: int


@dataclass(frozen=True, eq=False)
class Position:
    """All that a game master needs to go on from here exactly.

    state (batch 1), logits (V,) after the last token read, records: the latest under every key,
    changed: keys that have changed since the opening, in order of last change, turns: played in
    this segment, tokens: said in it. memory (M, C): the latent one that this segment began with;
    None where none is used. recent: the latest turns' beginnings, where they may be read again.
    """

    state: State
    logits: Tensor
    records: Records
    changed: tuple[str, ...] = ()
    turns: int = 0
    tokens: int = 0
    memory: Tensor | None = None
    recent: tuple[TurnStart, ...] = ()

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return self.records.get("Game", ("on",))[0] != "on"


def to_parts(
    position: Position, latent: LatentMemory | None
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Tensors and JSON-able data of which `from_parts` rebuilds the position bit for bit.

    latent: the network's, where the position has a memory; a quantised one is kept as its codes.
    """
    extra: dict[str, Any] = {
        "records": {key: list(items) for key, items in position.records.items()},
        "changed": list(position.changed),
        "turns": position.turns,
        "tokens": position.tokens,
    }
    if position.recent:
        extra["recent"] = [
            {"records": {k: list(v) for k, v in t.records.items()}, "changed": list(t.changed)}
            | {"at": t.at}
            for t in position.recent
        ]
    tensors, meta = Snapshot(position.state, position.logits, extra=extra).to_tensors()
    if position.memory is not None and latent is not None:
        quantised = latent.config.solidifier == "fsq"
        stored = latent.codes(position.memory) if quantised else position.memory
        tensors["memory"] = stored.detach().cpu().contiguous()
    return tensors, meta


def from_parts(
    tensors: Mapping[str, Tensor],
    meta: Mapping[str, Any],
    model: Network,
    latent: LatentMemory | None,
    opening: Position | None = None,
) -> Position:
    """Rebuild a position of `model`, with its memory where `latent` is given.

    opening: the world's, where there is one: what its copy hints have read isn't read again.
    Raises SnapshotError where the parts don't fit this network.
    """
    begun = opening.state.hints[0] if opening and opening.state.hints else None
    snapshot = Snapshot.from_tensors(tensors, meta, begun)
    wanted = model.initial_state(1)
    shapes = {name: t.shape for name, t in wanted.tensors.items()}
    found = {name: t.shape for name, t in snapshot.state.tensors.items()}
    foreign = (snapshot.state.hints is None) != (wanted.hints is None)
    if shapes != found or foreign or snapshot.logits.shape != (model.config.vocab,):
        raise SnapshotError(
            "The saved state has the shape of another network; use the model it was made with."
        )
    memory = _memory(tensors.get("memory"), latent)
    extra = snapshot.extra
    try:
        records, changed = _told(extra)
        turns, tokens = int(extra["turns"]), int(extra["tokens"])
        recent = tuple(TurnStart(*_told(turn), int(turn["at"])) for turn in extra.get("recent", ()))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise SnapshotError("The saved position lacks its records; use another copy.") from error
    return Position(
        snapshot.state, snapshot.logits, records, changed, turns, tokens, memory, recent
    )


def _told(extra: Mapping[str, Any]) -> tuple[Records, tuple[str, ...]]:
    records = {key: tuple(items) for key, items in extra["records"].items()}
    return records, tuple(key for key in extra["changed"] if key in records)


def _memory(stored: Tensor | None, latent: LatentMemory | None) -> Tensor | None:
    if (stored is None) != (latent is None):
        raise SnapshotError(
            "The saved position has a latent memory where this game master has none, or lacks "
            "one; use the model and the options it was made with."
        )
    if stored is None or latent is None:
        return None
    fits = stored.shape == latent.initial.shape
    if latent.config.solidifier == "fsq":
        fits &= stored.dtype is torch.int8
        if fits and int(stored.abs().max()) <= latent.config.levels // 2:
            return latent.from_codes(stored)
    elif fits and stored.is_floating_point() and bool(torch.isfinite(stored).all()):
        return stored
    raise SnapshotError(
        "The saved position has a latent memory of another network; use the model it was made with."
    )
