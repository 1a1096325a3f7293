"""What RWKV-7 alone has: stacked weights for playing, and training's products in bfloat16."""

from __future__ import annotations

import pytest
import torch
from test_generations import FAST, gradients
from tiny import relative, tiny_model, tiny_tokens
from torch import Tensor


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


def test_bfloat16_products_stay_near_the_float32_ones() -> None:
    model = tiny_model(seed=2).train()
    plain, plain_start = gradients(model, "gpt")
    model.use_mixed()
    mixed, mixed_start = gradients(model, "gpt")
    for name, gradient in plain.items():
        assert 0 < relative(mixed[name], gradient) < 0.05, name
    assert all(relative(b, a) < 0.05 for a, b in zip(plain_start, mixed_start, strict=True))


def test_other_generations_have_no_mixed_products() -> None:
    with pytest.raises(ValueError, match="RWKV-6 has no mixed products"):
        tiny_model(generation="6").use_mixed()
