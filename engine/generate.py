"""Reading and writing tokens with a network: the only token loops; knows nothing of text or games.

Glossary: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Set

import torch
from torch import Generator, Tensor

from engine.rwkv.state import State
from engine.rwkv.v7 import RWKV7
from engine.sampler import Sampler


@torch.no_grad()
def prefill(
    model: RWKV7,
    tokens: Tensor,
    state: State,
    chunk: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Tensor, State]:
    """Read tokens (B, T) in GPT mode, `chunk` at a time, calling progress(done, T) after each.

    Returns the last position's logits (B, V) and the state. Raises ValueError for no tokens.
    """
    total = tokens.shape[1]
    if not total:
        raise ValueError("prefill needs at least one token, got none")
    logits = torch.empty(0)
    for start in range(0, total, chunk):
        part = tokens[:, start : start + chunk]
        logits, state = model(part, state, mode="gpt", last_only=True)
        if progress:
            progress(min(start + chunk, total), total)
    return logits[:, -1], state


@torch.no_grad()
def step(model: RWKV7, tokens: Tensor, state: State) -> tuple[Tensor, State]:
    """Read one token a row, tokens (B,), in RNN mode: next logits (B, V) and the state."""
    logits, state = model(tokens.unsqueeze(1), state, mode="rnn")
    return logits[:, -1], state


def decode(
    model: RWKV7,
    logits: Tensor,
    state: State,
    sampler: Sampler,
    generator: Generator | None = None,
    stop: Set[int] = frozenset(),
    limit: int = 256,
) -> Iterator[tuple[int, Tensor, State]]:
    """Write tokens until one of `stop` or `limit` of them: (token, logits (V,), state) for each.

    `logits` (V,) and `state` (batch 1) are those after the text so far. Each yielded pair is from
    after its token, the stopping one included: what is in the state is what was said.
    """
    for _ in range(limit):
        token = sampler(logits, generator)
        row, state = step(model, torch.tensor([token], device=logits.device), state)
        logits = row[0]
        yield token, logits, state
        if token in stop:
            return
