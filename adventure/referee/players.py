"""Players for transcripts and for judging: they choose commands. Know the rules, no network."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator

from adventure.referee.rules import Outcome, play, start
from adventure.world.parts import DIRECTIONS, Door, World
from adventure.world.prompt import Records

Player = Callable[[World, Records, random.Random], str]
DIRECTION_WEIGHTS = [6.0 if d in ("north", "south", "east", "west") else 1.0 for d in DIRECTIONS]


def legal_player(world: World, records: Records, rng: random.Random) -> str:
    """By chance, mostly sensible commands: it provokes every rule and every refusal."""
    room = records["At"][0]
    here = list(records[f"{room} holds"])
    carried = list(records["You carry"])
    everything = [p.name for p in (*world.things, *world.doors)]
    doors = [d.name for d in world.doors]
    near = [d for d in doors if d in here]
    # Doors have most of the rules, and most rooms have none: where one is, dwell on it.
    roll = rng.uniform(0.82, 1.0) if near and rng.random() < 0.3 else rng.random()

    def noun(*pools: list[str]) -> str:
        pool = next((p for p in pools if p), everything)
        return rng.choice(pool if rng.random() < 0.85 else everything)

    if roll < 0.30:
        exits = world.exits_of(room)
        if exits and rng.random() < 0.85:
            return f"go {rng.choice(exits)}"
        return f"go {rng.choices(DIRECTIONS, DIRECTION_WEIGHTS)[0]}"
    if not everything or roll < 0.36:
        return "look"
    if roll < 0.54:
        return f"take {noun(here)}"
    if roll < 0.66:
        return f"drop {noun(carried)}"
    if roll < 0.76:
        return f"examine {noun(here if rng.random() < 0.6 else carried, here)}"
    if roll < 0.80:
        return "inventory"
    if roll < 0.82:
        return rng.choice(["wait", "score"])
    target = noun(near, here)
    if roll < 0.90:
        return f"{rng.choice(['open', 'close'])} {target}"
    verb = rng.choice(["unlock", "unlock", "lock"])
    return f"{verb} {target} with {_some_key(world, target, carried, everything, rng)}"


def _some_key(
    world: World, target: str, carried: list[str], everything: list[str], rng: random.Random
) -> str:
    right = [d.key for d in world.doors if d.name == target and d.key]
    if right and rng.random() < (0.6 if right[0] in carried else 0.15):
        return right[0]
    return rng.choice(carried if carried and rng.random() < 0.7 else everything)


class CuriousPlayer:
    """Prefers what it has seen happen least: every refusal gets its share of a transcript."""

    def __init__(self, candidates: int = 6) -> None:
        self.candidates = candidates
        self._seen: Counter[str] = Counter()

    def __call__(self, world: World, records: Records, rng: random.Random) -> str:
        """The candidate whose outcome is rarest so far."""
        lines = [legal_player(world, records, rng) for _ in range(self.candidates)]
        kinds = [play(world, records, line).kind for line in lines]
        best = min(range(len(lines)), key=lambda i: self._seen[kinds[i]])
        self._seen[kinds[best]] += 1
        return lines[best]


class GoalPlayer:
    """Plans with the rules: wanders, fetches things, opens doors, now and then errs."""

    def __init__(self, error: float = 0.1) -> None:
        self.error = error
        self._plan: deque[str] = deque()

    def __call__(self, world: World, records: Records, rng: random.Random) -> str:
        """The next command; replans when its plan has run out."""
        if rng.random() < self.error:
            return legal_player(world, records, rng)
        if not self._plan:
            self._plan.extend(self._make_plan(world, records, rng))
        return self._plan.popleft() if self._plan else legal_player(world, records, rng)

    def _make_plan(self, world: World, records: Records, rng: random.Random) -> list[str]:
        room = records["At"][0]
        here = records[f"{room} holds"]
        doors = {d.name: d for d in world.doors}
        for name in here:
            state = records[name][0]
            key = doors[name].key if name in doors else None
            if state == "locked" and key in records["You carry"] and rng.random() < 0.7:
                return [f"unlock {name} with {key}", f"open {name}"]
            if state == "closed" and rng.random() < 0.6:
                return [f"open {name}"]
        takeable = [t for t in here if records[t][0] in ("portable", "treasure")]
        if takeable and rng.random() < 0.6:
            thing = rng.choice(takeable)
            look = [f"examine {thing}"] if rng.random() < 0.4 else []
            return [*look, f"take {thing}"]
        ending = world.ending
        if ending.thing in records["You carry"] and rng.random() < 0.5:
            return [*(path(world, records, ending.room) or []), f"drop {ending.thing}"]
        if len(records["You carry"]) > 5 and rng.random() < 0.5:
            return [f"drop {rng.choice(records['You carry'])}"]
        goal = rng.choice([r.name for r in world.rooms])
        return path(world, records, goal) or ["look"]


_Came = dict[str, tuple[str, str] | None]
"""Rooms within reach, nearest first: room -> (room before, direction), None at the origin."""


def path(world: World, records: Records, goal: str) -> list[str] | None:
    """Moves from where the player is to `goal` through what is open; None if there is no way."""
    came = _explore(world, records, goal)
    return _moves(came, goal) if goal in came else None


def _explore(world: World, records: Records, goal: str | None = None) -> _Came:
    came: _Came = {records["At"][0]: None}
    queue = deque(came)
    while queue and goal not in came:
        room = queue.popleft()
        for direction in world.exits_of(room):
            target, door = world.ways[room, direction]
            if target not in came and (door is None or records[door][0] == "open"):
                came[target] = (room, direction)
                queue.append(target)
    return came


def _moves(came: _Came, goal: str) -> list[str]:
    steps: list[str] = []
    while (before := came[goal]) is not None:
        goal, direction = before
        steps.append(f"go {direction}")
    return steps[::-1]


def _homes(world: World, records: Records) -> set[str]:
    """Rooms from which the player could come back to where they are."""
    into: dict[str, list[str]] = {}
    for (room, _), (target, door) in world.ways.items():
        if door is None or records[door][0] == "open":
            into.setdefault(target, []).append(room)
    found = {records["At"][0]}
    queue = deque(found)
    while queue:
        fresh = set(into.get(queue.popleft(), ())) - found
        found |= fresh
        queue.extend(fresh)
    return found


def solve(world: World, limit: int = 2000) -> list[str] | None:
    """Commands that reach the ending; None if there are none, or none among `limit` futures.

    Carrying more and opening more never hurts in format 0, so all that can be had without losing
    the way back is had first. Only one-way exits make several futures, which are tried in turn.
    """
    futures: list[tuple[Records, list[str]]] = [(start(world), [])]
    tried = set[tuple[object, ...]]()
    while futures and len(tried) < limit:
        records, commands = futures.pop()
        records, commands, came, homes = _gather(world, records, commands)
        if world.ending.thing in records["You carry"] and world.ending.room in came:
            return [*commands, *_moves(came, world.ending.room), f"drop {world.ending.thing}"]
        doors = tuple(records[door.name] for door in world.doors)
        future = (frozenset(homes & came.keys()), frozenset(records["You carry"]), doors)
        if future not in tried:
            tried.add(future)
            for room in (room for room in came if room not in homes):
                futures.append(({**records, "At": (room,)}, [*commands, *_moves(came, room)]))
    return None


def _gather(
    world: World, records: Records, commands: list[str]
) -> tuple[Records, list[str], _Came, set[str]]:
    """Take and open all that can be had with the way back kept."""
    doors = {door.name: door for door in world.doors}
    while True:
        came, homes = _explore(world, records), _homes(world, records)
        gain = _gain(records, came, homes, doors)
        if gain is None:
            return records, commands, came, homes
        for command in gain:
            records = play(world, records, command).records
        commands = [*commands, *gain]


def _gain(
    records: Records, came: _Came, homes: set[str], doors: dict[str, Door]
) -> list[str] | None:
    """Commands to the nearest thing that can be taken, or door that can be opened."""
    for room in came:
        for name in records[f"{room} holds"] if room in homes else ():
            state = records[name][0]
            if state in ("portable", "treasure"):
                return [*_moves(came, room), f"take {name}"]
            if state == "closed":
                return [*_moves(came, room), f"open {name}"]
            if state == "locked" and doors[name].key in records["You carry"]:
                unlock = f"unlock {name} with {doors[name].key}"
                return [*_moves(came, room), unlock, f"open {name}"]
    return None


def walk(
    world: World, player: Player, rng: random.Random, turns: int
) -> Iterator[tuple[str, Records, Outcome]]:
    """At most `turns` turns from the start, fewer if won: (command, records before, outcome)."""
    records = start(world)
    for _ in range(turns):
        line = player(world, records, rng)
        outcome = play(world, records, line)
        yield line, records, outcome
        records = outcome.records
        if records["Game"][0] != "on":
            return
