"""The one object a terminal talks to: a session with its saves, and what the program itself does
when it is told SAVE, UNDO, QUIT and so on. That takes no game time; knows no network.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from io import SEEK_END, StringIO
from pathlib import Path
from typing import TYPE_CHECKING

from adventure.errors import SaveError
from adventure.play.informing import INFORMING
from adventure.play.keeping import Keeping
from adventure.play.meta import META_VERBS, read_meta
from adventure.play.named import Named
from adventure.play.phrases import commands_of
from adventure.play.screen import PlainScreen
from adventure.play.transcript import Said, TranscriptFile, clean, note
from adventure.world.grammar import COMMAND_WORDS, LONGEST

if TYPE_CHECKING:
    from adventure.play.saves import Saves
    from adventure.play.session import Session

QUIT_QUESTION = "Are you sure you want to quit?"
_YES = ("y", "yes")
_ANSWERS = (*_YES, "n", "no", "")
WON, LOST = "The game is won.", "The game is lost."
GAME_OVER = "The game is over: you can RESTART, RESTORE a saved game, UNDO the last turn, or QUIT."
ELSEWHERE = "This world is being played elsewhere too; what you play here is kept apart from that."


@dataclass(frozen=True)
class Status:
    """The status line."""

    left: str
    right: str


class Console:
    """A session with its saves and transcript: text in, pieces of text out.

    autosave: write the game to the disk after every turn, so that it can be gone on with.
    """

    def __init__(
        self, session: Session, saves: Saves, autosave: bool, show_records: bool = False
    ) -> None:
        self.session, self.saves = session, saves
        self._named = Named(session, saves)
        self._keeping = Keeping(session, saves, autosave)
        self.show_records = show_records
        self.transcript = TranscriptFile()
        self.finished = False
        self._asked: Callable[[], Iterable[Said]] | None = None
        self._unanswered = ""
        self._news: list[Said] = []
        self._told_elsewhere = False

    @property
    def asking(self) -> bool:
        """Whether a question is waiting for yes or no."""
        return self._asked is not None

    @property
    def status(self) -> Status:
        session = self.session
        score = f"Score {session.score}/{session.max_score}  " if session.max_score else ""
        return Status(session.room, f"{score}Turns {session.turns}")

    @property
    def words(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Verbs, and the names that the player has read: nothing that would give something away."""
        return tuple(sorted({*COMMAND_WORDS, *META_VERBS})), tuple(sorted(self.session.known.names))

    # -- what goes to the page -------------------------------------------------------------------

    def start_transcript(self, path: Path) -> None:
        """Write the game down from now on. Raises SaveError."""
        self.transcript.start(path, clean(self.session.world.title))

    def introduction(self, remark: str = "") -> Iterator[Said]:
        """What a new game begins with, after a remark."""
        yield from self._page([*(note(remark) if remark else ()), *self.session.introduction()], "")

    def going_on(self, when: str) -> Iterator[Said]:
        """What a game that was left begins with."""
        yield from self._page([Said("heading", clean(self.session.world.title)), *note(when)], "")
        yield from self._page(note(GAME_OVER) if self.session.over else self.session.look(), "")

    def play(self, text: str) -> Iterator[Said]:
        """Answer one line. A turn that is abandoned in the middle is not played."""
        text = clean(text).replace("\n", " ").strip()
        yield from self._page(self._answer(text), f"> {text[:LONGEST]}\n")

    def _page(self, pieces: Iterable[Said], typed: str) -> Iterator[Said]:
        """Pass pieces on, keep the game after each turn, write the transcript."""
        page = StringIO(typed)
        page.seek(0, SEEK_END)
        paper = PlainScreen(
            StringIO(), page, page, rooms=[r.name for r in self.session.world.rooms]
        )
        try:
            for said in pieces:
                if said.kind != "record" or self.show_records:
                    paper.show(said)
                    yield said
                self._keep()
        finally:
            self._keep()
        try:
            if self.transcript.on:
                paper.end()
                self.transcript.write(page.getvalue())
        except SaveError as error:
            self._news += note(str(error))
        if self.saves.elsewhere and not self._told_elsewhere:
            self._told_elsewhere = True
            self._news += note(ELSEWHERE)
        news, self._news = self._news, []
        yield from news

    def _answer(self, text: str) -> Iterator[Said]:
        if len(text) > LONGEST:
            yield from note(f"That is {len(text)} characters long; please say it in {LONGEST}.")
            return
        if self._unanswered and commands_of(text)[0].lower() not in _ANSWERS:
            yield from note(self._unanswered)
            self._asked, self._unanswered = None, ""
        was_over = self.session.over
        meta = read_meta(text)
        if meta and meta.argument:
            # A name or a question may hold dots, which part commands elsewhere.
            yield from self._aside(text) or ()
            return
        yield from self.session.play(text, self._aside)
        if self.session.over and not was_over:
            yield Said("heading", WON if self.session.won else LOST)
            yield from note(self.session.tally)
            yield from note(GAME_OVER)

    def _aside(self, command: str) -> Iterable[Said] | None:
        if self.finished:
            return ()
        asked, self._asked = self._asked, None
        unanswered, self._unanswered = self._unanswered, ""
        if asked is not None:
            if command.lower() in _YES:
                return asked()
            if command.lower() in _ANSWERS:
                return note(unanswered or "The game goes on.")
            if unanswered:  # on the line that the question was asked on
                self._news += note(unanswered)
        meta = read_meta(command)
        if meta is not None:
            if inform := INFORMING.get(meta.verb):
                return inform(self.session, self.saves.identity)
            try:
                return getattr(self, f"_do_{meta.verb}")(meta.argument)
            except SaveError as error:
                return note(str(error))
        return note(GAME_OVER) if self.session.over else None

    def _keep(self) -> None:
        """Write the autosave if the game has moved; a fault is told once."""
        if fault := self._keeping.keep():
            self._news += note(fault)

    def leave(self) -> str:
        """Keep the game for the next time and close the transcript; what went wrong, or nothing."""
        self._keeping.keep_for_next_time()
        self.saves.release()
        self.transcript.stop()
        return self._keeping.fault

    # -- the commands ----------------------------------------------------------------------------

    def _do_save(self, name: str) -> Iterable[Said]:
        name = name or self._named.name or self._named.usual
        if question := self._named.question(name):
            self._asked = lambda: self._try_save(name)
            self._unanswered = f'[Not saved: "{name}" is as it was.]'
            return note(question)
        return self._named.save(name)

    def _try_save(self, name: str) -> Iterable[Said]:
        try:
            return self._named.save(name)
        except SaveError as error:
            return note(str(error))

    def _do_restore(self, name: str) -> Iterable[Said]:
        own = self._named.name or self._named.usual
        if name or self.saves.existing(own):
            return self.restore(name or own)
        return [*note("Say RESTORE and the name of a save."), *self._do_saves("")]

    def restore(self, name: str) -> list[Said]:
        """Go on with a saved game. Raises SaveError; then this game goes on."""
        said = self._named.restore(name)
        self._asked = None
        self._tell_shortened()
        return said

    def _tell_shortened(self) -> None:
        if self.session.shortened:
            left = len(self.session.past)
            back = f"the last {left}" if left else "none"
            self._news += note(
                f"[This game was saved on another machine: UNDO takes back {back} of its commands.]"
            )

    def go_on(self) -> None:
        """Go on with the game that was left last. Raises SaveError when it can't be restored."""
        self.session.resume(self.saves.load(self.saves.autosave_name, self.session))
        self.saves.go_on()
        self._keeping.is_kept()
        self._tell_shortened()

    def _do_saves(self, _: str) -> Iterable[Said]:
        return self._named.listed()

    def _do_undo(self, _: str) -> Iterable[Said]:
        undone = self.session.last
        if not self.session.undo():
            return note(
                "That is as far back as this game can go."
                if self.session.turns
                else "There is nothing to undo."
            )
        what = f'[Previous turn undone: "{undone}".]'
        return [Said("heading", self.session.room), *note(what)]

    def _do_restart(self, _: str) -> Iterable[Said]:
        self._asked = self._restart
        return note("Are you sure you want to restart?")

    def _restart(self) -> Iterator[Said]:
        self.session.restart()
        self.saves.go_on(same=False)
        yield from self.session.introduction()

    def _do_quit(self, _: str) -> Iterable[Said]:
        self._asked = self.quit
        return note(QUIT_QUESTION)

    def quit(self) -> list[Said]:
        """Finish; says how to go on another time."""
        self.finished = True
        self._asked = None
        if not self._keeping.on or self.session.over or not self.session.turns:
            return []
        self._keeping.keep_for_next_time()
        if self._keeping.fault:  # leave() tells it
            self._news.clear()
            return []
        if self.saves.elsewhere:
            return note(f'Your game is kept as "{self.saves.autosave_name}", for RESTORE.')
        return note("Your game is kept: it goes on from here when you play this world again.")

    def _do_ask(self, question: str) -> Iterable[Said]:
        return self.session.ask(question)

    def _do_transcript(self, argument: str) -> Iterable[Said]:
        first, _, rest = argument.partition(" ")
        if first.lower() == "off":
            return self._do_unscript("")
        name = rest.strip() if first.lower() == "on" else argument
        path = Path(name).expanduser() if name else Path(f"{self._named.usual}-transcript.txt")
        self.start_transcript(path)
        return note(f'[Writing a transcript to "{path}".]')

    def _do_unscript(self, _: str) -> Iterable[Said]:
        if not self.transcript.on:
            return note("There is no transcript going on.")
        path = self.transcript.path
        self.transcript.stop()
        return note(f'[The transcript is in "{path}".]')

    def _do_records(self, argument: str) -> Iterable[Said]:
        if argument.lower() not in ("", "on", "off"):
            return note("Say RECORDS ON or RECORDS OFF.")
        self.show_records = argument.lower() == "on" if argument else not self.show_records
        return note(
            f"[The game master's records are {'shown' if self.show_records else 'hidden'}.]"
        )
