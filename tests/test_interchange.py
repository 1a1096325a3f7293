"""States of other programs: going on from one is as if we had read everything ourselves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from official import more_tokens, network, vector, weights
from safetensors.torch import save_file
from tiny import relative
from torch import Tensor

from engine import interchange as io
from engine.convert import write_model
from engine.errors import CheckpointError, SnapshotError
from engine.layouts import to_huggingface
from engine.rwkv.network import Network
from engine.rwkv.state import State

TOKENS = 48
"""How many the vectors have read."""


def read(model: Network, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
    with torch.no_grad():
        return model(tokens, state or model.initial_state(tokens.shape[0]), mode="rnn")


def peers_list(generation: str) -> list[Tensor]:
    state = vector(generation)["state"]
    return [state[str(i)] for i in range(len(state))]


def goes_on(model: Network, state: State, first: Tensor, more: Tensor) -> None:
    """That `more` after `state` gives what it gives after reading `first` ourselves.

    Sums aren't compared: e^k makes 3e-6 of the other program's roundings, beside its logits' 1e-6.
    """
    _, own = read(model, first)
    expected, after = read(model, more, own)
    found, found_after = read(model, more, state)
    assert relative(found, expected) <= 2e-6
    for name, t in after.tensors.items():
        if name in ("att_x", "ffn_x", "wkv"):
            assert relative(found_after.tensors[name], t) <= 2e-6


@pytest.mark.parametrize("generation", ["4", "5.2", "6", "7"])
def test_going_on_from_the_rwkv_package(generation: str) -> None:
    model, first = network(generation), vector(generation)["run"]["tokens"].unsqueeze(0)
    assert first.shape == (1, TOKENS)
    given = peers_list(generation)
    kept = [t.clone() for t in given]
    state = io.from_rwkv(model, given)
    goes_on(model, state, first, more_tokens())
    for t in given:
        t.fill_(torch.nan)  # their programs change a state that they are given
    goes_on(model, state, first, more_tokens())
    for t, whole in zip(given, kept, strict=True):
        t.copy_(whole)


@pytest.mark.parametrize("file", ["rwkv2", "rwkv2_longctx"])
def test_going_on_from_rnn_pile(file: str) -> None:
    model = network("2", dict(vector("2", file)["weights"]))
    model.compat = 1e-9  # as the program that made the state computes
    found = vector("2", file)
    state = io.from_rnn_pile(model, found["state"])
    goes_on(model, state, found["run"]["tokens"].unsqueeze(0), more_tokens())
    if file == "rwkv2":
        again = io.to_rnn_pile(model, state)
        assert again.keys() == found["state"].keys()
        assert all(torch.equal(t, again[name]) for name, t in found["state"].items())


Pair = tuple[Callable[[Network, State], Any], Callable[[Network, Any], State]]
RWKV: Pair = (io.to_rwkv, io.from_rwkv)
CPP: Pair = (io.to_rwkv_cpp, io.from_rwkv_cpp)
FLA: Pair = (io.to_fla, lambda model, parts: io.from_fla(model, *parts))
TIME: Pair = (io.to_time_state, io.from_time_state)
HF: Pair = (io.to_transformers, io.from_transformers)
PILE: Pair = (io.to_rnn_pile, io.from_rnn_pile)


@pytest.mark.parametrize("pair", [RWKV, CPP, FLA])
@pytest.mark.parametrize("generation", ["5.2", "6", "7"])
def test_matrices_come_back_to_the_bit(generation: str, pair: Pair) -> None:
    model = network(generation)
    _, state = read(model, more_tokens())
    if pair is FLA and generation == "5.2":
        with pytest.raises(SnapshotError, match=r"are of RWKV-6 or 7, and .* is RWKV-5\.2"):
            pair[0](model, state)
        return
    back = pair[1](model, pair[0](model, state))
    assert back.tensors.keys() == state.tensors.keys()
    for name, t in state.tensors.items():
        assert torch.equal(back.tensors[name], t), name
        assert back.tensors[name].data_ptr() != t.data_ptr()


@pytest.mark.parametrize("pair", [RWKV, CPP, HF])
def test_sums_come_back_to_a_rounding(pair: Pair) -> None:
    model = network("4")
    _, state = read(model, more_tokens())
    back = pair[1](model, pair[0](model, state))
    for name in ("att_x", "ffn_x"):
        assert torch.equal(back.tensors[name], state.tensors[name])
    for name in ("num", "den"):
        a, b = (s.tensors[name].double() * 2.0 ** s.tensors["exp"] for s in (back, state))
        torch.testing.assert_close(a, b, rtol=1.2e-7, atol=0)
    assert back.tensors["exp"].dtype == torch.int32
    start = model.initial_state()
    again = pair[1](model, pair[0](model, start))
    assert all(torch.equal(again.tensors[name], t) for name, t in start.tensors.items())


@pytest.mark.parametrize("generation", ["2", "3"])
def test_true_sums_come_back_to_the_bit(generation: str) -> None:
    model = network(generation)
    _, state = read(model, more_tokens())
    for given in (state, model.initial_state()):
        told = io.to_rnn_pile(model, given)
        again = io.to_rnn_pile(model, io.from_rnn_pile(model, told))
        assert all(torch.equal(again[name], t) for name, t in told.items())
    high = State({**state.tensors, "exp": state.tensors["exp"] + 300})
    with pytest.raises(SnapshotError, match="too large for a layout without exponents"):
        io.to_rnn_pile(model, high)


@pytest.mark.parametrize("pp", [-5000.0, -300.0, -0.3, 0.0, 87.3, 5000.0])
def test_a_logarithm_far_from_zero(pp: float) -> None:
    """aa e^pp, however large or small, against the same in logarithms and float64."""
    model = network("4")
    tensors = peers_list("4")
    for i in range(2):
        tensors[5 * i + 3] = torch.full((128,), pp)
    state = io.from_rwkv(model, tensors)
    num, exp = state.tensors["num"].double(), state.tensors["exp"].double()
    found = num.abs().log() + exp * torch.log(torch.tensor(2.0, dtype=torch.float64))
    for i in range(2):
        wanted = tensors[5 * i + 1].double().abs().log() + tensors[5 * i + 3].double()
        torch.testing.assert_close(found[i, 0], wanted, rtol=0, atol=1.5e-7)
    assert torch.equal(num.sign()[0, 0], tensors[1].double().sign())


def test_orientation_of_every_layout() -> None:
    """One number off the diagonal, at value 3 and key 5, is where each layout says."""
    for generation, theirs in (("5.2", (5, 3)), ("6", (5, 3)), ("7", (3, 5))):
        model = network(generation)
        state = model.initial_state()
        state.tensors["wkv"][1, 0, 1, 3, 5] = 2.5
        assert io.to_rwkv(model, state)[4][1][theirs] == 2.5
        flat = io.to_rwkv_cpp(model, state).view(2, -1)[1, 2 * 128 :].view(2, 64, 64)
        assert flat[1][theirs] == 2.5
        assert io.to_time_state(model, state)["blocks.1.att.time_state"][1, 3, 5] == 2.5
        if generation != "5.2":
            assert io.to_fla(model, state)[0][1][0, 1, 5, 3] == 2.5
    model = network("4")
    state = model.initial_state()
    state.tensors["ffn_x"][1, 0, 7] = 2.5
    assert io.to_rwkv(model, state)[9][7] == 2.5
    assert io.to_rwkv_cpp(model, state)[5 * 128 + 7] == 2.5
    assert io.to_transformers(model, state)[0][0, 7, 1] == 2.5


def test_batches() -> None:
    model = network("7")
    _, state = read(model, torch.cat([more_tokens(), more_tokens().flip(1)]))
    back = io.from_fla(model, *io.to_fla(model, state))
    assert torch.equal(back.tensors["wkv"], state.tensors["wkv"]) and back.batch == 2
    recurrent, att_x, ffn_x = io.to_fla(model, state)
    rows = io.from_fla(model, recurrent, [t[:, None] for t in att_x], [t[:, None] for t in ffn_x])
    assert torch.equal(rows.tensors["att_x"], state.tensors["att_x"])
    with pytest.raises(SnapshotError, match="holds one state and this is a batch of 2"):
        io.to_rwkv(model, state)


# -- tuned states --------------------------------------------------------------------------------


@pytest.mark.parametrize("generation", ["6", "7"])
def test_a_tuned_state_file_is_a_state_to_begin_with(tmp_path: Path, generation: str) -> None:
    model, file = network(generation), tmp_path / "state.pth"
    _, state = read(model, more_tokens())
    tuned = io.to_time_state(model, state)
    torch.save(tuned, file)
    begun = io.load_time_state(model, file)
    assert torch.equal(begun.tensors["wkv"], state.tensors["wkv"])
    assert not begun.tensors["att_x"].any() and not begun.tensors["ffn_x"].any()
    # The same as a network that was saved with it, which the vectors' program runs, too.
    inside = network(generation, weights(generation) | tuned)
    assert torch.equal(read(inside, more_tokens())[0], read(model, more_tokens(), begun)[0])
    save_file({n: t for n, t in tuned.items() if "s.0" in n}, tmp_path / "half.safetensors")
    with pytest.raises(SnapshotError, match=r"lacks blocks\.1\.att\.time_state"):
        io.load_time_state(model, tmp_path / "half.safetensors")
    with pytest.raises(CheckpointError, match="No such file"):
        io.load_time_state(model, tmp_path / "none.pth")


# -- states that are not this network's ----------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.pop(), "has 5 tensors, wanted 3 for each of 2 layers"),
        (lambda t: t.__setitem__(0, t[0][:64]), "have 2 tensors of unequal shapes"),
        (lambda t: t[4].fill_(float("nan")), "not a number in wkv"),
        (
            lambda t: [t.__setitem__(i, torch.zeros(4, 32, 32)) for i in (1, 4)],
            r"wkv has shape \(2, 1, 4, 32, 32\), wanted \(2, 1, 2, 64, 64\)",
        ),
        (lambda t: [t.__setitem__(i, torch.tensor(0.0)) for i in (0, 3)], "att_x has shape"),
    ],
)
def test_a_list_that_does_not_fit(change: Callable[[list[Tensor]], object], said: str) -> None:
    tensors = [t.clone() for t in peers_list("7")]
    change(tensors)
    with pytest.raises(SnapshotError, match=said):
        io.from_rwkv(network("7"), tensors)


def test_other_layouts_that_do_not_fit() -> None:
    four, seven = network("4"), network("7")
    with pytest.raises(SnapshotError, match="are of RWKV-4, and the network is RWKV-7"):
        io.from_transformers(seven, [])
    with pytest.raises(SnapshotError, match="has 0 tensors, wanted five of three dimensions"):
        io.from_transformers(four, [])
    with pytest.raises(SnapshotError, match="has 9 numbers, wanted 640 for each of 2 layers"):
        io.from_rwkv_cpp(four, torch.zeros(9))
    with pytest.raises(SnapshotError, match="have 0 tensors of unequal"):
        io.from_fla(seven, [], [], [])
    with pytest.raises(SnapshotError, match="exponents beyond all use"):
        io.from_rwkv(four, [torch.full((128,), 1e30) for _ in range(10)])
    two = network("2")
    with pytest.raises(SnapshotError, match=r"lacks aa\.att\.0"):
        io.from_rnn_pile(two, {})
    told = io.to_rnn_pile(two, two.initial_state()) | {"zz": torch.zeros(1)}
    with pytest.raises(SnapshotError, match="has, beside what is wanted, zz"):
        io.from_rnn_pile(two, told)


# -- against the programs themselves -------------------------------------------------------------


FIRST, MORE = more_tokens(32)[:, :20], more_tokens(32)[:, 20:]
PEER = """
import os, sys, torch
generation, weights, given, out = sys.argv[1:5]
os.environ |= {"RWKV_JIT_ON": "0", "RWKV_CUDA_ON": "0"}
os.environ["RWKV_V7_ON"] = "1" if generation == "7" else "0"
from rwkv.model import RWKV
model = RWKV(model=weights, strategy="cpu fp32")
told = torch.load(given, weights_only=True)
state, rows = told["state"], []
for token in told["tokens"]:
    logits, state = model.forward([token], state)
    rows.append(logits.clone())
