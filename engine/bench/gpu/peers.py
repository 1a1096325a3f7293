"""Public CUDA and Triton kernels of the same recurrences, to be timed beside ours; times nothing.

None is part of this program. flash-linear-attention is imported where it is installed; RWKV-LM's
kernels are compiled from a folder of its .cu files that the user points to, by nvcc alone. One that
isn't there, or doesn't take a shape, is left out with the reason.

A peer takes the decay in a form of its own. `raw` makes that of log w, `log` turns it back, so that
our kernel can be given exactly the decay that the peer computes with.

Glossary: B batch, T tokens, H heads, N head size, C channels.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import math
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

CLAMP = -math.exp(-0.5)  # log w = CLAMP * sigmoid(raw)
CHUNK = 16  # tokens for which RWKV-LM's WKV-7 keeps one state
BUILD_SECONDS = 150

Run = Callable[..., Tensor]
Form = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Peer:
    """Kernels of one recurrence, differentiable.

    load: builds or imports what it needs for lengths up to the number given, and returns
        run(r, raw, k, v, a, b) -> y for WKV-7, run(k, v, raw, u) -> y for WKV-4. Raises what
        can't be had.
    kinds: the types of its inputs. head_size: the only one that it has, 0 for any.
    multiple: T has to be a multiple of this.
    """

    name: str
    load: Callable[[int], Run]
    kinds: tuple[torch.dtype, ...]
    raw: Form
    log: Form
    head_size: int = 0
    multiple: int = 1

    def why_not(self, T: int, head_size: int = 0) -> str | None:
        """Why it doesn't take such sizes, as a clause; None where it does."""
        if T % self.multiple:
            return f"wants T as a multiple of {self.multiple}"
        if self.head_size not in (0, head_size):
            return f"has head size {self.head_size} only"
        return None


def compiled7(sources: Path | None) -> list[Peer]:
    """WKV-7's in CUDA. sources: a folder of RWKV-LM's .cu files, or None."""
    bf16 = (torch.bfloat16,)
    found = [
        Peer("RWKV-LM wkv7", partial(_wind, sources), bf16, _raw_exp, _log_exp, 64, CHUNK),
    ]
    for name, file in CLAMPED.items():
        load = partial(_clamped, sources, file)
        found.append(Peer(f"RWKV-LM {name}", load, bf16, _raw_clamp, _log_clamp, 64, CHUNK))
    return found


def fla7() -> list[Peer]:
    """WKV-7's of flash-linear-attention; its float32 is not meant to be used."""
    return [
        Peer(f"fla {name}", partial(_fla7, options), (torch.bfloat16,), _same, _same)
        for name, options in FLA_OPTIONS.items()
    ]


def peers4(sources: Path | None) -> list[Peer]:
    """WKV-4's; raw is what e^raw makes -log w of, as in checkpoints."""
    f32, bf16 = (torch.float32,), (torch.bfloat16,)
    raw, log = _raw_exp, _log_exp
    return [
        Peer("fla fused_recurrent", _fla4, (*f32, *bf16), raw, log),
        Peer("RWKV-LM wkv", partial(_wkv4, sources, "wkv_cuda.cu"), f32, raw, log),
        Peer("RWKV-LM wkv bf16", partial(_wkv4, sources, "wkv_cuda_bf16.cu"), bf16, raw, log),
    ]


FLA_OPTIONS: dict[str, dict[str, Any]] = {
    "chunk_rwkv7": {"safe_gate": True, "lower_bound": CLAMP, "chunk_size": 64},  # its own layer's
    "chunk_rwkv7 16": {"safe_gate": True, "chunk_size": 16},
    "chunk_rwkv7 16 keeping": {"safe_gate": True, "chunk_size": 16, "disable_recompute": True},
}
CLAMPED = {
    "clampw": "rwkv7_clampw.cu",
    "clampw v3": "rwkv7_clampw_v3_for_h100.cu",
    "clampw v3 alt": "rwkv7_clampw_v3_for_h100_alt.cu",
}


def _same(x: Tensor) -> Tensor:
    return x


def _raw_exp(logw: Tensor) -> Tensor:
    return torch.log(-logw)


def _log_exp(raw: Tensor) -> Tensor:
    return -torch.exp(raw)


def _raw_clamp(logw: Tensor) -> Tensor:
    return torch.logit(logw / CLAMP)


def _log_clamp(raw: Tensor) -> Tensor:
    return CLAMP * torch.sigmoid(raw)


# -- flash-linear-attention ------------------------------------------------------------------------


