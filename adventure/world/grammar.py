"""The command language: what a player types + a World -> one canonical line, or why not.

Knows the world's words, not where anything is: whether a command can be carried out is the game
master's affair. A rejection takes no game time and no model time.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from adventure.world.pack import DIRECTIONS, World

LONGEST = 200
_SHORT = {
    "n": "north", "s": "south", "e": "east", "w": "west", "ne": "northeast", "nw": "northwest", "se": "southeast",
    "sw": "southwest", "u": "up", "d": "down", "enter": "in", "inside": "in", "outside": "out", "exit": "out",
    "leave": "out", "upstairs": "up", "downstairs": "down", "upwards": "up", "downwards": "down",
}  # fmt: skip
_BARE = {
    "look": "look", "l": "look", "look around": "look", "look about": "look", "look here": "look",
    "where am i": "look", "examine room": "look", "inventory": "inventory", "i": "inventory", "inv": "inventory",
    "take inventory": "inventory", "what am i carrying": "inventory", "what do i have": "inventory",
    "wait": "wait", "z": "wait", "rest": "wait", "score": "score",
    "climb": "go up", "climb up": "go up", "climb down": "go down", "go back": "",
}  # fmt: skip
_MOVES = ("go", "walk", "run", "head", "move", "travel", "proceed", "climb", "crawl", "step")
_VERBS = {
    "examine": "examine", "x": "examine", "look at": "examine", "look in": "examine", "look into": "examine",
    "inspect": "examine", "study": "examine", "describe": "examine", "read": "examine", "search": "examine",
    "check": "examine", "l at": "examine", "view": "examine", "watch": "examine",
    "take": "take", "get": "take", "grab": "take", "pick up": "take", "carry": "take", "catch": "take",
    "steal": "take", "fetch": "take", "collect": "take", "hold": "take",
    "drop": "drop", "put down": "drop", "set down": "drop", "leave": "drop", "discard": "drop", "place": "drop",
    "lay down": "drop", "throw": "drop", "throw away": "drop", "put": "drop", "set": "drop",
    "open": "open", "close": "close", "shut": "close",
    "unlock": "unlock", "lock": "lock",
}  # fmt: skip
_PARTICLES = {"pick": "up", "put": "down", "set": "down", "lay": "down"}
_ARTICLES = {"the", "a", "an", "my", "some", "this", "that"}
_WORD = re.compile(r"[a-z][a-z'-]*")
KNOWN_VERBS = tuple(sorted({*_VERBS, *(b for b in _BARE if " " not in b), "go"} - {"l at"}))


@dataclass(frozen=True)
class Command:
    """A canonical line, and the noun that IT will mean from now on (empty where there is none)."""

    line: str
    noun: str = ""


@dataclass(frozen=True)
class Rejection:
    """What to tell the player; the world is as it was."""

    text: str


def parse(text: str, world: World, near: Collection[str] = ()) -> Command | Rejection:
    """One command. `near` names things at hand: they win where a phrase could mean several."""
    if len(text) > LONGEST:
        return Rejection(f"That is {len(text)} characters long; say it in {LONGEST}.")
    words = _WORD.findall(text.lower().replace("\u2019", "'"))
    if not words:
        return Rejection("I beg your pardon?")
    phrase = " ".join(words)
    if phrase in _BARE and _BARE[phrase]:
        return Command(_BARE[phrase])
    move = _movement(words)
    if move is not None:
        return move
    verb, rest = _split_verb(words)
    if not verb:
        return _unknown_verb(words, world)
    if verb in ("unlock", "lock"):
        return _with_key(verb, rest, world, near)
    nouns = [w for w in rest if w not in _ARTICLES]
    if not nouns:
        return Rejection(f"What do you want to {verb}?")
    noun = _resolve(nouns, world, near)
    return noun if isinstance(noun, Rejection) else Command(f"{verb} {noun}", noun)


def _movement(words: list[str]) -> Command | Rejection | None:
    if len(words) == 1 and (words[0] in DIRECTIONS or words[0] in _SHORT):
        return Command(f"go {_SHORT.get(words[0], words[0])}")
    if words[0] not in _MOVES:
        return None
    rest = [w for w in words[1:] if w not in {"to", *_ARTICLES}]
    if not rest:
        return Rejection("Which way do you want to go?")
    direction = _SHORT.get(rest[-1], rest[-1])
    if direction in DIRECTIONS and len(rest) <= 2:
        return Command(f"go {direction}")
    return Rejection("Which way? Name a direction, such as north or up.")


def _split_verb(words: list[str]) -> tuple[str, list[str]]:
    """Canonical verb and the words after it; handles `pick X up`."""
    two = " ".join(words[:2])
    if two in _VERBS:
        return _VERBS[two], words[2:]
    verb = _VERBS.get(words[0], "")
    rest = words[1:]
    particle = _PARTICLES.get(words[0])
    if particle and rest and rest[-1] == particle:
        return _VERBS[f"{words[0]} {particle}"], rest[:-1]
    if words[0] == "pick":
        return "", []
    if verb == "drop":
        rest = _without_place(rest)
    return verb, rest


def _without_place(rest: list[str]) -> list[str]:
    """`put lamp on the altar`: format 0 knows no inside and no on top, so the place is left out."""
    for i, word in enumerate(rest):
        if i and word in ("in", "on", "into", "onto", "here", "down", "upon"):
            return rest[:i]
    return rest


def _with_key(verb: str, rest: list[str], world: World, near: Collection[str]) -> Command | Rejection:
    middle = next((i for i, w in enumerate(rest) if w in ("with", "using")), len(rest))
    first = [w for w in rest[:middle] if w not in _ARTICLES]
    second = [w for w in rest[middle + 1 :] if w not in _ARTICLES]
    if not first:
        return Rejection(f"What do you want to {verb}?")
    noun = _resolve(first, world, near)
    if isinstance(noun, Rejection):
        return noun
    if not second:
        return Rejection(f"What do you want to {verb} the {noun} with?")
    key = _resolve(second, world, near)
    return key if isinstance(key, Rejection) else Command(f"{verb} {noun} with {key}", noun)


def _resolve(words: list[str], world: World, near: Collection[str]) -> str | Rejection:
    """The one thing or door that a phrase means: its name, a synonym, or some of its words."""
    phrase = " ".join(words)
    exact = [n for n, phrases in world.names.items() if phrase in (p.lower() for p in phrases)]
    loose = [n for n, phrases in world.names.items() if any(set(words) <= set(p.lower().split()) for p in phrases)]
    found = exact or loose
    if phrase in (name.lower() for name in world.names):
        return next(name for name in world.names if name.lower() == phrase)
    if len(found) > 1:
        found = [n for n in found if n in near] or found
    if len(found) == 1:
        return found[0]
    if found:
        return Rejection(f"Which do you mean, {_either(found)}?")
    return _unknown_noun(words, world)


def _either(names: list[str]) -> str:
    return ", ".join(f"the {n}" for n in names[:-1]) + f" or the {names[-1]}"


def _unknown_noun(words: list[str], world: World) -> Rejection:
    prose = " ".join(
        p.description for p in (*world.rooms, *world.things, *world.doors)
    ) + f" {world.intro} {' '.join(r.name for r in world.rooms)}"
    spoken = set(_WORD.findall(prose.lower()))
    stranger = next((w for w in words if w not in spoken), None)
    if stranger is None:
        return Rejection("You don't need to trouble yourself with that.")
    return Rejection(f'I don\'t know the word "{stranger}".')


def _unknown_verb(words: list[str], world: World) -> Rejection:
    vocabulary = {w for phrases in world.names.values() for p in phrases for w in p.lower().split()}
    if set(words) - _ARTICLES <= vocabulary:
        return Rejection(f"What do you want to do with the {' '.join(w for w in words if w not in _ARTICLES)}?")
    return Rejection(f'I don\'t know how to "{words[0]}". (HELP lists what you can say.)')
