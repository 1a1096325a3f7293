"""Where a new world goes, and writing all of its files or none. Knows nothing of what they hold."""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from adventure.errors import PackError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")
_DEVICES = re.compile(r"con|prn|aux|nul|com\d|lpt\d", re.IGNORECASE)


def check_name(name: str) -> str:
    """A name that can be a folder anywhere. Raises PackError."""
    if not _NAME.fullmatch(name) or _DEVICES.fullmatch(name):
        shown = ascii(name) if len(name) <= 60 else f"{name[:60]!a}..."
        raise PackError(
            f"The name {shown} won't do for a world's folder; use up to 40 letters, digits, "
            "hyphens and underscores."
        )
    return name


def new_folder(name: str) -> Path:
    """worlds/NAME where there is a folder `worlds`, else ./NAME; nothing is made yet."""
    base = Path("worlds") if Path("worlds").is_dir() else Path()
    return base / check_name(name)


def refuse_existing(target: Path) -> None:
    """Raises PackError where something is there already."""
    if target.exists() or target.is_symlink():
        raise PackError(f"There is already something at {target}; choose another name.")


def write_folder(target: Path, files: Mapping[str, bytes]) -> None:
    """Make `target` with these files in it, wholly or not at all. Raises PackError.

    The files are written beside it and moved into place at once, so that a full disk or Ctrl-C
    leaves nothing half-written.
    """
    refuse_existing(target)
    beside = target.with_name(f".{target.name}.{os.getpid()}.new")
    try:
        beside.mkdir(parents=True)
        for name, data in files.items():
            file = beside.joinpath(*name.split("/"))
            file.parent.mkdir(exist_ok=True)
            file.write_bytes(data)
        refuse_existing(target)  # made meanwhile, perhaps: an empty one would be replaced
        beside.rename(target)
    except OSError as error:
        raise PackError(
            f"Can't make the folder {target}: {error.strerror or error}; nothing was written."
        ) from error
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def command() -> str:
    """How the user started the program, for the commands that are suggested."""
    return "adventure" if Path(sys.argv[0]).name != "__main__.py" else "python -m adventure"
