"""WKV-7 on the CPU by cuda/wkv7_cpu.cpp, forward and backward; knows nothing of autograd or layers.

Glossary: B batch, T tokens, H heads, N head size; u = S a, what a step removes from the state.
"""

from __future__ import annotations

import ctypes

import torch
from torch import Tensor

from engine.kernels import Library, call, loaded

HEAD_SIZES = (8, 16, 32, 64, 128)
"""Those that wkv7_cpu.cpp instantiates."""

_POINTER, _INT64 = ctypes.c_void_p, ctypes.c_int64
Seven = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def _declare(library: ctypes.CDLL) -> None:
    sizes = [_INT64] * 4 + [ctypes.c_int]
    for suffix in _SUFFIX.values():
        getattr(library, "wkv7_forward" + suffix).argtypes = sizes + [_POINTER] * 10
        getattr(library, "wkv7_backward" + suffix).argtypes = sizes + [_POINTER] * 17


_SUFFIX = {torch.float32: "", torch.float64: "_f64"}
LIBRARY = Library("wkv7", ("wkv7_cpu.cpp", "jobs.h", "denormals.h"), "fast", _declare)


def fits(inputs: tuple[Tensor, ...]) -> bool:
    """Whether the library takes tensors of these types and of this head size."""
    dtype = inputs[0].dtype
    same = dtype in _SUFFIX and all(x.dtype is dtype for x in inputs)
    return same and inputs[0].shape[3] in HEAD_SIZES


def saved_size(B: int, T: int, H: int, N: int) -> int:
    """How many numbers `forward` keeps for `backward`: u of every token."""
    return B * T * H * N


def forward(inputs: tuple[Tensor, ...], keep: bool) -> tuple[Tensor, Tensor, Tensor]:
    """y (B, T, H, N), the state after it, and u, flat, or nothing of it when not `keep`.

    inputs: r, logw, k, v, a, b (B, T, H, N) and a state (B, H, N, N), contiguous; T >= 1.
    """
    shape = inputs[0].shape
    y, state2 = torch.empty_like(inputs[0]), torch.empty_like(inputs[6])
    u = y.new_empty(saved_size(*shape) if keep else 0)
    function = getattr(loaded(LIBRARY), "wkv7_forward" + _SUFFIX[y.dtype])
    call(function, "WKV-7", shape, *inputs, y, state2, u if keep else None)
    return y, state2, u


def backward(inputs: tuple[Tensor, ...], u: Tensor, dy: Tensor, dstate2: Tensor) -> Seven:
    """The gradients of the seven inputs, from those of y and of the last state; all contiguous."""
    dr, dlogw, dk, dv, da, db, dstate = (torch.empty_like(x) for x in inputs)
    grads = (dr, dlogw, dk, dv, da, db, dstate)
    function = getattr(loaded(LIBRARY), "wkv7_backward" + _SUFFIX[dr.dtype])
    call(function, "WKV-7", inputs[0].shape, *inputs, u, dy, dstate2, *grads)
    return grads
