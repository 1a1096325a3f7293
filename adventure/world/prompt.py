"""World -> the text the network reads, and the protocol of a turn. Knows no network.

A reply's hidden part is a list of short lines: records (` key: value.`), lines of the author's
rules, and lines that name what will be told. The pack holds all of them in the very form that
replies use, so that recalling is copying. Every line begins with a space, so a name is tokenised
alike wherever it stands.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from adventure.world.compile import NEW, blocks_of, room_items, stage
from adventure.world.parts import NOWHERE, WORN, YOU, Door, Thing, World
from adventure.world.script import FIELD, MARKS, WHEN, block_text, line_text, marked

PACK, MEMORY, DO, SAY, END = "<|pack|>", "<|memory|>", "<|do|>", "<|say|>", "<|end|>"
SPECIALS = ["<|pad|>", PACK, MEMORY, DO, SAY, END, FIELD, WHEN, *MARKS.values()]
NOTHING = "nothing"
PROTOCOL = 4
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


def listed(name: str, place: str, lit: bool) -> str:
    """A thing as a list shows it. A light that is worn shines: its list says that it is lit."""
    return f"{name} (lit)" if lit else f"{name} (worn)" if place == WORN else name


def list_key(world: World, place: str) -> str:
    """The key of the list of what is at a place; empty if none is kept."""
    if place in (YOU, WORN):
        return "You carry"
    return "" if place == NOWHERE else f"{place} holds"


def initial_records(world: World) -> Records:
    """Every record of a world before the first turn, in the order the pack text gives them."""
    records: Records = {}
    for (room, direction), (target, door) in sorted(world.ways.items()):
        if door is None:
            records[f"{room} {direction}"] = room_items(world, target)
        else:
            records[f"{room} {direction}"] = (door, "a door")
            records[f"{door} {direction}"] = room_items(world, target)
    for room_ in world.rooms:
        records[f"{room_.name} exits"] = tuple(world.exits_of(room_.name))
    locked: tuple[Door | Thing, ...] = (*world.doors, *world.things)
    for part in locked:
        if part.key is not None:
            records[f"{part.name} key"] = (part.key,)
    for door_ in world.doors:
        records[door_.name] = (door_.from_, door_.to, "door", door_.state)
    for thing in world.things:
        records[thing.name] = (thing.in_, *thing.traits, *([thing.state] if thing.state else []))
    for person in world.people:
        records[person.name] = (person.in_, "person")
    for name, rooms in world.scenery.items():
        records[name] = (*rooms, "scenery")
    for key in world.ways_made:
        records.setdefault(key, ())
    for block in blocks_of(world).values():
        if NEW in block.ops:
            records[f"{block.key.replace('|', ' ')} was"] = ("new",)
    holders = [r.name for r in world.rooms]
    holders += [t.name for t in world.things if t.container or t.supporter]
    holders += [p.name for p in world.people]
    for holder in holders:
        inside = [d.name for d in world.doors if holder in (d.from_, d.to)]
        inside += [p.name for p in world.people if p.in_ == holder]
        records[f"{holder} holds"] = (*inside, *_things(world, holder))
    records["You carry"] = _things(world, YOU, WORN)
    records["Deeds"] = ()
    running = [" ".join(map(str, stage(c.name, c.turns))) for c in world.clocks if c.running]
    running += [f"{p.name} {p.every}" for p in world.people if p.route]
    records["Clocks"] = tuple(running)
    records["Game"] = ("on",)
    records["At"] = tuple(i for i in room_items(world, world.start) if i != "story")
    return records


def _things(world: World, *places: str) -> tuple[str, ...]:
    """What is at these places, as their list shows it."""
    there = (thing for thing in world.things if thing.in_ in places)
    return tuple(listed(thing.name, thing.in_, thing.light and thing.on) for thing in there)


def say_line(kind: str, variant: int) -> str:
    """The hidden line that names a standing reply: ` say taken`, another form ` say taken or`."""
    return f" say {kind}{' or' * variant}"


def one_line(prose: str) -> str:
    """Author's prose as one paragraph on one line."""
    return " ".join(prose.split())


def pack_text(world: World) -> str:
    """The whole prompt of a world, up to and including the mark after which the memory is read."""
    lines = [f"{PACK} {one_line(world.title)}", f" {one_line(world.intro)}"]
    for kind, templates in world.voice.items():
        for i, template in enumerate(templates):
            lines += [say_line(kind, i), marked(f" {template}")]
    for part in world.parts:
        lines += [f" {part.name}", f" {one_line(part.description)}"]
    for name in world.scenery:
        lines += [f" {name}", f" {one_line(world.scenery_prose(name))}"]
    for block in blocks_of(world).values():
        lines += block_text(block)
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
    """A canonical command line, `put|lamp|chest`, as the network reads it."""
    return f"{DO} {line_text(tuple(line.split('|')))}\n"


def reply_text(records: Sequence[str], reply: str) -> str:
    """Everything the master has to produce for a turn: hidden lines, mark, reply, end."""
    return "".join(f"{line}\n" for line in records) + f"{SAY}{reply}\n{END}"


def shown(reply: str) -> str:
    """A reply as the player sees it: the space that begins each line is taken off."""
    return "\n".join(line.removeprefix(" ") for line in reply.strip("\n").split("\n"))
