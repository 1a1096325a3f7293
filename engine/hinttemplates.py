"""Templates of what will be told: how their marks are filled in, and how they are followed.

Knows no channel.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from engine.hintlog import HintLog


@dataclass(frozen=True)
class Telling:
    """tokens: what is to be told; articles: places in it of articles that the master may leave out
    (whether a name has a capital can't always be told from its first token: an accented one's)."""

    tokens: tuple[int, ...] = ()
    articles: frozenset[int] = frozenset()

    def and_line(
        self, log: HintLog, at: int, names: Mapping[int, tuple[int, ...]], value: tuple[int, int]
    ) -> Telling:
        """With the pack's line at `at` after it, marks filled in.

        names: mark -> the name it stands for, which takes an article; value: where the value of the
        record before begins and ends.
        """
        c, tok = log.config, log.tok
        told, articles = list(self.tokens), set(self.articles)
        while tok[at] != c.newline:
            token = tok[at]
            at += 1
            if token in (c.noun, c.noun2, c.key, c.about):
                name = names.get(token, ())
                if not name or name[0] not in log.capitals:
                    if name:
                        articles.add(len(told))
                    told.append(c.article)
                told += name
            elif token in (c.value, c.last, c.first):
                told += _part(log, token, *value)
            else:
                told.append(token)
        return Telling((*told, c.newline), frozenset(articles))

    def after(self, at: int, token: int) -> int:
        """Where it goes on after `token` where it had come to `at`; -1: other words were told."""
        text = self.tokens
        if not 0 <= at < len(text):
            return at
        if text[at] == token:
            return at + 1
        if at in self.articles and text[at + 1] == token:
            return at + 2  # a name that takes no article
        return -1


def _part(log: HintLog, mark: int, start: int, stop: int) -> list[int]:
    """The part of a record's value that a mark stands for: its first item, its last, or all."""
    if mark == log.config.first:
        stop = min(stop, log.delimiter(start))
    elif mark == log.config.last:
        commas = (i for i in range(stop - 1, start - 1, -1) if log.tok[i] == log.config.comma)
        start = next(commas, start - 1) + 1
    return log.tok[start:stop]
