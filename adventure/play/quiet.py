"""A terminal that doesn't show the keys pressed between two prompts. Knows file handles only."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

try:
    import termios
except ImportError:  # no such terminals on this system
    termios = None  # type: ignore[assignment]

_INPUT, _LOCAL, _SPECIAL = 0, 3, 6
"""Places in what termios.tcgetattr gives: input modes, local modes, special characters."""


@contextlib.contextmanager
def quiet(handle: int) -> Iterator[Callable[[], None]]:
    """While it lasts, keys wait as they were pressed for whoever reads the terminal next.

    Ctrl-C and Ctrl-Z work as ever. Nothing happens where `handle` is no terminal. Gives a function
    that makes it quiet again, for when others have had the terminal: a shell after Ctrl-Z.
    """
    before = _modes(handle)
    if before is None:
        yield lambda: None
        return
    hushed = [*before[:_SPECIAL], [*before[_SPECIAL]]]
    # Not in lines either: a line is out of reach until Enter, and a prompt shows what is there.
    hushed[_LOCAL] &= ~(termios.ECHO | termios.ICANON)
    hushed[_INPUT] &= ~termios.ICRNL
    hushed[_SPECIAL][termios.VMIN], hushed[_SPECIAL][termios.VTIME] = 1, 0
    _set(handle, hushed)
    try:
        yield lambda: _set(handle, hushed)
    finally:
        _set(handle, before)


def _modes(handle: int) -> list[Any] | None:
    try:
        return termios.tcgetattr(handle) if termios else None
    except termios.error:
        return None


def _set(handle: int, modes: list[Any]) -> None:
    with contextlib.suppress(termios.error):  # a terminal that went away needs no order
        termios.tcsetattr(handle, termios.TCSANOW, modes)
