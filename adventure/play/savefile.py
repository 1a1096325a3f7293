"""A game as the bytes of one safetensors file, and back. Knows sessions; no folders, no terminal.

Header: magic, format, what the save belongs to with a summary for lists, a sha256 over everything.
Tensors: the positions' own parts, states of the randomness, the transcript in packed blocks, and
`game`, packed JSON that says which is which. Nothing is believed before it is checked.
"""

from __future__ import annotations

import hashlib
import json
import struct
import time
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from adventure.errors import SaveError, UserError
from adventure.play.session import Game, Moment
from adventure.play.transcript import Transcript, inflate

if TYPE_CHECKING:
    from adventure.play.session import Session

MAGIC, FORMAT = "adventure-save", 1
_BODY_LIMIT = 1 << 28  # bytes that the packed JSON may unpack to
_KINDS = {
    "room": str,
    "turns": int,
    "score": int,
    "over": bool,
    "time": float,
    "sampler": dict,
    "seed": int,
}
_WRONG = (KeyError, ValueError, TypeError, IndexError, AttributeError, RuntimeError)
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


def pack_game(session: Session, identity: Identity, undo: int, undo_bytes: int) -> bytes:
    """The whole file. Keeps the last `undo` moments, or as many as fit into `undo_bytes`."""
    game = session.game()
    kept = min(undo, undo_bytes // max(1, game.now.position.state.nbytes), len(game.past))
    shelf = _Shelf()
    moments = []
    for moment in (game.now, *game.past[len(game.past) - kept :]):
        tensors, meta = session.master.position_to_file_parts(moment.position)
        moments.append(
            {
                "tensors": {name: shelf.put(tensor) for name, tensor in tensors.items()},
                "meta": meta,
                "generator": shelf.put(moment.generator),
                "turns": moment.turns,
                "noun": moment.noun,
                "last": moment.last,
            }
        )
    transcript = [shelf.put(_to_tensor(block)) for block in game.transcript.blocks()]
    body = {"moments": moments, "transcript": transcript}
    shelf.put(_to_tensor(zlib.compress(json.dumps(body).encode(), 6)), "game")
    about = About(
        identity,
        session.room,
        session.turns,
        session.score,
        session.over,
        time.time(),
        dict(game.sampler),
        game.seed,
    )
    header = {
        "magic": MAGIC,
        "format": str(FORMAT),
        "about": json.dumps(asdict(about), sort_keys=True),
    }
    header["sha256"] = _digest(header, shelf.prints)
    return save_tensors(shelf.tensors, header)


def unpack_game(data: bytes, session: Session, identity: Identity, name: str) -> Game:
    """The game in a file's bytes, checked against `session`, which stays. Raises SaveError."""
    header = _header(data, name)
    about = _about(header, name)
    _check_belongs(about.identity, identity, name)
    try:
        tensors = load_tensors(data)
        prints = {key: _fingerprint(tensor) for key, tensor in tensors.items()}
        if header.pop("sha256", None) != _digest(header, prints):
            raise ValueError("sha256")
        return _rebuild(tensors, session, about)
    except UserError:
        raise
    except (SafetensorError, *_WRONG) as error:
        raise _damaged(name) from error


def read_about(start: bytes, name: str) -> About:
    """What a save says of itself, from the file's first bytes; its contents are not checked.

    `start` holds at least the 8 bytes of the header's length and the header. Raises SaveError.
    """
    return _about(_header(start, name), name)


def header_length(first: bytes) -> int:
    """How many bytes of header follow the first 8; 0 where there are fewer."""
    return int(struct.unpack("<Q", first)[0]) if len(first) == 8 else 0


def _rebuild(tensors: Mapping[str, Tensor], session: Session, about: About) -> Game:
    body = json.loads(inflate(_to_bytes(tensors["game"]), _BODY_LIMIT))
    pattern, _ = session.master.position_to_file_parts(session.opening)
    moments = []
    for told in body["moments"]:
        parts = {name: tensors[key] for name, key in told["tensors"].items()}
        _check_parts(parts, pattern)
        generator = tensors[told["generator"]]
        torch.Generator().set_state(generator)  # raises where it isn't the state of a generator
        position = session.master.position_from_parts(parts, told["meta"])
        moments.append(
            Moment(position, generator, int(told["turns"]), str(told["noun"]), str(told["last"]))
        )
    transcript = Transcript.from_blocks([_to_bytes(tensors[key]) for key in body["transcript"]])
    if moments[0].turns != len(transcript):
        raise ValueError(
            f"{len(transcript)} turns in the transcript of a game of {moments[0].turns}"
        )
    return Game(moments[0], tuple(moments[1:]), transcript, about.seed, about.sampler)


def _check_parts(parts: Mapping[str, Tensor], pattern: Mapping[str, Tensor]) -> None:
    """A state's tensors have the shapes that this network's have, and hold numbers."""
    if set(parts) != set(pattern):
        raise ValueError(f"parts {sorted(parts)}, wanted {sorted(pattern)}")
    for name, tensor in parts.items():
        like = pattern[name]
        fixed = like.is_floating_point()  # whole numbers are histories of tokens, which grow
        same = tensor.shape == like.shape if fixed else tensor.dim() == like.dim()
        if tensor.dtype != like.dtype or not same:
            raise ValueError(
                f"{name} is {tensor.dtype} {tuple(tensor.shape)}, wanted {tuple(like.shape)}"
            )
        if fixed and bool(torch.isnan(tensor).any()):
            raise ValueError(f"{name} holds something that is not a number")


class _Shelf:
    """Tensors of a file under short names; one that comes twice is kept once."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.prints: dict[str, str] = {}
        self._known: dict[str, str] = {}

    def put(self, tensor: Tensor, name: str = "") -> str:
        """The name that `tensor` has in the file."""
        tensor = tensor.detach().cpu().contiguous()
        fingerprint = _fingerprint(tensor)
        if fingerprint not in self._known:
            name = name or f"t{len(self._known)}"
            self._known[fingerprint] = name
            self.prints[name] = fingerprint
            self.tensors[name] = tensor.clone()  # storage of its own, as the file format wants
        return self._known[fingerprint]


def _fingerprint(tensor: Tensor) -> str:
    return hashlib.sha256(
        f"{tensor.dtype} {tuple(tensor.shape)}\n".encode() + _to_bytes(tensor)
    ).hexdigest()


def _to_bytes(tensor: Tensor) -> bytes:
    return bytes(tensor.reshape(-1).view(torch.uint8).numpy().data) if tensor.numel() else b""


def _to_tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)


def _digest(header: Mapping[str, str], prints: Mapping[str, str]) -> str:
    """sha256 over the header without its hash and over every tensor's name and fingerprint."""
    return hashlib.sha256(
        json.dumps([dict(header), dict(prints)], sort_keys=True).encode()
    ).hexdigest()


# -- the header, and what can be wrong with it ---------------------------------------------------


def _damaged(name: str) -> SaveError:
    return SaveError(f'The save "{name}" is damaged and can\'t be restored; restore another one.')


def _header(data: bytes, name: str) -> dict[str, str]:
    """The header of a save, from the file's first bytes or all of them. Raises SaveError."""
    stranger = SaveError(f'"{name}" is not a saved game; give a file that SAVE wrote.')
    length = header_length(data[:8])
    if length > len(data) - 8:  # cut short, or never one
        raise _damaged(name) if MAGIC.encode() in data[:4096] else stranger
    try:
        header = json.loads(data[8 : 8 + length])["__metadata__"]
    except _WRONG as error:
        raise stranger from error
    if not isinstance(header, dict) or header.get("magic") != MAGIC:
        raise stranger
    if header.get("format") != str(FORMAT):
        raise SaveError(
            f'"{name}" has save format {header.get("format")}, and this version reads format '
            f"{FORMAT}; play it with the version that wrote it."
        )
    return header


def _about(header: Mapping[str, str], name: str) -> About:
    try:
        told = json.loads(header["about"])
        identity = told.pop("identity")
        if set(identity) != {f.name for f in fields(Identity)} or set(told) != set(_KINDS):
            raise ValueError("the header's keys")
        if not all(isinstance(told[key], kind) for key, kind in _KINDS.items()):
            raise ValueError("the header's values")
        return About(Identity(**identity), **told)
    except _WRONG as error:
        raise _damaged(name) from error


def _check_belongs(saved: Identity, here: Identity, name: str) -> None:
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
    if saved.protocol != here.protocol:
        raise SaveError(
            f'"{name}" speaks protocol {saved.protocol} with the game master, and this version '
            f"{here.protocol}; play it with the version that wrote it."
        )
