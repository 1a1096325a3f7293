"""The layers of RWKV-2, 3 and 4 in plain torch: one recurrence, growing numbers of token mixes.

Parameters carry the names and shapes of official checkpoints. Knows nothing of embeddings or files.

Glossary: B batch, T tokens, C width; r receptance, k key, v value; xp the previous token's
layer-normed input. A mix of 1 takes the present token alone, 0 the one before.
Source: BlinkDL/RWKV-LM and RWKV-v2-RNN-Pile.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.rwkv.blank import Linear
from engine.rwkv.block import log_decay, new_parameter, previous
from engine.rwkv.config import Config
from engine.rwkv.wkv4 import empty_state
from engine.wkv import input_type, wkv4


class TimeMix(nn.Module):
    """Attention of generations 2, 3 and 4."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        C = config.n_embd
        per_channel = (C,) if config.generation == "4" else (C, 1)
        self.compat: float | None = None  # see Network.compat
        self.time_decay = new_parameter(*per_channel)
        self.time_first = new_parameter(*per_channel)
        self.mixes = ("time_mix",) * 3  # of k, v, r
        if config.generation != "2":
            self.mixes = ("time_mix_k", "time_mix_v", "time_mix_r")
        add_mixes(self, self.mixes, C)
        self.key = Linear(C, C, bias=False)
        self.value = Linear(C, C, bias=False)
        self.receptance = Linear(C, C, bias=False)
        self.output = Linear(C, C, bias=False)

    def initial(self, batch: int) -> dict[str, Tensor]:
        """Sums without terms."""
        state = empty_state(batch, self.time_decay.shape[0], self.time_decay.device)
        return dict(zip(("num", "den", "exp"), state, strict=True))

    def forward(
        self, h: Tensor, past: Mapping[str, Tensor], first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """As block.py says; num, den (B, C) float32 and exp (B, C) int32 are the state."""
        xk, xv, xr = mixed_inputs(self, self.mixes, h, past["att_x"])
        kind = input_type(h)
        k = _summed_in_parts(xk, self.key.weight).to(kind)
        v, r = self.value(xv).to(kind), self.receptance(xr)
        w, u = log_decay(self.time_decay.flatten().double()), self.time_first.flatten().float()
        y, (num, den, exp) = wkv4(
            k, v, w, u, (past["num"], past["den"], past["exp"]), epsilon=self.compat
        )
        out = self.output(torch.sigmoid(r) * y.to(r.dtype))
        return out, {"num": num, "den": den, "exp": exp}, first


def _summed_in_parts(x: Tensor, weight: Tensor, parts: int = 4) -> Tensor:
    """x (..., C) times weight (out, C) transposed, every sum as that of a few shorter ones.

    For keys, which are exponents: the error of k is the relative error of e^k, and a long sum's
    rounding is the most of it. This halves it.
    """
    if x.dtype != torch.float32:
        return F.linear(x, weight)  # rounds far more than it adds up wrongly
    size = -(-x.shape[-1] // parts)
    pairs = zip(x.split(size, -1), weight.split(size, 1), strict=True)
    return torch.stack([F.linear(x_part, w_part) for x_part, w_part in pairs]).sum(0)


class ChannelMix(nn.Module):
    """The feed-forward part of generations 2 to 5: a squared ReLU behind a gate."""

    def __init__(
        self, config: Config, mixes: tuple[str, str] = ("time_mix_k", "time_mix_r")
    ) -> None:
        super().__init__()
        C = config.n_embd
        self.mixes = ("time_mix", "time_mix") if config.generation == "2" else mixes
        add_mixes(self, self.mixes, C)
        self.key = Linear(C, config.ffn, bias=False)
        self.receptance = Linear(C, C, bias=False)
        self.value = Linear(config.ffn, C, bias=False)

    def forward(self, h: Tensor, xp: Tensor) -> Tensor:
        """h (B, T, C), xp (B, C) -> (B, T, C)."""
        xk, xr = self._inputs(h, xp)
        return torch.sigmoid(self.receptance(xr)) * self.value(self.key(xk).relu().square())

    def _inputs(self, h: Tensor, xp: Tensor) -> tuple[Tensor, ...]:
        return mixed_inputs(self, self.mixes, h, xp)


def add_mixes(module: nn.Module, names: tuple[str, ...], width: int) -> None:
    """Give `module` a mix (1, 1, C) under each name; a name may come more than once."""
    for name in dict.fromkeys(names):
        module.register_parameter(name, new_parameter(1, 1, width))


def mixed_inputs(
    module: nn.Module, names: tuple[str, ...], h: Tensor, xp: Tensor
) -> tuple[Tensor, ...]:
    """Every token of h (B, T, C) with the one before it, blended by each of the named mixes."""
    before = previous(h, xp)
    change = h - before
    # In the order of `names`: a set's changes from run to run, and with it how gradients add up.
    once = dict.fromkeys(names)
    blended = {n: torch.addcmul(before, change, module.get_parameter(n)) for n in once}
    return tuple(blended[name] for name in names)
