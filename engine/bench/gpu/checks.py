"""The recurrences on a device against float64 on the CPU; knows no network and times nothing.

Inputs are fresh random numbers by seed, results begin as NaN (so that what isn't written shows),
and the errors are relative L2: outputs, final states and every gradient.

Glossary: B batch, T tokens, H heads, N head size, C channels.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from engine import wkv
from engine.bench.gpu.host import launching, poisoned
from engine.bench.kernels import realistic
from engine.rwkv.chunked import wkv7_chunked
from engine.rwkv.exponent import power_of_two
from engine.rwkv.wkv4 import wkv4 as wkv4_plain
from engine.verify import Check

EXACT, ROUGH = 5e-6, 2e-3
"""The most that float32 and half precision may be from float64 of the same rounded inputs."""
ALLOWED = {torch.float32: EXACT, torch.bfloat16: ROUGH, torch.float16: ROUGH}
KINDS = (
    (torch.float32, torch.float32),
    (torch.bfloat16, torch.float32),
    (torch.bfloat16, torch.bfloat16),
    (torch.float16, torch.float32),
    (torch.float16, torch.float16),
)
"""Types of the inputs, and of the decay."""
WILD = 300
"""How far from 0 keys of WKV-4 are that would overflow anything held as e^k."""
NAMES7 = ("y", "state", "dr", "dlogw", "dk", "dv", "da", "db", "dstate")
NAMES4 = ("y", "num", "den", "dk", "dv", "dw", "du", "dnum", "dden")

Form = Callable[..., tuple[Tensor, ...]]
Errors = dict[str, float]
Checks = dict[str, Callable[[], Iterator[Check]]]


@dataclass(frozen=True)
class Sizes:
    """Shapes to check at: lengths T, head sizes N, channels C, the long T, and where texts are cut.

    kinds: types of the inputs, and of WKV-7's decay. batch and heads are of the short texts; the
    batch is larger where it takes that for tensors of `least` numbers: what half precision rounds
    off of a few isn't what it rounds off of many. A long text has a batch of 1.
    """

    lengths: tuple[int, ...] = (1, 5, 16, 17, 100, 700)
    head_sizes: tuple[int, ...] = (32, 64, 128)
    channels: tuple[int, ...] = (33, 256)
    batch: int = 2
    heads: int = 3
    long: int = 65536
    slices: int = 1000
    cuts: tuple[int, ...] = (1, 16, 37)
    cut_length: int = 100
    least: int = 4096
    kinds: tuple[tuple[torch.dtype, torch.dtype], ...] = KINDS


WHOLE = Sizes()
SMALLEST = Sizes((19,), (32, 64, 128), (33,), 1, 2, 40, 17, (16,), 20, 0)
QUICK = Sizes(lengths=(1, 17, 100), head_sizes=(64,), channels=(256,), long=4096)


def wkv7_checks(device: torch.device, sizes: Sizes, seed: int) -> Checks:
    """All of WKV-7, by name, each to be run by itself: what breaks in one leaves the others."""
    found: Checks = {}
    for N in sizes.head_sizes:
        found[f"WKV-7, N {N}"] = partial(_types7, device, sizes, seed, N)
        found[f"WKV-7, N {N}, in parts"] = partial(_cuts7, device, sizes, seed, N)
    return found | {"WKV-7, long": partial(_long7, device, sizes, seed)}


def _types7(device: torch.device, sizes: Sizes, seed: int, N: int) -> Iterator[Check]:
    for kind, decay in sizes.kinds:
        worst, where = 0.0, ""
        for T in sizes.lengths:
            batch = max(sizes.batch, -(-sizes.least // (T * sizes.heads * N)))
            errors = wkv7_errors(device, (batch, T, sizes.heads, N), kind, decay, seed + T)
            worst, where = _worst(worst, where, errors, f"T {T}")
        what = f"WKV-7, N {N}, {_name(kind)}, decay {_name(decay)} ({where})"
        yield Check(what, worst, ALLOWED[kind])


def _cuts7(device: torch.device, sizes: Sizes, seed: int, N: int) -> Iterator[Check]:
    worst, where = 0.0, ""
    for cut in sizes.cuts:
        shape = (sizes.batch, sizes.cut_length, sizes.heads, N)
        errors = cut7(device, shape, cut, seed + cut)
        worst, where = _worst(worst, where, errors, f"after {cut}")
    yield Check(f"WKV-7, N {N}, a text in two parts and in one ({where})", worst, EXACT)


def wkv7_inputs(
    shape: tuple[int, int, int, int], kind: torch.dtype, decay: torch.dtype, seed: int
) -> tuple[list[Tensor], list[Tensor]]:
    """Inputs on the CPU, rounded to the types of a device's, and gradients of y and the state."""
    B, _, H, N = shape
    inputs = realistic(shape, seed)
    kinds = [kind, decay, *[kind] * 4, torch.float32]
    inputs = [x.to(to) for x, to in zip(inputs, kinds, strict=True)]
    rng = torch.Generator().manual_seed(seed + 1)
    above = [torch.randn(shape, generator=rng).to(kind), torch.randn(B, H, N, N, generator=rng)]
    return inputs, above


