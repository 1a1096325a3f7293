"""A file that only one program at a time writes, by a lock beside it. Knows files only."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # no such locks on this system
    fcntl = None  # type: ignore[assignment]


class Hold:
    """Keeps others off a file until it is released or this program ends, however it ends."""

    def __init__(self, lock: Path, file: IO[str] | None) -> None:
        self._lock, self._file = lock, file

    def release(self) -> None:
        """Let others have the file."""
        file, self._file = self._file, None
        if file is not None:
            with contextlib.suppress(OSError):
                self._lock.unlink()
            file.close()


def take_hold(path: Path) -> Hold | None:
    """None where another program has a hold of `path`.

    Where locks can't be had everybody gets a hold: to play is worth more than to be alone.
    """
    lock = path.with_name(f".{path.name}.lock")
    while fcntl is not None:
        try:
            file = lock.open("a")
        except OSError:
            break
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if isinstance(error, BlockingIOError):
                return None
            break
        if _is_at(file, lock):
            return Hold(lock, file)
        file.close()  # whoever held it has taken it away since it was opened
    return Hold(lock, None)


def _is_at(file: IO[str], path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except OSError:
        return False
