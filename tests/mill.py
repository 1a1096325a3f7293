"""A small world that has one of everything: the tests of worlds and rules play in it."""

from __future__ import annotations

import tomllib
from typing import Any

from adventure.world.pack import World, make_world

MILL = """\
format = 0
title = "The Mill"
intro = "Flour must be  ground,\\nand the cup found."
start = "Yard"

[ending]
thing = "silver cup"
room = "Loft"
text = "The sails begin to turn."

[[rooms]]
name = "Yard"
description = "Weeds between the stones."
exits = { east = "Barn", down = "Pit" }

[[rooms]]
name = "Barn"
description = "Straw and swallows."
exits = { west = "Yard" }

[[rooms]]
name = "Pit"
description = "A hole with steep walls."
exits = { out = "Yard" }

[[rooms]]
name = "Loft"
description = "Beams and cobwebs."

[[rooms]]
name = "Attic"
description = "Dust."

[[doors]]
name = "oak door"
description = "Thick old planks."
from = "Yard"
direction = "north"
to = "Loft"
locked = true
key = "brass key"
synonyms = ["north door"]

[[doors]]
name = "low hatch"
description = "It has no lock."
from = "Barn"
direction = "up"
to = "Attic"

[[things]]
name = "iron key"
description = "Rusty."
room = "Yard"

[[things]]
name = "millstone"
description = "It weighs a ton."
room = "Yard"
portable = false

[[things]]
name = "brass key"
description = "Bright."
room = "Barn"

[[things]]
name = "silver cup"
description = "Dented."
room = "Pit"
treasure = true

[[things]]
name = "wax candle"
description = "Half burnt."
carried = true
synonyms = ["light", "keeper's light"]
"""
"""Its file."""


def mill_table() -> dict[str, Any]:
    """The file as a table, to be spoilt at will."""
    return tomllib.loads(MILL)


def mill() -> World:
    """The world."""
    return make_world(mill_table(), name="mill")