def _fla7(options: dict[str, Any], longest: int) -> Run:
    chunk_rwkv7 = importlib.import_module("fla.ops.rwkv7").chunk_rwkv7

    def run(*inputs: Tensor) -> Tensor:
        y: Tensor = chunk_rwkv7(*inputs, scale=1.0, **options)[0]
        return y

    return run


def _fla4(longest: int) -> Run:
    recurrent = importlib.import_module("fla.ops.rwkv4").fused_recurrent_rwkv4

    def run(k: Tensor, v: Tensor, raw: Tensor, u: Tensor) -> Tensor:
        B, _, C = k.shape
        state = k.new_zeros(B, 3, 1, C, dtype=torch.float32)
        state[:, 2] = -1e38  # the log-space maximum of nothing
        y: Tensor = recurrent(raw, u, k, v, state)[0]
        return y

    return run


# -- RWKV-LM's CUDA files --------------------------------------------------------------------------

# Their host functions take sizes as int and any number of pointers. The fast-math flags are those
# that RWKV-LM builds them with.
_SHIM = """
#include PEER
#include <utility>
template <class... A, size_t... I>
static void spread(void (*f)(int, int, int, A*...), const long long* n, void** p,
                   std::index_sequence<I...>) {
  f(int(n[0]), int(n[1]), int(n[2]), (A*)p[I]...);
}
template <class... A>
static int call(void (*f)(int, int, int, A*...), const long long* n, void** p) {
  spread(f, n, p, std::make_index_sequence<sizeof...(A)>());
  return int(cudaGetLastError());
}
extern "C" int peer_forward(const long long* n, void** p) { return call(&FORWARD, n, p); }
extern "C" int peer_backward(const long long* n, void** p) { return call(&BACKWARD, n, p); }
"""
_ATEN = "#include <cuda_bf16.h>\nnamespace at { using BFloat16 = __nv_bfloat16; }\n"
FLAGS = ("-O3", "-std=c++17", "-shared", "-Xcompiler", "-fPIC", "--use_fast_math")


class PeerError(Exception):
    """Why a peer can't be built, as a clause."""


@dataclass(frozen=True)
class Compiled:
    """A .cu file of RWKV-LM as a library with peer_forward and peer_backward."""

    library: ctypes.CDLL = field(repr=False)

    def forward(self, sizes: Sequence[int], *tensors: Tensor) -> None:
        self._call(self.library.peer_forward, sizes, tensors)

    def backward(self, sizes: Sequence[int], *tensors: Tensor) -> None:
        self._call(self.library.peer_backward, sizes, tensors)

    def _call(self, function: Any, sizes: Sequence[int], tensors: Sequence[Tensor]) -> None:
        numbers = (ctypes.c_longlong * 3)(*sizes)
        pointers = (ctypes.c_void_p * len(tensors))(*(x.data_ptr() for x in tensors))
        if code := function(numbers, pointers):
            raise RuntimeError(f"CUDA error {code} from the peer's launch")


def compile_peer(
    sources: Path | None, file: str, defines: Sequence[str], arch: str, suffix: str = ""
) -> Path:
    """Compile one of RWKV-LM's files for `arch` (as sm_90) into a library, or find it built.

    suffix: of the names of its two functions. Raises PeerError in a clause.
    """
    source = _find(sources, file)
    nvcc = shutil.which("nvcc") or "/usr/local/cuda/bin/nvcc"
    names = (f'-DPEER="{source}"', f"-DFORWARD=cuda_forward{suffix}")
    options = [*FLAGS, f"-arch={arch}", *names, f"-DBACKWARD=cuda_backward{suffix}", *defines]
    text = " ".join((nvcc, *options)).encode() + source.read_bytes() + _SHIM.encode()
    folder = Path(tempfile.gettempdir()) / f"adventure-peers-{os.getuid()}"
    target = folder / f"{source.stem}-{hashlib.sha256(text).hexdigest()[:16]}.so"
    if target.is_file():
        return target
    folder.mkdir(exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as name:
        inside = Path(name)
        (inside / "ATen").mkdir()
        (inside / "ATen" / "ATen.h").write_text(_ATEN)  # all that is used of it
        (inside / "shim.cu").write_text(_SHIM)
        built = inside / "peer.so"
        command = [nvcc, *options, f"-I{inside}", str(inside / "shim.cu"), "-o", str(built)]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=BUILD_SECONDS, check=False
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise PeerError(f"nvcc failed: {error}") from error
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line]
            raise PeerError(f"nvcc failed: {(lines or ['no reason given'])[0][:200]}")
        built.replace(target)
    return target


