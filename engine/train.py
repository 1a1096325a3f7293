"""Training: loss, optimiser, schedule, checkpoints that resume exactly. Knows tensors, no game.

Glossary: B batch, T tokens, V vocabulary, M positions with a target.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.rwkv.hints import Hints
from engine.rwkv.network import Network


@dataclass(frozen=True)
class Schedule:
    """Learning rate: linear warm-up, flat, linear decay to a tenth over the last part (WSD)."""

    steps: int
    peak: float = 2e-3
    warmup: int = 60
    decay: float = 0.25

    def rate(self, step: int) -> float:
        """The rate of update number `step`, from 0."""
        rise = min(1.0, (step + 1) / self.warmup)
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        return self.peak * rise * max(0.1, min(1.0, left))


def masked_loss(
    model: Network, tokens: Tensor, said: Tensor, hints: Hints | None
) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy of the next token where `said` (B, T) is true, and whether each of those M
    tokens was the likeliest (M,) bool. tokens (B, T); hints as in `Network.forward`, or None.

    Where nothing is said the loss is 0, not the mean of nothing: one NaN would end a training run.
    """
    logits, _ = model(tokens, model.initial_state(len(tokens)), hints=hints, select=said)  # (M, V)
    targets = tokens.roll(-1, 1)[said].to(logits.device)
    if not len(targets):
        return logits.sum(), targets.bool()
    return F.cross_entropy(logits, targets), logits.argmax(-1) == targets


class Trainer:
    """A model, its optimiser and the number of updates done; resumes all three exactly."""

    def __init__(self, model: Network, schedule: Schedule, weight_decay: float = 0.01) -> None:
        matrices = [p for p in model.parameters() if min(p.shape, default=1) > 1 and p.dim() == 2]
        known = {id(p) for p in matrices}
        rest = [p for p in model.parameters() if id(p) not in known]
        self.model, self.schedule, self.step = model, schedule, 0
        groups = [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": rest, "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=schedule.peak, betas=(0.9, 0.98), fused=True)

    def update(self, loss: Callable[[], tuple[Tensor, Tensor]]) -> tuple[float, float]:
        """One step down `loss` (see `masked_loss`): (loss, share of tokens right)."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate(self.step)
        self.optimizer.zero_grad(set_to_none=True)
        value, right = loss()
        value.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.step += 1
        return value.item(), float(right.float().mean()) if len(right) else 1.0

    def save(self, path: Path, extra: dict[str, object]) -> None:
        """Write everything to `path`, whole or not at all."""
        temporary = path.with_suffix(".tmp")
        whole = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "extra": extra,
        }
        with temporary.open("wb") as file:
            torch.save(whole, file)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)

    def load(self, path: Path) -> dict[str, object]:
        """Go on from `path`; returns what was given as `extra`."""
        saved: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step = saved["step"]
        extra: dict[str, object] = saved["extra"]
        return extra
