"""`adventure bench referee`: what it prints, and that a fault would make it fail."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from adventure.cli import main
from adventure.referee import bench
from adventure.referee.bench import PLAYERS
from adventure.world.pack import list_worlds


def test_bench_prints_a_rate_for_every_player_and_pack(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_PACK_TURNS", 20)
    assert main(["bench", "referee", "--worlds", "2", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["referee"]
    assert len(rows) >= 1 + len(PLAYERS) + len(list_worlds())
    assert all(row["rate"] > 0 for row in rows)
    assert rows[0]["what"] == "play, 2 random worlds"


def test_check_fails_where_something_is_wrong(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def grumble(*_: object) -> Iterator[str]:
        yield "the tea is cold"

    monkeypatch.setattr(bench, "faults_of", grumble)
    assert bench.check(worlds=2, turns=3) == 3
    assert "random world 1" in (said := capsys.readouterr().out)
    assert "the tea is cold" in said and "3 turns in 2 random worlds, 3 faults" in said
    monkeypatch.setattr(bench, "check", lambda worlds, turns: worlds == 1000 and turns == 100_000)
    assert main(["bench", "referee", "--check"]) == 1
