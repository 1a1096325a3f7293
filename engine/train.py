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

from engine.headloss import head_loss
from engine.rwkv.hints import Hints, read_hints
from engine.rwkv.network import Network
from engine.rwkv.state import State


@dataclass(frozen=True)
class Schedule:
    """Learning rate: linear warm-up, flat, linear decay to a tenth over the last part (WSD)."""

    steps: int
    peak: float = 2e-3
    warmup: int = 60
    decay: float = 0.25

    def rate(self, step: int, done: float | None = None) -> float:
        """The rate of update number `step`, from 0; done: the share of the run that is over, where
        that isn't step / steps.
        """
        rise = min(1.0, (step + 1) / self.warmup)
        left = (self.steps - step) / max(1.0, self.decay * self.steps)
        if done is not None:
            left = (1 - done) / self.decay
        return self.peak * rise * max(0.1, min(1.0, left))


LONGEST_OPENING = 6000
"""Tokens through which gradients flow back: most random worlds have fewer, authors' have more."""


def masked_loss(
    model: Network, tokens: Tensor, said: Tensor, hints: Hints | None, state: State | None = None
) -> tuple[Tensor, Tensor]:
    """Sum of the cross-entropy of the next token where `said` (B, T) is true, and whether each of
    those M tokens was the likeliest (M,) bool. tokens (B, T); hints as in `Network.forward`, or
    None; state: what was read before (None: nothing).
    """
    device = model.emb.weight.device
    tokens, said = tokens.to(device), said.to(device)
    state = model.initial_state(len(tokens)) if state is None else state
    if hints is None and state.hints is not None:
        hints, _ = read_hints(state.hints, tokens)
    hints = hints and (hints[0].to(device), hints[1].to(device))
    h, _ = model.read_embeddings(model.embed(tokens, hints), state)
    targets = tokens.roll(-1, 1)[said]  # (M,)
    return head_loss(model, h[said], targets, hints and (hints[0][said], hints[1][said]))


def read_opening(model: Network, tokens: Tensor, hints: Hints | None, copies: int) -> State:
    """The state after tokens (1, T), for `copies` rows to go on from.

    Gradients flow back through it, unless it is so long that they would cost more than they teach.
    Where only a part of the network learns, they always do: a first state has no other way.
    """
    nothing = torch.zeros(tokens.shape, dtype=torch.bool)
    flows = tokens.shape[1] <= LONGEST_OPENING or not model.emb.weight.requires_grad
    with torch.set_grad_enabled(torch.is_grad_enabled() and flows):
        _, state = model(tokens, model.initial_state(1), hints=hints, select=nothing)
    return state.select([0] * copies)


class Trainer:
    """A model, its optimisers and the number of updates done; resumes all of it exactly.

    What learns are the parameters that require gradients. ema: how much of their running average
    an update leaves as it was (0: none is kept; `averaged` gives it).
    """

    def __init__(
        self, model: Network, schedule: Schedule, weight_decay: float = 0.01, ema: float = 0.0
    ) -> None:
        self.model, self.schedule, self.step = model, schedule, 0
        self.learned: dict[str, Tensor] = {
            n: p for n, p in model.named_parameters() if p.requires_grad
        }
        inner = [p for n, p in self.learned.items() if _is_layers_matrix(n, p)]
        known = {id(p) for p in inner}
        rest = [p for p in self.learned.values() if id(p) not in known]
        matrices = [p for p in rest if p.dim() == 2 and min(p.shape) > 1]
        known |= {id(p) for p in matrices}
        groups = [
            {"params": matrices, "weight_decay": weight_decay},
            {"params": [p for p in rest if id(p) not in known], "weight_decay": 0.0},
        ]
        adam = torch.optim.AdamW(groups, lr=schedule.peak, betas=(0.9, 0.98), fused=True)
        self.optimizers: tuple[torch.optim.Optimizer, ...] = (adam,)
        if inner:
            # The layers' matrices learn in fewer tokens by orthogonal steps (Muon).
            muon = torch.optim.Muon(
                inner, lr=schedule.peak, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
            )
            self.optimizers = (adam, muon)
        self.done: float | None = None
        """The share of the run that is over, where the number of steps doesn't say it."""
        self.ema = ema
        self.averaged: dict[str, Tensor] = (
            {n: p.detach().clone() for n, p in self.learned.items()} if ema else {}
        )
        """The running average of what is learned, by name; empty without `ema`."""

    def update(self, losses: Iterable[Callable[[], tuple[Tensor, Tensor]]]) -> tuple[float, float]:
        """One step down the mean of `losses` over all their tokens: (mean, share of tokens right).

        Each loss gives a sum over tokens and whether each was right; one's graph is freed before
        the next is worked out.
        """
        for optimizer in self.optimizers:
            for group in optimizer.param_groups:
                group["lr"] = self.schedule.rate(self.step, self.done)
            optimizer.zero_grad(set_to_none=True)
        total, right, tokens = 0.0, 0, 0
        for part in losses:
            value, hits = part()
            value.backward()
            total, right, tokens = total + value.item(), right + int(hits.sum()), tokens + len(hits)
        tokens = max(tokens, 1)
        for parameter in self.learned.values():
            if parameter.grad is not None:
                parameter.grad /= tokens
        torch.nn.utils.clip_grad_norm_(self.learned.values(), 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self._average()
        self.step += 1
        return total / tokens, right / tokens

    @torch.no_grad()
    def _average(self) -> None:
        # The first steps count little, so that the average doesn't drag the beginning along.
        kept = min(self.ema, (1 + self.step) / (10 + self.step))
        for name, average in self.averaged.items():
            average.lerp_(self.learned[name], 1 - kept)

    def save(self, path: Path, extra: dict[str, object]) -> None:
        """Write everything to `path`, whole or not at all. Raises OSError where it can't be."""
        temporary = path.with_suffix(".tmp")
        whole = {
            "model": {name: p.detach() for name, p in self.learned.items()},
            "averaged": self.averaged,
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
            "step": self.step,
            "random": torch.get_rng_state(),
            "extra": extra,
        }
        try:
            with temporary.open("wb") as file:
                torch.save(whole, file)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
        except RuntimeError as error:  # torch's own word for a file that it can't write to
            raise OSError(str(error)) from error
        finally:
            temporary.unlink(missing_ok=True)

    def load(self, path: Path) -> dict[str, object]:
        """Go on from `path`; returns what was given as `extra`.

        Raises ValueError, KeyError, RuntimeError, EOFError or pickle.UnpicklingError for a file
        that is damaged or of another model; weights and optimisers may then be those of neither.
        """
        saved: dict[str, Any] = torch.load(path, weights_only=True, map_location="cpu")
        for name, mine in (("model", self.learned), ("averaged", self.averaged)):
            theirs = saved[name]
            if mine.keys() != theirs.keys():
                raise ValueError(f"{path} is of a run in which something else is learned")
            with torch.no_grad():
                for key, tensor in mine.items():
                    tensor.copy_(theirs[key])
        for optimizer, state in zip(self.optimizers, saved["optimizers"], strict=True):
            optimizer.load_state_dict(state)
        self.step = saved["step"]
        torch.set_rng_state(saved["random"])
        extra: dict[str, object] = saved["extra"]
        return extra


def _is_layers_matrix(name: str, parameter: Tensor) -> bool:
    """Whether it is a matrix of a layer; the factors of an adapter aren't."""
    return parameter.dim() == 2 and name.startswith("blocks.") and ".parametrizations." not in name
