"""A network's forward pass on the CPU in C++, for when nothing is differentiated.

Holds the weights as cuda/rwkv_cpu.cpp wants them and calls it, once a forward pass. Every number
that comes out depends on its own tokens alone: modes, splits, batch neighbours and threads change
no bit. Knows names and shapes of the weights; the formulas are in C++, and in plain torch beside
the networks in engine/rwkv, which is their specification.

Glossary: B batch, T tokens, C width, V vocabulary, K hint channels.
"""

from __future__ import annotations

import ctypes
import math
import weakref
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from engine.copyhints import CHANNELS, CODES
from engine.kernels import Library, choose
from engine.rwkv.block import MAX_LOG_RATE
from engine.rwkv.config import Config
from engine.rwkv.hints import Hints
from engine.rwkv.watch import Watch

KINDS = {"float32": 0, "bfloat16": 1, "int8": 2}
"""How packed matrices may be kept: linear.h's numbers for them."""
_SOURCES = {torch.float32: 0, torch.bfloat16: 1, torch.float16: 2}

_GENERATIONS = {"2": 20, "3": 30, "4": 40, "5.2": 52, "6": 60, "7": 70}

_LOW_RANK = {
    *("w1", "w2", "a1", "a2", "v1", "v2", "g1", "g2"),
    *("time_maa_w1", "time_decay_w1", "time_decay_w2"),
}
"""Last parts of the names of matrices stored (in, out); they are always packed as float32."""

_LANES = 16
_ALIGNED = 64  # bytes, where a packed matrix may begin
_MOST_INPUTS = 65536
_POINTER, _INT64 = ctypes.c_void_p, ctypes.c_int64


def _declare(loaded: ctypes.CDLL) -> None:
    name, c_int = ctypes.c_char_p, ctypes.c_int
    loaded.rwkv_new.restype, loaded.rwkv_new.argtypes = _POINTER, [_POINTER]
    loaded.rwkv_free.restype, loaded.rwkv_free.argtypes = None, [_POINTER]
    loaded.rwkv_vector.argtypes = [_POINTER, name, _POINTER]
    loaded.rwkv_table.argtypes = [_POINTER, name, c_int, _POINTER]
    loaded.rwkv_linear.argtypes = [_POINTER, name, c_int, _INT64, _INT64, _POINTER]
    loaded.rwkv_ready.restype, loaded.rwkv_ready.argtypes = name, [_POINTER]
    loaded.rwkv_forward.argtypes = [
        *(_POINTER, c_int, _INT64, _INT64),
        *(_POINTER, _POINTER, _POINTER, _POINTER, _POINTER),
        *(_INT64, _POINTER, _POINTER),
    ]
    loaded.rwkv_read_embeddings.argtypes = [
        *(_POINTER, c_int, _INT64, _INT64, _POINTER, _POINTER, _POINTER),
        *(_INT64, _POINTER, _POINTER),
    ]
    loaded.rwkv_packed_bytes.restype = ctypes.c_size_t
    loaded.rwkv_packed_bytes.argtypes = [c_int, _INT64, _INT64]
    loaded.rwkv_large_pages.restype = None
    loaded.rwkv_large_pages.argtypes = [_POINTER, ctypes.c_size_t]
    loaded.rwkv_pack.argtypes = [
        *(c_int, c_int, _INT64, _INT64),
        *(_POINTER, c_int, _INT64, _INT64, _POINTER),
    ]


RWKV = Library(
    "rwkv",
    (
        *("rwkv_cpu.cpp", "rwkv_forward.h", "rwkv_memory.h", "rwkv_net.h", "rwkv_rows.h"),
        *("rwkv_stages.h", "wkv_step.h", "threads.h", "denormals.h", "linear.h", "simd.h"),
    ),
    "off",
    _declare,
)


