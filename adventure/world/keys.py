"""Faults of world.toml's keys and types; knows the types of a world, no rule of the game."""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from adventure.world.lines import Place
from adventure.world.parts import (
    LONGEST_CLOCK,
    LONGEST_STEP,
    Clock,
    Door,
    Ending,
    Person,
    Room,
    Rule,
    Style,
    Table,
    Thing,
    World,
)

Fault = tuple[Place, str]
"""Where something is wrong, and a sentence on what."""

TABLES: dict[str, tuple[str, type[Table]]] = {
    "rooms": ("room", Room),
    "doors": ("door", Door),
    "things": ("thing", Thing),
    "people": ("person", Person),
    "rules": ("rule", Rule),
    "clocks": ("clock", Clock),
    "ending": ("ending", Ending),
    "style": ("style", Style),
}
"""Key of the world -> what one of its tables is called, and its type."""
_SINGLE = ("ending", "style")
_TEXT = "text in quotation marks"
_WANTED = {
    "string_type": _TEXT,
    "bool_type": "true or false",
    "tuple_type": 'a list such as ["a", "b"]',
    "dict_type": 'a table such as { north = "Hall" }',
    "model_type": "a table of keys",
    "int_type": "a whole number",
}
_UNIONS = {
    "when": 'a command such as "pull lever", or a list of such',
    "needs": 'a list such as ["lamp carried"], or a table such as { "lamp carried" = "Dark." }',
    "replies": f"{_TEXT}, or a list of one to eight such",
}
_LONGEST_WORD = 60
_MOST_LOOKED_AT = 500  # faults; there may be hundreds of thousands


