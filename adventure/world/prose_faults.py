"""What is wrong with a world's prose, its replies and its metadata. Knows no rule of the game."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Any

from adventure.world.doing import in_words
from adventure.world.keys import TABLES, Fault, describe, nearest, quoted
from adventure.world.lines import Place
from adventure.world.parts import DIRECTIONS, DOOR_RECORDS, ROOM_RECORDS, World
from adventure.world.script import MARKS
from adventure.world.voice import KINDS, VOICES

MARKS_OF = {
    "place": "%", "exits": "@", "see": "@", "inside": "*@", "upon": "*@", "carry": "@",
    "deeds": "@", "state": "*&", "barred": "~&", "absent": "*", "absent2": "*#", "taken": "*",
    "treasure": "*", "have": "*", "fixed": "*", "held": "*", "dropped": "*", "havenot": "*",
    "nokey": "*#", "put": "*#", "noplace": "*#", "shut": "*#&", "opened": "*", "closed": "*",
    "unlocked": "*#", "locked": "*#", "already": "*&", "cannot": "*", "misfit": "*#",
    "worn": "*", "unworn": "*", "eaten": "*", "drunk": "*", "on": "*", "off": "*",
    "unwanted": "*#", "silent": "*", "comes": "^", "goes": "^",
}  # fmt: skip
"""Kind of reply -> the marks that stand for something when it is told; none where it isn't here."""
_LONGEST_REPLY = 300
_BLANK_LINE = re.compile(r"\n\s*\n")
_HIDDEN = re.compile(rf"say|usual|end|say (?:{'|'.join(KINDS)})( or)*")
_AFTER_STOP = re.compile(r"""(?:^|[.!?]["')]*\s+)["'(]*([*#~@&^%])""")
_DATE = re.compile(r"\d{4}(-\d\d-\d\d)?", re.ASCII)
_IFID = re.compile(r"[A-Z0-9-]{8,63}")
_PICTURES = (".png", ".jpg", ".jpeg")
_FORGIVENESS = ("Merciful", "Polite", "Tough", "Nasty", "Cruel")
_KEYS = frozenset(key for _, table in TABLES.values() for key in table.model_fields)
_PROSE_KEYS = frozenset(
    "description first text talk other otherwise say again intro hints scenery topics cover_alt "
    "needs".split()
)
"""Where a paragraph stands, be it in a table of its own."""


def prose_faults(world: World) -> Iterator[Fault]:
    """All of them."""
    yield from _texts(world)
    yield from _reply_faults(world)
    yield from _about_faults(world)


def _texts(world: World) -> Iterator[Fault]:
    """Every string of the pack, keys too: what can't be shown, and what the engine uses itself."""
    names = {part.name for part in world.parts} | set(world.scenery)
    keys = _record_keys(world)
    table = world.model_dump(by_alias=True, exclude={"name"}, exclude_defaults=True)
    for rule, dumped in zip(world.rules, table.get("rules", ()), strict=True):
        dumped["when"] = tuple(in_words(do, world) for do in rule.commands)  # as messages name it
    for place, text, is_key in _strings(table, ()):
        for said in _text_faults(text, not is_key and bool(set(place) & _PROSE_KEYS), names, keys):
            yield place, f"{_what(place, table, is_key)} {said}"


def _text_faults(text: str, prose: bool, names: set[str], keys: set[str]) -> Iterator[str]:
    """What one text is or holds that it shouldn't."""
    plain = text.replace("\n", "").replace("\t", "")
    if not plain.isprintable():
        odd = next(char for char in plain if not char.isprintable())
        yield f"holds the character {odd!r}, which can't be shown; take it out."
    elif "<|" in text or "|>" in text:
        mark = "<|" if "<|" in text else "|>"
        yield f"holds {mark!r}, which the engine uses itself; take it out."
    elif text and not text.strip():
        yield "is empty; write a sentence."
    elif prose:
        yield from _paragraph(text, names, keys)
    elif "\n" in text:
        yield "holds a line break; write it on one line."


def _paragraph(prose: str, names: set[str], keys: set[str]) -> Iterator[str]:
    line = " ".join(prose.split())
    begin, colon, _ = line.partition(":")
    if "\n" in prose and _BLANK_LINE.search(prose.strip()):
        yield "holds a blank line; write it as one paragraph."
    elif line in names or _HIDDEN.fullmatch(line):
        yield f"is nothing but {quoted(line)}; write a sentence."
    elif colon and begin.lower() in keys:
        yield f"begins with '{begin}:', as the game master's notes do; begin it otherwise."


