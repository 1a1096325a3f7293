"""One layer of any generation, around the family's own parts; knows no recurrence.

A family's file gives two modules. Its time mix has
    forward(h, past, first) -> out, new, first    h, out (B, T, C); past, new state by name (B, ...)
    initial(batch) -> state                       the recurrence's own, before anything is read
and its channel mix forward(h, xp) -> out. `past` is never written to. `first` is None in the first
layer; what that layer returns for it goes to all later ones (RWKV-7's first values).

Glossary: B batch, T tokens, C width, H heads, N head size; h a layer-normed input and xp the one
before its first token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.rwkv.config import Config

GROUP_EPS = 64e-5
"""Epsilon of the normalisation over each head, from RWKV-5 on."""

MAX_LOG_RATE = 80.0
"""A decay of exp(-exp(80)) is 0 like every stronger one, and its gradient a number."""


class TimeMix(Protocol):
    def __call__(
        self, h: Tensor, past: Mapping[str, Tensor], first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]: ...

    def initial(self, batch: int) -> dict[str, Tensor]: ...


class ChannelMix(Protocol):
    def __call__(self, h: Tensor, xp: Tensor) -> Tensor: ...


class Block(nn.Module):
    """Norm, time mix, norm, channel mix, under the names of official checkpoints."""

    att: TimeMix
    ffn: ChannelMix

    def __init__(self, config: Config, layer: int, att: nn.Module, ffn: nn.Module) -> None:
        super().__init__()
        C = config.n_embd
        # RWKV-2 adds a layer's output to its normed input, and so needs no norm before layer 0.
        self.normed_residual = config.generation == "2"
        if layer == 0 and not self.normed_residual:
            self.ln0 = nn.LayerNorm(C)
        self.ln1, self.ln2 = nn.LayerNorm(C), nn.LayerNorm(C)
        self.add_module("att", att)
        self.add_module("ffn", ffn)

    def enter(self, x: Tensor) -> Tensor:
        """Embedded tokens as the first layer takes them: normed, from RWKV-3 on."""
        return x if self.normed_residual else self.ln0(x)

    def initial(self, batch: int) -> dict[str, Tensor]:
        """This layer's state before anything is read: tensors (B, ...) by name."""
        like = self.ln1.weight
        zeros = torch.zeros(batch, len(like), device=like.device)
        return {"att_x": zeros, **self.att.initial(batch), "ffn_x": zeros.clone()}

    def forward(
        self, x: Tensor, past: Mapping[str, Tensor], first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """x (B, T, C) and this layer's state before it -> x, the state after it, and `first`."""
        h = self.ln1(x)
        out, new, first = self.att(h, past, first)
        x = (h if self.normed_residual else x) + out
        new["att_x"] = h[:, -1].float()
        h = self.ln2(x)
        x = (h if self.normed_residual else x) + self.ffn(h, past["ffn_x"])
        new["ffn_x"] = h[:, -1].float()
        return x, new, first


def new_parameter(*shape: int) -> nn.Parameter:
    """A parameter not filled yet."""
    return nn.Parameter(torch.empty(shape))


def previous(h: Tensor, xp: Tensor) -> Tensor:
    """The token before each of h (B, T, C); xp (B, C) comes before the first."""
    return torch.cat((xp.to(h.dtype).unsqueeze(1), h[:, :-1]), 1)


def log_decay(rate: Tensor) -> Tensor:
    """log of the decay exp(-exp(rate)), which RWKV-2 to 6 store as its rate."""
    return -torch.exp(rate.clamp(max=MAX_LOG_RATE))


def group_norm(y: Tensor, norm: nn.GroupNorm) -> Tensor:
    """Normalise y (B, T, H, N) over N; weights are per channel. Returns (B, T, C)."""
    B, T, H, N = y.shape
    y = F.layer_norm(y, (N,), eps=norm.eps).view(B, T, H * N)
    return torch.addcmul(norm.bias, y, norm.weight)
