"""RWKV-7 against numbers made by another implementation, and its modes against each other."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import relative, tiny_model, tiny_tokens
from torch import Tensor

from engine.copyhints import CHANNELS, CODES
from engine.rwkv.config import Config
from engine.rwkv.hints import Hints, read_hints
from engine.rwkv.state import State
from engine.rwkv.v7 import RWKV7, Mode

VECTOR = Path(__file__).parent / "vectors" / "rwkv7.safetensors"
MODES: tuple[Mode, ...] = ("gpt", "rnn")
FAST = 2e-6


@pytest.fixture(scope="module")
def vector() -> dict[str, Tensor]:
    return load_file(VECTOR)


@pytest.fixture(scope="module")
def published(vector: dict[str, Tensor]) -> RWKV7:
    """The vector's network: made by the PyPI package `rwkv`, run there token by token."""
    prefix = "weights/"
    weights = {n.removeprefix(prefix): t.float() for n, t in vector.items() if prefix in n}
    model = RWKV7(Config.infer({name: tuple(t.shape) for name, t in weights.items()}))
    model.load_state_dict(weights)
    return model.eval()


def flat(state: State) -> list[Tensor]:
    """A one-row state as the vector lists it: att_x, wkv, ffn_x of each layer."""
    columns = (state.tensors[name][:, 0] for name in ("att_x", "wkv", "ffn_x"))
    return [tensor for layer in zip(*columns, strict=True) for tensor in layer]


@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("second", MODES)
def test_vector_at_every_split(
    vector: dict[str, Tensor], published: RWKV7, first: Mode, second: Mode
) -> None:
    tokens = vector["tokens"].unsqueeze(0)
    for cut in range(tokens.shape[1]):
        logits, state = torch.empty(1, 0, 61), published.initial_state()
        if cut:
            logits, state = published(tokens[:, :cut], state, mode=first)
        rest, state = published(tokens[:, cut:], state, mode=second)
        assert relative(torch.cat((logits, rest), 1)[0], vector["logits"]) <= FAST
        for i, tensor in enumerate(flat(state)):
            assert relative(tensor, vector[f"state/{i}"]) <= FAST, (cut, i)


def test_a_thousand_greedy_tokens_are_the_same_in_both_modes(published: RWKV7) -> None:
    # Written token by token; then GPT mode must choose every one of them again.
    state, token, written = published.initial_state(), torch.tensor([[7]]), [7]
    for _ in range(1000):
        logits, state = published(token, state, mode="rnn")
        token = logits.argmax(-1)
        written.append(int(token))
    logits, _ = published(torch.tensor([written[:-1]]), published.initial_state(), mode="gpt")
    assert logits[0].argmax(-1).tolist() == written[1:]


@pytest.mark.parametrize("mode", MODES)
def test_forward_leaves_its_state_untouched(mode: Mode) -> None:
    model = tiny_model(hints=True)
    _, state = model(tiny_tokens(2, 9), model.initial_state(2))
    kept, read = state.clone(), [len(h.tokens) for h in state.hints or ()]
    first, _ = model(tiny_tokens(2, 5, seed=1), state, mode=mode)
    again, _ = model(tiny_tokens(2, 5, seed=1), state, mode=mode)
    assert torch.equal(first, again)
    assert [len(h.tokens) for h in state.hints or ()] == read == [9, 9]
    assert all(torch.equal(state.tensors[n], t) for n, t in kept.tensors.items())


@pytest.mark.parametrize("mode", MODES)
def test_rows_of_a_batch_know_nothing_of_each_other(mode: Mode) -> None:
    model, tokens = tiny_model(hints=True), tiny_tokens(3, 20)
    logits, state = model(tokens, model.initial_state(3), mode=mode)
    alone = [model(tokens[b : b + 1], model.initial_state(), mode=mode) for b in range(3)]
    joined = State.stack([s for _, s in alone])
    assert relative(torch.cat([row for row, _ in alone]), logits) <= FAST
    for name, tensor in state.tensors.items():
        assert relative(joined.tensors[name], tensor) <= FAST
    turned = state.select([2, 0])
    assert torch.equal(turned.tensors["wkv"], state.tensors["wkv"][:, [2, 0]])
    assert turned.hints is not None and state.hints is not None and turned.batch == 2
    assert turned.hints == (state.hints[2], state.hints[0])


