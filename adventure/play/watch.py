"""Play as you write: the world's file is read anew when it is saved, and the game goes on.

Knows worlds and records; the network only by the game master's interface.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from adventure.errors import PackError
from adventure.play.carry import carried_over, parts_changed
from adventure.play.transcript import Said
from adventure.world.pack import load_world
from adventure.world.prompt import initial_records

if TYPE_CHECKING:
    from adventure.master.gamemaster import GameMaster, Position
    from adventure.play.commands import Console
    from adventure.play.header import Identity
    from adventure.play.screen import Screen
    from adventure.world.parts import World

    Reading = tuple[GameMaster, Position, Identity]
    """A master for a world, its opening, and whose its saves are."""

_WRITING = 0.05
"""Seconds in which a file that is being saved would grow."""
_LONG_AGO = 1 << 20  # turns: more than a segment has, so that the master settles

_Mark = tuple[int, int, str]
"""Time, size and hash of a file."""


class Watch:
    """Looks at the file of the world in play. read: makes what a game needs of an edited world."""

    def __init__(
        self,
        console: Console,
        screen: Screen,
        file: Path,
        read: Callable[[World], Reading],
    ) -> None:
        self._console, self._screen, self._file, self._read = console, screen, file, read
        self._seen: _Mark = (0, 0, "")  # it may have been edited while the network was loaded

    def stirred(self) -> bool:
        """Whether the file has been saved since it was last read."""
        return self._mark(self._seen) not in (None, self._seen)

    def news(self) -> Iterator[Said]:
        """Read the file if it has been saved; says what came of it. The game in play goes on."""
        mark = self._mark(self._seen)
        if mark is None or mark == self._seen:
            return
        time.sleep(_WRITING)
        if self._mark(mark) != mark:
            return  # it is still being written
        self._seen = mark
        try:
            world = load_world(self._file)
        except PackError as error:
            yield Said("note", str(error))
            yield Said("note", "[The game goes on in the world as it was.]")
            return
        changed = parts_changed(self._console.session.world, world)
        if changed:
            self._go_on_in(world)
            parts = "1 part" if changed == 1 else f"{changed} parts"
            yield Said("note", f"[The world was read anew: {parts} changed.]")

    def _go_on_in(self, world: World) -> None:
        """Take the game over into an edited world. Nothing has happened if this is interrupted."""
        console, session = self._console, self._console.session
        master, opening, identity = self._read(world)
        before = session.position
        records = carried_over(session.world, before.records, world)
        fresh = initial_records(world)
        changed = [key for key in records if records[key] != fresh[key]]
        order = {key: place for place, key in enumerate(before.changed)}
        changed.sort(key=lambda key: order.get(key, len(order)))
        position = dataclasses.replace(
            opening, records=records, changed=tuple(changed), turns=_LONG_AGO
        )
        session.go_on_in(world, master, opening, master.settle(position))
        console.saves.identity = identity
        self._screen.rooms = tuple(room.name for room in world.rooms)

    def _mark(self, known: _Mark | None) -> _Mark | None:
        """How the file is now; None where it can't be read, as while an editor replaces it."""
        try:
            there = self._file.stat()
            if known and known[:2] == (there.st_mtime_ns, there.st_size):
                return known
            digest = hashlib.sha256(self._file.read_bytes()).hexdigest()
        except OSError:
            return None
        if known and digest == known[2]:
            return known
        return there.st_mtime_ns, there.st_size, digest