def wkv7_errors(
    device: torch.device,
    shape: tuple[int, int, int, int],
    kind: torch.dtype,
    decay: torch.dtype,
    seed: int,
) -> Errors:
    """Relative L2 from float64, by the names of results and gradients."""
    inputs, above = wkv7_inputs(shape, kind, decay, seed)
    wanted = differentiated(wkv7_chunked, _double(inputs), _double(above))
    with poisoned(), launching("WKV-7"):
        found = differentiated(wkv.wkv7, _to(inputs, device), _to(above, device))
    return _errors(NAMES7, found, wanted)


def _long7(device: torch.device, sizes: Sizes, seed: int) -> Iterator[Check]:
    shape = (1, sizes.long, 2, 64 if 64 in sizes.head_sizes else sizes.head_sizes[0])
    inputs, above = wkv7_inputs(shape, torch.float32, torch.float32, seed)
    wanted = differentiated(wkv7_chunked, _double(inputs), _double(above))
    inputs, above = _to(inputs, device), _to(above, device)
    with poisoned(), launching("a text in parts"):
        whole = differentiated(wkv.wkv7, inputs, above)
        sliced = differentiated(lambda *x: _in_slices7(x, sizes.slices), inputs, above)
    for how, found in (("", whole), (f" in slices of {sizes.slices:,}", sliced)):
        worst, where = _worst(0.0, "", _errors(NAMES7, found, wanted))
        yield Check(f"WKV-7, {sizes.long:,} tokens{how} ({where})", worst, EXACT)


def _in_slices7(inputs: Sequence[Tensor], size: int) -> tuple[Tensor, Tensor]:
    run: Form = wkv.wkv7
    *rows, state = inputs
    ys = []
    for part in zip(*(x.split(size, 1) for x in rows), strict=True):
        y, state = run(*part, state)
        ys.append(y)
    return torch.cat(ys, 1), state


def cut7(device: torch.device, shape: tuple[int, int, int, int], cut: int, seed: int) -> Errors:
    """How far a text cut after `cut` tokens is from the same text in one piece."""
    inputs, above = wkv7_inputs(shape, torch.float32, torch.float32, seed)
    inputs, above = _to(inputs, device), _to(above, device)

    def in_two(*x: Tensor) -> tuple[Tensor, Tensor]:
        run: Form = wkv.wkv7
        heads, tails = [t[:, :cut] for t in x[:6]], [t[:, cut:] for t in x[:6]]
        first, state = run(*heads, x[6])
        second, state = run(*tails, state)
        return torch.cat((first, second), 1), state

    with poisoned(), launching("a text in parts"):
        whole = differentiated(wkv.wkv7, inputs, above)
        found = differentiated(in_two, inputs, above)
    return _errors(NAMES7, found, whole)


