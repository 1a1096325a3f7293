"""Programs that run RWKV, this engine and others, behind one small interface; times nothing.

The others are optional: one that isn't installed, or that doesn't run the generation asked for, is
an `Absent` with the reason. All of them get the same weights, in the form that each reads.

Glossary: T tokens, V vocabulary.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from engine.bench import gguf_writer
from engine.checkpoint import load_model
from engine.convert import write_model
from engine.generate import prefill, step
from engine.kernels import choose
from engine.native import RWKV
from engine.rwkv.network import Network

OURS = "this engine"
SIZES = {"float32": 4.0, "bfloat16": 2.0, "int8": 1.0}
"""This engine's kinds of weights, and the bytes that one of a large matrix takes."""
PEERS = ("rwkv", "transformers", "rwkv7_hf", "llama_cpp")


class Runner(Protocol):
    """A loaded network with the state of the one text that it is reading."""

    def prefill(self, tokens: Sequence[int]) -> Tensor:
        """Forget everything, read tokens; the logits (V,) after them."""

    def step(self, token: int) -> Tensor:
        """Read one more token; the logits (V,) after it."""

    def close(self) -> None:
        """Give back what it holds; it is not used after that."""


@dataclass(frozen=True)
class Contender:
    """One program with one kind of weights, not loaded yet.

    like: which of this engine's kinds of weights it is to be compared with.
    large, small: bytes that one weight of a large matrix, and any other one, takes in it.
    all_heads: whether its prefill works out the logits of every position, not the last one's only.
    """

    name: str
    weights: str
    like: str
    load: Callable[[], Runner]
    large: float
    small: float
    all_heads: bool = False


@dataclass(frozen=True)
class Absent:
    """A program that takes no part, and why."""

    name: str
    why: str


def ours(file: Path) -> Iterator[Contender | Absent]:
    """This engine with every kind of weights that runs here."""
    for kind, size in SIZES.items():
        if can_hold(kind):
            yield Contender(OURS, kind, kind, partial(_Ours, file, kind), size, 4.0)
        else:
            yield Absent(OURS, f"{kind:<10}needs the native runtime")


def peers(model: Network, folder: Path, threads: int, longest: int) -> Iterator[Contender | Absent]:
    """The other programs for this network, whose files are written into `folder`.

    threads: for those that don't take torch's number; longest: the most tokens that they'll read.
    """
    generation = model.config.generation
    for name in PEERS:
        if importlib.util.find_spec(name) is None:
            yield Absent(name, "not installed")
        elif name == "rwkv":
            yield from _rwkv(model, folder)
        elif name == "llama_cpp":
            yield from _llama(model, folder, threads, longest)
        elif generation == {"transformers": "4", "rwkv7_hf": "7"}[name]:
            target = folder / name
            write_model(model, target, "huggingface")
            seven = name == "rwkv7_hf"
            load = partial(_Rwkv7Hf if seven else _Transformers, target)
            yield Contender(name, "float32", "float32", load, 4.0, 4.0, all_heads=seven)
        else:
            yield Absent(name, f"doesn't run RWKV-{generation}")


def can_hold(kind: str) -> bool:
    """Whether this engine's runtime can keep its weights as `kind`."""
    return kind == "float32" or choose(RWKV).library is not None


class _Held:
    """A runner whose memory goes when it goes."""

    def close(self) -> None:
        pass


class _Ours(_Held):
    def __init__(self, file: Path, kind: str) -> None:
        self._model = load_model(file)
        self._model.weights = kind
        self._state = self._model.initial_state()

    def prefill(self, tokens: Sequence[int]) -> Tensor:
        start = self._model.initial_state()
        logits, self._state = prefill(self._model, torch.tensor([tokens]), start)
        return logits[0]

    def step(self, token: int) -> Tensor:
        logits, self._state = step(self._model, torch.tensor([token]), self._state)
        return logits[0]


# -- the rwkv package ----------------------------------------------------------------------------


def _rwkv(model: Network, folder: Path) -> Iterator[Contender | Absent]:
    generation = model.config.generation
    if generation not in ("4", "5.2", "6", "7"):
        yield Absent("rwkv", f"doesn't run RWKV-{generation}")
        return
    # The package reads these once, when it is imported.
    seven = "1" if generation == "7" else "0"
    if "rwkv.model" in sys.modules and os.environ.get("RWKV_V7_ON", "0") != seven:
        yield Absent("rwkv", "imported for another generation in this process")
        return
    os.environ["RWKV_V7_ON"], os.environ["RWKV_JIT_ON"] = seven, "1"
    os.environ["RWKV_CUDA_ON"] = "0"
    target = folder / "rwkv.pth"
    write_model(model, target, "pth")
    for strategy, kind, size in (("fp32", "float32", 4.0), ("bf16", "bfloat16", 2.0)):
        load = partial(_Rwkv, target, strategy)
        yield Contender("rwkv", f"cpu {strategy}", kind, load, size, size)