def nearest(word: str, known: Sequence[str]) -> str:
    """The end of a sentence about a wrong word: the right one most like it, or else all of them."""
    by_small = {name.lower(): name for name in known}
    close = difflib.get_close_matches(word.lower()[:_LONGEST_WORD], by_small, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {by_small[close[0]]!r}?"
    if not known:
        return "; none was found."
    some = ", ".join(map(repr, sorted(known)[:12]))
    return f"; it can be {some}{' and so on' if len(known) > 12 else ''}."


def quoted(value: Any, limit: int = 40) -> str:
    """A value as a message shows it: on one line, and not the whole of a long one."""
    match value:
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case datetime.date() | datetime.time():
            return "a date or a time"
        case bool():
            return str(value).lower()
        case int() if abs(value) >= 10**15:
            return "a huge number"  # which Python may refuse to write
        case str():
            value = value[: limit + 1]
    shown = repr(value)
    return shown if len(shown) <= limit else f"{shown[:limit]}..."


def type_faults(error: ValidationError, table: Mapping[str, Any]) -> Iterator[Fault]:
    """What pydantic found, in our words."""
    unions: set[Place] = set()
    unknown: dict[Place, set[str]] = {}
    found = error.errors(include_url=False)
    for each in found[:_MOST_LOOKED_AT]:
        if each["type"] == "extra_forbidden":
            place: Place = each["loc"]
            word = str(place[-1])[:_LONGEST_WORD]
            guess = difflib.get_close_matches(word, keys_of(place), 1, 0.5)
            unknown.setdefault(place[:-1], set()).update(guess)
    for each in found:
        place = each["loc"]
        if each["type"] == "missing" and place[-1] in unknown.get(place[:-1], ()):
            continue  # it is there, misspelt
        base = _union(place)
        if not base:
            yield place, _sentence(place, each, table)
        elif not _of_its_branch(place, base, _value(table, base)):
            continue
        elif (within := place[len(base) + 1 :]) and each["type"] == "string_too_long":
            yield (*base, *within), _sentence((*base, *within), each, table)
        elif base not in unions:
            unions.add(base)
            field = str(base[0] if base[0] == "replies" else base[-1])
            yield base, f"{_named(base, table)} must be {_UNIONS[field]}."


def keys_of(place: Place) -> list[str]:
    """The keys that the table around a place may have."""
    model = TABLES[str(place[0])][1] if len(place) > 1 and place[0] in TABLES else World
    keys = [field.alias or name for name, field in model.model_fields.items()]
    return [key for key in keys if model is not World or key != "name"]


def describe(place: Place, table: Mapping[str, Any]) -> str:
    """A table as a message names it: `the room 'Hall'`, `exits of the room 'Hall'`."""
    if not place:
        return "the world"
    if place[0] not in TABLES or place[0] in _SINGLE:
        return f"[{place[0]}]"
    if len(place) < 2:
        return f"[[{place[0]}]]"
    part = _value(table, place[:2])
    name = part.get("when" if place[0] == "rules" else "name") if isinstance(part, dict) else None
    if isinstance(name, list | tuple) and name:
        name = name[0]
    kind = TABLES[str(place[0])][0]
    whole = f"the {kind} {quoted(name)}" if isinstance(name, str) else f"{kind} {_count(place[1])}"
    return f"{place[2]!r} of {whole}" if len(place) > 2 else whole


def unknown_key(place: Place, table: Mapping[str, Any]) -> str:
    """What to say of a key that the format doesn't have."""
    key, known, inside = str(place[-1]), keys_of(place), describe(place[:-1], table)
    if place == ("name",):  # the folder's name is the world's
        return "unknown key 'name' in the world; did you mean 'title'?"
    said = f"unknown key {quoted(key)} in {inside}"
    if len(place) > 1 and key in World.model_fields and key not in TABLES and key != "name":
        return f"{said}; put it at the top of the file, above the first [table]."
    return said + nearest(key, known)


def _count(index: str | int) -> str:
    return f"number {int(index) + 1}"


def _union(place: Place) -> Place:
    """The place of the key that may be of several types, if it is one; else nothing."""
    if place[0] == "rules" and len(place) > 3 and place[2] in ("when", "needs"):
        return place[:3]
    return place[:2] if place[0] == "replies" and len(place) > 2 else ()


def _of_its_branch(place: Place, base: Place, value: Any) -> bool:
    """Whether an error is about the branch that the author meant; any, if that is unclear."""
    branch = str(place[len(base)])
    wanted = "str" if isinstance(value, str) else "tuple" if isinstance(value, list) else "dict"
    meant = ("tuple", "dict") if base[-1] == "needs" else ("str", "tuple")
    return wanted not in meant or wanted in branch.partition("[")[0]


def _value(table: Any, place: Place) -> Any:
    for step in place:
        if isinstance(table, dict):
            table = table.get(step)
        elif isinstance(table, list | tuple) and isinstance(step, int) and step < len(table):
            table = table[step]
        else:
            return None
    return table


def _named(place: Place, table: Mapping[str, Any]) -> str:
    """A key with what it is in: `'light' in the thing 'lamp' is 3; it`."""
    inside, key = describe(place[:-1], table), place[-1]
    value = quoted(_value(table, place))
    if isinstance(key, int) and len(place) > 2:
        return f"{inside} has the entry {value}, which"
    if len(place) == 1 or (place[0] in TABLES and len(place) == 2 and place[0] not in _SINGLE):
        return f"{place[0]!r} is {value}; it"
    return f"{quoted(key)} in {inside} is {value}; it"


def _sentence(place: Place, error: Any, table: Mapping[str, Any]) -> str:
    key, inside, limits = place[-1], describe(place[:-1], table), error.get("ctx", {})
    shown = quoted(key) if isinstance(key, str) else "a text"
    match error["type"]:
        case "extra_forbidden":
            return unknown_key(place, table)
        case "missing":
            how = {"rooms": "add [[rooms]]"}.get(str(key), "add it")
            return f"the key {key!r} is missing in {inside}; {how}."
        case "too_long":
            return f"{inside} has more than {limits['max_length']} {key}; leave some out."
        case "too_short":
            return f"{shown} in {inside} is an empty list; write something, or leave it out."
        case "string_too_long":
            most, seen = limits["max_length"], len(error["input"])
            return f"{shown} in {inside} has {seen:,} characters; shorten it to {most:,}."
        case "string_too_short":
            return f"{shown} in {inside} is empty; write something."
        case "literal_error":
            return f"{_named(place, table)} must be {limits['expected']}."
        case "int_type" | "greater_than_equal" | "less_than_equal":
            least, most = (0, 1000) if place[0] == "deeds" else (1, LONGEST_CLOCK)
            most = LONGEST_STEP if key == "every" else most
            return f"{_named(place, table)} must be a whole number from {least} to {most}."
    wanted = _WANTED.get(error["type"], "something else")
    if place[0] in _SINGLE and len(place) == 1:
        wanted = f"one table, begun with [{place[0]}]"
    elif place[0] in TABLES and len(place) < 3 and place[0] not in _SINGLE:
        wanted = f"a list of tables, each begun with [[{place[0]}]]"
    return f"{_named(place, table)} must be {wanted}."
