"""The CUDA kernels of WKV-7, played on the CPU, against the recurrence as written in float64."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from emulated import ORDERS, Order, emulate_gpu, run_sanitized
from torch import Tensor

from engine import gpu, wkv7_cuda
from engine.bench.kernels import realistic, wkv7_sequential

NAMES = ("y", "state2", "dr", "dlogw", "dk", "dv", "da", "db", "dstate")
TOLERANCE = {torch.float32: 5e-6, torch.bfloat16: 2e-3, torch.float16: 2e-3}
# Head size, the inputs' type, logw's.
KINDS = {
    "64-f32": (64, torch.float32, torch.float32),
    "64-bf16": (64, torch.bfloat16, torch.float32),
    "32-f16": (32, torch.float16, torch.float16),
    "128-bf16": (128, torch.bfloat16, torch.bfloat16),
}


@pytest.fixture(autouse=True)
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    emulate_gpu(monkeypatch)


@pytest.fixture
def poisoned() -> Iterator[None]:
    """Memory that torch hands out uninitialised holds NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


class Case:
    """Inputs and incoming gradients of one type; what the kernels make of them."""

    def __init__(
        self, B: int, T: int, H: int, kind: str, decay: float = 1.0, state: float = 1.0
    ) -> None:
        """decay: factor of RWKV-7's own logw, state: of the initial state."""
        N, self.io, decays = KINDS[kind]
        inputs = realistic((B, T, H, N), seed=T)
        inputs[1] *= decay
        inputs[6] *= state
        types = (self.io, decays, *[self.io] * 4, torch.float32)
        self.inputs = tuple(x.to(to) for x, to in zip(inputs, types, strict=True))
        generator = torch.Generator().manual_seed(T + 1)
        self.dy = torch.randn(B, T, H, N, generator=generator).to(self.io)
        self.dstate2 = torch.randn(B, H, N, N, generator=generator)

    def run(self) -> list[Tensor]:
        y, state2, saved = wkv7_cuda.forward(self.inputs, keep=True)
        assert saved.numel() == wkv7_cuda.saved_size(*self.inputs[0].shape)
        return [y, state2, *wkv7_cuda.backward(self.inputs, saved, self.dy, self.dstate2)]

    def exact(self) -> list[Tensor]:
        inputs = [x.double().requires_grad_() for x in self.inputs]
        outputs = wkv7_sequential(*inputs)
        gradients = torch.autograd.grad(outputs, inputs, [self.dy.double(), self.dstate2.double()])
        return [*(x.detach() for x in outputs), *gradients]

    def check(self, got: list[Tensor]) -> None:
        for name, mine, right in zip(NAMES, got, self.exact(), strict=True):
            assert error(mine, right) < TOLERANCE[self.io], name
        for mine, like in zip(got[2:], self.inputs, strict=True):
            assert mine.dtype is like.dtype and mine.shape == like.shape


def error(x: Tensor, right: Tensor) -> float:
    """Relative L2; NaN where x holds one."""
    return float((x.double() - right).norm() / right.norm())


