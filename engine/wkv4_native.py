"""WKV-4 on the CPU by cuda/wkv4_cpu.cpp, forward and backward; knows nothing of autograd or layers.

Glossary: B batch, T tokens (at least 1), C channels; the rest as in engine/rwkv/wkv4.py. The
*anchors* are the sums before every CHUNK-th token: all that the backward pass needs of them.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from engine.kernels import Library, call, loaded

CHUNK = 8
"""Tokens between anchors, in the C++ and the CUDA code too."""

_POINTER, _INT64 = ctypes.c_void_p, ctypes.c_int64
Six = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def _declare(library: ctypes.CDLL) -> None:
    sizes = [_INT64] * 3 + [ctypes.c_int]
    for suffix in _SUFFIX.values():
        getattr(library, "wkv4_forward" + suffix).argtypes = sizes + [_POINTER] * 12
        getattr(library, "wkv4_backward" + suffix).argtypes = sizes + [_POINTER] * 14


_SUFFIX = {torch.float32: "", torch.float64: "_f64"}
LIBRARY = Library(
    "wkv4", ("wkv4_cpu.cpp", "wkv4_step.h", "jobs.h", "denormals.h"), "fast", _declare
)


def fits(inputs: tuple[Tensor, ...]) -> bool:
    """Whether the library takes tensors of these types: k, v, w, u, num, den, exp."""
    k, v, w, u, num, den, exp = inputs
    same = all(x.dtype is k.dtype for x in (v, u, num, den))
    return k.dtype in _SUFFIX and same and w.dtype is torch.float64 and exp.dtype is torch.int32


def saved_size(B: int, T: int, C: int) -> int:
    """Numbers that `forward` keeps for `backward`: num, den, exp of every anchor and of the end."""
    return B * ((T + CHUNK - 1) // CHUNK + 1) * 3 * C


def forward(
    inputs: tuple[Tensor, ...], keep: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """y (B, T, C), num, den, exp after it, and the anchors, flat, or none of them when not `keep`.

    inputs: k, v (B, T, C), w (C,) float64, u (C,), num, den (B, C), all float32 or all float64 but
    w, and exp (B, C) int32; contiguous.
    """
    k, state = inputs[0], inputs[4:]
    y, num2, den2, exp2 = outputs = tuple(torch.empty_like(x) for x in (k, *state))
    saved = k.new_empty(saved_size(*k.shape) if keep else 0)
    function = getattr(loaded(LIBRARY), "wkv4_forward" + _SUFFIX[k.dtype])
    call(function, "WKV-4", k.shape, *inputs, *outputs, saved if keep else None)
    return y, num2, den2, exp2, saved


def backward(
    inputs: tuple[Tensor, ...],
    saved: Tensor,
    dy: Tensor,
    dnum2: Tensor,
    dden2: Tensor,
) -> Six:
    """The gradients of k, v, w, u, num, den from those of y, num2, den2; all contiguous.

    inputs, saved: as `forward` took and gave them. The anchors give y anew.
    """
    k = inputs[0]
    dk, dv, dw, du, dnum, dden = (torch.empty_like(x) for x in inputs[:6])
    function = getattr(loaded(LIBRARY), "wkv4_backward" + _SUFFIX[k.dtype])
    grads = (dk, dv, dw, du, dnum, dden)
    call(function, "WKV-4", k.shape, *inputs[:4], saved, dy, dnum2, dden2, *grads)
    return grads
