"""Questions about all that a pack says: a command, and the records in which it is asked.

Knows the referee, no network.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from adventure.referee.planner import room_of
from adventure.referee.players import CuriousPlayer, walk
from adventure.referee.rules import start
from adventure.world.compile import room_items
from adventure.world.parts import WORN, YOU, Door, Thing, World
from adventure.world.prompt import Records, list_key, listed, say_line
from adventure.world.script import FIELD, WHEN

_TURNS = 300
"""Of a game by chance, in which standing replies and rules are met."""


@dataclass(frozen=True, eq=False)
class Probe:
    """kind: room, exit, thing, lock, topic, reply or rule; what: its name; line: the command."""

    kind: str
    what: str
    records: Records
    line: str


def probes(world: World) -> Iterator[Probe]:
    """Each fact once, in the order of the pack; then the replies and rules of a game by chance."""
    for room in world.rooms:
        at = standing(world, room.name)
        yield Probe("room", room.name, at, "look")
        for direction in world.exits_of(room.name):
            yield Probe("exit", f"{room.name} {direction}", at, f"go|{direction}")
    begin = start(world)
    for noun in (*world.doors, *world.things, *world.people):
        room_ = begin[noun.name][0] if noun in world.doors else room_of(begin, noun.name)
        if room_:
            records = opened(standing(world, room_), begin[noun.name][0])
            yield Probe("thing", noun.name, records, f"examine|{noun.name}")
    lockable: tuple[Door | Thing, ...] = (*world.doors, *world.things)
    for part in lockable:
        room_ = begin[part.name][0] if part in world.doors else room_of(begin, part.name)
        if part.key and room_:
            records = carrying(world, opened(standing(world, room_), begin[part.name][0]), part.key)
            verb = "unlock" if part.state == "locked" else "lock"
            yield Probe("lock", part.name, records, f"{verb}|{part.name}|{part.key}")
    for person in world.people:
        for topics in person.topics:
            topic = topics.split(",")[0].strip()
            if person.in_ in (room.name for room in world.rooms):
                records = standing(world, person.in_)
                line = f"ask|{person.name}|{topic}"
                yield Probe("topic", f"{person.name}, {topic}", records, line)
    yield from _met(world)


def _met(world: World) -> Iterator[Probe]:
    """The first turn that tells each standing reply, and the first that follows each rule."""
    seen = set[str]()
    for line, before, outcome in walk(world, CuriousPlayer(), random.Random(0), _TURNS):
        for said in outcome.lines:
            told, followed = said.startswith(" say "), said.startswith(WHEN)
            if said in seen or not (told or followed):
                continue
            seen.add(said)
            if followed:
                key = said.removeprefix(f"{WHEN} ").replace(f"{FIELD} ", "|")
                yield Probe("rule", key, before, line)
            elif said == say_line(said.split()[1], 0):
                yield Probe("reply", said.split()[1], before, line)


def standing(world: World, room: str) -> Records:
    """The records of the start, but in another room; a light is carried where it is dark."""
    records = start(world)
    if records["At"][0] == room:
        return records
    records["At"] = room_items(world, room)
    light = next((t.name for t in world.things if t.light), "")
    if "dark" in records["At"] and light:
        records = carrying(world, records, light)
        items = records[light]
        records[light] = (*items[:-1], "on")
        before, after = listed(light, YOU, items[-1] == "on"), listed(light, YOU, True)
        records["You carry"] = tuple(after if i == before else i for i in records["You carry"])
    return records


def opened(records: Records, holder: str) -> Records:
    """The records with a container open."""
    items = records.get(holder, ())
    if items and items[-1] in ("closed", "locked"):
        return {**records, holder: (*items[:-1], "open")}
    return records


def carrying(world: World, records: Records, name: str) -> Records:
    """The records with a thing carried."""
    items = records[name]
    if items[0] in (YOU, WORN):
        return records
    lit = "light" in items and items[-1] == "on"
    made = {**records, name: (YOU, *items[1:])}
    source = list_key(world, items[0])
    if source:
        gone = listed(name, items[0], lit)
        made[source] = tuple(i for i in made[source] if i != gone)
    made["You carry"] = (*made["You carry"], listed(name, YOU, lit))
    return made
