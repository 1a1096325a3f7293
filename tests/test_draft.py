"""Greedy writing with drafts: the same tokens, state and logits as without, whatever the drafts."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest
import torch
from tiny import tiny_model

from engine.draft import Guess, write_drafted
from engine.generate import Written, decode, prefill
from engine.rwkv.network import Network
from engine.sampler import make_sampler

ASKED = [7, 3, 9, 4]
STOP = 1


def plainly(model: Network, limit: int, stop: frozenset[int] = frozenset()) -> Written:
    logits, state = prefill(model, torch.tensor([ASKED]), model.initial_state(1))
    said = [*decode(model, logits[0], state, make_sampler(), stop=stop, limit=limit)]
    return Written([token for token, _, _ in said], said[-1][1], said[-1][2])


def same(a: Written, b: Written) -> bool:
    tensors = [(a.logits, b.logits)]
    tensors += [(a.state.tensors[name], b.state.tensors[name]) for name in a.state.tensors]
    hints = a.state.hints and [h.tokens for h in a.state.hints]
    others = b.state.hints and [h.tokens for h in b.state.hints]
    close = all(torch.allclose(x, y, atol=1e-5) for x, y in tensors)  # rounding, in plain torch
    return a.tokens == b.tokens and hints == others and close


@pytest.fixture(scope="module", params=[False, True])
def model(request: pytest.FixtureRequest) -> Network:
    return tiny_model(hints=request.param)


def drafts(kind: str, true: Sequence[int]) -> Guess:
    rng = random.Random(kind)

    def guess(told: Sequence[int]) -> Sequence[int]:
        rest = list(true[len(told) :])
        if kind == "wrong in places":
            return [token if rng.random() < 0.8 else 5 for token in rest]
        return {"right": rest, "none": [], "some": rest[:3], "wrong": [(rest or [0])[0] + 1] * 4}[
            kind
        ]

    return guess


@pytest.mark.parametrize("kind", ["right", "none", "some", "wrong", "wrong in places"])
def test_what_is_written_does_not_depend_on_the_drafts(model: Network, kind: str) -> None:
    wanted = plainly(model, 30)
    found = write_drafted(
        model, ASKED, model.initial_state(1), drafts(kind, wanted.tokens), limit=30
    )
    assert same(found, wanted)


@pytest.mark.parametrize("kind", ["right", "none", "some", "wrong"])
def test_it_ends_with_a_stop_wherever_the_draft_goes_on(model: Network, kind: str) -> None:
    free = plainly(model, 30).tokens
    stop = frozenset([free[11]])
    wanted = plainly(model, 30, stop)
    assert len(wanted.tokens) <= 12
    guess = drafts(kind, [*wanted.tokens, 2, 2, 2])
    assert same(write_drafted(model, ASKED, model.initial_state(1), guess, stop, 30), wanted)


def test_right_drafts_are_read_in_one_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    wanted = plainly(model, 20)
    read = list[int]()
    forward = Network.forward

    def counted(self: Network, tokens: torch.Tensor, *args: object, **more: object) -> object:
        read.append(tokens.shape[1])
        return forward(self, tokens, *args, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Network, "forward", counted)
    write_drafted(model, ASKED, model.initial_state(1), drafts("right", wanted.tokens), limit=20)
    assert read == [len(ASKED) + 20]


def test_nothing_to_read_or_to_write_is_an_error() -> None:
    model = tiny_model()
    with pytest.raises(ValueError, match="0 tokens to read"):
        write_drafted(model, [], model.initial_state(1), lambda told: ())
    with pytest.raises(ValueError, match="0 to write"):
        write_drafted(model, ASKED, model.initial_state(1), lambda told: (), limit=0)
