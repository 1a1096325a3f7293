"""C++ libraries built on first use, or plain torch in their place; and WKV-7 by either.

Knows nothing of layers, weights or text. ADVENTURE_KERNEL chooses: "auto" (the default: native
where it can be built, else torch), "native" (an error where it can't), "torch" (never native).
The WKV-7 kernel is float32 on the CPU; other tensors always take plain torch.

Glossary: B batch, T tokens, H heads, N head size.
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
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from engine.errors import UserError
from engine.rwkv.chunked import wkv7_chunked

VARIABLE = "ADVENTURE_KERNEL"
CHOICES = ("auto", "native", "torch")
HEAD_SIZES = (8, 16, 32, 64, 128)  # those that wkv7_cpu.cpp instantiates
BUILD_SECONDS = 300
_COMMON = ("-std=c++17", "-O3", "-shared", "-fPIC", "-pthread")
# Tried in turn: not every compiler knows what "native" is on every machine.
FLAG_SETS = (("-march=native", *_COMMON), ("-mcpu=native", *_COMMON), _COMMON)

_POINTER, _INT64 = ctypes.c_void_p, ctypes.c_int64


class KernelError(UserError):
    """The kernel that ADVENTURE_KERNEL asks for doesn't exist or can't be built here."""


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
        return {file: _read(file) for file in self.files}


@dataclass(frozen=True)
class Kernel:
    """The outcome of the choice: a loaded library, or None for plain torch; and why."""

    library: ctypes.CDLL | None
    why: str


def choose(library: Library) -> Kernel:
    """`library`, built and loaded, or None in its place, as ADVENTURE_KERNEL says.

    Raises KernelError for a choice that isn't one, or that asks for what can't be built here.
    """
    return _choose(library, os.environ.get(VARIABLE, "auto") or "auto")


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


def describe() -> str:
    """One line: which kernel runs WKV-7 here, and why. Raises KernelError as `wkv7` does."""
    kernel = choose(WKV7)
    return f"{'torch' if kernel.library is None else 'native'}: {kernel.why}"


def wkv7(
    r: Tensor, logw: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor
) -> tuple[Tensor, Tensor]:
    """Run S <- S diag(exp(logw)) + (S a) b^T + v k^T, y = S r over T tokens from `state`.

    r, logw, k, v, a, b: (B, T, H, N); state: (B, H, N, N) as [value, key].
    Returns y (B, T, H, N) and the state after the last token, as new tensors; differentiable
    once in every argument. Raises ValueError for shapes that don't fit, KernelError when
    ADVENTURE_KERNEL asks for what this machine hasn't got.
    """
    inputs = (r, logw, k, v, a, b, state)
    _check_shapes(inputs)
    if r.shape[1] == 0:
        return torch.zeros_like(v), state.clone()
    library = choose(WKV7).library
    if library is None or r.shape[3] not in HEAD_SIZES or not _fits(inputs):
        return wkv7_chunked(*inputs)
    if torch.is_grad_enabled() and any(x.requires_grad for x in inputs):
        y, state2 = _Native.apply(library, *inputs)
        return y, state2
    y, state2, _ = _run_forward(library, inputs, keep_u=False)
    return y, state2


def _fits(inputs: tuple[Tensor, ...]) -> bool:
    return all(x.dtype is torch.float32 and x.is_cpu for x in inputs)


def _check_shapes(inputs: tuple[Tensor, ...]) -> None:
    r, state = inputs[0], inputs[-1]
    if r.dim() != 4:
        raise ValueError(f"wkv7 wants r as (B, T, H, N), not {tuple(r.shape)}")
    for name, x in zip(("logw", "k", "v", "a", "b"), inputs[1:6], strict=True):
        if x.shape != r.shape:
            raise ValueError(f"wkv7 wants {name} as r, {tuple(r.shape)}, not {tuple(x.shape)}")
    B, _, H, N = r.shape
    if state.shape != (B, H, N, N):
        raise ValueError(f"wkv7 wants a state of {(B, H, N, N)}, not {tuple(state.shape)}")


def _run_forward(
    library: ctypes.CDLL, inputs: tuple[Tensor, ...], keep_u: bool
) -> tuple[Tensor, Tensor, Tensor | None]:
    inputs = tuple(x.contiguous() for x in inputs)
    y, state2 = torch.empty_like(inputs[0]), torch.empty_like(inputs[6])
    u = torch.empty_like(y) if keep_u else None
    _call(library.wkv7_forward, y.shape, *inputs, y, state2, u)
    return y, state2, u


class _Native(torch.autograd.Function):
    """The C++ kernel under autograd. Beside its inputs it keeps u = S a, (B, T, H, N)."""

    @staticmethod
    def forward(ctx: Any, library: ctypes.CDLL, *inputs: Tensor) -> tuple[Tensor, Tensor]:
        inputs = tuple(x.contiguous() for x in inputs)
        y, state2, u = _run_forward(library, inputs, keep_u=True)
        ctx.library = library
        ctx.save_for_backward(*inputs, u)
        return y, state2

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor, dstate2: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors
        grads = tuple(torch.empty_like(x) for x in saved[:7])
        _call(
            ctx.library.wkv7_backward,
            dy.shape,
            *saved,
            dy.contiguous(),
            dstate2.contiguous(),
            *grads,
        )
        return (None, *grads)


def _call(function: Any, shape: torch.Size, *tensors: Tensor | None) -> None:
    """Calls the library with sizes, threads and the tensors' addresses; ctypes frees the GIL."""
    pointers = [None if x is None else x.data_ptr() for x in tensors]
    code = function(*shape, torch.get_num_threads(), *pointers)
    if code == 1:
        raise MemoryError(f"no memory for WKV-7 on {tuple(shape)}")
    if code != 0:
        raise RuntimeError(f"the WKV-7 library refuses {tuple(shape)}")


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


def _read(file: str) -> bytes:
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


def _declare_wkv7(loaded: ctypes.CDLL) -> None:
    sizes = [_INT64] * 4 + [ctypes.c_int]
    loaded.wkv7_forward.argtypes = sizes + [_POINTER] * 10
    loaded.wkv7_backward.argtypes = sizes + [_POINTER] * 17


WKV7 = Library("wkv7", ("wkv7_cpu.cpp",), "fast", _declare_wkv7)
