"""The token loops: reading in parts and writing until told to stop."""

from __future__ import annotations

import pytest
import torch
from tiny import relative, tiny_model, tiny_tokens

from engine.generate import decode, prefill, step
from engine.sampler import make_sampler


@pytest.mark.parametrize("chunk", [1, 7, 40, 100])
def test_reading_in_parts_is_reading_at_once(chunk: int) -> None:
    model, tokens, calls = tiny_model(hints=True), tiny_tokens(2, 40), []
    whole, end = model(tokens, model.initial_state(2))
    logits, state = prefill(
        model,
        tokens,
        model.initial_state(2),
        chunk,
        lambda done, total: calls.append((done, total)),
    )
    assert relative(logits, whole[:, -1]) <= 2e-6
    assert relative(state.tensors["wkv"], end.tensors["wkv"]) <= 2e-6
    assert calls == [(min(n + chunk, 40), 40) for n in range(0, 40, chunk)]
    with pytest.raises(ValueError, match="at least one token"):
        prefill(model, tokens[:, :0], model.initial_state(2))


def test_what_is_written_is_in_the_state() -> None:
    model, sampler = tiny_model(hints=True), make_sampler(temperature=2.0)
    logits, state = prefill(model, tiny_tokens(1, 10), model.initial_state())

    def write(stop: set[int], limit: int) -> list[int]:
        seen, generator = [], torch.Generator().manual_seed(1)
        last = state
        for token, row, after in decode(model, logits[0], state, sampler, generator, stop, limit):
            expected, last = step(model, torch.tensor([token]), last)
            assert torch.equal(row, expected[0])
            assert torch.equal(after.tensors["wkv"], last.tensors["wkv"])
            seen.append(token)
        return seen

    free = write(set(), 12)
    assert len(free) == 12
    stopped = write({free[5]}, 12)
    assert stopped == free[: free.index(free[5]) + 1]
    assert write(set(), 3) == free[:3] and write(set(), 0) == []


def test_states_that_come_of_playing_can_be_trained_from() -> None:
    model = tiny_model()
    _, state = prefill(model, tiny_tokens(1, 5), model.initial_state())
    _, state = step(model, torch.tensor([3]), state)
    logits, _ = model.train()(tiny_tokens(1, 4), state)
    logits.square().mean().backward()
    assert model.blocks[0].att.w0.grad is not None
    assert torch.isfinite(model.blocks[0].att.w0.grad).all()
