"""What this machine's processor can do at most: the bounds that speeds are held against.

Knows no network. Both figures are the best of several ways and rounds, with torch's present
number of threads, so that a program's share of them is rather too small than too large.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

SIDES = ((1024, 1024, 1024), (1024, 768, 3072), (512, 2048, 2048))
"""Shapes (M, K, N) of the products tried."""
READ_BYTES = 1 << 28


@dataclass
class Machine:
    """gflops: float32 matrix products, 1e9 operations a second; gbytes: memory read, 1e9 a second.

    `sample` may be called often, between other measurements: the best of all counts.
    """

    gflops: float = 0.0
    gbytes: float = 0.0
    _memory: list[torch.Tensor] = field(default_factory=list, repr=False)

    def sample(self) -> None:
        """Measure once more."""
        for M, K, N in SIDES:
            a, b = torch.randn(M, K), torch.randn(K, N)
            out = torch.empty(M, N)
            seconds = _best(lambda a=a, b=b, out=out: torch.mm(a, b, out=out), 3)  # type: ignore[misc]
            self.gflops = max(self.gflops, 2e-9 * M * K * N / seconds)
        if not self._memory:
            self._memory = [torch.ones(READ_BYTES // 4)]
        x = self._memory[0]
        half, whole = x.numel() // 2, x.view(torch.int64)
        ways: tuple[Callable[[], object], ...] = (
            lambda: x.sum(),
            lambda: x.max(),
            lambda: whole.sum(),
            lambda: torch.dot(x[:half], x[half:]),
        )
        for way in ways:
            self.gbytes = max(self.gbytes, 1e-9 * x.nbytes / _best(way, 2))


def _best(work: Callable[[], object], rounds: int) -> float:
    best = float("inf")
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - began)
    return best
