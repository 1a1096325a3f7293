"""The WKV recurrences as torch operators with gradients; knows kernels, not which one to prefer.

    adventure::wkv7_forward, adventure::wkv7_backward      on the CPU engine/wkv7_native.py,
    adventure::wkv4_forward, adventure::wkv4_backward      on a GPU engine/wkv7_cuda.py; so for wkv4

What the backward pass needs beside the inputs is an output of the forward operator, and empty
unless `keep`. Nothing is kept elsewhere, so torch.compile and the like can see all of it.
Differentiable once. engine/wkv.py is the way in: these take only what the kernels take.

Glossary: B batch, T tokens, H heads, N head size, C channels; others as in engine/wkv.py.
"""

from __future__ import annotations

from types import ModuleType
from typing import Any, NoReturn

import torch
from torch import Tensor

from engine import gpu, wkv4_cuda, wkv4_native, wkv7_cuda, wkv7_native

Three = tuple[Tensor, Tensor, Tensor]
Five = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Six = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
Seven = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def on_gpu(device: torch.device) -> bool:
    """Whether the CUDA kernels are those that run on `device`."""
    return device.type != "cpu" or gpu.usable(device)


def _rows(tensors: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.contiguous() for x in tensors)


def _or_zeros(gradient: Tensor | None, like: Tensor) -> Tensor:
    return torch.zeros_like(like) if gradient is None else gradient


def _only_once(ctx: Any, *gradients: Tensor) -> NoReturn:
    raise RuntimeError("WKV can be differentiated once, not twice")


def _save(ctx: Any, keep: bool, fixed: tuple[Tensor, ...], *tensors: Tensor) -> None:
    """For the backward pass. Nothing is made of outputs that nobody differentiated."""
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*fixed)
    if keep:
        ctx.save_for_backward(*tensors)


# -- WKV-7: r, logw, k, v, a, b (B, T, H, N), state (B, H, N, N) ----------------------------------

_SEVEN = "Tensor r, Tensor logw, Tensor k, Tensor v, Tensor a, Tensor b, Tensor state"


@torch.library.custom_op(
    "adventure::wkv7_forward",
    mutates_args=(),
    schema=f"({_SEVEN}, bool keep) -> (Tensor, Tensor, Tensor)",
)
def wkv7_forward(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, keep: bool
) -> Three:
    """y, the state after it, and `saved`."""
    return _wkv7(r.device).forward(_rows((r, logw, k, v, a, b, state)), keep)


@torch.library.custom_op(
    "adventure::wkv7_backward",
    mutates_args=(),
    schema=f"({_SEVEN}, Tensor saved, Tensor dy, Tensor dstate2) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def wkv7_backward(
    r: Tensor,
    logw: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    state: Tensor,
    saved: Tensor,
    dy: Tensor,
    dstate2: Tensor,
) -> Seven:
    """The gradients of the seven inputs, from those of y and of the last state."""
    *inputs, saved, dy, dstate2 = _rows((r, logw, k, v, a, b, state, saved, dy, dstate2))
    return _wkv7(r.device).backward(tuple(inputs), saved, dy, dstate2)


def _wkv7(device: torch.device) -> ModuleType:
    return wkv7_cuda if on_gpu(device) else wkv7_native


@wkv7_forward.register_fake
def _(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, keep: bool
) -> Three:
    saved = _wkv7(r.device).saved_size(*r.shape) if keep else 0
    return r.new_empty(r.shape), state.new_empty(state.shape), state.new_empty(saved)


@wkv7_backward.register_fake
def _(*tensors: Tensor) -> Seven:
    dr, dlogw, dk, dv, da, db, dstate = (x.new_empty(x.shape) for x in tensors[:7])
    return dr, dlogw, dk, dv, da, db, dstate


def _setup7(ctx: Any, inputs: tuple[Any, ...], output: Three) -> None:
    *tensors, keep = inputs
    _save(ctx, keep, output[2:] if keep else output, *tensors, output[2])


