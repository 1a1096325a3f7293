"""Saves: restored play equals uninterrupted play to the bit, and nothing that is broken gets in."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import re
import resource
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import torch
from fakes import (
    COTTAGE,
    SOLUTION,
    FakeGameMaster,
    cottage,
    fingerprint,
    identity,
    make,
    new_console,
    new_session,
    say,
)
from safetensors.torch import save as save_tensors
from tiny import tiny_model

from adventure.bench_command import unending
from adventure.errors import SaveError
from adventure.master.gamemaster import GameMaster
from adventure.master.paths import LONGEST
from adventure.play import hold, save_bench, savefile
from adventure.play.commands import ELSEWHERE, Console
from adventure.play.course import TYPED
from adventure.play.hold import take_hold
from adventure.play.known import Known
from adventure.play.loop import begin
from adventure.play.moments import Moment
from adventure.play.saves import (
    UNDO_KEPT,
    Saves,
    autosave_name,
    find_save,
    list_saves,
    prove_saves,
    read_saved,
    save_path,
)
from adventure.play.screen import PlainScreen
from adventure.play.session import Session
from adventure.play.transcript import PlayedTurn
from adventure.play.wholefile import write_file
from adventure.world.prompt import PROTOCOL, SPECIALS, pack_text
from engine.rwkv.state import State
from engine.tokenizer import train_tokenizer

GAME = [*SOLUTION, "take all", "look", "drop key", "g", "x it", "east", "south", "take it"]


def saves_in(folder: Path, **changes: Any) -> Saves:
    return Saves(folder, identity(cottage(), **changes))


@pytest.fixture
def saved(tmp_path: Path) -> tuple[Saves, Path]:
    """A folder with the save "mine" of a game of four turns."""
    saves = saves_in(tmp_path)
    session = new_session(moody=True)
    say(session, *SOLUTION[:4])
    return saves, saves.save("mine", session)


@pytest.mark.parametrize("when", range(0, len(GAME) + 1, 2))
def test_restored_play_is_uninterrupted_play(tmp_path: Path, when: int) -> None:
    straight = new_session(moody=True)
    replies = [say(straight, line) for line in GAME]
    first = new_session(moody=True)
    say(first, *GAME[:when])
    saves_in(tmp_path).save("x", first)
    second = new_session(moody=True, seed=99)
    say(second, "look", "east")  # a game in play is replaced whole
    second.resume(saves_in(tmp_path).load("x", second))
    assert fingerprint(second) == fingerprint(first)
    assert [say(second, line) for line in GAME[when:]] == replies[when:]
    assert fingerprint(second) == fingerprint(straight)


def test_turns_can_be_undone_after_restoring(tmp_path: Path) -> None:
    first = new_session(moody=True)
    say(first, *["look"] * (UNDO_KEPT + 5))
    saves_in(tmp_path).save("x", first)
    second = new_session()
    second.resume(saves_in(tmp_path).load("x", second))
    for _ in range(UNDO_KEPT):
        assert first.undo() and second.undo()
    assert fingerprint(second)[0][0] == fingerprint(first)[0][0]  # type: ignore[index]
    assert not second.undo()


def test_the_sampler_and_the_seed_come_back(tmp_path: Path) -> None:
    first = new_session(seed=7)
    first.use_sampler({"temperature": 0.5})
    saves_in(tmp_path).save("x", first)
    second = new_session()
    second.resume(saves_in(tmp_path).load("x", second))
    assert (second.seed, second.sampler) == (7, {"temperature": 0.5})


def test_a_file_that_is_no_save_is_not_replaced(saved: tuple[Saves, Path]) -> None:
    saves, path = saved
    path.write_text("Dear Ann, ")
    with pytest.raises(SaveError, match="is there already and is not a saved game"):
        saves.save("mine", new_session())
    assert path.read_text() == "Dear Ann, "


# -- files that are not what they should be ------------------------------------------------------


@cache
def game_in_play() -> tuple[Session, object]:
    session = new_session(moody=True)
    say(session, "east")
    return session, fingerprint(session)


def refused(saves: Saves, path: Path, data: bytes | None = None) -> str:
    """Loading must fail in one sentence and leave the session as it was."""
    if data is not None:
        path.write_bytes(data)
    session, before = game_in_play()
    with pytest.raises(SaveError) as error:
        session.resume(saves.load(str(path), session))
    assert fingerprint(session) == before
    text = str(error.value)
    assert "\n" not in text and text.endswith(".") and len(text) < 300
    return text


def test_a_save_cut_short_anywhere_is_refused(saved: tuple[Saves, Path]) -> None:
    saves, path = saved
    data = path.read_bytes()
    for length in {*range(64), *range(64, len(data), 97), *range(len(data) - 40, len(data))}:
        refused(saves, path, data[:length])
    assert "damaged" in refused(saves, path, data[:-1])
    assert "damaged" in refused(saves, path, data[: len(data) // 2])


def test_a_changed_byte_anywhere_is_noticed(saved: tuple[Saves, Path]) -> None:
    saves, path = saved
    data = path.read_bytes()
    rng = random.Random(1)
    for at in [*range(0, len(data), 61), *rng.sample(range(len(data)), 50)]:
        broken = bytearray(data)
        broken[at] ^= 1 << rng.randrange(8)
        refused(saves, path, bytes(broken))
    refused(saves, path, data + b"\0")


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"\0" * 7,
        b"\0" * 4096,
        b"\xff" * 4096,
        b"once upon a time " * 100,
        struct.pack("<Q", 2) + b"{}",
        struct.pack("<Q", 1 << 62) + b"{}",
        struct.pack("<Q", 40000) + b"[" * 40000,
        b"\x80\x04\x95.\x00\x00\x00\x00\x00\x00\x00\x8c\x02os\x8c\x06system\x93",
        save_tensors({"x": torch.zeros(3)}),
        save_tensors({"x": torch.zeros(3)}, {"magic": "something else"}),
    ],
    ids=range(11),
)
def test_junk_is_not_a_saved_game(saved: tuple[Saves, Path], junk: bytes) -> None:
    assert "not a saved game" in refused(*saved, junk)


def test_random_junk_is_refused(saved: tuple[Saves, Path]) -> None:
    rng = random.Random(2)
    for _ in range(50):
        refused(*saved, rng.randbytes(rng.randrange(3000)))


def test_a_folder_or_a_device_is_not_a_save(saved: tuple[Saves, Path], tmp_path: Path) -> None:
    assert "is not a file" in refused(saved[0], tmp_path)
    assert "is not a file" in refused(saved[0], Path("/dev/zero"))


def test_a_save_of_another_world_model_or_version_is_named(saved: tuple[Saves, Path]) -> None:
    path = saved[1]
    other = make({**COTTAGE, "title": "Salt"}, "salt")
    edited = make({**COTTAGE, "intro": "Day breaks."}, "cottage")
    renamed = make(COTTAGE, "hut")
    assert 'is a game of "The Cottage"' in refused(Saves(path.parent, identity(other)), path)
    assert "was changed" in refused(Saves(path.parent, identity(edited)), path)
    assert "another game master" in refused(saves_in(path.parent, weights="w2"), path)
    assert "another game master" in refused(saves_in(path.parent, tokenizer="t2"), path)
    later = PROTOCOL + 1
    told = f"speaks protocol {PROTOCOL} with the game master, and this version {later}; play it"
    assert told in refused(saves_in(path.parent, protocol=later), path)
    elsewhere = Saves(path.parent, identity(other, protocol=later, weights="w3"))
    assert f"speaks protocol {PROTOCOL}" in refused(elsewhere, path)
    assert Saves(path.parent, identity(renamed)).load("mine", new_session()).now.turns == 4


def test_a_save_of_the_protocol_before_is_refused_in_one_sentence(tmp_path: Path) -> None:
    older = saves_in(tmp_path, protocol=1, weights="w0")
    older.save("mine", new_session())
    assert refused(saves_in(tmp_path), tmp_path / "mine.save") == (
        f'"mine" speaks protocol 1 with the game master, and this version {PROTOCOL}; play it '
        "with the version that wrote it, or start a new game."
    )
    assert saves_in(tmp_path).left_off() is None


def test_a_save_of_a_later_format_is_refused(
    saved: tuple[Saves, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    saves, path = saved
    monkeypatch.setattr(savefile, "FORMAT", 3)
    saves.save("mine", new_session())
    monkeypatch.undo()
    assert "save format 3" in refused(saves, path)
    sound, others = prove_saves(path.parent, saves.identity)
    why = "was written by another version of the program, which can read it."
    assert (sound, others) == ([], {path: why})


FAULTS = "shape missing nan dtype turns generator sampler seed known"


@pytest.mark.parametrize("fault", FAULTS.split())
def test_a_forged_save_with_a_right_hash_is_checked_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    class Forger(FakeGameMaster):
        def position_to_file_parts(self, p: Any) -> Any:
            tensors, meta = super().position_to_file_parts(p)
            if fault == "shape":
                tensors["mind"] = torch.zeros(5)
            elif fault == "dtype":
                tensors["mind"] = tensors["mind"].double()
            elif fault == "nan":
                tensors["mind"] = tensors["mind"] * float("nan")
            elif fault == "missing":
                del tensors["mind"]
            return tensors, meta

    class ForgedSession(Session):
        def moment(self) -> Moment:
            real = super().moment()
            if fault == "turns":
                return replace(real, turns=real.turns + 1)
            if fault == "generator":
                return replace(real, generator=torch.zeros(3, dtype=torch.uint8))
            return real

    master = Forger(cottage())
    session = ForgedSession(cottage(), master, master.opening())  # type: ignore[arg-type]
    say(session, "east")
    session.sampler = {"warmth": 1} if fault == "sampler" else {}
    session.seed = 1 << 70 if fault == "seed" else 0
    if fault == "known":
        monkeypatch.setattr(Known, "kept", {"rooms": []})
    data = savefile.pack_game(session, identity(cottage()), 1, 1 << 30)
    monkeypatch.undo()
    assert "damaged" in refused(saves_in(tmp_path), tmp_path / "x.save", data)


def test_a_save_does_not_grow_with_the_game(capsys: pytest.CaptureFixture[str]) -> None:
    master: Any = FakeGameMaster(cottage())
    rows = save_bench.bench(master, identity(cottage()), 1000, unending(cottage()))
    assert [row["turn"] for row in rows] == [10, 100, 300, 1000]
    assert abs(rows[3]["bytes"] / rows[1]["bytes"] - 1) < 0.05
    assert rows[0]["bytes"] <= rows[1]["bytes"], "fewer moments to go back to"
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_what_was_typed_last_comes_back_for_the_arrow_keys(tmp_path: Path) -> None:
    saves, session = saves_in(tmp_path), new_session()
    for turn in range(TYPED + 5):
        say(session, "look" if turn else "east", "again")
    saves.save("x", session)
    again = new_session()
    again.resume(saves.load("x", again))
    assert [*again.typed] == [*session.typed] == ["look", "again"] * (TYPED // 2)
    say(again, "wait")
    assert [*again.typed][-2:] == ["again", "wait"] and again.turns == 2 * TYPED + 11


# -- writing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EACCES])
@pytest.mark.parametrize("call", ["fsync", "replace", "open"])
def test_a_failed_write_leaves_the_old_save(
    saved: tuple[Saves, Path], monkeypatch: pytest.MonkeyPatch, number: int, call: str
) -> None:
    saves, path = saved
    data = path.read_bytes()

    def fail(*args: Any, **options: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path if call == "replace" else os, call, fail)
    with pytest.raises(SaveError) as error:
        saves.save("mine", new_session())
    monkeypatch.undo()
    assert "the earlier save of that name is as it was." in str(error.value)
    assert ("disk is full" in str(error.value)) == (number == errno.ENOSPC)
    assert path.read_bytes() == data
    assert [p.name for p in path.parent.iterdir()] == ["mine.save"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_leaves_the_old_save(
    saved: tuple[Saves, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The kernel's own full device in place of the temporary file."""
    saves, path = saved
    data = path.read_bytes()
    real = os.open
    monkeypatch.setattr(
        os, "open", lambda p, *rest: real("/dev/full" if str(p).endswith(".tmp") else p, *rest)
    )
    with pytest.raises(SaveError, match="The disk is full, so the game was not saved; the earlier"):
        saves.save("mine", new_session())
    with pytest.raises(SaveError, match=r"The disk is full, so the game was not saved\."):
        saves.save("other", new_session())
    monkeypatch.undo()
    assert path.read_bytes() == data
    assert saves.load("mine", new_session()).now.turns == 4


