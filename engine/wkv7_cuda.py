"""Launches the WKV-7 kernels of cuda/wkv7.cu; knows nothing of autograd, layers or weights.

Glossary: B batch, T tokens, H heads, N head size; S the state, (N, N) as [value, key];
a chunk is CHUNK tokens. What the kernels compute: engine/wkv.py, cuda/README.md.
"""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from engine import gpu
from engine.gpu import Program

HEAD_SIZES = (32, 64, 128)
CHUNK = 16
TYPES = {torch.float32: "f32", torch.bfloat16: "bf16", torch.float16: "f16"}
# The backward pass keeps S and its gradient every few chunks of the heads it is at; more heads than
# fit into so much memory take several turns.
TRANSIENT_BYTES = 1 << 30
_SQUARE_FLOATS = 16 * 20  # as in wkv7_tensor.h
_FILES = ("wkv7.cu", "wkv7_gradients.h", "wkv7_sweep.h", "wkv7_tensor.h")


def program(N: int, values: int, io: torch.dtype, decay: torch.dtype) -> Program:
    """The kernels for head size N and `values` rows of S in a block of the sweeps."""
    defines = {
        "HEAD": str(N),
        "VALUES": str(values),
        "IO": TYPES[io],
        "DECAY_IO": TYPES[decay],
        "STAGES": str(_stages(N, io)),
    }
    return Program("wkv7", _FILES, tuple(defines.items()))


def fits(inputs: tuple[Tensor, ...]) -> bool:
    """Whether r, logw, k, v, a, b and state have types and a head size that the kernels take.

    r, k, v, a, b of one type, float32, bfloat16 or float16; logw of that or float32; the state
    float32; N in HEAD_SIZES.
    """
    r, logw, *rest, state = inputs
    N = r.shape[-1]
    return (
        N in HEAD_SIZES
        and r.dtype in TYPES
        and all(x.dtype is r.dtype for x in rest)
        and logw.dtype in (r.dtype, torch.float32)
        and state.dtype is torch.float32
        # Compute capability 8.6 and 8.9 have too little shared memory for the largest heads.
        and (N < 128 or _sweep_bytes(N, 64, r.dtype, logw.dtype) <= gpu.most_shared(r.device))
    )


def saved_size(B: int, T: int, H: int, N: int) -> int:
    """Numbers that `backward` wants of `forward` beside the inputs: none."""
    return 0