def _backward7(
    ctx: Any, dy: Tensor | None, dstate2: Tensor | None, _: None
) -> tuple[Tensor | None, ...]:
    *inputs, saved = ctx.saved_tensors
    dy, dstate2 = _or_zeros(dy, inputs[0]), _or_zeros(dstate2, inputs[6])
    return (*wkv7_backward(*inputs, saved, dy, dstate2), None)


wkv7_forward.register_autograd(_backward7, setup_context=_setup7)
wkv7_backward.register_autograd(_only_once)


# -- WKV-4: k, v (B, T, C), w, u (C,), num, den, exp (B, C) ----------------------------------------

_FOUR = "Tensor k, Tensor v, Tensor w, Tensor u, Tensor num, Tensor den, Tensor exp"


@torch.library.custom_op(
    "adventure::wkv4_forward",
    mutates_args=(),
    schema=f"({_FOUR}, bool keep) -> (Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def wkv4_forward(
    k: Tensor, v: Tensor, w: Tensor, u: Tensor, num: Tensor, den: Tensor, exp: Tensor, keep: bool
) -> Five:
    """y, the state after it (num, den, exp), and `saved`."""
    return _wkv4(k.device).forward(_rows((k, v, w, u, num, den, exp)), keep)


@torch.library.custom_op(
    "adventure::wkv4_backward",
    mutates_args=(),
    schema=f"({_FOUR}, Tensor saved, Tensor dy, Tensor dnum2, Tensor dden2) -> "
    "(Tensor, Tensor, Tensor, Tensor, Tensor, Tensor)",
)
def wkv4_backward(
    k: Tensor,
    v: Tensor,
    w: Tensor,
    u: Tensor,
    num: Tensor,
    den: Tensor,
    exp: Tensor,
    saved: Tensor,
    dy: Tensor,
    dnum2: Tensor,
    dden2: Tensor,
) -> Six:
    """The gradients of k, v, w, u, num and den, from those of y, num and den after it."""
    inputs = _rows((k, v, w, u, num, den, exp))
    return _wkv4(k.device).backward(inputs, *_rows((saved, dy, dnum2, dden2)))


def _wkv4(device: torch.device) -> ModuleType:
    return wkv4_cuda if on_gpu(device) else wkv4_native


@wkv4_forward.register_fake
def _(
    k: Tensor, v: Tensor, w: Tensor, u: Tensor, num: Tensor, den: Tensor, exp: Tensor, keep: bool
) -> Five:
    saved = _wkv4(k.device).saved_size(*k.shape) if keep else 0
    num2, den2, exp2 = (x.new_empty(x.shape) for x in (num, den, exp))
    return k.new_empty(k.shape), num2, den2, exp2, num.new_empty(saved)


@wkv4_backward.register_fake
def _(*tensors: Tensor) -> Six:
    dk, dv, dw, du, dnum, dden = (x.new_empty(x.shape) for x in tensors[:6])
    return dk, dv, dw, du, dnum, dden


def _setup4(ctx: Any, inputs: tuple[Any, ...], output: Five) -> None:
    *tensors, keep = inputs
    _save(ctx, keep, output[3:] if keep else output, *tensors, output[4])


def _backward4(
    ctx: Any, dy: Tensor | None, dnum2: Tensor | None, dden2: Tensor | None, *_: None
) -> tuple[Tensor | None, ...]:
    *inputs, saved = ctx.saved_tensors
    incoming = zip((dy, dnum2, dden2), (inputs[0], *inputs[4:6]), strict=True)
    grads = wkv4_backward(*inputs, saved, *(_or_zeros(d, x) for d, x in incoming))
    return (*grads, None, None)


wkv4_forward.register_autograd(_backward4, setup_context=_setup4)
wkv4_backward.register_autograd(_only_once)