def test_a_limit_on_file_size_leaves_the_old_save(saved: tuple[Saves, Path]) -> None:
    saves, path = saved
    data = path.read_bytes()
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(SaveError, match="The disk is full"):
            saves.save("mine", new_session())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert path.read_bytes() == data
    assert [p.name for p in path.parent.iterdir()] == ["mine.save"]


def test_a_device_is_never_replaced() -> None:
    with pytest.raises(SaveError, match="is not a file"):
        write_file(Path("/dev/null"), b"x")
    assert not Path("/dev/null").is_file()


WRITER = """
import os, sys
sys.path.insert(0, {tests!r})
from pathlib import Path
from fakes import cottage, identity, new_session, say
from adventure.play.saves import Saves
def play():
    session = new_session(moody=True)
    saves = Saves(Path({folder!r}), identity(cottage()))
    while True:
        say(session, "look")
        saves.autosave(session)
        print(session.turns, flush=True)
for line in sys.stdin:
    player = os.fork()
    if not player:
        print("player", os.getpid(), flush=True)
        play()
    os.waitpid(player, 0)
    print("gone", flush=True)
"""
"""Starts a player for each line that it reads, so that the network's library is imported once."""


@contextlib.contextmanager
def writer(folder: Path) -> Iterator[tuple[Callable[[], int], Callable[..., str]]]:
    """Two functions: one starts a player, gives its number and waits until it has kept its first
    turn; the other gives what was printed up to and with a word."""
    code = WRITER.format(tests=str(Path(__file__).parent), folder=str(folder))
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", code], stdin=pipe, stdout=pipe, text=True) as all_:
        assert all_.stdin and all_.stdout
        players, page = list[int](), all_.stdout

        def told(until: str) -> str:
            text = ""
            while until not in text:
                line = page.readline()
                assert line, "the writer has ended"
                text += line
            return text

        def start() -> int:
            assert all_.stdin
            print("play", file=all_.stdin, flush=True)
            players.append(int(re.findall(r"player (\d+)", told(until="player"))[0]))
            told(until="1\n")
            return players[-1]

        try:
            yield start, told
        finally:
            all_.kill()
            for player in players[-1:]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(player, signal.SIGKILL)


