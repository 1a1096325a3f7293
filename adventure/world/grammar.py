"""The command language: what a player types + a World -> one canonical line, or why not.

Knows the world's words, not where anything is: whether a command can be carried out is the game
master's affair. A rejection takes no game time and no model time.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from adventure.world.parts import DIRECTIONS, World, spoken, words_of

LONGEST = 200
_SHORT = {
    "n": "north", "s": "south", "e": "east", "w": "west", "u": "up", "d": "down",
    "ne": "northeast", "nw": "northwest", "se": "southeast", "sw": "southwest",
    "enter": "in", "inside": "in", "exit": "out", "outside": "out", "leave": "out",
    "upstairs": "up", "upwards": "up", "downstairs": "down", "downwards": "down",
    "climb": "up",
}  # fmt: skip
_BARE = {
    "look": ("look", "l", "look around", "look about", "look here", "where am i", "examine room"),
    "inventory": (
        *("inventory", "i", "inv", "take inventory"),
        *("what am i carrying", "what do i have"),
    ),
    "wait": ("wait", "z", "rest"),
    "score": ("score",),
}
_MOVES = "go walk run head move travel proceed climb crawl step enter exit".split()
_VERBS = {
    "examine": (
        *("examine", "x", "look", "l", "look at", "l at", "look in", "look into", "inspect"),
        *("study", "describe", "read", "search", "check", "view", "watch"),
    ),
    "take": (
        *("take", "get", "grab", "pick", "pick up", "carry", "catch", "steal", "fetch"),
        *("collect", "hold"),
    ),
    "drop": (
        *("drop", "put", "put down", "set", "set down", "lay down", "leave", "discard", "place"),
        *("throw", "throw away"),
    ),
    "open": ("open",),
    "close": ("close", "shut"),
    "unlock": ("unlock",),
    "lock": ("lock",),
}
_BARE_OF = {phrase: verb for verb, phrases in _BARE.items() for phrase in phrases}
_VERB_OF = {phrase: verb for verb, phrases in _VERBS.items() for phrase in phrases}
_PARTICLES = {"pick": "up", "put": "down", "set": "down", "lay": "down", "throw": "away"}
_PLACES = set("in on at to into onto upon under over behind beside near by here there down".split())
_ARTICLES = {"the", "a", "an", "my", "some", "this", "that"}
_WITH_KEY = {"open": "open", "close": "lock", "unlock": "unlock", "lock": "lock"}
_YES_OR_NO = ("yes", "y", "no")
_SELF = {"me", "myself", "self", "you", "yourself"}
KNOWN_VERBS = tuple(
    sorted({*_VERB_OF, *(phrase for phrase in _BARE_OF if " " not in phrase), "go"} - {"l at"})
)
COMMAND_WORDS = frozenset({*DIRECTIONS, *_SHORT, *_MOVES, *_BARE_OF, *_VERB_OF})
"""What is a command, or how one begins."""


@dataclass(frozen=True)
class Command:
    """A canonical line, and the noun that IT will mean from now on (empty where there is none).

    then: the canonical line that follows when the first went well: `open X with Y` is two.
    """

    line: str
    noun: str = ""
    then: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """All its canonical lines, in order."""
        return (self.line, self.then) if self.then else (self.line,)

    @property
    def phrase(self) -> str:
        """What can be typed for all of it."""
        verb = self.lines[-1].partition(" ")[0]
        return f"{verb}{self.line[len(self.line.partition(' ')[0]) :]}"


@dataclass(frozen=True)
class Rejection:
    """What to tell the player; the world is as it was.

    pending: where it is a question, the command with {} in place of the answer; among: the names
    to choose from, if it is about these.
    """

    text: str
    pending: str = field(default="", compare=False)
    among: tuple[str, ...] = field(default=(), compare=False)

    def completed(self, answer: str) -> str:
        """The command that the answer makes of the question."""
        return self.pending.replace("{}", answer)


def parse(text: str, world: World, near: Collection[str] = ()) -> Command | Rejection:
    """One command. `near` names things at hand: they win where a phrase could mean several."""
    if len(text) > LONGEST:
        return Rejection(f"That is {len(text):,} characters long; say it in {LONGEST}.")
    words = words_of(text)
    if not set(words) - _ARTICLES:
        return Rejection("I beg your pardon?")
    bare = _BARE_OF.get(" ".join(words))
    if bare:
        return Command(bare)
    if len(words) == 1 and words[0] in _YES_OR_NO:
        return Rejection("There is nothing to say yes or no to; say what you want to do.")
    move = _movement(words)
    if move is not None:
        return move
    verb, rest = _split_verb(words)
    if not verb:
        return _no_verb(words, world, near)
    if verb == "drop":
        rest = _without_place(rest, world)
    if verb in ("unlock", "lock") or (verb in _WITH_KEY and _preposition(rest) < len(rest)):
        return _with_key(_WITH_KEY[verb], rest, world, near)
    if _empty(rest, world):
        return Rejection(f"What do you want to {verb}?", f"{verb} {{}}")
    noun = _resolve(rest, world, near)
    if isinstance(noun, str):
        return Command(f"{verb} {noun}", noun)
    if " ".join(rest) in _SELF and not noun.among:
        return Rejection(
            "You are as you always were."
            if verb == "examine"
            else "You had better leave yourself out of it."
        )
    return _asking(noun, f"{verb} {{}}")


def _movement(words: list[str]) -> Command | Rejection | None:
    """`north`, `go up the stairs`; None where the command isn't about going somewhere."""
    if len(words) == 1 and (words[0] in DIRECTIONS or words[0] in _SHORT):
        return Command(f"go {_SHORT.get(words[0], words[0])}")
    if words[0] not in _MOVES:
        return None
    rest = [_SHORT.get(w, w) for w in words[1:] if w not in {"to", *_ARTICLES}]
    if not rest:
        return Rejection("Which way do you want to go?", "go {}")
    named = [w for w in rest if w in DIRECTIONS]
    if len(named) == 1 and named[0] in (rest[0], rest[-1]):
        return Command(f"go {named[0]}")
    return Rejection("Which way? Name a direction, such as north or up.")