torch.save({"logits": torch.stack(rows), "state": state}, out)
"""


def package(
    folder: Path, model: Network, tokens: Tensor, state: list[Tensor] | None
) -> tuple[Tensor, list[Tensor]]:
    """What the package `rwkv` makes of the network's .pth file: logits (1, T, V) and its state."""
    given, out, weights = folder / "given.pt", folder / "out.pt", folder / "m.pth"
    write_model(model, weights, "pth")
    torch.save({"tokens": tokens[0].tolist(), "state": state}, given)
    words = [model.config.generation, weights.with_suffix(""), given, out]
    command = [sys.executable, "-c", PEER, *map(str, words)]
    subprocess.run(command, check=True, capture_output=True)
    told = torch.load(out, weights_only=True)
    return told["logits"].unsqueeze(0), told["state"]


with_rwkv = pytest.mark.skipif(not find_spec("rwkv"), reason="the package rwkv is not installed")


@with_rwkv
@pytest.mark.slow
@pytest.mark.parametrize("generation", ["4", "5.2", "6", "7"])
def test_there_and_back_with_the_rwkv_package(tmp_path: Path, generation: str) -> None:
    """A file that we write, their state read by us, our state read by them."""
    model = network(generation)
    logits, their_state = package(tmp_path, model, FIRST, None)
    own_logits, own_state = read(model, FIRST)
    assert relative(logits, own_logits) <= 2e-6
    goes_on(model, io.from_rwkv(model, their_state), FIRST, MORE)
    logits, _ = package(tmp_path, model, MORE, io.to_rwkv(model, own_state))
    assert relative(logits, read(model, MORE, own_state)[0]) <= 2e-6


