"""A small inn in which nothing is wrong: tests of `adventure check` spoil it one line at a time."""

from __future__ import annotations

import tomllib

from adventure.world.pack import make_world
from adventure.world.parts import World

INN = """\
format = 1
ifid = "0C5B9C1E-9C0B-4B8A-8E4C-53A5C6B5D7F1"
title = "The Inn"
author = "A. Tester"
description = "A dog, a cellar, and a bottle."
intro = "The cook wants a bottle from the cellar."
start = "Taproom"
hints = ["The dog likes bones.", "It is dark below."]

[deeds]
"fed the dog" = 5
"served the cook" = 10

[[rooms]]
name = "Taproom"
description = "Low beams and benches. Stairs go down, and a door to the north is the kitchen's."
exits = { down = "Cellar" }

[[rooms]]
name = "Cellar"
description = "Barrels. Stairs go up, and a hole leads west."
exits = { up = "Taproom", west = "Vault" }
dark = true

[[rooms]]
name = "Vault"
description = "Cobwebs, and a way back to the east."
exits = { east = "Cellar" }
dark = true

[[rooms]]
name = "Kitchen"
description = "Pots and steam. The taproom lies to the south."

[[doors]]
name = "kitchen door"
description = "Greasy about the handle."
from = "Taproom"
direction = "north"
to = "Kitchen"
locked = true
key = "small key"

[[things]]
name = "small key"
description = "Made of tin."
in = "oak box"

[[things]]
name = "oak box"
description = "Dovetailed."
in = "Taproom"
fixed = true
container = true
openable = true

[[things]]
name = "candle"
description = "A stub."
in = "Taproom"
light = true
switch = true

[[things]]
name = "bone"
description = "A good one."
in = "Taproom"
edible = true

[[things]]
name = "old wine"
description = "Red, or was."
in = "Vault"

[[things]]
name = "iron grate"
description = "It covers the whole of the way."
in = "Cellar"
fixed = true
states = ["down", "lifted"]

[[people]]
name = "cook"
description = "Broad and cross."
in = "Kitchen"
other = "Bottle first."
[people.topics]
"bottle, wine" = "From the vault."
"dog" = "He guards the grate."

[[people]]
name = "dog"
description = "All teeth."
in = "Cellar"
talk = "It growls."

[[rules]]
when = "west"
in = "Cellar"
needs = ["iron grate is down"]
say = "The grate is in the way."

[[rules]]
when = "pull iron grate"
needs = { "dog in nowhere" = "The dog won't let you." }
then = ["iron grate becomes lifted"]
say = "Up it goes."

[[rules]]
when = "give bone to dog"
needs = ["bone carried"]
then = ["bone moves to nowhere", "clock chewing 5", "deed fed the dog"]
say = "It settles down to chew."

[[rules]]
when = "give old wine to cook"
needs = ["old wine carried"]
then = ["old wine moves to cook", "deed served the cook", "game won"]
say = "'At last,' says the cook."

[[rules]]
when = "hit cook"
then = ["game lost"]
say = "That was the last thing you did."

[[clocks]]
name = "chewing"
turns = 5
then = ["dog moves to nowhere"]
say = "The dog is done, and trots away upstairs."
"""
"""Its file."""


def inn(*changes: tuple[str, str]) -> World:
    """The world, with some of its text replaced."""
    return make_world(tomllib.loads(spoilt(*changes)), text=spoilt(*changes), name="inn")


def spoilt(*changes: tuple[str, str]) -> str:
    """Its file, with some of its text replaced."""
    text = INN
    for before, after in changes:
        assert before in text, before
        text = text.replace(before, after)
    return text
