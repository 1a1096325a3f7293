"""HELP, ABOUT, HINT, HINTS, SCORE, VERSION: what the program tells of itself, a world and a game.

Knows a session; no files and no terminal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING

from adventure import __version__
from adventure.play.header import Identity
from adventure.play.meta import HELP, credits_of
from adventure.play.transcript import Said, clean, note

if TYPE_CHECKING:
    from adventure.play.session import Session


def _help(session: Session, identity: Identity) -> Iterator[Said]:
    for heading, text in HELP:
        yield Said("heading", heading)
        yield from note(text)


def _about(session: Session, identity: Identity) -> Iterator[Said]:
    yield Said("heading", clean(session.world.title))
    for text in credits_of(session.world):
        yield from note(clean(text))


def _hint(session: Session, identity: Identity) -> list[Said]:
    hint, there = session.hint(), len(session.world.hints)
    if not there:
        return note("There are no hints for this world.")
    if not hint:
        return note("There are no further hints. (HINTS repeats those you have had.)")
    more = " (HINT again gives the next one.)" if session.hints < there else ""
    return note(f"Hint {session.hints} of {there}: {clean(hint)}{more}")


def _hints(session: Session, identity: Identity) -> list[Said]:
    given = session.world.hints[: session.hints]
    if not given:
        return note("You have had no hints yet. (HINT gives the first one.)")
    return [Said("note", f"Hint {n}: {clean(hint)}") for n, hint in enumerate(given, 1)]


def _score(session: Session, identity: Identity) -> list[Said] | None:
    return note(session.tally) if session.over else None


def _version(session: Session, identity: Identity) -> list[Said]:
    world, weights = clean(identity.title), identity.weights[:8]
    return note(f"adventure {__version__}, playing {world} with the game master {weights}.")


INFORMING: dict[str, Callable[[Session, Identity], Iterable[Said] | None]] = {
    "help": _help,
    "about": _about,
    "hint": _hint,
    "hints": _hints,
    "score": _score,
    "version": _version,
}
"""Verb -> what is told of a game and of whose saves these are; None: the game itself answers."""
