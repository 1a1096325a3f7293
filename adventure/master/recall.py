"""The exercise before transcripts: keys and values in any order, to be recalled. Knows no text."""

from __future__ import annotations

import torch


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