def forward(inputs: tuple[Tensor, ...], keep: bool = False) -> tuple[Tensor, Tensor, Tensor]:
    """y (B, T, H, N), the state after the last token (B, H, N, N), and an empty tensor (0,).

    inputs: contiguous r, logw, k, v, a, b (B, T, H, N), T >= 1, and state, for which `fits`.
    A half of a chunk (tokens 0-7 or 8-15 of 16) whose logw sum to less than -70 makes NaN.
    Raises KernelError where the kernels can't be built or loaded.
    """
    r, logw, k, v, a, b, state = (_aligned(x) for x in inputs)
    B, T, H, N = r.shape
    y, state2 = torch.empty_like(r), torch.empty_like(state)
    values = _values(B * H, N, r.device)
    if keep:  # what `backward` will want: better refused now, while plain torch can take over
        later = _values(2 * _heads(B, T, H, N), N, r.device)
        gpu.module(program(N, later, r.dtype, logw.dtype), r.device)
    gpu.module(program(N, values, r.dtype, logw.dtype), r.device).launch(
        "wkv7_forward",
        (B * H, N // values, 1),
        _sweep_threads(values),
        _sweep_bytes(N, values, r.dtype, logw.dtype),
        *(r, logw, k, v, a, b, state, y, state2, T, H),
    )
    return y, state2, state.new_empty(0)


def backward(
    inputs: tuple[Tensor, ...], saved: Tensor, dy: Tensor, dstate2: Tensor
) -> tuple[Tensor, ...]:
    """The gradients of r, logw, k, v, a, b (B, T, H, N) and state (B, H, N, N).

    inputs, saved: as given to and by `forward`. dy: (B, T, H, N) of r's type; dstate2: (B, H, N,
    N) float32. Each gradient has its input's type. Needs no history: S and its gradient are made
    for all chunks side by side, then each chunk gets its gradients by itself.
    """
    r, logw, k, v, a, b, state = (_aligned(x) for x in inputs)
    dy, dstate2 = _aligned(dy.contiguous()), _aligned(dstate2.contiguous())
    dr, dlogw, dk, dv, da, db, dstate = grads = tuple(torch.empty_like(x) for x in inputs)
    B, T, H, N = r.shape
    chunks = -(-T // CHUNK)
    spans, heads = -(-chunks // _span(N)), _heads(B, T, H, N)
    states, dstates = (state.new_empty(heads, spans, N, N) for _ in range(2))
    u, z = (state.new_empty(heads, chunks, CHUNK, N) for _ in range(2))
    values = _values(2 * heads, N, r.device)
    module = gpu.module(program(N, values, r.dtype, logw.dtype), r.device)
    for first in range(0, B * H, heads):
        here = min(heads, B * H - first)
        module.launch(
            "wkv7_sweeps",
            (here, N // values, 2),
            _sweep_threads(values),
            _sweep_bytes(N, values, r.dtype, logw.dtype),
            *(r, logw, k, v, a, b, state, dy, dstate2, dv, dstate),
            *(states, dstates, u, z, T, H, first),
        )
        module.launch(
            "wkv7_gradients",
            (here * spans, 1, 1),
            _span(N) * 2 * N,
            _gradient_bytes(N),
            *(r, logw, k, v, a, b, dy, states, dstates, u, z, dr, dlogw, dk, da, db),
            *(T, H, first),
        )
    return grads


def _heads(B: int, T: int, H: int, N: int) -> int:
    """How many heads the backward pass is at together."""
    chunks = -(-T // CHUNK)
    spans = -(-chunks // _span(N))
    return min(B * H, max(1, TRANSIENT_BYTES // (8 * N * (spans * N + chunks * CHUNK))))


def _aligned(x: Tensor) -> Tensor:
    """x, where 16 bytes at once can be read from its beginning; a part of a tensor may differ."""
    return x if x.data_ptr() % 16 == 0 else x.clone()


def _stages(N: int, io: torch.dtype) -> int:
    """Chunks of inputs on their way at a time; one where two would take too much memory."""
    return 2 if N <= 64 and io.itemsize == 2 else 1


def _values(heads: int, N: int, device: torch.device) -> int:
    """Rows of S in a block: half as many where the GPU would be half empty otherwise."""
    wide = min(64, N)
    return 32 if 2 * heads * (N // wide) < _processors(device) else wide


@lru_cache(maxsize=64)
def _processors(device: torch.device) -> int:
    if device.type != "cuda":
        return 0
    return int(torch.cuda.get_device_properties(device).multi_processor_count)


def _span(N: int) -> int:
    """Chunks in a block of wkv7_gradients: SPAN in wkv7_sweep.h."""
    return 2 if N <= 64 else 1


def _sweep_threads(values: int) -> int:
    """A warp for each 16 rows of S, and four that prepare."""
    return 2 * values + 128


def _sweep_bytes(N: int, values: int, io: torch.dtype, decay: torch.dtype) -> int:
    """Shared memory of a block: struct Shared in wkv7_sweep.h."""
    keys, row = CHUNK * N, CHUNK * values
    tiles = 4 * (4 * keys + row + 2 * N + 4 * _SQUARE_FLOATS)
    raw = (4 * keys + row) * io.itemsize + keys * decay.itemsize
    return 2 * tiles + 2 * 4 * row + _stages(N, io) * raw


def _gradient_bytes(N: int) -> int:
    """Shared memory of a block: a struct Local of wkv7_gradients.h a chunk."""
    return _span(N) * 4 * (10 * CHUNK * N + 4 * _SQUARE_FLOATS + 4 * (CHUNK + 1) + 5 * N)


# What runs at RWKV-7's own head size: a check that all compiles can't take every choice.
PROGRAMS = (
    program(64, 64, torch.float32, torch.float32),
    program(64, 64, torch.bfloat16, torch.float32),
    program(64, 32, torch.float16, torch.float32),
)
