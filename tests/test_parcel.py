"""Packed worlds: what goes into a file comes out of it, and no file can do anything else."""

from __future__ import annotations

import io
import json
import os
import random
import shutil
import stat
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tiny import tiny_model

from adventure import __version__
from adventure.author.template import Plan, files_of
from adventure.cli import main
from adventure.errors import PackError
from adventure.master.gamemaster import GameMaster
from adventure.master.opening import opening_bytes, use_opening, use_packed_opening
from adventure.world.pack import load_world, make_world
from adventure.world.parcel import (
    LARGEST_PARCEL,
    MANIFEST,
    MOST_FILES,
    OPENING,
    WORLD,
    belongs,
    build_parcel,
    open_parcel,
)
from adventure.world.prompt import SPECIALS, initial_records, pack_text
from engine.tokenizer import train_tokenizer

PLAN = Plan("The Comet", "Somebody", "A dome.", "EA6E6B22-5F63-404D-B6AD-E27FCE576A52", rooms=3)
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A world in ./comet, which is also the place where commands are given."""
    monkeypatch.chdir(tmp_path)
    for name, text in files_of(PLAN).items():
        file = tmp_path / "comet" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    return tmp_path / "comet"


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


def refused(capsys: pytest.CaptureFixture[str], *command: str) -> str:
    """The one sentence of a command that the user got wrong."""
    capsys.readouterr()
    assert main(command) == 2
    out, err = capsys.readouterr()
    assert err.startswith("adventure: ")
    assert err.endswith(".\n")
    assert err.count("\n") == 1
    assert not out
    return err


# -- there and back ------------------------------------------------------------------------------


def test_a_world_comes_back_as_it_was(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "README.md").write_text("Hello.", encoding="utf-8")
    assert main(["pack", "comet"]) == 0
    assert main(["unpack", "comet.world", "--to", "other"]) == 0
    assert contents(folder) == contents(Path("other"))
    assert "comet.world: The Comet, 4 files" in capsys.readouterr().out


def test_a_packed_world_is_loaded_from_its_file(folder: Path) -> None:
    main(["pack", "comet"])
    packed, unpacked = load_world(Path("comet.world")), load_world(folder)
    assert packed == unpacked
    assert packed.name == "comet"


def test_the_manifest_names_the_world_and_every_file(folder: Path) -> None:
    main(["pack", "comet"])
    files = open_parcel(Path("comet.world"))
    manifest = json.loads(files[MANIFEST])
    assert manifest["digest"] == load_world(folder).digest
    assert manifest["files"].keys() == files.keys() - {MANIFEST} == contents(folder).keys()


def test_the_same_world_gives_the_same_bytes(folder: Path) -> None:
    main(["pack", "comet"])
    shutil.copytree(folder, "elsewhere/comet")
    for i, file in enumerate(sorted(Path("elsewhere").rglob("*"))):
        os.utime(file, (10**9 + i, 10**9 + i))
        file.chmod(0o700)
    main(["pack", "elsewhere/comet", "-o", "again.world"])
    assert Path("comet.world").read_bytes() == Path("again.world").read_bytes()


def test_what_is_no_part_of_a_world_is_left_out_and_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "secret.txt").write_text("password")
    (folder / "art.png").write_bytes(PNG)
    (folder / ".hidden").write_text("x")
    (folder / "tests" / "deep").mkdir()
    (folder / "tests" / "deep" / "a.walk").write_text("look")
    (folder / "world.schema.json").write_text("{}")
    (folder / "README.md").symlink_to("/etc/hostname")
    main(["pack", "comet"])
    names = open_parcel(Path("comet.world")).keys()
    assert names == {MANIFEST, WORLD, "tests/first.test", "tests/solution.walk"}
    said = capsys.readouterr().out
    assert "README.md (a link), art.png, secret.txt.\n" in said


def test_a_cover_is_packed_if_the_world_names_it(folder: Path) -> None:
    (folder / "art.png").write_bytes(PNG)
    (folder / "other.png").write_bytes(PNG)
    toml = folder / WORLD
    toml.write_text(toml.read_text().replace("format = 1", 'format = 1\ncover = "art.png"', 1))
    main(["pack", "comet"])
    files = open_parcel(Path("comet.world"))
    assert files["art.png"] == PNG
    assert "other.png" not in files
    assert load_world(Path("comet.world")).cover == "art.png"


def test_nothing_is_replaced_unasked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["pack", "comet"])
    before = Path("comet.world").read_bytes()
    assert "--force" in refused(capsys, "pack", "comet")
    assert main(["pack", "comet", "--force"]) == 0
    assert Path("comet.world").read_bytes() == before
    Path("there").mkdir()
    assert "already" in refused(capsys, "unpack", "comet.world", "--to", "there")
    assert not list(Path("there").iterdir())
    assert "already" in refused(capsys, "unpack", "comet.world")
    assert "folder" in refused(capsys, "unpack", "comet.world", "--to", ".")


def test_a_world_goes_into_the_folder_worlds_if_there_is_one(folder: Path) -> None:
    main(["pack", "comet"])
    Path("worlds").mkdir()
    assert main(["unpack", "comet.world"]) == 0
    assert contents(Path("worlds/comet")) == contents(folder)


def test_a_full_disk_leaves_nothing_half_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["pack", "comet"])
    before = set(Path().rglob("*"))
    write = Path.write_bytes

    def full(self: Path, data: bytes) -> int:
        if self.name == "solution.walk" or self.suffix == ".new":
            raise OSError(28, "No space left on device")
        return write(self, data)

    monkeypatch.setattr(Path, "write_bytes", full)
    assert "No space" in refused(capsys, "unpack", "comet.world", "--to", "other")
    assert "No space" in refused(capsys, "pack", "comet", "-o", "other.world")
    assert set(Path().rglob("*")) == before


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("pack", "comet", "-o", "comet.zip"), "doesn't end in .world"),
        (("pack", "comet", "-o", "no/where.world"), "No such file"),
        (("pack", "nothing"), "No world is called"),
        (("unpack", "nothing.world"), "No such file"),
        (("unpack", "comet"), "directory"),
        (("unpack", "comet/world.toml"), "isn't a packed world"),
    ],
)
def test_mistakes_are_told_in_a_sentence(
    folder: Path, capsys: pytest.CaptureFixture[str], command: tuple[str, ...], said: str
) -> None:
    assert said in refused(capsys, *command)


def test_a_packed_world_is_not_packed_again(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["pack", "comet"])
    assert "unpack" in refused(capsys, "pack", "comet.world", "-o", "b.world")


# -- files that somebody has made to do harm -----------------------------------------------------


def archive(*entries: tuple[str, bytes], **settings: int) -> bytes:
    """A zip of these names and contents; settings: attributes of the last entry."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as zipped:
        for name, data in entries:
            info = zipfile.ZipInfo(name)
            if (name, data) == entries[-1]:
                for key, value in settings.items():
                    setattr(info, key, value)
            zipped.writestr(info, data)
    return made.getvalue()


