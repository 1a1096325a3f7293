"""World -> the text the network reads, and the protocol of a turn. Knows no network.

A reply's hidden part is a list of records, ` key: value.` lines; the pack holds the initial ones
in the very form that replies use, so that recalling is copying. Every line begins with a space, so
that a name is tokenised alike wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from adventure.world.parts import World

PACK, MEMORY, DO, SAY, END = "<|pack|>", "<|memory|>", "<|do|>", "<|say|>", "<|end|>"
SPECIALS = ["<|pad|>", PACK, MEMORY, DO, SAY, END]
PREPOSITION = " with"
NOTHING = "nothing"
PROTOCOL = 1
"""Raised whenever the text below changes shape: openings and saves of another one don't fit."""

Records = dict[str, tuple[str, ...]]
"""Key -> items of the latest record with that key; the empty tuple reads `nothing`."""


def record_line(key: str, items: Sequence[str]) -> str:
    """One record without its newline: ` You carry: lamp, rusty key.`"""
    return f" {key}: {', '.join(items) or NOTHING}."


def parse_record(line: str) -> tuple[str, tuple[str, ...]] | None:
    """The inverse of `record_line`; None where the line isn't a record."""
    key, colon, value = line.strip().partition(": ")
    if not colon or not value.endswith("."):
        return None
    items = tuple(value[:-1].split(", "))
    return key, () if items == (NOTHING,) else items


def initial_records(world: World) -> Records:
    """Every record of a world before the first turn, in the order the pack text gives them."""
    records: Records = {}
    for (room, direction), (target, door) in sorted(world.ways.items()):
        if door is None:
            records[f"{room} {direction}"] = (target,)
        else:
            records[f"{room} {direction}"] = (door, "a door")
            records[f"{door} {direction}"] = (target,)
    for door_ in world.doors:
        if door_.key is not None:
            records[f"{door_.name} key"] = (door_.key,)
        records[door_.name] = (door_.kind,)
    for thing in world.things:
        records[thing.name] = (thing.kind,)
    records[f"{world.ending.room} awaits"] = (world.ending.thing,)
    for room_ in world.rooms:
        doors = [d.name for d in world.doors if room_.name in (d.from_, d.to)]
        things = [t.name for t in world.things if t.room == room_.name]
        records[f"{room_.name} holds"] = (*doors, *things)
    records["You carry"] = tuple(t.name for t in world.things if t.carried)
    records["Treasures found"] = ()
    records["Game"] = ("on",)
    records["At"] = (world.start,)
    return records


def one_line(prose: str) -> str:
    """Author's prose as one paragraph on one line."""
    return " ".join(prose.split())


def room_view(world: World, room: str) -> list[str]:
    """What a look at a room shows before the things in it: heading, prose, exits."""
    prose = next(r.description for r in world.rooms if r.name == room)
    exits = ", ".join(world.exits_of(room)) or NOTHING
    return [f" {room}", f" {one_line(prose)}", f" Exits: {exits}."]


def pack_text(world: World) -> str:
    """The whole prompt of a world, up to and including the mark after which the memory is read."""
    lines = [f"{PACK} {one_line(world.title)}", f" {one_line(world.intro)}"]
    for room in world.rooms:
        lines += room_view(world, room.name)
    for part in world.nouns:
        lines += [f" {part.name}", f" {one_line(part.description)}"]
    lines += [" The End", f" {one_line(world.ending.text)}"]
    lines += [record_line(key, items) for key, items in initial_records(world).items()]
    return "\n".join(lines) + f"\n{MEMORY}\n"


def memory_text(records: Mapping[str, Sequence[str]], changed: Iterable[str]) -> str:
    """The memory in words: the latest record under every key that has changed."""
    return "".join(record_line(key, records[key]) + "\n" for key in changed)


def changed_keys(order: list[str], before: Records, after: Records) -> list[str]:
    """Keys that differ now, moved to the end: the memory in words has the order of last change."""
    fresh = [key for key, items in after.items() if before.get(key, ()) != items]
    return [key for key in order if key not in fresh] + fresh


def command_text(line: str) -> str:
    """A canonical command line as the network reads it."""
    return f"{DO} {line}\n"


def reply_text(records: Sequence[str], reply: str) -> str:
    """Everything the master has to produce for a turn: records, mark, reply, end."""
    return "".join(f"{line}\n" for line in records) + f"{SAY}{reply}\n{END}"


def shown(reply: str) -> str:
    """A reply as the player sees it: the space that begins each line is taken off."""
    return "\n".join(line.removeprefix(" ") for line in reply.strip("\n").split("\n"))
