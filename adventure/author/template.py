"""The world that a new author begins with: the files of starter/, filled in. Knows no questions.

Three to eight rooms with one of each thing that most worlds have, and comments that say how it is
done. In the files {CAPITALS} are slots, {You}, {you} and {verbs} follow the person that the author
has chosen, and lines between `#? rooms > 3` and `#? end` are for worlds of that size.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources

from adventure.world.voice import third

FEWEST, MOST = 3, 8
"""Rooms. The fourth is dark, with a light to see by; those beyond are there to be filled."""
_FILES = {
    "world.toml": "world.toml",
    "tests/solution.walk": "solution.walk",
    "tests/first.test": "first.test",
}
_SPARE = (
    ("Orchard", "Old apple trees in long grass, with the lights of the village between them."),
    ("Beehives", "A row of white hives on a bank, humming in their sleep."),
    ("Wall End", "The garden wall comes to an end, as if whoever built it had been called in."),
    ("Low Gate", "A gate too low for anybody but a goat."),
)
_LIGHT = "The lantern is in the cabinet. TURN ON LANTERN before going DOWN for the crank."
_NO_LIGHT = "The crank of the winch is in the cabinet in the hall: OPEN CABINET, TAKE CRANK."
_SLOT = re.compile(r"\{(\w+)\}")
_SECTION = re.compile(r"^#\? rooms ([>=]) (\d+)\n(.*?)^#\? end\n", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Plan:
    """What the author was asked. player: who it is about, in the third person."""

    title: str
    author: str
    description: str
    ifid: str
    rooms: int = 4
    voice: str = "plain"
    person: str = "second"
    player: str = ""


def files_of(plan: Plan) -> dict[str, str]:
    """The texts of a new world by file."""
    folder = resources.files("adventure.author") / "starter"
    texts = {name: (folder / file).read_text(encoding="utf-8") for name, file in _FILES.items()}
    chosen = {name: _chosen(text, plan.rooms) for name, text in texts.items()}
    return {**chosen, "world.toml": _filled(chosen["world.toml"], plan, _slots(plan))}


def _slots(plan: Plan) -> dict[str, str]:
    cellar, spare = plan.rooms > 3, _SPARE[: max(0, plan.rooms - 4)]
    style = f'person = "{plan.person}"'
    if plan.player:
        style += f"\nname = {_quoted(plan.player)}"
    return {
        "TITLE": _quoted(plan.title),
        "AUTHOR": _quoted(plan.author),
        "DESCRIPTION": _quoted(plan.description),
        "IFID": plan.ifid,
        "STYLE": style,
        "VOICE": plan.voice,
        "LIGHT_HINT": _quoted(_LIGHT if cellar else _NO_LIGHT),
        "TERRACE_EXITS": '\nexits = { west = "Orchard" }' if spare else "",
        "TO_ORCHARD": " Steps go west to an orchard." if spare else "",
        "HALL_DOWN": ', down = "Cellar"' if cellar else "",
        "TO_CELLAR": " Steps go down to a cellar." if cellar else "",
        "SPARE_ROOMS": _spare_rooms(spare),
        "CRANK_PLACE": "Cellar" if cellar else "cabinet",
    }


def _spare_rooms(spare: tuple[tuple[str, str], ...]) -> str:
    names = ("Terrace", *(name for name, _ in spare))
    made = "\n# Rooms to fill: nothing happens in them yet.\n" if spare else ""
    for i, (name, prose) in enumerate(spare, 1):
        onward = i + 1 < len(names)
        exits = f'east = "{names[i - 1]}"' + (f', west = "{names[i + 1]}"' if onward else "")
        way = "A path leads east, and on to the west." if onward else "The path leads back east."
        made += f'\n[[rooms]]\nname = "{name}"\nexits = {{ {exits} }}\n'
        made += f'description = "{prose} {way}"\n'
    return made


def _quoted(text: str) -> str:
    """A string of TOML, whose escapes are JSON's."""
    return json.dumps(text, ensure_ascii=False)


def _chosen(text: str, rooms: int) -> str:
    """A text without the sections that are for worlds of another size."""

    def keep(found: re.Match[str]) -> str:
        fits = rooms > int(found[2]) if found[1] == ">" else rooms == int(found[2])
        return found[3] if fits else ""

    return _SECTION.sub(keep, text)


def _filled(text: str, plan: Plan, slots: Mapping[str, str]) -> str:
    """A text with its slots filled, {You} {turn} -> You turn, I turn, Ada turns.

    All in one go, so that an author's title may be anything.
    """
    you = {"first": "I", "second": "you"}.get(plan.person, plan.player)

    def fill(found: re.Match[str]) -> str:
        match found[1]:
            case "You":
                return you[0].upper() + you[1:]
            case "you":
                return you
            case slot if slot in slots:
                return slots[slot]
            case verb:
                return third(verb) if plan.person == "third" else verb

    return _SLOT.sub(fill, text)
