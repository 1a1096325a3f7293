"""First weights of a fresh RWKV-7, after RWKV-LM's v7 training code; knows no data and no loss.

Source: BlinkDL/RWKV-LM, RWKV-v7/train_temp. A fresh block adds nothing to the residual stream
(output and value matrices are zero), channels differ in token shift and decay by layer and place.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine import copyhints
from engine.rwkv.config import Config

GATE_BIAS = 2.0
"""How far a hint raises its token's logit before anything is learned."""

_TABLE_STD = 0.02
"""Well above LayerNorm's epsilon, so that ln0 really normalises from the first step on."""


@torch.no_grad()
def initialise(model: nn.Module, config: Config, seed: int) -> None:
    """Fill every parameter of `model` in place; the same seed gives the same weights."""
    rng = torch.Generator().manual_seed(seed)
    for name, parameter in model.named_parameters():
        parameter.copy_(_first_value(name, parameter, config, rng))


def _first_value(name: str, p: Tensor, config: Config, rng: torch.Generator) -> Tensor:
    if name.startswith("hint."):
        return _hint_value(name, p, rng)
    if name.startswith("blocks."):
        _, layer, part, leaf = name.split(".", 3)
        if part in ("att", "ffn"):
            return _block_value(int(layer), part, leaf, p, config, rng)
    if name == "emb.weight":
        return _normal(p, _TABLE_STD, rng)
    if name == "head.weight":
        return _orthogonal(p, 0.5 * max(1.0, (config.vocab / config.n_embd) ** 0.5), rng)
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
    return _normal(p, _TABLE_STD, rng)


def _block_value(
    layer: int, part: str, leaf: str, p: Tensor, config: Config, rng: torch.Generator
) -> Tensor:
    C, N = config.n_embd, config.head_size
    depth = layer / max(1, config.n_layer - 1)  # 0 in the first layer, 1 in the last
    ahead = 1 - layer / config.n_layer  # 1 in the first layer, nearly 0 in the last
    n = torch.arange(C, dtype=torch.float32)
    ramp = n / C
    linear = n / (C - 1) - 0.5
    zigzag = (n % N - (N - 1) / 2) / ((N - 1) / 2)
    zigzag = zigzag * zigzag.abs()

    if part == "ffn":
        if leaf == "x_k":
            return (1 - ramp ** (ahead**4)).view_as(p)
        return _uniform(p, 0.5 / C**0.5, rng) if leaf == "key.weight" else torch.zeros_like(p)
    shift = {"x_r": 0.2, "x_w": 0.9, "x_k": 0.7, "x_v": 0.7, "x_a": 0.9, "x_g": 0.2}
    spread = {"receptance.weight": 0.5, "key.weight": 0.05, "value.weight": 0.5}
    if leaf in shift:
        return (1 - ramp ** (shift[leaf] * ahead)).view_as(p)
    if leaf in spread:
        return _uniform(p, spread[leaf] / C**0.5, rng)
    if leaf in ("w2", "a2", "v2", "g2"):
        return _orthogonal(p, 0.1, rng)
    vectors = {
        "w0": -5.5 + 6 * (n / (C - 1)) ** (1 + depth**0.3) + 2.5 * zigzag,
        "a0": -0.19 + 0.3 * zigzag + 0.4 * linear,
        "v0": 0.73 - 0.4 * linear,
        "k_k": 0.71 - 0.1 * linear,
        "k_a": torch.full((C,), 1.02),
        "r_k": torch.full((C,), -0.04),
        "ln_x.weight": torch.full((C,), ((1 + layer) / config.n_layer) ** 0.7),
    }
    if leaf in vectors:
        return vectors[leaf].view_as(p)
    return torch.zeros_like(p)  # w1, a1, v1, g1, output.weight, ln_x.bias


def _normal(p: Tensor, std: float, rng: torch.Generator) -> Tensor:
    return torch.empty(p.shape).normal_(0, std, generator=rng)


def _uniform(p: Tensor, bound: float, rng: torch.Generator) -> Tensor:
    return torch.empty(p.shape).uniform_(-bound, bound, generator=rng)


def _orthogonal(p: Tensor, gain: float, rng: torch.Generator) -> Tensor:
    return nn.init.orthogonal_(torch.empty(p.shape), gain, generator=rng)