class _Rwkv(_Held):
    def __init__(self, file: Path, strategy: str) -> None:
        with contextlib.redirect_stdout(io.StringIO()):
            module = importlib.import_module("rwkv.model")
            self._model = module.RWKV(str(file.with_suffix("")), f"cpu {strategy}")
        self._state: Any = None

    def prefill(self, tokens: Sequence[int]) -> Tensor:
        logits, self._state = self._model.forward(list(tokens), None)
        return _row(logits)

    def step(self, token: int) -> Tensor:
        logits, self._state = self._model.forward([token], self._state)
        return _row(logits)


# -- transformers and what builds on it ----------------------------------------------------------


class _Transformers(_Held):
    def __init__(self, folder: Path) -> None:
        with _quiet():
            module = importlib.import_module("transformers")
            self._model = module.RwkvForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self._state: Any = None

    def prefill(self, tokens: Sequence[int]) -> Tensor:
        return self._read(tokens, None)

    def step(self, token: int) -> Tensor:
        return self._read([token], self._state)

    @torch.inference_mode()
    def _read(self, tokens: Sequence[int], state: Any) -> Tensor:
        out = self._model(torch.tensor([tokens]), state=state, use_cache=True, logits_to_keep=1)
        self._state = out.state
        return _row(out.logits)


class _Rwkv7Hf(_Held):
    def __init__(self, folder: Path) -> None:
        with _quiet():
            module = importlib.import_module("rwkv7_hf")
            self._model = module.RWKV7ForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self._model.eval()
        self._past: Any = None

    def prefill(self, tokens: Sequence[int]) -> Tensor:
        return self._read(tokens, None)

    def step(self, token: int) -> Tensor:
        return self._read([token], self._past)

    @torch.inference_mode()
    def _read(self, tokens: Sequence[int], past: Any) -> Tensor:
        out = self._model(
            torch.tensor([tokens]), past_key_values=past, use_cache=True, logits_to_keep=1
        )
        self._past = out.past_key_values
        return _row(out.logits)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Loading bars and advice are no part of a measurement."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _row(logits: Tensor) -> Tensor:
    return logits.detach().float().reshape(-1, logits.shape[-1])[-1].clone()


# -- llama.cpp -----------------------------------------------------------------------------------


def _llama(
    model: Network, folder: Path, threads: int, longest: int
) -> Iterator[Contender | Absent]:
    if model.config.generation != "7":
        why = f"RWKV-{model.config.generation} is not written as GGUF"
        yield Absent("llama_cpp", why)
        return
    if importlib.util.find_spec("gguf") is None:
        yield Absent("llama_cpp", "the gguf package that writes its files is not installed")
        return
    likes = {"F32": "float32", "F16": "bfloat16", "Q8_0": "int8"}
    sizes = {"F32": 4.0, "F16": 2.0, "Q8_0": 34 / 32}  # a float16 scale for every 32 weights
    for kind in gguf_writer.KINDS:
        target = folder / f"{kind}.gguf"
        gguf_writer.write_gguf(model, target, kind)
        load = partial(_Llama, target, threads, longest)
        yield Contender("llama_cpp", kind, likes[kind], load, sizes[kind], 4.0)


class _Llama:
    BATCH = 2048

    def __init__(self, file: Path, threads: int, longest: int) -> None:
        self._library = importlib.import_module("llama_cpp")
        self._model = self._library.Llama(
            str(file),
            n_ctx=longest,
            n_batch=self.BATCH,
            n_threads=threads,
            n_threads_batch=threads,
            verbose=False,
        )

    def prefill(self, tokens: Sequence[int]) -> Tensor:
        self._model.reset()
        self._library.llama_memory_clear(self._library.llama_get_memory(self._model.ctx), True)
        return self._read(tokens)

    def step(self, token: int) -> Tensor:
        return self._read([token])

    def close(self) -> None:
        self._model.close()

    def _read(self, tokens: Sequence[int]) -> Tensor:
        self._model.eval(list(tokens))
        row = self._library.llama_get_logits_ith(self._model.ctx, -1)
        return torch.from_numpy(np.ctypeslib.as_array(row, (self._model.n_vocab(),)).copy())
