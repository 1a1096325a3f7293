"""Who is judged: a game master as the benchmark plays it. Knows no truth and counts nothing.

A turn is drafted by the referee, from the master's own records, and checked by the network in one
pass (engine/draft.py): the same tokens as in play, several times sooner where the master keeps to
the rules. A question is a record's key, put to a copy of the position as the first hidden line of a
turn; the master writes on to the end of the line, and the game doesn't move.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch

from adventure.master import gamemaster
from adventure.master.gamemaster import GameMaster, Position
from adventure.master.segments import end_segments
from adventure.referee.forms import forms_of
from adventure.referee.rules import play
from adventure.world.parts import World
from adventure.world.prompt import Records, command_text, reply_text
from engine.copyhints import CopyHints
from engine.draft import rest_of, write_drafted
from engine.rwkv.state import State

Loss = Literal["state", "hints", "words", "words-swap", "latent", "latent-swap"]
"""What a control takes away: before every turn the network's state, or what its hints look into;
at the start of every segment the memory in words or the latent one, or it is another game's."""
FORM = " or"
"""How the line that names a standing reply goes on for another form of it."""
BEGINNING = 3
"""Tokens by which a line of the pack is known again."""


class Subject(Protocol):
    """Plays one world; holds no game. Of a position judging knows `records` and `over`."""

    @property
    def world(self) -> World: ...

    def opening(self) -> Any:
        """The position before the first turn."""

    def play(self, position: Any, line: str) -> tuple[str, list[str], Any]:
        """One turn: the raw reply with its newline, the hidden lines, the position after it."""

    def settle(self, position: Any, other: Any = None) -> Any:
        """End the segment if it is full; `other` is another game of the same world, as it was
        before it was settled."""

    def answer(self, position: Any, key: str) -> str:
        """The record that the master writes under `key`, asked of a copy: a line, no newline."""


@dataclass
class NetworkSubject:
    """A GameMaster, played greedily. loss: the control, if this is one; that the memory in words or
    the latent one isn't used at all is the GameMaster's own affair."""

    master: GameMaster
    loss: Loss | None = None

    def __post_init__(self) -> None:
        self._pack = lines_by_beginning(self.master)

    @property
    def world(self) -> World:
        """The world that is played."""
        return self.master.world

    def opening(self) -> Position:
        """The position before the first turn."""
        return self.master.opening()

    def play(self, position: Position, line: str) -> tuple[str, list[str], Position]:
        """As `GameMaster.play_batch` of one game."""
        master, before = self.master, wiped(position, self.loss)
        written = write_drafted(
            master.model,
            master.tokenizer.encode(command_text(line)),
            before.state,
            RefereeDraft(master, before.records, line, self._pack),
            {master.end},
            gamemaster.LONGEST_REPLY,
        )
        return master.finished(before, written.tokens, written.state, written.logits)

    def settle(self, position: Position, other: Position | None = None) -> Position:
        """As `GameMaster.settle`; under a control that swaps, the memory is the other game's."""
        if other is None or self.loss not in ("words-swap", "latent-swap"):
            return self.master.settle(position)
        if self.loss == "latent-swap":
            usual = self.master.settle(position)
            if usual is position:
                return position
            # What it writes now: what it has read was handed over, too, and was never written.
            written, _ = end_segments(self.master.model, self.master.memory, [other])
            return usual if written is None else self.master.settle(position, written[0])
        read = dataclasses.replace(position, records=other.records, changed=other.changed)
        settled = self.master.settle(read)
        return dataclasses.replace(settled, records=position.records, changed=position.changed)

    def answer(self, position: Position, key: str) -> str:
        """The record under `key` as the network writes it."""
        return self.master.recall(wiped(position, self.loss), key)


class RefereeDraft:
    """The referee's turn as a guess, with the forms that the master has chosen so far. Where it has
    said something else: line by line, the referee's line after the one that both said last; or the
    line of the pack that begins as this one does, by `lines_by_beginning`."""

    def __init__(
        self,
        master: GameMaster,
        records: Records,
        line: str,
        pack: Mapping[tuple[int, ...], Sequence[int]],
    ) -> None:
        self._master, self._records, self._line, self._pack = master, records, line, pack
        self._newline = master.newline
        self._lines = list[str]()
        self._tokens = self._draft([])

    def __call__(self, told: Sequence[int]) -> Sequence[int]:
        """The tokens that may come next."""
        tokenizer, say = self._master.tokenizer, self._master.say
        rest = rest_of(self._tokens, told)
        if rest:
            return rest
        said = tokenizer.decode([*told])
        if said.endswith(FORM):
            self._tokens = self._draft(said.split("\n"))
            return rest_of(self._tokens, told)
        begins = [i + 1 for i, token in enumerate(told) if token in (say, self._newline)]
        begun = told[begins[-1] if begins else 0 :]
        if begun or say in told:
            return rest_of(self._pack.get(tuple(begun[:BEGINNING]), ()), begun)
        lines = said.split("\n")[:-1]
        last = lines[-1] if lines else ""
        at = self._lines.index(last) + 1 if last in self._lines else len(lines)
        if at < len(self._lines):
            return tokenizer.encode(f"{self._lines[at]}\n")
        return [say]

    def _draft(self, said: list[str]) -> Sequence[int]:
        try:
            outcome = play(self._master.world, self._records, self._line, forms_of(said))
        except (KeyError, IndexError, ValueError):  # records may say anything
            return ()
        self._lines = outcome.lines
        return self._master.tokenizer.encode(reply_text(outcome.lines, outcome.reply))


def lines_by_beginning(master: GameMaster) -> dict[tuple[int, ...], list[int]]:
    """The first tokens of a line of the pack -> all tokens of the first line that begins so."""
    lines = [master.tokenizer.encode(f"{line}\n") for line in master.prompt.splitlines()]
    return {tuple(line[:BEGINNING]): line for line in reversed(lines) if len(line) > BEGINNING}


def wiped(position: Position, loss: Loss | None) -> Position:
    """A control: the position with a state of zeros, or with nothing for the hints to look into."""
    state = position.state
    if loss == "state":
        zeros = {name: torch.zeros_like(tensor) for name, tensor in state.tensors.items()}
        state = State(zeros, state.hints)
    elif loss == "hints" and state.hints is not None:
        state = State(state.tensors, tuple(CopyHints.start(h.config) for h in state.hints))
    return dataclasses.replace(position, state=state)
