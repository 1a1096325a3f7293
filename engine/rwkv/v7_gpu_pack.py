"""An RWKV-7's weights as the fused step for CUDA reads them; knows nothing of launching.

Large matrices stay where the network has them, if they are contiguous and aligned; the low-rank
parts are stacked and vectors become float32.

Glossary: C width, F feed-forward width, V vocabulary, D the sum of the low ranks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.rwkv.config import Config

WIDTH_STEP = 8  # weights of two bytes in one load of 16


@dataclass(frozen=True)
class LayerPack:
    """One layer's weights. Matrices are (out, in), in the network's format, but `up`."""

    vectors: Tensor  # (20, C) float32, in the order of `Vector` in rwkv7_step.cu
    products: tuple[Tensor, Tensor, Tensor]  # r, k, v: (C, C)
    down: Tensor  # (D, C): w a g and, past layer 0, the value mix
    up: Tensor  # (D, C): the same, (in, out)
    ranks: tuple[int, int, int, int]
    output: Tensor  # (C, C)
    key: Tensor  # (F, C)
    value: Tensor  # (C, F), padded with zeros to a multiple of 8 columns


@dataclass(frozen=True)
class EndsPack:
    """What comes before and after the layers; vectors are float32 and flat."""

    table: Tensor  # (V, C)
    hint_table: Tensor | None  # (V, C)
    before: Tensor  # ln0, the hints' scales and codes
    after: Tensor  # ln_out, the hints' gates
    head: Tensor  # (V, C)


def pack_layer(weights: Mapping[str, Tensor], i: int) -> LayerPack:
    """Layer i of weights by their official names. Raises KeyError for one that is missing."""

    def get(name: str) -> Tensor:
        return weights[f"blocks.{i}.{name}"]

    def matrix(name: str) -> Tensor:
        return ready(get(f"{name}.weight"), get(f"{name}.weight").dtype)

    low = "wagv" if i > 0 else "wag"  # layer 0 has no earlier values to mix with
    downs = [get(f"att.{x}1") for x in low]
    v0 = get("att.v0") if i > 0 else torch.zeros_like(get("att.w0"))
    names = [*(f"att.x_{x}" for x in "rkvwagv"), "att.w0", "att.a0"]
    vectors = [get("ln1.weight"), get("ln1.bias"), *map(get, names), v0]
    names = ["att.k_k", "att.k_a", "att.r_k", "att.ln_x.weight", "att.ln_x.bias"]
    vectors += [*map(get, names), get("ln2.weight"), get("ln2.bias"), get("ffn.x_k")]
    value = matrix("ffn.value")
    ranks = [x.shape[1] for x in downs] + [0] * (4 - len(low))
    return LayerPack(
        vectors=torch.stack([x.float().flatten() for x in vectors]),
        products=(matrix("att.receptance"), matrix("att.key"), matrix("att.value")),
        down=torch.cat([x.t() for x in downs]).contiguous(),
        up=torch.cat([get(f"att.{x}2") for x in low]).contiguous(),
        ranks=(ranks[0], ranks[1], ranks[2], ranks[3]),
        output=matrix("att.output"),
        key=matrix("ffn.key"),
        value=F.pad(value, (0, extra)) if (extra := -value.shape[1] % WIDTH_STEP) else value,
    )


def pack_ends(weights: Mapping[str, Tensor], config: Config) -> EndsPack:
    """Embedding, hints and head. Raises KeyError for a weight that is missing."""

    def flat(*names: str) -> Tensor:
        return torch.cat([weights[name].float().flatten() for name in names])

    def matrix(name: str) -> Tensor:
        return ready(weights[name], weights[name].dtype)

    hinted = config.hints is not None
    before, after = ["hint.scale", "hint.code.weight"], ["hint.gate.weight", "hint.gate.bias"]
    ln0, ln_out = "blocks.0.ln0", "ln_out"
    return EndsPack(
        table=matrix("emb.weight"),
        hint_table=matrix("hint.emb.weight") if hinted else None,
        before=flat(f"{ln0}.weight", f"{ln0}.bias", *(before if hinted else ())),
        after=flat(f"{ln_out}.weight", f"{ln_out}.bias", *(after if hinted else ())),
        head=matrix("emb.weight" if config.tied else "head.weight"),
    )


def ready(x: Tensor, dtype: torch.dtype) -> Tensor:
    """As the kernels take it: contiguous, and aligned to their 16-byte loads. No copy if it is."""
    x = x.to(dtype).contiguous()
    return x if x.data_ptr() % 16 == 0 else x.clone()
