"""gpu.h and the emulator that plays a GPU: what device code is tested on must itself be right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from emulated import (
    EXAMPLE,
    ORDERS,
    EmulationError,
    Order,
    emulated_module,
    run_sanitized,
)
from torch import Tensor

LANES = torch.arange(32)
GROUP, MEMBER = LANES // 4, LANES % 4  # groupID, threadID_in_group


def launch(kernel: str, *args: Tensor | int | None, order: Order = "ascending") -> None:
    """One warp of an example."""
    emulated_module(EXAMPLE, order, 5).launch(kernel, (1, 1, 1), 32, 0, *args)


# ---- tensor cores: the layouts as the PTX manual gives them ----------------------------------


def _c(i: int) -> tuple[Tensor, Tensor]:
    return GROUP + (0 if i < 2 else 8), MEMBER * 2 + (i & 1)


def _a_tf32(i: int) -> tuple[Tensor, Tensor]:
    return GROUP + (0 if i in (0, 2) else 8), MEMBER + (0 if i in (0, 1) else 4)


def _b_tf32(i: int) -> tuple[Tensor, Tensor]:
    return MEMBER + (0 if i == 0 else 4), GROUP


def _a_bf16(i: int) -> tuple[Tensor, Tensor]:
    row = GROUP + (0 if i < 2 or 4 <= i < 6 else 8)
    return row, MEMBER * 2 + (i & 1) + (0 if i < 4 else 8)


def _b_bf16(i: int) -> tuple[Tensor, Tensor]:
    return MEMBER * 2 + (i & 1) + (0 if i < 2 else 8), GROUP


def fragment(matrix: Tensor, place: Callable[[int], tuple[Tensor, Tensor]], count: int) -> Tensor:
    """(32, count): each lane's elements of a matrix."""
    return torch.stack([matrix[place(i)] for i in range(count)], dim=1).contiguous()


def gathered(lanes: Tensor) -> Tensor:
    """The (16, 8) result out of each lane's part."""
    matrix = torch.full((16, 8), torch.nan)
    for i in range(4):
        matrix[_c(i)] = lanes[:, i]
    return matrix


def product(c: Tensor, a: Tensor, b: Tensor, how: str = "product_tf32") -> Tensor:
    d = fragment(c, _c, 4)
    launch(how, d, fragment(a, _a_tf32, 4), fragment(b, _b_tf32, 2))
    return gathered(d)


def small_integers(*shape: int) -> Tensor:
    return torch.randint(-9, 10, shape).float()


def test_tf32_fragments_lie_as_documented() -> None:
    torch.manual_seed(0)
    a, b, c = small_integers(16, 8), small_integers(8, 8), small_integers(16, 8)
    assert torch.equal(product(c, a, b), c + a @ b)


def test_bf16_fragments_lie_as_documented() -> None:
    torch.manual_seed(1)
    a, b, c = small_integers(16, 16), small_integers(16, 8), small_integers(16, 8)
    d = fragment(c, _c, 4)
    parts = fragment(a.bfloat16(), _a_bf16, 8), fragment(b.bfloat16(), _b_bf16, 4)
    launch("product_bf16", d, *parts)
    assert torch.equal(gathered(d), c + a @ b)


def test_of_a_tf32_operand_only_the_upper_bits_count() -> None:
    a = torch.full((16, 8), 1 + 2**-10 + 2**-11)  # one bit too many: cut off, not rounded
    found = product(torch.zeros(16, 8), a, torch.eye(8))
    assert torch.equal(found, torch.full((16, 8), 1 + 2**-10))


@pytest.mark.parametrize(
    ("term", "wanted"),
    [(2**-24, 1.0), (-(2**-25), 1 - 2**-24), (-(2**-26), 1.0), (1.5 * 2**-23, 1 + 2**-23)],
)
def test_sums_in_a_tensor_core_are_cut_off(term: float, wanted: float) -> None:
    found = product(torch.ones(16, 8), torch.eye(16)[:, :8], term * torch.eye(8))
    assert torch.equal(found.diagonal(), torch.full((8,), wanted))


def test_infinities_and_nans_come_through_a_tensor_core() -> None:
    a = torch.ones(16, 8)
    a[0, 0], a[1, 1] = torch.inf, torch.nan
    found = product(torch.zeros(16, 8), a, torch.ones(8, 8))
    assert found[0].isposinf().all() and found[1].isnan().all() and (found[2:] == 8).all()


def test_three_tf32_products_are_as_good_as_float32() -> None:
    torch.manual_seed(2)
    a, b = torch.randn(16, 8), torch.randn(8, 8)
    exact = a.double() @ b.double()

    def error(how: str) -> float:
        return float((product(torch.zeros(16, 8), a, b, how) - exact).norm() / exact.norm())

    assert error("product_3xtf32") < 2e-7
    assert 1e-4 < error("product_tf32") < 2e-3  # and one product isn't