@with_rwkv
@pytest.mark.slow
def test_a_tuned_state_as_the_rwkv_package_reads_it(tmp_path: Path) -> None:
    rng = torch.Generator().manual_seed(8)
    tuned = {f"blocks.{i}.att.time_state": torch.randn(2, 64, 64, generator=rng) for i in range(2)}
    model = network("6", weights("6") | tuned)
    logits, _ = package(tmp_path, model, FIRST, None)
    assert relative(logits, read(model, FIRST)[0]) <= 2e-6
    assert relative(logits, read(network("6"), FIRST)[0]) > 1e-3


def test_there_and_back_with_transformers() -> None:
    transformers = pytest.importorskip("transformers")
    model = network("4")
    settings, tensors = to_huggingface(model.config, model.state_dict(), "float32")
    peer = transformers.RwkvForCausalLM(transformers.RwkvConfig(**settings))
    peer.load_state_dict(tensors)
    with torch.no_grad():
        theirs = peer.eval()(FIRST, use_cache=True)
        _, own_state = read(model, FIRST)
        goes_on(model, io.from_transformers(model, theirs.state), FIRST, MORE)
        found = peer(MORE, state=io.to_transformers(model, own_state), use_cache=True).logits
    assert relative(found, read(model, MORE, own_state)[0]) <= 2e-6


def test_there_and_back_with_rwkv7_hf() -> None:
    peers = pytest.importorskip("rwkv7_hf.modeling_rwkv7")
    model = network("7")
    settings, tensors = to_huggingface(model.config, model.state_dict(), "float32")
    peer = peers.RWKV7ForCausalLM(peers.RWKV7Config(**settings))
    peer.load_state_dict(tensors)
    with torch.no_grad():
        cache = peer.eval()(FIRST, use_cache=True).past_key_values
        _, own_state = read(model, FIRST)
        goes_on(model, io.from_fla(model, *cache.to_legacy_cache()), FIRST, MORE)
        told = peers.RWKV7Cache.from_legacy_cache(io.to_fla(model, own_state))
        found = peer(MORE, past_key_values=told, use_cache=True).logits
    assert relative(found, read(model, MORE, own_state)[0]) <= 2e-6
