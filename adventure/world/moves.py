"""Going somewhere: `north`, `go up the stairs`, `enter the low door`. Knows words, no places.

A door is gone through where the room is among the things at hand: only so is its side known.
"""

from __future__ import annotations

from collections.abc import Collection

from adventure.world.commands import Command, Rejection
from adventure.world.lexicon import Lexicon, plain
from adventure.world.parts import DIRECTIONS, Door
from adventure.world.verbs import BEFORE, BY_NAME, MOVES, SHORT, VERB_OF

WHICH_WAY = Rejection("Which way? Name a direction, such as north or up.", "go {}")
_OUTSIDE = {"room", "place", "here", "house", "building"}


def movement(
    words: list[str], lexicon: Lexicon, near: Collection[str]
) -> Command | Rejection | None:
    """`north`, `go up the stairs`; None where the command isn't about going somewhere."""
    if len(words) == 1 and (words[0] in DIRECTIONS or words[0] in SHORT):
        return Command(_go(SHORT.get(words[0], words[0]), lexicon))
    if words[:2] == ["get", "out"] or words[0] == "leave":
        rest = set(plain(words)) - {"get", "out", "of", "leave"}
        known = any(rest <= set(room.split()) for room in lexicon.rooms)
        return Command(_go("out", lexicon)) if known or rest <= _OUTSIDE else None
    if words[0] not in MOVES:
        return None
    rest_ = [SHORT.get(w, w) for w in plain(words[1:]) if w != "to"]
    if not rest_:
        return Rejection("Which way do you want to go?", "go {}")
    named = [w for w in rest_ if w in DIRECTIONS]
    if len(named) == 1 and named[0] in (rest_[0], rest_[-1]) and not {"on", "onto"} & set(rest_):
        noun = lexicon.resolve([w for w in rest_ if w not in BEFORE], near)
        if isinstance(noun, str) and (line := lexicon.rule(BY_NAME["climb"], words[0], noun)):
            return Command(line, noun)  # `climb up the tree`
        return Command(_go(named[0], lexicon))
    if words[0] in VERB_OF or words[0] in lexicon.own:
        return None  # `climb tree`
    if words[0] == "exit":
        return Command(_go("out", lexicon))
    name = lexicon.resolve([w for w in rest_ if w not in BEFORE], near)
    return through(name, lexicon, near) if isinstance(name, str) else WHICH_WAY


def _go(direction: str, lexicon: Lexicon) -> str:
    line = f"go|{direction}"
    return lexicon.rules.get(line, line)


def through(noun: str, lexicon: Lexicon, near: Collection[str]) -> Command | Rejection:
    """Through a door, where it is known on which side of it one stands."""
    world = lexicon.world
    door = world.by_name.get(noun)
    ways = [d for (room, d), (_, by) in world.ways.items() if by == noun and room in near]
    if not isinstance(door, Door) or len(ways) != 1:
        return WHICH_WAY
    return Command(_go(ways[0], lexicon), noun)
