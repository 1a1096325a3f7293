"""The consistency benchmark: how turns are judged and counted, and mistakes it can meet with."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import COTTAGE, SOLUTION, FakePosition, FakeState, cottage
from tiny import tiny_model

from adventure.errors import TrainError
from adventure.master.consistency import Game, _kind, _one_turn, judge, read_walk, run
from adventure.master.consistency_options import add_arguments
from adventure.master.report import WINDOWS, Report
from adventure.referee.forms import forms_of
from adventure.referee.rules import Outcome, play, start
from adventure.world.parts import World
from adventure.world.prompt import SPECIALS, Records, pack_text
from engine.tokenizer import train_tokenizer

FORMS = ("Taken: *.", "Yours: *.", "You grab *.")
Speaker = Callable[[Outcome], tuple[str, list[str]]]


# -- judging ---------------------------------------------------------------------------------------


class Master:
    """Plays by the rules from its own records, then says what `speak` makes of the outcome."""

    def __init__(self, world: World, speak: Speaker, form: int = 0) -> None:
        self.world, self.speak, self.form = world, speak, form

    def play_batch(
        self, positions: Sequence[FakePosition], lines: Sequence[str]
    ) -> list[tuple[str, list[str], FakePosition]]:
        (position,), (line,) = positions, lines
        outcome = play(self.world, position.records, line, lambda _, forms: self.form % forms)
        reply, said = self.speak(outcome)
        return [(f"{reply}\n", said, replace(position, records=outcome.records))]

    def settle(self, position: FakePosition) -> FakePosition:
        return position


def exact(outcome: Outcome) -> tuple[str, list[str]]:
    """What a perfect master says."""
    return outcome.reply, outcome.lines


def judged(
    master: Master, lines: Sequence[str], truth: Records | None = None
) -> tuple[Report, Game]:
    """Play these canonical commands and judge each."""
    records, report = start(master.world), Report()
    state = FakeState(torch.zeros(4), torch.zeros(1))
    position: Any = FakePosition(state, torch.zeros(1), records)
    steps = iter(lines)
    game = Game(
        master.world,
        master,  # type: ignore[arg-type]
        lambda *_: next(steps),
        random.Random(0),
        truth or records,
        position,
    )
    for turn in range(1, len(lines) + 1):
        _one_turn([game], turn, report, None)
    return report, game


PICK_UP = ["go|east", "take|brass key", "take|dry log", "take|gold ring"]


@pytest.mark.parametrize("form", [0, 1, 2])
def test_any_form_of_a_standing_reply_is_right(form: int) -> None:
    """Which is told is the master's to choose: it says so in its hidden lines."""
    world = cottage(replies={**COTTAGE["replies"], "taken": list(FORMS)})
    report, game = judged(Master(world, exact, form), PICK_UP)
    assert report.exact["all"] == report.own["all"] == 4 and not game.first_wrong
    wanted = play(world, game.truth, "drop|dry log").records["You carry"]
    assert wanted == ("lamp", "brass key", "gold ring")


def test_another_form_than_the_one_named_is_wrong() -> None:
    world = cottage(replies={**COTTAGE["replies"], "taken": list(FORMS)})

    def other(outcome: Outcome) -> tuple[str, list[str]]:
        return outcome.reply.replace("Taken:", "Yours:"), outcome.lines

    report, game = judged(Master(world, other), PICK_UP)
    assert report.exact["all"] == 2 and game.first_wrong == 2


@pytest.mark.parametrize("line", [" say taken or or or", " say taken or else", " say", "", "say"])
def test_a_form_that_there_is_not_is_taken_for_the_first(line: str) -> None:
    world = cottage(replies={**COTTAGE["replies"], "taken": list(FORMS)})

    def garbled(outcome: Outcome) -> tuple[str, list[str]]:
        lines = [line if said.startswith(" say taken") else said for said in outcome.lines]
        return outcome.reply, lines

    report, _ = judged(Master(world, garbled, form=0), PICK_UP)
    assert report.exact["all"] == 4
    report, _ = judged(Master(world, garbled, form=1), PICK_UP)
    assert report.exact["all"] == 2, "what was told is the second form"


def test_forms_are_those_of_the_lines_in_order() -> None:
    lines = [" say taken or", " At: Hall.", " say put", " say taken or or", " say taken orchid"]
    choose = forms_of(lines)
    assert [choose("taken", 3), choose("taken", 3), choose("taken", 3)] == [1, 2, 0]
    assert choose("put", 2) == choose("wait", 5) == 0
    assert forms_of([" say wait or or"])("wait", 2) == 0


def test_a_master_goes_on_from_what_it_said_and_is_judged_by_the_truth_and_by_itself() -> None:
    """Once something has gone wrong, a player perceives whether the game agrees with itself."""
    world = cottage()
    truth = play(world, start(world), "go|east").records
    report, game = judged(Master(world, exact), ["look", "inventory", "look"], truth)
    assert report.turns["all"] == 3 and report.own["all"] == 3
    assert report.exact["all"] == 1, "what it carries is the same"
    assert game.first_wrong == 1
    assert game.position.records["At"] == ("Garden",) and game.truth["At"] == ("Shed",)
    assert "-- turn 1: look" in report.first_errors[0] and len(report.first_errors) == 1
    assert "wanted:\n At: Shed." in report.first_errors[0]


