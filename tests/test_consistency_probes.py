"""Questions on a copied state, survival, maps: figures that can be counted by hand."""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any

import pytest
from fakes import COTTAGE, cottage
from test_consistency import Erring, game_of, judged

from adventure.errors import TrainError
from adventure.master import graphs
from adventure.master.probes import (
    AGES,
    OVERWRITTEN,
    PROBED,
    Edges,
    Trace,
    compare_maps,
    facts_of,
    pick_keys,
    span,
)
from adventure.master.report import WINDOWS, Answer, Report, merged
from adventure.master.survival import median_survival, survival_curve
from adventure.master.tables import table
from adventure.referee.rules import start
from adventure.world.prompt import Records, record_line

LOOKS = ["look"] * 20
CARRY = ["inventory", "drop|lamp", "take|lamp", "drop|lamp", "look", "look", "look", "look"]


# -- which questions -------------------------------------------------------------------------------


def test_facts_are_the_records_of_all_that_the_world_has() -> None:
    world = cottage(people=[{"name": "Marta", "description": "Old.", "in": "Shed"}])
    facts = facts_of(world)
    assert facts["exits"] == ["Garden exits", "Shed exits", "Parlour exits"]
    assert facts["thing"][-1] == "Marta" and len(facts["thing"]) == len(COTTAGE["things"]) + 1
    assert all(key in start(world) for keys in facts.values() for key in keys)


def test_no_fact_is_asked_for_twice_and_every_kind_has_its_turn() -> None:
    facts = facts_of(cottage())
    picked = [*pick_keys(facts, Trace(), 7, random.Random(1))]
    kinds = ["where", "carrying", "exits", "thing", "door", "exits", "thing"]
    assert sorted(kind for kind, _ in picked) == sorted(kinds) and len(set(picked)) == 7
    every = [*pick_keys(facts, Trace(), 99, random.Random(1))]
    assert sorted(key for _, key in every) == sorted(k for keys in facts.values() for k in keys)
    assert [*pick_keys(facts, Trace(), 1, random.Random(1))] == [("where", "At")]


def test_half_of_the_questions_go_to_what_has_changed() -> None:
    trace = Trace()
    trace.overwritten["gold ring"] = 1
    facts = facts_of(cottage())
    asked = [
        key
        for seed in range(200)
        for kind, key in pick_keys(facts, trace, 4, random.Random(seed))
        if kind == "thing"
    ]
    assert 0.5 < asked.count("gold ring") / len(asked) < 0.75, "a half, and a fifth of the rest"


def test_age_is_counted_from_the_last_telling_and_changes_from_the_truth() -> None:
    trace, records = Trace(), start(cottage())
    trace.note(1, [" lamp: you, portable.", " say taken", " At: Garden."], records, records)
    moved: Records = {**records, "lamp": ("Garden", "portable")}
    trace.note(2, [" At: Garden."], records, moved)
    trace.note(3, [], moved, records)
    assert trace.age("lamp", 1) == "0" and trace.age("lamp", 5) == "4-12"
    assert trace.age("At", 5) == "1-3" and trace.age("gold ring", 5) == "never"
    assert trace.changes("lamp") == "2-3" and trace.changes("At") == "0"


def test_spans_have_names() -> None:
    assert [span(n, AGES) for n in (0, 2, 12, 13, 301, 9999)] == [
        *("0", "1-3", "4-12", "13-50", "301+", "301+")
    ]
    assert span(3, OVERWRITTEN) == "2-3" and span(8, OVERWRITTEN) == "8+"
    assert span(1001, WINDOWS) == "1001-10000"
    with pytest.raises(ValueError, match="0 lies in none"):
        span(0, WINDOWS)


# -- answers ---------------------------------------------------------------------------------------


def test_a_perfect_master_answers_everything() -> None:
    report, _ = judged(Erring(cottage()), CARRY, probes=20)
    asked = sum(turn <= len(CARRY) for turn in PROBED)
    everything = sum(map(len, facts_of(cottage()).values()))
    assert report.facts["all"].judged == asked * everything
    assert report.facts["all"].exact == report.facts["all"].own == asked * everything
    assert all(tally.exact == tally.judged for tally in report.kept.values())


def test_a_master_that_forgets_after_some_turns_is_wrong_of_what_has_changed() -> None:
    """After turn 4 its records are the opening's, and the lamp was dropped in turn 4: of the facts
    asked for after turn 5, the lamp and what is carried are wrong."""
    report, _ = judged(Erring(cottage(), forgets=4), CARRY, probes=20)
    facts = report.facts
    assert facts["kind carrying"].judged == facts["kind carrying"].exact + 1 == 3
    assert facts["kind thing"].judged - facts["kind thing"].exact == 1
    assert facts["all"].judged - facts["all"].exact == 2
    assert facts["all"].own == facts["all"].judged, "it says what it believes"
    assert report.kept["carrying"].exact == 2 and report.kept["carrying"].judged == 3
    # The lamp and the list: dropped, taken, dropped; last told one turn before turn 5.
    assert facts["overwritten 2-3"].judged - facts["overwritten 2-3"].exact == 2
    assert facts["changed 1-3"].judged - facts["changed 1-3"].exact == 2
    assert facts["overwritten 0"].exact == facts["overwritten 0"].judged


def test_a_master_that_answers_other_than_it_believes_is_wrong_by_its_own_records() -> None:
    class Absent(Erring):
        def answer(self, position: Any, key: str) -> str:
            return " At: Moon." if key == "At" else super().answer(position, key)

    report, _ = judged(Absent(cottage()), ["look", "look"], probes=20)
    assert report.facts["kind where"].exact == report.facts["kind where"].own == 0
    assert report.facts["all"].judged - report.facts["all"].own == 2
    assert report.kept["where"].exact == 2, "its records are right"