def same(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


@pytest.mark.parametrize("T", [1, 5, 16, 17, 33, 70])
@pytest.mark.parametrize("kind", KINDS)
def test_results_and_gradients_are_those_of_float64(kind: str, T: int, poisoned: None) -> None:
    case = Case(1 if T > 20 else 2, T, 1 if kind.startswith("128") else 2, kind)
    case.check(case.run())


# Decays of almost nothing, and those near the least that there may be: logw above -5.
@pytest.mark.parametrize("decay", [0.0, 0.001, 8.2])
@pytest.mark.parametrize("kind", ["64-f32", "64-bf16"])
def test_every_decay_in_the_domain(kind: str, decay: float) -> None:
    case = Case(1, 40, 1, kind, decay)
    case.check(case.run())


def test_no_decay_is_lost_where_all_are_strong() -> None:
    """logw's gradient is small beside the terms that it could be made of."""
    case = Case(1, 40, 1, "64-f32")
    case.inputs[1].fill_(-5.0)
    case.check(case.run())


@pytest.mark.parametrize("gate", [1.0, 0.7])
def test_one_token_again_and_again(gate: float) -> None:
    """Each step takes out what the one before put in: a chunk's matrix has huge powers."""
    case = Case(1, 40, 1, "64-f32")
    r, logw, k, v, a, _, state = case.inputs
    r, k, a = (x[:, :1].expand_as(x).contiguous() for x in (r, k, a))
    case.inputs = (r, torch.full_like(logw, -0.01), k, v, a, -a * gate, state)
    case.check(case.run())


def test_without_an_initial_state() -> None:
    case = Case(1, 33, 1, "64-f32", state=0.0)
    case.check(case.run())


def test_two_calls_continue_each_other() -> None:
    case = Case(1, 50, 2, "64-f32")
    for cut in (1, 16, 23):
        first, second = Case(1, 50, 2, "64-f32"), Case(1, 50, 2, "64-f32")
        first.inputs = (*(x[:, :cut].contiguous() for x in case.inputs[:6]), case.inputs[6])
        y1, between, saved1 = wkv7_cuda.forward(first.inputs, keep=True)
        second.inputs = (*(x[:, cut:].contiguous() for x in case.inputs[:6]), between)
        y2, end, saved2 = wkv7_cuda.forward(second.inputs, keep=True)
        *late, dbetween = wkv7_cuda.backward(
            second.inputs, saved2, case.dy[:, cut:].contiguous(), case.dstate2
        )
        *early, dstart = wkv7_cuda.backward(
            first.inputs, saved1, case.dy[:, :cut].contiguous(), dbetween
        )
        joined = [torch.cat((x, y), 1) for x, y in zip(early, late, strict=True)]
        case.check([torch.cat((y1, y2), 1), end, *joined, dstart])


@pytest.mark.parametrize("order", ORDERS[1:])
def test_the_order_of_threads_changes_no_bit(monkeypatch: pytest.MonkeyPatch, order: Order) -> None:
    for kind in ("64-bf16", "128-bf16"):
        case = Case(1, 50, 1, kind)
        ascending = case.run()
        for seed in range(2):
            with monkeypatch.context() as patch:
                emulate_gpu(patch, order, seed)
                assert same(case.run(), ascending)


def test_heads_in_turns_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(3, 20, 1, "64-bf16")
    together = case.run()
    for size in (1, 100_000):  # one head at a time; two, and then the one that is left
        monkeypatch.setattr(wkv7_cuda, "TRANSIENT_BYTES", size)
        assert same(case.run(), together)


def test_tensors_that_begin_anywhere() -> None:
    case = Case(1, 20, 1, "64-bf16")
    right = case.run()

    def moved(x: Tensor) -> Tensor:
        return torch.cat((x.new_zeros(1), x.flatten()))[1:].view(x.shape)

    case.inputs = tuple(moved(x) for x in case.inputs)
    case.dy, case.dstate2 = moved(case.dy), moved(case.dstate2)
    assert case.dy.data_ptr() % 16 != 0
    assert same(case.run(), right)


@pytest.mark.slow
def test_smaller_blocks_change_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    case = Case(1, 33, 2, "64-bf16")
    wide = case.run()
    monkeypatch.setattr(wkv7_cuda, "_processors", lambda device: 132)
    assert same(case.run(), wide)


# A half chunk's logw may sum to -70, wherever it falls.
@pytest.mark.parametrize("token", [0, 7, 8, 15, 20])
def test_decay_out_of_the_domain_is_not_a_number(token: int) -> None:
    case = Case(1, 40, 1, "64-f32", decay=0.01)
    case.inputs[1][:, token] = -69.0
    case.check(case.run())
    for outside in (-71.0, -1000.0, -torch.inf, 71.0, torch.nan):
        case.inputs[1][:, token] = outside
        y, state2, _ = wkv7_cuda.forward(case.inputs)
        assert y[:, token // 8 * 8 + 8 :].isnan().all() and state2.isnan().all()
        wrong = ~y[:, : token // 16 * 16].isfinite()
        assert not wrong.any()  # what came before is as it was


def test_large_heads_want_a_gpu_with_room_for_them(monkeypatch: pytest.MonkeyPatch) -> None:
    large, usual = Case(1, 5, 1, "128-bf16").inputs, Case(1, 5, 1, "64-bf16").inputs
    assert wkv7_cuda.fits(large) and wkv7_cuda.fits(usual)
    monkeypatch.setattr(gpu, "most_shared", lambda device: 99 * 1024)  # compute capability 8.6
    assert not wkv7_cuda.fits(large) and wkv7_cuda.fits(usual)


def test_which_inputs_fit() -> None:
    inputs = Case(1, 1, 1, "64-bf16").inputs
    r, logw, k, *rest, state = inputs
    assert wkv7_cuda.fits(inputs)
    assert wkv7_cuda.fits((r, logw.bfloat16(), k, *rest, state))
    assert not wkv7_cuda.fits((r, logw, k.float(), *rest, state))
    assert not wkv7_cuda.fits((r, logw.half(), k, *rest, state))
    assert not wkv7_cuda.fits((r, logw, k, *rest, state.bfloat16()))
    assert not wkv7_cuda.fits(tuple(x.double() for x in inputs))
    assert not wkv7_cuda.fits(tuple(x[..., :16] for x in inputs))


SANITIZED = """
import torch
from emulated import emulated_module
from engine import gpu, wkv7_cuda
gpu.module = lambda program, device: emulated_module(program, "random", 1, sanitize=True)
from test_wkv7_cuda import Case
for T in (1, 20):
    case = Case(1, T, 1, "64-bf16")
    case.check(case.run())
"""


@pytest.mark.slow
def test_sanitizers_find_nothing() -> None:
    run = run_sanitized(SANITIZED)
    assert run.returncode == 0, run.stderr[-2000:]
