"""A small world that has one of everything: the tests of packs play in it."""

from __future__ import annotations

import tomllib
from typing import Any

from adventure.world.pack import World, make_world

MILL = """\
format = 1
ifid = "7B0E2C52-6A5D-4C4E-9F43-2D1A3A6B8C90"
title = "The Mill"
author = "A. Miller"
headline = "Flour and a cup"
released = "2026-05-01"
forgiveness = "Polite"
intro = "Flour must be  ground,\\nand the cup found."
start = "Yard"
hints = ["Look up.", "Grind."]

[style]
person = "second"
voice = "terse"

[replies]
taken = "You now have *."
wait = ["You wait.", "You wait some more."]

[deeds]
"ground the flour" = 10
"silver cup" = 7

[ending]
thing = "silver cup"
room = "Loft"
text = "The sails begin to turn."

[[rooms]]
name = "Yard"
description = "Weeds between the stones."
exits = { east = "Barn", down = "Pit" }
scenery = { "weeds, weed" = "Nettles.", "sky" = "Grey." }

[[rooms]]
name = "Barn"
description = "Straw and swallows."
exits = { west = "Yard" }
scenery = { "sky" = "Grey." }

[[rooms]]
name = "Pit"
description = "A hole with steep walls."
exits = { out = "Yard" }
dark = true
first = "You slip and slide."

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
in = "Yard"

[[things]]
name = "millstone"
description = "It weighs a ton."
in = "Yard"
fixed = true
states = ["still", "turning"]

[[things]]
name = "brass key"
description = "Bright."
in = "flour bin"

[[things]]
name = "silver cup"
description = "Dented."
in = "Pit"
treasure = true

[[things]]
name = "wax candle"
description = "Half burnt."
in = "you"
light = true
switch = true
synonyms = ["light", "keeper's light"]

[[things]]
name = "flour bin"
description = "A lid and a smell."
in = "Barn"
fixed = true
container = true
openable = true
locked = true
key = "iron key"

[[things]]
name = "apron"
description = "White once."
in = "worn"
wearable = true
text = "Property of the mill."

[[people]]
name = "miller"
description = "Dusty."
in = "Yard"
talk = "Morning."
other = "Couldn't say."
route = ["Yard", "Barn"]
every = 4
[people.topics]
"storm, weather" = "It's coming."
"flour, corn" = "There is none."

[[people]]
name = "Old Marta"
description = "Older still."
in = "nowhere"

[[rules]]
when = "push millstone"
in = "Yard"
needs = { "iron key carried" = "It won't go.", "millstone is still" = "" }
otherwise = "It goes already."
then = ["millstone becomes turning", "deed ground the flour", "clock sails 5"]
say = "It turns."
once = true
again = "Once was enough."

[[rules]]
when = ["give apron to miller", "show apron to miller"]
needs = ["apron carried", "ground the flour not done", "you in Yard"]
then = ["apron moves to miller", "Old Marta moves to Attic", "Attic up leads to Loft"]
say = "He puts it on."

[[rules]]
when = "dance"
then = ["you go to Barn", "game lost"]
say = "You fall."

[[clocks]]
name = "sails"
turns = 5
every = true
needs = ["wax candle is off"]
then = ["clock sails off", "oak door becomes open"]
say = "A creak."
"""
"""Its file."""


def mill_table() -> dict[str, Any]:
    """The file as a table, to be spoilt at will."""
    return tomllib.loads(MILL)


def mill() -> World:
    """The world."""
    return make_world(mill_table(), name="mill")
