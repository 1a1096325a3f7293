"""Training: the loss, the schedule, and that a run which was stopped goes on just the same."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import torch
from tiny import tiny_model, tiny_tokens
from torch import Tensor
from torch.nn import functional as F

from adventure.errors import TrainError
from adventure.master import tune
from adventure.master.corpus import corpus_tokenizer
from adventure.master.tune_options import add_arguments
from engine import load_model
from engine.train import Schedule, Trainer, masked_loss

SCHEDULE = Schedule(steps=100, peak=1e-2, warmup=10, decay=0.2)


# -- rate ------------------------------------------------------------------------------------------


def test_rate_rises_stays_and_falls_to_a_tenth() -> None:
    rates = [SCHEDULE.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([1e-3 * n for n in range(1, 11)])
    assert rates[10:81] == [1e-2] * 71
    falling = rates[81:]
    assert falling == sorted(falling, reverse=True)
    assert rates[90] == pytest.approx(5e-3)
    assert rates[99] == pytest.approx(1e-3) == SCHEDULE.rate(100) == SCHEDULE.rate(5000)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_rate_of_a_very_short_run_is_a_rate(steps: int) -> None:
    assert all(0 < Schedule(steps).rate(step) <= 2e-3 for step in range(steps + 1))


# -- loss ------------------------------------------------------------------------------------------


def said_at(tokens: Tensor, *places: tuple[int, int]) -> Tensor:
    said = torch.zeros_like(tokens, dtype=torch.bool)
    for place in places:
        said[place] = True
    return said


def test_loss_is_of_what_is_said_next_and_of_nothing_else() -> None:
    model, tokens = tiny_model(), tiny_tokens(2, 20)
    said = said_at(tokens, (0, 3), (0, 18), (1, 7))
    logits, _ = model(tokens, model.initial_state(2))
    rows, targets = logits[said], torch.stack([tokens[0, 4], tokens[0, 19], tokens[1, 8]])
    loss, right = masked_loss(model, tokens, said, None)
    assert loss.item() == pytest.approx(F.cross_entropy(rows, targets).item(), rel=1e-5)
    assert right.tolist() == (rows.argmax(-1) == targets).tolist()


def test_where_nothing_is_said_nothing_is_learned() -> None:
    """The mean over no token would be NaN, and one NaN in the weights ends a run."""
    model, tokens = tiny_model(hints=True).train(), tiny_tokens(1, 12)
    none = torch.zeros((1, 12, 7), dtype=torch.int64)
    loss, right = masked_loss(model, tokens, said_at(tokens), (none, none))
    loss.backward()
    assert loss.item() == 0 and not len(right)
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())
    update = partial(masked_loss, model, tokens, said_at(tokens), (none, none))
    assert Trainer(model, SCHEDULE).update(update) == (0, 1)
    assert all(p.isfinite().all() for p in model.parameters())


# -- runs ------------------------------------------------------------------------------------------


def batch(step: int, model: torch.nn.Module) -> Callable[[], tuple[Tensor, Tensor]]:
    """The loss on batch number `step`."""
    tokens = tiny_tokens(2, 24, seed=step)
    said = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(step)) < 0.5
    return partial(masked_loss, model, tokens, said, None)


def trainer(seed: int = 0) -> Trainer:
    return Trainer(tiny_model(seed=seed).train(), SCHEDULE)


def weights_and_moments(of: Trainer) -> list[Tensor]:
    moments = [t for state in of.optimizer.state.values() for t in state.values()]
    return [*of.model.state_dict().values(), *moments]


def test_a_resumed_run_is_the_same_to_the_bit(tmp_path: Path) -> None:
    straight = trainer()
    figures = [straight.update(batch(step, straight.model)) for step in range(6)]
    stopped = trainer()
    for step in range(3):
        stopped.update(batch(step, stopped.model))
    stopped.save(tmp_path / "run.pt", {"tokens": 123})
    resumed = trainer(seed=9)
    assert resumed.load(tmp_path / "run.pt") == {"tokens": 123}
    assert resumed.step == 3
    again = [resumed.update(batch(step, resumed.model)) for step in range(3, 6)]
    assert again == figures[3:]
    pairs = zip(weights_and_moments(resumed), weights_and_moments(straight), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)


def test_training_learns() -> None:
    one = trainer()
    first, _ = one.update(batch(0, one.model))
    for _ in range(30):
        last, right = one.update(batch(0, one.model))
    assert last < first / 2 and 0 < right <= 1


def test_only_matrices_decay_and_everything_is_trained() -> None:
    one = trainer()
    decayed, rest = (group["params"] for group in one.optimizer.param_groups)
    assert {id(p) for p in (*decayed, *rest)} == {id(p) for p in one.model.parameters()}
    assert all(p.dim() == 2 for p in decayed) and one.model.emb.weight in set(decayed)
    assert [g["weight_decay"] > 0 for g in one.optimizer.param_groups] == [True, False]


def test_a_checkpoint_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, file = trainer(), tmp_path / "run.pt"
    one.save(file, {"tokens": 1})
    before = file.read_bytes()

    def fail(whole: object, to: object) -> None:
        to.write(b"half")  # type: ignore[attr-defined]
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space"):
        one.save(file, {"tokens": 2})
    assert file.read_bytes() == before


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vocabulary that is learned quickly, and short segments."""
    monkeypatch.setattr(tune, "corpus_tokenizer", lambda vocab: corpus_tokenizer(800, worlds=20))
    monkeypatch.setattr(tune, "LONGEST", 700)
    monkeypatch.setattr(tune, "CLASSES", ((3, 3),))