def expected_with_hints(model: RWKV7, tokens: Tensor, hints: Hints) -> Tensor:
    """Logits with copy hints by their definition, one position and channel at a time."""
    plain, w = model.hint, dict(model.named_parameters())
    model.hint, table = None, model.emb.weight
    ids, codes = hints
    B, T = tokens.shape
    logits = torch.empty(B, T, len(table))
    for b in range(B):
        state = model.initial_state()
        for t in range(T):
            x = w["emb.weight"][tokens[b, t]].clone()
            for k in range(CHANNELS):
                code, hinted = int(codes[b, t, k]), int(ids[b, t, k])
                x += w["hint.code.weight"][k * CODES + code]
                if code:
                    x += w["hint.scale"][k] * w["hint.emb.weight"][hinted]
            # One word's embedding takes the sum's place: the layers need not know of hints.
            with torch.no_grad():
                kept = table[0].clone()
                table[0] = x
                seen: list[Tensor] = []
                hook = model.ln_out.register_forward_hook(lambda _m, _i, h, s=seen: s.append(h))
                _, state = model(torch.tensor([[0]]), state)
                hook.remove()
                table[0] = kept
            h = seen[0].view(-1)
            row = (table if model.config.tied else w["head.weight"]) @ h
            for k in range(CHANNELS):
                code, hinted = int(codes[b, t, k]), int(ids[b, t, k])
                if code:
                    bias = w["hint.gate.bias"][k * CODES + code]
                    row[hinted] += w["hint.gate.weight"][k] @ h + bias
            logits[b, t] = row
    model.hint = plain
    return logits.detach()


def some_hints(batch: int, length: int, vocab: int = 61) -> Hints:
    """Hints on a third of the places, several channels often naming the same token."""
    rng = torch.Generator().manual_seed(5)
    shape = (batch, length, CHANNELS)
    shown = torch.rand(shape, generator=rng) < 0.35
    ids = torch.randint(0, 4, shape, generator=rng) + vocab - 4
    codes = torch.randint(1, CODES, shape, generator=rng)
    return ids * shown, codes * shown


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length", [3, 12])  # fewer and more hints than the vocabulary's 61
def test_hints_do_what_their_definition_says(tied: bool, mode: Mode, length: int) -> None:
    model, tokens = tiny_model(hints=True, tied=tied), tiny_tokens(2, length)
    hints = some_hints(2, length)
    wanted = expected_with_hints(model, tokens, hints)
    logits, state = model(tokens, model.initial_state(2), mode=mode, hints=hints)
    assert relative(logits, wanted) <= FAST
    assert state.hints is None
    none = tuple(torch.zeros_like(part) for part in hints)
    silent, _ = model(tokens, model.initial_state(2), mode=mode, hints=none)
    assert relative(silent, wanted) > 0.01


@pytest.mark.parametrize("cut", [1, 40, 79])
def test_hints_are_the_same_however_the_tokens_come(cut: int) -> None:
    model, tokens = tiny_model(hints=True), tiny_tokens(2, 80)
    start = model.initial_state(2)
    assert start.hints is not None
    hints, _ = read_hints(start.hints, tokens)
    assert int((hints[1] > 0).sum()) > 20
    wanted, _ = model(tokens, start, hints=hints)
    left, state = model(tokens[:, :cut], start)
    right, state = model(tokens[:, cut:], state, mode="rnn")
    assert relative(torch.cat((left, right), 1), wanted) <= FAST
    assert state.hints is not None
    assert [list(h.tokens) for h in state.hints] == tokens.tolist()


@pytest.mark.parametrize("mode", MODES)
def test_only_the_wanted_positions(mode: Mode) -> None:
    model, tokens, hints = tiny_model(hints=True), tiny_tokens(2, 12), some_hints(2, 12)
    start = model.initial_state(2)
    whole, _ = model(tokens, start, mode=mode, hints=hints)
    last, _ = model(tokens, start, mode=mode, hints=hints, last_only=True)
    assert last.shape == (2, 1, 61) and relative(last, whole[:, -1:]) <= FAST
    places = torch.rand((2, 12), generator=torch.Generator().manual_seed(3)) < 0.4
    some, _ = model(tokens, start, mode=mode, hints=hints, select=places)
    assert relative(some, whole[places]) <= FAST


