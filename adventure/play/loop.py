"""Reading commands and showing replies until the game is left or the terminal goes away.

Knows a console and a screen; no network, no files.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import signal
import threading
from collections.abc import Generator, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from adventure.errors import SaveError, UserError
from adventure.play.transcript import Said

if TYPE_CHECKING:
    from adventure.play.commands import Console
    from adventure.play.saves import SavedGame
    from adventure.play.screen import Screen
    from adventure.play.watch import Watch

try:
    from termios import error as TerminalError
except ImportError:  # no termios on this system: its errors don't occur either
    TerminalError = OSError  # type: ignore[misc,assignment]

GONE = 128 + 13
"""Exit status when nobody reads the output any more, as a shell reports SIGPIPE."""
_HANG_UP = (errno.EPIPE, errno.EIO, errno.ENXIO, errno.EBADF)


def begin(
    console: Console, screen: Screen, load: str | None, go_on: bool, new: bool
) -> Iterator[Said]:
    """Put the console where play begins; gives what is shown first.

    load: the save to begin with; go_on: with the game that was left, without asking; new: neither.
    A person who has left a game of this world is asked. Raises SaveError when what was asked for
    can't be restored.
    """
    if load:
        console.restore(load)
        screen.remember(console.session.typed)
        return console.going_on(f'[Restored "{load}": turn {console.session.turns}.]')
    asked = screen.interactive and not new
    left = console.saves.left_off() if go_on or asked else None
    if left is None:
        return console.introduction(_missing(console, go_on) if go_on or asked else "")
    if not go_on and not _wanted(left, screen):
        return console.introduction()
    try:
        console.go_on()
    except SaveError as error:
        if go_on:
            raise
        return console.introduction(str(error))
    screen.remember(console.session.typed)
    return console.going_on(f"[Going on where you left off: turn {console.session.turns}.]")


def _missing(console: Console, wanted: bool) -> str:
    """Why a new game begins, where one was to be gone on with or might have been."""
    other = console.saves.left_behind()
    if other is None:
        wanting = "There is no game of this world to go on with, so this is a new one."
        return wanting if wanted else ""
    return (
        f'The game that you left, "{other.name}", is of another version of this world or of the '
        "game master and can't go on, so this is a new one."
    )


def _wanted(left: SavedGame, screen: Screen) -> bool:
    """Ask whether to go on; no answer at all means no."""
    where = f"{left.about.room}, turn {left.about.turns}"
    _say(
        screen,
        iter([Said("note", f"You left a game of this world in {where}. Continue it? [Y/n]")]),
    )
    try:
        return (
            not screen.ask(left.about.room, f"Turns {left.about.turns}")
            .strip()
            .lower()
            .startswith("n")
        )
    except EOFError:
        return False


def run(
    console: Console, screen: Screen, greeting: Iterator[Said], watch: Watch | None = None
) -> int:
    """Play until the end; returns the exit status. watch: reads the world anew when it is edited.

    The game is kept however the loop is left. Raises KeyboardInterrupt in a script, SystemExit
    on a hang-up signal, UserError when the output can't be written for another reason.
    """
    try:
        with _signals_unwind(), screen.quiet():
            _say(screen, greeting)
            while not console.finished:
                if watch is not None:
                    _tell_news(watch, screen)
                _exchange(console, screen)
            fault = console.leave()
            if fault:
                raise UserError(fault)
        return 0
    except (OSError, TerminalError) as error:
        if error.args and error.args[0] in _HANG_UP:
            return GONE
        raise UserError(
            f"The output can't be written: {error.args[-1] if error.args else error}."
        ) from error
    finally:
        console.leave()


def _tell_news(watch: Watch, screen: Screen) -> None:
    """What came of an edit of the world, if there was one."""
    screen.stirred = watch.stirred
    try:
        _say(screen, watch.news())
    except KeyboardInterrupt:
        if not screen.interactive:
            raise
        _say(screen, iter([Said("note", "[Interrupted. The world is as it was.]")]))


def _exchange(console: Console, screen: Screen) -> None:
    """One command and its answer."""
    from adventure.play.screen import Stirred  # here, so that --help doesn't wait for it

    status = console.status
    try:
        text = screen.ask(status.left, status.right)
    except Stirred:
        return
    except EOFError:
        if console.asking or not screen.interactive:
            _say(screen, iter(console.quit()))
            return
        text = "quit"
    except KeyboardInterrupt:
        if not screen.interactive:
            raise
        return
    turns = console.session.turns
    try:
        _say(screen, console.play(text))
    except KeyboardInterrupt:
        if not screen.interactive:
            raise
        what = (
            "The turn was played." if console.session.turns > turns else "That turn was not played."
        )
        _say(screen, iter([Said("note", f"[Interrupted. {what}]")]))


def _say(screen: Screen, pieces: Iterator[Said]) -> None:
    """Show pieces as they come; a reply that is abandoned is closed at once and isn't played."""
    try:
        for said in pieces:
            screen.show(said)
    finally:
        if isinstance(pieces, Generator):
            pieces.close()
    screen.end()


@contextlib.contextmanager
def _signals_unwind() -> Iterator[None]:
    """SIGHUP and SIGTERM leave through the ordinary way out: the terminal is put in order first."""

    def leave(number: int, frame: FrameType | None) -> None:
        logging.disable()  # asyncio complains at length of a terminal that is gone
        raise SystemExit(128 + number)

    names = [name for name in ("SIGHUP", "SIGTERM") if hasattr(signal, name)]
    here = threading.current_thread() is threading.main_thread()
    before = {}
    for name in names if here else ():
        number = getattr(signal, name)
        if signal.getsignal(number) is not signal.SIG_IGN:
            before[number] = signal.signal(number, leave)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
