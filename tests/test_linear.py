"""cuda/linear.h and cuda/simd.h by themselves: packed products and vector functions.

Both are compiled here through a small C interface, once for this CPU and once for each lesser
one that it can stand in for. Products meet float64; a row's bits are the same in any company.
"""

from __future__ import annotations

import ctypes
import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

CUDA = Path(__file__).parent.parent / "cuda"
F32, BF16, I8 = KINDS = (0, 1, 2)
SOURCES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}
SHAPES = [(1, 1), (7, 3), (255, 33), (257, 96), (770, 201)]  # K, N: few are whole blocks, panels
COMMON = ["-std=c++17", "-ffp-contract=off", f"-I{CUDA}"]
BUILDS = {"native": ["-march=native"], "avx2": ["-mavx2", "-mfma"], "least": []}

WRAPPER = """
#include "linear.h"
template <class F> void each(F f, const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; i += 16) {
    const int m = n - i < 16 ? static_cast<int>(n - i) : 16;
    simd::store(y + i, f(simd::load(x + i, m)), m);
  }
}
using simd::Vec;
extern "C" {
size_t packed_bytes(int kind, int64_t K, int64_t N) { return linear::bytes(kind, K, N); }
size_t scratch_bytes(int kind, int64_t M, int64_t K) { return linear::scratch(kind, M, K); }
int64_t panels(int64_t N) { return linear::panels(N); }
void pack(int kind, int64_t K, int64_t N, const void* w, int source, int64_t stride_k,
          int64_t stride_n, void* packed, int64_t panel0, int64_t panel1) {
  linear::pack(kind, K, N, w, source, stride_k, stride_n, packed, panel0, panel1);
}
void prepare(int kind, int64_t M, int64_t K, const float* x, int64_t ldx, void* to) {
  linear::prepare(kind, M, K, x, ldx, to);
}
void run(int kind, const void* packed, int64_t M, int64_t K, int64_t N, const float* x, int64_t ldx,
         const void* prepared, float* y, int64_t ldy, int64_t panel0, int64_t panel1) {
  linear::run(kind, packed, M, K, N, x, ldx, prepared, y, ldy, panel0, panel1);
}
void vec_exp(const float* x, float* y, int64_t n) {
  each([](Vec v) { return simd::exp(v); }, x, y, n);
}
void vec_tanh(const float* x, float* y, int64_t n) {
  each([](Vec v) { return simd::tanh(v); }, x, y, n);
}
void vec_sigmoid(const float* x, float* y, int64_t n) {
  each([](Vec v) { return simd::sigmoid(v); }, x, y, n);
}
void vec_sqrt(const float* x, float* y, int64_t n) {
  each([](Vec v) { return simd::sqrt(v); }, x, y, n);
}
float vec_sum(const float* x) { return simd::sum(simd::load(x)); }
}
"""


def compiler() -> str:
    for name in (os.environ.get("CXX", "").strip(), "c++", "g++", "clang++"):
        if name and (path := shutil.which(name)):
            return path
    pytest.skip("no C++ compiler found")


def flags_of(build: str) -> list[str]:
    """The flags of a build, or a skip where this CPU can't run it."""
    if build == "avx2":
        cpu = Path("/proc/cpuinfo")
        if not cpu.is_file() or not {"avx2", "fma"} <= set(cpu.read_text().split()):
            pytest.skip("this CPU has no AVX2")
    if build == "native" and platform.machine() not in ("x86_64", "AMD64"):
        return ["-mcpu=native"]
    return BUILDS[build]


