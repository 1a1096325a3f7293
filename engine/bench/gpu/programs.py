"""Builds every CUDA program ahead, side by side, and says what each kernel takes; launches none.

    python3 -m engine.bench.gpu.programs sm_90      needs a CUDA compiler and no GPU

What is built lies in the user's cache folder, where engine/gpu.py finds it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import torch

from engine import cubin, wkv4_cuda, wkv7_cuda
from engine.bench.gpu.checks import KINDS
from engine.cubin import CubinError, Program
from engine.rwkv import v7_gpu

HEAD_SIZES = (64, 32, 128)
WEIGHTS = (torch.float32, torch.bfloat16, torch.float16)
ROWS = (1, 2, 4, 8)  # that the step's kernels take at a time
_USAGE = re.compile(r"Function (\w+):\s+REG:(\d+) STACK:(\d+) SHARED:(\d+) LOCAL:(\d+)")


@dataclass(frozen=True)
class Built:
    """A program, the seconds that its binary took, and why there is none.

    kernels: name -> registers a thread, bytes of stack a thread, of static shared memory a block.
    """

    program: Program
    seconds: float
    problem: str = ""
    kernels: dict[str, tuple[int, int, int]] = field(default_factory=dict)


def programs(head_sizes: Sequence[int] = HEAD_SIZES) -> list[Program]:
    """Every CUDA program that a bench or a network of these head sizes asks for."""
    seven = [
        wkv7_cuda.program(N, values, io, decay)
        for N in head_sizes
        for values in sorted({32, min(64, N)})
        for io, decay in KINDS
    ]
    steps = [v7_gpu.program(w, N, rows) for N in head_sizes for w in WEIGHTS for rows in ROWS]
    known = [*wkv7_cuda.PROGRAMS, *wkv4_cuda.PROGRAMS, *v7_gpu.PROGRAMS]
    return list(dict.fromkeys([*seven, *known, *steps]))


def build(arch: str, wanted: Sequence[Program] | None = None) -> list[Built]:
    """Build them for `arch`, as sm_90, as many at a time as there are processors."""
    compiler = next(cubin.compilers(), None)

    def one(program: Program) -> Built:
        began = time.perf_counter()
        if compiler is None:
            return Built(program, 0.0, "neither nvcc nor NVRTC is here")
        try:
            data = cubin.binary(program, compiler, arch)
        except (CubinError, OSError) as error:
            return Built(program, time.perf_counter() - began, " ".join(str(error).split()))
        return Built(program, time.perf_counter() - began, "", usage(data))

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        return list(pool.map(one, programs() if wanted is None else wanted))


def usage(data: bytes) -> dict[str, tuple[int, int, int]]:
    """What each kernel of a binary takes, by cuobjdump; nothing where that isn't here."""
    tool = shutil.which("cuobjdump") or shutil.which("/usr/local/cuda/bin/cuobjdump")
    if tool is None:
        return {}
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        Path(file.name).write_bytes(data)
        command = [tool, "--dump-resource-usage", file.name]
        try:
            said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
        except (OSError, subprocess.SubprocessError):
            return {}
    return {
        name: (int(registers), int(stack), int(shared))
        for name, registers, stack, shared, _ in _USAGE.findall(said.stdout)
    }


def line(built: Built) -> str:
    """What came of a program."""
    if built.problem:
        return f"FAILED  {built.program}: {built.problem}"
    kernels = ", ".join(
        f"{name} {registers} registers" + (f" {stack} bytes of stack" if stack else "")
        for name, (registers, stack, _) in built.kernels.items()
    )
    return f"{built.seconds:6.1f} s  {built.program}" + (f": {kernels}" if kernels else "")


def main(arguments: Sequence[str]) -> int:
    """Build for the architecture given; 1 where a program has no binary."""
    found = build(arguments[0] if arguments else "sm_90")
    for built in found:
        print(line(built))
    return 1 if any(built.problem for built in found) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
