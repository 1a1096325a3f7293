"""A stand-in for a trained game master: the referee for words, a few numbers for state.

FakeGameMaster speaks the interface of adventure.master.gamemaster.GameMaster. Its state is two
tensors that depend on everything read so far: games that differ anywhere differ there.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Generator, Tensor

from adventure.master.gamemaster import Piece
from adventure.play.commands import Console
from adventure.play.header import Identity
from adventure.play.saves import Saves
from adventure.play.session import Session
from adventure.play.transcript import Said
from adventure.referee import rules
from adventure.world.pack import load_world
from adventure.world.parts import World
from adventure.world.prompt import (
    PROTOCOL,
    Records,
    changed_keys,
    initial_records,
    record_line,
    shown,
)

SEGMENT = 4
COTTAGE: dict[str, Any] = {
    "format": 1,
    "title": "The Cottage",
    "author": "A. Tester",
    "headline": "A very small adventure",
    "intro": "Night falls, and the fire must be lit. Bring the log to the hearth.",
    "start": "Garden",
    "ending": {"thing": "dry log", "room": "Parlour", "text": "The fire burns. You are home."},
    "rooms": [
        {"name": "Garden", "description": "Roses and rain.", "exits": {"east": "Shed"}},
        {"name": "Shed", "description": "It smells of tar.", "exits": {"west": "Garden"}},
        {"name": "Parlour", "description": "A hearth, cold and black.", "exits": {}},
    ],
    "doors": [
        {
            "name": "green door",
            "description": "Paint flakes off it.",
            "from": "Garden",
            "direction": "north",
            "to": "Parlour",
            "locked": True,
            "key": "brass key",
        }
    ],
    "things": [
        {"name": "brass key", "description": "Small and bright.", "in": "Shed"},
        {"name": "dry log", "description": "It will burn well.", "in": "Shed"},
        {"name": "gold ring", "description": "Somebody's.", "in": "Shed", "treasure": True},
        {"name": "workbench", "description": "Heavy oak.", "in": "Shed", "fixed": True},
        {"name": "lamp", "description": "It is lit.", "in": "you", "synonyms": ["lantern"]},
    ],
    "replies": {"taken": "Taken: *.", "dropped": "Dropped: *.", "wait": "Time passes."},
}
SOLUTION = ["east", "take key", "take log", "west", "unlock door with key", "open door", "north"]


def make(table: dict[str, Any], name: str) -> World:
    """A pack's table as a world, unchecked; its rules are in canonical lines."""
    return World.model_validate({**table, "name": name})


def load(name: str) -> tuple[World, Path]:
    """A world that comes with the program, and its folder."""
    folder = Path(__file__).resolve().parents[1] / "worlds" / name
    return load_world(folder), folder


def cottage(**changes: Any) -> World:
    """The world of most tests."""
    return make({**COTTAGE, **changes}, "cottage")


def cottage_with(**parts: list[dict[str, Any]]) -> World:
    """The cottage with further rooms, things and so on."""
    return cottage(**{key: [*COTTAGE.get(key, []), *more] for key, more in parts.items()})


@dataclass(frozen=True, eq=False)
class FakeState:
    """mind (4,): mixes in every line read; count (1,): lines read."""

    mind: Tensor
    count: Tensor

    @property
    def nbytes(self) -> int:
        return self.mind.nbytes + self.count.nbytes

    def read(self, line: str) -> FakeState:
        noise = torch.tensor([zlib.crc32(f"{i}{line}".encode()) % 9973 for i in range(4)]) / 9973
        return FakeState(torch.tanh(self.mind * 0.9 + noise), self.count + 1)


@dataclass(frozen=True, eq=False)
class FakePosition:
    """As gamemaster.Position."""

    state: FakeState
    logits: Tensor
    records: Records
    changed: tuple[str, ...] = ()
    turns: int = 0

    @property
    def over(self) -> bool:
        return self.records["Game"] != ("on",)


