"""The consistency benchmark: how turns are judged and counted, and mistakes it can meet with."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import COTTAGE, SOLUTION, cottage
from tiny import tiny_model

from adventure.errors import PackError, TrainError
from adventure.master import consistency, runs
from adventure.master.consistency import Judgement, judge, memory_of, run
from adventure.master.consistency_options import add_arguments
from adventure.master.games import Game, kind_of
from adventure.master.judged import seats_of, sources_of
from adventure.master.report import WINDOWS, Report
from adventure.master.walks import read_walk
from adventure.referee.forms import forms_of
from adventure.referee.master import RefereePosition
from adventure.referee.rules import Outcome, play, start
from adventure.world.parts import World
from adventure.world.prompt import SPECIALS, Records, pack_text, record_line
from engine.memoryconfig import MemoryConfig
from engine.tokenizer import AnyTokenizer, train_tokenizer

FORMS = ("Taken: *.", "Yours: *.", "You grab *.")
Speaker = Callable[[Outcome], tuple[str, list[str]]]


# -- judging ---------------------------------------------------------------------------------------


def exact(outcome: Outcome) -> tuple[str, list[str]]:
    """What a perfect master says."""
    return outcome.reply, outcome.lines


@dataclass
class Erring:
    """Plays by the rules from its own records, then says what `speak` makes of the outcome.

    first: what it takes for the opening; forgets: the turn after which its records are those of the
    opening again; met: the games that it was handed at segments' ends.
    """

    world: World
    speak: Speaker = exact
    form: int = 0
    first: Records = field(default_factory=dict)
    forgets: int = 0
    met: list[Any] = field(default_factory=list)

    def opening(self) -> RefereePosition:
        return RefereePosition({**start(self.world), **self.first})

    def play(self, position: RefereePosition, line: str) -> tuple[str, list[str], RefereePosition]:
        outcome = play(self.world, position.records, line, lambda _, forms: self.form % forms)
        reply, said = self.speak(outcome)
        after = replace(position, records=outcome.records, turns=position.turns + 1)
        if self.forgets and after.turns == self.forgets:
            after = replace(after, records=self.opening().records)
        return f"{reply}\n", said, after

    def settle(self, position: RefereePosition, other: Any = None) -> RefereePosition:
        self.met.append(other)
        return position

    def answer(self, position: RefereePosition, key: str) -> str:
        return record_line(key, position.records.get(key, ()))


def game_of(subject: Any, lines: Sequence[str], probes: int = 0, **more: Any) -> Game:
    """A game of these canonical commands."""

    def player() -> Any:
        steps = iter(lines)
        return lambda *_: next(steps)

    return Game(subject, Report(), player, "seed", len(lines), probes=probes, **more)


def judged(subject: Any, lines: Sequence[str], probes: int = 0) -> tuple[Report, Game]:
    """Play these canonical commands and judge each."""
    game = game_of(subject, lines, probes)
    while not game.done:
        game.step()
    return game.report, game


PICK_UP = ["go|east", "take|brass key", "take|dry log", "take|gold ring"]


@pytest.mark.parametrize("form", [0, 1, 2])
def test_any_form_of_a_standing_reply_is_right(form: int) -> None:
    """Which is told is the master's to choose: it says so in its hidden lines."""
    world = cottage(replies={**COTTAGE["replies"], "taken": list(FORMS)})
    report, game = judged(Erring(world, form=form), PICK_UP)
    assert report.turns.exact == report.turns.own == 4 and report.clean == 1
    wanted = play(world, game.truth, "drop|dry log").records["You carry"]
    assert wanted == ("lamp", "brass key", "gold ring")


def test_another_form_than_the_one_named_is_wrong() -> None:
    world = cottage(replies={**COTTAGE["replies"], "taken": list(FORMS)})

    def other(outcome: Outcome) -> tuple[str, list[str]]:
        return outcome.reply.replace("Taken:", "Yours:"), outcome.lines

    report, _ = judged(Erring(world, other), PICK_UP)
    assert report.turns.exact == 2 and report.first_wrong == [(2, True)]