# -- WKV-4 -----------------------------------------------------------------------------------------


def wkv4_checks(device: torch.device, sizes: Sizes, seed: int) -> Checks:
    """All of WKV-4, as `wkv7_checks`."""
    found: Checks = {}
    for kind in dict.fromkeys(kind for kind, _ in sizes.kinds):
        found[f"WKV-4, {_name(kind)}"] = partial(_types4, device, sizes, seed, kind, 1)
    found[f"WKV-4, keys to {WILD}"] = partial(_types4, device, sizes, seed, torch.float32, WILD)
    found["WKV-4, in parts"] = partial(_cuts4, device, sizes, seed)
    return found | {"WKV-4, long": partial(_long4, device, sizes, seed)}


def _types4(
    device: torch.device, sizes: Sizes, seed: int, kind: torch.dtype, spread: int
) -> Iterator[Check]:
    worst, where = 0.0, ""
    for C in sizes.channels:
        for T in sizes.lengths:
            shape = (max(sizes.batch, -(-sizes.least // (T * C))), T, C)
            errors = wkv4_errors(device, shape, kind, seed + T, spread)
            worst, where = _worst(worst, where, errors, f"T {T} C {C}")
    keys = f", keys to {spread}" if spread > 1 else ""
    yield Check(f"WKV-4, {_name(kind)}{keys} ({where})", worst, ALLOWED[kind])


def _long4(device: torch.device, sizes: Sizes, seed: int) -> Iterator[Check]:
    errors = wkv4_errors(device, (1, sizes.long, 64), torch.float32, seed)
    worst, where = _worst(0.0, "", errors)
    yield Check(f"WKV-4, {sizes.long:,} tokens ({where})", worst, EXACT)


def _cuts4(device: torch.device, sizes: Sizes, seed: int) -> Iterator[Check]:
    worst, where = 0.0, ""
    for cut in sizes.cuts:
        shape = (sizes.batch, sizes.cut_length, max(sizes.channels))
        errors = cut4(device, shape, cut, seed + cut)
        worst, where = _worst(worst, where, errors, f"after {cut}")
    yield Check(f"WKV-4, a text in two parts and in one ({where})", worst, EXACT)


def wkv4_inputs(
    shape: tuple[int, int, int], kind: torch.dtype, seed: int, spread: float = 1.0
) -> tuple[list[Tensor], Tensor, list[Tensor]]:
    """k, v, w, u, num and den of a state, on the CPU; its exponents; gradients of what comes out.

    spread: of the keys, normally distributed at 1 and evenly in +-spread beyond.
    """
    B, _, C = shape
    rng = torch.Generator().manual_seed(seed)

    def noise(*size: int) -> Tensor:
        return torch.randn(size, generator=rng)

    k, v = noise(*shape), noise(*shape)
    if spread > 1:
        k = spread * (2 * torch.rand(shape, generator=rng) - 1)
    w = -torch.exp(noise(C).double())
    exp = torch.randint(-3, 4, (B, C), generator=rng, dtype=torch.int32)
    den = 0.5 + 0.5 * torch.rand(B, C, generator=rng)
    inputs = [k.to(kind), v.to(kind), w, noise(C), noise(B, C), den]
    above = [noise(*shape).to(kind), noise(B, C), noise(B, C)]
    return inputs, exp, above


def wkv4_errors(
    device: torch.device,
    shape: tuple[int, int, int],
    kind: torch.dtype,
    seed: int,
    spread: float = 1.0,
) -> Errors:
    """As `wkv7_errors`. Sums are compared under the exponents that float64 gives them."""
    inputs, exp, above = wkv4_inputs(shape, kind, seed, spread)
    wanted, exps = _differentiated4(wkv4_plain, _double(inputs), exp, _double(above), None)
    with poisoned(), launching("WKV-4"):
        found, _ = _differentiated4(
            wkv.wkv4, _to(inputs, device), exp.to(device), _to(above, device), exps.to(device)
        )
    return _errors(NAMES4, found, wanted)


def cut4(device: torch.device, shape: tuple[int, int, int], cut: int, seed: int) -> Errors:
    """How far a text cut after `cut` tokens is from the same text in one piece."""
    inputs, exp, above = wkv4_inputs(shape, torch.float32, seed)
    inputs, exp, above = _to(inputs, device), exp.to(device), _to(above, device)

    def in_two(
        k: Tensor, v: Tensor, w: Tensor, u: Tensor, state: tuple[Tensor, Tensor, Tensor]
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        first, state = wkv.wkv4(k[:, :cut], v[:, :cut], w, u, state)
        second, state = wkv.wkv4(k[:, cut:], v[:, cut:], w, u, state)
        return torch.cat((first, second), 1), state

    with poisoned(), launching("a text in parts"):
        whole, exps = _differentiated4(wkv.wkv4, inputs, exp, above, None)
        found, _ = _differentiated4(in_two, inputs, exp, above, exps)
    return _errors(NAMES4, found, whole)


def _differentiated4(
    form: Callable[..., tuple[Tensor, tuple[Tensor, Tensor, Tensor]]],
    inputs: Sequence[Tensor],
    exp: Tensor,
    above: Sequence[Tensor],
    like: Tensor | None,
) -> tuple[tuple[Tensor, ...], Tensor]:
    """y, sums and gradients; the sums, and what comes to them, under the exponents `like`."""
    ends = []

    def flat(*x: Tensor) -> tuple[Tensor, ...]:
        y, (num, den, end) = form(*x[:4], (*x[4:], exp))
        ends.append(end)
        if like is not None:  # the same sum, held under another exponent
            num, den = (sums * power_of_two(end - like, sums.dtype) for sums in (num, den))
        return y, num, den

    return differentiated(flat, inputs, above), ends[0]


# -- both ------------------------------------------------------------------------------------------


def differentiated(
    form: Form, inputs: Sequence[Tensor], above: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """What `form` makes of the inputs, and the gradients of all inputs, given those of what it
    makes.
    """
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    made = form(*leaves)
    grads = torch.autograd.grad(made, leaves, list(above))
    return tuple(x.detach() for x in (*made, *grads))


def relative(found: Tensor, wanted: Tensor) -> float:
    """Relative L2 in float64; of nothing wanted, what is found; NaN where a number is none."""
    difference = (found.cpu().double() - wanted.cpu().double()).norm()
    size = wanted.cpu().double().norm()
    return float(difference / size) if size else float(difference)


def greatest(numbers: Iterable[float]) -> float:
    """The greatest of numbers from 0; what is not a number is greater than all."""
    found = list(numbers)
    return math.nan if any(math.isnan(x) for x in found) else max(found, default=0.0)


def _errors(
    names: Sequence[str], found: Sequence[Tensor], wanted: Sequence[Tensor]
) -> dict[str, float]:
    pairs = zip(names, found, wanted, strict=True)
    return {name: relative(a, b) for name, a, b in pairs}


def _worst(worst: float, where: str, errors: Errors, place: str = "") -> tuple[float, str]:
    """The greatest error so far and where it was; what is not a number is greater than all."""
    for name, error in errors.items():
        if not math.isnan(worst) and not error <= worst:
            worst, where = error, f"{name}, {place}" if place else name
    return worst, where


def _double(tensors: Sequence[Tensor]) -> list[Tensor]:
    return [x.double() for x in tensors]


def _to(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    return [x.to(device) for x in tensors]


def _name(kind: torch.dtype) -> str:
    return str(kind).removeprefix("torch.")
