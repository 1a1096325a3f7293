"""Walks: games written down as they are typed, as canonical commands. Knows no network."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from adventure.errors import TrainError
from adventure.play.session import Session
from adventure.referee.master import RefereeMaster
from adventure.world.parts import World


def read_walk(file: Path, world: World) -> list[str]:
    """The canonical commands of a game, played as it is typed, by the rules; `#` begins a comment.

    Raises TrainError for a file that can't be read, or holds no command.
    """
    try:
        typed = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except FileNotFoundError as error:
        raise TrainError(f"There is no walk {file}; name a file of commands.") from error
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise TrainError(f"Can't read the walk {file}: {why}.") from error
    lines = typed_lines(world, [text for text in typed if text and not text.startswith("#")])
    if not lines:
        raise TrainError(f"The walk {file} holds no command; write one a line.")
    return lines


def typed_lines(world: World, typed: list[str]) -> list[str]:
    """The canonical commands that a session makes of what is typed."""
    master = RefereeMaster(world)
    session = Session(world, cast(Any, master), cast(Any, master.opening()))
    for text in typed:
        for _ in session.play(text):
            pass
    return [turn.line for turn in session.transcript]
