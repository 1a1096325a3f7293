"""Faults of world.toml's keys and types, and the lines they stand on; knows no rule of the game."""

from __future__ import annotations

import difflib
import re
from typing import Any

from pydantic import ValidationError

from adventure.world.parts import Door, Ending, Room, Table, Thing, World

Place = tuple[str | int, ...]
"""Where something stands in a pack: ("things", 1, "treasure")."""
Fault = tuple[Place, str]
"""Where something is wrong, and a sentence on what."""

_TABLES: dict[str, type[Table]] = {"rooms": Room, "doors": Door, "things": Thing, "ending": Ending}
_WANTED = {
    "string_type": "text in quotation marks",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "dict_type": 'a table such as { north = "Hall" }',
    "model_type": "a table of keys",
}


def nearest(word: str, known: list[str]) -> str:
    """The end of a sentence about a wrong word: the right one most like it, or else all of them."""
    by_small = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower(), by_small, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {by_small[close[0]]!r}?"
    if not known:
        return "; none was found."
    some = ", ".join(map(repr, sorted(known)[:12]))
    return f"; it can be {some}{' and so on' if len(known) > 12 else ''}."


def quoted(value: Any, limit: int = 40) -> str:
    """A value as a message shows it: on one line, and not the whole of a long one."""
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    shown = str(value).lower() if isinstance(value, bool) else repr(value)
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


def type_fault(error: ValidationError) -> Fault:
    """The fault that pydantic found and an author should hear of first, in our words."""
    found = error.errors(include_url=False)
    first = min(found, key=lambda e: _RANK.get(e["type"], 2))  # the first of the lowest rank
    place: Place = first["loc"]
    key, inside = place[-1], _path(place[:-1]) or "the world"
    match first["type"]:
        case "extra_forbidden":
            return place, unknown_key(place)
        case "missing":
            how = {"ending": "add [ending]", "rooms": "add [[rooms]]"}.get(str(key), "add it")
            return place, f"the key {key!r} is missing in {inside}; {how}."
        case "too_long":
            most = first["ctx"]["max_length"]
            return place, f"{inside} has more than {most} {key}; leave some out."
        case "string_too_long":
            seen, most = len(first["input"]), first["ctx"]["max_length"]
            return place, f"{key!r} in {inside} has {seen:,} characters; shorten it to {most:,}."
        case "string_too_short":
            return place, f"{key!r} in {inside} is empty; write something."
    wanted = _WANTED.get(first["type"], "something else")
    if place[0] in ("rooms", "doors", "things") and len(place) < 3:
        wanted = f"a list of tables, each begun with [[{place[0]}]]"
    elif place == ("ending",):
        wanted = "one table, begun with [ending]"
    return place, f"{_path(place)} is {quoted(first['input'])}; it must be {wanted}."


_RANK = {"too_long": 0, "extra_forbidden": 1, "missing": 3}


def unknown_key(place: Place) -> str:
    """What to say of a key that the format doesn't have."""
    key = str(place[-1])
    table = _TABLES.get(str(place[0]), World) if len(place) > 1 else World
    known = [f.alias or name for name, f in table.model_fields.items()]
    if table is World:
        known.remove("name")
    if table is World and key == "name":  # the folder's name is the world's
        return "unknown key 'name' in the world; did you mean 'title'?"
    inside = _path(place[:-1]) or "the world"
    said = f"unknown key {quoted(key)} in {inside}"
    if table is not World and key in World.model_fields and key not in ("name", "description"):
        return f"{said}; put it at the top of the file, above the first [table]."
    return said + nearest(key, known)


def _path(place: Place) -> str:
    """("rooms", 0, "exits") -> `rooms[0].exits`."""
    steps = [f"[{step}]" if isinstance(step, int) else f".{step}" for step in place]
    return "".join(steps).removeprefix(".")


# -- lines ---------------------------------------------------------------------------------------

_HEADER = re.compile(r"\s*(\[\[?)\s*([^\]]+?)\s*\]")
_KEY = re.compile(r"""\s*((?:[\w-]+|"[^"]*"|'[^']*')(?:\s*\.\s*(?:[\w-]+|"[^"]*"|'[^']*'))*)\s*=""")
_LONG_STRING = re.compile(r'"""' + r"|'''")


def line_of(place: Place, text: str) -> str:
    """`, line N`: where `place` is written, or the table that it belongs in; else empty."""
    lines = _lines(text)
    for length in range(len(place), 0, -1):
        if place[:length] in lines:
            return f", line {lines[place[:length]]}"
    return ""


def _lines(text: str) -> dict[Place, int]:
    """The line on which each key and each table of a TOML text begins."""
    found: dict[Place, int] = {}
    counts: dict[Place, int] = {}
    table: Place = ()
    inside = ""  # the quotes of the long string that we are in
    for number, line in enumerate(text.split("\n"), 1):
        header, key = _HEADER.match(line), _KEY.match(line)
        if inside:
            pass
        elif key:
            found.setdefault(table + _steps(key[1], (), {}), number)
        elif header:
            table = _steps(header[2], (), counts)
            if header[1] == "[[":
                counts[table] = counts.get(table, -1) + 1
                found.setdefault(table, number)
                table = (*table, counts[table])
            found.setdefault(table, number)
        for quotes in _LONG_STRING.findall(line):
            inside = {"": quotes, quotes: ""}.get(inside, inside)
    return found


def _steps(dotted: str, place: Place, counts: dict[Place, int]) -> Place:
    """`rooms.exits` -> ("rooms", 3, "exits") where four [[rooms]] have begun."""
    names = [name.strip(" \t\"'") for name in dotted.split(".")]
    for i, name in enumerate(names):
        place = (*place, name)
        if i < len(names) - 1 and place in counts:
            place = (*place, counts[place])
    return place