def proper(**more: bytes) -> dict[str, bytes]:
    return {WORLD: files_of(PLAN)[WORLD].encode(), **more}


def manifest(files: dict[str, bytes]) -> bytes:
    with zipfile.ZipFile(io.BytesIO(build_parcel(files, {}))) as zipped:
        return zipped.read(MANIFEST)


def parcel_with(name: str, data: bytes = b"look\n", **settings: int) -> bytes:
    """A parcel that is right in all but one more file."""
    files = {**proper(), name: data}
    entries = [(MANIFEST, manifest(files)), *files.items()]
    return archive(*entries, **settings)


BAD_NAMES = (
    *("../evil.walk", "tests/../../evil.walk", "/etc/evil.walk", "tests//a.walk", "./a.walk"),
    *("C:/evil.walk", "C:evil.walk", "..\\evil.walk", "tests\\a.walk", "//host/share/a.walk"),
    *("tests/nul.walk", "CON.png", "tests/COM1.walk", "aux/a.png", "tests/a.walk.", "tests/ .walk"),
    *("tests/a .walk/b.walk", "tests/", "tests", "a/b/c.png", "art /a.png", "tests/.walk"),
    *("evil.py", "tests/evil.sh", "inner.world", "inner.zip", "tests/a.walk\0.exe", "\x1b[2J.png"),
    *("world.toml ", "World.toml.", "tests/\u202ea.walk", "tests/" + "a" * 200 + ".walk", ""),
)


