"""The referee in a game master's place: exact and quick. Knows no network, player or screen.

It has the interface of adventure.master.gamemaster.GameMaster, as far as playing needs it, so that
a session plays with either.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from adventure.referee.rules import Choose, first, play, start
from adventure.world.parts import World
from adventure.world.prompt import Records, changed_keys, record_line, shown


@dataclass(frozen=True)
class Stateless:
    """Takes the place of a network's state: the records are all that there is."""

    nbytes: int = 0


@dataclass(frozen=True, eq=False)
class RefereePosition:
    """As gamemaster.Position. changed: keys that have changed since the opening, latest last."""

    records: Records
    changed: tuple[str, ...] = ()
    turns: int = 0
    state: Stateless = field(default_factory=Stateless)

    @property
    def over(self) -> bool:
        """Whether the game has ended."""
        return self.records["Game"] != ("on",)


@dataclass(frozen=True)
class RefereePiece:
    """As gamemaster.Piece: the hidden lines in one, the reply in another."""

    kind: Literal["record", "text"]
    text: str


class RefereeMaster:
    """Plays one world by the rules; holds no game, so that one serves many.

    choose: which form of a standing reply is told.
    """

    def __init__(self, world: World, choose: Choose = first) -> None:
        self.world, self.choose = world, choose
        self.sampler: Any = None
        """Set by sessions; there is nothing to sample here."""
        self._opening = RefereePosition(start(world))

    def opening(self, progress: object = None, cache_dir: Path | None = None) -> RefereePosition:
        """The position before the first turn."""
        return self._opening

    def turn(self, position: RefereePosition, line: str, generator: object = None) -> RefereeTurn:
        """Put a canonical command; iterate the result for hidden lines and reply."""
        return RefereeTurn(self, position, line)

    def recall(self, position: RefereePosition, key: str) -> str:
        """The record under `key`: a line, no newline."""
        return record_line(key, position.records.get(key, ()))

    def settle(self, position: RefereePosition) -> RefereePosition:
        """Segments are a network's affair."""
        return position


class RefereeTurn:
    """As gamemaster.Turn: once iterated, it has position, reply and records (the hidden lines)."""

    def __init__(self, master: RefereeMaster, before: RefereePosition, line: str) -> None:
        self._master, self._before, self._line = master, before, line
        self.position, self.lost = before, True
        self.reply = ""
        self.records: list[str] = []

    def __iter__(self) -> Iterator[RefereePiece]:
        before = self._before
        outcome = play(self._master.world, before.records, self._line, self._master.choose)
        reply = shown(outcome.reply)
        yield RefereePiece("record", "".join(f"{line}\n" for line in outcome.lines))
        yield RefereePiece("text", reply)
        self.records, self.reply, self.lost = outcome.lines, reply, False
        changed = changed_keys(list(before.changed), before.records, outcome.records)
        self.position = RefereePosition(outcome.records, tuple(changed), before.turns + 1)
