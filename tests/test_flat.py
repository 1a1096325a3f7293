"""Whether turns cost the same however many there were: what is measured, and that it shows."""

from __future__ import annotations

import argparse

import pytest
import torch
from fakes import cottage
from test_consistency import game_of
from tiny import tiny_model

from adventure.errors import TrainError
from adventure.master import flat, gamemaster
from adventure.master.consistency_options import add_arguments, run
from adventure.master.gamemaster import GameMaster
from adventure.master.subjects import NetworkSubject
from adventure.world.prompt import SPECIALS, pack_text
from engine.tokenizer import AnyTokenizer, train_tokenizer


@pytest.fixture
def tokenizer(monkeypatch: pytest.MonkeyPatch) -> AnyTokenizer:
    torch.set_num_threads(1)
    monkeypatch.setattr(gamemaster, "LONGEST_REPLY", 12)
    monkeypatch.setattr(flat, "MARKS", (2, 6))
    monkeypatch.setattr(flat, "_AROUND", 2)
    return train_tokenizer([pack_text(cottage())], 330, SPECIALS)


def test_a_row_is_measured_around_every_mark(tokenizer: AnyTokenizer) -> None:
    master = GameMaster(tiny_model(hints=True, vocab=tokenizer.vocab), tokenizer, cottage())
    game = game_of(NetworkSubject(master), ["look", "inventory"] * 4)
    early, late = flat.measure(master, game)
    assert (early.turn, late.turn) == (2, 6) and game.played == 7
    assert early.turn_of_game in (2, 3) and late.turn_of_game in (6, 7)
    assert min(early.ms_turn, early.ms_token, early.ms_settle, early.to_early) > 0
    parts, _ = master.position_to_file_parts(master.opening())
    assert early.position > sum(tensor.nbytes for tensor in parts.values())
    assert early.resident > 1 << 20 and early.keys == 0
    head, first, second = flat.lines([early, late])
    assert "KB a position" in head and "(1.00)" in first and second.split()[0] == "6"


def test_it_is_an_option_of_eval(
    tokenizer: AnyTokenizer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    monkeypatch.setattr(flat, "load_network", lambda file: (model, tokenizer))
    monkeypatch.setattr("adventure.master.judged.TRAIN_ROOMS", (3, 3))
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args(["--flat", "--turns", "3"])
    assert run(args) == 0
    assert "ms a token" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (["--packs"], "--packs"),
        (["--random", "3"], "--random"),
        (["--games", "2", "--probes", "0"], "--games, --probes"),
        (["--workers", "2"], "--workers"),
        (["--errors", "1"], "--errors"),
        (["--world", "lantern", "--walk", "a.walk"], "--walk"),
        (["--wipe", "state"], "--wipe state"),
        (["--textworld", "a.json", "b.json"], "--textworld with several files"),
    ],
)
def test_what_it_would_ignore_is_a_mistake(given: list[str], named: str) -> None:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    wanted = f"--flat plays one game in one world and would ignore {named}; leave that out."
    with pytest.raises(TrainError) as caught:
        run(parser.parse_args(["--flat", *given]))
    assert str(caught.value) == wanted
