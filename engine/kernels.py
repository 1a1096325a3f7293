"""C++ libraries built on first use, or plain torch in their place; knows not what they compute.

ADVENTURE_KERNEL chooses: "auto" (the default: native where it can be built, else torch), "native"
(an error where it can't), "torch" (never native).
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.resources
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor

from engine.errors import UserError

VARIABLE = "ADVENTURE_KERNEL"
CHOICES = ("auto", "native", "torch")
BUILD_SECONDS = 300
_COMMON = ("-std=c++17", "-O3", "-shared", "-fPIC", "-pthread")
# Tried in turn: not every compiler knows what "native" is on every machine.
FLAG_SETS = (("-march=native", *_COMMON), ("-mcpu=native", *_COMMON), _COMMON)


class KernelError(UserError):
    """The kernel that ADVENTURE_KERNEL asks for doesn't exist or can't be built here."""


_Function = TypeVar("_Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Library:
    """A library that can be built here.

    name: what its files in the cache begin with; it exports NAME_lanes(), the floats in a vector.
    files: its sources in cuda/, the one to compile first, then the headers that it includes.
    contract: "fast" where the compiler may fuse multiplications and additions, "off" where the
        source says itself which are fused, so that every build of it rounds alike.
    declare: tells ctypes the functions' arguments; AttributeError for another library.
    """

    name: str
    files: tuple[str, ...]
    contract: str
    declare: Callable[[ctypes.CDLL], None]

    def flags(self) -> tuple[tuple[str, ...], ...]:
        """The sets of compiler flags to try, in order."""
        return tuple((*flags, f"-ffp-contract={self.contract}") for flags in FLAG_SETS)

    def source(self) -> dict[str, bytes]:
        """The text of each file. Raises _NoBuildError where one is missing."""
        return {file: read_source(file) for file in self.files}


@dataclass(frozen=True)
class Kernel:
    """The outcome of the choice: a loaded library, or None for plain torch; and why."""

    library: ctypes.CDLL | None
    why: str

    def describe(self) -> str:
        """One line: native or torch, and why."""
        return f"{'torch' if self.library is None else 'native'}: {self.why}"


def choose(library: Library) -> Kernel:
    """`library`, built and loaded, or None in its place, as ADVENTURE_KERNEL says.

    Raises KernelError for a choice that isn't one, or that asks for what can't be built here.
    """
    return _choose(library, os.environ.get(VARIABLE, "auto") or "auto")


def loaded(library: Library) -> ctypes.CDLL:
    """`library` itself, whatever ADVENTURE_KERNEL says by now: who chose it before may go on.

    Raises KernelError where it can't be built here.
    """
    found = choose(library).library or _choose(library, "native").library
    assert found is not None  # "native" gives a library or raises
    return found


def required() -> bool:
    """Whether ADVENTURE_KERNEL asks for the kernels, so that doing without them is an error."""
    return os.environ.get(VARIABLE) == "native"


def assumed_constant(function: _Function) -> _Function:
    """For what torch.compile traces, the function has one result and is no part of the program.

    What torch.compiler.assume_constant_result does, without importing the compiler for it: that
    would take longer than all else at a game's start.
    """
    function._dynamo_marked_constant = True  # type: ignore[attr-defined]
    return function


def must_build(library: Library) -> bool:
    """Whether `choose` is going to compile first, which takes some seconds. Never raises."""
    if os.environ.get(VARIABLE, "auto") not in ("", "auto", "native"):
        return False
    try:
        source, compiler, folder = library.source(), _compiler(), cache_folder()
        stems = [_stem(library, source, compiler, flags) for flags in library.flags()]
        return not any(_cached(folder, stem) for stem in stems)
    except (OSError, _NoBuildError):
        return False


def call(function: Any, what: str, sizes: Sequence[int], *tensors: Tensor | None) -> None:
    """Calls a library's function with sizes, threads and the tensors' addresses; frees the GIL.

    Such a function returns 0 when all went well, 1 when memory ran out, 2 for sizes that it doesn't
    take. what: the kernel's name, for messages. Raises MemoryError or RuntimeError.
    """
    pointers = [None if x is None else x.data_ptr() for x in tensors]
    code = function(*sizes, torch.get_num_threads(), *pointers)
    if code == 1:
        raise MemoryError(f"no memory for {what} on {tuple(sizes)}")
    if code != 0:
        raise RuntimeError(f"the {what} library refuses {tuple(sizes)}")


# ---- choosing, building, loading -----------------------------------------------------------


@lru_cache(maxsize=8)
def _choose(library: Library, choice: str) -> Kernel:
    if choice not in CHOICES:
        raise KernelError(f"{VARIABLE} is {choice!r}; set it to one of {', '.join(CHOICES)}.")
    if choice == "torch":
        return Kernel(None, f"{VARIABLE}=torch")
    try:
        return _native(library)
    except (OSError, AttributeError, subprocess.SubprocessError, _NoBuildError) as error:
        reason = " ".join(str(error).split())
        if choice == "native":
            raise KernelError(
                f"{VARIABLE}=native, but the kernel can't be built here ({reason}): "
                f"install a C++ compiler or set {VARIABLE}=auto."
            ) from error
        return Kernel(None, reason)


class _NoBuildError(Exception):
    """Why there is no native kernel, as a clause."""


def _native(library: Library) -> Kernel:
    source, compiler, folder = library.source(), _compiler(), cache_folder()
    problem = ""
    for flags in library.flags():
        stem = _stem(library, source, compiler, flags)
        if path := _cached(folder, stem):
            return _described(library, _load(library, path), f"from the cache, {path}")
        try:
            loaded, path = _build(library, source, compiler, flags, folder, stem)
            return _described(library, loaded, f"built as {path}")
        except (_NoBuildError, subprocess.SubprocessError) as error:
            problem = problem or str(error)
    raise _NoBuildError(f"{compiler} failed: {problem}")


def _described(library: Library, loaded: ctypes.CDLL, how: str) -> Kernel:
    lanes = getattr(loaded, f"{library.name}_lanes")()
    return Kernel(loaded, f"{32 * lanes}-bit vectors, {how}")


def read_source(file: str) -> bytes:
    """A C++ source: beside this package in a checkout, inside it in an installed wheel."""
    inside = importlib.resources.files("engine").joinpath("_cuda", file)
    beside = Path(__file__).parent.parent / "cuda" / file
    for place in (inside, beside):
        if place.is_file():
            return place.read_bytes()
    raise _NoBuildError(f"{file} is missing from this installation")


def _compiler() -> str:
    wanted = os.environ.get("CXX", "").strip()
    for name in (wanted,) if wanted else ("c++", "g++", "clang++"):
        if path := shutil.which(name):
            return path
    raise _NoBuildError(f"no C++ compiler found ({f'CXX={wanted}' if wanted else 'c++ or g++'})")


def cache_folder() -> Path:
    """Where built libraries live: $XDG_CACHE_HOME or ~/.cache, adventure-rwkv/kernels."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    try:
        root = Path(base) if base and Path(base).is_absolute() else Path.home() / ".cache"
    except RuntimeError as error:
        raise _NoBuildError("there is no home folder to keep the library in") from error
    return root / "adventure-rwkv" / "kernels"