@pytest.mark.parametrize("name", BAD_NAMES)
def test_a_file_of_any_other_name_is_refused(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert not belongs(name)
    raw = parcel_with("tests/" + "q" * 20 + ".walk")
    odd = name.encode()
    if 0 < len(odd) <= 31:  # written over a name of the same length, for zipfile would mend it
        plain = b"tests/" + b"q" * (len(odd) - 6) if len(odd) > 6 else b"q" * len(odd)
        raw = parcel_with(plain.decode()).replace(plain, odd)
    else:
        raw = parcel_with(name)
    Path("evil.world").write_bytes(raw)
    said = refused(capsys, "unpack", "evil.world", "--to", "out")
    assert "no part of a world" in said or "damaged" in said
    assert [file.name for file in tmp_path.iterdir()] == ["evil.world"]
    assert "\x1b" not in said


def test_a_name_that_belongs_is_read() -> None:
    """What the refusals above rest on: the same parcel with a good name is fine."""
    for name in ("tests/b.walk", "README", "LICENSE.txt", "art/cover.png", "prompt.md"):
        assert belongs(name)


def in_file(tmp_path: Path, raw: bytes) -> Path:
    file = tmp_path / "some.world"
    file.write_bytes(raw)
    return file


def test_a_good_parcel_made_by_hand_is_read(tmp_path: Path) -> None:
    file = in_file(tmp_path, parcel_with("tests/b.walk"))
    assert open_parcel(file)["tests/b.walk"] == b"look\n"
    packed = parcel_with("tests/b.walk", b"look\n" * 1000, compress_type=zipfile.ZIP_DEFLATED)
    assert open_parcel(in_file(tmp_path, packed))["tests/b.walk"] == b"look\n" * 1000


LINK = (stat.S_IFLNK | 0o777) << 16
FOLDER = (stat.S_IFDIR | 0o777) << 16


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (lambda: parcel_with("tests/b.walk", b"/etc/passwd", external_attr=LINK), "plain file"),
        (lambda: parcel_with("tests/b.walk", b"", external_attr=FOLDER), "plain file"),
        (lambda: parcel_with("tests/b.walk", compress_type=zipfile.ZIP_BZIP2), "compressed in a"),
        (lambda: parcel_with("tests/b.walk", compress_type=zipfile.ZIP_LZMA), "compressed in a"),
        (lambda: parcel_with("tests/b.walk", b"\xff\xfe"), "not UTF-8"),
        (lambda: parcel_with("tests/b.walk", b"a\0b"), "not UTF-8"),
        (lambda: archive(*proper().items()), "holds no manifest.json"),
        (lambda: archive((MANIFEST, manifest(proper()))), "holds no world.toml"),
        (lambda: archive((MANIFEST, b"{"), *proper().items()), "can't be read"),
        (lambda: archive((MANIFEST, b"[" * 9999), *proper().items()), "can't be read"),
        (lambda: archive((MANIFEST, b'{"parcel": 2, "files": {}}'), *proper().items()), "version"),
        (lambda: archive((MANIFEST, b'{"parcel": 1, "files": 3}'), *proper().items()), "be read"),
        (
            lambda: archive((MANIFEST, manifest(proper())), (WORLD, b"format = 2")),
            "holds another 'world.toml' than was packed",
        ),
        (
            lambda: archive((MANIFEST, manifest(proper())), *proper().items(), ("README", b"a")),
            "doesn't list",
        ),
        (
            lambda: archive((MANIFEST, manifest(proper(README=b"a"))), *proper().items()),
            "doesn't hold",
        ),
        (lambda: b"", "isn't a packed world"),
        (lambda: b"PK\x03\x04", "damaged"),
        (lambda: b"format = 1\n", "isn't a packed world"),
    ],
)
def test_a_parcel_that_is_wrong_is_refused(
    tmp_path: Path, raw: Callable[[], bytes], said: str
) -> None:
    with pytest.raises(PackError, match=said) as error:
        open_parcel(in_file(tmp_path, raw()))
    assert "\n" not in str(error.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("twin", ["tests/b.walk", "tests/B.walk", "TESTS/b.walk"])
def test_two_files_that_some_systems_take_for_one_are_refused(tmp_path: Path, twin: str) -> None:
    files = {**proper(), "tests/b.walk": b"look\n"}
    entries = [(MANIFEST, manifest(files)), *files.items(), (twin, b"wait\n")]
    with pytest.raises(PackError, match=r"twice|no part"):
        open_parcel(in_file(tmp_path, archive(*entries)))


def test_an_encrypted_file_is_refused(tmp_path: Path) -> None:
    raw = bytearray(parcel_with("tests/b.walk"))
    for mark, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.rindex(mark) + offset] |= 1
    with pytest.raises(PackError, match="encrypted"):
        open_parcel(in_file(tmp_path, bytes(raw)))


