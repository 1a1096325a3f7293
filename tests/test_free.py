"""prompt.md: read beside a world, before its text, by networks without copy hints alone."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from mill import MILL

from adventure.author.parcel import collect, pack_files
from adventure.cli import main
from adventure.errors import PackError
from adventure.world.free import LONGEST, free_text
from adventure.world.pack import load_world
from adventure.world.prompt import pack_text


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "mill"
    place.mkdir()
    (place / "world.toml").write_text(MILL, encoding="utf-8")
    return place


def test_it_stands_before_the_world_s_text(folder: Path) -> None:
    bare = load_world(folder)
    assert free_text(bare) == pack_text(bare)
    (folder / "prompt.md").write_bytes("\ufeff# Rules\r\n\r\nSpeak plainly.\n\n".encode())
    world = load_world(folder / "world.toml")
    assert free_text(world) == f"# Rules\n\nSpeak plainly.\n\n{pack_text(world)}"
    assert pack_text(world) == pack_text(bare) and world.digest == bare.digest


def test_it_travels_in_a_parcel(folder: Path, tmp_path: Path) -> None:
    (folder / "prompt.md").write_text("Speak plainly.")
    files, left_out = collect(folder, load_world(folder))
    assert "prompt.md" in files and not left_out
    parcel = tmp_path / "mill.world"
    parcel.write_bytes(pack_files(files, {}))
    assert free_text(load_world(parcel)).startswith("Speak plainly.\n\n<|pack|>")


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (b"a\n\xff", r", line 2: this is not UTF-8 text; save it as UTF-8\."),
        (b"\na <|end|>", r", line 2: '<\|' is what the engine uses itself; take it out\."),
        (b"a\n\nb |>", r", line 3: '\|>' is what the engine uses itself; take it out\."),
        (b"a\x1b[2J", r", line 1: the character '\\x1b' can't be shown; take it out\."),
        (b"a" * (LONGEST + 1), r" has 20,001 characters or more; shorten it to 20,000\."),
        ("\u6f22".encode() * (2 * LONGEST), r" has .* or more; shorten it to 20,000\."),
    ],
    ids=["bytes", "mark", "other mark", "escape", "long", "long in bytes"],
)
def test_what_no_prompt_may_hold(folder: Path, raw: bytes, said: str) -> None:
    (folder / "prompt.md").write_bytes(raw)
    with pytest.raises(PackError, match=rf"prompt\.md{said}$"):
        load_world(folder)


def test_as_long_as_may_be_and_tabs_are_fine(folder: Path) -> None:
    (folder / "prompt.md").write_text("\u6f22\t" * (LONGEST // 2 - 1) + "ab", encoding="utf-8")
    assert free_text(load_world(folder)).startswith("\u6f22\t\u6f22")


def test_what_is_no_file_is_not_opened(folder: Path) -> None:
    """A pipe would wait for ever."""
    os.mkfifo(folder / "prompt.md")
    with pytest.raises(PackError, match=r"prompt\.md is no file; write one, or take it away\."):
        load_world(folder)


def test_prompt_prints_it_when_it_is_asked_for(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "prompt.md").write_text("Speak plainly.")
    assert main(["prompt", str(folder)]) == 0
    assert capsys.readouterr().out == pack_text(load_world(folder))
    assert main(["prompt", str(folder), "--free"]) == 0
    assert capsys.readouterr().out == free_text(load_world(folder))
