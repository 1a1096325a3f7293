"""Copy hints: which tokens the text so far suggests next. Knows token ids, no game.

The network gets the hints as a second input embedding and as gates on its logits; it decides
whether to follow one. A hint depends on the tokens read so far and on nothing else, so every mode
and every split of the tokens sees the same hints. The idea follows RWKV-8's ROSA (longest-suffix
prediction); here the text has lines. Lines `key: item, item.` are records, of which the latest with
a key is the valid one; blocks are lines to follow one by one; templates have marks to fill in.

Each channel is a *thread*: a place being copied from.

  RECORD   the latest line that begins like this one; from the colon on, that line's value
  SKIP     the same record, one list item further (to leave the hinted item out)
  VALUE    the value of the record finished last in this turn, if that is no list; the list that
           what moved has left, or that a light is in which is switched
  KEY      the key of the record finished last in this turn, if that is no list; of a door with the
           way through it; after `new`, that of the block's own; of somebody who comes or goes,
           ` say`; in the dark, the list in which a light may be; after going, the heading of the
           block on arrival; after a block, what tells where it has led to
  NOUN     the command's first noun
  NOUN2    the second one
  SEQUEL   what is to be told: the templates and prose named so far in this turn, marks filled in
  NEXT     the block's next line (after a condition: where to go on if it holds)
  ELSE     after a condition: where to go on if it fails
  ABOUT    the subject of the block's line finished last; of `you`, the key `at`
  TO       the object of it; where a way is made, its direction once the way itself is written;
           the list that what moved is in now
  PLACE    the first item of the turn's latest record under the key `at`; to go, the way from there
  DUE      what the turn goes on with when this is done: the clocks, then the heading of the block
           of each that has run out, then the reply

Glossary: T tokens, K = CHANNELS, turn = from the command mark on.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

import numpy as np

from engine.hintconfig import (
    ABOUT,
    CHANNELS,
    CODES,
    DUE,
    ELSE,
    KEY,
    NEXT,
    NOUN,
    NOUN2,
    PLACE,
    RECORD,
    SEQUEL,
    SKIP,
    TO,
    VALUE,
    HintConfig,
)
from engine.hintthreads import Threads

__all__ = [
    "ABOUT",
    "CHANNELS",
    "CODES",
    "DUE",
    "ELSE",
    "KEY",
    "NEXT",
    "NOUN",
    "NOUN2",
    "PLACE",
    "RECORD",
    "SEQUEL",
    "SKIP",
    "TO",
    "VALUE",
    "CopyHints",
    "HintConfig",
]


class CopyHints:
    """The hints' state as a value: reading gives a new one and leaves this one as it was."""

    __slots__ = ("_n", "_threads", "config")

    def __init__(self, config: HintConfig, threads: Threads) -> None:
        self.config, self._threads, self._n = config, threads, len(threads.log.tok)

    @staticmethod
    def start(config: HintConfig) -> CopyHints:
        """Nothing read yet."""
        return CopyHints(config, Threads(config))

    @property
    def tokens(self) -> tuple[int, ...]:
        """All tokens read so far; `start(config).read(tokens)` rebuilds this value."""
        return tuple(self._threads.log.tok[: self._n])

    def __len__(self) -> int:
        return self._n

    def read(self, tokens: Sequence[int]) -> tuple[np.ndarray, np.ndarray, CopyHints]:
        """Hints after each token, ids (T, K) and codes (T, K) int64, and the state after all."""
        threads = self._threads.copy(self._n)
        shape = (len(tokens), CHANNELS)
        ids, codes = (array("q", bytes(8 * len(tokens) * CHANNELS)) for _ in "ic")
        for row, token in enumerate(tokens):
            threads.push(int(token))
            threads.hints(ids, codes, row * CHANNELS)
        return (
            np.frombuffer(ids, dtype=np.int64).reshape(shape),
            np.frombuffer(codes, dtype=np.int64).reshape(shape),
            CopyHints(self.config, threads),
        )
