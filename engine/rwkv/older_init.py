"""First weights of the blocks of RWKV-2 to 6, after RWKV-LM's training code of each.

Channels differ in token mix, decay and bonus by layer and place. Source: BlinkDL/RWKV-LM, RWKV-v4,
RWKV-v5 (which also trains 6); RWKV-2 and 3 begin as 4. The projections are those of RWKV-7's
recipe (v7_init.py), so that every generation learns at the same rates.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from engine.rwkv.config import Config
from engine.rwkv.draws import uniform


def older_block_value(
    layer: int, part: str, leaf: str, p: Tensor, config: Config, rng: torch.Generator
) -> Tensor:
    """What parameter `leaf` of a layer's att or ffn (its `part`) begins with; shaped as p."""
    C = config.n_embd
    spread = {"receptance.weight": 0.5, "key.weight": 0.05, "value.weight": 0.5, "gate.weight": 0.5}
    if part == "ffn":
        spread = {"key.weight": 0.5, "receptance.weight": 0.5}
    if leaf in spread:
        return uniform(p, spread[leaf] / C**0.5, rng)
    if leaf in ("time_maa_w2", "time_decay_w2"):
        return uniform(p, 0.01, rng)
    if leaf.startswith(("time_mix", "time_maa")) and leaf != "time_maa_w1":
        return _mix(layer, part, leaf, config).view_as(p)
    depth = layer / max(1, config.n_layer - 1)  # 0 in the first layer, 1 in the last
    place = torch.arange(C, dtype=torch.float32) / max(1, C - 1)
    turn = (torch.arange(C) + 1) % 3 - 1.0  # 0, 1, -1, 0, ...
    base, span = (-6, 5) if config.has_heads else (-5, 8)
    vectors = {
        "time_decay": base + span * place ** (0.7 + 1.3 * depth),
        "time_first": math.log(0.3) + 0.5 * turn,
        "time_faaaa": depth * (1 - place) + 0.1 * turn,
        "ln_x.weight": torch.full((C,), ((1 + layer) / config.n_layer) ** 0.7),
    }
    if leaf in vectors:
        return vectors[leaf].view_as(p)
    return torch.zeros_like(p)  # output, ffn's value, the first low-rank halves, ln_x.bias,
    # time_state


def _mix(layer: int, part: str, leaf: str, config: Config) -> Tensor:
    """Token mixes: how much of the present (time_mix) or of the token before (time_maa)."""
    depth = layer / max(1, config.n_layer - 1)
    ahead = 1 - layer / config.n_layer  # 1 in the first layer, nearly 0 in the last
    ramp = torch.arange(config.n_embd, dtype=torch.float32) / config.n_embd
    present = ramp**ahead
    if part == "att" and leaf[-1] in "rg":
        present = ramp ** (0.5 * ahead)
    elif part == "att" and leaf.endswith("_v"):
        present = present + 0.3 * depth
    return 1 - present if leaf.startswith("time_maa") else present