class FakeGameMaster:
    """A perfect master. moody: it draws a mood from the randomness for each reply and shows it.

    wrong: a record's key -> the line that it takes for that record.
    before_piece is called before each piece is given, for tests that stop a turn in the middle.
    """

    def __init__(self, world: World, moody: bool = False, size: int = 4) -> None:
        self.world, self.moody, self.size = world, moody, size
        self.sampler: Callable[..., int] | None = None
        self.before_piece: Callable[[], None] = lambda: None
        self.settled = 0
        self.wrong: dict[str, str] = {}

    def of(self, world: World) -> FakeGameMaster:
        return FakeGameMaster(world, self.moody, self.size)

    def opening(self, progress: Any = None, cache_dir: Path | None = None) -> FakePosition:
        state = FakeState(torch.zeros(self.size), torch.zeros(1))
        return FakePosition(state, torch.arange(4.0), initial_records(self.world))

    def settle(self, position: FakePosition) -> FakePosition:
        if position.turns < SEGMENT:
            return position
        self.settled += 1
        state = self.opening().state.read(repr(sorted(position.records.items())))
        return replace(position, state=state, turns=0)

    def recall(self, position: FakePosition, key: str) -> str:
        return self.wrong.get(key) or record_line(key, position.records.get(key, ()))

    def turn(
        self, position: FakePosition, line: str, generator: Generator | None = None
    ) -> FakeTurn:
        return FakeTurn(self, position, line, generator)

    def position_to_file_parts(self, p: FakePosition) -> tuple[dict[str, Tensor], dict[str, Any]]:
        tensors = {"mind": p.state.mind, "count": p.state.count, "logits": p.logits}
        return tensors, {"records": p.records, "changed": p.changed, "turns": p.turns}

    def path_to(self, position: FakePosition) -> None:
        """It keeps no tokens."""

    def followed(self, paths: Iterable[Tensor]) -> Iterator[dict[str, Tensor]]:
        assert not [*paths]
        yield from ()

    def position_from_parts(self, tensors: Mapping[str, Tensor], meta: Any) -> FakePosition:
        records = {key: tuple(items) for key, items in meta["records"].items()}
        state = FakeState(tensors["mind"], tensors["count"])
        return FakePosition(
            state, tensors["logits"], records, tuple(meta["changed"]), meta["turns"]
        )


class FakeTurn:
    """As gamemaster.Turn: pieces of three characters."""

    def __init__(
        self, master: FakeGameMaster, before: FakePosition, line: str, generator: Generator | None
    ) -> None:
        self._master, self._line, self._generator = master, line, generator
        self.position, self.reply, self.lost = before, "", False
        self.records: list[str] = []

    def __iter__(self) -> Iterator[Piece]:
        before = self.position
        outcome = rules.play(self._master.world, before.records, self._line)
        reply = shown(outcome.reply)
        if self._master.moody:
            mood = int(torch.randint(1000, (1,), generator=self._generator))
            reply += f"\nMood {mood}."
        hidden = "".join(f"{line}\n" for line in outcome.lines)
        for kind, text in (("record", hidden), ("text", reply)):
            for at in range(0, len(text), 3):
                self._master.before_piece()
                yield Piece(kind, text[at : at + 3])  # type: ignore[arg-type]
        state = before.state.read(f"{self._line}{reply}")
        changed = changed_keys(list(before.changed), before.records, outcome.records)
        self.records, self.reply = outcome.lines, reply
        self.position = FakePosition(
            state, state.mind * 2, outcome.records, tuple(changed), before.turns + 1
        )


def identity(world: World, **changes: Any) -> Identity:
    """Whose saves these are."""
    known = {"weights": "weights-hash", "tokenizer": "tokenizer-hash", "protocol": PROTOCOL}
    return Identity(world.name, world.title, world.digest, **{**known, **changes})


def new_session(moody: bool = False, seed: int = 1, world: World | None = None) -> Session:
    """A session of the cottage with a fake master."""
    world = world or cottage()
    master = FakeGameMaster(world, moody)
    return Session(world, master, master.opening(), seed)  # type: ignore[arg-type]


def new_console(folder: Path, autosave: bool = False, **options: Any) -> Console:
    """A console over such a session, with its saves in `folder`."""
    session = new_session(**options)
    return Console(session, Saves(folder, identity(session.world)), autosave)


def tell_all(pieces: Iterable[Said]) -> str:
    """What is said, without the hidden lines."""
    return "".join(said.text for said in pieces if said.kind != "record")


def say(session: Session, *lines: str) -> str:
    """Play lines; what the game said to the last one."""
    text = ""
    for line in lines:
        text = tell_all(session.play(line))
    return text


def tell(console: Console, *lines: str) -> str:
    """The same with a console, pieces of program and game parted by newlines."""
    text = ""
    for line in lines:
        text = "".join(
            said.text if said.kind == "text" else f"{said.text}\n" for said in console.play(line)
        )
    return text


def fingerprint(session: Session) -> tuple[object, ...]:
    """Everything that decides how a game goes on, comparable to the bit."""
    game = session.game()
    moments = []
    for moment in (game.now, *game.past):
        tensors, meta = session.master.position_to_file_parts(moment.position)
        parts = {name: (t.dtype, t.shape, t.numpy().tobytes()) for name, t in tensors.items()}
        told = (moment.turns, moment.noun, moment.last, moment.generator.numpy().tobytes())
        moments.append((parts, repr(meta), told))
    return moments, session.turns, game.seed, dict(game.sampler)
