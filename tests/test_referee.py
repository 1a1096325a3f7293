"""The exact rules: what a perfect master would note and say, for every verb and every refusal."""

from __future__ import annotations

import random

import pytest
from mill import mill, mill_table

from adventure.referee.players import CuriousPlayer, GoalPlayer, legal_player, path, solve, walk
from adventure.referee.rules import Outcome, play, start
from adventure.world.faults import RESERVED_NAMES
from adventure.world.generate import LARGER_ROOMS, random_world
from adventure.world.pack import World, make_world
from adventure.world.parts import DOOR_RECORDS, ROOM_RECORDS
from adventure.world.prompt import Records, parse_record, record_line

WORLD = mill()
ENTER = ["go east", "take brass key", "go west", "unlock oak door with brass key", "open oak door"]
CUP = ["go down", "take silver cup", "go out"]


def after(lines: list[str], world: World = WORLD) -> Records:
    records = start(world)
    for line in lines:
        outcome = play(world, records, line)
        assert not outcome.refused, outcome
        records = outcome.records
    return records


# -- goldens: commands before | command | kind | hidden lines | reply ------------------------------

GOLDENS = """
| look | look
At: Yard.
Yard holds: oak door, iron key, millstone.
> Yard
> Weeds between the stones.
> Exits: north, east, down.
> You see: oak door, iron key, millstone.

take iron key, go down, take silver cup | look | look
At: Pit.
Pit holds: nothing.
> Pit
> A hole with steep walls.
> Exits: out.

| go east | go
At: Yard.
Yard east: Barn.
At: Barn.
Barn holds: low hatch, brass key.
> Barn
> Straw and swallows.
> Exits: west, up.
> You see: low hatch, brass key.

| go west | go: no exit
At: Yard.
Yard west: nothing.
> You can't go that way.

go down | go up | go: no exit
At: Pit.
Pit up: nothing.
> You can't go that way.

| go north | go: locked
At: Yard.
Yard north: oak door, a door.
oak door: locked.
> The oak door is locked.

go east | go up | go: closed
At: Barn.
Barn up: low hatch, a door.
low hatch: closed.
> The low hatch is closed.

go east, open low hatch | go up | go
At: Barn.
Barn up: low hatch, a door.
low hatch: open.
low hatch up: Attic.
At: Attic.
Attic holds: low hatch.
> Attic
> Dust.
> Exits: down.
> You see: low hatch.

| examine iron key | examine
iron key: portable.
At: Yard.
Yard holds: oak door, iron key, millstone.
iron key
> Rusty.

| examine wax candle | examine
wax candle: portable.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
wax candle
> Half burnt.

| examine oak door | examine
oak door: locked.
At: Yard.
Yard holds: oak door, iron key, millstone.
oak door
> Thick old planks.
> It is locked.

| examine silver cup | examine: absent
silver cup: treasure.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You can't see any silver cup here.

| take iron key | take
iron key: portable.
At: Yard.
Yard holds: oak door, iron key, millstone.
Yard holds: oak door, millstone.
You carry: wax candle, iron key.
> You take the iron key.

go down | take silver cup | take
silver cup: treasure.
At: Pit.
Pit holds: silver cup.
Pit holds: nothing.
You carry: wax candle, silver cup.
silver cup: portable.
Treasures found: silver cup.
> You take the silver cup. A treasure found!

go down, take silver cup, drop silver cup | take silver cup | take
silver cup: portable.
At: Pit.
Pit holds: silver cup.
Pit holds: nothing.
You carry: wax candle, silver cup.
> You take the silver cup.

| take wax candle | take: carried
wax candle: portable.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You already have the wax candle.

| take brass key | take: absent
brass key: portable.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You can't see any brass key here.

| take millstone | take: fixed
millstone: fixed.
At: Yard.
Yard holds: oak door, iron key, millstone.
> You can't take the millstone.

| take oak door | take: fixed
oak door: locked.
At: Yard.
Yard holds: oak door, iron key, millstone.
> You can't take the oak door.

| drop wax candle | drop
You carry: wax candle.
You carry: nothing.
At: Yard.
Yard holds: oak door, iron key, millstone, wax candle.
Yard awaits: nothing.
> You put down the wax candle.

| drop iron key | drop: not carried
You carry: wax candle.
> You don't have the iron key.

ENTER, CUP, go north | drop wax candle | drop
You carry: wax candle, brass key, silver cup.
You carry: brass key, silver cup.
At: Loft.
Loft holds: oak door, wax candle.
Loft awaits: silver cup.
> You put down the wax candle.

ENTER, CUP, go north | drop silver cup | drop
You carry: wax candle, brass key, silver cup.
You carry: wax candle, brass key.
At: Loft.
Loft holds: oak door, silver cup.
Loft awaits: silver cup.
Game: won.
The End
> The sails begin to turn.

| inventory | inventory
> You carry: wax candle.

drop wax candle | inventory | inventory
> You carry: nothing.

| score | score
> Treasures found: nothing.

CUP | score | score
> Treasures found: silver cup.

| wait | wait
> Time passes.

go east | open low hatch | open
low hatch: closed.
At: Barn.
Barn holds: low hatch, brass key.
low hatch: open.
> You open the low hatch.

| open low hatch | open: absent
low hatch: closed.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You can't see any low hatch here.

| open oak door | open: locked
oak door: locked.
At: Yard.
Yard holds: oak door, iron key, millstone.
> The oak door is locked.

ENTER | open oak door | open: already
oak door: open.
At: Yard.
Yard holds: oak door, iron key, millstone.
> The oak door is already open.

| open wax candle | open: not a door
wax candle: portable.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You can't open the wax candle.

ENTER | close oak door | close
oak door: open.
At: Yard.
Yard holds: oak door, iron key, millstone.
oak door: closed.
> You close the oak door.

| close low hatch | close: absent
low hatch: closed.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You can't see any low hatch here.

| close oak door | close: already
oak door: locked.
At: Yard.
Yard holds: oak door, iron key, millstone.
> The oak door is already closed.

| close millstone | close: not a door
millstone: fixed.
At: Yard.
Yard holds: oak door, iron key, millstone.
> You can't close the millstone.

go east, take brass key, go west | unlock oak door with brass key | unlock
oak door: locked.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle, brass key.
oak door key: brass key.
oak door: closed.
> You unlock the oak door with the brass key.

| unlock low hatch with wax candle | unlock: absent
low hatch: closed.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You can't see any low hatch here.

| unlock millstone with wax candle | unlock: not a door
millstone: fixed.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You can't unlock the millstone.

| unlock oak door with iron key | unlock: no key
oak door: locked.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You don't have the iron key.

ENTER | unlock oak door with brass key | unlock: already
oak door: open.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle, brass key.
> The oak door is not locked.

| unlock oak door with wax candle | unlock: wrong key
oak door: locked.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
oak door key: brass key.
> The wax candle doesn't fit the oak door.

ENTER, close oak door | lock oak door with brass key | lock
oak door: closed.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle, brass key.
oak door key: brass key.
oak door: locked.
> You lock the oak door with the brass key.

| lock low hatch with wax candle | lock: absent
low hatch: closed.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You can't see any low hatch here.

| lock wax candle with wax candle | lock: not a door
wax candle: portable.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You can't lock the wax candle.

| lock oak door with brass key | lock: no key
oak door: locked.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> You don't have the brass key.

ENTER | lock oak door with brass key | lock: open
oak door: open.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle, brass key.
> The oak door is open.

| lock oak door with wax candle | lock: already
oak door: locked.
At: Yard.
Yard holds: oak door, iron key, millstone.
You carry: wax candle.
> The oak door is already locked.

go east | lock low hatch with wax candle | lock: wrong key
low hatch: closed.
At: Barn.
Barn holds: low hatch, brass key.
You carry: wax candle.
low hatch key: nothing.
> The wax candle doesn't fit the low hatch.
"""
CASES = [case.split("\n") for case in GOLDENS.strip("\n").split("\n\n")]


