"""Networks of any shape: the native runtime against float64, and against itself in every split."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import relative

from engine.native import why_not
from engine.oracle import oracle
from engine.rwkv.config import GENERATIONS, Config
from engine.rwkv.network import Mode, Network

MODES: tuple[Mode, ...] = ("gpt", "rnn")


def random_network(generation: str, layers: int, heads: int, size: int, vocab: int) -> Network:
    """Every weight moved off its special first value."""
    config = Config(layers, heads * size, vocab, head_size=size, generation=generation)
    model = Network.create(config)
    rng = torch.Generator().manual_seed(layers * vocab)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(0.03 * torch.randn(weight.shape, generator=rng))
    return model.eval()


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    generation=st.sampled_from(GENERATIONS),
    layers=st.integers(1, 3),
    heads=st.integers(1, 3),
    size=st.sampled_from([16, 32, 48, 64]),
    vocab=st.integers(16, 200),  # two logits may be all rounding
    batch=st.integers(1, 4),
    length=st.integers(1, 40),
    cut=st.integers(0, 40),
    modes=st.tuples(st.sampled_from(MODES), st.sampled_from(MODES)),
    kind=st.sampled_from(["float32", "float32", "bfloat16", "int8"]),
)
@torch.no_grad()
def test_any_shape_any_split_any_mode(
    generation: str,
    layers: int,
    heads: int,
    size: int,
    vocab: int,
    batch: int,
    length: int,
    cut: int,
    modes: tuple[Mode, Mode],
    kind: str,
) -> None:
    model = random_network(generation, layers, heads, size, vocab)
    if why := why_not(model, model.config):
        pytest.skip(why)
    model.weights = kind
    tokens = torch.randint(vocab, (batch, length), generator=torch.Generator().manual_seed(cut))
    whole, end = model(tokens, model.initial_state(batch))
    first, state = model(tokens[:, : cut % length + 1], model.initial_state(batch), mode=modes[0])
    if first.shape[1] < length:
        rest, state = model(tokens[:, first.shape[1] :], state, mode=modes[1])
        first = torch.cat([first, rest], 1)
    assert torch.equal(first, whole)
    for name, tensor in state.tensors.items():
        assert torch.equal(tensor, end.tensors[name]), name
    alone, _ = model(tokens[-1:], model.initial_state())
    assert torch.equal(alone[0], whole[-1])
    if kind == "float32":
        wanted = oracle(model.state_dict(), model.config, tokens[-1].tolist())
        assert relative(alone[0].double(), wanted) < 2e-6
