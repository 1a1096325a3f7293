"""Players for transcripts and for judging: they choose commands. Know the rules, no network."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator

from adventure.referee.planner import attempt, bare, fetch, path, reach
from adventure.referee.rules import LOCK_STATES, Outcome, play, start
from adventure.world.parts import DIRECTIONS, World
from adventure.world.prompt import Records
from adventure.world.verbs import ANSWERED, VERBS

Player = Callable[[World, Records, random.Random], str]
DIRECTION_WEIGHTS = [6.0 if d in ("north", "south", "east", "west") else 1.0 for d in DIRECTIONS]
HANDS = [verb.name for verb in VERBS if verb.name not in ANSWERED and not verb.topic]


def legal_player(world: World, records: Records, rng: random.Random) -> str:
    """By chance, mostly sensible commands: it provokes every rule and every refusal."""
    room = records["At"][0]
    here = [bare(i) for i in records.get(f"{room} holds", ())]
    carried = [bare(i) for i in records["You carry"]]
    everything = list(world.by_name_of_nouns)
    inside = [bare(i) for h in here for i in records.get(f"{h} holds", ())]

    def noun(*pools: list[str]) -> str:
        pool = next((p for p in pools if p), everything)
        return rng.choice(pool if rng.random() < 0.88 else everything)

    def having(*traits: str) -> list[str]:
        near = [*here, *inside, *carried]
        return [n for n in near if set(traits) & set(records.get(n, ()))]

    roll = rng.random()
    if world.rules and roll < 0.22:
        rule = rng.choice(world.rules)
        if rng.random() < 0.5:
            return rule.first
        near = [r for r in world.rules if r.first.split("|")[-1] in (*here, *carried, *inside)]
        return rng.choice(near or world.rules).first
    if roll < 0.30:
        people = having("person")
        if people:
            person = rng.choice(people)
            known = [t.split(",")[0] for p in world.people if p.name == person for t in p.topics]
            if rng.random() < 0.2:
                return f"talk|{person}"
            topic = rng.choice(known) if known and rng.random() < 0.8 else "anything"
            if rng.random() < 0.25:
                return f"give|{noun(carried, here)}|{person}"
            return f"ask|{person}|{topic}"
    roll = rng.random()
    if roll < 0.27:
        exits = list(records[f"{room} exits"])
        if exits and rng.random() < 0.85:
            return f"go|{rng.choice(exits)}"
        return f"go|{rng.choices(DIRECTIONS, DIRECTION_WEIGHTS)[0]}"
    if not everything or roll < 0.32:
        return "look"
    if roll < 0.48:
        return f"take|{noun(inside if rng.random() < 0.4 else here, here)}"
    if roll < 0.57:
        return f"drop|{noun(carried)}"
    if roll < 0.63:
        holders = having("container", "supporter")
        return f"put|{noun(carried)}|{noun(holders, here)}"
    at_hand = (*here, *carried)
    readable = [thing.name for thing in world.things if thing.text and thing.name in at_hand]
    if readable and roll < 0.65:
        return f"read|{rng.choice(readable)}"
    if roll < 0.71:
        return f"examine|{noun(here if rng.random() < 0.6 else carried, here)}"
    if roll < 0.75:
        return rng.choice(["inventory", "inventory", "wait", "deeds"])
    if roll < 0.88:
        lockable = [n for n in (*here, *inside) if records.get(n, ("",))[-1] in LOCK_STATES]
        target = noun(lockable, here)
        if rng.random() < 0.55:
            return f"{rng.choice(['open', 'close'])}|{target}"
        verb = rng.choice(["unlock", "unlock", "lock"])
        return f"{verb}|{target}|{_some_key(records, target, carried, everything, rng)}"
    if roll < 0.93:
        return f"{rng.choice(['on', 'off'])}|{noun(having('switch', 'light'), carried)}"
    if roll < 0.96:
        return f"{rng.choice(['wear', 'remove'])}|{noun(having('wearable'), carried)}"
    if roll < 0.98:
        return f"{rng.choice(['eat', 'drink'])}|{noun(having('edible', 'drinkable'), carried)}"
    return f"{rng.choice(HANDS)}|{noun(here, carried)}"


def _some_key(
    records: Records, target: str, carried: list[str], everything: list[str], rng: random.Random
) -> str:
    right = records.get(f"{target} key")
    if right and rng.random() < (0.6 if right[0] in carried else 0.15):
        return right[0]
    return rng.choice(carried if carried and rng.random() < 0.7 else everything)


class CuriousPlayer:
    """Prefers what it has seen happen least: every refusal gets its share of a transcript."""

    def __init__(self, candidates: int = 5) -> None:
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
    """Plans with the rules: wanders, fetches, opens doors, follows rules, now and then errs."""

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
        roll = rng.random()
        carried = [bare(i) for i in records["You carry"]]
        if world.rules and roll < 0.4:
            return attempt(world, records, rng.choice(world.rules), rng)
        if roll < 0.5:
            shut = [n for n, items in records.items() if items[-1:] in (("closed",), ("locked",))]
            if shut:
                name = rng.choice(shut)
                key = records.get(f"{name} key", ("",))[0]
                if records[name][-1] == "locked" and key and key not in carried:
                    return fetch(records, key) or []
                unlock = [f"unlock|{name}|{key}"] if records[name][-1] == "locked" and key else []
                return [*(reach(records, name) or []), *unlock, f"open|{name}"]
        if roll < 0.65 and world.things:
            thing = rng.choice(world.things).name
            look = [f"examine|{thing}"] if rng.random() < 0.4 else []
            return [*(fetch(records, thing) or []), *look]
        if roll < 0.72 and world.people:
            person = rng.choice(world.people)
            asked = [f"ask|{person.name}|{t.split(',')[0]}" for t in person.topics]
            rng.shuffle(asked)
            return [*(reach(records, person.name) or []), *asked[:2], f"talk|{person.name}"]
        if world.ending and world.ending.thing in carried and roll < 0.76:
            ending = world.ending
            return [*(path(records, ending.room) or []), f"drop|{ending.thing}"]
        if len(carried) > 4 and roll < 0.85:
            name = rng.choice(carried)
            holders = [n for n, i in records.items() if {"container", "supporter"} & set(i)]
            if holders and rng.random() < 0.5:
                holder = rng.choice(holders)
                return [*(reach(records, holder) or []), f"put|{name}|{holder}"]
            return [f"drop|{name}"]
        goal = rng.choice([r.name for r in world.rooms])
        return path(records, goal) or ["look"]


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
