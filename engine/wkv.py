"""The WKV recurrences by whatever runs them best here; knows nothing of layers, weights or text.

ADVENTURE_KERNEL chooses as engine/kernels.py says. "auto" and "native" mean the CUDA kernels for
tensors on a GPU and the C++ ones on the CPU, as operators (engine/wkv_ops.py); plain torch
(engine/rwkv/chunked.py and wkv4.py) is the specification of both, and takes what they don't: other
types and head sizes, other devices, machines without a compiler.

Glossary: B batch, T tokens, H heads, N head size, C channels; S the state of WKV-7, [value, key].
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.autograd import forward_ad

from engine import gpu, wkv4_cuda, wkv4_native, wkv7_cuda, wkv7_native
from engine.kernels import Kernel, KernelError, assumed_constant, choose, required
from engine.rwkv.chunked import wkv7_chunked
from engine.rwkv.wkv4 import State as State4
from engine.rwkv.wkv4 import wkv4 as wkv4_torch
from engine.wkv_ops import wkv4_forward, wkv7_forward

HALF = (torch.bfloat16, torch.float16)
LIBRARIES = {"WKV-7": wkv7_native.LIBRARY, "WKV-4": wkv4_native.LIBRARY}


def wkv7(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Run S <- S diag(exp(logw)) + (S a) b^T + v k^T, y = S r over T tokens from `state`.

    r, logw, k, v, a, b: (B, T, H, N) float32, or bfloat16 or float16, where logw may be float32;
    state: (B, H, N, N) float32. Returns y (B, T, H, N) as r and the state after the last token, as
    new tensors; differentiable once in every argument.

    RWKV-7's logw lies in (-0.607, 0). Plain torch overflows to NaN where 16 tokens sum to less than
    about -88, the CUDA kernels where 8 do to less than -70; the native ones take any.
    Raises ValueError for shapes or devices that don't fit, KernelError when ADVENTURE_KERNEL asks
    for what this machine hasn't got.
    """
    inputs = (r, logw, k, v, a, b, state)
    _check7(inputs)
    if r.numel() == 0:
        return torch.zeros_like(r), state.clone()
    form = "torch" if _forward_mode(inputs) else _form("WKV-7", r.device)
    if form != "torch" and (wkv7_cuda if form == "cuda" else wkv7_native).fits(inputs):
        try:
            y, state2, _ = wkv7_forward(*inputs, _watched(inputs))
            return y, state2
        except KernelError:
            if required():
                raise
    y, state2 = wkv7_chunked(*(x.to(_wide(x)) for x in inputs))
    return y.to(r.dtype), state2


def wkv4(
    k: Tensor, v: Tensor, w: Tensor, u: Tensor, state: State4, epsilon: float | None = None
) -> tuple[Tensor, State4]:
    """Run y = (A + e^(u+k) v) / (B + e^(u+k)), A <- e^w A + e^k v, B <- e^w B + e^k over T tokens.

    k, v: (B, T, C) float32, bfloat16 or float16; u (C,) float32; w: (C,) float64; state: num, den
    (B, C) float32 and exp (B, C) int32, with A = num 2^exp, B = den 2^exp. Returns y (B, T, C) as k
    and the state after the last token, as new tensors; differentiable once in all but exp.
    epsilon: as in engine/rwkv/wkv4.py; only plain torch has it. Raises as `wkv7`.
    """
    inputs = (k, v, w, u, *state)
    _check4(inputs)
    plain = epsilon is not None or k.numel() == 0 or _forward_mode(inputs)
    form = "torch" if plain else _form("WKV-4", k.device)
    if form != "torch" and (wkv4_cuda if form == "cuda" else wkv4_native).fits(inputs):
        try:
            y, num, den, exp, *_ = wkv4_forward(*inputs, _watched(inputs))
            return y, (num, den, exp)
        except KernelError:
            if required():
                raise
    y, state2 = wkv4_torch(k.to(_wide(k)), v.to(_wide(v)), w, u, state, epsilon)
    return y.to(k.dtype), state2


def input_type(x: Tensor) -> torch.dtype:
    """The type in which a layer that computes with x should hand its recurrence the inputs.

    CUDA kernels read half precision as it is; everything else works in float32.
    """
    return x.dtype if x.dtype in HALF and _form("WKV-7", x.device) == "cuda" else torch.float32


def kernel_of(generation: str) -> str:
    """The name of the recurrence of a generation that has kernels; empty for the others."""
    return {"7": "WKV-7", "4": "WKV-4", "3": "WKV-4", "2": "WKV-4"}.get(generation, "")


def kernel(name: str) -> Kernel:
    """What runs "WKV-7" or "WKV-4" on the CPU where it is differentiated. Raises KernelError."""
    return choose(LIBRARIES[name])


@assumed_constant  # for torch.compile, choosing is no part of the program
def _form(name: str, device: torch.device) -> str:
    """Which form a device's tensors take: cuda, native or torch. Raises KernelError."""
    if gpu.usable(device):
        return "cuda"
    if device.type != "cpu":
        return "torch"
    return "torch" if kernel(name).library is None else "native"


def _watched(inputs: tuple[Tensor, ...]) -> bool:
    return torch.is_grad_enabled() and any(x.requires_grad for x in inputs)


def _forward_mode(inputs: tuple[Tensor, ...]) -> bool:
    """Whether derivatives are taken forwards (torch.func.jvp): operators would drop them unseen."""
    if torch.compiler.is_compiling() or forward_ad._current_level < 0:
        return False
    return any(x.is_floating_point() and forward_ad.unpack_dual(x)[1] is not None for x in inputs)


def _wide(x: Tensor) -> torch.dtype:
    return torch.float32 if x.dtype in HALF else x.dtype


def _same_device(name: str, inputs: tuple[Tensor, ...]) -> None:
    """Kernels are given addresses alone: one of another device's memory would end the process."""
    if any(x.device != inputs[0].device for x in inputs):
        devices = ", ".join(sorted({str(x.device) for x in inputs}))
        raise ValueError(f"{name} wants all tensors on one device, not on {devices}")


def _check7(inputs: tuple[Tensor, ...]) -> None:
    wanted, *others, state = [x.shape for x in inputs]
    if len(wanted) != 4:
        raise ValueError(f"wkv7 wants r as (B, T, H, N), not {tuple(wanted)}")
    _same_device("wkv7", inputs)
    for name, shape in zip(("logw", "k", "v", "a", "b"), others, strict=True):
        if shape != wanted:
            raise ValueError(f"wkv7 wants {name} as r, {tuple(wanted)}, not {tuple(shape)}")
    B, _, H, N = wanted
    if state != (B, H, N, N):
        raise ValueError(f"wkv7 wants a state of {(B, H, N, N)}, not {tuple(state)}")


def _check4(inputs: tuple[Tensor, ...]) -> None:
    k = inputs[0]
    if k.dim() != 3:
        raise ValueError(f"wkv4 wants k as (B, T, C), not {tuple(k.shape)}")
    _same_device("wkv4", inputs)
    B, _, C = k.shape
    wanted = {"v": k.shape, "w": (C,), "u": (C,), "num": (B, C), "den": (B, C), "exp": (B, C)}
    for (name, shape), x in zip(wanted.items(), inputs[1:], strict=True):
        if x.shape != shape:
            raise ValueError(f"wkv4 wants {name} as {tuple(shape)}, not {tuple(x.shape)}")
