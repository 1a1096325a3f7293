"""Where in a game a transcript begins, and who plays on from there. Knows no tokens, no network."""

from __future__ import annotations

import random
from collections.abc import Sequence

from adventure.referee.legal import inside_player
from adventure.referee.players import CuriousPlayer, GoalPlayer, Player, legal_player
from adventure.referee.rules import play, start
from adventure.world.parts import World
from adventure.world.prompt import Records, changed_keys, list_key, listed


def pick_player(rng: random.Random) -> Player:
    """By chance, towards a goal, towards what was seen least, or at what is in something else."""
    goal, curious = GoalPlayer(), CuriousPlayer()
    return rng.choice((legal_player, goal, goal, curious, curious, inside_player))


def somewhere(
    world: World, player: Player, rng: random.Random
) -> tuple[Records, list[str], Player]:
    """Records, the keys changed in them in order, and who plays on: after a game of any length, so
    that the memory has any length, too."""
    records, order = start(world), list[str]()
    if rng.random() < 0.4:
        records = shuffled(world, rng)
        order = changed_keys([], start(world), records)
        rng.shuffle(order)
    turns = rng.choice((0, 0, rng.randint(1, 24), rng.randint(10, 120)))
    for _ in range(turns):
        after = play(world, records, player(world, records, rng)).records
        if after["Game"][0] != "on":
            continue
        order = changed_keys(order, records, after)
        records = after
    return records, order, player


def along(
    world: World, walk: Sequence[str], rng: random.Random
) -> tuple[Records, list[str], Player]:
    """The same, on the way of a solution, which is followed further, with digressions."""
    done = rng.randrange(len(walk))
    records, order = start(world), list[str]()
    for line in walk[:done]:
        after = play(world, records, line).records
        if after["Game"][0] != "on":
            break
        order = changed_keys(order, records, after)
        records = after
    steps, other = iter(walk[done:]), pick_player(rng)
    share = rng.choice((0.0, 0.1, 0.3))

    def player(world: World, records: Records, rng: random.Random) -> str:
        step = None if rng.random() < share else next(steps, None)
        return step or other(world, records, rng)

    return records, order, player


def shuffled(world: World, rng: random.Random) -> Records:
    """A state of play that chance play seldom reaches: doors in any state, things anywhere."""
    records = start(world)
    rooms = [room.name for room in world.rooms]
    holders = [t.name for t in world.things if t.container or t.supporter]
    holders += [person.name for person in world.people]
    share = rng.choice((0.8, 0.8, 0.4))  # of things in rooms
    keys = {door.key for door in world.doors} | {thing.key for thing in world.things}
    for door in world.doors:
        states = ("open", "closed", "locked") if door.key else ("open", "closed")
        records[door.name] = (*records[door.name][:-1], rng.choice(states))
    for thing in world.things:
        items = records[thing.name]
        if thing.states:
            items = (*items[:-1], rng.choice(thing.states))
        elif thing.openable:
            states = ("open", "closed", "locked") if thing.key else ("open", "closed")
            items = (*items[:-1], rng.choice(states))
        if not thing.fixed and rng.random() < 0.7:
            carried = rng.random() < (0.6 if thing.name in keys else 0.25)
            places = rooms if rng.random() < share else holders or rooms
            to = "you" if carried else rng.choice(places)
            lit = thing.light and thing.on
            if to != thing.name:
                old = list_key(world, items[0])
                gone = listed(thing.name, items[0], lit)
                if old:
                    records[old] = tuple(i for i in records[old] if i != gone)
                new = list_key(world, to)
                records[new] = (*records[new], listed(thing.name, to, lit))
                items = (to, *items[1:])
        records[thing.name] = items
    room = rng.choice(world.rooms)
    records["At"] = (room.name, "dark") if room.dark else (room.name,)
    return records
