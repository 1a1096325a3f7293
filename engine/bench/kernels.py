"""Times the forms of WKV-7 against each other in one run; knows nothing of models.

Figures from one machine and minute: compare the ratios, not the tokens a second.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from engine import kernels
from engine.rwkv.chunked import wkv7_chunked

B, T, H, N = 4, 512, 4, 64  # D = H * N = 256
Form = Callable[..., tuple[Tensor, Tensor]]


def wkv7_sequential(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """The recurrence as written, a step at a time; the specification of the other forms.

    Shapes and result as `engine.kernels.wkv7`; any dtype; T >= 1.
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


def bench(rounds: int = 5) -> list[dict[str, str | float]]:
    """Prints and returns one row a form: seconds, tokens a second, speed relative to sequential.

    Forward and backward at B4 T512 D256 with torch's present number of threads; the best of
    `rounds`, the forms taking turns so that a busy machine slows them alike.
    """
    forms: dict[str, Form] = {"sequential": wkv7_sequential, "chunked": wkv7_chunked}
    about = kernels.describe()
    if about.startswith("native"):
        forms["native"] = kernels.wkv7
    inputs = [x.requires_grad_() for x in realistic((B, T, H, N))]
    best: dict[str, tuple[float, float]] = {}
    for _ in range(rounds):
        for name, form in forms.items():
            forward, backward = _time(form, inputs)
            past = best.get(name, (forward, backward))
            best[name] = (min(past[0], forward), min(past[1], backward))
    print(f"WKV-7, B{B} T{T} D{H * N}, {torch.get_num_threads()} thread(s); {about}")
    rows: list[dict[str, str | float]] = []
    base = sum(best["sequential"])
    for name, (forward, backward) in best.items():
        both = forward + backward
        row = {"forward_s": forward, "backward_s": backward, "tokens_per_s": B * T / both}
        rows.append({"form": name, **row, "ratio": base / both})
        print(
            f"{name:>10}  forward {forward * 1e3:7.1f} ms  backward {backward * 1e3:7.1f} ms"
            f"  {B * T / both:9.0f} tokens/s  {base / both:6.1f} x"
        )
    return rows


def _time(form: Form, inputs: list[Tensor]) -> tuple[float, float]:
    started = time.perf_counter()
    y, state = form(*inputs)
    middle = time.perf_counter()
    torch.autograd.grad((y, state), inputs, (torch.ones_like(y), torch.ones_like(state)))
    return middle - started, time.perf_counter() - middle