def test_records_that_make_no_sense_are_no_crash() -> None:
    world = cottage(clocks=[{"name": "rain", "turns": 9, "running": True, "say": "Drip."}])
    state = FakeState(torch.zeros(4), torch.zeros(1))

    class Lost(Master):
        def play_batch(self, positions: Any, lines: Any) -> Any:
            return [("Nonsense.\n", [" Clocks: rain or."], positions[0])]

    for damage in ({"Clocks": ("rain",)}, {"At": ()}, {"brass key": ()}, {"At": ("Nowhere",)}):
        position: Any = FakePosition(state, torch.zeros(1), {**start(world), **damage})
        master: Any = Lost(world, exact)
        game = Game(world, master, lambda *_: "look", random.Random(0), start(world), position)
        report = Report()
        _one_turn([game], 1, report, None)
        assert report.turns["all"] == 1 and report.own["all"] == 0


def test_a_game_that_is_over_is_judged_no_further() -> None:
    world = cottage()
    lines = [
        *("go|east", "take|brass key", "take|dry log", "go|west"),
        *("unlock|green door|brass key", "open|green door", "go|north", "drop|dry log"),
    ]
    _, game = judged(Master(world, exact), lines)
    assert game.over and game.played == 8
    _, game = judged(Master(world, exact), lines[:-1])
    assert not game.over


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([*given])


@pytest.mark.parametrize("held_out", ["words", "sizes", "features", "none"])
def test_random_worlds_are_judged(held_out: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A network that has learnt nothing is never right, and every turn of it is counted."""
    torch.set_num_threads(1)
    monkeypatch.setattr("adventure.master.gamemaster.LONGEST_REPLY", 20)
    tokenizer = train_tokenizer([pack_text(cottage())], 320, SPECIALS)
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    args = options("--games", "2", "--turns", "2", "--held-out", held_out, "--json")
    monkeypatch.setattr("adventure.master.consistency.TRAIN_ROOMS", (3, 3))
    monkeypatch.setattr("adventure.master.consistency.LARGER_ROOMS", (4, 4))
    report = judge(model, tokenizer, args, None)
    figures = report.figures()
    assert figures["windows"]["all"] == {"turns": 4, "exact": 0, "exact_by_own_records": 0}
    assert figures["worlds"] == f"random, held-out {held_out}" and figures["games"] == 2
    assert figures["median_turns_to_first_wrong"] == 1


# -- counting --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("survival", "median"),
    [
        ([(3, True), (5, True), (9, True)], 5),
        ([(3, True), (9, False), (9, False)], None),
        ([(2, False), (3, True), (4, True), (9, False)], 4),
        ([(9, False)] * 4, None),
        ([], None),
    ],
)
def test_median_counts_games_that_ended_well_only_as_long_as_they_lasted(
    survival: list[tuple[int, bool]], median: int | None
) -> None:
    assert Report(survival=survival).median_survival() == median


def test_turns_are_counted_by_window_and_by_kind() -> None:
    report = Report()
    for turn, was_exact in ((1, True), (20, False), (21, True), (10_000, True)):
        report.note(turn, "take: taken", was_exact, own=True)
    windows = report.figures()["windows"]
    assert windows["1-20"] == {"turns": 2, "exact": 0.5, "exact_by_own_records": 1.0}
    assert windows["all"]["exact"] == 0.75
    assert windows["1001-10000"]["turns"] == 1
    assert report.figures()["kinds"] == {"take: taken": {"turns": 4, "exact": 0.75}}
    assert "75.00%" in report.table()


def test_an_empty_list_is_a_kind_of_its_own() -> None:
    world, records = cottage(), start(cottage())
    assert _kind(play(world, records, "inventory")) == "inventory: carry"
    assert _kind(play(world, records, "deeds")) == "deeds: deeds (empty)"
    empty = play(world, records, "drop|lamp").records
    assert _kind(play(world, empty, "inventory")) == "inventory: carry (empty)"
    rich = {**records, "Deeds": ("gold ring",)}
    assert _kind(play(world, rich, "deeds")) == "deeds: deeds"
    assert _kind(play(world, empty, "look")) == "look: place exits see"


# -- walks -----------------------------------------------------------------------------------------


def walk(tmp_path: Path, text: str) -> list[str]:
    file = tmp_path / "a.walk"
    file.write_text(text, encoding="utf-8")
    return read_walk(file, cottage())


def test_a_walk_is_read_as_the_commands_that_a_session_makes_of_it(tmp_path: Path) -> None:
    assert walk(tmp_path, "# why\n\ne\nx key\n") == ["go|east", "examine|brass key"]
    assert walk(tmp_path, "e. take key then drop it\n") == [
        *("go|east", "take|brass key", "drop|brass key"),
    ]
    whole = walk(tmp_path, "\n".join([*SOLUTION, "drop log"]))
    assert whole[-3:] == ["open|green door", "go|north", "drop|dry log"]
    world, records = cottage(), start(cottage())
    for line in whole:
        records = play(world, records, line).records
    assert records["Game"] == ("won",)


def test_what_is_no_command_of_a_walk_is_left_out_as_in_play(tmp_path: Path) -> None:
    assert walk(tmp_path, "get the moon\nfrobnicate\ne\n") == ["go|east"]


def test_a_walk_that_cannot_be_read_or_holds_nothing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"a\.walk holds no command; write one a line"):
        walk(tmp_path, "# nothing\nget the moon\n")
    with pytest.raises(TrainError, match="Can't read the walk"):
        read_walk(tmp_path / "none.walk", cottage())


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--games", "0"], "--games must be at least 1, --random and --threads at least 0."),
        (["--threads", "-1"], "--games must be at least 1, --random and --threads at least 0."),
        (["--turns", "0"], "--turns is 0; it must be from 1 to 10000."),
        (["--turns", str(WINDOWS[-1][1] + 1)], "--turns is 10001; it must be from 1 to 10000."),
    ],
)
def test_mistakes_on_the_command_line(given: list[str], said: str) -> None:
    with pytest.raises(TrainError, match=f"^{said}$"):
        run(options(*given))
