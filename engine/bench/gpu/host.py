"""A device as a bench sees it: what it is, its clock, its memory, its ceilings; knows no
recurrence.

`Host` is the processor, timed by the clock, so that everything that measures can be tried without a
GPU; `CudaHost` is a GPU, timed by events on its own stream.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import platform
import statistics
import subprocess
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor

from engine import gpu

Work = Callable[[], object]
Facts = dict[str, str | int | float]

WARM_SECONDS = 0.05
"""Work done before a measurement at least: the clock of an idle GPU is low."""


@dataclass(frozen=True)
class Ceilings:
    """The most that was measured of the device: bytes a second read and written together by a
    copy, operations a second of matrix products by what their factors are rounded to.
    """

    bytes: float
    float32: float
    tf32: float
    bfloat16: float

    def seconds(self, nbytes: float, operations: float = 0.0, kind: str = "tf32") -> float:
        """The least time in which so many bytes can move and so many operations be done."""
        return max(nbytes / self.bytes, operations / getattr(self, kind))


class Host:
    """The processor as a device to measure on."""

    def __init__(self) -> None:
        self.device = torch.device("cpu")
        self.cache = 1 << 22
        """Bytes that the device's last cache may keep from one call to the next."""

    def facts(self) -> Facts:
        """What the device is, for the head of a table."""
        return {"device": platform.processor() or "cpu", "torch": torch.__version__}

    def wait(self) -> None:
        """Come back when the device has done all that it was given."""

    def seconds(self, work: Sequence[Work], rounds: int = 20) -> float:
        """The median time of one of `work`, which take turns; after a warm-up."""
        began, done = time.perf_counter(), 0
        while done < len(work) + 2 or time.perf_counter() - began < WARM_SECONDS:
            work[done % len(work)]()
            self.wait()
            done += 1
        return statistics.median(self._times([work[i % len(work)] for i in range(rounds)]))

    def _times(self, work: Sequence[Work]) -> list[float]:
        times = []
        for call in work:
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        return times

    def peak(self, work: Work) -> int:
        """The most bytes that `work` has allocated at once beyond what was there; 0: unknown."""
        work()
        return 0

    def ceilings(self, small: bool = False) -> Ceilings:
        """Measure them. small: of small tensors, which a cache may hold."""
        side, numbers = (256, 1 << 20) if small else (8192, 1 << 28)
        source = torch.empty(numbers, device=self.device).normal_()
        target = torch.empty_like(source)
        copied = self.seconds([partial(target.copy_, source)])
        del target
        rates = {}
        for name, kind, precision in (
            ("float32", torch.float32, "highest"),
            ("tf32", torch.float32, "high"),
            ("bfloat16", torch.bfloat16, "highest"),
        ):
            rates[name] = self._products(side, kind, precision)
        return Ceilings(2 * source.nbytes / copied, **rates)

    def _products(self, side: int, kind: torch.dtype, precision: str) -> float:
        a, b = (torch.randn(side, side, device=self.device).to(kind) for _ in range(2))
        out = torch.empty_like(a)
        with matmul_precision(precision):
            seconds = self.seconds([lambda: torch.mm(a, b, out=out)])
        return 2.0 * side**3 / seconds


class CudaHost(Host):
    """A GPU. Its clocks and settings stay as they are found."""

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self._about = torch.cuda.get_device_properties(device)
        self.cache = int(getattr(self._about, "L2_cache_size", 64 << 20))

    def facts(self) -> Facts:
        about = self._about
        return {
            "device": about.name,
            "capability": f"{about.major}.{about.minor}",
            "multiprocessors": about.multi_processor_count,
            "memory_gb": round(about.total_memory / 1e9, 1),
            "cache_mb": round(self.cache / 1e6, 1),
            "torch": torch.__version__,
            "cuda": str(torch.version.cuda),
            "driver": _driver(),
        }

    def wait(self) -> None:
        torch.cuda.synchronize(self.device)

    def _times(self, work: Sequence[Work]) -> list[float]:
        pairs = []
        for call in work:
            first, last = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            first.record()
            call()
            last.record()
            pairs.append((first, last))
        self.wait()
        return [1e-3 * first.elapsed_time(last) for first, last in pairs]

    def peak(self, work: Work) -> int:
        self.wait()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(self.device)
        before = torch.cuda.memory_allocated(self.device)
        work()
        self.wait()
        return torch.cuda.max_memory_allocated(self.device) - before


def _driver() -> str:
    """The driver's version, from the program that comes with it; "unknown" without it."""
    command = ["nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader"]
    with contextlib.suppress(OSError, subprocess.SubprocessError, IndexError):
        found = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
        return found.stdout.split()[0]
    return "unknown"


def no_gpu() -> str | None:
    """Why there is no GPU to measure on, as a clause; None where there is one."""
    if not torch.backends.cuda.is_built():
        return "this build of PyTorch is without CUDA"
    if not torch.cuda.is_available():
        return "no NVIDIA GPU is found"
    return None


def rotated(
    make: Callable[[int], Sequence[Tensor]], host: Host, most: int = 6
) -> list[list[Tensor]]:
    """Sets of tensors by seed, so many that no call finds its own in the cache; at most `most`."""
    sets = [list(make(0))]
    size = sum(x.nbytes for x in sets[0]) or 1
    return sets + [list(make(i)) for i in range(1, min(most, math.ceil(2 * host.cache / size)))]


@contextlib.contextmanager
def matmul_precision(name: str) -> Iterator[None]:
    """torch's float32 products: "highest" as they are, "high" with factors rounded to TF32."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(name)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextlib.contextmanager
def launching(what: str) -> Iterator[list[str]]:
    """Notes the CUDA kernels that are launched; RuntimeError at the end where there were none.

    Plain torch takes over quietly where a kernel can't be had, which must not pass for one.
    """
    names: list[str] = []
    real = gpu.module

    def module(program: gpu.Program, device: torch.device) -> Any:
        return _Noted(real(program, device), names)

    gpu.module = module
    try:
        yield names
    finally:
        gpu.module = real
    if not names:
        raise RuntimeError(f"no CUDA kernel ran for {what}, but plain torch in its place")


@dataclass(frozen=True)
class _Noted:
    """A module that notes what is launched."""

    module: Any
    names: list[str]

    def launch(self, kernel: str, *args: Any) -> None:
        self.names.append(kernel)
        self.module.launch(kernel, *args)


@contextlib.contextmanager
def poisoned() -> Iterator[None]:
    """Fill new tensors with NaN before anything is written to them."""
    before = torch.are_deterministic_algorithms_enabled()
    fill = torch.utils.deterministic.fill_uninitialized_memory  # type: ignore[attr-defined]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.use_deterministic_algorithms(True, warn_only=True)
        torch.utils.deterministic.fill_uninitialized_memory = True  # type: ignore[attr-defined]
        try:
            yield
        finally:
            torch.use_deterministic_algorithms(before)
            torch.utils.deterministic.fill_uninitialized_memory = fill  # type: ignore[attr-defined]


@contextlib.contextmanager
def environment(name: str, value: str) -> Iterator[None]:
    """A variable set for a while; "" leaves it as it is."""
    before = os.environ.get(name)
    if value:
        os.environ[name] = value
    try:
        yield
    finally:
        os.environ.pop(name, None)
        if before is not None:
            os.environ[name] = before


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Loading bars and advice are no part of a measurement."""
    with (
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        yield
