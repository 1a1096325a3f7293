"""Players for transcripts and for judging, and the plans that they make."""

from __future__ import annotations

import random
from collections import Counter

import pytest
from workshop import TESTS, workshop

from adventure.referee.legal import inside_player
from adventure.referee.planner import attempt, bare, exits, fetch, path, reach, room_of
from adventure.referee.players import CuriousPlayer, GoalPlayer, Player, legal_player, walk
from adventure.referee.rules import play, start
from adventure.world.generate import random_world
from adventure.world.grammar import Command, parse
from adventure.world.pack import load_world
from adventure.world.prompt import Records

WORLD = workshop()


def after(*lines: str) -> Records:
    records = start(WORLD)
    for line in lines:
        records = play(WORLD, records, line).records
    return records


# -- plans -----------------------------------------------------------------------------------------


def test_ways_that_are_open_now() -> None:
    assert bare("oil lamp (lit)") == "oil lamp"
    assert exits(start(WORLD), "Workshop") == [("east", "Yard"), ("down", "Cellar")]
    assert ("up", "Loft") in exits(after("open|low hatch"), "Workshop")


def test_moves_to_a_room() -> None:
    assert path(start(WORLD), "Workshop") == []
    assert path(after("go|east"), "Cellar") == ["go|west", "go|down"]
    assert path(start(WORLD), "Loft") is None
    assert path(after("open|low hatch"), "Loft") == ["go|up"]


def test_where_a_thing_is_whatever_it_is_in() -> None:
    records = after("take|tongs", "put|tongs|wicker basket")
    places = {"tongs": "Workshop", "spanner": "Workshop", "oil lamp": "Workshop", "rope": "Cellar"}
    assert {name: room_of(records, name) for name in places} == places
    assert room_of(records, "bread") == "Workshop" and room_of(after("eat|bread"), "bread") == ""


def test_what_leads_to_a_thing() -> None:
    records = after("go|east")
    assert reach(records, "anvil") == ["go|west"]
    assert fetch(records, "rope") == ["go|west", "go|down", "take|rope"]
    assert fetch(records, "oil lamp") == []
    box = ["go|west", "unlock|tin box|iron key", "open|tin box"]
    assert reach(records, "gold coin") == box
    assert fetch(records, "gold coin") == [*box, "take|gold coin"]
    assert fetch(records, "no such thing") is None


def test_an_attempt_at_a_rule_begins_with_what_it_needs() -> None:
    pull = next(rule for rule in WORLD.rules if rule.first == "pull|rope")
    steps = attempt(WORLD, start(WORLD), pull, random.Random(0))
    assert steps == ["go|down", "take|rope"]
    records = after("on|oil lamp", "go|down", "take|rope")
    assert attempt(WORLD, records, pull, random.Random(0)) == ["pull|rope"]
    burn = next(rule for rule in WORLD.rules if rule.first == "burn|shavings")
    away = attempt(WORLD, after("go|east"), burn, random.Random(0))
    assert away == ["go|west", "burn|shavings"]
    give = next(rule for rule in WORLD.rules if rule.first == "give|bread|Old Marta")
    assert attempt(WORLD, start(WORLD), give, random.Random(0)) == ["take|bread"]


# -- players ---------------------------------------------------------------------------------------

MAKERS = {
    "legal": lambda: legal_player,
    "inside": lambda: inside_player,
    "curious": CuriousPlayer,
    "goal": GoalPlayer,
}


def game(maker: str, seed: int, turns: int = 60) -> list[tuple[str, str]]:
    player: Player = MAKERS[maker]()
    world = random_world(seed)
    found = walk(world, player, random.Random(seed), turns)
    return [(line, outcome.kind) for line, _, outcome in found]


@pytest.mark.parametrize("maker", MAKERS)
def test_a_game_follows_from_its_seed(maker: str) -> None:
    assert game(maker, 3) == game(maker, 3) != game(maker, 4)


@pytest.mark.parametrize("maker", MAKERS)
def test_what_players_choose_is_what_a_parser_would_make_of_it(maker: str) -> None:
    world = workshop()
    player: Player = MAKERS[maker]()
    for line, _, _ in walk(world, player, random.Random(1), 150):
        said = parse(Command(line).phrase, world, [*world.names, world.start])
        assert isinstance(said, Command), line


def test_a_player_for_what_is_in_something_is_seldom_at_anything_else() -> None:
    def nested(maker: str) -> int:
        """Of 300 turns those with something that is in something else."""
        found = walk(WORLD, MAKERS[maker](), random.Random(1), 300)
        nouns = [(line.split("|")[1:2] or [""], records) for line, records, _ in found]
        return sum(records.get(noun, ("",))[0] in records for (noun,), records in nouns)

    assert nested("inside") > 2 * nested("legal") > 0


def test_a_game_ends_when_it_is_over() -> None:
    lost = list(walk(WORLD, lambda *_: "burn|shavings", random.Random(0), 9))
    assert [outcome.records["Game"] for _, _, outcome in lost] == [("lost",)]
    assert len(list(walk(WORLD, lambda *_: "wait", random.Random(0), 9))) == 9


def test_players_with_goals_get_further_and_curious_ones_see_more() -> None:
    seeds = range(8)
    rooms = {maker: sum(visited(maker, seed) for seed in seeds) for maker in ("goal", "legal")}
    assert rooms["goal"] > rooms["legal"]
    kinds = {maker: Counter(kind for s in seeds for _, kind in game(maker, s)) for maker in MAKERS}
    assert len(kinds["curious"]) > len(kinds["legal"])


def visited(maker: str, seed: int) -> int:
    player: Player = MAKERS[maker]()
    turns = walk(random_world(seed, rooms=(8, 12)), player, random.Random(seed), 40)
    return len({outcome.records["At"][0] for _, _, outcome in turns})


@pytest.mark.parametrize("name", ["threshold", "lantern"])
def test_players_get_through_a_pack(name: str) -> None:
    world = load_world(TESTS.parent / "worlds" / name)
    deeds = 0
    for seed in range(3):
        *_, (_, _, last) = walk(world, GoalPlayer(), random.Random(seed), 200)
        deeds = max(deeds, len(last.records["Deeds"]))
    assert deeds > 0