def _find(sources: Path | None, file: str) -> Path:
    if sources is None:
        raise PeerError("no folder of RWKV-LM's .cu files is given (--peer-sources)")
    found = sorted(sources.rglob(file))
    if not found:
        raise PeerError(f"{file} is not in {sources}")
    return found[0].resolve()


def _arch() -> str:
    major, minor = torch.cuda.get_device_capability()
    return f"sm_{major}{minor}"


BUILDS: dict[str, tuple[tuple[str, ...], str]] = {
    "wkv7_cuda.cu": ((f"-D_CHUNK_LEN_={CHUNK}", "-D_C_=64"), ""),
    "rwkv7_clampw.cu": ((f"-D_CHUNK_LEN_={CHUNK}", "-D_N_=64"), ""),
    "rwkv7_clampw_v3_for_h100.cu": ((f"-D_CHUNK_LEN_={CHUNK}", "-D_N_=64"), "_v3"),
    "rwkv7_clampw_v3_for_h100_alt.cu": ((f"-D_CHUNK_LEN_={CHUNK}", "-D_N_=64"), "_v3"),
    "wkv_cuda.cu": (("--maxrregcount=60",), ""),
    "wkv_cuda_bf16.cu": (("--maxrregcount=60",), ""),
}
"""File -> the options that RWKV-LM builds it with, the suffix of its functions' names."""


def _build(sources: Path | None, file: str, *more: str) -> Compiled:
    defines, suffix = BUILDS[file]
    path = compile_peer(sources, file, (*defines, *more), _arch(), suffix)
    return Compiled(ctypes.CDLL(str(path)))


def _wind(sources: Path | None, longest: int) -> Run:
    """Its functions take the decay first, and then r, k, v, a, b."""
    return partial(_Chunked7.apply, _build(sources, "wkv7_cuda.cu"), True)


def _clamped(sources: Path | None, file: str, longest: int) -> Run:
    return partial(_Chunked7.apply, _build(sources, file), False)


class _Chunked7(torch.autograd.Function):
    """RWKV-LM's WKV-7: keeps a state for every 16 tokens, and S a of every token."""

    @staticmethod
    def forward(ctx: Any, library: Compiled, decay_first: bool, *inputs: Tensor) -> Tensor:
        r, raw, *rest = inputs
        B, T, H, N = r.shape
        y = torch.empty_like(r)
        states = r.new_empty(B, H, T // CHUNK, N, N, dtype=torch.float32)
        removed = r.new_empty(r.shape, dtype=torch.float32)
        given = (raw, r, *rest) if decay_first else inputs
        library.forward((B, T, H), *given, y, states, removed)
        ctx.library, ctx.decay_first = library, decay_first
        ctx.save_for_backward(*given, states, removed)
        return y

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        *given, states, removed = ctx.saved_tensors
        grads = [torch.empty_like(x) for x in given]
        (dy,) = above
        B, T, H, _ = dy.shape
        ctx.library.backward((B, T, H), *given, dy.contiguous(), states, removed, *grads)
        if ctx.decay_first:
            grads[:2] = grads[1], grads[0]
        return (None, None, *grads)


def _wkv4(sources: Path | None, file: str, longest: int) -> Run:
    size = max(1024, 1 << (longest - 1).bit_length())
    return partial(_Wkv4.apply, _build(sources, file, f"-DTmax={size}"), "bf16" in file)


class _Wkv4(torch.autograd.Function):
    """RWKV-LM's WKV-4. The bfloat16 one is given y again in its backward pass."""

    @staticmethod
    def forward(
        ctx: Any, library: Compiled, half: bool, k: Tensor, v: Tensor, raw: Tensor, u: Tensor
    ) -> Tensor:
        w = -torch.exp(raw.float())
        u = u.to(k.dtype)
        y = torch.empty_like(k)
        library.forward(k.shape, w, u, k, v, y)
        ctx.library, ctx.kinds = library, (raw.dtype, u.dtype)
        ctx.save_for_backward(w, u, k, v, *([y] if half else []))
        return y

    @staticmethod
    def backward(ctx: Any, *above: Tensor) -> tuple[Tensor | None, ...]:
        given = ctx.saved_tensors
        k = given[2]
        B, _, C = k.shape
        dw, du = (k.new_zeros(B, C) for _ in range(2))
        dk, dv = torch.empty_like(k), torch.empty_like(k)
        ctx.library.backward(k.shape, *given, above[0].contiguous(), dw, du, dk, dv)
        # The sum over the batch is left to the caller there, too.
        return None, None, dk, dv, dw.sum(0).float(), du.sum(0).float()
