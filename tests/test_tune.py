"""`adventure tune`: a killed run goes on to the same bits; what learns, and what is saved."""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from adventure.errors import TrainError
from adventure.master import runs, starting, training, tune
from adventure.master.corpus import corpus_tokenizer
from adventure.master.tune_options import add_arguments
from engine import load_model
from engine.errors import UserError
from engine.rwkv.network import Network
from engine.tokenizer import Tokenizer

SIZES = "--width 64 --layers 1 --worlds 1 --segments 1 --recall 1".split()
TRAIN = """
import sys
sys.path.insert(0, sys.argv.pop(1))
from test_tune import arguments, small_worlds, tune
small_worlds(lambda module, name, value: setattr(module, name, value))
sys.exit(tune.run(arguments(*sys.argv[1:])))
"""


@cache
def small_tokenizer() -> Tokenizer:
    return corpus_tokenizer(900, worlds=8)


def small_worlds(change) -> None:  # type: ignore[no-untyped-def]
    """A vocabulary that is learned quickly, small worlds and short segments."""
    change(tune, "corpus_tokenizer", lambda vocab: small_tokenizer())
    change(tune, "LONGEST", 200)
    change(tune, "SIZES", ((3, 3),))
    change(tune, "VALIDATED", 2)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_worlds(monkeypatch.setattr)


def arguments(*options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return parser.parse_args([*SIZES, *options])


def tuned(out: Path, *options: str) -> str:
    """What `adventure tune` logs."""
    assert tune.run(arguments("--out", str(out), *options)) == 0
    return (out / "log.txt").read_text()


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint to start from, trained for no step."""
    out = tmp_path_factory.mktemp("base") / "run"
    with pytest.MonkeyPatch.context() as patch:
        small_worlds(patch.setattr)
        tuned(out, "--steps", "1", "--minutes", "1e-9")
    return out / "master.safetensors"


class Killed(BaseException):
    """Ends a run as SIGKILL does: nothing is saved on the way out."""


@contextlib.contextmanager
def killed_at(step: int) -> Iterator[None]:
    """A run inside is killed after that step, and an error if it never comes there."""
    update = training.Trainer.update

    def mortal(self: training.Trainer, losses: object) -> tuple[float, float]:
        if self.step == step:
            raise Killed
        return update(self, losses)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training.Trainer, "update", mortal)
        yield


# -- killed, stopped, resumed ---------------------------------------------------------------------


def learned(out: Path) -> dict[str, torch.Tensor]:
    whole = torch.load(out / "run.pt", weights_only=True)
    moments = {
        f"{i} {p} {name}": value
        for i, optimizer in enumerate(whole["optimizers"])
        for p, state in optimizer["state"].items()
        for name, value in state.items()
    }
    return whole["model"] | moments | {"step": torch.tensor(whole["step"])}


def begun(out: Path, *options: str) -> subprocess.Popen[str]:
    command = (
        sys.executable,
        "-c",
        TRAIN,
        str(Path(__file__).parent),
        *("--out", str(out)),
        *options,
    )
    return subprocess.Popen(
        command,
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        text=True,
        stderr=subprocess.STDOUT,
    )


def await_line(process: subprocess.Popen[str], text: str) -> None:
    assert process.stdout is not None
    seen = []
    for line in process.stdout:
        seen.append(line)
        if text in line:
            return
    raise AssertionError("".join(seen))


def test_a_run_that_is_killed_at_any_moment_ends_in_the_same_bits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed while it saves, and between saves; what was written after the last save is redone."""
    monkeypatch.setattr(training, "SHOWN", 1)
    options = ("--steps", "12", "--save-every", "3", "--save-minutes", "0")
    straight, killed = tmp_path / "straight" / "run", tmp_path / "killed" / "run"
    tuned(straight, *options)
    process = begun(killed, *options)
    await_line(process, "held-out words")  # step 3 was saved
    deadline = time.monotonic() + 60
    # With the temporary file of a save there, one is being written now.
    while not (killed / "run.tmp").exists() and process.poll() is None:
        assert time.monotonic() < deadline
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    first = learned(killed)["step"]
    assert 3 <= first <= 12
    if first < 7:
        with killed_at(7):
            tuned(killed, "--resume", "--save-every", "3")
    tuned(killed, "--resume", "--save-every", "3")
    one, other = learned(straight), learned(killed)
    assert one.keys() == other.keys() and one["step"] == 12
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    ours, theirs = (load_file(out / "master.safetensors") for out in (straight, killed))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    rows = [runs.read_run(out.parent / "runs.db", 1).steps for out in (straight, killed)]
    assert [s.step for s in rows[0]] == [s.step for s in rows[1]] == [*range(1, 13)]
    assert [s.loss for s in rows[0]] == [s.loss for s in rows[1]]


@pytest.mark.parametrize(("kind", "status"), [(signal.SIGTERM, 0), (signal.SIGINT, 130)])
def test_a_run_that_is_asked_to_stop_saves_and_says_so(
    tmp_path: Path, kind: signal.Signals, status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    update = training.Trainer.update

    def asked(self: training.Trainer, losses: object) -> tuple[float, float]:
        if self.step == 2:
            os.kill(os.getpid(), kind)
        return update(self, losses)  # type: ignore[arg-type]

    monkeypatch.setattr(training.Trainer, "update", asked)
    before = signal.getsignal(kind)
    out = tmp_path / "run"
    assert tune.run(arguments("--out", str(out), "--steps", "9")) == status
    assert "stopped at step 3; go on with --resume" in (out / "log.txt").read_text()
    assert learned(out)["step"] == 3 and signal.getsignal(kind) == before
    (run,) = [runs.read_run(tmp_path / "runs.db", 1)]
    assert len(run.steps) == 3 and run.about["ended"] is None


def test_on_a_full_disk_the_last_checkpoint_stays(tmp_path: Path) -> None:
    out = tmp_path / "run"
    tuned(out, "--steps", "2")
    before = (out / "run.pt").read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, limits[1]))
    try:
        with pytest.raises(TrainError, match=r"^Can't save step 3 in .*; make room, then go on wi"):
            tuned(out, "--resume", "--steps", "3")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, ignored)
    assert (out / "run.pt").read_bytes() == before
    assert sorted(p.name for p in out.iterdir()) == sorted(
        ["log.txt", "master.safetensors", "plan.json", "run.pt", "tokenizer.json"]
    )
    assert "resumed at step 2" in tuned(out, "--resume", "--steps", "3")


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().split()[2] != "Z"
    except OSError:
        return False


