"""Ways and means: commands that lead to a goal. Knows the rules and all records, no network."""

from __future__ import annotations

import random
from collections import deque

from adventure.world.parts import DIRECTIONS, WORN, YOU, Rule, World
from adventure.world.prompt import Records


def bare(item: str) -> str:
    """A list's item without what it says of it."""
    return item.partition(" (")[0]


def exits(records: Records, room: str) -> list[tuple[str, str]]:
    """(direction, room) of each way out of a room that is open now."""
    found = []
    for direction in DIRECTIONS:
        way = records.get(f"{room} {direction}", ())
        if way and way[-1] == "a door":
            way = records[f"{way[0]} {direction}"] if records[way[0]][-1] == "open" else ()
        if way:
            found.append((direction, way[0]))
    return found


def path(records: Records, goal: str) -> list[str] | None:
    """Moves from where the player is to `goal` through what is open; None if there is no way."""
    at = records["At"][0]
    came: dict[str, tuple[str, str] | None] = {at: None}
    queue = deque(came)
    while queue and goal not in came:
        room = queue.popleft()
        for direction, target in exits(records, room):
            if target not in came:
                came[target] = (room, direction)
                queue.append(target)
    if goal not in came:
        return None
    steps: list[str] = []
    while (before := came[goal]) is not None:
        goal, direction = before
        steps.append(f"go|{direction}")
    return steps[::-1]


def room_of(records: Records, name: str) -> str:
    """The room that a thing is in, in whatever; empty if it is nowhere."""
    for _ in range(10):
        if name in (YOU, WORN):
            return records["At"][0]
        items = records.get(name)
        if items is None:
            return name if f"{name} exits" in records else ""
        name = items[0]
    return ""


def reach(records: Records, name: str) -> list[str] | None:
    """Commands after which a thing is at hand: moves, and opening what it is in."""
    items = records.get(name)
    if items is None:
        return None
    steps = path(records, room_of(records, name))
    if steps is None and "door" in items:
        steps = path(records, items[1])
    if steps is None:
        return None
    holder = records.get(items[0], ())
    if items[0] not in (YOU, WORN) and "door" not in items and "person" not in holder:
        if holder and holder[-1] == "locked":
            key = records.get(f"{items[0]} key", ("",))[0]
            steps += [f"unlock|{items[0]}|{key}"]
        if holder and holder[-1] in ("closed", "locked"):
            steps += [f"open|{items[0]}"]
    return steps


def fetch(records: Records, name: str) -> list[str] | None:
    """Commands after which a thing is carried."""
    items = records.get(name, ("",))
    if items[0] in (YOU, WORN):
        return []
    steps = reach(records, name)
    return None if steps is None else [*steps, f"take|{name}"]


def attempt(world: World, records: Records, rule: Rule, rng: random.Random) -> list[str]:
    """Commands towards one of the rule's unmet needs, or else the rule's own command."""
    needs = [text for text, _ in rule.conditions]
    if rule.in_:
        needs.append(f"you in {rule.in_}")
    rng.shuffle(needs)
    for need in needs:
        if need.endswith(" carried") and not need.endswith(" not carried"):
            steps = fetch(records, need.removesuffix(" carried"))
            if steps:
                return steps
    verb, *nouns = rule.first.split("|")
    if verb in ("give", "put", "drop", "show") and (steps := fetch(records, nouns[0])):
        return steps
    for need in needs:
        name, _, state = need.partition(" is ")
        items = records.get(name, ())
        if items and state in ("open", "closed") and items[-1] != state:
            steps = reach(records, name) or []
            if items[-1] == "locked":
                key = records.get(f"{name} key", ("",))[0]
                return [*steps, f"unlock|{name}|{key}", f"open|{name}"]
            return [*steps, f"{'open' if state == 'open' else 'close'}|{name}"]
    steps = []
    for need in needs:
        if need.startswith("you in "):
            steps = path(records, need.removeprefix("you in ")) or []
    if not steps and nouns:
        steps = reach(records, nouns[-1]) or []
    return [*steps, rule.first]