def test_kill_9_at_any_time_loses_at_most_the_turn_in_play(tmp_path: Path) -> None:
    """A process that plays and keeps its game is killed again and again; its game always loads."""
    rng = random.Random(3)
    saves = saves_in(tmp_path)
    with writer(tmp_path) as (start, told):
        for _ in range(6):
            player = start()
            time.sleep(rng.random() * 0.2)
            os.kill(player, signal.SIGKILL)
            kept = [1, *map(int, re.findall(r"^(\d+)\n", told(until="gone"), re.MULTILINE))][-1]
            session = new_session(moody=True)
            session.resume(saves.load(saves.autosave_name, session))
            assert session.turns in (kept, kept + 1)
            straight = new_session(moody=True)
            say(straight, *["look"] * session.turns)
            assert fingerprint(session)[0][0] == fingerprint(straight)[0][0]  # type: ignore[index]


@pytest.mark.parametrize("links", [True, False])
def test_there_is_an_autosave_at_every_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool
) -> None:
    """Also where a new game dies while it takes the place of the one before."""
    list(new_console(tmp_path, autosave=True).play("east. west"))

    def die(path: Path, data: bytes) -> None:
        raise SystemExit

    if not links:
        monkeypatch.setattr(os, "link", lambda *_: Path("/no/such/file").stat())
    monkeypatch.setattr("adventure.play.wholefile._write_through", die)
    with pytest.raises(SystemExit):
        list(new_console(tmp_path, autosave=True).play("look"))
    name = autosave_name("cottage", "weights-hash")
    assert sorted(saved.name for saved in list_saves(tmp_path)) == [name, f"{name}.previous"]
    left = saves_in(tmp_path).left_off()
    assert left and left.about.turns == 2


