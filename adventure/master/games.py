"""One game after another, judged turn by turn beside the exact rules. Knows no network and no file.

Self-fed: what the master said is what it goes on from. Each reply is judged twice: against the true
history, and against the world that the master's own records described just before the turn; the
second is what a player perceives once something has gone wrong.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from adventure.master.probes import (
    MAPPED,
    PROBED,
    Trace,
    compare_maps,
    facts_of,
    pick_keys,
)
from adventure.master.report import Answer, Report
from adventure.master.subjects import Subject
from adventure.referee.forms import forms_of
from adventure.referee.players import Player
from adventure.referee.rules import Outcome, play, start
from adventure.world.prompt import Records, record_line

_TRIES = 30
"""Commands that a player may choose anew so that the game goes on."""


@dataclass
class Game:
    """A place at the table: one game of a world, then the next one from the opening.

    player: makes who gives the commands of a game; probes: questions after each turn of PROBED;
    endings: whether the player may end a game; turns: of all games here; again: whether another
    one follows.
    """

    subject: Subject
    report: Report
    player: Callable[[], Player]
    seed: str
    turns: int
    probes: int = 0
    endings: bool = True
    again: bool = True
    played: int = 0
    position: Any = None

    def __post_init__(self) -> None:
        self._rng = random.Random(self.seed)
        self._curiosity = random.Random(f"{self.seed} probes")  # asking must not change the play
        self._facts = facts_of(self.subject.world)
        self._begin()

    def _begin(self) -> None:
        self._player = self.player()
        self.truth, self.position = start(self.subject.world), self.subject.opening()
        self.unsettled = self.position  # as it was after the latest turn, its segment not ended
        self.turn = self._wrong = self._contradiction = 0
        self._trace, self._left = Trace(), dict[str, str]()

    @property
    def done(self) -> bool:
        """Whether nothing is played here any more."""
        return self.played >= self.turns

    def step(self, other: Game | None = None) -> None:
        """One turn, and what is asked after it; other: a game whose memory a control hands over."""
        self.turn += 1
        self.played += 1
        line = self._command()
        before, records = self.truth, self.position.records
        reply, said, position = self.subject.play(self.position, line)
        outcome = play(self.subject.world, before, line, forms_of(said))
        exact = reply == f"{outcome.reply}\n"
        own = exact or reply == self._by_records(records, line, said)
        self.report.note(self.turn, kind_of(outcome), exact, own)
        if not exact and not self._wrong:
            self._wrong = self.turn
            self.report.first_errors.append(_describe(self.turn, line, outcome, reply, said))
        if not own and not self._contradiction:
            self._contradiction = self.turn
        self._trace.note(self.turn, said, before, outcome.records)
        self._note_way(before, outcome.records, exact, own)
        self.truth = outcome.records
        self.unsettled = position
        self.position = self.subject.settle(position, other and other.unsettled)
        over = self.truth["Game"][0] != "on" or self.position.over
        if self.probes and not over:
            self._ask()
        if over or self.done:
            self._end(over)

    def _command(self) -> str:
        line = self._player(self.subject.world, self.truth, self._rng)
        if self.endings:
            return line
        for _ in range(_TRIES):
            if play(self.subject.world, self.truth, line).records["Game"][0] == "on":
                break
            line = self._player(self.subject.world, self.truth, self._rng)
        return line

    def _end(self, over: bool) -> None:
        how = "cut" if not over else self.truth["Game"][0]
        how = "ended by the master alone" if how == "on" else how
        self.report.game(self.turn, self._wrong, self._contradiction, how)
        if not self.again:
            self.played = self.turns
        if not self.done:
            self._begin()

    def _by_records(self, records: Records, line: str, said: list[str]) -> str | None:
        """What the referee would have said in the world as the master's records describe it."""
        try:
            return play(self.subject.world, records, line, forms_of(said)).reply + "\n"
        except (KeyError, IndexError, ValueError):  # they may say anything
            return None

    def _note_way(self, before: Records, after: Records, exact: bool, own: bool) -> None:
        """Whether this was an arrival where the player has been, and by which way."""
        here, there = before["At"][0], after["At"][0]
        if here == there:
            return
        if there in self._left:
            way = "same way" if self._left[there] == here else "another way"
            self.report.came_back(way, exact, own)
        self._left[here] = there

    def _ask(self) -> None:
        """Questions on a copied position; the game itself goes on as if nobody had asked."""
        subject, own = self.subject, self.position.records
        if self.turn in PROBED:
            for kind, key in pick_keys(self._facts, self._trace, self.probes, self._curiosity):
                answer = subject.answer(self.position, key)
                true = record_line(key, self.truth[key])
                mine = record_line(key, own.get(key, ()))
                age, changes = self._trace.age(key, self.turn), self._trace.changes(key)
                self.report.answered(
                    Answer(kind, self.turn, age, changes, answer == true, answer == mine)
                )
            for kind, keys in self._facts.items():
                for key in keys:
                    self.report.keeps(kind, own.get(key) == self.truth[key])
        if self.turn in MAPPED:
            edges = compare_maps(
                subject.world, self.truth, lambda key: subject.answer(self.position, key)
            )
            self.report.mapped(self.turn, edges)


def kind_of(outcome: Outcome) -> str:
    """Lists that are empty are a kind of their own: boilerplate must not pass for memory."""
    for kind, key in (("inventory: carry", "You carry"), ("deeds: deeds", "Deeds")):
        if outcome.kind.startswith(kind) and record_line(key, ()) in outcome.lines:
            return f"{outcome.kind} (empty)"
    return outcome.kind


def _describe(turn: int, line: str, outcome: Outcome, reply: str, said: list[str]) -> str:
    wanted = "\n".join((*outcome.lines, f"| {outcome.reply}"))
    got = "\n".join((*said, f"| {reply}"))
    return f"\n-- turn {turn}: {line} [{outcome.kind}]\nwanted:\n{wanted}\ngot:\n{got}"
