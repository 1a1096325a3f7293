"""One game being played: a position, how it came about, and the player's shorthand. Never prints.

Knows the world, the game master's interface and the randomness; no files and no terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from adventure.play import phrases
from adventure.play.transcript import Cleaner, PlayedTurn, Said, Transcript, clean
from adventure.world.grammar import Command, Rejection, parse
from engine.sampler import make_sampler

if TYPE_CHECKING:
    from adventure.master.gamemaster import GameMaster, Position, Turn
    from adventure.world.pack import World

UNDO_TURNS = 200
UNDO_BYTES = 512 << 20  # states of a large network: fewer turns rather than more memory
_ACTIONS = ("go", "take", "drop", "open", "close", "lock", "unlock")
"""Verbs that change a record when they succeed; one that changed none was refused."""

_NO_SLIP = "Sorry, that can't be corrected."
_NOTHING_HERE = "There is nothing here to take."
_LOST = "[The game master lost the thread, so nothing has happened. Try something else first.]"
_NO_WORD = "Think nothing of it."

Aside = Callable[[str], Iterable[Said] | None]
"""Answers a command that is meant for the program, not for the game; None: it is for the game."""


@dataclass(frozen=True)
class Moment:
    """Where undo returns to. generator: the randomness, uint8; turns: played by then."""

    position: Position
    generator: Tensor
    turns: int
    noun: str = ""
    last: str = ""


@dataclass(frozen=True)
class Game:
    """All there is to a game, as a value: what a save holds."""

    now: Moment
    past: tuple[Moment, ...]
    transcript: Transcript
    seed: int
    sampler: Mapping[str, Any]


class Session:
    """A game from `opening` on.

    sampler: settings of engine.sampler.make_sampler; seed: of the randomness, which only this
    session uses. Undo gives the randomness back too: the same command then has the same reply.
    """

    def __init__(
        self,
        world: World,
        master: GameMaster,
        opening: Position,
        seed: int = 0,
        sampler: Mapping[str, Any] | None = None,
    ) -> None:
        self.world, self.master, self.opening, self.seed = world, master, opening, seed
        self.generator = torch.Generator()
        self.shown: set[str] = set()
        self.use_sampler(sampler or {})
        self.restart()

    # -- what can be seen of it ------------------------------------------------------------------

    @property
    def room(self) -> str:
        return next(iter(self.items("At")), self.world.start)

    @property
    def score(self) -> int:
        return len(self.items("Treasures found"))

    @property
    def max_score(self) -> int:
        return sum(thing.treasure for thing in self.world.things)

    @property
    def turns(self) -> int:
        return len(self.transcript)

    @property
    def over(self) -> bool:
        return self.position.over

    def items(self, key: str) -> tuple[str, ...]:
        """The items of the master's latest record under `key`."""
        return tuple(self.position.records.get(key, ()))

    # -- the game as a value ---------------------------------------------------------------------

    def restart(self) -> None:
        """Go back to the opening; what was played is forgotten."""
        self.generator.manual_seed(self.seed)
        self.position, self.settled = self.opening, True
        self.past: list[Moment] = []
        self.transcript = Transcript()
        self.noun, self.last = "", ""
        self._slip: phrases.Slip | None = None
        self._question: Rejection | None = None

    def moment(self) -> Moment:
        """The present."""
        self._settle()
        return Moment(self.position, self.generator.get_state(), self.turns, self.noun, self.last)

    def game(self) -> Game:
        """Everything that is needed to go on from here."""
        return Game(self.moment(), tuple(self.past), self.transcript, self.seed, self.sampler)

    def resume(self, game: Game) -> None:
        """Go on with `game`, which belongs to this world and this master."""
        self.seed, self.past, self.transcript = game.seed, list(game.past), game.transcript
        self.use_sampler(game.sampler)
        self._return_to(game.now)
        self._show("\n".join((self.world.intro, *(turn.reply for turn in self.transcript))))

    def use_sampler(self, settings: Mapping[str, Any]) -> None:
        """Choose tokens by these settings from now on."""
        self.sampler = dict(settings)
        self._choose = make_sampler(**self.sampler)

    def _ask(self, line: str) -> Turn:
        """Put a canonical line to the master, which other sessions may use too."""
        self.master.sampler = self._choose
        return self.master.turn(self.position, line, self.generator)

    def reseed(self, seed: int) -> None:
        """Begin the randomness anew."""
        self.seed = seed
        self.generator.manual_seed(seed)

    def undo(self) -> bool:
        """Take the last command back. False where none is left."""
        if not self.past:
            return False
        moment = self.past.pop()
        self.transcript.cut(moment.turns)
        self._return_to(moment)
        return True

    def _return_to(self, moment: Moment) -> None:
        self.position, self.settled = moment.position, True
        self.generator.set_state(moment.generator)
        self.noun, self.last, self._slip = moment.noun, moment.last, None
        self._question = None

    def _remember(self, moment: Moment) -> None:
        self.past.append(moment)
        room = max(1, min(UNDO_TURNS, UNDO_BYTES // max(1, moment.position.state.nbytes)))
        del self.past[:-room]

    # -- playing ---------------------------------------------------------------------------------

    def introduction(self) -> Iterator[Said]:
        """Title, first words and a look round."""
        world = self.world
        yield Said("heading", clean(world.title))
        byline = [
            clean(part) for part in (world.headline, world.author and f"by {world.author}") if part
        ]
        if byline:
            yield Said("note", " ".join(byline))
        yield Said("note", clean(world.intro))
        self._show(world.intro)
        yield from self.look()

    def look(self) -> Iterator[Said]:
        """The room as LOOK shows it, asked of a copy: the game doesn't move."""
        before = self.generator.get_state()
        try:
            turn = self._ask("look")
            yield from _pieces(turn)
            self._show(turn.reply)
        finally:
            self.generator.set_state(before)

    def play(self, text: str, aside: Aside = lambda command: None) -> Iterator[Said]:
        """What the game says to a line of commands. A command that fails drops those behind it.

        A turn that is abandoned (the iterator closed, Ctrl-C) is as if it had not been begun.
        """
        waiting = phrases.commands_of(clean(text))
        question, self._question = self._question, None
        while waiting:
            command, waiting = waiting[0], waiting[1:]
            answer = aside(command)
            if answer is not None:
                yield from answer
                continue
            word = phrases.oops(command)
            if word is not None:
                slip, self._slip = self._slip, None
                if slip is None or not word:
                    yield Said("note", _NO_SLIP if slip is None else _NO_WORD)
                    return
                command, waiting = slip.corrected(word), [*slip.rest, *waiting]
            well = yield from self._command(command, tuple(waiting), question)
            question = None
            if not well or self.over:
                return

    def _command(
        self, text: str, rest: tuple[str, ...], question: Rejection | None
    ) -> Generator[Said, None, bool]:
        """Play one command, or the answer to the question before; False where it failed."""
        typed = text
        if phrases.is_again(text):
            if not self.last:
                yield Said("note", "There is nothing to do again yet.")
                return False
            text = self.last
        if phrases.has_it(text):
            if not self.noun:
                yield Said("note", "I don't know yet what you mean by that; name it.")
                return False
            text = phrases.with_noun(text, self.noun)
        if question is not None:
            text = self._answered(question, text)
        many = phrases.several(text)
        lines = [text] if many is None else self._each(many)
        if many is not None and not lines:
            nothing = "You have nothing to drop." if many.verb == "drop" else _NOTHING_HERE
            yield Said("note", nothing)
            return False
        commands = []
        for line in lines:
            command = self._parse(line)
            if isinstance(command, Rejection):
                self._slip = phrases.slip_of(text, command.text, rest)
                self._question = command if command.pending else None
                yield Said("note", clean(command.text))
                return False
            commands.append(command)
        if many is not None:
            return (yield from self._play_all(typed, commands, text))
        return (yield from self._play_steps(typed, commands[0]))

    def _answered(self, question: Rejection, text: str) -> str:
        """The command that `text` completes as an answer; `text` where it is a command itself."""
        if not text or phrases.several(text) or isinstance(self._parse(text), Command):
            return text
        whole = question.completed(text)
        many = phrases.several(whole)
        if many is not None:
            known = all(isinstance(self._parse(line), Command) for line in self._each(many))
            return whole if known else text
        said = self._parse(whole, question.among)
        if isinstance(said, Command):
            return said.phrase
        return whole if said.pending else text

    def _parse(self, text: str, among: tuple[str, ...] = ()) -> Command | Rejection:
        near = (*self.items(f"{self.room} holds"), *self.items("You carry"))
        return parse(text, self.world, among or near)

    def _each(self, many: phrases.Several) -> list[str]:
        """A command for each of several things; ALL is what the master's records say is at hand."""
        if not many.everything:
            return [f"{many.verb} {noun}" for noun in many.nouns]
        named = [self._parse(f"take {noun}") for noun in many.nouns if noun]
        left_out = {command.noun for command in named if isinstance(command, Command)}
        portable = {thing.name for thing in self.world.things if thing.portable}
        at_hand = self.items("You carry" if many.verb == "drop" else f"{self.room} holds")
        return [f"{many.verb} {name}" for name in at_hand if name in portable - left_out]

    def _play_all(
        self, typed: str, commands: Sequence[Command], again: str
    ) -> Generator[Said, None, bool]:
        """A turn for each command; one UNDO takes all of them back. False where one was refused."""
        before: Moment | None = self.moment()
        well = True
        for command in commands:
            if len(commands) > 1:
                yield Said("text", f"{command.noun}: ")
            well = (yield from self._turn(typed, command, again, before)) and well
            before = None
            if self.over:
                break
        return well

    def _play_steps(self, typed: str, command: Command) -> Generator[Said, None, bool]:
        """A turn for each line of a command until one is refused; one UNDO takes all of them back.

        What is to be opened is unlocked first only if the master's records have it locked.
        """
        opened = command.then and self.items(command.noun) != ("locked",)
        before: Moment | None = self.moment()
        well = True
        for line in command.lines[1:] if opened else command.lines:
            step = Command(line, command.noun)
            well = well and (yield from self._turn(typed, step, command.phrase, before))
            before = None
        return well

    def _turn(
        self, typed: str, command: Command, again: str, before: Moment | None
    ) -> Generator[Said, None, bool]:
        """One turn of the master's, taken over when it is complete; False where it was refused.

        again: what AGAIN will repeat; before: where UNDO will return to (None: where it did).
        """
        self._settle()
        randomness = self.generator.get_state()
        done = False
        try:
            turn = self._ask(command.line)
            yield from _pieces(turn)
            done = not turn.lost
        finally:
            if not done:
                self.generator.set_state(randomness)
        if turn.lost:
            yield Said("text", "\n")
            yield Said("note", _LOST)
            return False
        changed = turn.position.records != self.position.records
        if before is not None:
            self._remember(before)
        self.transcript.append(PlayedTurn(typed, command.line, turn.reply, tuple(turn.records)))
        self.position, self.settled = turn.position, False
        self.noun, self.last, self._slip = command.noun or self.noun, again, None
        self._show(turn.reply)
        yield Said("text", "\n")  # the whole reply is on the screen before the segment is closed
        self._settle()
        return changed or command.line.split()[0] not in _ACTIONS

    def _settle(self) -> None:
        """Let the master close a full segment; the reply is on the screen by now."""
        if not self.settled:
            self.position, self.settled = self.master.settle(self.position), True

    def _show(self, text: str) -> None:
        """Note which of the world's names the player has read: completion offers no others."""
        low = text.lower()
        for names in self.world.names.values():
            new = (name for name in names if name not in self.shown)
            self.shown.update(name for name in new if phrases.mentions(low, name.lower()))


def _pieces(turn: Turn) -> Iterator[Said]:
    """A turn as it is decoded: hidden lines whole, the reply in bits."""
    hidden, cleaner = "", Cleaner()
    for piece in turn:
        text = cleaner.push(piece.text)
        if piece.kind == "record":
            *lines, hidden = (hidden + text).split("\n")
            yield from (Said("record", line) for line in lines if line.strip())
        else:
            if hidden.strip():
                yield Said("record", hidden)
            hidden = ""
            yield Said("text", text)
