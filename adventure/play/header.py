"""What a save says of itself: whose it is, where in the game, and what can be wrong with that.

Knows the first bytes of a file; nothing of what a state looks like, so that lists are quick.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from adventure.errors import SaveError

MAGIC, FORMAT = "adventure-save", 2
_KINDS = {
    "room": str,
    "turns": int,
    "score": int,
    "over": bool,
    "time": float,
    "sampler": dict,
    "seed": int,
}
WRONG = (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError)
"""What taking apart a damaged file can raise (RecursionError is a RuntimeError)."""


@dataclass(frozen=True)
class Identity:
    """What a save belongs to. world: name of its folder; digest: of the world's contents."""

    world: str
    title: str
    digest: str
    weights: str
    tokenizer: str
    protocol: int


@dataclass(frozen=True)
class About:
    """What a save says of itself. time: of writing, seconds since 1970."""

    identity: Identity
    room: str
    turns: int
    score: int
    over: bool
    time: float
    sampler: Mapping[str, Any]
    seed: int


def read_about(start: bytes, name: str) -> About:
    """What a save says of itself, from the file's first bytes; its contents are not checked.

    `start` holds at least the 8 bytes of the header's length and the header. Raises SaveError.
    """
    return about_of(read_header(start, name), name)


def header_length(first: bytes) -> int:
    """How many bytes of header follow the first 8; 0 where there are fewer."""
    return int(struct.unpack("<Q", first)[0]) if len(first) == 8 else 0


class DamagedSave(SaveError):
    """A file that was a save once."""


class OtherFormat(SaveError):
    """A save that another version of the program wrote."""


def damaged(name: str) -> DamagedSave:
    """What is said of a save that was one once."""
    return DamagedSave(f'The save "{name}" is damaged and can\'t be restored; restore another one.')


def read_header(data: bytes, name: str) -> dict[str, str]:
    """The header of a save, from the file's first bytes or all of them. Raises SaveError."""
    stranger = SaveError(f'"{name}" is not a saved game; give a file that SAVE wrote.')
    length = header_length(data[:8])
    if length > len(data) - 8:  # cut short, or never one
        raise damaged(name) if MAGIC.encode() in data[:4096] else stranger
    try:
        header = json.loads(data[8 : 8 + length])["__metadata__"]
    except WRONG as error:
        raise stranger from error
    if not isinstance(header, dict) or header.get("magic") != MAGIC:
        raise stranger
    if header.get("format") != str(FORMAT):
        raise OtherFormat(
            f'"{name}" has save format {header.get("format")}, and this version reads format '
            f"{FORMAT}; play it with the version that wrote it."
        )
    return header


def about_of(header: Mapping[str, str], name: str) -> About:
    """The summary in a header. Raises SaveError where it isn't one."""
    try:
        told = json.loads(header["about"])
        identity = told.pop("identity")
        if set(identity) != {f.name for f in fields(Identity)} or set(told) != set(_KINDS):
            raise ValueError("the header's keys")
        if not all(isinstance(told[key], kind) for key, kind in _KINDS.items()):
            raise ValueError("the header's values")
        if not all(isinstance(v, int if k == "protocol" else str) for k, v in identity.items()):
            raise ValueError("whose it is")
        return About(Identity(**identity), **told)
    except WRONG as error:
        raise damaged(name) from error


def check_belongs(saved: Identity, here: Identity, name: str) -> None:
    """Raises SaveError for a save of another world, model or protocol."""
    if saved.protocol != here.protocol:
        raise SaveError(
            f'"{name}" speaks protocol {saved.protocol} with the game master, and this version '
            f"{here.protocol}; play it with the version that wrote it, or start a new game."
        )
    if saved.digest != here.digest:
        if saved.world == here.world:
            raise SaveError(
                f'"{name}" was saved before the world "{here.title}" was changed and no longer '
                "fits it; start a new game."
            )
        raise SaveError(
            f'"{name}" is a game of "{saved.title}", and this is "{here.title}"; '
            f"start {saved.world} to restore it."
        )
    if (saved.weights, saved.tokenizer) != (here.weights, here.tokenizer):
        raise SaveError(
            f'"{name}" was played with another game master (model {saved.weights[:8]}; this is '
            f"{here.weights[:8]}); start with --model and its file to restore it."
        )