class Library:
    """The wrapper over ctypes: what it takes and gives are tensors."""

    def __init__(self, path: Path) -> None:
        self.c = ctypes.CDLL(str(path))
        pointer, size, kind = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        self.c.packed_bytes.argtypes = [kind, size, size]
        self.c.scratch_bytes.argtypes = [kind, size, size]
        self.c.panels.argtypes = [size]
        for function in (self.c.packed_bytes, self.c.scratch_bytes, self.c.panels):
            function.restype = size
        self.c.pack.argtypes = [kind, size, size, pointer, kind, size, size, pointer, size, size]
        self.c.prepare.argtypes = [kind, size, size, pointer, size, pointer]
        self.c.run.argtypes = [kind, pointer, *[size] * 3, pointer, size, pointer, pointer]
        self.c.run.argtypes += [size] * 3
        for function in (self.c.vec_exp, self.c.vec_tanh, self.c.vec_sigmoid, self.c.vec_sqrt):
            function.argtypes = [pointer, pointer, size]
        self.c.vec_sum.argtypes = [pointer]
        self.c.vec_sum.restype = ctypes.c_float

    def pack(self, kind: int, w: Tensor) -> Tensor:
        """w (K, N) with any strides -> the packed bytes, each panel packed by a call of its own."""
        (K, N), source = w.shape, SOURCES[w.dtype]
        packed = aligned(self.c.packed_bytes(kind, K, N))
        for n in range(self.c.panels(N)):
            strides = w.stride()
            self.c.pack(kind, K, N, w.data_ptr(), source, *strides, packed.data_ptr(), n, n + 1)
        return packed

    def run(
        self,
        kind: int,
        packed: Tensor,
        x: Tensor,
        y: Tensor,
        panels: tuple[int, int] | None = None,
    ) -> Tensor:
        """x (M, K), y (M, N), both with any row stride -> y, written."""
        (M, K), N = x.shape, y.shape[1]
        scratch = aligned(self.c.scratch_bytes(kind, M, K))
        self.c.prepare(kind, M, K, x.data_ptr(), x.stride(0), scratch.data_ptr())
        first, end = panels or (0, self.c.panels(N))
        where = (x.data_ptr(), x.stride(0), scratch.data_ptr(), y.data_ptr(), y.stride(0))
        self.c.run(kind, packed.data_ptr(), M, K, N, *where, first, end)
        return y

    def product(self, kind: int, x: Tensor, w: Tensor) -> Tensor:
        return self.run(kind, self.pack(kind, w), x, torch.full((len(x), w.shape[1]), torch.nan))

    def each(self, name: str, x: Tensor) -> Tensor:
        y = torch.empty_like(x)
        getattr(self.c, name)(x.data_ptr(), y.data_ptr(), x.numel())
        return y


def aligned(count: int) -> Tensor:
    """`count` bytes from a multiple of 64 on, filled with what should never be read."""
    whole = torch.full((count + 64,), 0xFF, dtype=torch.uint8)
    start = -whole.data_ptr() % 64
    return whole[start : start + count]


