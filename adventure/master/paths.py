"""A position as the tokens that lead to it from the world's opening. Knows no file and no turn.

Reading them again gives the same bits wherever the native runtime reads (engine/native.py), and
where a segment begins from the opening and nothing but words; whoever relies on it compares.

Glossary: T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch
from torch import Tensor

from adventure.master.position import Position
from engine.generate import prefill
from engine.rwkv.network import Network

LONGEST = 1 << 15
"""Tokens of a path that is worth following: many times what a segment holds."""


def path_from(opening: Position, position: Position) -> Tensor | None:
    """The tokens (T,), int32, read since the opening; None where it didn't begin there, or where
    there are no copy hints, which keep them."""
    if opening.state.hints is None or position.state.hints is None:
        return None
    start, tokens = opening.state.hints[0].tokens, position.state.hints[0].tokens
    if tokens[: len(start)] != start:
        return None
    return torch.tensor(tokens[len(start) :], dtype=torch.int32)


def followed(model: Network, opening: Position, paths: Iterable[Tensor]) -> Iterator[Position]:
    """State and logits at each path's end, without records; one that begins with the path before it
    is read on from there.

    Raises ValueError for tokens that the network doesn't have, or too many of them.
    """
    done, state, logits = list[int](), opening.state, opening.logits
    for path in paths:
        tokens = path.tolist() if path.dim() == 1 else [-1]
        if len(tokens) > LONGEST or not all(0 <= t < model.config.vocab for t in tokens):
            raise ValueError(f"{len(tokens)} tokens, wanted up to {LONGEST} of the vocabulary's")
        if tokens[: len(done)] != done:
            done, state, logits = [], opening.state, opening.logits
        if new := tokens[len(done) :]:
            read, state = prefill(model, torch.tensor([new]), state)
            logits = read[0]  # (V,)
        done = tokens
        yield Position(state, logits, {})
