"""RWKV-7 one token at a time with few tensor operations, for playing; can't be differentiated.

At this size a step costs as much in calls as in arithmetic, so weights that meet the same input
are stacked, biases and constants folded in, and the recurrent matrices updated in place (in
memory that the caller gives for it). The plain form in v7_layers.py is the specification.

Glossary: B batch, C width, D widest low rank, H heads, N head size, S [value, key].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.rwkv.block import GROUP_EPS
from engine.rwkv.v7_layers import LOG_DECAY
from engine.rwkv.watch import Watch

LARGEST = 1 << 26
"""Networks with more weights than this aren't stacked: calls cost them little, copies much."""

Norm = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class LayerPack:
    """One layer's weights as `advance` wants them. Matrices are (in, out)."""

    ln1: Norm
    mix: Tensor  # (6 or 7, 1, C): r k v g w a, and past layer 0 v again
    rkv: Tensor  # (3, C, C)
    down: Tensor  # (3 or 4, C, D): g w a and the value mix, narrow ones padded with zeros
    up: Tensor  # (3 or 4, D, C)
    bias: Tensor  # (3 or 4, 1, C)
    keys: Tensor  # (2, 1, C): k_k and 1 - k_a
    bonus: Tensor  # (H, 1, N)
    ln_x: Norm  # (H, N) each
    out: Tensor  # (C, C)
    ln2: Norm
    ffn_mix: Tensor  # (1, C)
    ffn_key: Tensor  # (C, 4C)
    ffn_value: Tensor  # (4C, C)


@dataclass(frozen=True)
class Packed:
    """All layers and the head, and what tells whether the weights have changed since."""

    layers: tuple[LayerPack, ...]
    head: Tensor  # (C, V)
    watch: Watch

    def fresh(self) -> bool:
        """Whether the weights are those that were packed, as far as watch.py sees."""
        return self.watch.unchanged()


@torch.no_grad()
def pack(model: nn.Module, n_layer: int, head: Tensor) -> Packed:
    """Copy and stack the weights of an RWKV-7, found by their official names, and head (V, C)."""
    weights = dict(model.named_parameters())
    layers = tuple(_pack_layer(weights, i) for i in range(n_layer))
    return Packed(layers, head.detach().t().contiguous(), Watch(model))


def _pack_layer(weights: Mapping[str, Tensor], i: int) -> LayerPack:
    def get(name: str) -> Tensor:
        return weights[f"blocks.{i}.{name}"].detach()

    def norm(name: str) -> Norm:
        return get(f"{name}.weight"), get(f"{name}.bias")

    def by_head(name: str) -> Tensor:
        return get(name).view_as(get("att.r_k"))

    def turned(name: str) -> Tensor:
        return get(f"{name}.weight").t().contiguous()

    low = "gwav" if i > 0 else "gwa"  # layer 0 has no earlier values to mix with
    # sigmoid(x) = (1 + tanh(x / 2)) / 2, so that g shares one tanh with w.
    g1, g2 = get("att.g1") / 2, get("att.g2") / 2
    down = [g1, *(get(f"att.{x}1") for x in low[1:])]
    up = [g2, *(get(f"att.{x}2") for x in low[1:])]
    bias = [g2.sum(0).view(1, -1), *(get(f"att.{x}0")[0] for x in low[1:])]
    D = max(m.shape[1] for m in down)
    return LayerPack(
        ln1=norm("ln1"),
        mix=torch.cat([get(f"att.x_{x}") for x in "rkv" + low]),
        rkv=torch.stack([turned(f"att.{x}") for x in ("receptance", "key", "value")]),
        down=torch.stack([F.pad(m, (0, D - m.shape[1])) for m in down]),
        up=torch.stack([F.pad(m, (0, 0, 0, D - m.shape[0])) for m in up]),
        bias=torch.stack(bias),
        keys=torch.cat([get("att.k_k"), 1 - get("att.k_a")]),
        bonus=get("att.r_k").unsqueeze(1),
        ln_x=(by_head("att.ln_x.weight"), by_head("att.ln_x.bias")),
        out=turned("att.output"),
        ln2=norm("ln2"),
        ffn_mix=get("ffn.x_k")[0],
        ffn_key=turned("ffn.key"),
        ffn_value=turned("ffn.value"),
    )


def advance(packed: Packed, x: Tensor, state: Mapping[str, Tensor]) -> Tensor:
    """Take embedded tokens x (B, C) through all layers: (B, C), before ln_out.

    `state` holds att_x and ffn_x (L, B, C) and wkv (L, B, H, N, N), and is changed in place.
    """
    v_first = None
    rows = (state[name].unbind(0) for name in ("att_x", "wkv", "ffn_x"))
    for p, att_x, S, ffn_x in zip(packed.layers, *rows, strict=True):
        x, v_first = _time_mix(p, x, att_x, S, v_first)
        h = torch.layer_norm(x, x.shape[1:], *p.ln2)
        shifted = torch.lerp(h, ffn_x, p.ffn_mix)
        ffn_x.copy_(h)
        x = torch.addmm(x, (shifted @ p.ffn_key).relu_().square_(), p.ffn_value)
    return x


def _time_mix(
    p: LayerPack, x: Tensor, att_x: Tensor, S: Tensor, v_first: Tensor | None
) -> tuple[Tensor, Tensor]:
    B, H, N, _ = S.shape
    h = torch.layer_norm(x, x.shape[1:], *p.ln1)
    shifted = torch.lerp(h, att_x, p.mix)  # (6 or 7, B, C)
    att_x.copy_(h)
    r, k, v = torch.bmm(shifted[:3], p.rkv).unbind(0)
    low = torch.bmm(shifted[3:], p.down)  # (3 or 4, B, D)
    low[:2].tanh_()
    ups = torch.baddbmm(p.bias, low, p.up)  # (3 or 4, B, C)
    ups[1:].sigmoid_()
    g, w, a, *nu = ups.unbind(0)
    if v_first is None:
        v_first = v
    else:
        v = v.lerp(v_first, nu[0])
    kk, rest = (k * p.keys).unbind(0)
    k = torch.lerp(rest, k, a).view(B, H, 1, N)  # k (1 + (a - 1) k_a)
    kk = kk.view(B, H, 1, N)
    kk = kk / torch.linalg.vector_norm(kk, dim=3, keepdim=True).clamp_min_(1e-12)
    v = v.view(B, H, N, 1)
    r = r.view(B, H, 1, N)

    # At these sizes a product and a sum beat batched matrix-vector products, most of all for B > 1.
    removed = (S * kk).sum(3, keepdim=True)
    S.mul_(w.mul(LOG_DECAY).exp_().view(B, H, 1, N))
    S.addcmul_(removed, kk * a.view(B, H, 1, N), value=-1).addcmul_(v, k)
    y = torch.layer_norm((S * r).sum(3), (N,), None, None, GROUP_EPS)
    bonus = (r * k).mul_(p.bonus).sum(3)  # (B, H, 1)
    y = torch.addcmul(p.ln_x[1], y, p.ln_x[0]).addcmul_(bonus, v.squeeze(3))
    return torch.addmm(x, y.view(B, H * N).mul_(g), p.out), v_first
