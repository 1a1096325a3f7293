"""The network with attention in the place of recurrence: one way through it, however it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny import HINTS, tiny_tokens

from engine.attention import AttentionNetwork
from engine.checkpoint import load_model, save_model
from engine.errors import CheckpointError
from engine.memoryconfig import MemoryConfig
from engine.rwkv.config import Config
from engine.train import masked_loss

CONFIG = Config(n_layer=2, n_embd=64, vocab=61, tied=True, hints=HINTS)


@pytest.fixture(scope="module")
def model() -> AttentionNetwork:
    made = AttentionNetwork.create(CONFIG, 3).eval()
    rng = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for weight in made.parameters():
            weight.add_(0.1 * torch.randn(weight.shape, generator=rng))
    return made


@torch.no_grad()
def test_every_split_and_mode_reads_alike(model: AttentionNetwork) -> None:
    tokens = tiny_tokens(2, 40)
    whole, state = model(tokens, model.initial_state(2))
    first, between = model(tokens[:, :13], model.initial_state(2))
    rest, after = model(tokens[:, 13:], between)
    stepped, _ = model(tokens, model.initial_state(2), mode="rnn")
    for other in (torch.cat((first, rest), 1), stepped):
        torch.testing.assert_close(other, whole, rtol=0, atol=1e-5)
    assert state.tensors["keys"].shape == (2, 2, 40, 2, 32)
    assert between.tensors["keys"].shape[2] == 13  # a value: reading on has left it alone
    alone, _ = model(tokens[1:], model.initial_state(1))
    torch.testing.assert_close(alone, whole[1:], rtol=0, atol=1e-5)
    assert after.select([1]).batch == 1


@torch.no_grad()
def test_a_token_is_seen_by_all_later_ones_and_by_no_earlier_one(model: AttentionNetwork) -> None:
    plain = AttentionNetwork.create(Config(n_layer=1, n_embd=64, vocab=61, tied=True), 1).eval()
    weights = model.state_dict()
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    tokens = tiny_tokens(1, 40)
    other = tokens.clone()
    other[0, 20] += 1
    gap = (plain(tokens, plain.initial_state())[0] - plain(other, plain.initial_state())[0]).abs()
    changed = gap.amax(-1)[0]
    assert not changed[:20].any() and (changed[20:] > 1e-6).all()


@torch.no_grad()
def test_attention_falls_on_places_by_their_distance(model: AttentionNetwork) -> None:
    """Were positions forgotten, words between two equal ones could change places unseen."""
    plain = AttentionNetwork.create(Config(n_layer=1, n_embd=64, vocab=61, tied=True), 1).eval()
    weights = model.state_dict()
    plain.load_state_dict({name: weights[name] for name in plain.state_dict()})
    block = plain._layers()[0]
    x = torch.randn(1, 8, 64, generator=torch.Generator().manual_seed(1))
    order = [3, 1, 0, 2, 4, 5, 6, 7]
    one, _, _ = block.att(x, block.att.initial(1), None)
    two, _, _ = block.att(x[:, order], block.att.initial(1), None)
    assert not torch.allclose(one[:, -1], two[:, -1], atol=1e-5)


def test_all_weights_learn_and_the_same_seed_begins_alike() -> None:
    model, again = (AttentionNetwork.create(CONFIG, 5) for _ in range(2))
    weights = again.state_dict()
    assert all(torch.equal(t, weights[name]) for name, t in model.state_dict().items())
    with torch.no_grad():
        for block in model._layers():
            block.att.output.weight.normal_()  # type: ignore[attr-defined]
            block.ffn.value.weight.normal_()  # type: ignore[attr-defined]
    said = torch.ones(2, 30, dtype=torch.bool)
    losses = []
    for mixed in (False, True):
        model.use_mixed(mixed)
        model.zero_grad()
        loss, _ = masked_loss(model.train(), tiny_tokens(2, 30), said, None)
        loss.backward()
        losses.append(loss.item())
        still = {n for n, p in model.named_parameters() if p.grad is None or not p.grad.any()}
        assert not {name for name in still if not name.startswith("hint.")}
    assert losses[0] != losses[1] and losses[1] == pytest.approx(losses[0], rel=0.02)


def test_it_is_no_game_master(tmp_path: Path, model: AttentionNetwork) -> None:
    save_model(model, tmp_path / "x.safetensors", {})
    with pytest.raises(CheckpointError, match=r"x\.safetensors is not an RWKV network; give an"):
        load_model(tmp_path / "x.safetensors")
    for config in (
        Config(n_layer=1, n_embd=64, vocab=61, memory=MemoryConfig()),
        Config(n_layer=1, n_embd=64, vocab=61, generation="4"),
        Config(n_layer=1, n_embd=48, head_size=16, vocab=61),
    ):
        with pytest.raises(ValueError, match="attention is for RWKV-7's configuration without"):
            AttentionNetwork(config)
