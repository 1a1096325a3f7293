"""The recurrences of RWKV-2 to 6 against their definitions, one token at a time in float64."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from engine.rwkv import wkv4 as wkv4_module
from engine.rwkv import wkv6 as wkv6_module
from engine.rwkv.block import log_decay
from engine.rwkv.exponent import power_of_two, reduce_exp
from engine.rwkv.wkv4 import empty_state, wkv4
from engine.rwkv.wkv6 import wkv6

DTYPES = {torch.float32: 1e-6, torch.float64: 1e-11}
quick = settings(max_examples=60, deadline=None, derandomize=True)


def decays(shape: tuple[int, ...], rng: torch.Generator, dtype: torch.dtype) -> Tensor:
    """Logs of decays, -1e-6 to -1e4."""
    return -(10 ** (10 * torch.rand(shape, generator=rng, dtype=torch.float64) - 6)).to(dtype)


def close(found: Tensor, wanted: Tensor, size: Tensor, tolerance: float) -> bool:
    """Whether they differ by no more than `tolerance` of what they would be without signs."""
    return bool((found.double() - wanted).norm() <= tolerance * size.norm())


# -- RWKV-2, 3 and 4 -----------------------------------------------------------------------------


def stepwise4(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """y (B, T, C), and A and B as multiples of e^p, in log space: a, b, p (B, C)."""
    k, v, w, u = (x.double() for x in (k, v, w, u))
    a, b = torch.zeros_like(k[:, 0]), torch.zeros_like(k[:, 0])
    p, ys = torch.full_like(a, -1e38), []
    for k_t, v_t in zip(k.unbind(1), v.unbind(1), strict=True):
        q = torch.maximum(p, u + k_t)
        old, new = torch.exp(p - q), torch.exp(u + k_t - q)
        ys.append((old * a + new * v_t) / (old * b + new))
        q = torch.maximum(p + w, k_t)
        old, new = torch.exp(p + w - q), torch.exp(k_t - q)
        a, b, p = old * a + new * v_t, old * b + new, q
    return torch.stack(ys, 1), a, b, p


def inputs4(
    B: int, T: int, C: int, largest: float, seed: int, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    rng = torch.Generator().manual_seed(seed)
    k = ((2 * torch.rand(B, T, C, generator=rng) - 1) * largest).to(dtype)
    v = torch.randn(B, T, C, generator=rng).to(dtype)
    u = torch.randn(C, generator=rng).to(dtype)
    return k, v, decays((C,), rng, torch.float64), u


@quick
@given(
    B=st.integers(1, 3),
    T=st.integers(1, 300),
    C=st.integers(1, 5),
    largest=st.sampled_from([1.0, 30.0, 300.0, 1000.0]),
    cut=st.floats(0, 1),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from(list(DTYPES)),
)
def test_wkv4_is_its_definition_for_keys_of_any_size(
    B: int, T: int, C: int, largest: float, cut: float, seed: int, dtype: torch.dtype
) -> None:
    k, v, w, u = inputs4(B, T, C, largest, seed, dtype)
    wanted, a, b, p = stepwise4(k, v, w, u)
    size, a_size, _, _ = stepwise4(k, v.abs(), w, u)
    start = tuple(x.to(dtype) if x.is_floating_point() else x for x in empty_state(B, C))
    middle = int(cut * (T - 1)) + 1
    left, state = wkv4(k[:, :middle], v[:, :middle], w, u, start)
    right = left[:, :0]
    if middle < T:
        right, state = wkv4(k[:, middle:], v[:, middle:], w, u, state)
    num, den, exp = state
    scale = torch.exp2(exp.double() - p / torch.log(torch.tensor(2.0, dtype=torch.float64)))
    assert num.dtype == den.dtype == left.dtype == dtype and exp.dtype == torch.int32
    assert bool(((den >= 0.5) & (den < 1)).all())
    assert close(torch.cat((left, right), 1), wanted, size, DTYPES[dtype])
    assert close(num * scale, a, a_size, DTYPES[dtype])
    assert close(den * scale, b, b, DTYPES[dtype])


@quick
@given(
    T=st.integers(1, 40), largest=st.sampled_from([1.0, 30.0, 300.0]), seed=st.integers(0, 10**6)
)
def test_wkv4_token_by_token(T: int, largest: float, seed: int) -> None:
    k, v, w, u = inputs4(2, T, 4, largest, seed, torch.float32)
    wanted, _, _, _ = stepwise4(k, v, w, u)
    size, _, _, _ = stepwise4(k, v.abs(), w, u)
    state, ys = empty_state(2, 4), []
    for t in range(T):
        y, state = wkv4(k[:, t : t + 1], v[:, t : t + 1], w, u, state)
        ys.append(y)
    assert close(torch.cat(ys, 1), wanted, size, 1e-6)


def test_wkv4_token_by_token_keeps_slow_decays() -> None:
    k, v, _, u = inputs4(1, 1000, 64, 1.0, 4, torch.float32)
    w = -torch.linspace(1e-4, 1e-2, 64, dtype=torch.float64)
    wanted, a, b, p = stepwise4(k, v, w, u)
    state, ys = empty_state(1, 64), []
    for t in range(1000):
        y, state = wkv4(k[:, t : t + 1], v[:, t : t + 1], w, u, state)
        ys.append(y)
    scale = torch.exp2(state[2].double()) * torch.exp(-p)
    assert close(torch.cat(ys, 1), wanted, wanted, 1e-6)
    assert close(state[0] * scale, a, a, 1e-6) and close(state[1] * scale, b, b, 1e-6)


@given(
    k=st.lists(st.floats(-(2.0**26), 2.0**26, width=32), min_size=1, max_size=12),
    w=st.floats(-1e30, 0),
)
@quick
def test_wkv4_stays_finite(k: list[float], w: float) -> None:
    keys = torch.tensor(k).view(1, -1, 1).requires_grad_()
    values = torch.ones_like(keys).detach() * 3
    decay = torch.tensor([w], dtype=torch.float64, requires_grad=True)
    y, state = wkv4(keys, values, decay, torch.zeros(1), empty_state(1, 1))
    (y.sum() + state[0].sum() + state[1].sum()).backward()
    assert torch.allclose(y, values)  # a mean of threes
    for tensor in (state[0], state[1], keys.grad, decay.grad):
        assert tensor is not None and bool(tensor.isfinite().all())


def test_what_is_not_a_number_is_not_hidden() -> None:
    k = torch.tensor([0.0, float("nan"), 0.0, float("inf")]).view(1, 2, 2)
    y, _ = wkv4(k, torch.ones(1, 2, 2), -torch.ones(2).double(), torch.zeros(2), empty_state(1, 2))
    assert y.isnan().tolist() == [[[False, True], [False, True]]]


def test_moving_sums_to_another_exponent_changes_no_bit() -> None:
    k, v, w, u = inputs4(2, 20, 50, 30.0, 3, torch.float32)
    _, (num, den, exp) = wkv4(k, v, w, u, empty_state(2, 50))
    wanted, end = wkv4(k, v, w, u, (num, den, exp))
    for shift in (-40, -3, 1, 17):
        moved = (num * 2.0**shift, den * 2.0**shift, exp - shift)
        assert torch.equal(moved[0] * 2.0**-shift, num)
        y, state = wkv4(k, v, w, u, moved)
        assert torch.equal(y, wanted)
        assert all(torch.equal(a, b) for a, b in zip(state, end, strict=True))


@pytest.mark.parametrize("epsilon", [1e-9, 1e-8])
def test_compat_computes_as_the_first_programs_did(epsilon: float) -> None:
    k, v, w, u = inputs4(1, 30, 40, 90.0, 1, torch.float32)
    k[..., ::4] -= 110  # sums that are small beside epsilon
    d, first = torch.exp(w), torch.exp(u.double())
    a, b, ys = 0.0, 0.0, []
    for k_t, v_t in zip(k[0].double(), v[0].double(), strict=True):
        e = torch.exp(k_t.clamp(max=60))
        ys.append((a + first * e * v_t) / (b + first * e + epsilon))
        a, b = d * a + e * v_t, d * b + e
    wanted = torch.stack(ys).unsqueeze(0)
    found, _ = wkv4(k, v, w, u, empty_state(1, 40), epsilon=epsilon)
    plain, _ = wkv4(k, v, w, u, empty_state(1, 40))
    assert close(found, wanted, wanted, 1e-6) and not close(plain, wanted, wanted, 0.1)


def test_wkv4_gradients(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wkv4_module, "CHUNK", 4)
    k, v, w, u = inputs4(2, 7, 3, 4.0, 5, torch.float64)
    w = w.clamp(-3, -0.1)
    rng = torch.Generator().manual_seed(0)
    num = torch.randn(2, 3, generator=rng, dtype=torch.float64)
    den = torch.rand(2, 3, generator=rng, dtype=torch.float64) + 0.5
    exp = torch.tensor([[1, -2, 0], [3, -1, 2]], dtype=torch.int32)

    def run(*x: Tensor) -> tuple[Tensor, ...]:
        y, (num, den, end) = wkv4(x[0], x[1], x[2], x[3], (x[4], x[5], exp))
        return y, num * torch.exp2(end.double()), den * torch.exp2(end.double())

    inputs = [x.clone().requires_grad_() for x in (k, v, w, u, num, den)]
    assert torch.autograd.gradcheck(run, inputs)


@pytest.mark.parametrize("x", [0.0, 0.3, -0.3, 88.7, 217.0, 300.0, -300.0, 1000.0, -1000.0])
def test_exponentials_in_two_parts(x: float) -> None:
    exact = torch.tensor([x]).double()
    f, n = reduce_exp(torch.tensor([x]))
    assert abs(float(f)) <= 0.3467
    assert abs(float(f.double() + n * torch.log(torch.tensor(2.0).double()) - exact)) < 3e-8


def test_powers_of_two_are_exact() -> None:
    n = torch.arange(-200, 128, dtype=torch.int32)
    found = power_of_two(n, torch.float32)
    assert found.tolist() == [2.0**i if i >= -126 else 0.0 for i in n.tolist()]
    n = torch.arange(-1100, 1024, dtype=torch.int32)
    found = power_of_two(n, torch.float64)
    assert found.tolist() == [2.0**i if i >= -1022 else 0.0 for i in n.tolist()]


# -- RWKV-5.2 and 6 --------------------------------------------------------------------------------


def stepwise6(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, u: Tensor, S: Tensor
) -> tuple[Tensor, Tensor]:
    """y (B, T, H, N) and the last state (B, H, N, N), [value, key]."""
    r, logw, k, v, u, S = (x.double() for x in (r, logw, k, v, u, S))
    ys, w = [], torch.exp(logw).expand_as(r)
    for t in range(r.shape[1]):
        new = v[:, t].unsqueeze(3) * k[:, t].unsqueeze(2)
        ys.append(((S + u.unsqueeze(1) * new) @ r[:, t].unsqueeze(3)).squeeze(3))
        S = S * w[:, t].unsqueeze(2) + new
    return torch.stack(ys, 1), S


def inputs6(
    B: int, T: int, H: int, N: int, seed: int, dtype: torch.dtype, fixed: bool
) -> tuple[Tensor, ...]:
    """r, logw, k, v, u and a state; with `fixed` the decay is the same at all tokens."""
    rng = torch.Generator().manual_seed(seed)
    r, k, v = (torch.randn(B, T, H, N, generator=rng).to(dtype) for _ in range(3))
    logw = decays((1, 1, H, N) if fixed else (B, T, H, N), rng, dtype)
    u = torch.randn(H, N, generator=rng).to(dtype)
    return r, logw, k, v, u, torch.randn(B, H, N, N, generator=rng).to(dtype)


@quick
@given(
    B=st.integers(1, 3),
    T=st.integers(1, 60),
    H=st.integers(1, 3),
    N=st.sampled_from([1, 2, 8]),
    fixed=st.booleans(),
    cut=st.floats(0, 1),
    seed=st.integers(0, 10**6),
    dtype=st.sampled_from(list(DTYPES)),
)
def test_wkv6_is_its_definition(
    B: int, T: int, H: int, N: int, fixed: bool, cut: float, seed: int, dtype: torch.dtype
) -> None:
    r, logw, k, v, u, S = inputs6(B, T, H, N, seed, dtype, fixed)
    wanted, S_wanted = stepwise6(r, logw, k, v, u, S)
    size, S_size = stepwise6(*(x if x is logw else x.abs() for x in (r, logw, k, v, u, S)))
    middle = int(cut * (T - 1)) + 1

    def part(start: int, stop: int, S: Tensor) -> tuple[Tensor, Tensor]:
        w = logw if fixed else logw[:, start:stop]
        return wkv6(r[:, start:stop], w, k[:, start:stop], v[:, start:stop], u, S)

    left, S = part(0, middle, S)
    right = left[:, :0]
    if middle < T:
        right, S = part(middle, T, S)
    assert close(torch.cat((left, right), 1), wanted, size, DTYPES[dtype])
    assert close(S, S_wanted, S_size, DTYPES[dtype])


@pytest.mark.parametrize("fixed", [False, True])
def test_wkv6_over_more_than_a_segment(fixed: bool) -> None:
    T = 2 * wkv6_module.SEGMENT + 5
    given = inputs6(1, T, 1, 8, 2, torch.float32, fixed)
    wanted, S_wanted = stepwise6(*given)
    found, S = wkv6(*given)
    assert close(found, wanted, wanted, 1e-6) and close(S, S_wanted, S_wanted, 1e-6)


@pytest.mark.parametrize("fixed", [False, True])
def test_wkv6_token_by_token_keeps_slow_decays(fixed: bool) -> None:
    # Rounded to float32, exp(-1e-6) is off by several per cent of its distance to 1.
    r, logw, k, v, u, S = inputs6(1, 1000, 1, 8, 2, torch.float32, fixed)
    wanted, S_wanted = stepwise6(r, logw, k, v, u, S)
    ys = []
    for t in range(1000):
        here = slice(t, t + 1)
        y, S = wkv6(r[:, here], logw if fixed else logw[:, here], k[:, here], v[:, here], u, S)
        ys.append(y)
    assert close(torch.cat(ys, 1), wanted, wanted, 1e-6) and close(S, S_wanted, S_wanted, 1e-6)


@pytest.mark.parametrize("fixed", [False, True])
def test_wkv6_gradients(fixed: bool) -> None:
    r, logw, k, v, u, S = inputs6(2, wkv6_module.CHUNK + 3, 2, 2, 7, torch.float64, fixed)
    inputs = [x.clone().requires_grad_() for x in (r, logw.clamp(-3, -0.05), k, v, u, S)]
    assert torch.autograd.gradcheck(wkv6, inputs)


def test_wkv6_can_be_trained_after_it_ran_in_inference_mode() -> None:
    wkv6_module._spans.cache_clear()
    r, logw, k, v, u, S = inputs6(1, 5, 1, 2, 0, torch.float32, False)
    with torch.inference_mode():
        wkv6(r, logw, k, v, u, S)
    y, _ = wkv6(r, logw.requires_grad_(), k, v, u, S)
    y.sum().backward()
    assert logw.grad is not None and bool(logw.grad.any())


def test_a_decay_of_any_strength_is_zero_and_has_a_gradient() -> None:
    rate = torch.tensor([-20.0, 0.0, 3.0, 50.0, 88.8, 1e4, 1e30], requires_grad=True)
    N = len(rate)
    r, k, v = torch.ones(3, 1, 20, 1, N).unbind(0)
    S = torch.ones(1, 1, N, N)
    logw = log_decay(rate).view(1, 1, 1, N)
    y, end = wkv6(r, logw, k, v, torch.zeros(1, N), S)
    y4, _ = wkv4(
        k[:, :, 0], v[:, :, 0], log_decay(rate.double()), torch.zeros(N), empty_state(1, N)
    )
    (y.sum() + end.sum() + y4.sum()).backward()
    assert torch.equal(end[0, 0, 0, 3:], torch.ones(4))  # the newest token alone
    assert rate.grad is not None and bool(rate.grad.isfinite().all()) and float(rate.grad[1]) != 0
