"""What players say to the program rather than to the game, and the texts that it answers with.

Knows worlds; no game in play.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from adventure.world.parts import World

HELP = tuple(
    (heading, " ".join(text.split()))
    for heading, text in (
        (
            "Getting about",
            """NORTH, SOUTH, EAST, WEST, NORTHEAST and so on, UP, DOWN, IN, OUT (N, S, E, W, NE, U,
            D for short). LOOK (L) tells where you are.""",
        ),
        (
            "Things",
            """EXAMINE (X), TAKE, DROP, PUT something IN or ON something; OPEN, CLOSE, LOCK and
            UNLOCK, as in "unlock door with brass key"; TURN ON, TURN OFF; READ, WEAR, REMOVE, EAT,
            DRINK; PUSH, PULL, TURN, and other things that hands can do. INVENTORY (I) tells what
            you carry.""",
        ),
        (
            "People",
            """TALK TO somebody, ASK or TELL somebody ABOUT something, GIVE or SHOW somebody
            something, as in "ask Marta about the storm".""",
        ),
        (
            "Time and score",
            """WAIT (Z) lets a moment go by. SCORE tells what you have achieved so far.""",
        ),
        (
            "In short",
            """Several commands go on one line: "north. take lamp then east". TAKE ALL, DROP ALL
            EXCEPT the lamp, PUT ALL IN the box do what they say. IT is the thing you named last,
            HIM or HER the person. AGAIN (G) repeats the last command; OOPS and a word corrects a
            word that was not understood.""",
        ),
        (
            "The program",
            """SAVE and RESTORE, each with a name or with the one used last; SAVES lists them. UNDO
            takes a turn back, several in a row if need be. RESTART; QUIT. HINT gives a hint, HINTS
            those that you have had. ABOUT tells of this world. TRANSCRIPT ON with the name of a
            file writes the game down, TRANSCRIPT OFF stops. RECORDS ON shows what the game master
            notes down to itself. VERSION.""",
        ),
        (
            "The game master's memory",
            """A question mark asks the game master what it remembers, of what you have seen:
            "? lamp", "? where is Marta", "? what is in the box", "? exits of the cellar", "? here",
            "? me". No time goes by, and you are told where the game's own records differ.""",
        ),
    )
)
"""Headings and what they stand over."""
ASK = "?"
"""What a question to the game master begins with; alone it asks for help."""
_MEANS = {
    "save": "save", "restore": "restore", "load": "restore", "undo": "undo", "restart": "restart",
    "quit": "quit", "q": "quit", "help": "help", "commands": "help",
    "transcript": "transcript", "script": "transcript", "unscript": "unscript",
    "records": "records", "version": "version", "saves": "saves", "hint": "hint",
    "hints": "hints", "about": "about", "info": "about", "credits": "about", "score": "score",
}  # fmt: skip
_WITH_ARGUMENT = ("save", "restore", "transcript", "records")
META_VERBS = tuple(word for word in _MEANS if len(word) > 1)


@dataclass(frozen=True)
class Meta:
    """A command to the program: its verb, and what follows it as typed."""

    verb: str
    argument: str = ""


def read_meta(text: str) -> Meta | None:
    """None for a command that is meant for the game."""
    if text.strip().startswith(ASK):
        question = text.strip(f"{ASK} ")
        return Meta("ask", question) if question else Meta("help")
    first, _, rest = text.strip().partition(" ")
    verb = _MEANS.get(first.lower())
    if verb == "help" and rest.strip().lower() == "me":
        return Meta(verb)
    if verb is None or (rest and verb not in _WITH_ARGUMENT):
        return None
    return Meta(verb, rest.strip())


def credits_of(world: World) -> Iterator[str]:
    """What the author says of a world, in paragraphs."""
    byline = (world.headline, world.author and f"By {world.author}")
    if any(byline):
        yield "\n".join(part for part in byline if part)
    if world.description:
        yield " ".join(world.description.split())
    facts = {
        "Genre": world.genre,
        "First published": world.released,
        "Forgiveness": world.forgiveness,
        "Language": world.language if world.language != "en" else "",
        "IFID": world.ifid,
    }
    told = "\n".join(f"{name}: {value}" for name, value in facts.items() if value)
    if told:
        yield told
