"""What holds after every turn in every world, and whether it does. Knows the rules, no network.

Each check reads records and hidden lines as anybody could; what it finds wrong is a sentence.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from adventure.referee.rules import Outcome
from adventure.referee.tables import tables_of
from adventure.world.parts import DIRECTIONS, OPPOSITE, World
from adventure.world.prompt import (
    NOTHING,
    Records,
    list_key,
    listed,
    parse_record,
    record_line,
)
from adventure.world.script import Op

CHECKED = (
    "every record reads back as itself, and none comes or goes",
    "everything is in one place and listed there once, a door in its two rooms",
    "exits are the ways there are, and doors have two sides",
    "deeds are kept, and each is done once",
    "clocks run down to nothing and no further",
    "the reply is what the hidden lines say",
    "a finished game says whether it is won",
)

_STAGE = re.compile(r"(?: or)+$")
"""What the items of a clock that counts in stages have behind its name."""


def faults_of(reader: Reader, before: Records, line: str, outcome: Outcome) -> Iterator[str]:
    """What is wrong with one turn, `line` played on `before`; nothing, if the rules are right."""
    world = reader.world
    after = outcome.records
    if before.keys() != after.keys():
        yield f"records came or went: {before.keys() ^ after.keys()}"
    for key, items in after.items():
        if items is not before.get(key) and parse_record(record_line(key, items)) != (key, items):
            yield f"the record {key} doesn't read back"
    yield from _places(world, after)
    yield from _ways(world, after)
    old, new = before["Deeds"], after["Deeds"]
    if new[: len(old)] != old or len(set(new)) < len(new):
        yield f"deeds went from {old} to {new}"
    clocks = [item.rpartition(" ") for item in after["Clocks"]]
    known = [*(clock.name for clock in world.clocks), *(person.name for person in world.people)]
    # An item that has run down stays for a turn, beside the one that counts on in its place.
    running = Counter(_STAGE.sub("", name) for name, _, turns in clocks if turns != "0")
    if running - Counter(known) or {_STAGE.sub("", name) for name, _, _ in clocks} - set(known):
        yield f"a clock runs twice: {after['Clocks']}"
    if not all(turns.isdecimal() for _, _, turns in clocks):
        yield f"a clock shows no number of turns: {after['Clocks']}"
    if after["Game"][0] not in ("on", "won", "lost"):
        yield f"the game is {after['Game']}"
    if (told := reader.read(line, outcome.lines)) != outcome.reply:
        yield f"the hidden lines say {told!r}, the reply {outcome.reply!r}"


def _places(world: World, records: Records) -> Iterator[str]:
    wanted: Counter[tuple[str, str]] = Counter()
    for thing in world.things:
        place, *traits = records[thing.name]
        if key := list_key(world, place):
            lit = "light" in traits and traits[-1] == "on"
            wanted[key, listed(thing.name, place, lit)] += 1
    for person in world.people:
        if key := list_key(world, records[person.name][0]):
            wanted[key, person.name] += 1
    for door in world.doors:
        wanted.update(((f"{door.from_} holds", door.name), (f"{door.to} holds", door.name)))
    keys = [key for key in records if key.endswith(" holds") or key == "You carry"]
    found = Counter((key, item) for key in keys for item in records[key])
    if found != wanted:
        yield f"listed wrongly: {found - wanted}, not listed: {wanted - found}"


def _ways(world: World, records: Records) -> Iterator[str]:
    for room in world.rooms:
        ways = {d for d in DIRECTIONS if records.get(f"{room.name} {d}")}
        exits = records[f"{room.name} exits"]
        if set(exits) != ways or len(exits) > len(ways):
            yield f"{room.name} has the exits {exits}, but ways {ways}"
    for door in world.doors:
        sides = (
            (door.from_, door.direction, door.to),
            (door.to, OPPOSITE[door.direction], door.from_),
        )
        for room_, direction, beyond in sides:
            way = records[f"{room_} {direction}"]
            replaced = f"{room_} {direction}" in world.ways_made and way[-1] != "a door"
            if not replaced and way != (door.name, "a door"):
                yield f"{direction} of {room_} is {way} instead of {door.name}"
            if records[f"{door.name} {direction}"][0] != beyond:
                yield f"{door.name} leads {direction} to another room than {beyond}"


class Reader:
    """Reads hidden lines as the network learns to: what they promise is the reply."""

    def __init__(self, world: World) -> None:
        self.world, self.tables = world, tables_of(world)
        self._headings = {self.tables.followed(key).heading: key for key in self.tables.blocks}
        self._forms = {
            line: pieces for forms in self.tables.said.values() for line, pieces in forms
        }

    def read(self, command: str, lines: list[str]) -> str:
        """The reply to a canonical command whose hidden lines are these."""
        told: list[str] = []
        last: tuple[str, tuple[str, ...]] = ("", ())
        ops: tuple[tuple[Op, str], ...] = ()
        at: tuple[int, ...] = ()
        about = ""
        for line in lines:
            found = next((i for i in at if i < len(ops) and ops[i][1] == line), None)
            if line in self._headings:
                ops, at = self.tables.followed(self._headings[line]).ops, (0,)
            elif found is not None:
                op = ops[found][0]
                about = op.fields[0] if op.what == "so" else ""
                # Where a condition holds, the line that says where else to go is passed over.
                at = (found + 1, found + 2) if op.what == "if" else (found + 1,)
                if op.what == "say":
                    told.append(op.prose)
            elif line in self._forms:
                filled = (_filled(piece, command, last, about) for piece in self._forms[line])
                told.append("".join(filled))
            elif (record := parse_record(line)) is not None:
                last = record
            else:
                told.append(self.tables.prose[line[1:]])
        return "\n".join(f" {text}" for text in told)


def _filled(piece: str, command: str, last: tuple[str, tuple[str, ...]], about: str) -> str:
    """A piece of a standing reply, or what its mark stands for."""
    key, items = last
    match piece:
        case "*" | "#" | "~" | "^":
            _, noun, other = f"{command}||".split("|")[:3]
            name = {"*": noun, "#": other, "~": key, "^": about}[piece]
            return name if name[:1].isupper() else f"the {name}"
        case "@":
            return ", ".join(items) or NOTHING
        case "&":
            return items[-1] if items else ""
        case "%":
            return items[0] if items else ""
    return piece
