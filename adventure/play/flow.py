"""Text that is still coming -> text that can be printed: wrapped lines, or whole sentences.

Knows widths of characters; no terminal.
"""

from __future__ import annotations

import re

from prompt_toolkit.utils import get_cwidth

_SENTENCE_END = re.compile(r"[.!?][\"')\u2019\u201d]*\s+(?=[^a-z\s])|\n")


class Wrapper:
    """Breaks lines between words while the text is still coming."""

    def __init__(self, width: int) -> None:
        self._width = max(1, width)
        self._column = 0
        self._word = ""
        self._gap = 0

    def push(self, text: str) -> str:
        """What can be printed by now; a word that may still go on is held back."""
        out = []
        for part in re.findall(r" |\n|[^ \n]+", text):
            if part == "\n":
                out += [self._end_word(), "\n"]
                self._column = self._gap = 0
            elif part == " ":
                out.append(self._end_word())
                self._gap += bool(self._column)
            else:
                self._word += part
        return "".join(out)

    def flush(self) -> str:
        """The last word."""
        return self._end_word()

    def _end_word(self) -> str:
        word, self._word = self._word, ""
        if not word:
            return ""
        wide = get_cwidth(word)
        lead = " " * self._gap
        if self._column and self._column + self._gap + wide > self._width:
            lead, self._column, self._gap = "\n", 0, 0
        pieces = [lead]
        for character in word:
            if self._column + self._gap + get_cwidth(character) > self._width and self._column:
                pieces.append("\n")
                self._column = self._gap = 0
            pieces.append(character)
            self._column += self._gap + get_cwidth(character)
            self._gap = 0
        return "".join(pieces)


class Sentences:
    """Lets text through in whole sentences, unwrapped: what a screen reader can speak."""

    def __init__(self) -> None:
        self._held = ""

    def push(self, text: str) -> str:
        """All sentences that are complete."""
        self._held += text
        ends = [match.end() for match in _SENTENCE_END.finditer(self._held)]
        ready, self._held = (
            self._held[: ends[-1] if ends else 0],
            self._held[ends[-1] if ends else 0 :],
        )
        return ready

    def flush(self) -> str:
        """What is left."""
        ready, self._held = self._held, ""
        return ready
