"""A turn of the game master's, decoded as it is iterated. Knows the protocol; holds no game."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch import Generator

from adventure.master.position import Position
from engine.generate import decode, prefill
from engine.tokenizer import StreamDecoder

if TYPE_CHECKING:
    from adventure.master.gamemaster import GameMaster


@dataclass(frozen=True)
class Piece:
    """A bit of a reply as it is decoded: of a hidden record line, or of the visible text."""

    kind: Literal["record", "text"]
    text: str


class Turn:
    """One turn, decoded as it is iterated; then position, reply and records (the hidden lines).

    limit: tokens of the reply, hidden ones included. lost: the network never came to a reply, or to
    its end; the position is then the one before.
    """

    def __init__(
        self,
        master: GameMaster,
        position: Position,
        line: str,
        generator: Generator | None,
        limit: int,
    ) -> None:
        self._master, self._before, self._line, self._generator = master, position, line, generator
        self._limit = limit
        self.position, self.lost = position, True
        self.reply = ""
        self.records: list[str] = []

    def __iter__(self) -> Iterator[Piece]:
        m = self._master
        read, state = prefill(m.model, m.asked(self._line), self._before.state)
        logits = read[0]
        decoder, text, hidden, visible = StreamDecoder(m.tokenizer), _Lines(), "", False
        told = 0
        for said in decode(
            m.model, logits, state, m.sampler, self._generator, {m.end}, self._limit
        ):
            token, logits, state = said
            told += 1
            piece = decoder.flush() if token in (m.say, m.end) else decoder.push(token)
            if visible:
                piece = text.push(piece)
                self.reply += piece
            else:
                hidden += piece
            if piece:
                yield Piece("text" if visible else "record", piece)
            visible = visible or token == m.say
            self.lost = not visible or token != m.end
        self.records = hidden.splitlines()
        if not self.lost:
            self.position = m.after(self._before, state, logits, self.records, told)


class _Lines:
    """Takes off the space that begins each line, and holds newlines back until text follows."""

    def __init__(self) -> None:
        self._start, self._held = True, ""

    def push(self, piece: str) -> str:
        out = ""
        for char in piece:
            if char == "\n":
                self._held, self._start = self._held + char, True
            elif self._start and char == " ":
                self._start = False
            else:
                out, self._held, self._start = out + self._held + char, "", False
        return out
