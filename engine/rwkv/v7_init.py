"""First weights of RWKV-7's blocks, after RWKV-LM's v7 training code; knows no data and no loss.

Source: BlinkDL/RWKV-LM, RWKV-v7/train_temp. Channels differ in token shift and decay by layer and
place.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.rwkv.config import Config
from engine.rwkv.draws import orthogonal, uniform


def v7_block_value(
    layer: int, part: str, leaf: str, p: Tensor, config: Config, rng: torch.Generator
) -> Tensor:
    """What parameter `leaf` of a layer's att or ffn (its `part`) begins with; shaped as p."""
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
        return uniform(p, 0.5 / C**0.5, rng) if leaf == "key.weight" else torch.zeros_like(p)
    shift = {"x_r": 0.2, "x_w": 0.9, "x_k": 0.7, "x_v": 0.7, "x_a": 0.9, "x_g": 0.2}
    spread = {"receptance.weight": 0.5, "key.weight": 0.05, "value.weight": 0.5}
    if leaf in shift:
        return (1 - ramp ** (shift[leaf] * ahead)).view_as(p)
    if leaf in spread:
        return uniform(p, spread[leaf] / C**0.5, rng)
    if leaf in ("w2", "a2", "v2", "g2"):
        return orthogonal(p, 0.1, rng)
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
    return torch.zeros_like(p)  # w1, a1, v1, g1, output.weight, ln_x.bias, time_state