def test_a_worker_ends_with_the_program(tmp_path: Path) -> None:
    process = begun(tmp_path / "run", "--steps", "500", "--workers", "2", "--save-every", "1")
    await_line(process, "held-out words")
    listed = f"/proc/{process.pid}/task/{process.pid}/children"
    children = [int(pid) for pid in Path(listed).read_text().split()]
    process.kill()
    process.communicate()  # which waits for all that hold its end of the pipe
    assert len(children) >= 2
    deadline = time.monotonic() + 20
    while any(lives(pid) for pid in children):
        assert time.monotonic() < deadline
        time.sleep(0.02)


# -- the command ----------------------------------------------------------------------------------


def test_a_run_from_the_command_line_stops_and_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "run"
    log = tuned(out, "--steps", "2", "--save-every", "2")
    assert "recall 0" in log and "2 steps" in log
    assert "wrong [" in log and "held-out words, exact turns 0/" in log
    with pytest.raises(TrainError, match="holds a run already; add --resume"):
        tuned(out)
    log = tuned(out, "--resume", "--steps", "3")
    assert "resumed at step 2" in log
    seen = [line.split() for line in log.splitlines() if " after " in line]
    assert [int(words[-2].replace(",", "")) > 0 for words in seen] == [True, True]
    model = load_model(out / "master.safetensors")
    assert model.config.hints is not None and model.config.tied
    assert json.loads((out / "plan.json").read_text())["steps"] == 3
    run = runs.read_run(tmp_path / "runs.db", 1)
    assert [step.step for step in run.steps] == [1, 2, 3] and run.about["ended"]
    assert [(step, s.what, s.exact) for step, _, s in run.scores] == [(2, "validation", 0)]
    assert run.about["tokens"] == run.steps[-1].tokens > run.steps[0].tokens > 0
    (out / "run.pt").write_bytes(b"half")
    with pytest.raises(TrainError, match=r"run\.pt is damaged, or of another version"):
        tuned(out, "--resume")
    (out / "plan.json").write_text('{"spoons": 3}')
    with pytest.raises(TrainError, match="begun by another version, which knows of 'spoons'; go"):
        tuned(out, "--resume")
    for text in ("{", "3", "null"):
        (out / "plan.json").write_text(text)
        with pytest.raises(TrainError, match=r"plan\.json is damaged"):
            tuned(out, "--resume")


