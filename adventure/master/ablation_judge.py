"""How an arm of the ablation plays, and how it is judged. Knows no training run and no file.

As in `adventure eval`: every arm plays the same games in the same worlds of held-out words, goes on
from what it said itself, and the exact referee judges every reply by the true history. The turns
of a first segment are counted apart: only after it does a game need what was carried.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from adventure.master.ablation_arms import Arm, Control
from adventure.master.corpus import Kind, hint_config, make_group
from adventure.master.gamemaster import SEGMENT_TURNS, GameMaster, Position
from adventure.master.games import Game
from adventure.master.judged import EVAL_SEED, Seat, seats_of
from adventure.master.report import Report, Tallies, Tally
from adventure.master.segments import Latent, MemoryUse
from adventure.master.simple import everyday, simple_world
from adventure.master.subjects import Loss, NetworkSubject, RefereeDraft
from adventure.master.tune import VALIDATED, VALIDATION_SEED
from adventure.master.validation import validate
from adventure.referee import rules
from adventure.referee.players import Player
from adventure.referee.rules import start
from adventure.world.generate import random_world
from adventure.world.parts import World
from adventure.world.prompt import command_text
from engine.draft import write_drafted
from engine.rwkv.network import Network
from engine.tokenizer import Tokenizer

LONGEST_REPLY = 600
"""Tokens of a turn; a master that has learned nothing would write on for as long as it may."""
GAMES = 2
"""In each world: what one has in its memory can be given to the other."""


@dataclass(frozen=True)
class Measure:
    """What all arms are judged in: how many worlds, of how many rooms, turns of each game."""

    worlds: int = 12
    turns: int = 36
    rooms: tuple[int, int] = (3, 5)


@dataclass
class Parts(Report):
    """Turns of the first segment, if it was as long as one may be, and those after it."""

    parts: Tallies = field(default_factory=lambda: {"first": Tally(), "later": Tally()})

    def note(self, turn: int, kind: str, exact: bool, own: bool) -> None:
        """Count one turn, by its number from 1."""
        super().note(turn, kind, exact, own)
        self.parts["first" if turn <= SEGMENT_TURNS else "later"].note(exact, own)

    def shares(self) -> dict[str, Any]:
        """Each part and all of them as plain numbers."""
        return {name: t.figures() for name, t in (*self.parts.items(), ("all", self.turns))}


class _Subject(NetworkSubject):
    """A master as its arm plays; without hidden lines a game is one segment."""

    hidden = True

    def play(self, position: Position, line: str) -> tuple[str, list[str], Position]:
        """One turn of at most LONGEST_REPLY tokens."""
        master = self.master
        kind = RefereeDraft if self.hidden else _RepliesOnly
        written = write_drafted(
            master.model,
            master.tokenizer.encode(command_text(line)),
            position.state,
            kind(master, position.records, line, self._pack),
            {master.end},
            LONGEST_REPLY,
        )
        return master.finished(position, written.tokens, written.state, written.logits)

    def settle(self, position: Position, other: Position | None = None) -> Position:
        """End the segment if it is full."""
        return super().settle(position, other) if self.hidden else position


class _RepliesOnly(RefereeDraft):
    """Guesses turns without hidden lines."""

    def _draft(self, said: list[str]) -> Sequence[int]:
        whole = super()._draft(said)
        say = self._master.say
        return whole[whole.index(say) :] if say in whole else ()


def play(
    model: Network,
    tokenizer: Tokenizer,
    arm: Arm,
    measure: Measure,
    control: Control | None = None,
) -> dict[str, Any]:
    """Shares of turns told exactly, as `Parts.shares` gives them."""
    report = Parts()
    pairs = [*_pairs(model, tokenizer, arm, measure, control, report)]
    while live := [(game, other) for game, other in pairs if not game.done]:
        for game, other in live:
            game.step(other if control == "swapped" else None)
    return report.shares()


def _pairs(
    model: Network,
    tokenizer: Tokenizer,
    arm: Arm,
    measure: Measure,
    control: Control | None,
    report: Report,
) -> Iterator[tuple[Game, Game]]:
    """Every game, with another one of its world."""
    use = used(arm, control)
    for world, seats in _seated(measure):
        loss = _swapped(arm) if control == "swapped" else None
        subject = _Subject(GameMaster(model, tokenizer, world, memory=use), loss)
        subject.hidden = arm.hidden
        games = [
            Game(subject, report, _playing(seat), seat.seed, seat.turns, endings=False)
            for seat in seats
        ]
        yield from zip(games, (*games[1:], games[0]), strict=True)


def _seated(measure: Measure) -> Iterator[tuple[World, list[Seat]]]:
    """Every world, and who plays in it."""
    args = argparse.Namespace(games=GAMES * measure.worlds, turns=measure.turns, seed=0)
    args.player, args.walk = "all", None
    for place in range(measure.worlds):
        world = simple_world(random_world(EVAL_SEED + place, True, measure.rooms))
        yield world, [*seats_of(args, "", [], place, measure.worlds)]


def forgetful(measure: Measure) -> float:
    """The share of later turns that are told rightly, by the rules, by who knows nothing at each
    segment's start of what has changed: as much as an arm without any memory can reach."""
    right = later = 0
    for world, seats in _seated(measure):
        for seat in seats:
            player, rng = _playing(seat)(), random.Random(seat.seed)
            truth = own = start(world)
            for turn in range(seat.turns):
                own = own if turn % SEGMENT_TURNS else start(world)
                line = player(world, truth, rng)
                true, told = rules.play(world, truth, line), rules.play(world, own, line)
                later += turn >= SEGMENT_TURNS
                right += turn >= SEGMENT_TURNS and true.reply == told.reply
                truth, own = true.records, told.records
    return right / max(1, later)


def _swapped(arm: Arm) -> Loss:
    """Of the memory that the arm has to itself."""
    return "words-swap" if arm.words else "latent-swap"


def _playing(seat: Seat) -> Callable[[], Player]:
    """Makes who plays at a seat, by the commands that all arms have learned."""
    return lambda: everyday(seat.player())


def used(arm: Arm, control: Control | None) -> MemoryUse:
    """What an arm takes along under a control."""
    latent: Latent = control if control == "zeroed" or control == "frozen" else "on"
    return MemoryUse(arm.words and control != "wiped", latent, arm.start)


def fed(
    model: Network, tokenizer: Tokenizer, arm: Arm, longest: int, measure: Measure
) -> dict[str, Any]:
    """Turns told exactly with true history fed, hidden lines included where an arm has any."""
    hints = hint_config(tokenizer)
    groups = (
        make_group(
            *(i, VALIDATION_SEED, tokenizer, hints, measure.rooms, 1, longest),
            held_out=True,
            kind=Kind(arm.hidden, simple=True),
        )
        for i in range(VALIDATED)
    )
    tally = validate(model, tokenizer, hints, groups)
    turns = tally.total.total()
    return {"turns": turns, "exact": tally.exact.total() / max(1, turns)}
