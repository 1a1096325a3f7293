"""The weights that let a network see copy hints and follow them; knows not where hints come from.

Glossary: B batch, T tokens, D width, V vocabulary, K hint channels.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from engine.copyhints import CHANNELS, CODES, CopyHints
from engine.rwkv.blank import Embedding

Hints = tuple[Tensor, Tensor]
"""Hinted token ids and sureness codes, both (B, T, K) int64; code 0 means no hint."""


class _Gate(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(CHANNELS, width))
        self.bias = nn.Parameter(torch.empty(CHANNELS * CODES))


class HintLayer(nn.Module):
    """A second input embedding for hinted tokens, and gates that raise their logits."""

    def __init__(self, vocab: int, width: int) -> None:
        super().__init__()
        self.emb = Embedding(vocab, width)
        self.scale = nn.Parameter(torch.empty(CHANNELS, width))
        self.code = Embedding(CHANNELS * CODES, width)
        self.gate = _Gate(width)

    def embed(self, hints: Hints) -> Tensor:
        """What the hints add to the tokens' embeddings: (B, T, D)."""
        ids, codes = hints
        if codes.numel() < self.emb.num_embeddings:
            return self._embed_few(ids, codes)
        shown = codes > 0
        vocab, device = self.emb.num_embeddings, ids.device
        first = torch.arange(0, CHANNELS * vocab, vocab, device=device)
        pairs = ids + first  # a token in a channel
        if device.type == "cpu":
            used = torch.zeros(CHANNELS * vocab, dtype=torch.bool)
            used[pairs[shown]] = True
            table, at = self._table(used.nonzero().squeeze(1)), (used.cumsum(0) - 1)[pairs]
        else:  # to ask which are in use would be to wait for the device
            table, at = self._table(torch.arange(CHANNELS * vocab, device=device)), pairs
        none = len(table) - 1
        places = torch.where(shown, at, none)
        codes = code_rows(codes) + (none - CHANNELS * CODES)
        rows = torch.cat((places, codes), -1).view(-1, 2 * CHANNELS)
        x = F.embedding_bag(rows, table, mode="sum", padding_idx=none)  # (B*T, D)
        return x.view(*ids.shape[:2], -1)

    def unhinted(self) -> Tensor:
        """What `embed` adds where nothing is hinted: (D,)."""
        return self.code.weight[::CODES].sum(0)

    def _embed_few(self, ids: Tensor, codes: Tensor) -> Tensor:
        """The same sums for so few hints that making the table would cost more than it saves."""
        rows = code_rows(codes).view(-1, CHANNELS)
        x = F.embedding_bag(rows, self.code.weight, mode="sum")  # (B*T, D)
        scales = self.scale * (codes > 0).view(-1, CHANNELS, 1)  # (B*T, K, D)
        x = x + (self.emb(ids.view(-1, CHANNELS)) * scales).sum(1)
        return x.view(*ids.shape[:2], -1)

    def _table(self, pairs: Tensor) -> Tensor:
        """Every row that `embed` may add: scaled tokens, codes, and one of zeros.

        pairs: channel * V + token, P of them. (P + K*CODES + 1, D). One gather from this is far
        cheaper than K scaled ones.
        """
        vocab = self.emb.num_embeddings
        scaled = self.scale[pairs // vocab] * self.emb.weight[pairs % vocab]
        zero = self.code.weight.new_zeros(1, self.code.weight.shape[1])
        return torch.cat((scaled, self.code.weight, zero))

    def gates(self, h: Tensor, hints: Hints) -> Tensor:
        """What each hint adds to its token's logit; h (..., D) is what the head reads: (..., K)."""
        gate = F.linear(h, self.gate.weight) + self.gate.bias[code_rows(hints[1])]
        return gate * (hints[1] > 0)

    def raise_logits(self, logits: Tensor, h: Tensor, hints: Hints) -> Tensor:
        """Add each hint's gate to its token's logit, in place; h (B, T, D) is what the head read.

        `logits` (B, T, V) must be fresh from the head.
        """
        return logits.scatter_add_(2, hints[0], self.gates(h, hints).to(logits.dtype))


def code_rows(codes: Tensor) -> Tensor:
    """Codes (..., K) as rows of the tables that have one row a channel and code."""
    return codes + torch.arange(0, CHANNELS * CODES, CODES, device=codes.device)


def read_hints(past: Sequence[CopyHints], tokens: Tensor) -> tuple[Hints, tuple[CopyHints, ...]]:
    """The hints of tokens (B, T), on the tokens' device, and each row's hints after them."""
    rows = [hint.read(row) for hint, row in zip(past, tokens.tolist(), strict=True)]
    ids = torch.stack([torch.from_numpy(row[0]) for row in rows]).to(tokens.device)
    codes = torch.stack([torch.from_numpy(row[1]) for row in rows]).to(tokens.device)
    return (ids, codes), tuple(row[2] for row in rows)
