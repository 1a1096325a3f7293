"""prompt.md: what a large network that nobody trained for this game is told before a world's text.

Knows a world's folder and its text; knows no network. A game master with copy hints was trained on
the world's text alone and never reads it.
"""

from __future__ import annotations

import stat
from pathlib import Path

from adventure.errors import PackError
from adventure.world.keys import quoted
from adventure.world.parcel import PROMPT, is_parcel, open_parcel
from adventure.world.parts import World
from adventure.world.prompt import pack_text

LONGEST = 20_000
"""Characters: about 5,000 tokens, as much again as a small world."""


def read_free(path: Path, shown: str) -> str:
    """The text of the prompt.md of a world's folder, world.toml or parcel; empty without one.

    shown: how messages call it. Raises PackError where it can't be read or holds what no prompt
    may.
    """
    if is_parcel(path):
        raw = open_parcel(path).get(PROMPT, b"")
    else:
        file = (path if path.is_dir() else path.parent) / PROMPT
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                raise PackError(f"{shown} is no file; write one, or take it away.")
            with file.open("rb") as opened:
                raw = opened.read(4 * LONGEST + 1)
        except FileNotFoundError:
            return ""
        except OSError as error:
            raise PackError(f"Can't read {shown}: {error.strerror or error}.") from error
    # A character has four bytes at most, so what was cut off is too long in any case.
    cut = len(raw) > 4 * LONGEST
    try:
        text = raw.decode("utf-8-sig", "ignore" if cut else "strict").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        where = f"{shown}, line {line}"
        raise PackError(f"{where}: this is not UTF-8 text; save it as UTF-8.") from error
    if fault := _fault(text):
        raise PackError(f"{shown}{fault}")
    return text.strip()


def _fault(text: str) -> str:
    """What is wrong with the text: where, and a clause."""
    if len(text) > LONGEST:
        return f" has {len(text):,} characters or more; shorten it to {LONGEST:,}."
    for number, line in enumerate(text.split("\n"), 1):
        plain = line.replace("\t", "")
        if not plain.isprintable():
            odd = next(char for char in plain if not char.isprintable())
            return f", line {number}: the character {odd!r} can't be shown; take it out."
        if mark := next((mark for mark in ("<|", "|>") if mark in line), ""):
            return f", line {number}: {quoted(mark)} is what the engine uses itself; take it out."
    return ""


def keep_free(world: World, text: str) -> None:
    """Remember the text beside its world; it is no part of how the world plays."""
    world.__dict__["_free"] = text


def free_text(world: World) -> str:
    """The whole prompt for a network without copy hints: prompt.md, if there is one, and the
    world's text as any game master reads it."""
    text: str = world.__dict__.get("_free", "")
    return f"{text}\n\n{pack_text(world)}" if text else pack_text(world)
