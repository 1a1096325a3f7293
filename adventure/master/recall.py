"""The exercise before transcripts: keys and values in any order, to be recalled. Knows no text."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch

from adventure.master.stop import Stop
from adventure.master.tune_options import Plan
from engine.copyhints import CHANNELS
from engine.rwkv.network import Network
from engine.train import Schedule, Trainer, masked_loss

SHOWN = 20  # steps between two lines of the log
RIGHT = 0.85  # share of values right, from which on there are more words


def recall_batch(
    words: int, vocab: int, pairs: int, generator: torch.Generator, batch: int = 16
) -> tuple[torch.Tensor, torch.Tensor]:
    """`pairs` keys each with its value, then the keys in another order: values are asked for.

    tokens (B, 4 * pairs) int64 and said (B, 4 * pairs) bool. Keys and values come from two halves
    of the first 2 * words tokens.
    """
    words = min(words, (vocab - 8) // 2)
    order = torch.stack([torch.randperm(words, generator=generator)[:pairs] for _ in range(batch)])
    values = torch.randint(words, order.shape, generator=generator) + 8 + words
    keys = order + 8
    again = torch.stack([torch.randperm(pairs, generator=generator) for _ in range(batch)])
    asked = torch.stack((keys.gather(1, again), values.gather(1, again)), -1).flatten(1)
    tokens = torch.cat((torch.stack((keys, values), -1).flatten(1), asked), 1)
    said = torch.zeros_like(tokens, dtype=torch.bool)
    said[:, 2 * pairs :: 2] = True
    return tokens, said


def warm_up(model: Network, plan: Plan, say: Callable[[str], None], stop: Stop) -> None:
    """Key -> value recall without hints, on a vocabulary that grows as it is learned.

    say: takes lines of the log.
    """
    generator = torch.Generator().manual_seed(plan.seed)
    trainer = Trainer(model, Schedule(plan.recall, 3e-3, warmup=20, decay=0.01))
    vocab, size, smooth = model.config.vocab, 24.0, 0.0
    for step in range(plan.recall):
        tokens, said = recall_batch(int(size), vocab, 24, generator)
        none = torch.zeros((*tokens.shape, CHANNELS), dtype=torch.int64)
        hints = (none, none) if plan.hints else None
        loss, right = trainer.update([partial(masked_loss, model, tokens, said, hints)])
        smooth = 0.8 * smooth + 0.2 * right
        if smooth > RIGHT:
            size, smooth = size * 1.6, 0.5
        if step % SHOWN == 0:
            say(f"recall {step}: loss {loss:.3f} right {right:.3f} words {int(size)}")
        if size > vocab / 2 or stop.signal:
            break