def test_a_bomb_is_refused_by_what_it_declares(tmp_path: Path) -> None:
    bomb = parcel_with("README.md", bytes(9 << 20), compress_type=zipfile.ZIP_DEFLATED)
    assert len(bomb) < 100_000
    with pytest.raises(PackError, match=r"'README.md', which unpacks to more"):
        open_parcel(in_file(tmp_path, bomb))


def test_a_bomb_that_lies_is_refused_by_what_it_holds(tmp_path: Path) -> None:
    size, lie = 9 << 20, 1000
    bomb = parcel_with("README.md", bytes(size), compress_type=zipfile.ZIP_DEFLATED)
    lying = bomb.replace(size.to_bytes(4, "little"), lie.to_bytes(4, "little"))
    assert lying != bomb
    with pytest.raises(PackError, match="damaged"):
        open_parcel(in_file(tmp_path, lying))


def test_a_bomb_of_many_files_or_many_layers_is_refused(tmp_path: Path) -> None:
    many = [(f"tests/{i}.walk", b"") for i in range(MOST_FILES + 1)]
    with pytest.raises(PackError, match=f"more than {MOST_FILES} files"):
        open_parcel(in_file(tmp_path, archive(*many)))
    inner = archive(("a.zip", bytes(1000)))
    with pytest.raises(PackError, match=r"'inner\.zip', which is no part"):
        open_parcel(in_file(tmp_path, parcel_with("inner.zip", inner)))


def test_a_bomb_of_many_large_files_is_refused_by_their_sum(tmp_path: Path) -> None:
    share = 7 << 20
    count = LARGEST_PARCEL // share + 1
    zeros = zipfile.ZipInfo("tests/0.walk")
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr(zeros, bytes(share), zipfile.ZIP_DEFLATED)
        for i in range(1, count):  # the same compressed bytes under other names
            twin = zipfile.ZipInfo(f"tests/{i}.walk")
            for key in ("compress_type", "compress_size", "file_size", "CRC", "header_offset"):
                setattr(twin, key, getattr(zeros, key))
            zipped.filelist.append(twin)
            zipped.NameToInfo[twin.filename] = twin
    assert len(made.getvalue()) < 100_000
    with pytest.raises(PackError, match=r"unpacks to more|damaged"):
        open_parcel(in_file(tmp_path, made.getvalue()))


