"""`adventure verify`: passes on networks that are right, and says so where one isn't."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import GENERATIONS, tiny_model

from adventure import cli
from engine.checkpoint import save_model
from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.verify import _distance

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `adventure ...`: its exit status, standard output and error."""

    def runs(*arguments: str) -> tuple[int, str, str]:
        threads = torch.get_num_threads()
        try:
            status = cli.main(arguments)
        finally:
            torch.set_num_threads(threads)
        return status, *capsys.readouterr()

    return runs


def disagree(
    monkeypatch: pytest.MonkeyPatch, change: Callable[[Any, State, str], tuple[Any, State]]
) -> None:
    """Every forward pass goes on through `change`."""
    right = Network.forward

    def forward(self: Network, tokens: Any, state: State, mode: Any = "gpt", **more: Any) -> Any:
        logits, after = right(self, tokens, state, mode, **more)
        return change(logits, after, mode)

    monkeypatch.setattr(Network, "forward", forward)


@pytest.mark.slow
def test_the_shipped_game_master_passes(run: Run) -> None:
    status, out, err = run("verify", "--json")
    report = json.loads(out)
    assert (status, err, report["passed"]) == (0, "", True)
    assert all(check["found"] <= check["allowed"] for check in report["checks"])
    words = " ".join(check["what"] for check in report["checks"])
    for part in ("47 splits", "1,000 greedy", "exact", "snapshot", "float64", "a row among three"):
        assert part in words


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_generation_passes(generation: str, run: Run, tmp_path: Path) -> None:
    save_model(tiny_model(generation=generation), tmp_path / "m.safetensors", {})
    status, out, _ = run("verify", "--quick", str(tmp_path / "m.safetensors"))
    assert status == 0, out
    assert out.endswith("All checks passed.\n") and "FAILED" not in out


def test_a_mode_that_is_a_little_off_is_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    disagree(
        monkeypatch,
        lambda logits, state, mode: (logits * (1 + 1e-5 * (mode == "gpt")), state),
    )
    status, out, err = run("verify", "--quick")
    assert status == 1 and err == ""
    failed = [line for line in out.splitlines() if line.endswith("FAILED")]
    assert any("torch, apart: gpt and rnn mode" in line for line in failed)
    assert not any(line.startswith("numbers changed") for line in failed)


def test_a_state_that_a_forward_pass_writes_into_is_noticed(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = Network.forward

    def forward(self: Network, tokens: Any, state: State, *args: Any, **more: Any) -> Any:
        given = right(self, tokens, state, *args, **more)
        state.tensors["att_x"].add_(1)
        return given

    monkeypatch.setattr(Network, "forward", forward)
    status, out, _ = run("verify", "--quick")
    (line,) = [line for line in out.splitlines() if line.startswith("numbers changed")]
    assert status == 1 and line.endswith("FAILED")


def test_logits_that_are_not_numbers_are_noticed(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    disagree(monkeypatch, lambda logits, state, mode: (logits * float("nan"), state))
    status, out, _ = run("verify", "--quick")
    assert status == 1 and "FAILED" in out
    (line,) = [line for line in out.splitlines() if line.startswith("gpt mode as in training")]
    assert " nan " in line and line.endswith("FAILED")
    report = json.loads(run("verify", "--quick", "--json")[1], parse_constant=pytest.fail)
    assert report["passed"] is False


def test_equal_sums_under_other_exponents_are_equal() -> None:
    model = tiny_model(generation="4")
    with torch.no_grad():
        logits, state = model(torch.tensor([[1, 2, 3]]), model.initial_state())
    t = state.tensors
    other = State({**t, "num": t["num"] * 2, "den": t["den"] * 2, "exp": t["exp"] - 1})
    assert _distance((logits, other), (logits, state)) == 0
    wrong = State({**t, "exp": t["exp"] - 1})
    assert _distance((logits, wrong), (logits, state)) > 0.1


@pytest.mark.parametrize("content", [b"", b"no network at all"])
def test_a_bad_file_is_the_users_mistake(content: bytes, run: Run, tmp_path: Path) -> None:
    (tmp_path / "bad.safetensors").write_bytes(content)
    status, out, err = run("verify", str(tmp_path / "bad.safetensors"))
    assert status == 2 and out == "" and err.count("\n") == 1 and "bad.safetensors" in err
    assert run("verify", str(tmp_path / "missing.pth"))[0] == 2
