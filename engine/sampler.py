"""From logits to one token; knows no network and no text, and owns no randomness.

Glossary: V vocabulary, n different tokens written so far, T temperature; x a token's logit, p its
probability, c its count: how often it was written, each time worth `decay` less a token later.

What is done to the logits, in this order, where "written" is what is in `Seen`:
    repetition r   a written token's x becomes x/r where x > 0, else x r. CTRL (Keskar et al. 2019,
                   arXiv:1909.05858, section 4.1) divides always, which favours negative logits.
    frequency f, presence q
                   a written token's x becomes x - f c - q. OpenAI's penalties; counts that decay
                   are ChatRWKV's (its usual decay is 0.996). Decay acts on c only: what was written
                   once is present, and repeats, for ever.
    banned         x becomes minus infinity.
    temperature    p = softmax(x / T).
    top_k          only the k likeliest stay (of equals those of lower id), p is scaled to sum 1.
    top_p          only the fewest likeliest whose p reach top_p stay (nucleus sampling, Holtzman et
                   al. 2019, arXiv:1904.09751).
    min_p          only tokens of at least min_p times the greatest p stay (Nguyen et al. 2024,
                   arXiv:2407.01082).
Drawn on the CPU in float64, so that a seed means the same on every device.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Generator, Tensor

from engine.errors import SnapshotError


@dataclass(frozen=True, eq=False)
class Seen:
    """What was written, as penalties need it: goes into a sampler and comes out, never changed.

    tokens (n,) int64, each once, in order of first use; counts (n,) float64.
    """

    tokens: Tensor
    counts: Tensor

    def read(self, token: int, decay: float) -> Seen:
        """After one more token: all counts times `decay`, then 1 for the token."""
        counts = self.counts * decay
        place = (self.tokens == token).nonzero()
        if len(place):
            counts[place] += 1
            return Seen(self.tokens, counts)
        new = torch.tensor([token])
        return Seen(torch.cat([self.tokens, new]), torch.cat([counts, counts.new_ones(1)]))

    def to_metadata(self) -> dict[str, Any]:
        """As JSON can hold it; `from_metadata` rebuilds it bit for bit."""
        return {"tokens": self.tokens.tolist(), "counts": self.counts.tolist()}

    @staticmethod
    def from_metadata(meta: Mapping[str, Any]) -> Seen:
        """Raises SnapshotError for what `to_metadata` can't have written."""
        try:
            tokens = torch.tensor(meta["tokens"], dtype=torch.int64)
            counts = torch.tensor(meta["counts"], dtype=torch.float64)
            right = tokens.dim() == 1 and tokens.shape == counts.shape
            right = right and bool((tokens >= 0).all()) and bool(torch.isfinite(counts).all())
            right = right and len(tokens.unique()) == len(tokens) and bool((counts >= 0).all())
        except (KeyError, TypeError, ValueError, RuntimeError):
            right = False
        if not right:
            raise SnapshotError("The sampler's counts of tokens are damaged; use another copy.")
        return Seen(tokens, counts)


NOTHING_SEEN = Seen(torch.empty(0, dtype=torch.int64), torch.empty(0, dtype=torch.float64))


