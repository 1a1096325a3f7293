"""The command `schema`: a JSON Schema of world.toml, by which editors complete its keys.

Knows the types of a world and the default wording of its replies; reads no world.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

from adventure.world.hover import HOVER
from adventure.world.parts import DIRECTIONS, World
from adventure.world.voice import KINDS, VOICES, voice

Schema = dict[str, Any]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.epilog = (
        'An editor that knows TOML (with the extension "Even Better TOML", say) reads it where the '
        'first line of a world.toml names its file, as in "#:schema ../world.schema.json".'
    )


def run(args: argparse.Namespace) -> int:
    print(schema_text(), end="")
    return 0


def schema_text() -> str:
    """The schema as a file has it."""
    return json.dumps(world_schema(), indent=1, ensure_ascii=False) + "\n"


def world_schema() -> Schema:
    """World's schema as pydantic gives it, with what an author sees on hovering over a key."""
    schema = World.model_json_schema(by_alias=True)
    tables: dict[str, Schema] = {"World": schema, **schema["$defs"]}
    schema["properties"].pop("name")  # the folder's
    for model, hover in HOVER.items():
        table = tables[model.__name__]
        table["title"] = "world.toml" if model is World else model.__name__.lower()
        table["description"] = hover[""]
        for key, each in table["properties"].items():
            _tidy(each)
            each["description"] = hover[key]
    _choices(tables)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema}


def _tidy(schema: Any) -> None:
    """Without what only Python needs: titles made of names, and null, which TOML doesn't have."""
    if isinstance(schema, list):
        for each in schema:
            _tidy(each)
    if not isinstance(schema, dict):
        return
    schema.pop("title", None)
    if "default" in schema and schema["default"] in (None, "", [], {}, False):
        schema.pop("default")
    kinds = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
    if len(kinds) == 1:
        schema.pop("anyOf")
        schema.update(kinds[0])
    for each in list(schema.values()):
        _tidy(each)


def _choices(tables: dict[str, Schema]) -> None:
    """Keys and words of which there are only some."""
    world, room, door = (tables[name]["properties"] for name in ("World", "Room", "Door"))
    replies = world["replies"].pop("additionalProperties")
    plain = voice("plain", "second", "present", "")
    world["replies"]["properties"] = {
        kind: {**replies, "description": f"By default: {' or '.join(plain[kind])}"}
        for kind in KINDS
    }
    world["replies"]["additionalProperties"] = False
    exits = room["exits"].pop("additionalProperties")
    room["exits"]["properties"] = dict.fromkeys(DIRECTIONS, exits)
    room["exits"]["additionalProperties"] = False
    door["direction"]["enum"] = list(DIRECTIONS)
    tables["Style"]["properties"]["voice"]["enum"] = list(VOICES)
    world["forgiveness"]["enum"] = ["Merciful", "Polite", "Tough", "Nasty", "Cruel"]
    world["ifid"]["pattern"] = "^[A-Z0-9-]{8,63}$"
    world["released"]["pattern"] = r"^\d{4}(-\d\d-\d\d)?$"
