"""Commands by chance, mostly sensible ones. Knows the rules, no network.

A player of this kind provokes every rule and every refusal, in transcripts and in judging.
"""

from __future__ import annotations

import random

from adventure.referee.locks import LOCK_STATES
from adventure.referee.planner import bare
from adventure.world.parts import DIRECTIONS, World
from adventure.world.prompt import Records
from adventure.world.verbs import ANSWERED, VERBS

DIRECTION_WEIGHTS = [6.0 if d in ("north", "south", "east", "west") else 1.0 for d in DIRECTIONS]
_WORDY = ["enter", *(verb.name for verb in VERBS if verb.topic or verb.needs_other)]
"""What can't be typed with any noun alone."""
HANDS = [verb.name for verb in VERBS if verb.name not in (*ANSWERED, *_WORDY)]


class _Sight:
    """What a player may think of: what is here, carried, in or with something here, or anywhere."""

    def __init__(self, world: World, records: Records, rng: random.Random) -> None:
        self.world, self.records, self.rng = world, records, rng
        self.room = records["At"][0]
        self.here = [bare(i) for i in records.get(f"{self.room} holds", ())]
        self.carried = [bare(i) for i in records["You carry"]]
        self.everything = list(world.by_name_of_nouns)
        held = (records.get(f"{name} holds", ()) for name in (*self.here, *self.carried))
        self.inside = [bare(i) for items in held for i in items]
        self.near = [*self.here, *self.inside, *self.carried]

    def noun(self, *pools: list[str]) -> str:
        """One of the first pool that has any; now and then one of all there are."""
        pool = next((p for p in pools if p), self.everything)
        return self.rng.choice(pool if self.rng.random() < 0.88 else self.everything)

    def state(self, name: str) -> str:
        """How it is, or whatever its record says last."""
        return (self.records.get(name) or ("",))[-1]

    def key_of(self, name: str) -> str:
        """Its key if that is carried."""
        key = self.records.get(f"{name} key", ("",))[0]
        return key if key in self.carried else ""

    def having(self, *traits: str) -> list[str]:
        """What is near and has one of these traits."""
        return [n for n in self.near if set(traits) & set(self.records.get(n, ()))]


def legal_player(world: World, records: Records, rng: random.Random) -> str:
    """By chance, mostly sensible commands: it provokes every rule and every refusal."""
    see = _Sight(world, records, rng)
    roll = rng.random()
    if world.rules and roll < 0.2:
        near = [r for r in world.rules if r.first.split("|")[-1] in see.near]
        return rng.choice(world.rules if rng.random() < 0.4 or not near else near).first
    if roll < 0.29 and (people := see.having("person")):
        return _with_somebody(see, rng.choice(people))
    if roll < 0.37 and (switches := see.having("switch")):
        # As it is already or not: both have to be told right.
        return f"{rng.choice(['on', 'off'])}|{rng.choice(switches)}"
    if roll < 0.42 and (clothes := see.having("wearable")):
        return f"{rng.choice(['wear', 'remove', 'take'])}|{rng.choice(clothes)}"
    if roll < 0.47 and see.inside:
        verb = rng.choice(["take", "take", "take", "examine", "drop"])
        return f"{verb}|{rng.choice(see.inside)}"
    if roll < 0.49 and records["Clocks"]:
        return "wait"
    if roll < 0.53 and (shut := [n for n in see.near if see.state(n) in LOCK_STATES[1:]]):
        name = rng.choice(shut)
        key = see.key_of(name)
        return f"unlock|{name}|{key}" if see.state(name) == "locked" and key else f"open|{name}"
    if roll < 0.56 and see.carried and (boxes := see.having("container", "supporter")):
        return f"put|{rng.choice(see.carried)}|{rng.choice(boxes)}"
    if roll < 0.57 and (food := see.having("edible", "drinkable")):
        return f"{rng.choice(['eat', 'eat', 'drink'])}|{rng.choice(food)}"
    if roll < 0.59 and (boxes := see.having("container", "supporter")):
        return f"examine|{rng.choice(boxes)}"
    if roll < 0.63 and (dear := see.having("treasure")):
        return f"take|{rng.choice(dear)}"
    return _anything(see)


