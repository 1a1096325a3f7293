"""RWKV-7's layers in plain torch, over whole sequences; the specification of every faster form.

Parameters carry the names of official checkpoints. Knows nothing of embeddings, heads or files.

Glossary
    B batch, T tokens, C width, H heads, N head size
    r receptance, w decay, k key, v value, a in-context rate, g gate, kk normalised removal key
    S the recurrent matrix, [value, key];  xp the previous token's layer-normed input
Per token and head:  S <- S diag(w) + (S (-kk)) (kk a)^T + v k^T ;  y = S r
Source: the RWKV-7 paper and RWKV-LM's v7 numpy demonstration.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.rwkv.blank import Linear
from engine.rwkv.block import GROUP_EPS, group_norm, new_parameter, previous
from engine.rwkv.config import Config
from engine.rwkv.mixed import product, shifted_products, squared_relu_mix
from engine.wkv import input_type, wkv7

LOG_DECAY = -math.exp(-0.5)
"""log w = LOG_DECAY * sigmoid(...): the decay of one token lies in (0.545, 1)."""


class TimeMix(nn.Module):
    """RWKV-7's attention: six shifted inputs, four low-rank parts, and the WKV recurrence."""

    def __init__(self, config: Config, layer: int) -> None:
        super().__init__()
        C, H, ranks = config.n_embd, config.n_head, config.ranks
        self.layer, self.n_head = layer, H
        self.mixed = False  # large products in bfloat16, for training

        new = new_parameter
        self.x_r, self.x_w, self.x_k = new(1, 1, C), new(1, 1, C), new(1, 1, C)
        self.x_v, self.x_a, self.x_g = new(1, 1, C), new(1, 1, C), new(1, 1, C)
        self.w0, self.w1, self.w2 = new(1, 1, C), new(C, ranks.w), new(ranks.w, C)
        self.a0, self.a1, self.a2 = new(1, 1, C), new(C, ranks.a), new(ranks.a, C)
        if layer > 0 or config.first_v:
            self.v0, self.v1, self.v2 = new(1, 1, C), new(C, ranks.v), new(ranks.v, C)
        self.g1, self.g2 = new(C, ranks.g), new(ranks.g, C)
        self.k_k, self.k_a = new(1, 1, C), new(1, 1, C)
        self.r_k = new(H, config.head_size)
        self.receptance = Linear(C, C, bias=False)
        self.key = Linear(C, C, bias=False)
        self.value = Linear(C, C, bias=False)
        self.output = Linear(C, C, bias=False)
        self.ln_x = nn.GroupNorm(H, C, eps=GROUP_EPS)
        self.time_state = None
        if config.time_state:
            self.time_state = new(H, config.head_size, config.head_size)

    def initial(self, batch: int) -> dict[str, Tensor]:
        """Zeros, or the tuned matrices that the checkpoint has for a start."""
        H, N = self.r_k.shape
        if self.time_state is not None:
            return {"wkv": self.time_state.float().expand(batch, H, N, N)}
        return {"wkv": torch.zeros(batch, H, N, N, device=self.r_k.device)}

    def forward(
        self, h: Tensor, past: Mapping[str, Tensor], v_first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        """As block.py says; wkv (B, H, N, N) float32 is the state, v_first (B, T, C)."""
        B, T, C = h.shape
        heads = (B, T, self.n_head, C // self.n_head)
        r, k, v, w, a, g, *nu = self._projections(h, past["att_x"])
        logw = LOG_DECAY * torch.sigmoid((self.w0 + w).float())
        a = torch.sigmoid(self.a0 + a)
        if v_first is None:
            v_first = v
        else:
            v = torch.lerp(v, v_first, torch.sigmoid(self.v0 + nu[0]))
        kk = F.normalize((k * self.k_k).view(heads).float(), dim=-1, eps=1e-12)
        k = k * torch.addcmul(1 - self.k_a, a, self.k_a)

        removed, put = -kk, kk * a.view(heads).float()
        kind = input_type(h)
        r_heads, k_heads, v_heads, removed, put = (
            x.view(heads).to(kind) for x in (r, k, v, removed, put)
        )
        y, S = wkv7(r_heads, logw.view(heads), k_heads, v_heads, removed, put, past["wkv"])
        y = group_norm(y.float(), self.ln_x)
        bonus = (r_heads.float() * k_heads * self.r_k).sum(-1, keepdim=True) * v_heads
        y = (y + bonus.reshape(B, T, C)).to(h.dtype) * g
        out = self._product(y, self.output.weight)
        return out, {"wkv": S}, v_first

    def _projections(self, h: Tensor, xp: Tensor) -> list[Tensor]:
        """r, k, v and what the low-rank parts give for w, a, g and, past layer 0, the value mix."""
        C = h.shape[2]
        mix = torch.cat([self.x_r, self.x_w, self.x_k, self.x_v, self.x_a, self.x_g])
        # Layer 0 has no earlier values to mix with, even where its v1 and v2 exist.
        v1 = [self.v1.t()] if self.layer else []
        into = (
            self.receptance.weight,
            self.w1.t(),
            self.key.weight,
            torch.cat([self.value.weight, *v1]),
            self.a1.t(),
            self.g1.t(),
        )
        if self.mixed:
            outs = shifted_products(h, xp, mix.squeeze(1), into)
        else:
            shifted = token_shift(h, xp, mix)
            outs = tuple(F.linear(x, weight) for x, weight in zip(shifted, into, strict=True))
        r, w, k, v, a, g = outs
        low = [(w.tanh(), self.w2), (a, self.a2), (g.sigmoid(), self.g2)]
        if self.layer:
            low.append((v[..., C:], self.v2))
        return [r, k, v[..., :C], *(self._product(x, m.t()) for x, m in low)]

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        return product(x, weight) if self.mixed else F.linear(x, weight)


class ChannelMix(nn.Module):
    """RWKV-7's feed-forward part: a squared ReLU on one shifted input."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.mixed = False
        self.x_k = nn.Parameter(torch.empty(1, 1, config.n_embd))
        self.key = Linear(config.n_embd, config.ffn, bias=False)
        self.value = Linear(config.ffn, config.n_embd, bias=False)

    def forward(self, h: Tensor, xp: Tensor) -> Tensor:
        """h (B, T, C), xp (B, C) -> (B, T, C)."""
        (xk,) = token_shift(h, xp, self.x_k)
        key, value = self.key.weight, self.value.weight
        if self.mixed:
            return squared_relu_mix(xk, key, value)
        return F.linear(F.linear(xk, key).relu().square(), value)


def token_shift(h: Tensor, xp: Tensor, mix: Tensor) -> tuple[Tensor, ...]:
    """Blend every token's h (B, T, C) with the one before it, once for each row of mix (J, 1, C).

    xp (B, C) comes before the first token. Returns J tensors (B, T, C).
    """
    return torch.addcmul(h, previous(h, xp) - h, mix.unsqueeze(1)).unbind(0)
