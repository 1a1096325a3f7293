"""What libraries and editors are told of a world: its iFiction record, its JSON Schema."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from mill import mill, mill_table

from adventure.cli import main
from adventure.errors import PackError
from adventure.schema import schema_text, world_schema
from adventure.world.hover import HOVER
from adventure.world.ifiction import ifiction, new_ifid, picture_size
from adventure.world.pack import load_world, make_world
from adventure.world.voice import KINDS

ROOT = Path(__file__).resolve().parents[1]


def test_every_key_is_explained_to_editors() -> None:
    schema = world_schema()
    tables = {"World": schema, **schema["$defs"]}
    assert set(tables) == {model.__name__ for model in HOVER}
    for model, hover in HOVER.items():
        table = tables[model.__name__]
        assert set(hover) == {"", *table["properties"]}, model
        assert table["additionalProperties"] is False
        for key, each in table["properties"].items():
            assert each["description"] == hover[key]
            assert not {"title", "anyOf"} & set(each) or key in ("when", "needs"), key
    assert set(schema["properties"]["replies"]["properties"]) == set(KINDS)
    assert "By default: Exits: @." in json.dumps(schema)


def test_the_schema_beside_the_worlds_is_today_s(capsys: pytest.CaptureFixture[str]) -> None:
    """Write it anew with: adventure schema > worlds/world.schema.json"""
    assert main(["schema"]) == 0
    kept = (ROOT / "worlds" / "world.schema.json").read_text(encoding="utf-8")
    assert capsys.readouterr().out == kept == schema_text()


def test_ifiction(capsys: pytest.CaptureFixture[str]) -> None:
    record = ifiction(mill())
    for tag, text in (
        ("ifid", "7B0E2C52-6A5D-4C4E-9F43-2D1A3A6B8C90"),
        ("title", "The Mill"),
        ("author", "A. Miller"),
        ("firstpublished", "2026-05-01"),
        ("forgiveness", "Polite"),
    ):
        assert f"<{tag}>{text}</{tag}>" in record
    assert "genre" not in record and "cover" not in record
    assert main(["ifiction", "threshold"]) == 0
    assert "<title>Minding Gladstone</title>" in capsys.readouterr().out
    table = mill_table()
    del table["ifid"]
    with pytest.raises(
        PackError, match=r'The Mill has no IFID; add this .*: ifid = "[0-9A-F-]{36}"'
    ):
        ifiction(make_world(table))
    table.update(ifid=new_ifid(), title="Flour & <Co>", cover="cover.png", cover_alt="Sails.")
    record = ifiction(make_world(table), PNG)
    assert "<title>Flour &amp; &lt;Co&gt;</title>" in record
    cover = record.partition("<cover>")[2]
    assert re.findall(r"<(\w+)>(\w+)", cover) == [
        *(("format", "png"), ("height", "2"), ("width", "640"), ("description", "Sails"))
    ]


PNG = b"\x89PNG\r\n\x1a\n" + b"\0\0\0\rIHDR" + b"\0\0\x02\x80" + b"\0\0\0\x02" + b"\x08\x02\0\0\0"
JPEG = b"\xff\xd8" + b"\xff\xe0\0\x04ab" + b"\xff\xc0\0\x0b\x08" + b"\x01\0" + b"\x02\x80" + b"\0"


def test_sizes_of_pictures() -> None:
    assert picture_size(PNG) == ("png", 640, 2)
    assert picture_size(JPEG) == ("jpg", 640, 256)
    for damaged in (
        b"",
        b"GIF89a",
        PNG[:20],
        JPEG[:9],
        b"\xff\xd8\xff\x01" * 3,
        b"\xff\xd8\xff\xe0",
    ):
        assert picture_size(damaged) is None


@pytest.mark.parametrize("folder", sorted((ROOT / "worlds").glob("*/world.toml")), ids=str)
def test_shipped_worlds_say_what_they_are(folder: Path) -> None:
    world = load_world(folder)
    assert folder.read_text(encoding="utf-8").startswith("#:schema ../world.schema.json\n")
    for key in ("ifid", "author", "headline", "genre", "description", "released", "forgiveness"):
        assert getattr(world, key), key
    assert len(world.hints) >= 3


def test_shipped_worlds_have_ifids_of_their_own() -> None:
    found = [load_world(path).ifid for path in (ROOT / "worlds").glob("*/world.toml")]
    assert len(set(found)) == len(found) >= 6
