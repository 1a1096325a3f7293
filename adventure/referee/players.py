"""Players for transcripts and for judging: they choose canonical commands. Know the rules, no network."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator

from adventure.referee.rules import LOCK_STATES, Outcome, play, start
from adventure.world.pack import DIRECTIONS, World
from adventure.world.prompt import Records

Player = Callable[[World, Records, random.Random], str]
DIRECTION_WEIGHTS = [6.0 if d in ("north", "south", "east", "west") else 1.0 for d in DIRECTIONS]


def legal_player(world: World, records: Records, rng: random.Random) -> str:
    """Uniform over kinds of command, mostly sensible ones: it provokes every rule and every refusal."""
    room = records["At"][0]
    here = [t for t in records[f"{room} holds"]]
    carried = list(records["You carry"])
    everything = [p.name for p in (*world.things, *world.doors)]
    doors = [d.name for d in world.doors]
    roll = rng.random()

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
    near = [d for d in doors if d in here]
    target = noun(near, here)
    if roll < 0.90:
        return f"{rng.choice(['open', 'close'])} {target}"
    return f"{rng.choice(['unlock', 'unlock', 'lock'])} {target} with {_some_key(world, target, carried, everything, rng)}"


def _some_key(
    world: World, target: str, carried: list[str], everything: list[str], rng: random.Random
) -> str:
    right = [d.key for d in world.doors if d.name == target and d.key]
    if right and rng.random() < 0.6:
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
    """Plans with the rules: wanders, fetches things, opens doors with their keys, now and then errs."""

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
            return [f"examine {thing}", f"take {thing}"] if rng.random() < 0.4 else [f"take {thing}"]
        ending = world.ending
        if ending.thing in records["You carry"] and rng.random() < 0.5:
            return [*(path(world, records, ending.room) or []), f"drop {ending.thing}"]
        if len(records["You carry"]) > 5 and rng.random() < 0.5:
            return [f"drop {rng.choice(records['You carry'])}"]
        goal = rng.choice([r.name for r in world.rooms])
        return path(world, records, goal) or ["look"]


def path(world: World, records: Records, goal: str) -> list[str] | None:
    """Moves from where the player is to `goal` through what is open now; None if there is no way."""
    origin = records["At"][0]
    came: dict[str, tuple[str, str]] = {origin: ("", "")}
    queue = deque([origin])
    while queue and goal not in came:
        room = queue.popleft()
        for direction in world.exits_of(room):
            target, door = world.ways[room, direction]
            if target not in came and (door is None or records[door][0] == "open"):
                came[target] = (room, direction)
                queue.append(target)
    if goal not in came:
        return None
    steps: list[str] = []
    while goal != origin:
        goal, direction = came[goal]
        steps.append(f"go {direction}")
    return steps[::-1]


def solve(world: World, limit: int = 20_000) -> list[str] | None:
    """Commands that reach the ending, by breadth-first search over greedy macro steps; None if none found.

    A macro step walks somewhere reachable and takes a thing, or unlocks and opens a door. Carrying more
    never hurts in format 0, so things are never put down before the end.
    """
    records, commands = start(world), list[str]()
    doors = {d.name: d for d in world.doors}
    for _ in range(limit):
        ending = world.ending
        if ending.thing in records["You carry"]:
            way = path(world, records, ending.room)
            if way is not None:
                return [*commands, *way, f"drop {ending.thing}"]
        step = _macro_step(world, records, doors)
        if step is None:
            return None
        for command in step:
            records = play(world, records, command).records
        commands += step
    return None


def _macro_step(world: World, records: Records, doors: dict) -> list[str] | None:  # type: ignore[type-arg]
    best: list[str] | None = None
    for room in world.rooms:
        way = path(world, records, room.name)
        if way is None or (best is not None and len(way) >= len(best)):
            continue
        for name in records[f"{room.name} holds"]:
            state = records[name][0]
            if state in ("portable", "treasure"):
                best = [*way, f"take {name}"]
            elif state == "closed":
                best = [*way, f"open {name}"]
            elif state == "locked" and doors[name].key in records["You carry"]:
                best = [*way, f"unlock {name} with {doors[name].key}", f"open {name}"]
            else:
                continue
            break
    return best


def walk(
    world: World, player: Player, rng: random.Random, turns: int
) -> Iterator[tuple[str, Records, Outcome]]:
    """Play `turns` turns from the start: (command, records before, outcome); stops when the game is won."""
    records = start(world)
    for _ in range(turns):
        line = player(world, records, rng)
        outcome = play(world, records, line)
        yield line, records, outcome
        records = outcome.records
        if records["Game"][0] != "on":
            return
