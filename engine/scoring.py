"""How likely a network finds texts, and what it would write after them; knows no benchmark.

A state is a value: what several texts begin with is read once, and every continuation is tried
from the state after it. Texts may be of any length; none is cut.

Glossary: R rows, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Generator, Tensor

from engine.errors import TokenizerError
from engine.generate import prefill
from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.sampler import Sampler
from engine.tokenizer import END_OF_TEXT, AnyTokenizer
from engine.writing import Point, write

ROWS = 16  # continuations tried side by side
POSITIONS = 256  # logits (V,) held at a time
Tokens = tuple[int, ...]


@dataclass(frozen=True)
class Likelihood:
    """log: the natural logarithm of a continuation's probability; greedy: whether it is what comes
    when the likeliest token is always taken."""

    log: float
    greedy: bool


class Scorer:
    """A network and its tokenizer, asked about texts.

    Every text is read after `start`: the token between documents where there is one, else a line's
    end. ends: the tokens that end a text. read: how many tokens of contexts the network has read.
    """

    def __init__(self, model: Network, tokenizer: AnyTokenizer) -> None:
        """Raises TokenizerError where the two don't belong together."""
        tokenizer.check_fits(model.config.vocab)
        self.model, self.tokenizer = model, tokenizer
        end = _end_of_text(tokenizer)
        self.start: Tokens = tuple(tokenizer.encode("\n")) if end is None else (end,)
        self.ends = frozenset[int]() if end is None else frozenset({end})
        self.read = 0

    def likelihoods(self, pairs: Sequence[tuple[str, str]]) -> list[Likelihood]:
        """How likely each continuation is after its context; either may be of any length."""
        split = [self.split(*pair) for pair in pairs]
        wanted: dict[Tokens, list[int]] = {}
        for i, (context, _) in enumerate(split):
            wanted.setdefault(context, []).append(i)
        found: dict[int, Likelihood] = {}
        for context, logits, state in self._positions(wanted):
            places = wanted[context]
            rows = [split[i][1] for i in places]
            for at in range(0, len(rows), ROWS):
                some = self._continue(logits, state, rows[at : at + ROWS])
                found |= dict(zip(places[at : at + ROWS], some, strict=True))
        return [found[i] for i in range(len(pairs))]

    def split(self, context: str, continuation: str) -> tuple[Tokens, Tokens]:
        """The two as tokens, the context's after `start`.

        Together they are the tokens of the whole text: where a token would span the border, the
        continuation begins with it.
        """
        alone, whole = self.tokenizer.encode(context), self.tokenizer.encode(context + continuation)
        border = _common(alone, whole)
        return (*self.start, *whole[:border]), tuple(whole[border:])

    def write(
        self,
        contexts: Sequence[str],
        sampler: Sampler,
        stops: Sequence[str] = (),
        limit: int = 256,
        generator: Generator | None = None,
    ) -> list[str]:
        """What comes after each context, up to a stop text, the end of a text, or `limit` tokens.

        Raises ValueError for an empty stop text.
        """
        wanted: dict[Tokens, list[int]] = {}
        for i, context in enumerate(contexts):
            wanted.setdefault((*self.start, *self.tokenizer.encode(context)), []).append(i)
        found: dict[int, str] = {}
        for tokens, logits, state in self._positions(wanted):
            for i in wanted[tokens]:
                found[i] = self._write(Point(state, logits), sampler, stops, limit, generator)
        return [found[i] for i in range(len(contexts))]

    def _write(
        self,
        point: Point,
        sampler: Sampler,
        stops: Sequence[str],
        limit: int,
        generator: Generator | None,
    ) -> str:
        text, rest = "", ""
        for token, piece, after in write(
            self.model, self.tokenizer, point, sampler, generator, stops, self.ends, limit
        ):
            text += piece
            rest = "" if token in self.ends else after.rest
        return text + rest

    def _positions(self, contexts: Iterable[Tokens]) -> Iterator[tuple[Tokens, Tensor, State]]:
        """Each context with the logits (V,) and the state after it, in sorted order.

        Where a later context parts from this one, the state is kept as long as it may be needed:
        nothing that contexts have in common is read twice.
        """
        ordered = sorted(contexts)
        parting = [_common(a, b) for a, b in pairwise(ordered)]
        kept: list[tuple[int, Tensor, State]] = []
        for i, context in enumerate(ordered):
            shared = parting[i - 1] if i else 0
            while kept and kept[-1][0] > shared:
                kept.pop()
            at = kept[-1][0] if kept else 0
            state = kept[-1][2] if kept else self.model.initial_state()
            for end in _cuts(parting, i, shared, len(context)):
                if end > at:
                    logits, state = prefill(self.model, torch.tensor([context[at:end]]), state)
                    self.read += end - at
                    kept.append((end, logits[0], state))
                    at = end
            yield context, kept[-1][1], kept[-1][2]

    @torch.no_grad()
    def _continue(self, logits: Tensor, state: State, rows: Sequence[Tokens]) -> list[Likelihood]:
        """Try continuations from one position: logits (V,), state (batch 1)."""
        R, longest = len(rows), max(map(len, rows))
        logs, greedy = [0.0] * R, [True] * R

        def count(row: int, token: int, logits: Tensor) -> None:
            logs[row] += float(logits[token].double() - logits.double().logsumexp(-1))
            greedy[row] &= int(logits.argmax()) == token

        for row, tokens in enumerate(rows):
            if tokens:
                count(row, tokens[0], logits)
        padded = torch.zeros(R, longest, dtype=torch.long)
        for row, tokens in enumerate(rows):
            padded[row, : len(tokens)] = torch.tensor(tokens, dtype=torch.long)
        lengths = torch.tensor([len(tokens) for tokens in rows])
        state = state.select([0] * R)
        # What is read after a row's end changes nothing before it.
        for at in range(0, longest - 1, max(1, POSITIONS // R)):
            part = padded[:, at : min(at + max(1, POSITIONS // R), longest - 1)]
            places = at + torch.arange(part.shape[1])
            asked = places.unsqueeze(0) + 1 < lengths.unsqueeze(1)  # (R, T)
            found, state = self.model(part, state, select=asked)
            for (row, t), row_logits in zip(asked.nonzero().tolist(), found, strict=True):
                count(row, rows[row][at + t + 1], row_logits)
        return [Likelihood(log, good) for log, good in zip(logs, greedy, strict=True)]


def _cuts(parting: Sequence[int], i: int, shared: int, whole: int) -> list[int]:
    """Where to stop in context `i` on the way to its end: past what it shares with the one before,
    wherever a later one parts from it."""
    cuts, least = [whole], whole
    for later in range(i, len(parting)):
        least = min(least, parting[later])
        if least <= shared:
            break
        if least < cuts[-1]:
            cuts.append(least)
    return cuts[::-1]


def _common(a: Sequence[int], b: Sequence[int]) -> int:
    """How many tokens both begin with."""
    for i, (x, y) in enumerate(zip(a, b, strict=False)):
        if x != y:
            return i
    return min(len(a), len(b))


def _end_of_text(tokenizer: AnyTokenizer) -> int | None:
    try:
        return tokenizer.id_of(END_OF_TEXT)
    except TokenizerError:
        return None