def inside_player(world: World, records: Records, rng: random.Random) -> str:
    """Mostly with what is in or on something else, or with somebody; not used for judging."""
    see = _Sight(world, records, rng)
    boxes = see.having("container", "supporter")
    if see.inside and rng.random() < 0.6:
        name = rng.choice(see.inside)
        roll = rng.random()
        if roll < 0.35:
            return f"examine|{name}"
        if roll < 0.5 and see.carried:
            return f"put|{rng.choice(see.carried)}|{name}"
        if roll < 0.6:
            return f"{rng.choice(('on', 'off', 'eat', 'drink', 'wear'))}|{name}"
        if see.state(name) in LOCK_STATES and roll < 0.9:
            key = see.key_of(name)
            if key and rng.random() < 0.5:
                return f"{rng.choice(('unlock', 'lock'))}|{name}|{key}"
            return f"{rng.choice(('open', 'close'))}|{name}"
        return f"{rng.choice(HANDS)}|{name}"
    if boxes and rng.random() < 0.4:
        name = rng.choice(boxes)
        if see.state(name) == "closed":
            return f"open|{name}"
        if see.carried and rng.random() < 0.7:
            lights = [n for n in see.carried if "light" in records[n]]
            return f"put|{rng.choice(lights or see.carried)}|{name}"
        return f"examine|{name}"
    if see.near and rng.random() < 0.1:
        food = see.having("edible", "drinkable")
        return f"{rng.choice(('eat', 'drink'))}|{rng.choice(food or see.near)}"
    return legal_player(world, records, rng)


def _with_somebody(see: _Sight, person: str) -> str:
    rng = see.rng
    known = [t.split(",")[0] for p in see.world.people if p.name == person for t in p.topics]
    held = [bare(i) for i in see.records.get(f"{person} holds", ())]
    roll = rng.random()
    if roll < 0.15:
        return f"talk|{person}"
    if roll < 0.3:
        return f"{rng.choice(['give', 'give', 'show'])}|{see.noun(see.carried, see.here)}|{person}"
    if roll < 0.4:
        return f"{rng.choice(['take', 'examine'])}|{rng.choice(held or [person])}"
    return f"ask|{person}|{rng.choice(known) if known and rng.random() < 0.8 else 'anything'}"


def _anything(see: _Sight) -> str:
    """What can be done anywhere, well or badly."""
    world, records, rng = see.world, see.records, see.rng
    here, carried = see.here, see.carried
    roll = rng.random()
    if roll < 0.29:
        exits = list(records[f"{see.room} exits"])
        if exits and rng.random() < 0.85:
            return f"go|{rng.choice(exits)}"
        return f"go|{rng.choices(DIRECTIONS, DIRECTION_WEIGHTS)[0]}"
    if not see.everything or roll < 0.34:
        return "look"
    if roll < 0.48:
        return f"take|{see.noun(here)}"
    if roll < 0.57:
        return f"drop|{see.noun(carried)}"
    if roll < 0.64:
        holders = see.having("container", "supporter")
        if rng.random() < 0.15:  # into what holds nothing, or what isn't carried into something
            return f"put|{see.noun(here, carried)}|{see.noun(carried, here)}"
        return f"put|{see.noun(carried)}|{see.noun(holders, here)}"
    readable = [thing.name for thing in world.things if thing.text and thing.name in see.near]
    if readable and roll < 0.66:
        return f"read|{rng.choice(readable)}"
    if roll < 0.72:
        return f"examine|{see.noun(here if rng.random() < 0.6 else carried, here)}"
    if roll < 0.76:
        return rng.choice(["inventory", "inventory", "wait", "deeds"])
    if roll < 0.89:
        lockable = [n for n in see.near if records.get(n, ("",))[-1] in LOCK_STATES]
        target = see.noun(lockable, here)
        if rng.random() < 0.55:
            return f"{rng.choice(['open', 'close'])}|{target}"
        verb = rng.choice(["unlock", "unlock", "lock"])
        return f"{verb}|{target}|{_some_key(records, target, carried, see.everything, rng)}"
    if roll < 0.92:
        return f"{rng.choice(['on', 'off'])}|{see.noun(see.having('light'), carried)}"
    if roll < 0.94:
        return f"{rng.choice(['wear', 'remove'])}|{see.noun(carried)}"
    if roll < 0.97:
        return (
            f"{rng.choice(['eat', 'drink'])}|{see.noun(see.having('edible', 'drinkable'), carried)}"
        )
    return f"{rng.choice(HANDS)}|{see.noun(here, carried)}"


def _some_key(
    records: Records, target: str, carried: list[str], everything: list[str], rng: random.Random
) -> str:
    right = records.get(f"{target} key")
    if right and rng.random() < (0.6 if right[0] in carried else 0.15):
        return right[0]
    return rng.choice(carried if carried and rng.random() < 0.7 else everything)