@pytest.fixture(scope="module", params=BUILDS)
def library(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Library:
    folder = tmp_path_factory.mktemp("linear")
    source, built = folder / "wrapper.cpp", folder / "wrapper.so"
    source.write_text(WRAPPER)
    flags = [*flags_of(request.param), *COMMON, "-O3", "-Wall", "-Wextra", "-Werror"]
    command = [compiler(), *flags, "-shared", "-fPIC", str(source), "-o", str(built)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return Library(built)


def normal(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def relative(y: Tensor, wanted: Tensor) -> float:
    return float((y.double() - wanted).norm() / wanted.norm())


# ---- against float64 ---------------------------------------------------------------------------


@pytest.mark.parametrize(("K", "N"), [*SHAPES, (3072, 130)])
def test_float32_meets_float64(library: Library, K: int, N: int) -> None:
    x, w = normal(13, K), normal(K, N, seed=1)
    assert relative(library.product(F32, x, w), x.double() @ w.double()) < 1e-6


@pytest.mark.parametrize(("K", "N"), SHAPES)
def test_bfloat16_is_float32_with_rounded_weights(library: Library, K: int, N: int) -> None:
    x, w = normal(13, K), normal(K, N, seed=1)
    wanted = library.product(F32, x, w.bfloat16().float())
    assert torch.equal(library.product(BF16, x, w), wanted)


@pytest.mark.parametrize(("K", "N"), [*SHAPES, (3072, 130)])
def test_int8_is_the_sum_of_whole_numbers(library: Library, K: int, N: int) -> None:
    x, w = normal(13, K), normal(K, N, seed=1)
    w_scale, x_top = w.abs().amax(0, keepdim=True) / 127, x.abs().amax(1, keepdim=True)
    w_whole, x_whole = (w / w_scale).round(), (x * (torch.tensor(32767.0) / x_top)).round()
    up, low = x_whole.long() + 32768 >> 8, x_whole.long() + 32768 & 255
    sums = (up - 128) @ w_whole.long(), low @ w_whole.long()
    y = library.product(I8, x, w)
    # To the bit, so the same on every CPU: no sum of whole numbers rounds, and 256 a is exact.
    wanted = (256 * sums[0].float() + sums[1].float()) * (x_top / 32767 * w_scale)
    assert torch.equal(y, wanted)
    assert relative(y, x.double() @ (w_whole.double() * w_scale)) < 6e-5
    assert relative(y, x.double() @ w.double()) < 1.2e-2


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_int8_sums_hold_65536_of_the_largest(library: Library, sign: float) -> None:
    y = library.product(I8, torch.full((1, 65536), sign), torch.ones(65536, 2))
    assert torch.equal(y, torch.full((1, 2), sign * 65536))


# ---- the same bits -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("K", "N"), SHAPES)
def test_a_row_has_the_same_bits_in_any_company(
    library: Library, kind: int, K: int, N: int
) -> None:
    x = normal(1000, K)
    packed = library.pack(kind, normal(K, N, seed=1))
    whole = library.run(kind, packed, x, torch.empty(1000, N))
    for M in (*range(1, 21), 64):
        for start in (0, 500 - M, 1000 - M):
            rows = slice(start, start + M)
            assert torch.equal(library.run(kind, packed, x[rows], torch.empty(M, N)), whole[rows])


@pytest.mark.parametrize("kind", KINDS)
def test_addresses_and_panels_change_no_bit(library: Library, kind: int) -> None:
    M, K, N = 23, 515, 230
    x, packed = normal(M, K), library.pack(kind, normal(K, N, seed=1))
    whole = library.run(kind, packed, x, torch.empty(M, N))
    for shift in range(1, 17):
        wide_x, wide_y = torch.full((M, K + 2 * shift), torch.nan), torch.zeros(M, N + 2 * shift)
        moved = wide_x[:, shift : shift + K].copy_(x)
        y = wide_y[:, shift : shift + N]
        for panel in (3, 1, 0, 2):
            library.run(kind, packed, moved, y, (panel, panel + 1))
        assert torch.equal(y, whole)
        assert not wide_y[:, :shift].any()
        assert not wide_y[:, shift + N :].any()


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_panels_asked_for_are_written(library: Library, kind: int) -> None:
    M, K, N = 9, 40, 150
    x, packed = normal(M, K), library.pack(kind, normal(K, N, seed=1))
    y = library.run(kind, packed, x, torch.full((M, N), 7.0), (1, 2))
    assert torch.equal(y[:, :64], torch.full((M, 64), 7.0))
    assert torch.equal(y[:, 128:], torch.full((M, 22), 7.0))
    assert not (y[:, 64:128] == 7.0).any()


# ---- what goes in ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_every_half_precision_number_is_read_right(library: Library, dtype: torch.dtype) -> None:
    w = torch.arange(-32768, 32768, dtype=torch.int32).short().view(dtype).view(1, -1)
    y = library.product(F32, torch.ones(1, 1), w)
    assert torch.equal(y.nan_to_num(12345.0), w.float().nan_to_num(12345.0))


def test_bfloat16_rounds_to_nearest_even(library: Library) -> None:
    """Every upper half of a float's bits, with the lower halves around the middle."""
    upper = torch.arange(-32768, 32768, dtype=torch.int64) << 16
    for lower in (0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF):
        w = (upper + lower).int().view(torch.float32).view(1, -1)
        y = library.product(BF16, torch.ones(1, 1), w)
        wanted = w.bfloat16().float()
        assert torch.equal(y.nan_to_num(3.0, 1e39, -1e39), wanted.nan_to_num(3.0, 1e39, -1e39))
        assert torch.equal(y.isnan(), w.isnan())


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", SOURCES, ids=str)
def test_both_orders_of_a_matrix_pack_alike(
    library: Library, kind: int, dtype: torch.dtype
) -> None:
    w = normal(70, 100).to(dtype)
    turned = w.t().contiguous().t()
    assert torch.equal(library.pack(kind, w), library.pack(kind, turned))
    assert torch.equal(library.pack(kind, w), library.pack(kind, w.float()))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bad", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_is_never_hidden(library: Library, kind: int, bad: float) -> None:
    x, w = normal(5, 300), normal(300, 70, seed=1)
    good = library.product(kind, x, w)
    tainted = x.clone()
    tainted[2, 299] = bad
    y = library.product(kind, tainted, w)
    assert not y[2].isfinite().any()
    assert torch.equal(y[[0, 1, 3, 4]], good[[0, 1, 3, 4]])
    w[5, 66] = bad
    y = library.product(kind, x, w)
    assert not y[:, 66].isfinite().any()
    assert torch.equal(y[:, :66], good[:, :66])


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_and_nothing(library: Library, kind: int) -> None:
    w = normal(20, 40)
    assert torch.equal(library.product(kind, torch.zeros(2, 20), w), torch.zeros(2, 40))
    assert torch.equal(library.product(kind, normal(2, 20), w * 0), torch.zeros(2, 40))
    assert torch.equal(library.product(kind, normal(2, 0), w[:0]), torch.zeros(2, 40))
    assert library.product(kind, normal(0, 20), w).shape == (0, 40)
    assert library.product(kind, normal(2, 20), w[:, :0]).shape == (2, 0)


# ---- functions ---------------------------------------------------------------------------------


def sigmoid64(x: np.ndarray) -> np.ndarray:
    e = np.exp(-abs(x))
    return np.where(x < 0, e, 1.0) / (1.0 + e)


FUNCTIONS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], float]] = {
    "vec_exp": (np.exp, 1.0),
    "vec_tanh": (np.tanh, 1.4),
    "vec_sigmoid": (sigmoid64, 2.4),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_meet_float64(library: Library, name: str) -> None:
    """Floats of every size, and a fine comb where the functions bend, denormal results included."""
    exact, most = FUNCTIONS[name]
    every = torch.arange(-(2**31), 2**31, 1999, dtype=torch.int64).int().view(torch.float32)
    x = torch.cat((every, torch.linspace(-110, 95, 1_000_001), torch.linspace(-2, 2, 1_000_001)))
    y = library.each(name, x).numpy()
    with np.errstate(all="ignore"):
        wanted = exact(x.numpy().astype(np.float64))
        rounded = wanted.astype(np.float32)
    finite = np.isfinite(rounded)
    assert np.array_equal(y[~finite], rounded[~finite], equal_nan=True)
    unit = np.spacing(np.maximum(abs(rounded[finite]), np.float32(2.0**-126)))
    assert (abs(y[finite] - wanted[finite]) / unit).max() <= most


@pytest.mark.parametrize(
    ("name", "far", "wanted"),
    [
        ("vec_exp", 200.0, [0.0, 0.0, 1.0, torch.inf, torch.inf]),
        ("vec_tanh", 40.0, [-1.0, -1.0, 0.0, 1.0, 1.0]),
        ("vec_sigmoid", 200.0, [0.0, 0.0, 0.5, 1.0, 1.0]),
    ],
)
def test_functions_at_their_ends(
    library: Library, name: str, far: float, wanted: list[float]
) -> None:
    x = torch.tensor([-torch.inf, -far, 0.0, far, torch.inf])
    assert library.each(name, x).tolist() == wanted
    assert library.each(name, torch.tensor([torch.nan])).isnan().all()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_lane_does_not_matter(library: Library, name: str) -> None:
    x = normal(100) * 5
    whole = library.each(name, x)
    for start in range(1, 17):
        assert torch.equal(library.each(name, x[start:].clone()), whole[start:])


def test_root_and_sum(library: Library) -> None:
    x = normal(1003).square()
    assert torch.equal(library.each("vec_sqrt", x), torch.from_numpy(np.sqrt(x.numpy())))
    lanes = 2.0 ** torch.arange(16)
    assert library.c.vec_sum(lanes.data_ptr()) == 65535.0
    # 1e8 and -1e8 eight lanes apart meet first, so that the ones aren't lost beside them.
    lanes = torch.ones(16)
    lanes[3], lanes[11] = 1e8, -1e8
    assert library.c.vec_sum(lanes.data_ptr()) == 14.0


# ---- memory ------------------------------------------------------------------------------------

DRIVER = """
#include <cstdio>
#include <cstdlib>
#include <vector>
#include "linear.h"
struct Buffer {  // of exactly so many bytes: one more is an error
  void* at = nullptr;
  explicit Buffer(std::size_t n) { if (posix_memalign(&at, 64, n ? n : 1)) std::abort(); }
  ~Buffer() { std::free(at); }
};
int main() {
  double total = 0;
  for (int kind = 0; kind < 3; ++kind)
    for (int64_t K : {0, 1, 17, 258})
      for (int64_t N : {1, 33, 64, 97})
        for (int64_t M : {1, 2, 3, 7, 20, K == 17 ? 390 : 5}) {
          std::vector<float> w(K * N), x(M * K), y(M * N);
          for (std::size_t i = 0; i < w.size(); ++i) w[i] = static_cast<float>(i % 7) - 3;
          for (std::size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i % 5) - 2;
          Buffer packed(linear::bytes(kind, K, N)), scratch(linear::scratch(kind, M, K));
          const int64_t P = linear::panels(N);
          linear::pack(kind, K, N, w.data(), linear::FROM_F32, 1, K, packed.at, 0, P);
          linear::prepare(kind, M, K, x.data(), K, scratch.at);
          linear::run(kind, packed.at, M, K, N, x.data(), K, scratch.at, y.data(), N, 0, P);
          for (float value : y) total += value;
        }
  std::vector<float> x{-1e30f, -88.0f, 0.0f, 3.0f, 1e30f}, y(5);
  const simd::Vec v = simd::load(x.data(), 5);
  simd::store(y.data(), simd::exp(v) + simd::tanh(v) + simd::sigmoid(v) + simd::sqrt(v), 5);
  std::printf("clean %d\\n", total == total);
}
"""


@pytest.mark.slow
@pytest.mark.parametrize("build", ["native", "least"])
def test_sanitizers_find_nothing(build: str, tmp_path: Path) -> None:
    source, built = tmp_path / "driver.cpp", tmp_path / "driver"
    sanitized = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"]
    cxx, probe = compiler(), tmp_path / "probe.cpp"
    probe.write_text("int main() {}")
    tried = subprocess.run([cxx, *sanitized, str(probe), "-o", str(built)], capture_output=True)
    if tried.returncode != 0:
        pytest.skip("this compiler has no sanitizers")
    source.write_text(DRIVER)
    flags = [*flags_of(build), *COMMON, *sanitized]
    subprocess.run([cxx, *flags, str(source), "-o", str(built)], check=True)
    done = subprocess.run([str(built)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "clean 1\n"
