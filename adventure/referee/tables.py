"""What a world's turns look up again and again, worked out once. Knows no turn and no records."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import cast

from adventure.world.compile import blocks_of
from adventure.world.parts import World
from adventure.world.prompt import one_line, say_line
from adventure.world.script import Block, Op, heading

_MARK = re.compile("([*#~@&%^])")


@dataclass(frozen=True)
class Followed:
    """A block with its heading and its lines as they are said."""

    block: Block
    heading: str
    ops: tuple[tuple[Op, str], ...]


class Tables:
    """said: kind of reply -> its forms, each with its hidden line and its text, split at the marks
    (these are at the odd places); prose: name -> what is told of it; stateful: whose state is told.
    """

    def __init__(self, world: World) -> None:
        self.blocks = blocks_of(world)
        self.said = {
            kind: tuple((say_line(kind, i), _MARK.split(text)) for i, text in enumerate(forms))
            for kind, forms in world.voice.items()
        }
        self.prose = {part.name: one_line(part.description) for part in world.parts}
        for name in world.scenery:
            self.prose.setdefault(name, one_line(world.scenery_prose(name)))
        self.stateful = {name for name, part in world.by_name.items() if getattr(part, "state", "")}
        self._followed: dict[str, Followed] = {}

    def followed(self, key: str) -> Followed:
        """A block with its lines as they are said."""
        if (found := self._followed.get(key)) is None:
            block = self.blocks[key]
            found = Followed(block, heading(block.key), tuple((op, op.text) for op in block.ops))
            self._followed[key] = found
        return found


def tables_of(world: World) -> Tables:
    """The world's tables, made when they are first asked for."""
    if (made := world.__dict__.get("_tables")) is None:
        made = world.__dict__["_tables"] = Tables(world)
    return cast(Tables, made)