# -- names and the folder ------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mine", "My game 2", "caf\u00e9_v1.2", "a-b", "x" * 60])
def test_good_names(tmp_path: Path, name: str) -> None:
    assert save_path(tmp_path, f" {name} ") == tmp_path / f"{name}.save"
    saves_in(tmp_path).save(name, new_session())
    assert [saved.name for saved in list_saves(tmp_path)] == [name]


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a\\b", "a:b", "x" * 61, "a\0b", "*", "~"])
def test_bad_names_are_refused_in_a_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(SaveError, match="won't do as the name of a save"):
        save_path(tmp_path, name)


@pytest.mark.parametrize("name", ["sub/x", "../x", "/tmp/x", "~/x", "./x.save", "/"])
def test_a_path_is_no_name_to_save_under(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Nothing is ever written beside the saves folder."""
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SaveError, match="won't do as the name of a save"):
        saves_in(tmp_path / "saves").save(name, new_session())
    assert not list(tmp_path.iterdir())


def test_a_save_can_be_restored_from_anywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "saves"
    path = saves_in(folder).save("inside.save", new_session())
    assert path == folder / "inside.save"
    assert find_save(folder, "inside.save") == find_save(folder, "inside") == path
    assert find_save(folder, "saves/inside.save") == Path("saves/inside.save")
    Path("here.save").write_bytes(path.read_bytes())
    assert find_save(folder, "here.save") == Path("here.save")
    with pytest.raises(SaveError, match="no save called"):
        find_save(folder, "~nobody-at-all/x")


def test_a_missing_save_names_those_there_are(tmp_path: Path) -> None:
    with pytest.raises(SaveError, match='no save called "x"; there are none yet'):
        find_save(tmp_path, "x")
    saves_in(tmp_path).save("mine", new_session())
    with pytest.raises(SaveError, match='no save called "x"; there is: mine'):
        find_save(tmp_path, "x")
    with pytest.raises(SaveError):
        find_save(tmp_path, "x" * 50 + "/" + "y" * 5000)


def test_the_list_passes_over_what_is_not_a_save(saved: tuple[Saves, Path]) -> None:
    saves, path = saved
    (path.parent / "junk.save").write_bytes(b"junk")
    (path.parent / "folder.save").mkdir()
    (found,) = list_saves(path.parent)
    assert prove_saves(path.parent) == ([found], {})
    about = found.about
    assert (found.name, about.room, about.turns) == ("mine", "Garden", 4)
    assert about.identity == saves.identity
    assert abs(about.time - time.time()) < 60


def test_damaged_saves_are_told_from_those_that_can_be_restored(saved: tuple[Saves, Path]) -> None:
    saves, path = saved
    data, folder = path.read_bytes(), path.parent
    (folder / "cut.save").write_bytes(data[: data.index(b"adventure-save") + 20])
    (folder / "changed.save").write_bytes(data[:-50] + b"?" + data[-49:])
    (folder / "longer.save").write_bytes(data + b"?")
    (folder / "letter.save").write_text("Dear Ann, ")
    other = Saves(folder, identity(make({**COTTAGE, "title": "Salt"}, "salt")))
    other.save("salt", new_session())
    (folder / "brine.save").write_bytes((folder / "salt.save").read_bytes()[:-1])
    sound, broken = prove_saves(folder, saves.identity)
    assert [found.name for found in sound] == ["mine"]
    assert [found.name for found in broken] == ["changed.save", "cut.save", "longer.save"]
    sound, broken = prove_saves(folder)
    assert {found.name for found in sound} == {"mine", "salt"} and len(broken) == 4
    with pytest.raises(SaveError, match='no save called "x"; there is: salt, mine'):
        find_save(folder, "x")


def test_a_list_of_saves_is_quick(saved: tuple[Saves, Path]) -> None:
    """What is in them is proved without waiting for the network to be imported."""
    code = (
        "import sys; from pathlib import Path; from adventure.play.saves import prove_saves\n"
        f"assert len(prove_saves(Path({str(saved[1].parent)!r}))[0]) == 1\n"
        "sys.exit('torch' in sys.modules)"
    )
    root = Path(__file__).resolve().parents[1]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == 0


def test_a_save_in_a_read_only_place_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(SaveError, match="was not saved to"):
        saves_in(tmp_path / "file" / "saves").save("x", new_session())


# -- the save after every turn -------------------------------------------------------------------


def test_the_game_is_kept_after_every_turn_and_gone_on_with(tmp_path: Path) -> None:
    console = new_console(tmp_path, autosave=True, moody=True)
    assert console.saves.left_off() is None
    list(console.introduction())
    assert not list(tmp_path.iterdir())  # nothing played, nothing kept
    for number, line in enumerate(SOLUTION, 1):
        list(console.play(line))
        left = console.saves.left_off()
        assert left and left.about.turns == number
    console.leave()
    second = new_console(tmp_path, autosave=True)
    second.go_on()
    assert fingerprint(second.session)[0][0] == fingerprint(console.session)[0][0]  # type: ignore[index]


def test_a_game_that_is_over_is_not_offered(tmp_path: Path) -> None:
    console = new_console(tmp_path, autosave=True)
    for line in [*SOLUTION, "drop log"]:
        list(console.play(line))
    assert console.session.over
    assert console.saves.left_off() is None


def test_a_new_game_puts_the_one_before_aside(tmp_path: Path) -> None:
    first = new_console(tmp_path, autosave=True)
    for line in ("east", "west", "east"):
        list(first.play(line))
    first.leave()
    second = new_console(tmp_path, autosave=True)
    list(second.play("look"))
    kept = {saved.name: saved.about.turns for saved in list_saves(tmp_path)}
    name = autosave_name("cottage", "weights-hash")
    assert kept == {name: 1, f"{name}.previous": 3}


def texts(pieces: Any) -> list[str]:
    return [said.text for said in pieces]


def test_two_programs_that_play_one_world_keep_a_game_each(tmp_path: Path) -> None:
    """Whoever comes second is told so once, by whatever way it begins; nothing is lost."""
    first, second, third = (new_console(tmp_path, autosave=True) for _ in range(3))
    list(first.play("east"))
    assert texts(second.play("look"))[-1] == ELSEWHERE
    assert ELSEWHERE not in texts(second.play("look"))
    list(first.play("take key. west"))
    assert third.saves.left_off() is None
    assert texts(third.introduction())[-1] == ELSEWHERE
    list(third.play("look. look. look"))
    assert ELSEWHERE not in texts(first.play("look"))
    name = autosave_name("cottage", "weights-hash")
    for console in (first, third):
        console.leave()
    assert texts(second.quit()) == [f'Your game is kept as "{name}.2", for RESTORE.']
    second.leave()
    kept = {saved.name: saved.about.turns for saved in list_saves(tmp_path)}
    assert kept == {name: 4, f"{name}.2": 2, f"{name}.3": 3}
    assert not list(tmp_path.glob(".*"))
    later = new_console(tmp_path, autosave=True)
    left = later.saves.left_off()
    assert left and left.name == f"{name}.2"  # what was left last
    later.go_on()
    assert later.session.turns == 2
    list(later.play("look"))
    assert not later.saves.elsewhere
    kept[left.name] += 1
    assert {saved.name: saved.about.turns for saved in list_saves(tmp_path)} == kept


def test_a_program_that_is_killed_keeps_nobody_off(tmp_path: Path) -> None:
    with writer(tmp_path) as (start, told):
        player = start()
        saves = saves_in(tmp_path)
        assert saves.left_off() is None and saves.elsewhere
        os.kill(player, signal.SIGKILL)
        told(until="gone")
    left = saves_in(tmp_path).left_off()
    assert left and left.name == autosave_name("cottage", "weights-hash")


def test_a_hold_is_one_programs_until_it_is_released(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = take_hold(tmp_path / "x")
    assert first and take_hold(tmp_path / "x") is None
    opened = hold.fcntl.flock

    def released_meanwhile(file: Any, how: int) -> None:
        monkeypatch.undo()
        first.release()
        opened(file, how)

    monkeypatch.setattr(hold.fcntl, "flock", released_meanwhile)
    second = take_hold(tmp_path / "x")
    assert second and take_hold(tmp_path / "x") is None
    second.release()
    second.release()
    assert not list(tmp_path.iterdir())
    assert take_hold(tmp_path / "no such folder" / "x") is not None  # no locks, no holding off


def test_another_models_game_is_not_offered(tmp_path: Path) -> None:
    console = new_console(tmp_path, autosave=True)
    list(console.play("east"))
    console.leave()
    assert saves_in(tmp_path).left_off() is not None
    assert saves_in(tmp_path, weights="weightless").left_off() is None
    assert saves_in(tmp_path, tokenizer="other").left_off() is None


def test_a_game_of_another_version_is_named_where_one_is_to_be_gone_on_with(
    tmp_path: Path,
) -> None:
    console = new_console(tmp_path, autosave=True)
    list(console.play("east"))
    console.leave()
    assert saves_in(tmp_path).left_behind() is None
    for change in ({"weights": "weightless"}, {"tokenizer": "other"}, {"digest": "edited"}):
        saves = Saves(tmp_path, replace(identity(cottage()), **change))
        left = saves.left_behind()
        assert left and left.name == "cottage.autosave-weights-"
        later = Console(new_session(), saves, autosave=False)
        papers = StringIO(), StringIO(), StringIO()
        said = texts(begin(later, PlainScreen(*papers), None, go_on=True, new=False))
        assert said[0] == (
            'The game that you left, "cottage.autosave-weights-", is of another version of this '
            "world or of the game master and can't go on, so this is a new one."
        )
    assert Saves(tmp_path, replace(identity(cottage()), world="mill")).left_behind() is None


def test_autosaves_stay_small_and_leaving_keeps_more_to_undo(tmp_path: Path) -> None:
    console = new_console(tmp_path, autosave=True)
    for _ in range(30):
        list(console.play("look"))
    kept = console.saves.load(console.saves.autosave_name, console.session)
    console.leave()
    left = console.saves.load(console.saves.autosave_name, console.session)
    assert (len(kept.past), len(left.past)) == (4, UNDO_KEPT)


def test_what_a_crash_left_is_cleared_away(tmp_path: Path) -> None:
    old, new = tmp_path / ".x.save.12.tmp", tmp_path / ".x.save.13.tmp"
    for litter in (old, new):
        litter.write_bytes(b"half")
    os.utime(old, (1, 1))
    list(new_console(tmp_path, autosave=True).play("look"))
    assert not old.exists() and new.exists()


def test_a_disk_that_is_full_is_told_once_and_the_game_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    console = new_console(tmp_path, autosave=True)
    real = os.fsync

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    told = [[s.text for s in console.play("look") if "disk" in s.text] for _ in range(3)]
    monkeypatch.setattr(os, "fsync", real)
    assert told == [["The disk is full, so the game was not saved."], [], []]
    list(console.play("look"))
    left = console.saves.left_off()
    assert left and left.about.turns == 4


def test_the_header_is_readable_without_the_rest(saved: tuple[Saves, Path]) -> None:
    _, path = saved
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])["__metadata__"]
    assert (header["magic"], header["format"]) == ("adventure-save", "2")
    path.write_bytes(data[: 8 + length])
    assert read_saved(path).about.turns == 4


# -- undo as paths -------------------------------------------------------------------------------


def told_by_a_network() -> Session:
    """A game of three turns with a tiny network, read a token at a time: two segments."""
    torch.set_num_threads(1)
    tokenizer = train_tokenizer([pack_text(cottage())], 330, SPECIALS)
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    model.exact = True  # where there is no compiler
    master = GameMaster(model, tokenizer, cottage())
    game = Session(cottage(), master, master.opening())
    for turn, begins in enumerate((True, False, True)):
        game.past.append(game.moment())
        at = game.opening if begins else game.position
        state, logits = at.state, at.logits
        for token in tokenizer.encode(f"<|do|> look\n At: Garden.\n You carry: lamp {turn}.\n"):
            with torch.no_grad():
                row, state = model(torch.tensor([[token]]), state, mode="rnn")
            logits = row[0, -1]
        game.position = replace(at, state=state, logits=logits, turns=turn)
        game.transcript.append(PlayedTurn("look", "look", f"Turn {turn}.", ()))
    return game


def packed(game: Session, small: bool) -> bytes:
    return savefile.pack_game(game, identity(cottage()), UNDO_KEPT, 1 << 30, small)


def test_undo_comes_back_to_the_bit_from_tokens_alone() -> None:
    game = told_by_a_network()
    small, whole = packed(game, True), packed(game, False)
    assert len(small) < len(whole) / 2
    for data in (small, whole):
        again = told_by_a_network()
        again.restart()
        again.resume(savefile.unpack_game(data, again, identity(cottage()), "x"))
        assert fingerprint(again) == fingerprint(game)
        assert [again.undo() for _ in range(4)] == [True, True, True, False]


def test_what_reading_does_not_give_back_is_kept_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """A state that its tokens don't lead to, as where a recurrent state is carried on."""
    game = told_by_a_network()
    moment = game.past[1]
    other = {name: t + 1 for name, t in moment.position.state.tensors.items()}
    state = State(other, moment.position.state.hints)
    game.past[1] = replace(moment, position=replace(moment.position, state=state))
    again = told_by_a_network()
    again.resume(savefile.unpack_game(packed(game, True), again, identity(cottage()), "x"))
    assert fingerprint(again) == fingerprint(game)
    monkeypatch.setattr(GameMaster, "path_to", lambda *_: None)
    assert len(packed(game, True)) == len(packed(game, False))


def test_undo_goes_no_further_than_what_reads_alike_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a machine whose arithmetic differs, from the second moment back: nothing but the exact."""
    game = told_by_a_network()
    data, ends = packed(game, True), GameMaster.followed

    def otherwise(master: GameMaster, paths: Any) -> Any:
        for number, parts in enumerate(ends(master, paths)):
            yield {name: t + 1 for name, t in parts.items()} if number == 1 else parts

    monkeypatch.setattr(GameMaster, "followed", otherwise)
    again = told_by_a_network()
    again.resume(savefile.unpack_game(data, again, identity(cottage()), "x"))
    assert fingerprint(again)[0][0] == fingerprint(game)[0][0]  # type: ignore[index]
    assert [again.undo(), again.undo()] == [True, False]


@pytest.mark.parametrize("command", ["restore mine", ""])
def test_it_is_said_where_undo_goes_less_far_than_it_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    game = told_by_a_network()
    name = "mine" if command else saves_in(tmp_path).autosave_name
    saves_in(tmp_path).save(name, game)
    ends = GameMaster.followed

    def otherwise(master: GameMaster, paths: Any) -> Any:
        for parts in ends(master, paths):
            yield {name: t + 1 for name, t in parts.items()}

    for differs, told in ((False, False), (True, True)):
        if differs:
            monkeypatch.setattr(GameMaster, "followed", otherwise)
        console = Console(told_by_a_network(), saves_in(tmp_path), autosave=False)
        if not command:
            console.go_on()
        said = " ".join(texts(console.play(command or "undo")))
        assert ("UNDO takes back none of its commands.]" in said) == told
    console.session.restart()
    assert not console.session.shortened


@pytest.mark.parametrize(
    "path",
    [
        torch.tensor([5, 330], dtype=torch.int32),
        torch.tensor([-1], dtype=torch.int32),
        torch.tensor([[5]], dtype=torch.int32),
        torch.tensor([0.5]),
        torch.zeros(LONGEST + 1, dtype=torch.int32),
    ],
    ids=["beyond", "below", "flat", "float", "long"],
)
def test_a_forged_path_is_refused(path: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    game = told_by_a_network()
    monkeypatch.setattr(savefile, "_paths", lambda _, past, parts: [path] * len(past))
    with pytest.raises(SaveError, match="is damaged"):
        savefile.unpack_game(packed(game, True), game, identity(cottage()), "x")


def test_a_path_that_leads_elsewhere_is_not_gone_back_to(monkeypatch: pytest.MonkeyPatch) -> None:
    game, path = told_by_a_network(), torch.tensor([5], dtype=torch.int32)
    monkeypatch.setattr(savefile, "_paths", lambda _, past, parts: [path] * len(past))
    found = savefile.unpack_game(packed(game, True), game, identity(cottage()), "x")
    assert not found.past and found.now.turns == 3