@pytest.mark.parametrize("case", CASES, ids=[case[0].partition("|")[2] for case in CASES])
def test_turn(case: list[str]) -> None:
    before, command, kind = (part.strip() for part in case[0].split("|"))
    known = {"ENTER": ENTER, "CUP": CUP, "": []}
    lines = [line for part in before.split(", ") for line in known.get(part, [part])]
    records = after(lines)
    copy = dict(records)
    outcome = play(WORLD, records, command)
    assert outcome.kind == kind
    assert outcome.lines == [f" {line}" for line in case[1:] if not line.startswith(">")]
    assert outcome.reply.split("\n") == [line[1:] for line in case[1:] if line.startswith(">")]
    assert records == copy, "the records that went in are as they were"
    if outcome.refused:
        assert outcome.records == records


def test_goldens_show_every_kind_of_outcome_there_is() -> None:
    """Curious players in random worlds find no other."""
    shown = {case[0].split("|")[2].strip() for case in CASES}
    met: set[str] = set()
    for seed in range(12):
        turns = walk(random_world(seed, rooms=(3, 5)), CuriousPlayer(), random.Random(seed), 80)
        met |= {outcome.kind for _, _, outcome in turns}
    assert met == shown


@pytest.mark.parametrize("line", ["", "xyzzy", "Look", "pick up iron key"])
def test_a_line_that_is_not_canonical_is_an_error(line: str) -> None:
    with pytest.raises(ValueError, match="not a canonical command"):
        play(WORLD, start(WORLD), line)


