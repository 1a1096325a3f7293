"""Training: loss, optimiser, schedule, checkpoints that resume exactly. Knows tensors, no game.

Glossary: B batch, T tokens, V vocabulary, M positions with a target.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.rwkv.hints import Hints
from engine.rwkv.network import Network
from engine.rwkv.state import State


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
    model: Network, tokens: Tensor, said: Tensor, hints: Hints | None, state: State | None = None
) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropy of the next token where `said` (B, T) is true, and whether each of
    those M tokens was the likeliest (M,) bool. tokens (B, T); hints as in `Network.forward`, or
    None; state: what was read before (None: nothing).
    """
    state = model.initial_state(len(tokens)) if state is None else state
    logits, _ = model(tokens, state, hints=hints, select=said)  # (M, V)
    targets = tokens.roll(-1, 1)[said].to(logits.device)
    if not len(targets):
        return logits.sum(), targets.bool()
    return F.cross_entropy(logits, targets, reduction="sum"), logits.argmax(-1) == targets


def read_opening(model: Network, tokens: Tensor, hints: Hints | None, copies: int) -> State:
    """The state after tokens (1, T), for `copies` rows to go on from; gradients flow back."""
    nothing = torch.zeros(tokens.shape, dtype=torch.bool)
    _, state = model(tokens, model.initial_state(1), hints=hints, select=nothing)
    return state.select([0] * copies)


class Trainer:
    """A model, its optimiser and the number of updates done; resumes all three exactly."""

    def __init__(self, model: Network, schedule: Schedule, weight_decay: float = 0.01) -> None:
        inner = [p for n, p in model.named_parameters() if p.dim() == 2 and n.startswith("blocks.")]
        known = {id(p) for p in inner}
        rest = [p for p in model.parameters() if id(p) not in known]
        matrices = [p for p in rest if p.dim() == 2 and min(p.shape) > 1]
        known |= {id(p) for p in matrices}
        self.model, self.schedule, self.step = model, schedule, 0
        groups = [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": [p for p in rest if id(p) not in known], "weight_decay": 0.0},
        ]
        adam = torch.optim.AdamW(groups, lr=schedule.peak, betas=(0.9, 0.98), fused=True)
        # The layers' matrices learn in fewer tokens by orthogonal steps (Muon).
        muon = torch.optim.Muon(
            inner, lr=schedule.peak, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        )
        self.optimizers = (adam, muon)

    def update(self, losses: Iterable[Callable[[], tuple[Tensor, Tensor]]]) -> tuple[float, float]:
        """One step down the mean of `losses` over all their tokens: (mean, share of tokens right).

        Each loss gives a sum over tokens and whether each was right; one's graph is freed before
        the next is worked out.
        """
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.schedule.rate(self.step)
            optimizer.zero_grad(set_to_none=True)
        total, right, tokens = 0.0, 0, 0
        for part in losses:
            value, hits = part()
            value.backward()
            total, right, tokens = total + value.item(), right + int(hits.sum()), tokens + len(hits)
        tokens = max(tokens, 1)
        for parameter in self.model.parameters():
            if parameter.grad is not None:
                parameter.grad /= tokens
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step += 1
        return total / tokens, right / tokens

    def save(self, path: Path, extra: dict[str, object]) -> None:
        """Write everything to `path`, whole or not at all."""
        temporary = path.with_suffix(".tmp")
        whole = {
            "model": self.model.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
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
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step = saved["step"]
        extra: dict[str, object] = saved["extra"]
        return extra
