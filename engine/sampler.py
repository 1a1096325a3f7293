"""From logits to one token; knows no network and no text, and owns no randomness."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Generator, Tensor

Sampler = Callable[[Tensor, Generator | None], int]


def make_sampler(temperature: float = 0.0, top_k: int = 0, top_p: float = 1.0) -> Sampler:
    """A function from logits (V,) and a generator to a token id.

    temperature 0 is greedy: the likeliest token, the lowest id among equals, no generator used.
    Else the logits are divided by temperature, then cut to the top_k likeliest (0: all), then to
    the fewest of those whose probabilities reach top_p (1: all), and one is drawn.
    Raises ValueError for options out of range.
    """
    if not 0 <= temperature < float("inf"):
        raise ValueError(f"temperature is {temperature}, wanted 0 or more")
    if top_k < 0:
        raise ValueError(f"top_k is {top_k}, wanted 0 or more")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p is {top_p}, wanted more than 0 and at most 1")
    if temperature == 0:
        return _greedy

    def sample(logits: Tensor, generator: Generator | None = None) -> int:
        kept = min(top_k or logits.numel(), logits.numel())
        scores, ids = torch.sort(logits.float() / temperature, descending=True, stable=True)
        p = torch.softmax(scores[:kept], 0)
        # A token stays while the ones before it haven't reached top_p, so the first always does.
        p = torch.where(p.cumsum(0) - p < top_p, p, 0.0)
        return int(ids[torch.multinomial(p, 1, generator=generator)])

    return sample


def _greedy(logits: Tensor, generator: Generator | None = None) -> int:
    return int(logits.argmax())