def runner_for(
    model: nn.Module, config: Config, kind: str, present: Runner | None
) -> Runner | None:
    """A runner with the weights that `model` has now: `present` if it still fits, or a new one.

    kind: one of KINDS, for the large matrices. None where plain torch has to do it, see `why_not`.
    Raises ValueError for an unknown kind, KernelError as engine.kernels.choose does.
    """
    if kind not in KINDS:
        raise ValueError(f"weights are {kind!r}, wanted one of {', '.join(KINDS)}")
    library = choose(RWKV).library
    if library is None:
        return None
    if present is not None and present.kind == kind and present.fresh():
        return present
    return None if _unfit(model, config) else Runner(model, config, kind, library)


def why_not(model: nn.Module, config: Config) -> str:
    """Why plain torch has to run this network on this machine; empty where a runner can."""
    kernel = choose(RWKV)
    return kernel.why if kernel.library is None else _unfit(model, config)


def _unfit(model: nn.Module, config: Config) -> str:
    if max(config.n_embd, config.ffn) > _MOST_INPUTS:
        return f"it is wider than {_MOST_INPUTS:,}"
    if config.n_embd % _LANES or config.head_size % _LANES:
        return f"its width and heads are not multiples of {_LANES}"
    if not all(p.is_cpu and p.dtype in _SOURCES for p in model.parameters()):
        return "its weights are not on the CPU, or of a type it doesn't read"
    return ""