# -- what is always so -----------------------------------------------------------------------------


def places(world: World, records: Records) -> list[str]:
    """Where everything is, as the records have it; a door is in the two rooms that it joins."""
    held = [name for room in world.rooms for name in records[f"{room.name} holds"]]
    return sorted((*held, *records["You carry"]))


@pytest.mark.parametrize("seed", range(24))
def test_invariants_of_long_games(seed: int) -> None:
    """Any player, any world: things stay whole, notes are true, and a treasure counts once."""
    world = random_world(seed, held_out=seed % 2 == 0, rooms=LARGER_ROOMS if seed % 3 else (3, 8))
    player = (legal_player, CuriousPlayer(), GoalPlayer(0.2))[seed % 3]
    things = [thing.name for thing in world.things]
    everything = sorted((*things, *(door.name for door in world.doors for _ in range(2))))
    found = 0
    for line, before, outcome in walk(world, player, random.Random(seed), 150):
        records = outcome.records
        assert places(world, records) == everything, line
        assert records.keys() == before.keys()
        for key, items in records.items():
            assert parse_record(record_line(key, items)) == (key, items)
        assert len(records["Treasures found"]) >= found
        found = len(records["Treasures found"])
        assert len(set(records["Treasures found"])) == found
        if outcome.refused:
            assert records == before, line
        noted = dict(r for said in outcome.lines if (r := parse_record(said)))
        true = {key: records.get(key, ()) for key in noted}
        assert noted == true, "the last note under a key is how things are"
        changed = {k for k in records if records[k] != before[k]}
        assert changed <= noted.keys(), "whatever changes is noted"


def test_notes_are_kept_under_keys_that_no_name_can_be() -> None:
    """What faults.py refuses as a name is all that the rules ever note."""
    fixed = {"At", "You carry", "Treasures found", "Game"}
    for seed in range(12):
        world = random_world(seed)
        own = {f"{room.name} {word}" for room in world.rooms for word in ROOM_RECORDS}
        own |= {f"{door.name} {word}" for door in world.doors for word in DOOR_RECORDS}
        names = {part.name for part in world.nouns}
        for _, _, outcome in walk(world, CuriousPlayer(), random.Random(seed), 40):
            keys = {record[0] for line in outcome.lines if (record := parse_record(line))}
            assert keys <= own | names | fixed
            assert {key.lower() for key in keys & fixed} <= RESERVED_NAMES