@pytest.mark.parametrize("line", [" say taken or or or", " say taken or else", " say", "", "say"])
def test_a_form_that_there_is_not_is_taken_for_the_first(line: str) -> None:
    world = cottage(replies={**COTTAGE["replies"], "taken": list(FORMS)})

    def garbled(outcome: Outcome) -> tuple[str, list[str]]:
        lines = [line if said.startswith(" say taken") else said for said in outcome.lines]
        return outcome.reply, lines

    report, _ = judged(Erring(world, garbled, form=0), PICK_UP)
    assert report.turns.exact == 4
    report, _ = judged(Erring(world, garbled, form=1), PICK_UP)
    assert report.turns.exact == 2, "what was told is the second form"


def test_forms_are_those_of_the_lines_in_order() -> None:
    lines = [" say taken or", " At: Hall.", " say put", " say taken or or", " say taken orchid"]
    choose = forms_of(lines)
    assert [choose("taken", 3), choose("taken", 3), choose("taken", 3)] == [1, 2, 0]
    assert choose("put", 2) == choose("wait", 5) == 0
    assert forms_of([" say wait or or"])("wait", 2) == 0


def test_a_master_goes_on_from_what_it_said_and_is_judged_by_the_truth_and_by_itself() -> None:
    """Once something has gone wrong, a player perceives whether the game agrees with itself."""
    lost = Erring(cottage(), first={"At": ("Shed",)})
    report, game = judged(lost, ["look", "inventory", "look"])
    assert report.turns.judged == 3 and report.turns.own == 3
    assert report.turns.exact == 1, "what it carries is the same"
    assert report.first_wrong == [(1, True)] and report.first_contradiction == [(3, False)]
    assert report.figures()["contradictions_per_100_turns"] == 0
    assert game.position.records["At"] == ("Shed",) and game.truth["At"] == ("Garden",)
    assert "-- turn 1: look" in report.first_errors[0] and len(report.first_errors) == 1
    assert "wanted:\n At: Garden." in report.first_errors[0]


def test_a_reply_that_its_own_records_belie_is_a_contradiction() -> None:
    def denies(outcome: Outcome) -> tuple[str, list[str]]:
        return (" You have nothing." if "carry" in outcome.kind else outcome.reply), outcome.lines

    report, _ = judged(Erring(cottage(), denies), ["look", "inventory", "look", "inventory"])
    assert report.turns.exact == report.turns.own == 2
    assert report.first_contradiction == [(2, True)]
    assert report.figures()["contradictions_per_100_turns"] == 50


@pytest.mark.parametrize(
    "damage", [{"Clocks": ("rain",)}, {"At": ()}, {"brass key": ()}, {"At": ("Nowhere",)}]
)
def test_records_that_make_no_sense_are_no_crash(damage: Records) -> None:
    world = cottage(clocks=[{"name": "rain", "turns": 9, "running": True, "say": "Drip."}])

    class Lost(Erring):
        def play(self, position: Any, line: str) -> Any:
            return "Nonsense.\n", [" Clocks: rain or."], position

    report, _ = judged(Lost(world, first=damage), ["look", "look"], probes=5)
    assert report.turns.judged == 2 and report.turns.own == 0


# -- one game after another ------------------------------------------------------------------------

WINNING = [
    *("go|east", "take|brass key", "take|dry log", "go|west"),
    *("unlock|green door|brass key", "open|green door", "go|north", "drop|dry log"),
]


def test_a_walk_ends_with_the_game() -> None:
    game = game_of(Erring(cottage()), [*WINNING, "look", "look"], again=False)
    while not game.done:
        game.step()
    assert game.report.turns.judged == 8 and game.report.ended == {"won": 1}
    assert game.report.first_wrong == [(8, False)]


def test_after_a_game_that_ended_another_one_begins_and_counts_its_own_turns() -> None:
    report, game = judged(Erring(cottage()), [*WINNING, *WINNING[:3]])
    assert report.ended == {"won": 1, "cut": 1}
    assert report.first_wrong == [(8, False), (3, False)]
    assert game.truth["You carry"] == ("lamp", "brass key", "dry log"), "begun at the opening"
    assert report.windows["1-20"].judged == 11


def test_a_game_that_the_master_alone_takes_for_ended_is_over_for_the_player() -> None:
    def wins(outcome: Outcome) -> tuple[str, list[str]]:
        if "carry" in outcome.kind:
            outcome.records["Game"] = ("won",)
        return outcome.reply, outcome.lines

    report, _ = judged(Erring(cottage(), wins), ["look", "inventory", "look"])
    assert report.ended == {"ended by the master alone": 1, "cut": 1}