class Runner:
    """A network's weights, packed, and the calls that run it."""

    def __init__(self, model: nn.Module, config: Config, kind: str, library: ctypes.CDLL) -> None:
        self.kind = kind
        self._library, self._config = library, config
        C, H, N = config.n_embd, config.n_head, config.head_size
        own = {"wkv": (H, N, N)} if config.has_heads else dict.fromkeys(("num", "den", "exp"), (C,))
        self._state = {"att_x": (C,), "ffn_x": (C,), **own}  # in C++'s order, without layers, batch
        self._watch = Watch(model)
        weights: dict[str, Tensor] = dict(model.named_parameters())
        self._net = library.rwkv_new(_integers(self._sizes("hint.emb.weight" in weights)))
        if self._net is None:
            raise MemoryError("no memory for a network")
        weakref.finalize(self, library.rwkv_free, self._net)
        self._kept: list[Tensor] = []  # memory that the network reads
        self._bind(weights)
        missing = library.rwkv_ready(self._net)
        if missing:
            raise ValueError(f"the network lacks the weight {missing.decode()}")

    def __reduce__(self) -> Any:
        """A copy of a network packs its own weights: a copied runner is None."""
        return type(None), ()

    def fresh(self) -> bool:
        """Whether the weights are those that were packed, as far as engine/rwkv/watch.py sees."""
        return self._watch.unchanged()

    @property
    def nbytes(self) -> int:
        """Bytes of packed matrices (and of the vectors and tables that the network owns)."""
        return sum(t.nbytes for t in self._kept)

    def forward(
        self,
        tokens: Tensor,
        past: Mapping[str, Tensor],
        hints: Hints | None = None,
        last_only: bool = False,
        select: Tensor | None = None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As Network.forward, for the state's tensors by name; logits are float32.

        hints: ids and codes, (B, T, K), for a network that has them.
        Raises IndexError for a token or hint that isn't in the vocabulary, ValueError for a
        tensor of another shape or device.
        """
        B, T = tokens.shape
        if select is None:
            wanted = _positions(B, T, last_only)
        else:
            wanted = self._checked("select", select, (B, T)).flatten().nonzero()
        read = [self._checked("tokens", tokens, (B, T)).long().contiguous()]
        for name, x in zip(("ids", "codes"), hints or (), strict=False):
            read.append(self._checked(name, x, (B, T, CHANNELS)).long().contiguous())
        old = self._state_of(past, B)
        new = [torch.empty_like(x) for x in old]
        logits = torch.empty(len(wanted), self._config.vocab, dtype=torch.float32)
        self._call(B, T, read, old, new, wanted, logits)
        if select is None:
            logits = logits.view(B, 1 if last_only else T, self._config.vocab)
        return logits, dict(zip(self._state, new, strict=True))

    def read_embeddings(
        self, x: Tensor, past: Mapping[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As Network.read_embeddings, for x (B, T, C) and the state's tensors by name: float32.

        Raises ValueError for a tensor of another shape or device.
        """
        B, T = x.shape[:2]
        x = _as_stored(self._checked("embeddings", x, (B, T, self._config.n_embd)))
        old = self._state_of(past, B)
        new = [torch.empty_like(tensor) for tensor in old]
        outputs, wanted = torch.empty_like(x), _positions(B, T, False)
        code = self._library.rwkv_read_embeddings(
            *(self._net, torch.get_num_threads(), B, T, x.data_ptr()),
            *(_pointers(old), _pointers(new)),
            *(len(wanted), wanted.data_ptr(), outputs.data_ptr()),
        )
        if code:
            raise MemoryError(f"no memory for {B} x {T} embeddings")
        return outputs, dict(zip(self._state, new, strict=True))

    def _state_of(self, past: Mapping[str, Tensor], B: int) -> list[Tensor]:
        """The state's tensors as C++ reads them, in its order."""
        L = self._config.n_layer
        return [
            self._checked(name, past[name], (L, B, *size))
            .to(torch.int32 if name == "exp" else torch.float32)
            .contiguous()
            for name, size in self._state.items()
        ]

    def _call(
        self,
        B: int,
        T: int,
        read: list[Tensor],
        old: list[Tensor],
        new: list[Tensor],
        wanted: Tensor,
        logits: Tensor,
    ) -> None:
        """rwkv_forward on contiguous tensors; read: tokens, and ids and codes where there are."""
        tokens, ids, codes = (*(x.data_ptr() for x in read), None, None)[:3]
        code = self._library.rwkv_forward(
            *(self._net, torch.get_num_threads(), B, T, tokens, ids, codes),
            *(_pointers(old), _pointers(new)),
            *(len(wanted), wanted.data_ptr(), logits.data_ptr()),
        )
        if code == 1:
            raise MemoryError(f"no memory for {B} x {T} tokens")
        if code != 0:
            raise IndexError(f"a token or hint is not in the vocabulary of {self._config.vocab}")

    @staticmethod
    def _checked(name: str, x: Tensor, shape: tuple[int, ...]) -> Tensor:
        """x itself. C++ is given an address alone: what isn't there would be read all the same."""
        if x.shape != shape or not x.is_cpu:
            raise ValueError(
                f"{name} has shape {tuple(x.shape)} on {x.device}, wanted {shape} on the CPU"
            )
        return x

    # -- handing over the weights ------------------------------------------------------------

    def _sizes(self, hinted: bool) -> list[int]:
        c = self._config
        heads = c.n_head if c.has_heads else 1
        hints = [CHANNELS, CODES] if hinted else [0, 0]
        return [_GENERATIONS[c.generation], c.n_layer, c.n_embd, heads, c.ffn, c.vocab, *hints]

    def _bind(self, weights: dict[str, Tensor]) -> None:
        if self._config.tied:
            weights["head.weight"] = weights["emb.weight"]
        matrices = list[tuple[str, Tensor, str]]()
        for name, weight in weights.items():
            if name.startswith("memory."):
                continue  # plain torch does its work (engine/memory.py)
            weight = weight.detach()
            leaf = name.rsplit(".", 1)[-1]
            if name in ("emb.weight", "hint.emb.weight"):
                table = self._keep(weight.contiguous())
                source = _SOURCES[table.dtype]
                self._library.rwkv_table(self._net, name.encode(), source, table.data_ptr())
            elif leaf == "time_state":
                continue  # part of the first state, not of what the layers do
            elif name == "hint.gate.weight":
                matrices.append((name, weight.t(), "float32"))
            elif name == "hint.code.weight":
                self._vector(name, weight)
            elif leaf in _LOW_RANK:
                matrices.append((name, weight, "float32"))
            elif leaf == "time_maa_w2":
                matrices += [(f"{name}.{j}", part, "float32") for j, part in enumerate(weight)]
            elif leaf == "weight" and weight.dim() == 2:
                matrices.append((name, weight.t(), self.kind))
            else:
                for own_name, vector in self._vectors(name, leaf, weight):
                    self._vector(own_name, vector)
        self._pack_all(matrices)

    def _vectors(self, name: str, leaf: str, weight: Tensor) -> Iterator[tuple[str, Tensor]]:
        """A vector as it is, or the functions of it that the formulas need."""
        generation, stem = self._config.generation, name.removesuffix(leaf)
        if leaf == "time_decay" and generation == "5.2":
            yield stem + "decay1", torch.expm1(_log_decay(weight))
        elif leaf == "time_decay" and generation != "6":
            f, n = _reduce(_log_decay(weight))
            yield stem + "decay1", torch.expm1(f)
            yield stem + "decay_exp", n
        elif leaf == "time_first":
            f, n = _reduce(weight.double())
            yield stem + "bonus", torch.exp(f)
            yield stem + "bonus_exp", n
        else:
            yield name, weight

    def _vector(self, name: str, weight: Tensor) -> None:
        kept = self._keep(_as_stored(weight))
        self._library.rwkv_vector(self._net, name.encode(), kept.data_ptr())

    def _pack_all(self, matrices: list[tuple[str, Tensor, str]]) -> None:
        """Pack weights (in, out), of any strides, each as its kind, side by side in one piece.

        One piece, so that the system can give it large pages: reading it is most of a token's work.
        """
        library, threads = self._library, torch.get_num_threads()
        sizes = [library.rwkv_packed_bytes(KINDS[kind], *w.shape) for _, w, kind in matrices]
        ends = list(accumulate(-(-size // _ALIGNED) * _ALIGNED for size in sizes))
        packed = self._keep(torch.empty(ends[-1], dtype=torch.uint8)).data_ptr()
        library.rwkv_large_pages(packed, ends[-1])
        for (name, weight, kind), start in zip(matrices, [0, *ends], strict=False):
            about, to = (KINDS[kind], *weight.shape), packed + start
            source = (weight.data_ptr(), _SOURCES[weight.dtype], *weight.stride())
            library.rwkv_pack(threads, *about, *source, to)
            library.rwkv_linear(self._net, name.encode(), *about, to)

    def _keep(self, tensor: Tensor) -> Tensor:
        self._kept.append(tensor)
        return tensor


@lru_cache(maxsize=16)
def _positions(B: int, T: int, last_only: bool) -> Tensor:
    """The wanted rows b T + t in ascending order."""
    rows = torch.arange(B * T)
    return rows[T - 1 :: T].contiguous() if last_only else rows


def _as_stored(x: Tensor) -> Tensor:
    """Contiguous, and float32 unless it holds whole numbers: itself where it is so already."""
    if x.dtype is not torch.int32:
        x = x.float()
    return x.contiguous()


def _log_decay(rate: Tensor) -> Tensor:
    return -torch.exp(rate.double().clamp(max=MAX_LOG_RATE))


def _reduce(x: Tensor) -> tuple[Tensor, Tensor]:
    """f and n (int32) with e^x = e^f 2^n; |f| <= ln(2) / 2 while |n| stays below a million."""
    n = torch.round(x / math.log(2)).clamp(-(1 << 20), 1 << 20)
    return x - n * math.log(2), n.int()


def _integers(values: list[int]) -> Any:
    return (_INT64 * len(values))(*values)


def _pointers(tensors: list[Tensor]) -> Any:
    return (_POINTER * len(tensors))(*[x.data_ptr() for x in tensors])
