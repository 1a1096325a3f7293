"""What can be read off a game master's records: what is at hand, what a turn did, what it earned.

Knows worlds, records and hidden lines; no network and nothing of what players type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from adventure.world.parts import WORN, World
from adventure.world.prompt import parse_record
from adventure.world.script import FIELD, WHEN

Records = Mapping[str, Sequence[str]]

_ACTIONS = ("take", "drop", "put", "open", "close", "lock", "unlock")
"""Verbs that change a record when they succeed; one that changed none was refused."""
_REFUSALS = frozenset(
    "noway barred absent absent2 have fixed held havenot nokey noplace shut already cannot misfit "
    "unwanted".split()
)
"""Standing replies that say that nothing was done."""
_HARMLESS = frozenset("look examine search read listen smell wait talk ask tell".split())
"""What one does to learn something: an answer of the author's, whatever it is, is an answer."""
_AGAIN = f" if{FIELD} new"
_GETTING = ("take", "get", "grab", "pick up", "pick")
_PARTING = ("drop", "put down", "put", "place", "insert", "give", "offer", "hand", "show", "throw")
_SHUT = ("closed", "locked")
_LOOSE = ("portable", "treasure")


# -- what is at hand -----------------------------------------------------------------------------


def bare(item: str) -> str:
    """A name as a list shows it, without `(lit)` or `(worn)`."""
    return item.partition(" (")[0]


def room_of(world: World, records: Records) -> str:
    """Where the player is."""
    return next(iter(records.get("At", ())), world.start)


def too_dark(world: World, records: Records) -> bool:
    """Whether nothing can be seen where the player is."""
    lists = ("You carry", f"{room_of(world, records)} holds")
    lit = any(item.endswith("(lit)") for key in lists for item in records.get(key, ()))
    return "dark" in records.get("At", ()) and not lit


def inside(records: Records, holder: str) -> list[str]:
    """What can be seen in or on a thing, or with a person; nothing where it is shut."""
    if records.get(holder, ("",))[-1] in _SHUT:
        return []
    return [bare(item) for item in records.get(f"{holder} holds", ())]


def carried(records: Records) -> list[str]:
    """What the player has in hand: not what is worn."""
    names = [bare(item) for item in records.get("You carry", ())]
    return [name for name in names if not _is_worn(records, name)]


def worn(records: Records) -> list[str]:
    """What the player has on."""
    names = [bare(item) for item in records.get("You carry", ())]
    return [name for name in names if _is_worn(records, name)]


def _is_worn(records: Records, name: str) -> bool:
    """By its own record: of a lit thing the list says that it is lit."""
    return records.get(name, ("",))[0] == WORN


def is_lit(records: Records, name: str) -> bool:
    """Whether a thing in the player's hands gives light."""
    return f"{name} (lit)" in records.get("You carry", ())


def is_loose(records: Records, name: str) -> bool:
    """Whether a thing can be taken, as far as its own record says."""
    return any(trait in _LOOSE for trait in records.get(name, ())[1:2])


def loose_here(world: World, records: Records) -> list[str]:
    """What lies about: in the room, and in or on things that are there."""
    found = inside(records, room_of(world, records))
    things = [name for name in found if "person" not in records.get(name, ())]
    found += [name for holder in things for name in inside(records, holder)]
    return [name for name in found if is_loose(records, name)]


def at_hand(world: World, records: Records) -> list[str]:
    """All that a noun is likely to mean: carried, seen here, in what is open, or scenery."""
    if too_dark(world, records):
        return [bare(item) for item in records.get("You carry", ())]
    return around(world, records)


def around(world: World, records: Records) -> list[str]:
    """All that would be at hand in the light."""
    found = [bare(item) for item in records.get("You carry", ())]
    room = room_of(world, records)
    found += inside(records, room)
    found += [name for holder in found.copy() for name in inside(records, holder)]
    return [*found, *(name for name, rooms in world.scenery.items() if room in rooms)]


def beginning(world: World, records: Records) -> list[str]:
    """What a player reads first: the intro, the room and what is in it. records: the opening's."""
    if too_dark(world, records):
        return [world.intro]
    first = [room.description for room in world.rooms if room.name == world.start]
    return [world.intro, *first, *inside(records, world.start)]


def likely(records: Records, pending: str, names: Sequence[str]) -> list[str]:
    """Those of several things that a command is likely to mean: one drops what one has, and takes
    what one hasn't. pending: the command with {} for the name."""
    verb, gap, _ = pending.lower().partition(" {}")
    mine = {bare(item) for item in records.get("You carry", ())}
    if not gap or verb not in (*_GETTING, *_PARTING):
        return list(names)
    return [name for name in names if (name in mine) == (verb in _PARTING)]


# -- what a turn did -----------------------------------------------------------------------------


def before_clocks(lines: Sequence[str]) -> list[str]:
    """The hidden lines of a turn up to where the clocks go on: what the command itself did."""
    for at, line in enumerate(lines):
        wound = at and lines[at - 1].startswith(f" so{FIELD} clock")
        if line.startswith(" Clocks: ") and not wound:
            return list(lines[:at])
    return list(lines)


def paragraphs(world: World, lines: Sequence[str]) -> int:
    """How many lines of the reply these hidden lines call for."""

    def told(line: str) -> bool:
        name = line.removeprefix(" ")
        standing = line == " say" or line.startswith(" say ")
        return standing or name in world.by_name or name in world.scenery

    return sum(told(line) for line in lines)


def refused(command: str, lines: Sequence[str], before: Records, after: Records) -> bool:
    """Whether a turn came to nothing, so that what was to follow it should not be done.

    lines: its hidden lines; before, after: the records around it. A reply of the author's refuses
    where a condition of a rule failed, or where an action of the kind that changes something
    changed nothing; the clocks go on in any case.
    """
    verb = command.partition("|")[0]
    own = before_clocks(lines)
    if verb == "go":
        return before.get("At") == after.get("At")
    if verb not in _HARMLESS and any(_is_refusal(own, at) for at in range(len(own))):
        return True
    said = [line.removeprefix(" say ").split(" ")[0] for line in own if line.startswith(" say ")]
    if _REFUSALS.intersection(said) or "dark" in said:
        return True
    told = (parse_record(line) for line in own)
    changed = any(record and tuple(before.get(record[0], ())) != record[1] for record in told)
    return verb in _ACTIONS and not changed


def _is_refusal(lines: Sequence[str], at: int) -> bool:
    """Whether a line leads to what is told when a condition fails, not to what is told again."""
    told_else = lines[at].startswith(WHEN) and lines[at].endswith(" but")
    return told_else and _AGAIN not in lines[max(0, at - 2) : at]


# -- what it earned ------------------------------------------------------------------------------


def score(world: World, records: Records) -> int:
    """Points of all that has been achieved."""
    return sum(world.points_of(deed) for deed in records.get("Deeds", ()))


def max_score(world: World) -> int:
    """Points of all that can be achieved."""
    return sum(world.points.values())
