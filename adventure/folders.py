"""Where the game keeps its files: environment -> folders. Knows no file in them."""

from __future__ import annotations

import os
from pathlib import Path


def saves_folder() -> Path:
    """ADVENTURE_SAVES, else the checkout's saves/, else a folder of the user's."""
    if os.environ.get("ADVENTURE_SAVES"):
        return Path(os.environ["ADVENTURE_SAVES"]).expanduser()
    checkout = Path(__file__).resolve().parents[1]
    if (checkout / "pyproject.toml").is_file():
        return checkout / "saves"
    return _user_folder("XDG_DATA_HOME", ".local/share") / "saves"


def cache_folder() -> Path:
    """Where openings are kept, so that a world is read only once."""
    return _user_folder("XDG_CACHE_HOME", ".cache")


def _user_folder(variable: str, otherwise: str) -> Path:
    base = os.environ.get(variable, "")
    return (Path(base) if base.startswith("/") else Path.home() / otherwise) / "adventure-rwkv"
