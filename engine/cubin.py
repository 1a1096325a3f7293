"""CUDA sources to binaries, by nvcc or NVRTC, kept in a cache; knows nothing of devices or tensors.

nvcc is looked for in $CUDA_HOME, $CUDA_PATH, PATH and /usr/local/cuda; else NVRTC, the compiler in
a library, is taken from wherever torch's CUDA wheels or the system put it.
"""

from __future__ import annotations

import contextlib
import ctypes
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from engine import kernels

HEADER = "gpu.h"  # every program includes it
BUILD_SECONDS = 300
# Precise mathematics; multiplications and additions may be fused. Lines are for profilers.
FLAGS = ("-std=c++17", "-lineinfo", "--fmad=true")
NVRTC_PLACES = ("nvidia/*/lib/libnvrtc.so*", "torch/lib/libnvrtc*.so*", "lib64/libnvrtc.so*")


class CubinError(Exception):
    """Why a program has no binary, as a clause."""


@dataclass(frozen=True)
class Program:
    """CUDA sources with the choices that specialise them; each makes one binary.

    name: what its files in the cache begin with.
    files: its sources in cuda/, the .cu first, then the headers that it includes; gpu.h is
        always among them.
    defines: macros and their values, as (("HEAD", "64"), ("IO", "bf16")).
    """

    name: str
    files: tuple[str, ...]
    defines: tuple[tuple[str, str], ...] = ()

    def source(self) -> dict[str, bytes]:
        """The text of each file, the .cu first. Raises CubinError where one is missing."""
        try:
            return {x: kernels.read_source(x) for x in dict.fromkeys((*self.files, HEADER))}
        except kernels._NoBuildError as error:
            raise CubinError(str(error)) from error

    def flags(self, arch: str) -> list[str]:
        """What any of the compilers is told; arch as "sm_90"."""
        return [f"-arch={arch}", *FLAGS, *(f"-D{name}={value}" for name, value in self.defines)]

    def __str__(self) -> str:
        return " ".join((self.name, *(f"{name}={value}" for name, value in self.defines)))


class Compiler(Protocol):
    """nvcc or NVRTC."""

    @property
    def identity(self) -> str:
        """Which one, of which version."""

    def compile(self, program: Program, source: dict[str, bytes], arch: str) -> bytes:
        """The binary. Raises CubinError with the first error in the source."""


def compilers() -> Iterator[Compiler]:
    """Those that are here, the first choice first."""
    for found in (nvcc(), nvrtc()):
        if found is not None:
            yield found


def binary(program: Program, compiler: Compiler, arch: str) -> bytes:
    """`program` for `arch`, as "sm_90", from the cache or compiled.

    Raises CubinError, or OSError for a compiler that doesn't start.
    """
    source = program.source()
    folder = _folder()
    parts = [compiler.identity, *program.flags(arch), *source]
    made_of = b"\0".join((*(part.encode() for part in parts), *source.values()))
    stem = f"{program.name}-{arch}-{_digest(made_of)}"
    for path in sorted(folder.glob(f"{stem}.*.cubin")) if folder else ():
        with contextlib.suppress(OSError):
            data = path.read_bytes()
            if path.name == f"{stem}.{_digest(data)}.cubin":  # whole
                return data
    data = compiler.compile(program, source, arch)
    if folder is not None:
        _keep(folder, f"{stem}.{_digest(data)}.cubin", data)
    return data


def _folder() -> Path | None:
    """Where binaries are kept; None without a home folder."""
    with contextlib.suppress(kernels._NoBuildError):
        return kernels.cache_folder()
    return None


def _keep(folder: Path, name: str, data: bytes) -> None:
    """Into the cache, whole or not at all; a full or closed disk costs only the next start."""
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as temporary:
            built = Path(temporary, name)
            built.write_bytes(data)
            built.replace(folder / name)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]


def first_error(log: str) -> str:
    """The first line of a compiler's output that tells of an error, or the first at all."""
    lines = [line.strip() for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if "error" in line.lower()]
    return (errors or lines or ["no message"])[0][:200]


# ---- nvcc ----------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def nvcc() -> Compiler | None:
    """The CUDA toolkit's compiler, where there is one that starts."""
    homes = [os.environ.get(name, "") for name in ("CUDA_HOME", "CUDA_PATH")]
    folders = [str(Path(home, "bin")) for home in homes if home]
    for search in (*folders, None, "/usr/local/cuda/bin"):
        if path := shutil.which("nvcc", path=search):
            with contextlib.suppress(OSError, subprocess.SubprocessError, CubinError):
                return _Nvcc(path, _run([path, "--version"]))
    return None