def test_load_matrices_is_ldmatrix() -> None:
    x = torch.arange(128, dtype=torch.int32)
    y = torch.zeros_like(x)
    launch("matrices", y, x)
    rows = x.view(32, 4).flip(0).view(4, 8, 4)  # (matrix, row, word) as the lanes' addresses say
    assert torch.equal(y.view(32, 4), rows[:, GROUP, MEMBER].T)


# ---- conversions, vectors, lanes ------------------------------------------------------------

HALVES = [("bf16", torch.bfloat16), ("f16", torch.float16)]


def converted(kernel: str, y: Tensor, x: Tensor) -> Tensor:
    emulated_module(EXAMPLE).launch(kernel, (len(x) // 1024, 1, 1), 128, 0, y, x)
    return y


def assert_same(found: Tensor, wanted: Tensor) -> None:
    """To the bit; any NaN for a NaN."""
    integers = {2: torch.int16, 4: torch.int32}[wanted.element_size()]
    fine = ~wanted.isnan()
    assert torch.equal(found.view(integers)[fine], wanted.view(integers)[fine])
    assert found[~fine].isnan().all()


@pytest.mark.parametrize(("io", "dtype"), HALVES)
def test_every_half_widens_and_narrows_as_in_torch(io: str, dtype: torch.dtype) -> None:
    halves = torch.arange(-(2**15), 2**15).to(torch.int16).view(dtype)
    wide = converted(f"widen_{io}", torch.empty(2**16), halves)
    assert_same(wide, halves.float())
    assert_same(converted(f"narrow_{io}", torch.empty_like(halves), wide), halves)


@pytest.mark.parametrize(("io", "dtype"), HALVES)
def test_rounding_to_halves_is_torchs(io: str, dtype: torch.dtype) -> None:
    torch.manual_seed(3)
    bits = torch.randint(-(2**31), 2**31, (2**15,)).to(torch.int32)
    ties = bits & ~0xFFFF | 0x8000  # half-way between two bf16
    odd = torch.randint(0, 4096, (2**15,)) * 2 + 1  # with these exponents, between two f16
    f16ties = odd.float() * 2.0 ** torch.randint(-26, 4, (2**15,))
    x = torch.cat([bits.view(torch.float32), ties.view(torch.float32), f16ties])
    assert_same(converted(f"narrow_{io}", torch.empty_like(x, dtype=dtype), x), x.to(dtype))


def test_float32_is_copied() -> None:
    x = torch.randn(1024)
    assert torch.equal(converted("widen_f32", torch.empty(1024), x), x)
    assert torch.equal(converted("narrow_f32", torch.empty(1024), x), x)


def test_pairs_and_tf32_round_to_nearest() -> None:
    x, found = torch.randn(64), torch.zeros(32)
    launch("pairs", found, x)
    assert torch.equal(found.view(torch.int32), x.bfloat16().view(torch.int32))
    x = torch.zeros(32)
    x[:5] = torch.tensor([1 + 2**-11, -1 - 2**-11, 1 + 2**-11 - 2**-20, torch.inf, torch.nan])
    launch("round_tf32", found, x)
    assert found[:4].tolist() == [1 + 2**-10, -1 - 2**-10, 1, torch.inf] and found[4].isnan()


@pytest.mark.parametrize("order", ORDERS)
def test_lanes_exchange_as_on_a_gpu(order: Order) -> None:
    x, y = torch.arange(32.0), torch.zeros(6, 32)
    launch("lanes", y, x, order=order)
    assert torch.equal(y[0], x[LANES ^ 5]) and torch.equal(y[1], x[(LANES + 7) % 32])
    assert torch.equal(y[2], torch.where(LANES < 29, LANES + 3, LANES).float())
    assert (y[3] == x.sum()).all() and (y[4] == 1).all()
    wanted = (x / 4 - 6).exp2()
    torch.testing.assert_close(y[5], wanted, rtol=2**-21, atol=0)
    assert torch.equal(y[5, ::4], wanted[::4]) and not torch.equal(y[5], wanted)


def test_blocks_know_where_they_are() -> None:
    y = torch.zeros(2, 3, 4, dtype=torch.int64)
    for order in ORDERS:
        emulated_module(EXAMPLE, order).launch("where", (4, 3, 2), 32, 0, y, -(2**40), None)
        assert y[1, 2, 3] == -(2**40) + 123 + 32000 and len(y.unique()) == 24


# ---- mistakes that must show -----------------------------------------------------------------


def neighbours(shift: int, warp: bool, block: bool, order: Order) -> Tensor:
    y = torch.zeros(3, 64)
    module = emulated_module(EXAMPLE, order, 5)
    module.launch("neighbours", (3, 1, 1), 64, 256, y, shift, warp, block)
    return y


@pytest.mark.parametrize("order", ORDERS)
def test_barriers_make_every_order_alike(order: Order) -> None:
    wanted = (torch.arange(64.0) + 33).remainder(64).expand(3, 64)
    assert torch.equal(neighbours(33, False, True, order), wanted)


@pytest.mark.parametrize(("shift", "warp"), [(1, False), (33, True)])
def test_a_missing_barrier_shows_as_nan_or_as_another_result(shift: int, warp: bool) -> None:
    found = [neighbours(shift, warp, False, order) for order in ORDERS]
    assert all(x.isnan().any() for x in found)  # shared memory is poisoned anew for each block
    assert not torch.equal(found[0].isnan(), found[1].isnan())


def copies(commits: int, pending: int, barrier: bool = True) -> Tensor:
    y = torch.zeros(3, 128)
    launch("copies", y, torch.arange(384.0), commits, pending, barrier)
    return y.roll(4, 1)


def test_copies_arrive_when_they_are_waited_for() -> None:
    wanted = torch.arange(384.0).view(3, 128)
    wanted[1, 64:] = 0  # those that weren't valid
    assert torch.equal(copies(3, 0), wanted)
    assert torch.equal(copies(3, 1)[:2], wanted[:2]) and copies(3, 1)[2].isnan().all()
    assert copies(3, 3).isnan().all()
    assert torch.equal(copies(2, 0)[:2], wanted[:2]) and copies(2, 0)[2].isnan().all()
    assert copies(3, 0, barrier=False).isnan().any()  # another thread's need a barrier too


def test_a_copy_into_what_is_still_read_shows() -> None:
    for barrier in (True, False):
        y = torch.zeros(32)
        launch("hasty", y, torch.full((4,), 5.0), barrier)
        assert (y == 1).all() == barrier


@pytest.mark.parametrize(
    ("kernel", "shared", "message"),
    [
        ("half", 0, r"half: block 0 can't go on: 40 of threads 0 to 39 wait at __syncthreads "
                    r"\(example.cu:\d+\); 24 of threads 40 to 63 wait at shuffle_xor"),
        ("two", 0, r"32 of threads 0 to 31 wait at __syncthreads \(example.cu:\d+\); 32 of "
                   r"threads 32 to 63 wait at __syncthreads \(example.cu:\d+\)"),
        ("gone", 0, r"6 of threads 0 to 34 wait at the end of the kernel; 58 of threads 3 to 63"),
        ("crooked", 256, r"thread 0 of block 0: copy16_async with an address that isn't aligned"),
        ("oblique", 0, r"thread 0 of block 0: a vector of 16 bytes that isn't aligned to them"),
        ("beyond", 200, r"block 0 writes byte 200 of 200 bytes of dynamic shared memory"),
    ],
)  # fmt: skip
def test_a_launch_that_a_gpu_would_not_survive_is_described(
    kernel: str, shared: int, message: str
) -> None:
    module = emulated_module(EXAMPLE)
    with pytest.raises(EmulationError, match=message):
        module.launch(kernel, (2, 1, 1), 64, shared, torch.zeros(64))
    y = torch.zeros(64)
    module.launch("left", (1, 1, 1), 64, 0, y)  # threads that have left are not waited for
    assert y.sum() == 7 * 32


def test_wrong_launches_are_refused() -> None:
    module = emulated_module(EXAMPLE)
    y = torch.zeros(64)
    for message, call in {
        "no kernel nothing": lambda: module.launch("nothing", (1, 1, 1), 32, 0, y),
        "takes 1 arguments, not 2": lambda: module.launch("left", (1, 1, 1), 32, 0, y, 1),
        "no grid": lambda: module.launch("left", (0, 1, 1), 32, 0, y),
        "whole warps": lambda: module.launch("left", (1, 1, 1), 33, 0, y),
        "shared memory a block": lambda: module.launch("left", (1, 1, 1), 32, 2**18, y),
        "no contiguous tensor": lambda: module.launch("left", (1, 1, 1), 32, 0, y[::2]),
    }.items():
        with pytest.raises(EmulationError, match=message):
            call()


def test_sanitizers_see_reads_beyond_shared_memory() -> None:
    run = run_sanitized("""
import torch
from emulated import EXAMPLE, emulated_module
y = torch.zeros(64)
module = emulated_module(EXAMPLE, sanitize=True)
module.launch("read", (2, 1, 1), 64, 65 * 4, y, 1)
print("so far", flush=True)
module.launch("read", (2, 1, 1), 64, 65 * 4, y, 2)
""")
    assert "so far" in run.stdout, run.stderr
    assert run.returncode != 0 and "heap-buffer-overflow" in run.stderr
