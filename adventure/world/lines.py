"""Where in a world.toml each key and each table stands. Knows TOML, no key of a world."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cached_property

Place = tuple[str | int, ...]
"""Where something stands in a pack: ("things", 1, "treasure")."""

_PIECE = r"""[\w-]+|"(?:[^"\\]|\\.)*"|'[^']*'"""
_DOTTED = rf"(?:{_PIECE})(?:[ \t]*\.[ \t]*(?:{_PIECE}))*"
_HEADER = re.compile(rf"[ \t]*(\[\[?)[ \t]*({_DOTTED})[ \t]*\]")
_KEY = re.compile(rf"[ \t]*({_DOTTED})[ \t]*=")
_LONG_STRING = re.compile(r'"""' + r"|'''")


@dataclass(frozen=True)
class Source:
    """A text that a world was read from, and the name of its file."""

    name: str
    text: str = ""

    @cached_property
    def lines(self) -> dict[Place, int]:
        """The line on which each key and each table begins."""
        return self._read[0]

    @property
    def twice(self) -> tuple[Place, int] | None:
        """The first key or table that is there already, and its second line; None without one."""
        return next(iter(self._read[1]), None)

    @cached_property
    def _read(self) -> tuple[dict[Place, int], list[tuple[Place, int]]]:
        return _lines(self.text)

    def line(self, place: Place) -> int:
        """Where `place` is written, or the table that it belongs in; 0 where neither is known."""
        for length in range(len(place), 0, -1):
            if place[:length] in self.lines:
                return self.lines[place[:length]]
        return 0

    def where(self, place: Place) -> str:
        """`worlds/mill/world.toml, line 12`, or the file alone."""
        line = self.line(place)
        return f"{self.name}, line {line}" if line else self.name


def _lines(text: str) -> tuple[dict[Place, int], list[tuple[Place, int]]]:
    """Where everything begins, and what is there a second time, on which line."""
    found: dict[Place, int] = {}
    again: list[tuple[Place, int]] = []
    counts: dict[Place, int] = {}
    table: Place = ()
    inside = ""  # the quotes of the long string that we are in

    def begin(place: Place, number: int) -> None:
        if found.setdefault(place, number) != number:
            again.append((place, number))

    for number, line in enumerate(text.split("\n"), 1):
        if not inside and (key := _KEY.match(line)):
            begin(table + _steps(key[1], (), {}), number)
        elif not inside and (header := _HEADER.match(line)):
            table = _steps(header[2], (), counts)
            if header[1] == "[[":
                if table not in counts:
                    begin(table, number)
                counts[table] = counts.get(table, -1) + 1
                table = (*table, counts[table])
            begin(table, number)
        for quotes in _LONG_STRING.findall(line):
            inside = {"": quotes, quotes: ""}.get(inside, inside)
    return found, again


def _steps(dotted: str, place: Place, counts: dict[Place, int]) -> Place:
    """`rooms.exits` -> ("rooms", 3, "exits") where four [[rooms]] have begun."""
    names = [_plain(name) for name in re.findall(_PIECE, dotted)]
    for i, name in enumerate(names):
        place = (*place, name)
        if i < len(names) - 1 and place in counts:
            place = (*place, counts[place])
    return place


def _plain(piece: str) -> str:
    """A piece of a key without its quotation marks."""
    if "\\" in piece and piece[0] == '"':
        try:
            return str(tomllib.loads(f"key = {piece}")["key"])
        except tomllib.TOMLDecodeError:
            return piece
    return piece.strip("\"'") if piece[0] in "\"'" else piece
