"""Speed of training whole networks on a device, beside other programs; knows no text.

Glossary: B batch, T tokens, V vocabulary; L layers, C width.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from engine import kernels
from engine.bench.gpu.host import Host, environment, matmul_precision, quiet
from engine.bench.gpu.kernels import Row, one_line
from engine.bench.gpu.network import Speeds, load_peer, random_on, random_tokens
from engine.bench.gpu.network_peers import NetworkPeer
from engine.rwkv.config import Config
from engine.rwkv.network import Network
from engine.train import Schedule, Trainer, masked_loss

WAYS = (
    ("ours, float32", torch.float32, False, ""),
    ("ours, TF32 products", torch.float32, False, ""),
    ("ours, bfloat16 products", torch.float32, True, ""),
    ("ours, bfloat16", torch.bfloat16, False, ""),
    ("plain torch, float32", torch.float32, False, "torch"),
)
"""Name, weights, whether Network.use_mixed, what ADVENTURE_KERNEL says."""


def time_training(host: Host, speeds: Speeds, peers: Sequence[NetworkPeer]) -> Iterator[Row]:
    """A step of training: forward, backward and update, of generations 7 and 4."""
    for L, C, V, N, B, T in speeds.train:
        for generation in ("7", "4"):
            config = Config(L, C, V, head_size=N, generation=generation)
            tokens = random_tokens(host, V, B, T)
            name = f"RWKV-{generation} L{L} C{C} B{B} T{T}"
            for label, kind, mixed, setting in WAYS:
                if mixed and generation != "7":
                    continue
                row: Row = {"what": name, "name": label, "tokens": B * T}
                try:
                    precision = "high" if "TF32" in label else "highest"
                    with environment(kernels.VARIABLE, setting), matmul_precision(precision):
                        model = random_on(host, config, kind).train()
                        if mixed:
                            model.use_mixed()
                        row |= _step_times(host, speeds, _our_step(model, tokens))
                    del model
                except Exception as error:
                    row["absent"] = one_line(error)
                yield row
            if generation == "7":
                yield from _training_peers(host, speeds, config, peers, tokens, name)


def _our_step(model: Network, tokens: Tensor) -> Callable[[], object]:
    trainer = Trainer(model, Schedule(1000))
    said = torch.ones_like(tokens, dtype=torch.bool)
    said[:, -1] = False
    loss = partial(masked_loss, model, tokens, said, None)
    return lambda: trainer.update([loss])


def _training_peers(
    host: Host,
    speeds: Speeds,
    config: Config,
    peers: Sequence[NetworkPeer],
    tokens: Tensor,
    name: str,
) -> Iterator[Row]:
    for peer in (peer for peer in peers if peer.trains):
        row: Row = {"what": name, "name": f"{peer.name}, bfloat16", "tokens": tokens.numel()}
        try:
            with tempfile.TemporaryDirectory() as folder, quiet():
                model = random_on(host, config, torch.bfloat16)
                other = load_peer(peer, model, torch.bfloat16, Path(folder))
                del model
            weights = list(other.model.train().parameters())
            optimizer = torch.optim.AdamW(weights, lr=1e-4, betas=(0.9, 0.98), fused=True)

            def step(
                other: Any = other, weights: Any = weights, optimizer: Any = optimizer
            ) -> None:
                optimizer.zero_grad(set_to_none=True)
                other.loss(tokens).backward()
                torch.nn.utils.clip_grad_norm_(weights, 1.0)
                optimizer.step()

            row |= _step_times(host, speeds, step)
            del other, weights, optimizer, step
        except Exception as error:
            row["absent"] = one_line(error)
        yield row


def _step_times(host: Host, speeds: Speeds, step: Callable[[], object]) -> dict[str, float]:
    return {"step_s": host.seconds([step], speeds.rounds), "peak": host.peak(step)}
