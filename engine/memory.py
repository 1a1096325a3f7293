"""A latent memory between segments: what is read before one, what is written after it.

Knows embeddings and outputs of the last layer; no tokens, no game. A segment is read as
[read(m); segment; write_tokens(m)], and what the network's last layer gives at the write tokens
becomes the next segment's memory through the solidifier. Reading and writing with a network are in
engine/segments.py.

Sources: Recurrent Memory Transformer (arXiv 2207.06881), section 3.2; BakaLLM's diary on the right
and the wrong formula, pause tokens and the elephant gate; finite scalar quantisation (arXiv
2309.15505), section 3.1.

Glossary: B batch, M slots, P pause tokens, C width.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.memoryconfig import MemoryConfig
from engine.rwkv.blank import Linear
from engine.rwkv.config import Config
from engine.rwkv.draws import normal, uniform
from engine.rwkv.init import first_value
from engine.rwkv.layers import new_block

ELEPHANT_POWER = 8
_FAR = 1e3  # where an elephant gate is shut; the power of more might overflow


class LatentMemory(nn.Module):
    """The weights of a memory of M slots, each as wide as the network that it is for.

    A memory is a value, (B, M, C) float; `start` gives the first one. Every solidifier but "layer"
    begins as one that changes nothing, and "layer" as a norm alone.
    """

    def __init__(self, config: MemoryConfig, network: Config) -> None:
        super().__init__()
        self.config, self._network = config, network
        C = network.n_embd
        self.initial = nn.Parameter(torch.empty(config.slots, C))
        if config.pause:
            self.pause = nn.Parameter(torch.empty(config.pause, C))
        match config.solidifier:
            case "glu":
                self.value, self.gate = Linear(C, C), Linear(C, C)
            case "mlp":
                self.mlp = _Mlp(C)
            case "layer":
                plain = replace(network, first_v=False, time_state=False)
                self.block = new_block(plain, 0)
            case "separate":
                self.reader, self.mlp = _Mlp(C), _Mlp(C)
            case "fsq":
                self.encode, self.decode = Linear(C, C), Linear(C, C)
        if config.gate == "elephant":
            self.elephant = Linear(C, C)

    @torch.no_grad()
    def initialise(self, embeddings: Tensor, seed: int) -> None:
        """Fill every weight; `embeddings` (V, C) are the network's, as whose rows slots begin."""
        rng = torch.Generator().manual_seed(seed)
        std = float(embeddings.float().std())
        for name, p in self.named_parameters():
            p.copy_(self._first(name, p, std, rng))

    def _first(self, name: str, p: Tensor, std: float, rng: torch.Generator) -> Tensor:
        if name in ("initial", "pause"):
            wide = name == "initial" and self.config.solidifier == "fsq"  # else all codes are 0
            return normal(p, 1.0 if wide else std, rng)
        if name.startswith("block."):
            return first_value(f"blocks.0.{name.removeprefix('block.')}", p, self._network, rng)
        if name.endswith("up.weight"):
            return uniform(p, 0.5 / p.shape[1] ** 0.5, rng)
        if name in ("encode.weight", "decode.weight"):
            return torch.eye(len(p))
        if name == "value.weight":
            return 2 * torch.eye(len(p))  # the gate begins at one half
        # Half open: where it is wholly open, an elephant gate has no slope.
        return torch.ones_like(p) if name == "elephant.bias" else torch.zeros_like(p)

    def start(self, batch: int) -> Tensor:
        """The memory before anything is written: (B, M, C)."""
        first: Tensor = self.initial
        if self.config.solidifier == "fsq":
            first = self._snap(torch.tanh(first))
        return first.expand(batch, -1, -1)

    def read(self, memory: Tensor) -> Tensor:
        """The embeddings (B, M, C) to read before a segment."""
        match self.config.solidifier:
            case "separate":
                read: Tensor = self.reader(memory)
            case "fsq":
                read = self.decode(memory)
            case _:
                read = memory
        return read

    def write_tokens(self, memory: Tensor) -> Tensor:
        """The embeddings (B, P + M, C) to read after a segment; only the last M are written from.

        By the right formula these are what was read before it.
        """
        if self.config.formula == "wrong":
            memory = self.start(len(memory))
        tokens = self.read(memory)
        if not self.config.pause:
            return tokens
        return torch.cat((self.pause.expand(len(memory), -1, -1), tokens), 1)

    def solidify(self, outputs: Tensor, memory: Tensor) -> Tensor:
        """The next memory (B, M, C), of the last layer's outputs (B, M, C) and the memory before.

        An elephant gate e chooses for each channel: e of the new one, 1 - e of the one before.
        """
        match self.config.solidifier:
            case "glu":
                new = self.value(outputs) * torch.sigmoid(self.gate(outputs))
            case "mlp" | "separate":
                new = self.mlp(outputs)
            case "layer":
                new, _, _ = self.block(
                    self.block.enter(outputs), self.block.initial(len(outputs)), None
                )
            case "fsq":
                new = torch.tanh(self.encode(outputs))
            case _:
                new = outputs
        if self.config.gate == "elephant":
            new = torch.lerp(memory, new, elephant(self.elephant(outputs)))
        return self._snap(new) if self.config.solidifier == "fsq" else new

    # -- quantised memory ----------------------------------------------------------------------

    def _snap(self, bounded: Tensor) -> Tensor:
        """Values in [-1, 1] to the nearest of the levels; gradients go straight through."""
        half = self.config.levels // 2
        return (torch.round(bounded * half) / half).detach() + (bounded - bounded.detach())

    def codes(self, memory: Tensor) -> Tensor:
        """A memory of "fsq" as whole numbers, int8; `from_codes` gives it back to the bit."""
        return torch.round(memory * (self.config.levels // 2)).to(torch.int8)

    def from_codes(self, codes: Tensor) -> Tensor:
        """The memory that `codes` was made of."""
        return codes.to(self.initial.dtype) / (self.config.levels // 2)


class _Mlp(nn.Module):
    """x + W2 relu(W1 norm(x))^2, the squared ReLU of the network's own channel mix."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.up = Linear(width, 4 * width, bias=False)
        self.down = Linear(4 * width, width, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (..., C) -> (..., C)."""
        up = self.up(F.layer_norm(x, x.shape[-1:]))
        change: Tensor = self.down(up.relu().square())
        return x + change


def elephant(x: Tensor) -> Tensor:
    """1 / (1 + x^8): near 1 around 0 and near 0 elsewhere, with a steep side between."""
    return 1 / (1 + x.clamp(-_FAR, _FAR).pow(ELEPHANT_POWER))