@pytest.mark.parametrize("seed", range(6))
def test_records_are_the_whole_state_of_play(seed: int) -> None:
    """Notes alone, read from what was said, lead to the same game."""
    world = random_world(seed)
    records = start(world)
    for line, before, outcome in walk(world, CuriousPlayer(), random.Random(seed), 80):
        assert records == before
        again: Outcome = play(world, records, line)
        assert (again.lines, again.reply, again.kind) == (
            outcome.lines,
            outcome.reply,
            outcome.kind,
        )
        noted = dict(r for said in outcome.lines if (r := parse_record(said)))
        records = {**records, **{k: v for k, v in noted.items() if k in records}}


def test_prose_of_a_changed_world_is_its_own() -> None:
    """The rules read prose from the world and everything else from the records."""
    table = mill_table()
    table["rooms"][0]["description"] = "Snow\n on the stones."
    assert " Snow on the stones." in play(make_world(table), start(WORLD), "look").reply


# -- players ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("player", [legal_player, CuriousPlayer, GoalPlayer])
def test_players_are_deterministic(player: type) -> None:
    world = random_world(5)

    def lines() -> list[str]:
        one = player if player is legal_player else player()
        return [line for line, _, _ in walk(world, one, random.Random(3), 60)]

    assert lines() == lines()
    assert len(set(lines())) > 5


def test_a_walk_stops_when_the_game_is_won() -> None:
    world, steps = WORLD, [*ENTER, *CUP, "go north", "drop silver cup", "look"]
    it = iter(steps)
    outcomes = [outcome for _, _, outcome in walk(world, lambda *_: next(it), random.Random(), 99)]
    assert outcomes[-1].records["Game"] == ("won",)
    assert len(outcomes) == len(steps) - 1


def test_solution_of_the_mill() -> None:
    assert after(solve(WORLD) or [])["Game"] == ("won",)


@pytest.mark.parametrize("seed", range(30))
def test_a_solution_wins_when_it_is_walked(seed: int) -> None:
    world = random_world(seed, rooms=LARGER_ROOMS if seed % 2 else (3, 12))
    solution = solve(world)
    if solution is not None:
        assert after(solution, world)["Game"] == ("won",)


def test_most_random_worlds_can_be_won() -> None:
    assert sum(solve(random_world(seed)) is not None for seed in range(50)) > 25


def test_a_solution_is_found_beside_a_hole_that_has_no_way_out() -> None:
    """Falling in first would lose the game, and both holes look alike until one is in them."""
    table = mill_table()
    table["rooms"][0]["exits"] |= {"west": "Well", "in": "Cave"}
    for name in ("Well", "Cave"):
        table["rooms"].append({"name": name, "description": "Deep and dark."})
    table["things"].append({"name": "gold coin", "description": "Bait.", "room": "Well"})
    table["ending"] = {"thing": "gold coin", "room": "Well", "text": "Splash."}
    assert after(solve(make_world(table)) or [], make_world(table))["Game"] == ("won",)
    table["ending"]["room"] = "Cave"
    assert solve(make_world(table)) is None


def test_no_solution_where_the_key_is_behind_its_own_door() -> None:
    table = mill_table()
    table["things"][2]["room"] = "Loft"
    assert solve(make_world(table)) is None


def test_path_goes_through_open_doors_only() -> None:
    assert path(WORLD, start(WORLD), "Loft") is None
    assert path(WORLD, start(WORLD), "Yard") == []
    records = after([*ENTER, "go down"])
    assert path(WORLD, records, "Loft") == ["go out", "go north"]
