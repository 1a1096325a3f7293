"""The file of runs: written, read back, compared, drawn, forgotten; a crash leaves it whole."""

from __future__ import annotations

import argparse
import os
import signal
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from adventure import cli
from adventure.errors import TrainError
from adventure.master import run_command, runs
from adventure.master.runs import Score, Step

STEPS = [Step(n, 1000 * n, 4 / n, 0.25 * n, 1e-3, 2.0) for n in (1, 2, 3, 4)]


@pytest.fixture
def db(tmp_path: Path) -> Path:
    """Two runs, of which the first has ended and was judged."""
    file = tmp_path / "runs.db"
    plan = {"seed": 7, "width": 128, "peak": 0.0025}
    first = runs.begin_run(file, tmp_path / "a", plan, {"device": "cpu", "threads": 1}, 2_000_000)
    runs.record_steps(file, first, STEPS, ended=True)
    scores = [Score("held-out words", "1-20", 0.9, 0.95, 240), Score("lantern", "all", 0.8)]
    runs.record_scores(file, first, scores)
    plan |= {"width": 192}
    second = runs.begin_run(file, tmp_path / "b", plan, {"device": "cpu", "threads": 2}, 5_000_000)
    assert (first, second) == (1, 2)
    return file


def asked(db: Path, *words: str) -> int:
    parser = argparse.ArgumentParser()
    run_command.add_arguments(parser)
    return run_command.run(parser.parse_args(["--db", str(db), *words]))


@pytest.mark.parametrize(
    ("words", "line"), [(("show", "1"), "run "), (("compare", "1", "2"), " "), ((), "run ")]
)
def test_the_program_lists_and_shows_runs(
    db: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], line: str
) -> None:
    assert cli.main(["runs", "--db", str(db), *words]) == 0
    assert capsys.readouterr().out.startswith(line)


Said = Callable[..., list[str]]


@pytest.fixture
def said(db: Path, capsys: pytest.CaptureFixture[str]) -> Said:
    """What `adventure runs` prints, with single spaces."""

    def say(*words: str) -> list[str]:
        assert asked(db, *words) == 0
        return [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]

    return say


def test_what_is_written_is_read_back(db: Path) -> None:
    run = runs.read_run(db, 1)
    assert run.steps == STEPS
    assert [(step, tokens, s.what, s.exact, s.own) for step, tokens, s in run.scores] == [
        (4, 4000, "held-out words", 0.9, 0.95),
        (4, 4000, "lantern", 0.8, None),
    ]
    assert run.about["tokens"] == 4000 and run.about["ended"] >= run.about["started"]
    assert run.about["seed"] == 7 and run.about["configuration"]["width"] == 128
    assert run.about["machine"]["threads"] == 1 and run.about["revision"]


def test_what_came_after_the_step_that_a_run_resumes_from_is_taken_away(db: Path) -> None:
    plan, folder = {"seed": 7, "width": 128}, db.parent / "a"
    runs.record_scores(db, 1, [Score("validation", "all", 0.5)], step=2, tokens=2000)
    assert runs.go_on_with(db, folder, 2, plan, 2000) == 1
    run = runs.read_run(db, 1)
    assert run.steps == STEPS[:2] and [s.what for _, _, s in run.scores] == ["validation"]
    assert run.about["ended"] is None and run.about["tokens"] == 2000
    assert runs.read_run(db, 2).about["configuration"]["width"] == 192
    assert runs.go_on_with(db, db.parent / "elsewhere", 2, plan, 0) is None


def test_scores_of_the_same_kind_are_replaced(db: Path) -> None:
    runs.record_scores(db, 1, [Score("lantern", "all", 0.85)])
    scores = [s for _, _, s in runs.read_run(db, 1).scores if s.what == "lantern"]
    assert [s.exact for s in scores] == [0.85]
    with pytest.raises(TrainError, match=r"has no run 9; it has 1, 2\.$"):
        runs.record_scores(db, 9, [Score("lantern", "all", 1.0)])