def tuned(out: Path, *options: str) -> str:
    """What `adventure tune` logs."""
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    sizes = ("--width", "64", "--layers", "1", "--batch", "1", "--recall", "1")
    assert tune.run(parser.parse_args(["--out", str(out), *sizes, *options])) == 0
    return (out / "log.txt").read_text()


def test_a_run_from_the_command_line_stops_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    log = tuned(out, "--steps", "2")
    assert "recall 0" in log and "2 steps" in log
    with pytest.raises(TrainError, match="holds a run already; add --resume"):
        tuned(out)
    log = tuned(out, "--resume", "--steps", "3")
    assert "resumed at step 2" in log
    seen = [line.split() for line in log.splitlines() if " after " in line]
    assert [int(words[-2].replace(",", "")) > 0 for words in seen] == [True, True]
    model = load_model(out / "master.safetensors")
    assert model.config.hints is not None and model.config.tied
    assert json.loads((out / "plan.json").read_text())["steps"] == 3
    (out / "run.pt").write_bytes(b"half")
    with pytest.raises(TrainError, match=r"run\.pt is damaged"):
        tuned(out, "--resume")
    (out / "plan.json").write_text('{"depth": 3}')
    with pytest.raises(TrainError, match=r"plan\.json is damaged"):
        tuned(out, "--resume")
    again = tmp_path / "again"
    assert "recall" not in tuned(again, "--steps", "1", "--init", str(out / "master.safetensors"))
    with pytest.raises(TrainError, match="a network of another shape; give its --layers"):
        tuned(tmp_path / "c", "--init", str(out / "master.safetensors"), "--layers", "2")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--width", "65"], "--width is 65; it must be a multiple of 64."),
        (["--width", "0"], "--width is 0; it must be at least 64."),
        (["--batch", "0"], "--batch is 0; it must be at least 1."),
        (["--vocab", "100"], "--vocab is 100; it must be at least 512."),
        (["--steps", "0"], "--steps is 0; it must be at least 1."),
        (["--resume"], "There is no run to resume in .*; leave out --resume to begin one."),
        (["--out", "/dev/null/run"], "Can't make the folder /dev/null/run: Not a directory."),
    ],
)
def test_mistakes_on_the_command_line(tmp_path: Path, options: list[str], said: str) -> None:
    with pytest.raises(TrainError, match=f"^{said}$"):
        tuned(tmp_path, *options)


def test_recall_asks_for_the_value_of_each_key_once() -> None:
    tokens, said = tune.recall_batch(24, 600, 5, torch.Generator().manual_seed(1), batch=3)
    assert tokens.shape == said.shape == (3, 20)
    assert said.sum(1).tolist() == [5, 5, 5]
    for row, asked in zip(tokens.tolist(), said.tolist(), strict=True):
        pairs = dict(zip(row[0:10:2], row[1:10:2], strict=True))
        assert len(pairs) == 5
        answers = {row[t]: row[t + 1] for t in range(20) if asked[t]}
        assert answers == pairs
    assert tokens.min() >= 8 and tokens.max() < 600, "marks take no part"
