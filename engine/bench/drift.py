"""How far a network's predictions move when its weights are kept in fewer bits; knows no text.

Glossary: T tokens, V vocabulary, P positions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from engine.rwkv.network import Network

PART = 64  # positions at a time: a part's logits are PART * V numbers


@dataclass(frozen=True)
class Drift:
    """Over `positions`: mean KL divergence in nats (exact network from the other), the share of
    positions with the same likeliest token, and the same share where the exact network gives its
    likeliest token at least half of the probability (None where there is no such position)."""

    positions: int
    kl: float
    agreement: float
    sure_agreement: float | None


@torch.no_grad()
def drift(exact: Network, other: Network, texts: Sequence[Tensor]) -> Drift:
    """Compare the next-token distributions of two networks after every token of every text (T,).

    Both read each text from its beginning, with their own states. Raises ValueError for no tokens.
    """
    if not sum(len(text) for text in texts):
        raise ValueError("drift needs at least one token, got none")
    kl, same, sure, sure_same, total = 0.0, 0, 0, 0, 0
    for text in texts:
        states = [exact.initial_state(), other.initial_state()]
        for part in text.split(PART):
            rows = []
            for i, model in enumerate((exact, other)):
                logits, states[i] = model(part.unsqueeze(0), states[i])
                rows.append(logits[0].double().log_softmax(-1))  # (P, V)
            p, q = rows
            kl += float((p.exp() * (p - q)).sum())
            agree, certain = p.argmax(-1) == q.argmax(-1), p.amax(-1).exp() >= 0.5
            same += int(agree.sum())
            sure += int(certain.sum())
            sure_same += int((agree & certain).sum())
            total += len(part)
    return Drift(total, kl / total, same / total, sure_same / sure if sure else None)