@dataclass(frozen=True)
class Sampler:
    """A function from logits, a generator and what was written to a token; see make_sampler."""

    temperature: float
    top_k: int
    top_p: float
    min_p: float
    repetition: float
    presence: float
    frequency: float
    decay: float
    banned: tuple[int, ...]

    def __call__(
        self, logits: Tensor, generator: Generator | None = None, seen: Seen = NOTHING_SEEN
    ) -> int:
        """One token for logits (V,). Raises ValueError where none can be drawn."""
        if self.temperature == 0:
            if self.banned or len(seen.tokens):
                logits = self._scores(logits, seen)
            return int(logits.argmax())
        ids, p = self._candidates(self._scores(logits, seen))
        # A number drawn below the sum falls to the first token whose p brings the sum past it.
        until = p.cumsum(0)
        total, u = float(until[-1]), torch.rand((), dtype=torch.float64, generator=generator)
        point = min(float(u) * total, math.nextafter(total, 0))
        place = int(torch.searchsorted(until, point, right=True))
        return place if ids is None else int(ids[place])

    def choose_rows(
        self, logits: Tensor, generators: Sequence[Generator | None], seen: Sequence[Seen]
    ) -> list[int]:
        """A token for each row of logits (B, V), each with its own generator and `seen`."""
        if self.temperature == 0 and not self.banned and not any(len(s.tokens) for s in seen):
            return logits.argmax(-1).tolist()
        return [self(*row) for row in zip(logits, generators, seen, strict=True)]

    def remember(self, seen: Seen, token: int) -> Seen:
        """`seen` after `token` was written; the same where nothing here depends on it."""
        if self.repetition == 1 and self.presence == 0 and self.frequency == 0:
            return seen
        return seen.read(token, self.decay)

    def probabilities(self, logits: Tensor, seen: Seen = NOTHING_SEEN) -> Tensor:
        """What is drawn from: (V,) float64, on the CPU, 0 for what can't come.

        Raises ValueError for logits that are not numbers, and where every token is banned.
        """
        scores = self._scores(logits, seen)
        if self.temperature == 0:
            return torch.zeros_like(scores).index_fill(0, scores.argmax(), 1)
        ids, p = self._candidates(scores)
        whole = p if ids is None else torch.zeros_like(scores).index_copy(0, ids, p)
        return whole / whole.sum()

    def _scores(self, logits: Tensor, seen: Seen) -> Tensor:
        """The logits with penalties and bans: (V,) float64. Raises ValueError for none left."""
        scores = logits.detach().to("cpu", torch.float64)
        if len(seen.tokens):
            x = scores[seen.tokens]
            x = torch.where(x > 0, x / self.repetition, x * self.repetition)
            x = x - self.frequency * seen.counts - self.presence
            scores = scores.index_copy(0, seen.tokens, x)
        if self.banned:
            scores = scores.index_fill(0, torch.tensor(self.banned), -math.inf)
            if scores.max() == -math.inf:
                raise ValueError("every token is banned or impossible, wanted at least one left")
        return scores

    def _candidates(self, scores: Tensor) -> tuple[Tensor | None, Tensor]:
        """Ids (n,), None for all in order, and weights (n,), 0 for what top_p or min_p leave out.

        The weights are to each other as the probabilities. Ids given are the likeliest first.
        """
        greatest = scores.max()
        if not greatest.isfinite():
            raise ValueError(f"the greatest logit is {float(greatest)}, wanted a finite number")
        # Sorting a large vocabulary would cost more than all else, so what can't stay goes first.
        cut = 0 < self.top_k < len(scores)
        if cut:
            may_stay = scores >= scores.topk(self.top_k).values[-1]
        else:
            # The greatest is taken off, so that a small temperature doesn't make it infinite.
            p = torch.softmax((scores - greatest) / self.temperature, 0)
            if self.top_p == 1 and self.min_p == 0:
                return None, p
            # Tokens of less than (1 - top_p) / V each can't be needed to reach top_p. Half of that,
            # so that rounding never leaves out one more.
            may_stay = p >= max((1 - self.top_p) / len(p) / 2, self.min_p * float(p.max()))
        ids = may_stay.nonzero()[:, 0]
        # By score, not by p: a great temperature makes unlike scores alike.
        x, order = scores[ids].sort(descending=True, stable=True)
        ids = ids[order]
        if cut:
            x, ids = x[: self.top_k], ids[: self.top_k]
            p = torch.softmax((x - greatest) / self.temperature, 0)
        else:
            p = p[ids]
        least = self.min_p * p[0]
        if self.top_p < 1:
            p[1:].masked_fill_(p.cumsum(0)[:-1] >= self.top_p, 0)
        return ids, p.masked_fill_(p < least, 0) if self.min_p else p


def make_sampler(
    temperature: float = 0.0,
    top_k: int = 0,
    top_p: float = 1.0,
    min_p: float = 0.0,
    repetition: float = 1.0,
    presence: float = 0.0,
    frequency: float = 0.0,
    decay: float = 1.0,
    banned: Iterable[int] = (),
) -> Sampler:
    """A function from logits (V,), a generator and a `Seen` to a token id.

    temperature 0 is greedy: the likeliest token, the lowest id among equals, no generator used.
    The other options do nothing as they stand here; the module's first lines say what each does.
    banned: ids that never come, such as the rows that only pad a vocabulary.
    Raises ValueError for options out of range.
    """
    for name, value, right, wanted in (
        ("temperature", temperature, 0 <= temperature < math.inf, "0 or more"),
        ("top_k", top_k, isinstance(top_k, int) and top_k >= 0, "a whole number, 0 or more"),
        ("top_p", top_p, 0 < top_p <= 1, "more than 0 and at most 1"),
        ("min_p", min_p, 0 <= min_p <= 1, "at least 0 and at most 1"),
        ("repetition", repetition, 0 < repetition < math.inf, "more than 0"),
        ("presence", presence, math.isfinite(presence), "a finite number"),
        ("frequency", frequency, math.isfinite(frequency), "a finite number"),
        ("decay", decay, 0 < decay <= 1, "more than 0 and at most 1"),
    ):
        if not right:
            raise ValueError(f"{name} is {value}, wanted {wanted}")
    ids = tuple(sorted(set(banned)))
    if ids and ids[0] < 0:
        raise ValueError(f"banned holds {ids[0]}, wanted ids of 0 or more")
    return Sampler(temperature, top_k, top_p, min_p, repetition, presence, frequency, decay, ids)