def test_players_leave_out_what_would_end_the_game_where_games_are_to_last() -> None:
    lines = [*WINNING, "look", "inventory"]
    game = game_of(Erring(cottage()), lines, endings=False)
    game.turns = 9
    while not game.done:
        game.step()
    assert game.report.ended == {"cut": 1} and game.report.turns.judged == 9
    assert game.truth["At"] == ("Parlour",) and "dry log" in game.truth["You carry"]


def test_arrivals_where_the_player_has_been_are_counted_by_the_way_back() -> None:
    rooms = [
        {"name": "A", "description": "One.", "exits": {"east": "B"}},
        {"name": "B", "description": "Two.", "exits": {"west": "A", "north": "C"}},
        {"name": "C", "description": "Three.", "exits": {"south": "B", "down": "A"}},
    ]
    world = cottage(rooms=rooms, start="A", doors=[], things=[], ending=None)
    steps = ["go|east", "go|west", "go|east", "go|north", "go|down"]

    def foggy(outcome: Outcome) -> tuple[str, list[str]]:
        came_down = " C down: A." in outcome.lines
        return (" Fog." if came_down else outcome.reply), outcome.lines

    report, _ = judged(Erring(world), steps)
    assert report.back["same way"].judged == 2, "to A over B, then to B over A"
    assert report.back["another way"].judged == report.back["another way"].exact == 1
    report, _ = judged(Erring(world, foggy), steps)
    assert report.back["another way"].exact == 0 and report.back["same way"].exact == 2


def test_a_control_is_handed_the_other_game() -> None:
    subject = Erring(cottage())
    one, two = game_of(subject, ["look"]), game_of(subject, ["look"])
    position = two.position
    one.step(two)
    two.step()
    assert subject.met[0] is position and subject.met[1] is None


# -- the whole of it -------------------------------------------------------------------------------


def options(*given: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([*given])


@pytest.fixture(scope="module")
def tokenizer() -> AnyTokenizer:
    return train_tokenizer([pack_text(cottage())], 330, SPECIALS)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(1)
    monkeypatch.setattr("adventure.master.gamemaster.LONGEST_REPLY", 20)
    monkeypatch.setattr("adventure.master.gamemaster.LONGEST_RECORD", 5)
    monkeypatch.setattr("adventure.master.judged.TRAIN_ROOMS", (3, 3))
    monkeypatch.setattr("adventure.master.judged.LARGER_ROOMS", (4, 4))


@pytest.mark.parametrize("held_out", ["words", "sizes", "features", "none"])
def test_random_worlds_are_judged(held_out: str, tokenizer: AnyTokenizer, small: None) -> None:
    """A network that has learnt nothing is never right, and every turn of it is counted."""
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    args = options("--games", "2", "--turns", "2", "--held-out", held_out, "--probes", "2")
    reports = judge(model, tokenizer, args)
    assert [*reports] == [f"random {held_out}"]
    figures = Judgement({}, reports).figures()
    assert figures["windows"]["all"] == {"turns": 4, "exact": 0, "exact_by_own_records": 0}
    assert figures["games"] == 2 and figures["median_turns_to_first_wrong"] == 1
    assert figures["facts"]["all"] == {"asked": 8, "exact": 0, "exact_by_own_records": 0}


def test_two_processes_count_what_one_does(tokenizer: AnyTokenizer, small: None) -> None:
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    for given in (["--random", "2"], ["--random", "1"]):
        args = options("--games", "2", "--turns", "2", *given)
        whole = Judgement({}, judge(model, tokenizer, args)).figures()
        both = [judge(model, tokenizer, args, part, 2) for part in (0, 1)]
        merged = consistency.together(both)
        assert all(report.turns.judged == 2 for reports in both for report in reports.values())
        assert Judgement({}, merged).figures() == whole


class _Network:
    """Stands in for all networks: the referee plays."""

    def __init__(self, master: Any, loss: Any) -> None:
        self.subject = Erring(master.world)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.subject, name)


@pytest.fixture
def by_the_referee(monkeypatch: pytest.MonkeyPatch, tokenizer: AnyTokenizer) -> None:
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    monkeypatch.setattr(consistency, "NetworkSubject", _Network)
    monkeypatch.setattr(consistency, "load_network", lambda file: (model, tokenizer))