def test_flipped_and_missing_bytes_change_nothing_or_are_told(tmp_path: Path) -> None:
    files = {WORLD: b"format = 1\n", "tests/a.walk": b"look\n"}
    raw = build_parcel(files, {"program": "1"})
    good = open_parcel(in_file(tmp_path, raw))
    rng, same = random.Random(1), 0
    for i in range(200):
        broken = bytearray(raw)
        if i % 4 == 3:
            del broken[rng.randrange(len(raw)) :]
        else:
            broken[rng.randrange(len(raw))] ^= 1 << rng.randrange(8)
        try:
            assert open_parcel(in_file(tmp_path, bytes(broken))) == good
            same += 1
        except PackError as error:
            assert str(error).endswith(".")
            assert "\n" not in str(error)
    assert 0 < same < 50


def test_unpack_refuses_a_world_that_is_not_the_one_named(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    raw = build_parcel(proper(), {"program": __version__, "digest": "0" * 64})
    Path("odd.world").write_bytes(raw)
    assert "isn't the world" in refused(capsys, "unpack", "odd.world")
    Path("odd.world").write_bytes(build_parcel({WORLD: b"format = 7\n"}, {}))
    assert "format is 7" in refused(capsys, "unpack", "odd.world")
    assert not Path("odd").exists()


# -- openings ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained() -> GameMaster:
    """A master of the world in PLAN that has learnt nothing."""
    torch.set_num_threads(1)
    world = make_world(tomllib.loads(files_of(PLAN)[WORLD]), name="comet")
    tokenizer = train_tokenizer([pack_text(world)], 320, SPECIALS)
    model = tiny_model(hints=True, vocab=tokenizer.vocab)
    return GameMaster(model, tokenizer, world, weights="tiny")


def unread(master: GameMaster, weights: str = "tiny") -> GameMaster:
    return GameMaster(master.model, master.tokenizer, master.world, weights=weights)


def test_an_opening_that_fits_is_used_to_the_bit(
    trained: GameMaster, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh, wanted = unread(trained), trained.opening()
    assert use_opening(fresh, opening_bytes(trained), trained.opening_hash)
    monkeypatch.setattr("adventure.master.gamemaster.prefill", None)  # reads no more
    found = fresh.opening()
    assert torch.equal(found.logits, wanted.logits)
    assert found.records == wanted.records
    for name, tensor in wanted.state.tensors.items():
        assert torch.equal(found.state.tensors[name], tensor)


def test_an_opening_for_anything_else_is_not_used(trained: GameMaster) -> None:
    data, made_for = opening_bytes(trained), trained.opening_hash
    assert not use_opening(unread(trained, "other"), data, made_for)
    fresh = unread(trained)
    for broken in (b"", data[:7], data[:-9], data[:200], b"\xff" * 16 + data[16:], b"{}" * 50):
        assert not use_opening(fresh, broken, made_for)


def test_an_opening_cannot_bring_records_or_tokens_of_its_own(trained: GameMaster) -> None:
    master, records = unread(trained), initial_records(trained.world)
    moved = master.after(
        master.opening(), master.opening().state, master.opening().logits, [" At: Dome."], 10
    )
    master.begin_from(moved)
    fresh = unread(trained)
    assert use_opening(fresh, opening_bytes(master), fresh.opening_hash)
    assert fresh.opening().records == records
    assert (fresh.opening().turns, fresh.opening().tokens) == (0, 0)
    state = moved.state
    hints = state.hints[0].read([1, 2])[2] if state.hints else None
    master.begin_from(
        type(moved)(type(state)(state.tensors, (hints,)), moved.logits, moved.records)
    )
    assert not use_opening(unread(trained), opening_bytes(master), fresh.opening_hash)


def test_a_packed_opening_is_found_and_a_foreign_one_silently_left(
    trained: GameMaster, tmp_path: Path
) -> None:
    about = {"opening": trained.opening_hash}
    file = in_file(tmp_path, build_parcel(proper(**{OPENING: opening_bytes(trained)}), about))
    assert use_packed_opening(unread(trained), file)
    assert not use_packed_opening(unread(trained, "other"), file)
    assert not use_packed_opening(unread(trained), in_file(tmp_path, build_parcel(proper(), about)))
    assert not use_packed_opening(unread(trained), tmp_path)
