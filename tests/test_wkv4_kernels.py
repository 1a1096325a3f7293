"""WKV-4: the C++ and the CUDA kernels (played on the CPU) meet plain torch on the same inputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from emulated import Order, emulate_gpu, run_sanitized
from torch import Tensor

from engine import kernels, wkv4_cuda, wkv4_native
from engine.rwkv.wkv4 import EMPTY, State, empty_state, wkv4

NAMES = ("k", "v", "w", "u", "num", "den")
SHAPES = [(1, 1, 1), (3, 1, 33), (2, 7, 7), (1, 8, 64), (2, 9, 20), (2, 200, 33), (1, 131, 64)]
Form = Callable[[Tensor, Tensor, Tensor, Tensor, State], tuple[Tensor, State]]


class _Differentiated(torch.autograd.Function):
    """The plain functions of a module under autograd."""

    @staticmethod
    def forward(ctx: Any, module: Any, *inputs: Tensor) -> tuple[Tensor, ...]:
        y, num, den, exp, saved = module.forward(inputs, True)
        ctx.module = module
        ctx.save_for_backward(*inputs, saved)
        ctx.mark_non_differentiable(exp)
        return y, num, den, exp

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        *inputs, saved = ctx.saved_tensors
        dy, dnum, dden = (x.contiguous() for x in grads[:3])
        return None, *ctx.module.backward(tuple(inputs), saved, dy, dnum, dden), None


def native(k: Tensor, v: Tensor, w: Tensor, u: Tensor, state: State) -> tuple[Tensor, State]:
    y, num, den, exp = _Differentiated.apply(wkv4_native, k, v, w, u, *state)
    return y, (num, den, exp)


def cuda(k: Tensor, v: Tensor, w: Tensor, u: Tensor, state: State) -> tuple[Tensor, State]:
    y, num, den, exp = _Differentiated.apply(wkv4_cuda, k, v, w, u, *state)
    return y, (num, den, exp)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def built() -> None:
    """The C++ library; with a compiler at hand, failing to build is a bug."""
    try:
        kernels._compiler()
    except kernels._NoBuildError as error:
        pytest.skip(str(error))
    kernels.loaded(wkv4_native.LIBRARY)


def relative(found: Tensor, wanted: Tensor) -> float:
    return float((found.double() - wanted).norm() / wanted.norm().clamp_min(1e-30))


def make(
    B: int, T: int, C: int, largest: float, seed: int = 0, fresh: bool = False
) -> tuple[list[Tensor], Tensor]:
    """k, v, w, u, num, den as float64 that float32 can hold (w: any), and exp.

    Decays from none worth the name to total; `fresh`: the state before the first token.
    """
    rng = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=rng).double()

    k = (noise(B, T, C) * largest).float().double()
    w = -(10 ** (6 * torch.rand(C, generator=rng, dtype=torch.float64) - 4))
    den = (0.5 + 0.499 * torch.rand(B, C, generator=rng)).double()
    exp = torch.randint(-20, 20, (B, C), generator=rng, dtype=torch.int32)
    inputs = [k, noise(B, T, C), w, noise(C), noise(B, C), den]
    if fresh:
        num, den, exp = empty_state(B, C)
        inputs[4:] = [num.double(), den.double()]
    return inputs, exp


def along(inputs: list[Tensor], seed: int = 1) -> list[Tensor]:
    """Gradients to come in, of y, num and den."""
    rng = torch.Generator().manual_seed(seed)
    return [torch.randn(inputs[i].shape, generator=rng).double() for i in (0, 4, 5)]


def run(
    form: Form, inputs: list[Tensor], exp: Tensor, incoming: list[Tensor] | None = None
) -> tuple[list[Tensor], list[Tensor]]:
    """y, num, den, exp after it, and the gradients of the six inputs."""
    k, v, w, u, num, den = (x.detach().requires_grad_() for x in inputs)
    y, (num2, den2, exp2) = form(k, v, w, u, (num, den, exp))
    grads = [x.to(z.dtype) for x, z in zip(incoming or along(inputs), (y, num2, den2), strict=True)]
    found = torch.autograd.grad((y, num2, den2), (k, v, w, u, num, den), grads)
    return [y.detach(), num2.detach(), den2.detach(), exp2], list(found)


def cast(inputs: list[Tensor], dtype: torch.dtype, rows: torch.dtype | None = None) -> list[Tensor]:
    """All but w as `dtype`, k and v as `rows`."""
    kinds = (rows or dtype, rows or dtype, torch.float64, dtype, dtype, dtype)
    return [x.to(kind) for x, kind in zip(inputs, kinds, strict=True)]


def without_signs(inputs: list[Tensor], exp: Tensor, incoming: list[Tensor]) -> list[Tensor]:
    """Of each gradient the sum of its terms' absolute values: what rounding is relative to.

    The recurrence a token at a time in float64. An output's gradients are those of its numerator
    less y times those of its denominator: here both are added, and nothing is negative.
    """
    parts = [x.abs() if i in (1, 4) else x for i, x in enumerate(inputs)]
    k, v, w, u, num, den = (x.detach().requires_grad_() for x in parts)
    a, b, top = num, den, exp.double()  # A = a 2^top
    log2 = torch.log2(torch.tensor(torch.e, dtype=torch.float64))
    total = torch.zeros((), dtype=torch.float64)
    for t in range(k.shape[1]):
        size = torch.maximum(top, (u + k[:, t]).detach() * log2)
        old, new = torch.exp2(top - size), torch.exp2((u + k[:, t]) * log2 - size)
        above, below = a * old + new * v[:, t], b * old + new
        r = incoming[0][:, t].abs() / below.detach()
        total = total + (r * (above + (above / below).detach() * below)).sum()
        size = torch.maximum(top + w.detach() * log2, k[:, t].detach() * log2)
        old, new = torch.exp2(top + w * log2 - size), torch.exp2(k[:, t] * log2 - size)
        a, b, top = a * old + new * v[:, t], b * old + new, size
    scale = 2.0 ** -torch.frexp(b.detach()).exponent
    total = total + (incoming[1].abs() * a * scale + incoming[2].abs() * b * scale).sum()
    return list(torch.autograd.grad(total, (k, v, w, u, num, den)))


def check(
    found: tuple[list[Tensor], list[Tensor]],
    inputs: list[Tensor],
    exp: Tensor,
    tolerance: float,
    rows: float | None = None,
) -> None:
    """`found` against plain torch in float64; `rows`: the tolerance of y, dk and dv."""
    wanted = run(wkv4, inputs, exp)
    sizes = without_signs(inputs, exp, along(inputs))
    for i, name in enumerate(("y", "num", "den")):
        limit = rows if rows and i == 0 else tolerance
        assert relative(found[0][i], wanted[0][i]) <= limit, name
    assert torch.equal(found[0][3], wanted[0][3])
    assert bool(((found[0][2] >= 0.5) & (found[0][2] < 1)).all())
    for i, name in enumerate(NAMES):
        limit = rows if rows and i < 2 else tolerance
        error = (found[1][i].double() - wanted[1][i]).norm()
        assert error <= limit * sizes[i].norm() + 1e-30, name  # less is nothing in float32


# ---- the C++ library -------------------------------------------------------------------------


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("largest", [1.0, 300.0, 1000.0])
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_native_meets_plain_torch(shape: tuple[int, int, int], largest: float) -> None:
    """Keys of any size, decays from almost none to total; from a state and from none."""
    inputs, exp = make(*shape, largest, fresh=shape[1] % 2 == 0)
    check(run(native, cast(inputs, torch.float32), exp), inputs, exp, 1e-6)
    check(run(native, inputs, exp), inputs, exp, 1e-13)


@pytest.mark.usefixtures("built")
def test_native_gradients_of_ordinary_keys_keep_their_digits() -> None:
    """Also where terms of both signs cancel."""
    inputs, exp = make(2, 300, 64, 1.0, seed=2)
    _, grads = run(native, cast(inputs, torch.float32), exp)
    _, wanted = run(wkv4, inputs, exp)
    for name, x, z in zip(NAMES, grads, wanted, strict=True):
        assert relative(x, z) < 1e-6, name


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("shape", [(2, 10, 3), (1, 17, 9)], ids=str)
def test_gradcheck(shape: tuple[int, int, int]) -> None:
    """Each derivative against differences, in float64 through the library."""
    inputs, exp = make(*shape, 1.0, seed=3)
    inputs[2] = -torch.linspace(0.01, 2.0, shape[2], dtype=torch.float64)
    leaves = [x.requires_grad_() for x in inputs]

    def form(*leaves: Tensor) -> tuple[Tensor, ...]:
        k, v, w, u, num, den = leaves
        y, (num2, den2, exp2) = native(k, v, w, u, (num, den, exp))
        scale = torch.exp2(exp2.double())  # the sums themselves: their exponent may jump
        return y, num2 * scale, den2 * scale

    assert torch.autograd.gradcheck(form, leaves, atol=1e-6)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("cut", [1, 8, 13, 63])
def test_split_anywhere(cut: int) -> None:
    """Two calls joined by the state are one, gradients included."""

    def in_two(k: Tensor, v: Tensor, w: Tensor, u: Tensor, state: State) -> tuple[Tensor, State]:
        left, state = native(k[:, :cut].contiguous(), v[:, :cut].contiguous(), w, u, state)
        right, state = native(k[:, cut:].contiguous(), v[:, cut:].contiguous(), w, u, state)
        return torch.cat((left, right), 1), state

    inputs, exp = make(2, 64, 40, 30.0, seed=4)
    check(run(in_two, cast(inputs, torch.float32), exp), inputs, exp, 1e-6)


@pytest.mark.usefixtures("built")
def test_errors_do_not_grow_with_length() -> None:
    """Slow decays, 20,000 tokens: nothing is forgotten, no rounding adds up."""
    inputs, exp = make(1, 20000, 16, 1.0, seed=5)
    inputs[2] = -torch.logspace(-6, -2, 16, dtype=torch.float64)
    found, grads = run(native, cast(inputs, torch.float32), exp)
    wanted, wanted_grads = run(native, inputs, exp)
    for x, z in zip(found[:3] + grads, wanted[:3] + wanted_grads, strict=True):
        assert relative(x, z) < 1e-6


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("largest", [3.0, 30.0])
def test_moving_sums_to_another_exponent_changes_no_bit(largest: float) -> None:
    inputs, exp = make(2, 20, 50, largest, seed=6)
    inputs = cast(inputs, torch.float32)
    wanted, wanted_grads = run(native, inputs, exp)
    for shift in (-40, -3, 1, 17):
        moved = [*inputs[:4], *(x * 2.0**shift for x in inputs[4:])]
        found, grads = run(native, moved, exp - shift)
        assert all(torch.equal(x, z) for x, z in zip(found, wanted, strict=True))
        grads[4:] = [x * 2.0**shift for x in grads[4:]]
        for x, z in zip(grads, wanted_grads, strict=True):
            assert torch.equal(
                torch.where(x.abs() > 1e-20, x, 0), torch.where(z.abs() > 1e-20, z, 0)
            )


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("size", [300.0, 1000.0])
def test_keys_of_one_size(size: float) -> None:
    """All keys at the one end or the other: the same outputs, the sums a power of two apart."""
    inputs, exp = make(1, 40, 16, 1.0, seed=7, fresh=True)
    inputs[2] = torch.full((16,), -0.01, dtype=torch.float64)
    for sign in (-1, 1):
        moved = [(inputs[0] + sign * size).float().double(), *inputs[1:]]
        check(run(native, cast(moved, torch.float32), exp), moved, exp, 1e-6)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("w", [0.0, -1e-30, -1e4, -1e30])
def test_everything_stays_finite(w: float) -> None:
    """Keys to the end of what an exponent can be; no decay and total decay."""
    rng = torch.Generator().manual_seed(8)
    k = (2 * torch.rand(2, 30, 20, generator=rng) - 1) * 2.0**26
    inputs = [k, torch.full_like(k, 3.0), torch.full((20,), w).double(), torch.zeros(20)]
    num, den, exp = empty_state(2, 20)
    found, grads = run(native, [*inputs, num, den], exp)
    assert torch.allclose(found[0], inputs[1])  # a mean of threes
    assert all(bool(x.isfinite().all()) for x in found[:3] + grads)


@pytest.mark.usefixtures("built")
def test_what_is_not_a_number_is_not_hidden() -> None:
    k = torch.tensor([0.0, float("nan"), 0.0, float("inf")]).view(1, 2, 2)
    y, _ = native(
        k, torch.ones(1, 2, 2), -torch.ones(2).double(), torch.zeros(2), empty_state(1, 2)
    )
    assert y.isnan().tolist() == [[[False, True], [False, True]]]


@pytest.mark.usefixtures("built")
def test_a_key_of_minus_infinity_is_no_token() -> None:
    inputs, exp = make(1, 20, 5, 1.0, seed=9)
    k, v, w, u, num, den = cast(inputs, torch.float32)
    k[:, 7] = -torch.inf
    y, state = native(k, v, w, u, (num, den, exp))
    wanted, wanted_state = wkv4(k, v, w, u, (num, den, exp))
    assert relative(y, wanted.double()) < 1e-6
    assert relative(state[0], wanted_state[0].double()) < 1e-6


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_threads_do_not_change_a_bit(dtype: torch.dtype) -> None:
    inputs, exp = make(3, 200, 333, 1.0, seed=10)
    inputs = cast(inputs, dtype)
    out, grads = run(native, inputs, exp)
    torch.set_num_threads(3)
    again, again_grads = run(native, inputs, exp)
    pairs = zip(out + grads, again + again_grads, strict=True)
    assert all(torch.equal(x, z) for x, z in pairs)


@pytest.mark.usefixtures("built")
def test_nothing_is_kept_that_nobody_needs() -> None:
    inputs, exp = make(2, 20, 5, 1.0)
    tensors = (*cast(inputs, torch.float32), exp)
    before = [x.clone() for x in tensors]
    *kept, saved = wkv4_native.forward(tensors, True)
    *bare, nothing = wkv4_native.forward(tensors, False)
    assert all(torch.equal(x, z) for x, z in zip(kept, bare, strict=True))
    assert saved.shape == (wkv4_native.saved_size(2, 20, 5),) and nothing.shape == (0,)
    assert bool(saved.isfinite().all())  # exponents too lie there as numbers
    assert all(torch.equal(x, z) for x, z in zip(tensors, before, strict=True))


def test_what_fits() -> None:
    inputs, exp = make(1, 2, 3, 1.0)
    single, double = (*cast(inputs, torch.float32), exp), (*inputs, exp)
    half = (*cast(inputs, torch.float32, torch.bfloat16), exp)
    mixed = (*single[:3], double[3], *single[4:])
    assert [wkv4_native.fits(x) for x in (single, double, half, mixed)] == [
        True,
        True,
        False,
        False,
    ]
    assert [wkv4_cuda.fits(x) for x in (single, double, half, mixed)] == [True, False, True, False]


def falling(T: int, C: int) -> tuple[list[Tensor], Tensor]:
    """Keys that fall as fast as the sums decay: all tokens weigh alike, however long ago."""
    inputs, exp = make(1, T, C, 1.0, seed=16, fresh=True)
    inputs[2] = -torch.linspace(300, 600, C, dtype=torch.float64) / T
    line = 300 + inputs[2] * torch.arange(T, dtype=torch.float64).view(1, T, 1)
    inputs[0] = (inputs[0] + line).float().double()
    inputs[1] = inputs[1] + 1
    return inputs, exp


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("threads", [1, 100])
@pytest.mark.parametrize("form", [native, cuda])
def test_a_decay_keeps_its_digits_over_a_long_text(
    form: Form, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A decay's own rounding error counts once a token: 6e-6 here, were it not made good."""
    emulate_gpu(monkeypatch)
    splits(monkeypatch, threads)
    inputs, exp = falling(2000, 16)
    found, grads = run(form, cast(inputs, torch.float32), exp)
    wanted, wanted_grads = run(native, inputs, exp)
    for x, z in zip(found[:3] + grads[:2], wanted[:3] + wanted_grads[:2], strict=True):
        assert relative(x, z) < 1e-6


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize("form", [native, cuda])
def test_gradients_of_keys_that_outweigh_all_before(
    form: Form, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The output is nearly the newest value: their difference may not be taken as one."""
    emulate_gpu(monkeypatch)
    inputs, exp = make(2, 40, 16, 1.0, seed=17)
    inputs[0] = (inputs[0] + 10 * torch.arange(40).view(1, 40, 1)).float().double()
    _, (dk, _, _, du, *_) = run(form, cast(inputs, torch.float32), exp)
    _, (wanted_k, _, _, wanted_u, *_) = run(wkv4, inputs, exp)
    assert relative(dk, wanted_k) < 2e-6 and relative(du, wanted_u) < 2e-6


# ---- the CUDA kernels --------------------------------------------------------------------------


def splits(monkeypatch: pytest.MonkeyPatch, threads: int) -> None:
    """As on a GPU that wants so many threads."""
    monkeypatch.setattr(wkv4_cuda, "_threads", lambda device: threads)


@pytest.mark.parametrize("threads", [1, 1000], ids=["whole", "segments"])
@pytest.mark.parametrize("largest", [1.0, 1000.0])
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 9, 7), (2, 100, 33), (1, 131, 64)], ids=str)
def test_cuda_meets_plain_torch(
    shape: tuple[int, int, int], largest: float, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulate_gpu(monkeypatch)
    splits(monkeypatch, threads)
    inputs, exp = make(*shape, largest, seed=11, fresh=shape[1] == 9)
    check(run(cuda, cast(inputs, torch.float32), exp), inputs, exp, 5e-6)


@pytest.mark.parametrize("threads", [1, 1000], ids=["whole", "segments"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_cuda_in_half_precision(
    dtype: torch.dtype, threads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Keys, values and outputs are halves; the rest loses nothing by it."""
    emulate_gpu(monkeypatch)
    splits(monkeypatch, threads)
    inputs, exp = make(2, 60, 33, 1.0, seed=12)
    inputs[:2] = [x.to(dtype).double() for x in inputs[:2]]
    incoming = along(inputs)
    incoming[0] = incoming[0].to(dtype).double()
    found, grads = run(cuda, cast(inputs, torch.float32, dtype), exp, incoming)
    wanted, wanted_grads = run(wkv4, inputs, exp, incoming)
    assert found[0].dtype is grads[0].dtype is grads[1].dtype is dtype
    for x, z in zip(found[:3] + grads, wanted[:3] + wanted_grads, strict=True):
        assert relative(x, z) < (5e-6 if x.dtype in (torch.float32, torch.float64) else 2e-3)


def test_cuda_splits_as_the_device_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """Segments are whole chunks, none is empty, and a channel has no more than SEGMENTS."""
    for threads in (1, 100, 10**6):
        splits(monkeypatch, threads)
        for T in (1, 7, 8, 9, 100, 5000):
            found = wkv4_cuda._split(torch.empty(2, T, 5))
            assert found.tokens % wkv4_cuda.CHUNK == 0
            assert (found.segments - 1) * found.tokens < T <= found.segments * found.tokens
            assert found.segments <= wkv4_cuda.SEGMENTS
            assert found.segments * 10 >= min(threads, T / wkv4_cuda.CHUNK * 5, 320)


@pytest.mark.parametrize("order", ["descending", "random"])
def test_cuda_threads_do_not_wait_for_each_other(
    order: Order, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In whatever order threads and blocks come: the same bits."""
    inputs, exp = make(2, 50, 70, 30.0, seed=13)
    inputs = cast(inputs, torch.float32)
    splits(monkeypatch, 1000)
    emulate_gpu(monkeypatch)
    out, grads = run(cuda, inputs, exp)
    emulate_gpu(monkeypatch, order=order, seed=5)
    again, again_grads = run(cuda, inputs, exp)
    pairs = zip(out + grads, again + again_grads, strict=True)
    assert all(torch.equal(x, z) for x, z in pairs)


def test_cuda_goes_on_from_a_state_of_the_library(
    built: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    emulate_gpu(monkeypatch)
    inputs, exp = make(2, 40, 20, 30.0, seed=14)
    k, v, w, u, num, den = cast(inputs, torch.float32)
    wanted, _ = wkv4(*inputs[:4], (inputs[4], inputs[5], exp))
    left, state = native(k[:, :11].contiguous(), v[:, :11].contiguous(), w, u, (num, den, exp))
    middle, state = cuda(k[:, 11:30].contiguous(), v[:, 11:30].contiguous(), w, u, state)
    right, _ = native(k[:, 30:].contiguous(), v[:, 30:].contiguous(), w, u, state)
    assert relative(torch.cat((left, middle, right), 1), wanted) < 5e-6


def test_cuda_stays_finite(monkeypatch: pytest.MonkeyPatch) -> None:
    emulate_gpu(monkeypatch)
    splits(monkeypatch, 1000)
    rng = torch.Generator().manual_seed(15)
    k = (2 * torch.rand(1, 40, 20, generator=rng) - 1) * 2.0**26
    w = torch.linspace(-40, 0, 20).double()
    w[:3] = -torch.tensor([1e4, 1e30, torch.inf])
    num, den, exp = empty_state(1, 20)
    assert int(exp[0, 0]) == EMPTY
    found, grads = run(cuda, [k, torch.full_like(k, 3.0), w, torch.zeros(20), num, den], exp)
    assert torch.allclose(found[0], torch.full_like(k, 3.0))
    assert all(bool(x.isfinite().all()) for x in found[:3] + grads)


SANITIZED = """
import torch
from emulated import emulated_module
from engine import gpu, wkv4_cuda
from test_wkv4_kernels import along, cast, make
gpu.module = lambda program, device: emulated_module(program, sanitize=True)
for threads in (1, 1000):
    wkv4_cuda._threads = lambda device: threads
    for shape in ((2, 9, 7), (1, 17, 130)):
        inputs, exp = make(*shape, 1.0)
        incoming = [x.float() for x in along(inputs)]
        inputs = (*cast(inputs, torch.float32), exp)
        *_, saved = wkv4_cuda.forward(inputs, True)
        wkv4_cuda.backward(inputs, saved, *incoming)
print("clean")
"""


@pytest.mark.slow
def test_sanitizers_find_nothing_in_the_cuda_kernels() -> None:
    done = run_sanitized(SANITIZED)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "clean\n"