def _stem(
    library: Library, source: Mapping[str, bytes], compiler: str, flags: tuple[str, ...]
) -> str:
    """The first part of a library's name: what it was made from. The second is its own hash."""
    parts = (*source.values(), " ".join((compiler, *flags)).encode(), _cpu().encode())
    return f"{library.name}-" + _digest(b"\0".join(parts))


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:20]


def _cached(folder: Path, stem: str) -> Path | None:
    """A whole library from an earlier build. Loading a cut one would kill the process."""
    for path in sorted(folder.glob(f"{stem}.*.so")):
        with contextlib.suppress(OSError):
            if path.name == f"{stem}.{_digest(path.read_bytes())}.so":
                return path
    return None


def _cpu() -> str:
    """What "native" means here: a home folder may be shared by machines that differ."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    keys = ("model name", "flags", "Features", "CPU part")
    described = sorted({line for line in lines if line.startswith(keys)})
    return "\n".join((platform.system(), platform.machine(), platform.processor(), *described))


def _build(
    library: Library,
    source: Mapping[str, bytes],
    compiler: str,
    flags: tuple[str, ...],
    folder: Path,
    stem: str,
) -> tuple[ctypes.CDLL, Path]:
    """Compiles and loads. Raises OSError, AttributeError, SubprocessError or _NoBuildError."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder, prefix="build-") as temporary:
        for file, text in source.items():
            Path(temporary, file).write_bytes(text)
        built = Path(temporary, f"{library.name}.so")
        run = subprocess.run(
            [compiler, *flags, str(Path(temporary, library.files[0])), "-o", str(built)],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=BUILD_SECONDS,
            check=False,
        )
        if run.returncode != 0:
            said = [line for line in run.stderr.splitlines() if line.strip()]
            raise _NoBuildError(said[0][:200] if said else f"exit status {run.returncode}")
        loaded = _load(library, built)  # what can't be loaded is not kept
        path = folder / f"{stem}.{_digest(built.read_bytes())}.so"
        built.replace(path)  # atomic: another process sees all of it or none
    return loaded, path


def _load(library: Library, path: Path) -> ctypes.CDLL:
    """Raises OSError for what isn't a library, AttributeError for one that isn't ours."""
    loaded = ctypes.CDLL(str(path))
    library.declare(loaded)
    return loaded