def test_questions_leave_the_position_as_it_was() -> None:
    world = cottage()
    quiet, asked = game_of(Erring(world), CARRY), game_of(Erring(world), CARRY, probes=9)
    for game in (quiet, asked):
        while not game.done:
            game.step()
    assert asked.position.records == quiet.position.records
    assert asked.report.facts and not quiet.report.facts


# -- maps ------------------------------------------------------------------------------------------


def answers(records: Records, **other: str) -> Any:
    named = {key.replace("_", " "): line for key, line in other.items()}
    return lambda key: named.get(key, record_line(key, records.get(key, ())))


@pytest.mark.parametrize(
    ("other", "wanted"),
    [
        ({}, Edges(4, 4, 4)),
        ({"Garden_exits": " Garden exits: north."}, Edges(3, 4, 3)),
        ({"Shed_west": " Shed west: Parlour."}, Edges(4, 4, 3)),
        ({"Shed_exits": " Shed exits: west, up."}, Edges(4, 4, 4)),
        ({"Shed_exits": " Shed exits: west, up.", "Shed_up": " Shed up: Moon."}, Edges(5, 4, 4)),
        ({"green_door_north": " green door north: Shed."}, Edges(4, 4, 3)),
        ({"Garden_exits": "no record"}, Edges(2, 4, 2)),
    ],
)
def test_ways_are_claimed_by_answers(other: dict[str, str], wanted: Edges) -> None:
    """Garden east and north (a door), Shed west, Parlour south."""
    world, records = cottage(), start(cottage())
    assert compare_maps(world, records, answers(records, **other)) == wanted


def test_f1_is_the_harmonic_mean() -> None:
    assert Edges(3, 4, 3).f1 == pytest.approx(2 * (3 / 3) * (3 / 4) / (3 / 3 + 3 / 4))
    assert Edges(0, 4, 0).f1 == 0 and Edges(0, 0, 0).f1 == 1


def test_maps_are_drawn_after_ten_turns() -> None:
    report, _ = judged(Erring(cottage()), LOOKS, probes=1)
    assert report.maps == {10: Edges(4, 4, 4)}


# -- survival --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("games", "median"),
    [
        ([(3, True), (5, True), (9, True)], 5),
        ([(3, True), (9, False), (9, False)], None),
        ([(2, False), (3, True), (4, True), (9, False)], 4),
        ([(3, True), (3, False)], 3),
        ([(9, False)] * 4, None),
        ([], None),
    ],
)
def test_median_counts_games_that_ended_well_only_as_long_as_they_lasted(
    games: list[tuple[int, bool]], median: int | None
) -> None:
    assert median_survival(games) == median


def test_the_survival_curve_is_kaplan_and_meiers() -> None:
    games = [(6, True), (6, True), (6, True), (6, False), (7, True), (9, False), (10, True)]
    curve = survival_curve(games)
    assert [turn for turn, _ in curve] == [6, 7, 10]
    assert [share for _, share in curve] == pytest.approx([4 / 7, 4 / 7 * 2 / 3, 0])


# -- reports ---------------------------------------------------------------------------------------


def reported(turns: int) -> Report:
    report = Report()
    for turn in range(1, turns + 1):
        report.note(turn, "look: place", turn % 2 == 0, own=True)
        report.answered(Answer("door", turn, "1-3", "1", exact=False, own=True))
    report.game(turns, 1, 0, "cut")
    report.mapped(10, Edges(3, 4, 3))
    report.came_back("same way", exact=True, own=True)
    report.keeps("door", true=False)
    return report


def test_reports_are_added_up() -> None:
    both = merged([reported(4), reported(30)])
    assert both.turns.judged == 34 and both.turns.exact == 17
    assert both.windows["1-20"].judged == 24 and both.facts["changed 1-3"].judged == 34
    assert both.maps == {10: Edges(6, 8, 6)} and both.first_wrong == [(1, True), (1, True)]
    assert both.ended == {"cut": 2} and both.kept["door"].judged == 2
    assert merged([]).figures()["games"] == 0


def test_the_table_has_what_the_figures_have() -> None:
    report = reported(30)
    text = table({"worlds": "two"}, 3.0, report, {"a": report, "b": report})
    for part in (
        *("worlds two (3 s)", "1-20", "50.00%", "look: place", "games: 1 (1 cut)"),
        *("kind door", "overwritten 1", "true in its own records: door 0.00%"),
        *("map after 10 turns: F1 0.8571 (3 of 4 ways, 3 claimed)", "back by the same way: 1 of 1"),
        *("contradictions in 100 turns: 0.00", "0 of 1"),
    ):
        assert part in text, part
    assert "kind where" not in text
    assert table({}, 0.0, Report(), {}), "a report of nothing is a table all the same"


def test_a_graph_that_cannot_be_drawn_is_a_mistake(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TrainError, match=r"ends in neither \.png nor \.svg"):
        graphs.check_graph(Path("a.gif"))
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(TrainError, match="takes the library matplotlib, which isn't installed"):
        graphs.check_graph(Path("a.svg"))


def test_graphs_are_drawn_alike_every_time(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    report = reported(30)
    once, again = tmp_path / "a.svg", tmp_path / "b.svg"
    graphs.draw({"worlds": "two"}, report, once)
    graphs.draw({"worlds": "two"}, report, again)
    assert once.read_bytes() == again.read_bytes()
    assert once.stat().st_size > 20_000
    with pytest.raises(TrainError, match="Can't write the graph"):
        graphs.draw({}, report, tmp_path / "nowhere" / "a.svg")
