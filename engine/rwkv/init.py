"""First weights of a fresh network, after RWKV-LM's training code; knows no data and no loss.

A fresh block adds nothing to the residual stream: output and value matrices are zero. Here are the
parts that all generations share; a generation's file says what its blocks begin with.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine import copyhints
from engine.rwkv.config import Config
from engine.rwkv.draws import normal, orthogonal
from engine.rwkv.older_init import older_block_value
from engine.rwkv.v7_init import v7_block_value

GATE_BIAS = 2.0
"""How far a hint raises its token's logit before anything is learned."""

_TABLE_STD = 0.02
"""Well above LayerNorm's epsilon, so that the first norm really normalises from the start."""


@torch.no_grad()
def initialise(model: nn.Module, config: Config, seed: int) -> None:
    """Fill every parameter of `model` in place; the same seed gives the same weights."""
    rng = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        parameter.copy_(first_value(name, parameter, config, rng))


def first_value(name: str, p: Tensor, config: Config, rng: torch.Generator) -> Tensor:
    """What the parameter of that name begins with; shaped as p."""
    if name.startswith("hint."):
        return _hint_value(name, p, rng)
    if name.startswith("blocks."):
        _, layer, part, leaf = name.split(".", 3)
        if part in ("att", "ffn"):
            block_value = v7_block_value if config.generation == "7" else older_block_value
            return block_value(int(layer), part, leaf, p, config, rng)
    if name == "emb.weight":
        return normal(p, _TABLE_STD, rng)
    if name == "head.weight":
        return orthogonal(p, 0.5 * max(1.0, (config.vocab / config.n_embd) ** 0.5), rng)
    return torch.ones_like(p) if name.endswith("weight") else torch.zeros_like(p)  # LayerNorms


def _hint_value(name: str, p: Tensor, rng: torch.Generator) -> Tensor:
    if name == "hint.scale":
        return torch.ones_like(p)
    if name == "hint.gate.weight":
        return torch.zeros_like(p)
    if name == "hint.gate.bias":
        bias = torch.full_like(p, GATE_BIAS).view(copyhints.CHANNELS, copyhints.CODES)
        bias[:, 0] = 0
        return bias.view(-1)
    return normal(p, _TABLE_STD, rng)
