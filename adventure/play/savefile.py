"""A game as the bytes of one safetensors file, and back. Knows sessions; no folders, no terminal.

Header: magic, format, what the save belongs to with a summary for lists, a sha256 over everything.
Tensors: the present position's own parts; of each that UNDO goes back to the same, or the tokens
that lead to it; states of the randomness, and `game`, packed JSON that says which is which, what
was typed last and what the player knows. So its size doesn't grow with the game. Nothing is
believed before it is checked.
"""

from __future__ import annotations

import json
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor

from adventure.errors import UserError
from adventure.play.header import (
    FORMAT,
    MAGIC,
    WRONG,
    About,
    Identity,
    check_belongs,
    damaged,
    read_about,
)
from adventure.play.known import KINDS
from adventure.play.moments import Game, Moment
from adventure.play.proof import digest, fingerprint, prove
from engine.sampler import make_sampler

if TYPE_CHECKING:
    from adventure.master.gamemaster import GameMaster
    from adventure.play.session import Session

_BODY_LIMIT = 1 << 28  # bytes that the packed JSON may unpack to


def pack_game(
    session: Session, identity: Identity, undo: int, undo_bytes: int, small: bool = False
) -> bytes:
    """The whole file. Keeps the last `undo` moments, or as many as fit into `undo_bytes`.

    small: of a moment that UNDO goes back to, only the tokens are kept that lead to it, where
    reading them gives the same bits; that takes the time to read them.
    """
    game = session.game()
    kept = min(undo, undo_bytes // max(1, game.now.position.state.nbytes), len(game.past))
    shelf = _Shelf()
    moments = []
    kept_moments = (game.now, *game.past[len(game.past) - kept :])
    parts = [session.master.position_to_file_parts(m.position) for m in kept_moments]
    paths: list[Tensor | None] = [None] * len(parts)
    if small:
        paths[1:] = _paths(session.master, kept_moments[1:], [tensors for tensors, _ in parts[1:]])
    for moment, (tensors, meta), path in zip(kept_moments, parts, paths, strict=True):
        kept_as: dict[str, Any]
        if path is None:
            kept_as = {"tensors": {name: shelf.put(tensor) for name, tensor in tensors.items()}}
        else:
            kept_as = {"path": shelf.put(path), "end": _print_of(tensors)}
        moments.append(
            {
                **kept_as,
                "meta": meta,
                "generator": shelf.put(moment.generator),
                "turns": moment.turns,
                "noun": moment.noun,
                "person": moment.person,
                "last": moment.last,
            }
        )
    body = {"moments": moments, "typed": game.typed, "hints": game.hints, "known": game.known}
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
    header["sha256"] = digest(header, shelf.prints)
    return save_tensors(shelf.tensors, header)


def _paths(
    master: GameMaster, past: Sequence[Moment], parts: Sequence[Mapping[str, Tensor]]
) -> list[Tensor | None]:
    """The tokens that lead to each moment; None where reading them again gives other bits."""
    paths = [master.path_to(moment.position) for moment in past]
    ends = master.followed(path for path in paths if path is not None)
    same = []
    for tensors, path in zip(parts, paths, strict=True):
        well = path is not None and _print_of(next(ends)) == _print_of(tensors)
        same.append(path if well else None)
    return same


def _print_of(tensors: Mapping[str, Tensor]) -> str:
    """The fingerprint of a position's tensors together."""
    prints = {n: fingerprint(str(t.dtype), t.shape, _to_bytes(t)) for n, t in tensors.items()}
    return digest({}, prints)


def unpack_game(data: bytes, session: Session, identity: Identity, name: str) -> Game:
    """The game in a file's bytes, checked against `session`, which stays. Raises SaveError."""
    check_belongs(read_about(data, name).identity, identity, name)
    about = prove(data, name)
    try:
        return _rebuild(load_tensors(data), session, about)
    except UserError:
        raise
    except (SafetensorError, *WRONG) as error:
        raise damaged(name) from error


def _rebuild(tensors: Mapping[str, Tensor], session: Session, about: About) -> Game:
    body = json.loads(_inflate(_to_bytes(tensors["game"])))
    pattern, _ = session.master.position_to_file_parts(session.opening)
    moments, shortened = list[Moment](), False
    told_paths = [tensors[told["path"]] for told in body["moments"] if "path" in told]
    ends = session.master.followed(told_paths)
    for told in body["moments"]:
        if "path" in told:
            parts = next(ends)
            if _print_of(parts) != told["end"]:
                del moments[1:]  # read on another machine: what can't be had exactly isn't had
                shortened = True
                continue
        else:
            parts = {name: tensors[key] for name, key in told["tensors"].items()}
        _check_parts(parts, pattern)
        generator = tensors[told["generator"]]
        torch.Generator().set_state(generator)  # raises where it isn't the state of a generator
        position = session.master.position_from_parts(parts, told["meta"])
        moments.append(
            Moment(
                position,
                generator,
                int(told["turns"]),
                str(told["noun"]),
                str(told["person"]),
                str(told["last"]),
            )
        )
    make_sampler(**about.sampler)  # so do these two where they are out of range
    torch.Generator().manual_seed(about.seed)
    turns = [moment.turns for moment in moments]
    if not 0 <= min(turns) <= max(turns) <= turns[0] == about.turns:
        raise ValueError(f"{turns} turns, wanted none after {about.turns}")
    return Game(
        moments[0],
        tuple(moments[1:]),
        [str(line) for line in body["typed"]],
        about.seed,
        about.sampler,
        int(body["hints"]),
        {kind: [*map(str, body["known"][kind])] for kind in KINDS},
        shortened,
    )


def _inflate(data: bytes) -> bytes:
    """The inverse of zlib.compress. Raises ValueError for other data, and beyond _BODY_LIMIT."""
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(data, _BODY_LIMIT)
    except zlib.error as error:
        raise ValueError(f"can't be unpacked: {error}") from error
    if not unpacker.eof:
        raise ValueError(f"unpacks to more than {_BODY_LIMIT} bytes, or ends early")
    return text


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
        own = fingerprint(str(tensor.dtype), tensor.shape, _to_bytes(tensor))
        if own not in self._known:
            name = name or f"t{len(self._known)}"
            self._known[own] = name
            self.prints[name] = own
            self.tensors[name] = tensor.clone()  # storage of its own, as the file format wants
        return self._known[own]


def _to_bytes(tensor: Tensor) -> bytes:
    return bytes(tensor.reshape(-1).view(torch.uint8).numpy().data) if tensor.numel() else b""


def _to_tensor(data: bytes) -> Tensor:
    return torch.frombuffer(bytearray(data), dtype=torch.uint8)