@dataclass(frozen=True)
class _Nvcc:
    path: str
    identity: str

    def compile(self, program: Program, source: dict[str, bytes], arch: str) -> bytes:
        with tempfile.TemporaryDirectory(prefix="adventure-nvcc-") as temporary:
            for file, text in source.items():
                Path(temporary, file).write_bytes(text)
            flags = ["-cubin", "-O3", *program.flags(arch)]
            _run([self.path, *flags, "-o", "built.cubin", next(iter(source))], temporary)
            return Path(temporary, "built.cubin").read_bytes()


def _run(command: list[str], folder: str | None = None) -> str:
    try:
        run = subprocess.run(
            command,
            cwd=folder,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise CubinError(f"nvcc took more than {BUILD_SECONDS} seconds") from error
    if run.returncode != 0:
        raise CubinError(first_error(run.stderr or run.stdout))
    return run.stdout


# ---- NVRTC ---------------------------------------------------------------------------------


@lru_cache(maxsize=1)
def nvrtc() -> Compiler | None:
    """NVRTC from the first library that loads."""
    for path in _nvrtc_paths():
        with contextlib.suppress(OSError, AttributeError, CubinError):
            return _Nvrtc(path)
    return None


def _nvrtc_paths() -> Iterator[str]:
    """Loaded already, in torch's wheels, in the toolkit, wherever the system looks."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/maps").read_text(errors="replace").splitlines():
            path = line.split(maxsplit=5)[-1]
            if Path(path).name.startswith("libnvrtc.so"):
                yield path
    home = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH") or "/usr/local/cuda"
    for root in map(Path, (*sys.path, home)):
        for pattern in NVRTC_PLACES:
            names = sorted(map(str, root.glob(pattern)), reverse=True)
            yield from (name for name in names if "builtins" not in name)
    if name := ctypes.util.find_library("nvrtc"):
        yield name


class _Nvrtc:
    """The library, through ctypes. Raises OSError, AttributeError where it isn't NVRTC."""

    def __init__(self, path: str) -> None:
        self._library = ctypes.CDLL(path)
        self._library.nvrtcGetErrorString.restype = ctypes.c_char_p
        major, minor = ctypes.c_int(), ctypes.c_int()
        self._call("nvrtcVersion", ctypes.byref(major), ctypes.byref(minor))
        size = Path(path).stat().st_size if os.sep in path else 0
        self.identity = f"NVRTC {major.value}.{minor.value}, {size} bytes"

    def compile(self, program: Program, source: dict[str, bytes], arch: str) -> bytes:
        (main, text), *headers = source.items()
        texts = (ctypes.c_char_p * len(headers))(*(text for _, text in headers))
        names = (ctypes.c_char_p * len(headers))(*(name.encode() for name, _ in headers))
        flags = [flag.encode() for flag in program.flags(arch)]
        handle = ctypes.c_void_p()
        self._call(
            "nvrtcCreateProgram",
            ctypes.byref(handle), text, main.encode(), len(headers), texts, names,
        )  # fmt: skip
        try:
            options = (ctypes.c_char_p * len(flags))(*flags)
            if self._library.nvrtcCompileProgram(handle, len(flags), options) != 0:
                log = self._read(handle, "nvrtcGetProgramLogSize", "nvrtcGetProgramLog")
                raise CubinError(first_error(log.rstrip(b"\0").decode(errors="replace")))
            return self._read(handle, "nvrtcGetCUBINSize", "nvrtcGetCUBIN")
        finally:
            self._library.nvrtcDestroyProgram(ctypes.byref(handle))

    def _read(self, handle: ctypes.c_void_p, size: str, read: str) -> bytes:
        count = ctypes.c_size_t()
        self._call(size, handle, ctypes.byref(count))
        data = ctypes.create_string_buffer(count.value)
        self._call(read, handle, data)
        return data.raw

    def _call(self, name: str, *args: object) -> None:
        code = getattr(self._library, name)(*args)
        if code != 0:
            text = self._library.nvrtcGetErrorString(code) or b"unknown error"
            raise CubinError(f"{name}: {text.decode(errors='replace')}")
