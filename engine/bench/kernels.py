"""Times the forms of WKV-7 and WKV-4, and training by them, in one run; knows no checkpoint.

Figures from one machine and minute: compare the ratios, not the tokens a second. Forms take turns,
so that a busy machine slows them alike, and the best round of each counts.

Glossary: B batch, T tokens, H heads, N head size, C channels; others as in engine/wkv.py.
"""

from __future__ import annotations

import contextlib
import math
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import cast

import torch
from torch import Tensor
from torch.nn import functional as F

from engine import kernels, wkv
from engine.rwkv.chunked import wkv7_chunked
from engine.rwkv.config import Config
from engine.rwkv.network import Network
from engine.rwkv.wkv4 import State as State4
from engine.rwkv.wkv4 import empty_state, wkv4
from engine.train import Schedule, Trainer, masked_loss

B, T, H, N = 4, 512, 4, 64  # D = H * N = 256
STEP_B, STEP_T = 8, 512
STEP_NETWORK = (4, 128, 4096)  # layers, width, vocabulary
STEPS = (("RWKV-7", "7", False), ("RWKV-7, mixed", "7", True), ("RWKV-4", "4", False))
Form = Callable[..., tuple[Tensor, ...]]
Row = dict[str, str | float]


def wkv7_sequential(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence as written, a step at a time; the specification of the other forms.

    Shapes and result as `engine.wkv.wkv7`; any dtype; T >= 1.
    """
    out = []
    for t in range(r.shape[1]):
        u = state @ a[:, t].unsqueeze(3)  # (B, H, N, 1)
        state = (
            state * logw[:, t].exp().unsqueeze(2)
            + u @ b[:, t].unsqueeze(2)
            + v[:, t].unsqueeze(3) @ k[:, t].unsqueeze(2)
        )
        out.append((state @ r[:, t].unsqueeze(3)).squeeze(3))
    return torch.stack(out, 1), state


def wkv4_sequential(
    k: Tensor, v: Tensor, w: Tensor, u: Tensor, state: State4
) -> tuple[Tensor, State4]:
    """The recurrence a token at a time, with a running maximum p of the exponents, as it is usual.

    Shapes and result as `engine.wkv.wkv4`, but that the last sums' own exponents are whole numbers
    without their being normalised; any dtype.
    """
    num, den, exp = state
    p, w, out = exp.to(k.dtype) * math.log(2), w.to(k.dtype), []
    for k_t, v_t in zip(k.unbind(1), v.unbind(1), strict=True):
        top = torch.maximum(p, u + k_t).detach()
        old, new = torch.exp(p - top), torch.exp(u + k_t - top)
        out.append((old * num + new * v_t) / (old * den + new))
        top = torch.maximum(p + w, k_t).detach()
        old, new = torch.exp(p + w - top), torch.exp(k_t - top)
        num, den, p = old * num + new * v_t, old * den + new, top
    exp = torch.round(p / math.log(2))
    rest = torch.exp(p - exp * math.log(2))
    return torch.stack(out, 1), (num * rest, den * rest, exp.int())


def realistic(
    shape: tuple[int, int, int, int], seed: int = 0, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """r, logw, k, v, a, b (B, T, H, N) and a state, distributed as RWKV-7 makes them."""
    B, _, H, N = shape
    generator = torch.Generator().manual_seed(seed)

    def noise(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64)

    logw = -(-0.5 * torch.ones(())).exp() * torch.sigmoid(2 * noise(*shape))  # in (-0.6065, 0)
    kk = F.normalize(noise(*shape), dim=3)
    b = kk * torch.sigmoid(noise(*shape))
    inputs = [noise(*shape), logw, noise(*shape), noise(*shape), -kk, b, noise(B, H, N, N)]
    return [x.to(dtype) for x in inputs]


def realistic4(
    shape: tuple[int, int, int], seed: int = 0, dtype: torch.dtype = torch.float32
) -> list[Tensor]:
    """k, v (B, T, C), w (C,) float64, u (C,), num, den (B, C), exp: after some random tokens."""
    B, T, C = shape
    generator = torch.Generator().manual_seed(seed)

    def noise(*size: int) -> Tensor:
        return torch.randn(size, generator=generator, dtype=torch.float64)

    w, u = -torch.exp(2 * noise(C) - 2), 0.5 * noise(C)
    k, v = 2 * noise(B, T + 3, C), noise(B, T + 3, C)
    num, den, exp = empty_state(B, C)
    _, state = wkv4(k[:, :3], v[:, :3], w, u, (num.double(), den.double(), exp))
    num, den, exp = (x.clone() for x in state)
    k, v, u, num, den = (x.to(dtype).contiguous() for x in (k[:, 3:], v[:, 3:], u, num, den))
    return [k, v, w, u, num, den, exp]


def bench(rounds: int = 5) -> list[Row]:
    """Prints and returns rows: a kernel, a form of it, seconds, tokens a second, and the speed
    relative to that kernel's first form.

    Forward and backward at B4 T512 D256, then whole training steps of small networks, with torch's
    present number of threads.
    """
    both: dict[str, tuple[dict[str, Form], list[Tensor]]] = {
        "WKV-7": (
            {"sequential": wkv7_sequential, "chunked": wkv7_chunked, "native": wkv.wkv7},
            realistic((B, T, H, N)),
        ),
        "WKV-4": (
            {
                "sequential": _flat4(wkv4_sequential),
                "prefix": _flat4(wkv4),
                "native": _flat4(wkv.wkv4),
            },
            realistic4((B, T, H * N)),
        ),
    }
    rows, threads = list[Row](), torch.get_num_threads()
    for name, (forms, inputs) in both.items():
        about = wkv.kernel(name)
        if about.library is None:
            del forms["native"]
        print(f"{name}, B{B} T{T} D{H * N}, {threads} thread(s); {about.describe()}")
        rows += _bench_forms(name, forms, inputs, rounds)
    L, C, V = STEP_NETWORK
    print(f"training steps, {L} layers of {C}, V{V}, B{STEP_B} T{STEP_T}, {threads} thread(s)")
    return rows + bench_steps(rounds)


def bench_steps(rounds: int) -> list[Row]:
    """Whole steps, forward, backward and update, with the recurrence in plain torch and native."""
    forms: tuple[str, ...] = ("torch", "native")
    if wkv.kernel("WKV-7").library is None:
        forms = forms[:1]
    steps = {name: _new_step(generation, mixed) for name, generation, mixed in STEPS}
    best: dict[tuple[str, str], float] = {}
    for _ in range(rounds):
        for key in ((name, form) for name in steps for form in forms):
            with _kernel(key[1]):
                began = time.perf_counter()
                steps[key[0]]()
                taken = time.perf_counter() - began
            best[key] = min(best.get(key, math.inf), taken)
    rows = list[Row]()
    for (name, form), seconds in best.items():
        per_s, ratio = STEP_B * STEP_T / seconds, best[name, "torch"] / seconds
        row: Row = {"seconds": seconds, "tokens_per_s": per_s, "ratio": ratio}
        rows.append({"kernel": f"step of {name}", "form": form, **row})
        print(
            f"{form:>10}  {name:<14} {seconds * 1e3:16.1f} ms  {per_s:15.0f} tokens/s"
            f"  {ratio:6.1f} x"
        )
    return rows


def _bench_forms(
    name: str, forms: Mapping[str, Form], inputs: Sequence[Tensor], rounds: int
) -> list[Row]:
    inputs = [x.requires_grad_(x.is_floating_point()) for x in inputs]
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for form, run in forms.items():
            forward, backward = _time(run, inputs)
            past = best.get(form, (forward, backward))
            best[form] = (min(past[0], forward), min(past[1], backward))
    rows, base = list[Row](), sum(best["sequential"])
    for form, (forward, backward) in best.items():
        both = forward + backward
        row: Row = {"forward_s": forward, "backward_s": backward, "tokens_per_s": B * T / both}
        rows.append({"kernel": name, "form": form, **row, "ratio": base / both})
        print(
            f"{form:>10}  forward {forward * 1e3:7.1f} ms  backward {backward * 1e3:7.1f} ms"
            f"  {B * T / both:9.0f} tokens/s  {base / both:6.1f} x"
        )
    return rows


def _time(form: Form, inputs: Sequence[Tensor]) -> tuple[float, float]:
    began = time.perf_counter()
    out = form(*inputs)
    middle = time.perf_counter()
    wanted = [x for x in inputs if x.requires_grad]
    torch.autograd.grad(out, wanted, [torch.ones_like(x) for x in out])
    return middle - began, time.perf_counter() - middle


def _flat4(form: Callable[..., tuple[Tensor, State4]]) -> Form:
    """WKV-4 as a function of tensors that gives what can be differentiated."""

    def run(k: Tensor, v: Tensor, w: Tensor, u: Tensor, *state: Tensor) -> tuple[Tensor, ...]:
        y, (num, den, _) = form(k, v, w, u, cast(State4, state))
        return y, num, den

    return run


def _new_step(generation: str, mixed: bool) -> Callable[[], object]:
    layers, width, vocab = STEP_NETWORK
    model = Network.create(Config(layers, width, vocab, head_size=64, generation=generation))
    if mixed:
        model.use_mixed()
    trainer = Trainer(model.train(), Schedule(1000))
    tokens = torch.randint(vocab, (STEP_B, STEP_T), generator=torch.Generator().manual_seed(0))
    said = torch.ones_like(tokens, dtype=torch.bool)
    said[:, -1] = False
    loss = partial(masked_loss, model, tokens, said, None)
    return lambda: trainer.update([loss])


@contextlib.contextmanager
def _kernel(choice: str) -> Iterator[None]:
    """ADVENTURE_KERNEL set to `choice` for a while."""
    before = os.environ.get(kernels.VARIABLE)
    os.environ[kernels.VARIABLE] = choice
    try:
        yield
    finally:
        if before is None:
            del os.environ[kernels.VARIABLE]
        else:
            os.environ[kernels.VARIABLE] = before
