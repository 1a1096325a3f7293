"""Copy hints: which tokens the text so far suggests next. Knows token ids, no game.

The network gets the hints as a second input embedding and as gates on its logits; it decides
whether to follow one. A hint depends on the tokens read so far and on nothing else, so every mode
and every split of the tokens sees the same hints. The idea follows RWKV-8's ROSA (longest-suffix
prediction); here the text has lines, and lines of the form `key: item, item.` are records, of which
the latest with a key is the valid one. Each channel is a *thread*: a place being copied from.

  RECORD   the latest line that begins like this one; from the colon on, that line's value
  SKIP     the same record, one list item further (to leave the hinted item out)
  VALUE    the value of the record finished last in this turn
  KEY      the key of the record finished last in this turn
  NOUN     the first noun phrase of the command (after the verb)
  NOUN2    the second one (after the preposition)
  SEQUEL   what followed the last time the line just finished was read

Glossary: T tokens, K = CHANNELS, p = the current line up to here, turn = from the command mark on.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields

import numpy as np

RECORD, SKIP, VALUE, KEY, NOUN, NOUN2, SEQUEL = range(7)
CHANNELS = 7
CODES = 7
"""Sureness codes of a channel: 0 no hint. RECORD: 1 inside the key, 4-6 inside the value; 5 and 6
say that the item ahead is the command's first or second noun. Others: 1 fresh (at the start of its
source), 2 running (the last token came from there), 3 and 4 the same and the hinted token is also
RECORD's."""

_SEED = 7


@dataclass(frozen=True)
class HintConfig:
    """Ids of the tokens that structure the text; `preposition` joins two nouns in a command."""

    newline: int
    colon: int
    comma: int
    stop: int
    command: int
    say: int
    end: int
    preposition: int

    def to_metadata(self) -> dict[str, str]:
        """As the safetensors header keeps it."""
        return {"hints": json.dumps(asdict(self), sort_keys=True)}

    @staticmethod
    def from_metadata(metadata: dict[str, str]) -> HintConfig | None:
        """None where the checkpoint has no hints. Raises ValueError on a damaged entry."""
        if "hints" not in metadata:
            return None
        raw = json.loads(metadata["hints"])
        names = {f.name for f in fields(HintConfig)}
        if not isinstance(raw, dict) or set(raw) != names:
            raise ValueError(f"hints must name exactly {sorted(names)}")
        if not all(type(value) is int and value >= 0 for value in raw.values()):
            raise ValueError(f"hints must be token ids, got {raw}")
        return HintConfig(**raw)


class CopyHints:
    """The hints' state as a value: reading gives a new one and leaves this one as it was."""

    __slots__ = ("_log", "_n", "config")

    def __init__(self, config: HintConfig, log: _Log, n: int) -> None:
        self.config, self._log, self._n = config, log, n

    @staticmethod
    def start(config: HintConfig) -> CopyHints:
        """Nothing read yet."""
        return CopyHints(config, _Log(config), 0)

    @property
    def tokens(self) -> tuple[int, ...]:
        """All tokens read so far; `start(config).read(tokens)` rebuilds this value."""
        return tuple(self._log.tok[: self._n])

    def __len__(self) -> int:
        return self._n

    def read(self, tokens: Sequence[int]) -> tuple[np.ndarray, np.ndarray, CopyHints]:
        """Hints after each token, ids (T, K) and codes (T, K) int64, and the state after all."""
        log = self._log
        if len(log.tok) != self._n:  # another continuation went on from here: replay our own prefix
            known = log.tok[: self._n]
            log = _Log(self.config)
            for token in known:
                log.push(token)
        ids = np.zeros((len(tokens), CHANNELS), dtype=np.int64)
        codes = np.zeros((len(tokens), CHANNELS), dtype=np.int64)
        for t, token in enumerate(tokens):
            log.push(int(token))
            log.hints(ids[t], codes[t])
        return ids, codes, CopyHints(self.config, log, len(log.tok))


