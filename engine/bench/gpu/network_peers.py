"""Other programs that run RWKV-7 networks on a GPU, behind one small interface; times nothing.

They are optional; those that aren't installed are left out. All of them get the same weights, in
the form that each reads.

Glossary: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F


@dataclass(frozen=True)
class NetworkPeer:
    """Another program that runs RWKV-7 networks on a GPU.

    load(path, kind): what is written there in the form `form` (engine/convert.py), weights as
        `kind`. It has reads(tokens (B, T)) -> the last logits (B, V), from nothing; steps(tokens
        (B,)) -> (B, V), on from there; where it trains, loss(tokens) and model.
    batches: the B that it can be asked for, the least first.
    """

    name: str
    form: str
    load: Callable[[Path, torch.dtype], Any]
    batches: tuple[int, ...]
    trains: bool = False


def network_peers() -> Iterator[NetworkPeer]:
    """Those that are installed."""
    if importlib.util.find_spec("fla") is not None:
        yield NetworkPeer("fla", "huggingface", _Fla, (1, 8), trains=True)
    if importlib.util.find_spec("rwkv") is not None:
        yield NetworkPeer("rwkv", "pth", _Rwkv, (1,))


class _Fla:
    """A Hugging Face folder read by flash-linear-attention's own model."""

    def __init__(self, path: Path, kind: torch.dtype) -> None:
        models = importlib.import_module("fla.models")
        model = models.RWKV7ForCausalLM.from_pretrained(path, dtype=kind)
        self.model = model.to("cuda").eval()
        self._past: Any = None

    @torch.inference_mode()
    def reads(self, tokens: Tensor) -> Tensor:
        self._past = None
        return self._read(tokens)

    @torch.inference_mode()
    def steps(self, tokens: Tensor) -> Tensor:
        return self._read(tokens.unsqueeze(1))

    def _read(self, tokens: Tensor) -> Tensor:
        out = self.model(tokens, past_key_values=self._past, use_cache=True, logits_to_keep=1)
        self._past = out.past_key_values
        logits: Tensor = out.logits[:, -1]
        return logits

    def loss(self, tokens: Tensor) -> Tensor:
        """Mean cross-entropy of every next token."""
        logits = self.model(tokens, use_cache=False).logits
        return F.cross_entropy(logits[:, :-1].flatten(0, 1).float(), tokens[:, 1:].flatten())


class _Rwkv:
    """A .pth file read by the rwkv package, one text at a time."""

    def __init__(self, path: Path, kind: torch.dtype) -> None:
        os.environ.update(RWKV_V7_ON="1", RWKV_JIT_ON="1", RWKV_CUDA_ON="0")
        module = importlib.import_module("rwkv.model")
        name = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}[kind]
        self.model = module.RWKV(str(path.with_suffix("")), f"cuda {name}")
        self._state: Any = None

    def reads(self, tokens: Tensor) -> Tensor:
        logits, self._state = self.model.forward(tokens[0].tolist(), None)
        return logits.unsqueeze(0)

    def steps(self, tokens: Tensor) -> Tensor:
        logits, self._state = self.model.forward([int(tokens[0])], self._state)
        return logits.unsqueeze(0)
