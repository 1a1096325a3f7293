"""A save's file, read and written whole or not at all. Knows paths and bytes, not their meaning."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from adventure.errors import SaveError

_LARGEST = 1 << 30  # bytes of a file that is worth reading as a save


def stat_of(path: Path) -> os.stat_result | None:
    """None where there is nothing, or nothing that can be looked at."""
    try:
        return path.stat()
    except (OSError, ValueError):
        return None


def is_odd(path: Path) -> bool:
    """Whether there is something that isn't an ordinary file: a folder, a device."""
    there = stat_of(path)
    return there is not None and not stat.S_ISREG(there.st_mode)


@contextlib.contextmanager
def reading(path: Path) -> Iterator[BinaryIO]:
    """A save, open. Raises SaveError for what isn't a file of a save's size, or can't be read."""
    try:
        if is_odd(path):
            raise SaveError(f'"{path}" is not a file; give one that SAVE wrote.')
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_size > _LARGEST:
                raise SaveError(
                    f'"{path}" is too large to be a saved game; give a file that SAVE wrote.'
                )
            yield file
    except OSError as error:
        raise SaveError(f'Can\'t read the save "{path}": {error.strerror or error}.') from error


def read_file(path: Path) -> bytes:
    """All of it. Raises as `reading`."""
    with reading(path) as file:
        return file.read()


def write_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` whole or not at all, and on the disk. Raises SaveError."""
    if is_odd(path):
        raise SaveError(f'"{path}" is not a file; choose another name for the save.')
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_through(temporary, data)
            temporary.replace(path)
        finally:
            with contextlib.suppress(OSError):  # gone already when all went well
                temporary.unlink()
        _sync_folder(path.parent)
    except OSError as error:
        kept = "; the earlier save of that name is as it was" if stat_of(path) else ""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise SaveError(f"The disk is full, so the game was not saved{kept}.") from error
        raise SaveError(
            f'The game was not saved to "{path}": {error.strerror or error}{kept}.'
        ) from error


def _write_through(path: Path, data: bytes) -> None:
    """Raises OSError unless every byte is on the disk."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_NOFOLLOW", 0)
    with os.fdopen(os.open(path, flags, 0o666), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