class _Log:
    """The tokens read, two indices over them, and the threads. Grows only; CopyHints guards it."""

    def __init__(self, config: HintConfig) -> None:
        self._c = config
        self._delims = (config.comma, config.stop, config.newline)
        self.tok: list[int] = []
        # Of the latest line with that hash: a line's prefix -> position after the prefix, and
        # a whole line -> position after its newline.
        self.starts: dict[int, int] = {}
        self.after: dict[int, int] = {}
        self.p_hash = _SEED
        self.line_start = 0
        self._key_done = False
        self._in_command = False
        self._said = True  # before the first command there are no records of a turn
        self.rec = -1
        self.skip = -1
        self.skip_run = False
        self.seq = -1
        self.seq_run = False
        self.noun: tuple[int, ...] = ()
        self.noun2: tuple[int, ...] = ()
        # channel -> [source start, position, running]; start < 0: no source
        self.threads: dict[int, list[int]] = {c: [-1, -1, 0] for c in (VALUE, KEY, NOUN, NOUN2)}

    # -- reading ---------------------------------------------------------------------------------

    def push(self, token: int) -> None:
        """Take in one token: advance every thread, then index the line."""
        c = self._c
        here = len(self.tok)
        self.tok.append(token)
        if token == c.command:
            self._begin_turn(here)
            return
        if self._in_command:
            if token == c.newline:
                self._end_command(here)
            return
        if token == c.say or token == c.end:
            self._said = self._said or token == c.say
            self._new_line(here + 1)
            return
        self._advance_threads(token)
        self._advance_sequel(token)
        self._advance_record(token, here)
        if token == c.newline:
            self._end_line(here)

    def _begin_turn(self, here: int) -> None:
        self._in_command, self._said = True, False
        for thread in self.threads.values():
            thread[:] = [-1, -1, 0]
        self.noun = self.noun2 = ()
        self.rec = self.skip = self.seq = -1
        self.line_start = here + 1

    def _end_command(self, here: int) -> None:
        words = self.tok[self.line_start : here]  # verb, noun phrase, maybe preposition and another
        first = self.line_start + 1
        middle = words.index(self._c.preposition) if self._c.preposition in words else len(words)
        self.noun = tuple(words[1:middle])
        self.noun2 = tuple(words[middle + 1 :])
        if self.noun:
            self.threads[NOUN][:] = [first, first, 0]
        if self.noun2:
            second = self.line_start + middle + 1
            self.threads[NOUN2][:] = [second, second, 0]
        self._in_command = False
        self._new_line(here + 1)

    def _new_line(self, start: int) -> None:
        self.line_start, self.p_hash, self._key_done = start, _SEED, False
        self.rec = self.skip = -1

    def _advance_threads(self, token: int) -> None:
        tok = self.tok
        for thread in self.threads.values():
            start = thread[0]
            if start < 0:
                continue
            if tok[thread[1]] == token:
                thread[1] += 1
                thread[2] = 1
            elif tok[start] == token:
                thread[1], thread[2] = start + 1, 1
            else:
                thread[1], thread[2] = start, 0

    def _advance_sequel(self, token: int) -> None:
        if 0 <= self.seq < len(self.tok):
            if self.tok[self.seq] == token:
                self.seq += 1
                self.seq_run = True
            else:
                self.seq = -1

    def _advance_record(self, token: int, here: int) -> None:
        prefix = hash((self.p_hash, token))
        if self._key_done:
            self._advance_value(token)
        else:
            self.rec = self.starts.get(prefix, -1)
            if token == self._c.colon:
                self._key_done = True
                self._place_skip()
        if not self._key_done or token == self._c.colon:
            self.starts[prefix] = here + 1
        self.p_hash = prefix

    def _advance_value(self, token: int) -> None:
        """Follow the record's value; a token that is only in the other thread moves there."""
        tok, rec, skip = self.tok, self.rec, self.skip
        if not 0 <= rec < len(tok):
            return
        if tok[rec] == token:
            self.rec = rec + 1
            if 0 <= skip < len(tok) and tok[skip] == token and not self._at_boundary(self.rec):
                self.skip, self.skip_run = skip + 1, True
            else:
                self._place_skip()
        elif 0 <= skip < len(tok) and tok[skip] == token:
            self.rec = skip + 1
            self._place_skip()
        # else: something was put in; the thread waits where it is

    def _at_boundary(self, i: int) -> bool:
        """Whether an item ends before position i or begins there."""
        if i < len(self.tok) and self.tok[i] in self._delims:
            return True
        return self.tok[i - 1] in (self._c.comma, self._c.colon)

    def _place_skip(self) -> None:
        """One item further than the record thread; nowhere if that is inside an item."""
        self.skip, self.skip_run = -1, False
        tok, i = self.tok, self.rec
        if i < 0 or i >= len(tok) or not self._at_boundary(i):
            return
        if tok[i] == self._c.comma:
            self.skip = self._delimiter(i + 1)
        elif tok[i] not in self._delims:
            self.skip = self._delimiter(i) + 1

    def _delimiter(self, i: int) -> int:
        tok, last = self.tok, len(self.tok) - 1
        while i < last and tok[i] not in self._delims:
            i += 1
        return i

    def _end_line(self, here: int) -> None:
        """A line is complete: it becomes the turn's last record, and its sequel is looked up."""
        if self._key_done and not self._said:
            value = self.tok.index(self._c.colon, self.line_start) + 1
            self.threads[VALUE][:] = [value, value, 0]
            self.threads[KEY][:] = [self.line_start, self.line_start, 0]
        whole = hash((self.p_hash, -1))
        sequel = self.after.get(whole, -1)
        if 0 <= sequel < len(self.tok) and self.tok[sequel] == self._c.say:
            sequel += 1  # hidden line, then the mark: the text behind the mark is the sequel
        self.seq, self.seq_run = sequel, False
        self.after[whole] = here + 1
        self._new_line(here + 1)

    # -- the hints -------------------------------------------------------------------------------

    def hints(self, ids: np.ndarray, codes: np.ndarray) -> None:
        """Write the K hinted ids and codes for the position after the last token."""
        if self._in_command:
            return
        tok, n = self.tok, len(self.tok)
        record = -1
        if 0 <= self.rec < n:
            record = ids[RECORD] = tok[self.rec]
            codes[RECORD] = (4 if self._key_done else 1) + self._item_flag()
        if 0 <= self.skip < n:
            ids[SKIP] = tok[self.skip]
            codes[SKIP] = (2 if self.skip_run else 1) + (2 if ids[SKIP] == record else 0)
        for channel, (start, at, running) in self.threads.items():
            if start >= 0:
                ids[channel] = tok[at]
                codes[channel] = (2 if running else 1) + (2 if tok[at] == record else 0)
        if 0 <= self.seq < n:
            ids[SEQUEL] = tok[self.seq]
            codes[SEQUEL] = (2 if self.seq_run else 1) + (2 if ids[SEQUEL] == record else 0)

    def _item_flag(self) -> int:
        """1 or 2 where the item ahead of the record thread is the first or second noun."""
        if not self._key_done or not self._at_boundary(self.rec):
            return 0
        first = self.rec + 1 if self.tok[self.rec] == self._c.comma else self.rec
        if first >= len(self.tok) or self.tok[first] in self._delims:
            return 0
        item = tuple(self.tok[first : self._delimiter(first)])
        if item == self.noun:
            return 1
        return 2 if item == self.noun2 else 0
