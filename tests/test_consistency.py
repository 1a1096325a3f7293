"""The consistency benchmark's own arithmetic, and the mistakes it can be called with."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest
from mill import mill

from adventure.errors import TrainError
from adventure.master.consistency import WINDOWS, Report, _kind, read_walk, run
from adventure.master.consistency_options import add_arguments
from adventure.referee.rules import play, start


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
    for turn, exact in ((1, True), (20, False), (21, True), (10_000, True)):
        report.note(turn, "take", exact, own=True)
    windows = report.figures()["windows"]
    assert windows["1-20"] == {"turns": 2, "exact": 0.5, "exact_by_own_records": 1.0}
    assert windows["all"]["exact"] == 0.75
    assert windows["1001-10000"]["turns"] == 1
    assert report.figures()["kinds"] == {"take": {"turns": 4, "exact": 0.75}}
    assert "75.00%" in report.table()


def test_an_empty_list_is_a_kind_of_its_own() -> None:
    world, records = mill(), start(mill())
    assert _kind(play(world, records, "inventory")) == "inventory"
    assert _kind(play(world, records, "score")) == "score (empty)"
    empty = play(world, records, "drop wax candle").records
    assert _kind(play(world, empty, "inventory")) == "inventory (empty)"


def test_a_walk_is_read_as_commands(tmp_path: Path) -> None:
    file = tmp_path / "a.walk"
    file.write_text("# why\n\nn\nget the key cup\n")
    with pytest.raises(TrainError, match="'get the key cup' is no command of this world: You"):
        read_walk(file, mill())
    file.write_text("# why\n\nn\nx cup\n")
    assert read_walk(file, mill()) == ["go north", "examine silver cup"]
    file.write_text("open oak door with brass key\n")
    assert read_walk(file, mill()) == ["unlock oak door with brass key", "open oak door"]
    file.write_text("# nothing\n")
    with pytest.raises(TrainError, match="holds no command"):
        read_walk(file, mill())
    with pytest.raises(TrainError, match="Can't read the walk"):
        read_walk(tmp_path / "none.walk", mill())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--games", "0"], "--games must be at least 1, --random and --threads at least 0."),
        (["--threads", "-1"], "--games must be at least 1, --random and --threads at least 0."),
        (["--turns", "0"], "--turns is 0; it must be from 1 to 10000."),
        (["--turns", str(WINDOWS[-1][1] + 1)], "--turns is 10001; it must be from 1 to 10000."),
    ],
)
def test_mistakes_on_the_command_line(options: list[str], said: str) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    with pytest.raises(TrainError, match=f"^{said}$"):
        run(parser.parse_args(options))
