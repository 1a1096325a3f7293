"""One game being played: a course, and the player's words and shorthand. Never prints.

Knows the world, the game master's interface and the randomness; no files and no terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

from adventure.play import phrases, readings
from adventure.play.asking import Asking
from adventure.play.course import Course
from adventure.play.moments import Moment
from adventure.play.pieces import pieces_of
from adventure.play.transcript import PlayedTurn, Said, clean
from adventure.play.wording import Wording
from adventure.world.grammar import Command, Rejection

_NO_SLIP = "Sorry, that can't be corrected."
_LOST = "[The game master lost the thread, so nothing has happened. Try something else first.]"
_MUTE = "This game master can't be asked what it remembers."
_NO_WORD = "Think nothing of it."

Aside = Callable[[str], Iterable[Said] | None]
"""Answers a command that is meant for the program, not for the game; None: it is for the game."""


class Session(Course):
    """A course that goes on by what a player types."""

    # -- playing ---------------------------------------------------------------------------------

    def introduction(self) -> Iterator[Said]:
        """Title, first words and a look round."""
        world = self.world
        yield Said("heading", clean(world.title))
        byline = [
            clean(part) for part in (world.headline, world.author and f"By {world.author}") if part
        ]
        if byline:
            yield Said("note", "\n".join(byline))
        yield Said("note", clean(world.intro))
        yield from self.look()

    def look(self) -> Iterator[Said]:
        """The room as LOOK shows it; the game doesn't move."""
        yield from self._glance("look")

    def reckon(self) -> Iterator[Said]:
        """What has been achieved so far; the game doesn't move."""
        if not self.over:
            yield from self._glance("deeds")
            yield Said("text", "\n")
        yield Said("note", self.tally)

    def _glance(self, line: str) -> Iterator[Said]:
        """The reply to a command, asked of a copy: without what the clocks would do in a turn."""
        before = self.generator.get_state()
        try:
            turn = self._ask(line)
            reply = ""
            for said in pieces_of(turn, self.world, whole=False):
                reply += said.text if said.kind == "text" else ""
                yield said
            self.known.read(reply)
        finally:
            self.generator.set_state(before)

    def ask(self, question: str) -> Iterator[Said]:
        """What the master remembers of something that the player has seen; the game doesn't move.

        A master that can't be asked says so.
        """
        recall = getattr(self.master, "recall", None)
        if recall is None:
            yield Said("note", _MUTE)
            return
        position = self.position
        asking = Asking(self.world, self.known, position.records, self.noun, self.person)
        yield from asking.answers(question, lambda key: recall(position, key))

    def hint(self) -> str:
        """One more of the author's hints; empty when there are no more."""
        if self.hints >= len(self.world.hints):
            return ""
        self.hints += 1
        hint = self.world.hints[self.hints - 1]
        self.known.read(hint)
        return hint

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
        for has, put, named, what in (
            (phrases.has_whom, phrases.with_person, self.person or self.noun, "who you mean"),
            (phrases.has_it, phrases.with_noun, self.noun, "what you mean by that"),
        ):
            if has(text) and not named:
                yield Said("note", f"I don't know yet {what}; say the name.")
                return False
            text = put(text, named) if named else text
        # What is in reach the dark may hide: then the game master answers, and not the parser.
        records = self.position.records
        seen = self.known.nouns.union(readings.around(self.world, records))
        words = Wording(self.world, records, seen)
        if question is not None:
            text = words.answered(question, text)
        commands = words.commands(text)
        if isinstance(commands, Rejection):
            self._slip = phrases.slip_of(text, commands.text, rest)
            self._question = commands if commands.pending else None
            yield Said("note", clean(commands.text))
            return False
        if phrases.several(text):
            return (yield from self._play_all(typed, commands, text))
        if commands[0].line == "deeds":
            yield from self.reckon()
            return True
        again = words.phrase(commands[0], text)
        return (yield from self._play_steps(typed, commands[0], again))

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

    def _play_steps(self, typed: str, command: Command, again: str) -> Generator[Said, None, bool]:
        """A turn for each line of a command until one is refused; one UNDO takes all of them back.

        What is to be opened is unlocked first only if the master's records have it locked.
        """
        opened = command.then and self.items(command.noun)[-1:] != ("locked",)
        before: Moment | None = self.moment()
        well = True
        for line in command.lines[1:] if opened else command.lines:
            step = Command(line, command.noun)
            well = well and (yield from self._turn(typed, step, again, before))
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
            yield from pieces_of(turn, self.world)
            done = not turn.lost
        finally:
            if not done:
                self.generator.set_state(randomness)
        if turn.lost:
            yield Said("text", "\n")
            yield Said("note", _LOST)
            return False
        records = self.position.records, turn.position.records
        refused = readings.refused(command.line, turn.records, *records)
        if before is not None:
            self._remember(before)
        self.typed.append(typed)
        self.transcript.append(PlayedTurn(typed, command.line, turn.reply, tuple(turn.records)))
        self.position, self.settled = turn.position, False
        self._note_nouns(command)
        self.last, self._slip = again, None
        self.known.read(turn.reply)
        self.known.look_round(self.position.records)
        yield Said("text", "\n")  # the whole reply is on the screen before the segment is closed
        self._settle()
        return not refused

    def _note_nouns(self, command: Command) -> None:
        """What IT, HIM and HER mean from now on."""
        self.noun = command.noun or self.noun
        people = {person.name for person in self.world.people}
        named = [name for name in command.line.split("|")[1:] if name in people]
        self.person = named[-1] if named else self.person
