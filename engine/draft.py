"""Greedy writing with drafts: many tokens checked in one pass. Knows tokens, not whose guess it is.

Speculative decoding (Leviathan et al., arXiv 2211.17192), the greedy case. A draft is read in GPT
mode; as far as every token of it is what the network would have said, it has been said. A wrong
draft costs time and changes nothing: the tokens are those of `engine.generate.decode`, to the bit
wherever the modes agree to the bit (the native runtime), else but for ties within rounding.

Glossary: T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

import torch
from torch import Tensor

from engine.generate import Written
from engine.rwkv.network import Network
from engine.rwkv.state import State

Guess = Callable[[Sequence[int]], Sequence[int]]
"""What was written so far -> the tokens that may come next; none where there is no idea."""


@torch.no_grad()
def write_drafted(
    model: Network,
    tokens: Sequence[int],
    state: State,
    guess: Guess,
    stop: Set[int] = frozenset(),
    limit: int = 256,
) -> Written:
    """Read `tokens`, then write greedily until one of `stop`, or `limit` tokens.

    state (batch 1) stays as it was. Raises ValueError for no tokens, or a limit below 1.
    """
    if not tokens or limit < 1:
        raise ValueError(f"{len(tokens)} tokens to read, {limit} to write, wanted at least 1 each")
    told = list[int]()
    unread = [*tokens]  # they are certain, and the state doesn't hold them yet
    while True:
        draft = _until(guess(told)[: limit - len(told)], stop)
        said, after, logits = _choices(model, unread, draft, state)
        same = next((i for i, token in enumerate(draft) if said[i] != token), len(draft))
        told += draft[:same]
        if same == len(draft):
            state, unread = after, []
        else:
            unread += draft[:same]
        if not _over(told, stop, limit):
            told.append(said[same])
            unread.append(said[same])
        if _over(told, stop, limit):
            if unread:
                row, state = model(torch.tensor([unread]), state, mode="gpt", last_only=True)
                logits = row[0, -1]
            return Written(told, logits, state)


def rest_of(draft: Sequence[int], told: Sequence[int]) -> Sequence[int]:
    """What of a draft comes after what was written; nothing if that was something else."""
    return draft[len(told) :] if [*draft[: len(told)]] == [*told] else ()


def _choices(
    model: Network, unread: Sequence[int], draft: Sequence[int], state: State
) -> tuple[list[int], State, Tensor]:
    """What the network says after `unread` and after each token of the draft, one more than it has;
    the state after all, and the last logits (V,)."""
    row = torch.tensor([[*unread, *draft]])  # (1, T)
    asked = torch.zeros(row.shape, dtype=torch.bool)
    asked[:, len(unread) - 1 :] = True
    logits, after = model(row, state, mode="gpt", select=asked)
    return logits.argmax(-1).tolist(), after, logits[-1]


def _until(draft: Sequence[int], stop: Set[int]) -> list[int]:
    """A draft up to the first stop in it, that one included."""
    end = next((i + 1 for i, token in enumerate(draft) if token in stop), len(draft))
    return [*draft[:end]]


def _over(told: Sequence[int], stop: Set[int], limit: int) -> bool:
    return len(told) >= limit or (bool(told) and told[-1] in stop)
