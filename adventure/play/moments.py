"""A game as a value: its present and what UNDO goes back to. Knows no way to go on with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch import Tensor

if TYPE_CHECKING:
    from adventure.master.gamemaster import Position


@dataclass(frozen=True)
class Moment:
    """Where undo returns to. generator: the randomness, uint8; turns: played by then; noun,
    person: what IT and HIM or HER mean."""

    position: Position
    generator: Tensor
    turns: int
    noun: str = ""
    person: str = ""
    last: str = ""


@dataclass(frozen=True)
class Game:
    """All there is to a game, as a value: what a save holds. typed: the latest commands, as they
    were typed; hints: how many have been given; known: what `Known.kept` gives; shortened: whether
    some of its past can't be had again to the bit on this machine."""

    now: Moment
    past: tuple[Moment, ...]
    typed: Sequence[str]
    seed: int
    sampler: Mapping[str, Any]
    hints: int
    known: Mapping[str, Sequence[str]]
    shortened: bool = False
