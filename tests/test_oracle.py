"""The formulas in float64 against the programs that the checkpoints come from, and the engine."""

from __future__ import annotations

import pytest
import torch
from official import FILES, network, vector
from tiny import GENERATIONS, relative, tiny_model, tiny_tokens

from engine.oracle import oracle


@pytest.mark.parametrize("generation", FILES)
def test_it_agrees_with_the_original_programs(generation: str) -> None:
    model, run = network(generation), vector(generation)["run"]
    found = oracle(model.state_dict(), model.config, run["tokens"].tolist())
    assert found.dtype == torch.float64
    assert relative(found, run["logits"].double()) <= 1e-6


@pytest.mark.parametrize("hints, tied, time_state", [(True, False, False), (True, True, True)])
def test_it_knows_copy_hints_tied_heads_and_tuned_states(
    hints: bool, tied: bool, time_state: bool
) -> None:
    model = tiny_model(hints=hints, tied=tied, time_state=time_state)
    tokens = tiny_tokens(1, 40)
    with torch.no_grad():
        wanted, _ = model(tokens, model.initial_state())
    found = oracle(model.state_dict(), model.config, tokens[0].tolist())
    assert relative(found, wanted[0].double()) <= 2e-6


@pytest.mark.parametrize("generation", GENERATIONS)
def test_it_would_notice_a_wrong_weight(generation: str) -> None:
    model, tokens = tiny_model(generation=generation), tiny_tokens(1, 8)
    right = oracle(model.state_dict(), model.config, tokens[0].tolist())
    with torch.no_grad():
        next(p for n, p in model.named_parameters() if n.endswith("att.key.weight"))[0] *= 1.01
    wrong = oracle(model.state_dict(), model.config, tokens[0].tolist())
    assert relative(wrong, right) > 2e-6
