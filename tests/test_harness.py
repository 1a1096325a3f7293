"""lm-eval's adapter: its answers against direct ones, and whole tasks without a network."""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from adventure import cli
from adventure.master import SHIPPED
from adventure.master.harness import table
from engine.checkpoint import load_model
from engine.tokenizer import Tokenizer

TASKS = Path(__file__).parent / "harness"
NEEDS = pytest.mark.skipif(
    importlib.util.find_spec("lm_eval") is None, reason="lm-eval is not installed"
)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.chdir(TASKS)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (TASKS / f"{name}.jsonl").read_text().splitlines()]


def log_probability(context: str, continuation: str) -> float:
    """By the shipped network, the whole text read at once after a line's end."""
    model = load_model(SHIPPED)
    tokenizer = Tokenizer.from_file(SHIPPED.with_name("tokenizer.json"))
    before = tokenizer.encode("\n" + context)
    tokens = tokenizer.encode("\n" + context + continuation)
    assert tokens[: len(before)] == before
    with torch.no_grad():
        logits, _ = model(torch.tensor([tokens]), model.initial_state())
    logs = logits[0].double().log_softmax(-1)
    return sum(float(logs[t - 1, tokens[t]]) for t in range(len(before), len(tokens)))


@NEEDS
def test_every_answer_is_the_direct_one(offline: None) -> None:
    model = importlib.import_module("engine.harness").EngineLM(SHIPPED)
    asked = [(row["context"], choice) for row in rows("choose")[:3] for choice in row["choices"]]
    asked += [(row["context"], row["word"]) for row in rows("last_word")[:2]]
    found = model.loglikelihood([SimpleNamespace(args=pair) for pair in asked])
    for pair, (log, _) in zip(asked, found, strict=True):
        assert log == pytest.approx(log_probability(*pair), abs=1e-3, rel=1e-5)
    text = rows("text")[0]["text"]
    (log,) = model.loglikelihood_rolling([SimpleNamespace(args=(text,))])
    assert log == pytest.approx(log_probability("", text), rel=1e-5)
    row = rows("record")[0]
    options = {"until": ["\n"], "max_gen_toks": 40, "do_sample": False}
    assert model.generate_until([SimpleNamespace(args=(row["context"], options))]) == [row["line"]]
    options["max_gen_toks"] = 1
    (short,) = model.generate_until([SimpleNamespace(args=(row["context"], options))])
    assert row["line"].startswith(short) and short != row["line"]


@NEEDS
def test_lm_eval_finds_the_model_by_its_name(offline: None) -> None:
    importlib.import_module("engine.harness")
    lm_eval = importlib.import_module("lm_eval")
    manager = importlib.import_module("lm_eval.tasks").TaskManager(include_path=str(TASKS))
    found = lm_eval.simple_evaluate(
        model="adventure",
        model_args=f"path={SHIPPED}",
        tasks=["cottage_choose"],
        task_manager=manager,
        limit=4,
    )
    assert found["results"]["cottage_choose"]["acc,none"] == 1.0


@NEEDS
def test_the_command_runs_tasks_of_a_folder(
    offline: None, capsys: pytest.CaptureFixture[str]
) -> None:
    names = "cottage_choose,cottage_last_word,cottage_record,cottage_text"
    assert cli.main(["harness", "--tasks", names, "--include", ".", "--json"]) == 0
    results = json.loads(capsys.readouterr().out)["results"]
    assert results["cottage_choose"]["acc,none"] == 1.0
    assert results["cottage_last_word"]["acc,none"] == 1.0
    assert 1.0 <= results["cottage_last_word"]["perplexity,none"] < 1.1
    assert results["cottage_record"]["exact_match,none"] == 1.0
    assert results["cottage_text"]["bits_per_byte,none"] > 0
    assert cli.main(["harness", "--tasks", "no_such_task", "--include", "."]) == 2
    assert 'no task "no_such_task"' in capsys.readouterr().err


@NEEDS
def test_weights_that_nothing_here_can_hold_are_refused(
    offline: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ADVENTURE_KERNEL", "torch")
    assert cli.main(["harness", "--tasks", "cottage_choose", "--weights", "int8"]) == 2
    assert "as int8 only by the C++ runtime" in capsys.readouterr().err


def test_without_lm_eval_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name="lm_eval")

    adapter = importlib.import_module("adventure.master.harness")
    monkeypatch.setattr(adapter, "importlib", SimpleNamespace(import_module=missing))
    assert cli.main(["harness", "--tasks", "x"]) == 2
    assert "lm_eval is missing; install" in capsys.readouterr().err


def test_a_folder_that_is_not_there_is_the_users_mistake(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["harness", "--tasks", "x", "--include", "no/such/folder"]) == 2
    assert "no folder no/such/folder" in capsys.readouterr().err


def test_the_table_has_a_line_a_figure() -> None:
    figures = {"alias": "t", "acc,none": 0.5, "acc_stderr,none": 0.1, "f1,none": 0.25}
    lines = table({"t": figures}).splitlines()
    assert [line.split() for line in lines] == [
        ["t", "acc", "0.5000", "±", "0.1000"],
        ["t", "f1", "0.2500"],
    ]