def _split_verb(words: list[str]) -> tuple[str, list[str]]:
    """Canonical verb, empty if there is none, and the words after it; handles `pick X up`."""
    two = " ".join(words[:2])
    if two in _VERB_OF:
        return _VERB_OF[two], words[2:]
    rest = words[1:]
    if len(rest) > 1 and rest[-1] == _PARTICLES.get(words[0]):
        return _VERB_OF[f"{words[0]} {rest[-1]}"], rest[:-1]
    return _VERB_OF.get(words[0], ""), rest


def _without_place(rest: list[str], world: World) -> list[str]:
    """`put lamp on the altar`: format 0 has no inside and no on top, so the place is left out."""
    if _named(rest, world):
        return rest
    for i, word in enumerate(rest):
        if i and word in _PLACES:
            return rest[:i]
    return rest


def _preposition(rest: list[str]) -> int:
    """Where the key's part begins in `the door with the key`; the length if nowhere."""
    return next((i for i, w in enumerate(rest) if w in ("with", "using")), len(rest))


def _with_key(
    verb: str, rest: list[str], world: World, near: Collection[str]
) -> Command | Rejection:
    middle = _preposition(rest)
    first, second = rest[:middle], rest[middle + 1 :]
    whole = " ".join((verb, "{}", *rest[middle:]))
    if _empty(first, world):
        return Rejection(f"What do you want to {verb}?", whole)
    noun = _resolve(first, world, near)
    if isinstance(noun, Rejection):
        return _asking(noun, whole)
    with_what = f"{verb} {noun} with {{}}"
    if _empty(second, world):
        return Rejection(f"What do you want to {verb} the {noun} with?", with_what)
    key = _resolve(second, world, near)
    if isinstance(key, Rejection):
        return _asking(key, with_what)
    if verb == "open":
        return Command(f"unlock {noun} with {key}", noun, f"open {noun}")
    return Command(f"{verb} {noun} with {key}", noun)


def _asking(rejection: Rejection, pending: str) -> Rejection:
    """A question which of several is meant, with the command that waits for the answer."""
    return replace(rejection, pending=pending) if rejection.among else rejection


# -- nouns ---------------------------------------------------------------------------------------


def _empty(words: list[str], world: World) -> bool:
    """Whether no noun was given: only articles, which aren't a name either."""
    return not set(words) - _ARTICLES and not _named(words, world)


def _full_names(world: World) -> dict[str, str]:
    return {spoken(name): name for name in world.names}


def _named(words: list[str], world: World) -> str | None:
    """The thing or door that the words name in full, with or without an article before them."""
    names = _full_names(world)
    plain = [w for w in words if w not in _ARTICLES]
    return names.get(" ".join(words)) or names.get(" ".join(plain))


def _resolve(words: list[str], world: World, near: Collection[str]) -> str | Rejection:
    """The one thing or door that a phrase means: its name, a synonym, or some of its words."""
    name = _named(words, world)
    if name:
        return name
    plain = [w for w in words if w not in _ARTICLES]
    phrases = {n: [words_of(p) for p in known] for n, known in world.names.items()}
    exact = [n for n, known in phrases.items() if words in known or plain in known]
    loose = [n for n, known in phrases.items() if any(set(plain) <= set(p) for p in known)]
    at_hand = [[n for n in found if n in near] for found in (exact, loose)]
    found = next((names for names in (*at_hand, exact, loose) if names), [])
    if len(found) == 1:
        return found[0]
    if found:
        return Rejection(f"Which do you mean, {_either(found)}?", among=tuple(found))
    return _unknown_noun(plain, world)


def _either(names: list[str]) -> str:
    return ", ".join(f"the {n}" for n in names[:-1]) + f" or the {names[-1]}"


def _unknown_noun(words: list[str], world: World) -> Rejection:
    prose = [world.intro, *(text for p in world.parts for text in (p.name, p.description))]
    synonyms = [phrase for phrases in world.names.values() for phrase in phrases]
    known = {*words_of(" ".join((*prose, *synonyms))), *DIRECTIONS}
    stranger = next((w for w in words if w not in known), None)
    if stranger is None:
        return Rejection("You don't need to trouble yourself with that.")
    return Rejection(f'I don\'t know the word "{stranger}".')


def _no_verb(words: list[str], world: World, near: Collection[str]) -> Rejection:
    noun = _resolve(words, world, near)
    if isinstance(noun, str):
        return Rejection(f"What do you want to do with the {noun}?", f"{{}} {noun}")
    return Rejection(f'I don\'t know how to "{words[0]}". (HELP lists what you can say.)')
