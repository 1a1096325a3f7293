"""CUDA kernels without a GPU: built by the C++ compiler against cuda_on_cpu.h, run on CPU tensors.

    module = emulated_module(Program("wkv7", ("wkv7.cu",), (("HEAD", "64"),)))
    module.launch("wkv7_forward", (grid, 1, 1), block, shared_bytes, *tensors_and_ints)

Knows nothing of what the kernels compute. Builds are kept in the user's cache folder.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import pytest
import torch
from torch import Tensor

from engine import gpu
from engine.gpu import Program

Order = Literal["ascending", "descending", "random"]

ORDERS: tuple[Order, ...] = ("ascending", "descending", "random")
WORDS = 30  # arguments of a kernel at most
SHARED = 227 * 1024  # bytes that a block may have on an H100
SOURCES = Path(__file__).parent / "emulator"
EMULATOR = ("cuda_on_cpu.h", "scheduler.h", "fibers.h")
FLAGS = ("-std=c++17", "-O2", "-g1", "-march=native", "-ffp-contract=fast", "-fno-strict-aliasing")
LIBRARY = ("-x", "c++", "-shared", "-fPIC", "-w")
KEPT = 14 * 24 * 3600.0  # seconds that a build lies unused
SANITIZERS = "-fsanitize=address,undefined"


@dataclass(frozen=True)
class Example(Program):
    """A program whose .cu lies beside the emulator."""

    def source(self) -> dict[str, bytes]:
        text = (SOURCES / self.files[0]).read_bytes()
        return {self.files[0]: text} | Program("", ()).source()


EXAMPLE = Example("example", ("example.cu",))


class EmulationError(AssertionError):
    """A kernel did what a GPU would not take, or threads wait for what never comes."""


class EmulatedModule:
    """As gpu.Module, for contiguous CPU tensors; results are there when `launch` returns."""

    def __init__(self, program: Program, path: Path, order: Order, seed: int) -> None:
        self._program, self._order, self._seed = program, ORDERS.index(order), seed
        self._library = ctypes.CDLL(str(path))
        self._library.emulate.restype = ctypes.c_char_p
        self._source = b"\n".join(program.source().values()).decode()

    def launch(
        self, kernel: str, grid: tuple[int, int, int], block: int, shared: int,
        *args: Tensor | int | None,
    ) -> None:  # fmt: skip
        """Runs `kernel` to its end. Raises EmulationError for what a GPU would not take."""
        self._check(kernel, grid, shared, args)
        words = (ctypes.c_uint64 * WORDS)(*(_word(kernel, i, x) for i, x in enumerate(args)))
        message = self._library.emulate(
            ctypes.cast(getattr(self._library, kernel), ctypes.c_void_p),
            (ctypes.c_uint * 3)(*grid),
            ctypes.c_uint(block),
            ctypes.c_size_t(shared),
            words,
            self._order,
            ctypes.c_uint64(self._seed),
        )
        if message is not None:
            raise EmulationError(f"{kernel}: {message.decode()}")

    def _check(
        self,
        kernel: str,
        grid: tuple[int, int, int],
        shared: int,
        args: tuple[Tensor | int | None, ...],
    ) -> None:
        if not hasattr(self._library, kernel):
            raise EmulationError(f"{self._program.name} has no kernel {kernel}")
        if len(grid) != 3 or min(grid) < 1 or grid[0] >= 2**31 or max(grid[1:]) > 65535:
            raise EmulationError(f"{kernel}: a GPU takes no grid of {grid}")
        if not 0 <= shared <= SHARED:
            raise EmulationError(f"{kernel}: no GPU has {shared} bytes of shared memory a block")
        if len(args) > WORDS:
            raise EmulationError(f"{kernel}: {len(args)} arguments; {WORDS} are the most")
        wanted = parameters(self._source, kernel)
        if wanted is not None and wanted != len(args):
            raise EmulationError(f"{kernel} takes {wanted} arguments, not {len(args)}")


@lru_cache(maxsize=256)
def emulated_module(
    program: Program, order: Order = "ascending", seed: int = 0, sanitize: bool = False
) -> EmulatedModule:
    """`program` built for the CPU. order, seed: in which order lanes, warps and blocks run.

    sanitize: with the address and undefined-behaviour sanitizers; only in a process that was
    started by `run_sanitized`.
    """
    return EmulatedModule(program, _build(program, sanitize), order, seed)


def emulate_gpu(monkeypatch: pytest.MonkeyPatch, order: Order = "ascending", seed: int = 0) -> None:
    """Puts the emulator in the place of a GPU like the A100: of gpu.module, why_not, most_shared.

    Every device can be used then, the CPU too, where the kernels find their tensors.
    """

    def module(program: Program, device: torch.device) -> EmulatedModule:
        return emulated_module(program, order, seed)

    def why_not(device: torch.device) -> str | None:
        return None

    def most_shared(device: torch.device) -> int:
        return 163 * 1024

    for stand_in in (module, why_not, most_shared):
        monkeypatch.setattr(gpu, stand_in.__name__, stand_in)


def run_sanitized(code: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
    """Runs Python code that may call emulated_module(..., sanitize=True), in another process.

    It can import the tests' modules. What a sanitizer finds ends it with another status than 0.
    """
    runtime = subprocess.run(
        [_compiler(), "-print-file-name=libasan.so"], capture_output=True, text=True, check=True
    ).stdout.strip()
    here = Path(__file__).parent
    paths = os.pathsep.join((str(here), str(here.parent), os.environ.get("PYTHONPATH", "")))
    environment = os.environ | {
        "LD_PRELOAD": runtime,
        "ASAN_OPTIONS": "detect_leaks=0:verify_asan_link_order=0",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": paths,
    }
    return subprocess.run(
        [sys.executable, "-c", code],
        env=environment, capture_output=True, text=True, timeout=timeout, check=False,
    )  # fmt: skip


def parameters(source: str, kernel: str) -> int | None:
    """How many parameters `kernel` has in the source; None where macros hide them."""
    source = re.sub(r"//[^\n]*|/\*.*?\*/", "", source, flags=re.S)
    found = re.search(rf"\b{kernel}\s*\(([^()]*)\)\s*\{{", source)
    if found is None or not found[1].strip():
        return None
    return found[1].count(",") + 1


def _word(kernel: str, index: int, x: Tensor | int | None) -> int:
    if x is None:
        return 0
    if isinstance(x, Tensor):
        if not x.is_cpu or not x.is_contiguous():
            raise EmulationError(f"{kernel}: argument {index} is no contiguous tensor on the CPU")
        return x.data_ptr()
    return int(x) & 0xFFFFFFFFFFFFFFFF


def _compiler() -> str:
    for name in (os.environ.get("CXX", ""), "g++", "c++"):
        if name and (path := shutil.which(name)):
            return path
    pytest.skip("no C++ compiler here")


@lru_cache(maxsize=256)
def _build(program: Program, sanitize: bool) -> Path:
    """The program as a library. Its name holds a hash of all that it is made from."""
    sources = program.source() | {name: (SOURCES / name).read_bytes() for name in EMULATOR}
    main = next(iter(sources))
    command = [_compiler(), *FLAGS, *([SANITIZERS] if sanitize else []), *LIBRARY]
    command += [f"-D{name}={value}" for name, value in program.defines]
    about = [*(f"{name}:{len(text)}:".encode() + text for name, text in sources.items())]
    digest = hashlib.sha256(b"\0".join((*about, " ".join(command).encode(), _cpu()))).hexdigest()
    folder = _folder()
    path = folder / f"{program.name}-{digest[:24]}.so"
    if path.exists():
        path.touch()
        return path
    with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as temporary:
        for name, text in sources.items():
            Path(temporary, name).write_bytes(text)
        built = Path(temporary, "built.so")
        run = subprocess.run(
            [*command, "-o", str(built), main],
            cwd=temporary, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if run.returncode:
            raise EmulationError(f"{main} doesn't compile:\n{run.stderr[:4000]}")
        built.replace(path)
    for old in folder.iterdir():
        with contextlib.suppress(OSError):  # another process may be as tidy
            if old.stat().st_mtime < time.time() - KEPT:
                old.unlink()
    return path


def _folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME", "")
    root = Path(base) if base else Path.home() / ".cache"
    folder = root / "adventure-rwkv" / "emulated"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _cpu() -> bytes:
    """What -march=native means here."""
    try:
        lines = Path("/proc/cpuinfo").read_bytes().splitlines()
    except OSError:
        return b""
    return b"\n".join(sorted({x for x in lines if x.startswith((b"flags", b"Features"))}))
