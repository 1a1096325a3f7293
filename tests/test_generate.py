"""The token loops: reading in parts and writing until told to stop."""

from __future__ import annotations

import pytest
import torch
from tiny import relative, tiny_model, tiny_tokens

from engine.generate import decode, decode_batch, prefill, step, steps
from engine.rwkv.state import State
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


PENALISED = {"temperature": 1.5, "presence": 0.5, "frequency": 0.5, "decay": 0.9}


def test_every_step_can_be_gone_on_from() -> None:
    model, sampler = tiny_model(), make_sampler(**PENALISED)
    logits, state = prefill(model, tiny_tokens(1, 10), model.initial_state())
    generator = torch.Generator().manual_seed(4)
    noise, whole = [], []
    for said in steps(model, logits[0], state, sampler, generator, limit=12):
        whole.append(said)
        noise.append(generator.get_state())
    assert len({said.token for said in whole}) > 5
    for at in (0, 5, 10):
        generator.set_state(noise[at])
        _, logits, state, seen = whole[at]
        rest = list(steps(model, logits, state, sampler, generator, limit=11 - at, seen=seen))
        assert [said.token for said in rest] == [said.token for said in whole[at + 1 :]]
        assert torch.equal(rest[-1].logits, whole[-1].logits)
        assert torch.equal(rest[-1].seen.counts, whole[-1].seen.counts)


def test_penalties_change_what_is_written() -> None:
    model = tiny_model()
    logits, state = prefill(model, tiny_tokens(1, 10), model.initial_state())

    def write(**options: float) -> list[int]:
        return [t for t, _, _ in decode(model, logits[0], state, make_sampler(**options), limit=30)]

    plain, varied = write(), write(presence=1000.0)
    assert len(set(plain)) < 30 and len(set(varied)) == 30


@pytest.mark.parametrize("options", [{}, PENALISED])
@pytest.mark.parametrize("limit", [0, 1, 15])
def test_rows_are_written_as_one_by_one(options: dict[str, float], limit: int) -> None:
    model, sampler = tiny_model(hints=True), make_sampler(**options)
    read = [prefill(model, tiny_tokens(1, 9, seed=n), model.initial_state()) for n in range(4)]
    logits, state = torch.cat([row for row, _ in read]), State.stack([s for _, s in read])
    free = [
        token
        for row, one in read
        for token, _, _ in decode(model, row[0], one, make_sampler(), limit=15)
    ]
    stop = set(free[5::15][:2])  # some rows come to it, early or late, and some may not
    owners = [torch.Generator().manual_seed(n) for n in range(4)]
    found = decode_batch(model, logits, state, sampler, owners, stop, limit)
    for n, (row, one) in enumerate(read):
        owner = torch.Generator().manual_seed(n)
        alone = list(decode(model, row[0], one, sampler, owner, stop, limit))
        assert found[n].tokens == [token for token, _, _ in alone]
        last = alone[-1] if alone else (None, row[0], one)
        assert relative(found[n].logits, last[1]) <= 2e-6
        assert relative(found[n].state.tensors["wkv"], last[2].tensors["wkv"]) <= 2e-6
        assert found[n].state.batch == 1
        assert found[n].state.hints[0].tokens == last[2].hints[0].tokens
    assert limit < 15 or len({len(one.tokens) for one in found}) > 1
    with pytest.raises(ValueError, match="1 generators for 4 rows"):
        decode_batch(model, logits, state, sampler, owners[:1])