def test_the_log_says_how_far_a_run_is_in_what_it_is_as_long_as(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "SHOWN", 1)
    by_steps = tuned(tmp_path / "a" / "run", "--steps", "2")
    assert re.findall(r"] (step .*) loss", by_steps) == ["step 1/2", "step 2/2"]
    by_tokens = tuned(tmp_path / "b" / "run", "--tokens", "9000")
    rows = runs.read_run(tmp_path / "b" / "runs.db", 1).steps
    assert len(rows) > 1 and rows[-1].tokens > 9000  # a run ends with a whole step, at 100%
    shares = [f"step {s.step}, {min(s.tokens, 9000) / 90:.1f}% of its tokens," for s in rows]
    assert re.findall(r"] (step .*) loss", by_tokens) == shares


def test_a_file_of_runs_that_breaks_ends_no_run(tmp_path: Path) -> None:
    out = tmp_path / "run"
    tuned(out, "--steps", "1")
    (tmp_path / "runs.db").write_bytes(b"no database at all" * 100)
    with pytest.raises(TrainError, match="Can't use the file of runs"):
        tuned(out, "--resume", "--steps", "2")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--width", "65"], "--width is 65; it must be a multiple of 64."),
        (["--width", "0"], "--width is 0; it must be at least 64."),
        (["--worlds", "0"], "--worlds is 0; it must be at least 1."),
        (["--segments", "0"], "--segments is 0; it must be at least 1."),
        (["--save-every", "0"], "--save-every is 0; it must be at least 1."),
        (["--vocab", "100"], "--vocab is 100; it must be at least 512."),
        (["--steps", "0"], "--steps is 0; it must be at least 1."),
        (["--steps", "3", "--tokens", "9"], "--steps and --tokens both say where a run ends; .*"),
        (["--minutes", "-3"], "--minutes is -3.0; it must be at least 0."),
        (["--save-minutes", "nan"], "--save-minutes is nan; it must be at least 0."),
        (["--recall", "-1"], "--recall is -1; it must be at least 0."),
        (["--ema", "1"], "--ema is 1.0; it must be 0 or above, and below 1."),
        (["--learn", "state"], "--learn and --merge need --init: .*"),
        (["--device", "cuda"], "--device is cuda, but torch finds no GPU here; leave it out."),
        (["--resume"], "There is no run to resume in .*; leave out --resume to begin one."),
        (["--out", "/dev/null/run"], "Can't make the folder /dev/null/run: Not a directory."),
    ],
)
def test_mistakes_on_the_command_line(
    tmp_path: Path, options: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(TrainError, match=f"^{said}$"):
        tuned(tmp_path, *options)


def test_a_resumed_run_refuses_another_length_than_it_can_have(tmp_path: Path) -> None:
    by_steps, by_tokens = tmp_path / "steps", tmp_path / "tokens"
    tuned(by_steps, "--steps", "1")
    tuned(by_tokens, "--tokens", "300")
    before = (by_tokens / "plan.json").read_text()
    for out, options, said in (
        (by_steps, ("--tokens", "300"), "--tokens is 300, .* was begun without --tokens and goes"),
        (by_tokens, ("--tokens", "900"), "--tokens is 900, .* was begun with --tokens 300 and go"),
        (by_tokens, ("--tokens", "0"), "--tokens is 0, but .* was begun with --tokens 300 and go"),
        (by_tokens, ("--steps", "9"), "--steps is 9, but the run in .* ends after 300 tokens; le"),
    ):
        with pytest.raises(TrainError, match=f"^{said}[^.]*\\.$"):
            tuned(out, "--resume", *options)
    assert (by_tokens / "plan.json").read_text() == before
    assert "resumed at step" in tuned(by_tokens, "--resume", "--tokens", "300")


def test_attention_is_averaged_too(tmp_path: Path) -> None:
    out = tmp_path / "run"
    tuned(out, "--core", "attention", "--ema", "0.5", "--steps", "2", "--save-every", "1")
    saved, last = load_file(out / "master.safetensors"), learned(out)
    assert saved.keys() <= last.keys()
    assert not torch.equal(saved["emb.weight"].float(), last["emb.weight"].half().float())


# -- a checkpoint of one's own --------------------------------------------------------------------


def changed(before: Network, after: Network) -> set[str]:
    one, other = before.state_dict(), after.state_dict()
    zeros = {n: torch.zeros_like(t) for n, t in other.items() if n not in one}
    return {n for n, t in other.items() if not torch.equal(t, (one | zeros)[n])}


def wanted(model: Network, learn: str) -> set[str]:
    names = {n for n, _ in model.named_parameters()}
    if learn == "state":
        return {f"blocks.{i}.att.time_state" for i in range(model.config.n_layer)}
    if learn == "adapter":
        ends = ("receptance", "key", "value", "output")
        return {n for n in names if n.startswith("blocks.") and n.split(".")[-2] in ends}
    return names


@pytest.mark.parametrize("learn", ["all", "adapter", "state"])
def test_exactly_what_is_to_learn_changes(tmp_path: Path, master: Path, learn: str) -> None:
    out, base = tmp_path / "run", load_model(master)
    options = ("--init", str(master), "--learn", learn, "--rank", "2", "--save-every", "2")
    options = (*options, "--peak", "0.5")  # far off, for what learns only once others have
    log = tuned(out, "--steps", "3", *options)
    assert "recall" not in log and "held-out words" in log
    made = load_model(out / "master.safetensors")
    assert made.config.hints == base.config.hints
    if learn == "all":  # told by full precision: small steps vanish in a file of float16
        made.load_state_dict(torch.load(out / "run.pt", weights_only=True)["model"])
    assert changed(base, made) == wanted(made, learn)
    assert (out / f"{learn}.safetensors").exists() == (learn != "all")
    assert (out / "tokenizer.json").read_text() == master.with_name("tokenizer.json").read_text()
    log = tuned(out, "--resume", "--steps", "4")
    assert "resumed at step 3" in log
    if learn == "all":
        return
    part = out / f"{learn}.safetensors"
    assert part.stat().st_size < master.stat().st_size / 10
    with pytest.raises(TrainError, match="with --merge it is a file, NAME"):
        tune.run(arguments("--init", str(master), "--merge", str(part), "--out", str(tmp_path)))
    merged = tmp_path / "merged.safetensors"
    assert (
        tune.run(arguments("--init", str(master), "--merge", str(part), "--out", str(merged))) == 0
    )
    again, played = load_model(merged), load_model(out / "master.safetensors")
    for name, weight in played.state_dict().items():  # which were rounded to float16
        assert torch.equal(again.state_dict()[name].half().float(), weight), name
    other = tmp_path / "run" / "master.safetensors"
    with pytest.raises(UserError, match="was made for another checkpoint than"):
        tune.run(arguments("--init", str(other), "--merge", str(part), "--out", str(merged)))


def test_an_adapter_resumes_to_the_same_bits_on_its_base_alone(
    tmp_path: Path, master: Path
) -> None:
    options = ("--init", str(master), "--learn", "adapter", "--ema", "0.5", "--steps", "4")
    straight, parted = tmp_path / "a" / "run", tmp_path / "b" / "run"
    tuned(straight, *options)
    tuned(parted, *options, "--minutes", "1e-9")
    assert learned(parted)["step"] == 0
    tuned(parted, "--resume")
    one, other = learned(straight), learned(parted)
    assert one["step"] == 4 and all(torch.equal(one[name], other[name]) for name in one)
    plan = json.loads((parted / "plan.json").read_text())
    (parted / "plan.json").write_text(json.dumps(plan | {"base": "another"}))
    with pytest.raises(TrainError, match="was changed since the run began; put it back"):
        tuned(parted, "--resume")


def test_a_checkpoint_that_no_game_can_be_told_with_is_refused(
    tmp_path: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "master.safetensors"
    file.write_bytes(master.read_bytes())
    with pytest.raises(UserError, match="holds no tokenizer"):
        tuned(tmp_path / "a", "--init", str(file))
    text = master.with_name("tokenizer.json").read_text()
    file.with_name("tokenizer.json").write_text(text.replace("<|when|>", "<|then|>"))
    with pytest.raises(UserError, match=r"no special token '<\|when\|>'"):
        tuned(tmp_path / "a", "--init", str(file))
    file.with_name("tokenizer.json").write_text(text)

    def narrow(tokenizer: object) -> None:
        raise ValueError("' so' takes 2 tokens, wanted 1")

    monkeypatch.setattr(starting, "hint_config", narrow)
    with pytest.raises(TrainError, match=r"^The tokenizer of .* has other words: ' so' takes 2"):
        tuned(tmp_path / "a", "--init", str(file))
    assert not (tmp_path / "a" / "run.pt").exists()


def test_a_network_without_matrices_has_no_state_to_tune(tmp_path: Path, master: Path) -> None:
    from tiny import tiny_model

    from engine.adapters import prepare

    with pytest.raises(UserError, match="RWKV-4 has no matrices to tune as a first state"):
        prepare(tiny_model(generation="4"), "state")
    save_file({"x": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(UserError, match="is neither an adapter nor a tuned state"):
        tune.run(
            arguments(
                *("--init", str(master), "--merge", str(tmp_path / "x.safetensors")),
                *("--out", str(tmp_path / "y.safetensors")),
            )
        )
