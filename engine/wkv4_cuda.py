"""Launches the WKV-4 kernels of cuda/wkv4.cu; knows nothing of autograd, layers or weights.

Glossary: B batch, T tokens, C channels; a chunk is CHUNK tokens, a segment some chunks. A thread
takes one channel of one batch row through one segment. What is computed: engine/rwkv/wkv4.py,
cuda/README.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from engine import gpu
from engine.gpu import Module, Program

CHUNK = 8
BLOCK = 128
TYPES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
# Few channels and many tokens: the tokens are split so that each multiprocessor has so many
# threads. A split costs reading the keys and values a second time.
THREADS = 512
SEGMENTS = 64  # at most: those of a channel are joined one after the other
_RATE_ROWS = 11
Six = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def program(io: torch.dtype) -> Program:
    """The kernels for k, v and y of a type."""
    return Program("wkv4", ("wkv4.cu", "wkv4_step.h"), (("IO", TYPES[io]),))


PROGRAMS = tuple(program(io) for io in TYPES)


def fits(inputs: tuple[Tensor, ...]) -> bool:
    """Whether k, v, w, u, num, den and exp have types that the kernels take."""
    k, v, w, u, num, den, exp = inputs
    return (
        k.dtype in TYPES
        and v.dtype is k.dtype
        and w.dtype is torch.float64
        and all(x.dtype is torch.float32 for x in (u, num, den))
        and exp.dtype is torch.int32
    )


def saved_size(B: int, T: int, C: int) -> int:
    """Numbers that `forward` keeps for `backward`: num, den, exp of every chunk and of the end."""
    return B * ((T + CHUNK - 1) // CHUNK + 1) * 3 * C


@dataclass(frozen=True)
class _Split:
    """How T tokens are split: `segments` of `tokens` each, the last of them maybe shorter."""

    B: int
    T: int
    C: int
    tokens: int
    segments: int

    @property
    def sizes(self) -> tuple[int, int, int, int, int]:
        return self.B, self.T, self.C, self.tokens, self.segments

    def grid(self, segments: int) -> tuple[int, int, int]:
        """A thread for each channel of so many segments."""
        return -(-self.B * segments * self.C // BLOCK), 1, 1

    def rates(self, module: Module, w: Tensor, u: Tensor) -> Tensor:
        """Decays over a token, a segment, the last segment; and the bonus: (11, C) float32."""
        rates = u.new_empty(_RATE_ROWS, self.C)
        last = self.T - (self.segments - 1) * self.tokens
        grid = (-(-self.C // BLOCK), 1, 1)
        module.launch("wkv4_rates", grid, BLOCK, 0, w, u, rates, self.C, self.tokens, last)
        return rates

    def between(self, like: Tensor) -> Tensor | None:
        """Room for what passes from segment to segment; None where there is but one."""
        if self.segments == 1:
            return None
        return like.new_empty(self.B, self.segments, 3, self.C)


def forward(
    inputs: tuple[Tensor, ...], keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """y (B, T, C), num, den, exp after it, and what `backward` needs, flat; (0,) when not `keep`.

    inputs: contiguous k, v (B, T, C), w, u (C,), num, den, exp (B, C) for which `fits`; T >= 1.
    Raises KernelError where the kernels can't be built or loaded.
    """
    k, v, w, u, num, den, exp = inputs
    y, num2, den2, exp2 = (torch.empty_like(x) for x in (k, num, den, exp))
    saved = num.new_empty(saved_size(*k.shape) if keep else 0)
    module, split = gpu.module(program(k.dtype), k.device), _split(k)
    rates, between, segments = split.rates(module, w, u), split.between(num), split.segments
    if between is not None:
        sums = (k, v, rates, between, *split.sizes)
        module.launch("wkv4_sums", split.grid(segments - 1), BLOCK, 0, *sums)
        joins = (num, den, exp, rates, between, split.B, split.C, segments)
        module.launch("wkv4_join", split.grid(1), BLOCK, 0, *joins)
    module.launch(
        "wkv4_forward",
        split.grid(segments),
        BLOCK,
        0,
        *(k, v, rates, num, den, exp, between, y, num2, den2, exp2),
        *(saved if keep else None, *split.sizes),
    )
    return y, num2, den2, exp2, saved


def backward(
    inputs: tuple[Tensor, ...],
    saved: Tensor,
    dy: Tensor,
    dnum2: Tensor,
    dden2: Tensor,
) -> Six:
    """The gradients of k, v, w, u, num, den in their types, from those of y, num2, den2.

    inputs, saved: as `forward` took and gave them; all contiguous. What is saved gives y anew: read
    in half precision it would lose digits of the gradients.
    """
    k, v, w, u, num, den, _ = inputs
    dk, dv, dnum, dden = (torch.empty_like(x) for x in (k, v, num, den))
    module, split = gpu.module(program(k.dtype), k.device), _split(k)
    rates, between, segments = split.rates(module, w, u), split.between(num), split.segments
    if between is not None:
        pulls = (k, v, dy, saved, rates, between, *split.sizes)
        module.launch("wkv4_pulls", split.grid(segments - 1), BLOCK, 0, *pulls)
        joins = (dnum2, dden2, saved, rates, between, split.B, split.T, split.C, segments)
        module.launch("wkv4_join_back", split.grid(1), BLOCK, 0, *joins)
    shares = num.new_empty(2, split.B * segments, split.C)  # of dw and du
    module.launch(
        "wkv4_backward",
        split.grid(segments),
        BLOCK,
        0,
        *(k, v, dy, dnum2, dden2, saved, rates, between),
        *(dk, dv, shares[0], shares[1], dnum, dden, *split.sizes),
    )
    dw, du = shares.sum(1, dtype=torch.float64)
    return dk, dv, dw, du.to(u.dtype), dnum, dden


def _split(k: Tensor) -> _Split:
    B, T, C = k.shape
    chunks = -(-T // CHUNK)
    wanted = -(-_threads(k.device) // (B * C))
    tokens = -(-chunks // max(1, min(wanted, SEGMENTS, chunks))) * CHUNK
    return _Split(B, T, C, tokens, -(-T // tokens))


@lru_cache(maxsize=64)
def _threads(device: torch.device) -> int:
    """How many threads fill a device."""
    if device.type != "cuda":
        return 1
    return THREADS * int(torch.cuda.get_device_properties(device).multi_processor_count)
