"""Clocks that run for more turns than a digit counts: they run in stages, and nobody notices."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from fakes import cottage, cottage_with

from adventure.referee.rules import play, start
from adventure.world.compile import LONGEST_STAGE, blocks_of, effect, effects, stage
from adventure.world.parts import World
from adventure.world.prompt import Records


def with_clock(turns: int, then: tuple[str, ...] = (), **clock: Any) -> World:
    """The cottage, where the tide comes in after that many turns; SING does `then`."""
    tide = {"name": "tide", "turns": turns, "running": True, "say": "The tide is in."}
    rules = [{"when": "sing", "then": then, "say": "You sing."}] if then else []
    return cottage(clocks=[tide | clock], rules=rules)


def rings(world: World, turns: int, sing: int = 0, first: Records | None = None) -> list[int]:
    """The turns in which the tide came in, of so many; SING in turn number `sing`, else WAIT."""
    records, found = first or start(world), list[int]()
    for turn in range(1, turns + 1):
        outcome = play(world, records, "sing" if turn == sing else "wait")
        records = outcome.records
        if "The tide is in." in outcome.reply:
            found.append(turn)
    return found


@pytest.mark.parametrize("turns", [1, 2, 9, 10, 11, 18, 19, 40])
def test_a_clock_rings_after_its_turns_however_many(turns: int) -> None:
    assert rings(with_clock(turns), turns + 25) == [turns]


@pytest.mark.parametrize("turns", [1, 9, 10, 19])
def test_a_clock_that_begins_anew_rings_every_so_many_turns(turns: int) -> None:
    assert rings(with_clock(turns, every=True), 3 * turns) == [turns, 2 * turns, 3 * turns]


def test_no_stage_counts_more_than_a_digit() -> None:
    for turns in range(1, 60):
        name, left = stage("tide", turns)
        assert 1 <= left <= LONGEST_STAGE == 9
        assert left + LONGEST_STAGE * (len(name.split()) - 1) == turns
        assert name.split() == ["tide", *["or"] * (len(name.split()) - 1)]
    records = start(with_clock(19))
    assert records["Clocks"] == ("tide or or 1",)


@pytest.mark.parametrize(("at", "to"), [(1, 12), (3, 25), (8, 30), (12, 4), (20, 21), (20, 9)])
def test_a_rule_sets_a_clock_whatever_stage_it_is_in(at: int, to: int) -> None:
    """The turn in which it is set counts too."""
    world = with_clock(21, (f"clock tide {to}",))
    assert rings(world, 80, sing=at) == [at + to - 1]


@pytest.mark.parametrize("at", [1, 3, 12, 20])
def test_a_rule_stops_a_clock_whatever_stage_it_is_in(at: int) -> None:
    world = with_clock(21, ("clock tide off",))
    assert rings(world, 60, sing=at) == []
    assert rings(world, 60) == [21]


def test_a_rule_may_set_a_clock_to_more_turns_than_its_own() -> None:
    world = with_clock(3, ("clock tide 30",), running=False)
    assert rings(world, 40) == []
    assert rings(world, 40, sing=2) == [31]


def test_clocks_count_beside_each_other() -> None:
    two = [
        {"name": name, "turns": turns, "running": True, "say": f"{name.capitalize()}!"}
        for name, turns in (("tide", 11), ("bell", 12))
    ]
    world = cottage_with(clocks=two)
    records, told = start(world), list[tuple[int, str]]()
    for turn in range(1, 30):
        outcome = play(world, records, "wait")
        records = outcome.records
        told += [(turn, word) for word in ("Tide!", "Bell!") if word in outcome.reply]
    assert told == [(11, "Tide!"), (12, "Bell!")]


def test_a_rule_may_hold_up_somebody_s_round_for_more_turns_than_a_digit() -> None:
    boy = {
        "name": "errand boy",
        "description": "Freckled.",
        "in": "Garden",
        "route": ["Garden", "Shed"],
        "every": 2,
    }
    rule = {"when": "sing", "then": ["clock errand boy 20"], "say": "He listens."}
    records = start(world := cottage_with(people=[boy], rules=[rule]))
    rooms = []
    for line in ("sing", *["wait"] * 24):
        records = play(world, records, line).records
        rooms.append(records["errand boy"][0])
    assert rooms == ["Garden"] * 19 + ["Shed"] * 2 + ["Garden"] * 2 + ["Shed"] * 2


@pytest.mark.parametrize("said", [{}, {"say": "The bell calls them."}])
def test_of_two_who_leave_at_once_each_is_told_or_neither(said: dict[str, str]) -> None:
    people = [{"name": name, "description": "Tall.", "in": "Garden"} for name in ("Ann", "Ben")]
    bell = {"name": "bell", "turns": 1, "running": True, **said}
    world = cottage_with(
        people=people, clocks=[{**bell, "then": ["Ann moves to Shed", "Ben moves to Shed"]}]
    )
    records = {**start(world), "At": ("Garden",)}
    reply = play(world, records, "wait").reply
    assert [name in reply for name in ("Ann", "Ben")] == [not said] * 2


def test_a_stage_hands_over_to_the_one_before_it() -> None:
    blocks = blocks_of(with_clock(25))
    named = [key for key in blocks if key.startswith("clock|")]
    assert named == ["clock|tide", "clock|tide or", "clock|tide or or"]
    for earlier, later in itertools.pairwise(named):
        lines = [op.fields for op in blocks[later].ops]
        assert lines == [("clock", earlier.removeprefix("clock|"), "9"), ()]
    assert [key for key in blocks_of(with_clock(9)) if key.startswith("clock|")] == ["clock|tide"]


def test_an_effect_is_one_thing_and_may_be_several_lines() -> None:
    world = with_clock(21)
    assert effect("clock tide 12", world).fields == ("clock", "tide", "12")
    lines = [op.fields for op in effects(("clock tide 12", "game won"), world)]
    assert lines == [
        ("clock", "tide", "off"),
        ("clock", "tide or or", "off"),
        ("clock", "tide or", "3"),
        ("game", "won"),
    ]
    with pytest.raises(ValueError, match="'tide in' is not an effect"):
        effects(("tide in",), world)