def _strings(value: Any, place: Place) -> Iterator[tuple[Place, str, bool]]:
    if isinstance(value, str):
        yield place, value, False
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield (*place, key), key, True
            yield from _strings(inner, (*place, key))
    elif isinstance(value, tuple):
        for i, inner in enumerate(value):
            yield from _strings(inner, (*place, i))


def _what(place: Place, table: dict[str, Any], is_key: bool) -> str:
    """`the description of the room 'Hall'`, `the text of 'weed' in 'scenery' of it`."""
    while isinstance(place[-1], int):
        place = place[:-1]
    inside, key = describe(place[:-1], table), place[-1]
    if is_key:
        return f"a key in {inside}"
    if len(place) == 1:
        return f"the {key}"
    return f"the {key} of {inside}" if key in _KEYS else f"the text of {quoted(key)} in {inside}"


def _record_keys(world: World) -> set[str]:
    """What the game master's notes begin with."""
    found = {"at", "deeds", "clocks", "game", "you carry"}
    for room in world.rooms:
        found |= {f"{room.name} {word}".lower() for word in (*ROOM_RECORDS, *DIRECTIONS, "exits")}
    for noun in world.nouns:
        found |= {f"{noun.name} {word}".lower() for word in (*DOOR_RECORDS, "holds")}
        found.add(noun.name.lower())
    return found | {name.lower() for name in world.scenery}


# -- replies -------------------------------------------------------------------------------------


def _reply_faults(world: World) -> Iterator[Fault]:
    for kind, said in world.replies.items():
        place = ("replies", kind)
        if kind not in KINDS:
            yield place, f"there is no reply {quoted(kind)}{nearest(kind, KINDS)}"
            continue
        for text in (said,) if isinstance(said, str) else said:
            yield from _one_reply(place, kind, text)
    style = world.style
    if style.voice not in VOICES:
        yield (
            ("style", "voice"),
            f"there is no voice {quoted(style.voice)}" + nearest(style.voice, sorted(VOICES)),
        )


def _one_reply(place: Place, kind: str, text: str) -> Iterator[Fault]:
    it = f"the reply {kind!r}"
    known = MARKS_OF.get(kind, "")
    if len(text) > _LONGEST_REPLY:
        yield place, f"{it} has {len(text)} characters; shorten it to {_LONGEST_REPLY}."
    for mark in sorted(set(text) & set(MARKS) - set(known)):
        may = f"it can have {' and '.join(known)}" if known else "it has no marks"
        yield place, f"{it} has the mark {mark!r}, which stands for nothing there; {may}."
    begins = _AFTER_STOP.search(text) if kind != "place" else None
    if begins:
        said = f"{it} begins a sentence with the mark {begins[1]!r}, which makes a small letter"
        yield place, f"{said}; put a word before it."


# -- metadata ------------------------------------------------------------------------------------


def _about_faults(world: World) -> Iterator[Fault]:
    if world.ifid and not _IFID.fullmatch(world.ifid):
        said = f"the ifid {quoted(world.ifid)} won't do; take 8 to 63 capital letters, digits and"
        yield ("ifid",), f"{said} hyphens, such as a UUID in capitals."
    if world.released and not _DATE.fullmatch(world.released):
        said = f"released is {quoted(world.released)}; it must be a year or a day"
        yield ("released",), f"{said}, such as '2026' or '2026-05-01'."
    if world.forgiveness and world.forgiveness not in _FORGIVENESS:
        said = f"the forgiveness {quoted(world.forgiveness)} is none of Zarf's words"
        yield ("forgiveness",), said + nearest(world.forgiveness, _FORGIVENESS)
    cover = world.cover
    if cover and (
        "\\" in cover
        or ":" in cover
        or PurePosixPath(cover).is_absolute()
        or ".." in PurePosixPath(cover).parts
    ):
        said = f"the cover {quoted(cover)} lies outside the world's folder"
        yield ("cover",), f"{said}; copy it there and give its name alone."
    elif cover and PurePosixPath(cover).suffix.lower() not in _PICTURES:
        said = f"the cover {quoted(cover)} is no picture that can be shown"
        yield ("cover",), f"{said}; take a .png or .jpg file."
