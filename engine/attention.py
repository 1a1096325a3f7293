"""A network with softmax attention where RWKV-7 has its time mix: what recurrence is compared with.

All else is RWKV-7's, channel mix, head and copy hints included. It reads, writes and learns as any
network does, in plain torch alone, and its state grows with every token: it is no game master, and
its files are for whoever measures.

Sources: Attention Is All You Need (arXiv 1706.03762), section 3.2; rotary positions, RoFormer
(arXiv 2104.09864), section 3.2; normed queries and keys, ViT-22B (arXiv 2302.05442), section 2.

Glossary: B batch, T tokens, P tokens read before, C width, H heads, N head size.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.native import Runner
from engine.rwkv.blank import Linear
from engine.rwkv.block import new_parameter
from engine.rwkv.config import Config
from engine.rwkv.mixed import product
from engine.rwkv.network import Mode, Network
from engine.rwkv.v7_layers import ChannelMix

HEAD_SIZE = 32
BASE = 10_000.0
"""Wave lengths of rotary positions go from 2 pi to 2 pi times this."""


class AttentionNetwork(Network):
    """A `Network` whose state holds the keys and values (L, B, T, H, N) of all tokens read.

    Its configuration is that of the RWKV-7 beside which it stands. Raises ValueError for a width
    that isn't a multiple of HEAD_SIZE, or a configuration with a latent memory or of another
    generation.
    """

    def __init__(self, config: Config) -> None:
        if config.n_embd % HEAD_SIZE or config.memory or config.generation != "7":
            raise ValueError(
                f"attention is for RWKV-7's configuration without a memory, its width a multiple "
                f"of {HEAD_SIZE}, not for {config}"
            )
        super().__init__(config)
        for block in self._layers():
            block.add_module("att", Attention(config))

    @classmethod
    def create(cls, config: Config, seed: int = 0) -> AttentionNetwork:
        """A fresh network, ready to train; the same seed gives the same weights."""
        model = cast(AttentionNetwork, super().create(config, seed))
        rng = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for block in model._layers():
                cast(Attention, block.att).initialise(rng)
        return model

    def use_mixed(self, on: bool = True) -> None:
        """As RWKV-7's: products with weights in bfloat16."""
        self.mixed = on
        for block in self._layers():
            cast(Attention, block.att).mixed = cast(ChannelMix, block.ffn).mixed = on

    def _native(self, mode: Mode) -> Runner | None:
        return None  # the runtime knows recurrences only

    def _can_pack(self) -> bool:
        return False


class Attention(nn.Module):
    """Causal attention over everything read so far, in the place of a time mix (rwkv/block.py)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        C = config.n_embd
        self.mixed = False
        self.query = Linear(C, C, bias=False)
        self.key = Linear(C, C, bias=False)
        self.value = Linear(C, C, bias=False)
        self.output = Linear(C, C, bias=False)
        self.sharpness = new_parameter(C // HEAD_SIZE)

    def initialise(self, rng: torch.Generator) -> None:
        """First weights: like RWKV-7's, a fresh layer adds nothing to what it gets."""
        C = self.query.weight.shape[1]
        for linear in (self.query, self.key, self.value):
            linear.weight.uniform_(-0.5 / C**0.5, 0.5 / C**0.5, generator=rng)
        self.output.weight.zero_()
        self.sharpness.fill_(1.0)

    def initial(self, batch: int) -> dict[str, Tensor]:
        """Nothing read yet."""
        none = self.query.weight.new_zeros(batch, 0, len(self.sharpness), HEAD_SIZE).float()
        return {"keys": none, "values": none.clone()}

    def forward(
        self, h: Tensor, past: Mapping[str, Tensor], first: Tensor | None
    ) -> tuple[Tensor, dict[str, Tensor], Tensor | None]:
        """As block.py says; keys (turned already) and values (B, P + T, H, N) are the state."""
        B, T, C = h.shape
        P = past["keys"].shape[1]
        heads = (B, T, C // HEAD_SIZE, HEAD_SIZE)
        q, k, v = (
            self._product(h, x.weight).view(heads) for x in (self.query, self.key, self.value)
        )
        turns = angles(P, T, h.device)
        q = rotated(F.rms_norm(q.float(), (HEAD_SIZE,)), turns) * self.sharpness.unsqueeze(1)
        keys = torch.cat((past["keys"], rotated(F.rms_norm(k.float(), (HEAD_SIZE,)), turns)), 1)
        values = torch.cat((past["values"], v.float()), 1)
        seen = None
        if P:  # token t sees all before it and itself
            seen = torch.ones(T, P + T, dtype=torch.bool, device=h.device).tril(P)
        q, k, v = (x.transpose(1, 2) for x in (q, keys, values))
        y = F.scaled_dot_product_attention(q, k, v, seen, is_causal=not P)  # (B, H, T, N)
        out = self._product(y.transpose(1, 2).reshape(B, T, C).to(h.dtype), self.output.weight)
        return out, {"keys": keys, "values": values}, first

    def _product(self, x: Tensor, weight: Tensor) -> Tensor:
        return product(x, weight) if self.mixed else F.linear(x, weight)


def angles(first: int, count: int, device: torch.device) -> Tensor:
    """By how much the pairs of channels of tokens number `first` and on are turned: (T, 1, N/2)."""
    slowness = torch.arange(0, HEAD_SIZE, 2, device=device) / HEAD_SIZE
    places = torch.arange(first, first + count, device=device)
    return torch.outer(places, BASE**-slowness).unsqueeze(1)


def rotated(x: Tensor, turns: Tensor) -> Tensor:
    """x (B, T, H, N), each pair of channels (n, n + N/2) turned by its angle (T, 1, N/2)."""
    a, b = x.chunk(2, -1)
    cos, sin = turns.cos(), turns.sin()
    return torch.cat((a * cos - b * sin, a * sin + b * cos), -1)