def test_a_list_has_a_line_a_run(said: Said, db: Path) -> None:
    head, one, two = said()
    assert head.split()[0] == "run"
    assert " ended 4 4,000 2.0833 0.800 " in one and one.endswith(str(db.parent / "a"))
    assert " open 0 0 - - " in two


def test_one_run_is_shown_whole(said: Said) -> None:
    lines = said("show", "1")
    assert {"parameters 2,000,000", "width 128", "tokens 4,000", "machine: threads 1"} <= {*lines}
    assert "4 4,000 held-out words 1-20 240 0.9000 0.9500" in lines


def test_a_comparison_shows_what_differs(said: Said) -> None:
    lines = said("compare", "1", "2")
    assert lines[0] == "run 1 run 2"
    assert "width 128 192" in lines and "threads 1 2" in lines
    assert "held-out words, 1-20: own 0.9500 -" in lines
    assert not [line for line in lines if line.startswith(("peak", "device"))]


def test_a_run_that_is_dropped_takes_its_steps_and_scores_along(said: Said, db: Path) -> None:
    assert said("drop", "1") == ["Run 1 is forgotten."]
    assert runs.numbers(db) == [2]
    with sqlite3.connect(db) as whole:
        assert whole.execute("SELECT count(*) FROM steps").fetchone() == (0,)
        assert whole.execute("SELECT count(*) FROM scores").fetchone() == (0,)
    assert runs.begin_run(db, db.parent, {"seed": 1}, {}, 1) == 3, "a number stands for one run"


@pytest.mark.parametrize(("kind", "start"), [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_graph_is_drawn(said: Said, db: Path, kind: str, start: bytes) -> None:
    out = db.parent / f"graph.{kind}"
    assert said("graph", "1", "2", "--out", str(out)) == [f"Drawn: {out}"]
    drawn = out.read_bytes()
    assert drawn.startswith(start) and len(drawn) > 10_000


def test_a_graph_without_matplotlib_is_one_sentence(
    db: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(TrainError, match=r"matplotlib, which isn't installed; .*\[graphs\]\"\.$"):
        asked(db, "graph", "1", "--out", str(db.parent / "x.png"))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("show", "3"), r"runs\.db has no run 3; it has 1, 2\."),
        (("compare", "1", "8"), r"has no run 8; it has 1, 2\."),
        (("graph", "1", "--out", "x.gif"), r"x\.gif, which ends in neither \.png nor \.svg"),
        (("graph", "1", "--out", "/dev/null/x.png"), "Can't write the graph /dev/null/x.png: Not"),
    ],
)
def test_mistakes_are_told_in_a_sentence(db: Path, words: tuple[str, ...], sentence: str) -> None:
    with pytest.raises(TrainError, match=sentence):
        asked(db, *words)


def test_a_file_that_is_missing_or_damaged_is_told_and_left_alone(tmp_path: Path) -> None:
    with pytest.raises(
        TrainError, match=r"There are no runs in .*none\.db; give the file with --db"
    ):
        asked(tmp_path / "none.db")
    assert not (tmp_path / "none.db").exists()
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"anything but a database " * 50)
    with pytest.raises(TrainError, match=r"Can't use the file of runs .*broken\.db \(file is not"):
        asked(broken)
    assert broken.read_bytes().startswith(b"anything")


def test_a_program_that_is_killed_while_it_writes_leaves_the_file_whole(db: Path) -> None:
    pid = os.fork()
    if not pid:
        with runs.opened(db) as inside:
            inside.execute("DELETE FROM steps")
            inside.execute("PRAGMA cache_spill = 1")
            rows = [(2, n, n, 0.0, 0.0, 0.0, 0.0) for n in range(200_000)]
            inside.executemany("INSERT INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
            os.kill(os.getpid(), signal.SIGKILL)
    assert os.WTERMSIG(os.waitpid(pid, 0)[1]) == signal.SIGKILL
    assert (db.with_name("runs.db-journal")).exists(), "it had begun to write"
    assert runs.read_run(db, 1).steps == STEPS and runs.read_run(db, 2).steps == []
    with sqlite3.connect(db) as whole:
        assert whole.execute("PRAGMA integrity_check").fetchone() == ("ok",)
