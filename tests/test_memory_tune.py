"""`adventure tune` with a latent memory: chains that grow, runs that resume, what learns alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from test_tune import arguments, killed_at, learned, small_worlds, tuned

from adventure.errors import TrainError
from adventure.master import training, tune
from adventure.master.chains import Chain, chain_loss
from adventure.master.corpus import Group
from adventure.master.tune_options import Plan
from engine import load_model
from engine.errors import UserError
from engine.memoryconfig import MemoryConfig
from engine.rwkv.network import Network
from engine.segments import Latent, Start

Losses = tuple[torch.Tensor, torch.Tensor]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    small_worlds(monkeypatch.setattr)


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint without a memory, trained for no step."""
    out = tmp_path_factory.mktemp("base") / "run"
    with pytest.MonkeyPatch.context() as patch:
        small_worlds(patch.setattr)
        tuned(out, "--steps", "1", "--minutes", "1e-9")
    return out / "master.safetensors"


def test_chains_grow_to_their_length_at_the_middle_of_a_run() -> None:
    plan = Plan(steps=100, chain=4)
    assert [tune.chain_length(step, plan) for step in (0, 16, 17, 33, 34, 50, 99)] == [
        *(2, 2, 3, 3, 4, 4, 4)
    ]
    assert {tune.chain_length(step, replace(plan, chain=2)) for step in range(100)} == {2}


def test_every_second_world_has_chains_of_each_kind_of_words(master: Path) -> None:
    plan = Plan(worlds=2, segments=4, chain=2, steps=10)
    tokenizer = str(master.with_name("tokenizer.json"))
    batches = [tune._work(tokenizer, step, plan) for step in range(3)]
    assert [[type(b) for b in batch] for batch in batches] == [[Group, Chain]] * 3
    begun = []
    for _, chain in batches:
        assert isinstance(chain, Chain)
        assert len(chain.segments) == 2 and len(chain.lengths[0]) == 2  # games
        begun.append(chain)
    alone = [tune._work(tokenizer, step, replace(plan, chain=0)) for step in range(3)]
    assert all(isinstance(group, Group) for batch in alone for group in batch)
    again = tune._work(tokenizer, 1, plan)[1]
    assert isinstance(again, Chain)
    assert (again.segments[1].tokens == begun[1].segments[1].tokens).all()


def test_a_killed_run_with_chains_goes_on_to_the_same_bits(tmp_path: Path, master: Path) -> None:
    options = ("--init", str(master), "--memory", "fsq", "--gate", "elephant", "--pause", "1")
    options = (*options, "--slots", "3", "--chain", "3", "--steps", "5", "--save-every", "2")
    straight, killed = tmp_path / "straight" / "run", tmp_path / "killed" / "run"
    tuned(straight, *options)
    with killed_at(3):
        tuned(killed, *options)
    tuned(killed, "--resume", "--save-every", "2")
    one, other = learned(straight), learned(killed)
    assert one["step"] == 5 and one.keys() == other.keys() and "memory.initial" in one
    assert [name for name in one if not torch.equal(one[name], other[name])] == []
    played = load_model(killed / "master.safetensors")
    assert played.config.memory == MemoryConfig(3, "fsq", gate="elephant", pause=1)


def test_a_memory_learns_alone_and_is_merged_into_its_base(tmp_path: Path, master: Path) -> None:
    out, merged = tmp_path / "run", tmp_path / "merged.safetensors"
    tuned(
        *(out, "--init", str(master), "--learn", "memory", "--memory", "mlp", "--slots", "2"),
        *("--chain", "2", "--steps", "4", "--peak", "0.5"),
    )
    base, made = load_model(master).state_dict(), load_model(out / "master.safetensors")
    assert all(torch.equal(tensor, made.state_dict()[name]) for name, tensor in base.items())
    learnt = {name for name in made.state_dict() if name.startswith("memory.")}
    assert made.state_dict().keys() - base.keys() == learnt
    part = out / "memory.safetensors"
    common = ("--init", str(master), "--merge", str(part), "--out", str(merged))
    assert tune.run(arguments(*common)) == 0
    again = load_model(merged)
    assert again.config == made.config
    for name in learnt:
        assert torch.equal(again.state_dict()[name].half().float(), made.state_dict()[name])
        assert again.state_dict()[name].any(), name
    with pytest.raises(UserError, match="has no latent memory to learn"):
        tuned(tmp_path / "none", "--init", str(master), "--learn", "memory", "--chain", "2")
    with pytest.raises(UserError, match=r"has a latent memory already.*would be lost"):
        tuned(tmp_path / "other", "--init", str(merged), "--memory", "glu", "--chain", "2")


def test_the_formula_and_where_segments_start_are_the_runs(
    tmp_path: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = []

    def asked(model: Network, chain: Chain, depth: int, start: Start, latent: Latent) -> Losses:
        started.append((start, latent))
        return chain_loss(model, chain, depth, start, latent)

    monkeypatch.setattr(training, "chain_loss", asked)
    out = tmp_path / "run"
    tuned(
        *(out, "--init", str(master), "--memory", "glu", "--slots", "2", "--formula", "wrong"),
        *("--chain", "2", "--start", "carried", "--steps", "2"),
    )
    assert started == [("carried", "on")]
    memory = load_model(out / "master.safetensors").config.memory
    assert memory == MemoryConfig(2, "glu", formula="wrong")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--slots", "0"], "--slots is 0; it must be at least 1."),
        (["--chain", "1"], "--chain is 1; it must be 0, or at least 2 segments."),
        (["--learn", "memory", "--init", "x"], "--learn memory needs --chain: .*"),
        (["--depth", "-1"], "--depth is -1; it must be at least 0."),
        (["--depth", "1"], "--depth is 1; it must be 0, or at least 2 segments."),
        (["--pause", "-1"], "--pause is -1; it must be at least 0."),
        (["--gate", "elephant"], "--gate needs --memory; add it, or leave --gate out."),
        (["--start", "carried"], "--start needs --chain; add it, or leave --start out."),
    ],
)
def test_mistakes_on_the_command_line(tmp_path: Path, options: list[str], said: str) -> None:
    with pytest.raises(TrainError, match=f"^{said}$"):
        tuned(tmp_path, *options)