def test_rnn_mode_follows_every_change_of_the_weights() -> None:
    model, tokens = tiny_model().train(), tiny_tokens(1, 6)

    def both() -> tuple[Tensor, Tensor]:
        with torch.no_grad():
            start = model.initial_state()
            return model(tokens, start, mode="gpt")[0], model(tokens, start, mode="rnn")[0]

    before, rnn = both()
    assert relative(rnn, before) <= FAST
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    model(tokens, model.initial_state())[0].square().mean().backward()
    optimizer.step()
    stepped, rnn = both()
    assert relative(stepped, before) > 0.01 and relative(rnn, stepped) <= FAST
    model.load_state_dict(tiny_model(seed=4).state_dict(), assign=True)
    loaded, rnn = both()
    assert relative(loaded, stepped) > 0.01 and relative(rnn, loaded) <= FAST


def gradients(model: RWKV7, mode: Mode) -> tuple[dict[str, Tensor], list[Tensor]]:
    tokens, state = tiny_tokens(2, 11), model.initial_state(2)
    start = {n: torch.full_like(t, 0.1).requires_grad_() for n, t in state.tensors.items()}
    model.zero_grad()
    logits, end = model(tokens, State(start), mode=mode)
    loss = logits.square().mean() + sum(t.square().mean() for t in end.tensors.values())
    loss.backward()
    weights = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return weights, [t.grad.clone() for t in start.values() if t.grad is not None]


def test_gradients_of_weights_and_of_the_first_state_agree() -> None:
    model = tiny_model().train()
    gpt, gpt_start = gradients(model, "gpt")
    rnn, rnn_start = gradients(model, "rnn")
    assert len(gpt) == len(list(model.parameters())) and len(gpt_start) == 3
    for name, gradient in gpt.items():
        assert relative(rnn[name], gradient) <= 1e-5, name
    assert all(relative(b, a) <= 1e-5 for a, b in zip(gpt_start, rnn_start, strict=True))


def test_bfloat16_products_stay_near_the_float32_ones() -> None:
    model = tiny_model().train()
    plain, plain_start = gradients(model, "gpt")
    model.use_mixed()
    mixed, mixed_start = gradients(model, "gpt")
    for name, gradient in plain.items():
        assert 0 < relative(mixed[name], gradient) < 0.05, name
    assert all(relative(b, a) < 0.05 for a, b in zip(plain_start, mixed_start, strict=True))


def test_a_fresh_network_is_fixed_by_its_seed_and_can_learn() -> None:
    config = Config(n_layer=2, n_embd=64, vocab=20, tied=True)
    model, tokens = RWKV7.create(config, 1), tiny_tokens(2, 16, vocab=20)
    same, other = RWKV7.create(config, 1), RWKV7.create(config, 2)
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), same.parameters(), strict=True)
    )
    assert not torch.equal(model.emb.weight, other.emb.weight)
    # Output matrices start at zero, so a fresh network's logits are those of its embedding.
    x = model.ln_out(model.blocks[0].ln0(model.emb(tokens)))
    first, _ = model(tokens, model.initial_state(2))
    assert relative(first, x @ model.emb.weight.t()) <= FAST
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        logits, _ = model(tokens[:, :-1], model.initial_state(2))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 2.5 and losses[-1] < 0.1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mode", MODES)
def test_half_precision_weights_run_in_both_modes(
    vector: dict[str, Tensor], published: RWKV7, dtype: torch.dtype, mode: Mode
) -> None:
    model = RWKV7(published.config)
    model.load_state_dict(published.state_dict())
    logits, state = model.to(dtype).eval()(
        vector["tokens"].unsqueeze(0), model.initial_state(), mode=mode
    )
    assert state.tensors["wkv"].dtype == torch.float32
    assert relative(logits[0].float(), vector["logits"]) < 0.03


def test_mistaken_calls_are_refused() -> None:
    model, hinted = tiny_model(), tiny_model(hints=True)
    start = model.initial_state(2)
    with pytest.raises(ValueError, match=r"shape \(1, 3\), wanted \(2, 1 or more\)"):
        model(tiny_tokens(1, 3), start)
    with pytest.raises(ValueError, match="'cuda'"):
        model(tiny_tokens(2, 3), start, mode="cuda")
    with pytest.raises(ValueError, match="without copy hints"):
        model(tiny_tokens(2, 3), start, hints=some_hints(2, 3))
    _, after = hinted(tiny_tokens(2, 3), hinted.initial_state(2), hints=some_hints(2, 3))
    with pytest.raises(ValueError, match="give hints again"):
        hinted(tiny_tokens(2, 3), after)
    with pytest.raises(ValueError, match="1 of 2 states"):
        State.stack([start, hinted.initial_state()])
    with pytest.raises(ValueError, match="n_embd is 100"):
        Config(n_layer=1, n_embd=100, vocab=10)
