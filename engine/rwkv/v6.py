"""The layers of RWKV-5.2 and 6 in plain torch: matrix states, whose decay depends on the text in 6.

Parameters carry the names and shapes of official checkpoints. Knows nothing of embeddings or files.

Glossary: B batch, T tokens, C width, H heads, N head size, R rank of the mixes; r receptance,
k key, v value, g gate, w decay; S the recurrent matrix, [value, key]. 5.2's mixes are of the
present token, 6's (maa) of the one before. Source: BlinkDL/RWKV-LM, the Eagle and Finch paper.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.rwkv.blank import Linear
from engine.rwkv.block import GROUP_EPS, group_norm, log_decay, new_parameter, previous
from engine.rwkv.config import Config
from engine.rwkv.v4 import ChannelMix, add_mixes, mixed_inputs
from engine.rwkv.wkv6 import wkv6

MAA = ("time_maa_w", "time_maa_k", "time_maa_v", "time_maa_r", "time_maa_g")
"""RWKV-6's mixes in the order of time_maa_w1 and time_maa_w2."""


class _TimeMix(nn.Module):
    """What the attention of both generations has: projections, recurrence, norm and gate."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        C, self.heads = config.n_embd, (config.n_head, config.head_size)
        self.time_faaaa = new_parameter(*self.heads)
        self.receptance = Linear(C, C, bias=False)
        self.key = Linear(C, C, bias=False)
        self.value = Linear(C, C, bias=False)
        self.gate = Linear(C, C, bias=False)
        self.output = Linear(C, C, bias=False)
        self.ln_x = nn.GroupNorm(config.n_head, C, eps=GROUP_EPS)
        self.time_state = None
        if config.time_state:
            self.time_state = new_parameter(config.n_head, config.head_size, config.head_size)

    def initial(self, batch: int) -> dict[str, Tensor]:
        """Zeros, or the tuned matrices that the checkpoint has for a start."""
        H, N = self.heads
        if self.time_state is not None:
            return {"wkv": self.time_state.float().expand(batch, H, N, N)}
        return {"wkv": torch.zeros(batch, H, N, N, device=self.time_faaaa.device)}

    def _attend(
        self, xr: Tensor, xk: Tensor, xv: Tensor, xg: Tensor, logw: Tensor, S: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Inputs (B, T, C), logw (B, T, H, N) or (1, 1, H, N) -> output (B, T, C), new state."""
        heads = (*xr.shape[:2], *self.heads)
        r, k, v = (
            part(x).view(heads).float()
            for part, x in ((self.receptance, xr), (self.key, xk), (self.value, xv))
        )
        y, S = wkv6(r, logw, k, v, self.time_faaaa.float(), S)
        g = F.silu(self.gate(xg))
        out = self.output(group_norm(y, self.ln_x).to(g.dtype) * g)
        return out, {"wkv": S}


class TimeMix5(_TimeMix):
    """RWKV-5.2's attention: every channel of a head has a decay of its own."""

    MIXES = ("time_mix_r", "time_mix_k", "time_mix_v", "time_mix_g")

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        add_mixes(self, self.MIXES, config.n_embd)
        self.time_decay = new_parameter(*self.heads)

    def forward(
        self, h: Tensor, past: Mapping[str, Tensor], first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """As block.py says; wkv (B, H, N, N) float32 is the state."""
        xr, xk, xv, xg = mixed_inputs(self, self.MIXES, h, past["att_x"])
        logw = log_decay(self.time_decay.float()).view(1, 1, *self.heads)
        out, new = self._attend(xr, xk, xv, xg, logw, past["wkv"])
        return out, new, first


class TimeMix6(_TimeMix):
    """RWKV-6's attention: the mixes and the decay are functions of the text, of low rank."""

    def __init__(self, config: Config) -> None:
        super().__init__(config)
        C, ranks = config.n_embd, config.ranks
        add_mixes(self, ("time_maa_x", *MAA), C)
        self.time_maa_w1 = new_parameter(C, len(MAA) * ranks.mix)
        self.time_maa_w2 = new_parameter(len(MAA), ranks.mix, C)
        self.time_decay = new_parameter(1, 1, C)
        self.time_decay_w1 = new_parameter(C, ranks.w)
        self.time_decay_w2 = new_parameter(ranks.w, C)

    def forward(
        self, h: Tensor, past: Mapping[str, Tensor], first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """As block.py says; wkv (B, H, N, N) float32 is the state."""
        B, T, C = h.shape
        change = previous(h, past["att_x"]) - h
        xx = torch.addcmul(h, change, self.get_parameter("time_maa_x"))
        low = torch.tanh(xx @ self.time_maa_w1)
        low = low.view(B * T, len(MAA), -1).transpose(0, 1)  # (5, B*T, R)
        moved = torch.bmm(low, self.time_maa_w2).view(len(MAA), B, T, C)
        mix = moved + torch.stack([self.get_parameter(name) for name in MAA])  # (5, B, T, C)
        xw, xk, xv, xr, xg = torch.addcmul(h, change, mix).unbind(0)
        rate = self.time_decay + torch.tanh(xw @ self.time_decay_w1) @ self.time_decay_w2
        logw = log_decay(rate.float()).view(B, T, *self.heads)
        out, new = self._attend(xr, xk, xv, xg, logw, past["wkv"])
        return out, new, first


class ChannelMix6(ChannelMix):
    """RWKV-6's feed-forward part: that of the generations before, with mixes the other way."""

    def __init__(self, config: Config) -> None:
        super().__init__(config, ("time_maa_k", "time_maa_r"))

    def _inputs(self, h: Tensor, xp: Tensor) -> tuple[Tensor, ...]:
        change = previous(h, xp) - h
        return tuple(torch.addcmul(h, change, self.get_parameter(name)) for name in self.mixes)