def test_packs_are_judged_by_walk_and_by_play(
    by_the_referee: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "figures.json"
    args = options("--packs", "--games", "6", "--turns", "5", "--json", str(file), "--seed", "3")
    assert run(args) == 0
    printed, figures = capsys.readouterr().out, json.loads(file.read_text(encoding="utf-8"))
    assert len(figures["rows"]) == 12 and figures["windows"]["all"]["turns"] == 30
    walk = figures["rows"]["lantern walk"]
    assert walk["ended"] == {"won": 1} and walk["windows"]["all"]["exact"] == 1
    assert figures["rows"]["lantern"]["windows"]["all"]["turns"] == 5
    assert "lantern walk" in printed and "100.00%" in printed
    assert figures["maps"] == {} and figures["facts"]["all"]["exact"] == 1


def test_games_of_textworld_are_judged(
    by_the_referee: None, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = Path(__file__).parent / "textworld"
    games = [str(folder / "doors.json"), str(folder / "house.json")]
    assert run(options("--textworld", *games, "--games", "2", "--turns", "10", "--json")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert [*figures["rows"]] == ["doors walk", "doors", "house walk", "house"]
    assert figures["rows"]["house walk"]["ended"] == {"won": 1}
    assert figures["windows"]["all"] == {"turns": 20, "exact": 1.0, "exact_by_own_records": 1.0}
    assert figures["maps"]["10"]["f1"] == 1.0
    with pytest.raises(PackError, match=r"Can't read the game nowhere\.json"):
        run(options("--textworld", "nowhere.json"))


def test_scores_go_to_the_run_that_was_named(by_the_referee: None, tmp_path: Path) -> None:
    db = tmp_path / "runs.db"
    number = runs.begin_run(db, tmp_path, {"seed": 1}, {"device": "cpu"}, 10)
    given = ["--games", "2", "--turns", "30", "--db", str(db), "--run"]
    assert run(options(*given, str(number))) == 0
    scores = [score for _, _, score in runs.read_run(db, number).scores]
    assert {(s.what, s.window, s.exact, s.own, s.turns) for s in scores} == {
        ("random, held-out words", "1-20", 1.0, 1.0, 40),
        ("random, held-out words", "21-100", 1.0, 1.0, 20),
        ("random, held-out words", "all", 1.0, 1.0, 60),
    }
    with pytest.raises(TrainError):
        run(options(*given, str(number + 1)))


def test_figures_that_cannot_be_written_are_a_mistake(by_the_referee: None, tmp_path: Path) -> None:
    with pytest.raises(TrainError, match=r"Can't write .*nowhere.*: No such file or directory\."):
        run(options("--games", "1", "--turns", "1", "--json", str(tmp_path / "nowhere" / "a")))


def test_figures_are_the_same_in_every_run(by_the_referee: None) -> None:
    args = options("--games", "3", "--turns", "12")
    once, again = consistency.judge_all(args), consistency.judge_all(args)
    once.seconds = again.seconds = 0
    assert once.figures() == again.figures() and once.whole.turns.judged == 36


def test_questions_change_no_game(by_the_referee: None) -> None:
    asked = consistency.judge_all(options("--games", "2", "--turns", "30")).whole
    not_asked = consistency.judge_all(options("--games", "2", "--turns", "30", "--probes", "0"))
    assert asked.facts and not not_asked.whole.facts
    assert asked.kinds == not_asked.whole.kinds


def test_the_memory_that_is_left_is_what_the_options_say(tokenizer: AnyTokenizer) -> None:
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    assert memory_of(options(), model).words
    assert not memory_of(options("--wipe", "words"), model).words
    assert memory_of(options("--start", "carried"), model).start == "carried"
    for given in (["--wipe", "latent"], ["--latent", "off"], ["--wipe", "latent-swap"]):
        with pytest.raises(TrainError, match="needs a network with a latent memory"):
            memory_of(options(*given), model)
    latent = tiny_model(vocab=tokenizer.vocab)
    latent.add_memory(MemoryConfig(slots=2, solidifier="none"), seed=3)
    assert memory_of(options("--wipe", "latent"), latent).latent == "zeroed"
    assert memory_of(options("--latent", "frozen"), latent).latent == "frozen"
    assert memory_of(options("--wipe", "latent-swap"), latent).latent == "on"
    with pytest.raises(TrainError, match="needs a network with copy hints"):
        memory_of(options("--start", "replay"), tiny_model())


def test_seats_are_the_same_however_many_worlds_there_are() -> None:
    args = options("--games", "5", "--turns", "7")
    shared = [seat.seed for place in (0, 1) for seat in seats_of(args, "x", [], place, 2)]
    assert sorted(shared) == [seat.seed for seat in seats_of(args, "x", [], 0, 1)]
    (walk, *_) = seats_of(args, "x", ["look", "wait"], 0, 1)
    assert walk.row == "x walk" and walk.turns == 2 and walk.walks
    assert len(sources_of(options("--games", "5"))) == 5
    assert len(sources_of(options("--games", "5", "--random", "2"))) == 2
    assert len(sources_of(options("--games", "6", "--wipe", "words-swap"))) == 3


# -- counting --------------------------------------------------------------------------------------


def test_turns_are_counted_by_window_and_by_kind() -> None:
    report = Report()
    for turn, was_exact in ((1, True), (20, False), (21, True), (10_000, True)):
        report.note(turn, "take: taken", was_exact, own=True)
    windows = report.figures()["windows"]
    assert windows["1-20"] == {"turns": 2, "exact": 0.5, "exact_by_own_records": 1.0}
    assert windows["all"]["exact"] == 0.75
    assert windows["1001-10000"]["turns"] == 1
    assert [*report.figures()["curve"]] == ["1", "11-20", "21-50", "5001-10000"]
    kinds = report.figures()["kinds"]
    assert kinds == {"take: taken": {"turns": 4, "exact": 0.75, "exact_by_own_records": 1.0}}


def test_an_empty_list_is_a_kind_of_its_own() -> None:
    world, records = cottage(), start(cottage())
    assert kind_of(play(world, records, "inventory")) == "inventory: carry"
    assert kind_of(play(world, records, "deeds")) == "deeds: deeds (empty)"
    empty = play(world, records, "drop|lamp").records
    assert kind_of(play(world, empty, "inventory")) == "inventory: carry (empty)"
    rich = {**records, "Deeds": ("gold ring",)}
    assert kind_of(play(world, rich, "deeds")) == "deeds: deeds"
    assert kind_of(play(world, empty, "look")) == "look: place exits see"


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
    with pytest.raises(TrainError, match="There is no walk"):
        read_walk(tmp_path / "none.walk", cottage())


def test_a_walk_is_all_that_is_played_where_one_is_given(
    by_the_referee: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.walk"
    file.write_text("look\nwait\ni\n", encoding="utf-8")
    assert run(options("--world", "lantern", "--walk", str(file), "--json")) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["player"] == "walk" and "rows" not in figures
    assert figures["windows"]["all"]["turns"] == 3 and figures["ended"] == {"cut": 1}
    with pytest.raises(TrainError, match="of all together there are 1;"):
        run(options("--world", "lantern", "--walk", str(file), "--wipe", "words-swap"))


COUNTS = "--games and --workers must be at least 1, --random, --threads and --probes at least 0."


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--games", "0"], COUNTS),
        (["--threads", "-1"], COUNTS),
        (["--workers", "0"], COUNTS),
        (["--probes", "-1"], COUNTS),
        (["--turns", "0"], "--turns is 0; it must be from 1 to 10000."),
        (["--turns", str(WINDOWS[-1][1] + 1)], "--turns is 10001; it must be from 1 to 10000."),
        (["--walk", "a"], "--walk needs --world: the world in which the commands are given."),
        (
            ["--flat", "--run", "3"],
            "--flat measures no accuracy to draw or to keep; drop --graph and --run.",
        ),
        (
            ["--wipe", "words-swap", "--games", "3", "--random", "2"],
            "--wipe words-swap needs two games in every world, and of all together there are 3; "
            "give more games, or fewer worlds (--random).".replace("(", r"\(").replace(")", r"\)"),
        ),
    ],
)
def test_mistakes_on_the_command_line(given: list[str], said: str) -> None:
    with pytest.raises(TrainError, match=f"^{said}$"):
        run(options(*given))
