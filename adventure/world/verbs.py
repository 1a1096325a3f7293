"""The words players use for what can be done: phrase -> canonical verb. Knows no world.

A canonical command is `verb`, `verb|noun` or `verb|noun|other`.
"""

from __future__ import annotations

from dataclasses import dataclass

from adventure.world.parts import DIRECTIONS

SHORT = {
    "n": "north", "s": "south", "e": "east", "w": "west", "u": "up", "d": "down",
    "ne": "northeast", "nw": "northwest", "se": "southeast", "sw": "southwest",
    "enter": "in", "inside": "in", "exit": "out", "outside": "out", "leave": "out",
    "upstairs": "up", "upwards": "up", "downstairs": "down", "downwards": "down",
    "climb": "up",
}  # fmt: skip
BARE = {
    "look": ("look", "l", "look around", "look about", "look here", "where am i", "examine room"),
    "inventory": (
        *("inventory", "i", "inv", "take inventory"),
        *("what am i carrying", "what do i have"),
    ),
    "wait": ("wait", "z", "rest"),
    "deeds": ("score", "deeds"),
    "listen": ("listen", "hear"),
    "smell": ("smell", "sniff"),
    "jump": ("jump", "leap"),
    "sing": ("sing",),
    "sleep": ("sleep",),
    "pray": ("pray",),
    "dig": ("dig",),
    "swim": ("swim",),
    "wave": ("wave",),
    "shout": ("shout", "yell", "scream", "call"),
}
ALOUD = ("jump", "sing", "sleep", "pray", "dig", "swim", "wave", "shout")
"""Bare commands that need no noun: words behind them may name nothing (`sing a song`)."""
_WITH = ("with", "using")
_INTO = ("in", "into", "inside", "on", "onto", "upon", "on top of")
LINKS = (*_WITH, "to", *_INTO, "at", "from", "over", "under", "through", "against", "behind")
"""What may stand before the second noun of a verb that a world brings along."""


@dataclass(frozen=True)
class Verb:
    """How a canonical verb is said, the plainest phrase first. links: what stands before its second
    noun. topic: that is something to talk about. otherwise: what it is where no rule is about it.
    """

    name: str
    phrases: tuple[str, ...]
    links: tuple[str, ...] = _WITH
    needs_other: bool = False
    topic: bool = False
    otherwise: str = ""


VERBS = (
    Verb("examine", (
        *("examine", "x", "look at", "l at", "inspect", "study", "describe", "check", "view"),
        *("watch", "look", "l"),
    )),
    Verb("search", ("search", "look in", "look into", "look inside", "look on", "look under",
                    "look behind", "look through", "frisk", "rummage in"), otherwise="examine"),
    Verb("read", ("read",), otherwise="examine"),
    Verb("take", (
        *("take", "get", "grab", "pick", "pick up", "carry", "catch", "steal", "fetch"),
        *("collect", "hold"),
    ), ("from", "out of", "off", "with", "using")),
    Verb("drop", (
        *("drop", "put down", "set down", "lay down", "discard", "throw away", "leave"),
    ), (*_INTO, "with")),
    Verb("put", ("put", "place", "set", "lay", "insert", "stick", "hang"), _INTO, True),
    Verb("open", ("open",), _WITH),
    Verb("close", ("close", "shut"), _WITH),
    Verb("unlock", ("unlock",), _WITH, True),
    Verb("lock", ("lock",), _WITH, True),
    Verb("wear", ("wear", "put on", "don", "dress in")),
    Verb("remove", ("remove", "take off", "doff", "undress from"), ("from",)),
    Verb("eat", ("eat", "taste", "bite", "swallow")),
    Verb("drink", ("drink", "sip", "drink from"), ("from", *_WITH)),
    Verb("on", ("turn on", "switch on", "light", "start", "ignite"), ("with", "from", "using"),
         otherwise="burn"),
    Verb("off", ("turn off", "switch off", "extinguish", "douse", "put out", "blow out", "stop")),
    Verb("give", ("give", "offer", "hand", "pay"), ("to",), True),
    Verb("feed", ("feed",), ("to", "with")),
    Verb("enter", ("enter", "get in", "get into", "get on", "board")),
    Verb("show", ("show", "present"), ("to",), True),
    Verb("ask", ("ask", "question", "quiz"), ("about", "for"), True, True),
    Verb("tell", ("tell", "inform"), ("about", "of"), True, True),
    Verb("talk", ("talk to", "talk with", "talk", "speak to", "speak with", "speak", "greet",
                  "hello", "hello to", "say hello to", "hi", "chat with", "converse with"),
         ("about",)),
    Verb("push", ("push", "press", "shove", "move"), (*_WITH, "to", *_INTO)),
    Verb("pull", ("pull", "drag", "tug", "yank"), (*_WITH, "to", "from", "out of", *_INTO)),
    Verb("turn", ("turn", "twist", "rotate", "spin", "wind", "crank"), ("with", "to", "using")),
    Verb("lift", ("lift", "raise"), otherwise="take"),
    Verb("lower", ("lower",), ("into", *_WITH, "in", "to")),
    Verb("touch", ("touch", "feel", "pat", "stroke", "pet")),
    Verb("rub", ("rub", "polish", "clean", "wipe", "wash", "scrub"), (*_WITH, "in")),
    Verb("hit", ("hit", "strike", "attack", "kick", "punch", "fight", "break", "smash", "kill"),
         _WITH),
    Verb("knock", ("knock on", "knock at", "knock", "rap on"), _WITH),
    Verb("ring", ("ring", "toll", "sound")),
    Verb("blow", ("blow", "blow into")),
    Verb("play", ("play",), ("on", "with")),
    Verb("cut", ("cut", "slice", "chop", "saw"), _WITH),
    Verb("tie", ("tie", "fasten", "attach", "fix", "connect"), ("to", "with", "around"), True),
    Verb("untie", ("untie", "unfasten", "detach", "loosen", "free"), ("from",)),
    Verb("fill", ("fill",), ("with", "from", "using", "at", "in")),
    Verb("pour", ("pour", "pour out", "empty"), (*_INTO, "over", "from")),
    Verb("throw", ("throw", "toss", "hurl"), ("at", "to", *_INTO, "over", "through")),
    Verb("burn", ("burn", "set fire to"), _WITH, otherwise="on"),
    Verb("climb", ("climb", "climb up", "climb on", "climb over", "scale")),
    Verb("smell", ("smell", "sniff")),
    Verb("listen", ("listen to", "hear")),
    Verb("kiss", ("kiss", "hug", "embrace")),
    Verb("shake", ("shake", "rattle")),
    Verb("squeeze", ("squeeze", "squash")),
    Verb("dig", ("dig", "dig in", "dig up", "dig with"), _WITH),
    Verb("use", ("use", "operate", "work"), ("on", "with")),
    Verb("sit", ("sit on", "sit in", "sit", "lie on", "lie in", "lie down on", "stand on")),
    Verb("wake", ("wake", "wake up")),
    Verb("buy", ("buy", "purchase"), ("from",)),
    Verb("mail", ("mail", "post", "send"), ("to", "in", "into", "through")),
    Verb("jump", ("jump over", "jump on", "jump in", "jump into", "jump off", "leap over")),
    Verb("swim", ("swim in", "swim across")),
    Verb("sleep", ("sleep in", "sleep on")),
    Verb("sing", ("sing to", "sing")),
    Verb("pray", ("pray to", "pray at")),
    Verb("wave", ("wave", "wave at", "wave to"), ("at", "to", *_WITH)),
    Verb("shout", ("shout at", "shout to", "yell at", "call to", "call")),
)  # fmt: skip
ANSWERED = frozenset(
    "examine take drop put open close unlock lock wear remove eat drink on off give show ask tell "
    "talk".split()
)
"""What the game itself answers: a rule about another word for it is for that word alone."""
MOVES = "go walk run head move travel proceed crawl step enter exit climb".split()
PARTICLES = {
    ("pick", "up"): "take", ("put", "down"): "drop", ("set", "down"): "drop",
    ("lay", "down"): "drop", ("put", "on"): "wear", ("take", "off"): "remove",
    ("turn", "on"): "on", ("turn", "off"): "off", ("switch", "on"): "on",
    ("switch", "off"): "off", ("put", "out"): "off", ("blow", "out"): "off",
    ("throw", "away"): "drop", ("wake", "up"): "wake", ("dig", "up"): "dig",
    ("pour", "out"): "pour", ("empty", "out"): "pour", ("lift", "up"): "lift",
    ("push", "open"): "open", ("pull", "open"): "open", ("push", "shut"): "close",
    ("pull", "shut"): "close", ("set", "alight"): "burn",
}  # fmt: skip
"""Words that may stand behind the noun instead of before it."""
AFTER = frozenset(
    "up down in out off on over away back apart together again here there now".split()
)
"""Words that may be left off at the end (`wind clock up`) or before a noun (`pull down blind`)."""
BEFORE = AFTER | frozenset(
    "at to of into onto with through under against around across from".split()
)
GREETINGS = frozenset(
    ("hello", "hi", "hey", "good morning", "good day", "good evening", "greetings")
)
BY_NAME = {verb.name: verb for verb in VERBS}
BARE_OF = {phrase: name for name, phrases in BARE.items() for phrase in phrases}
VERB_OF = {phrase: verb.name for verb in VERBS for phrase in verb.phrases}
COMMAND_WORDS = frozenset({*DIRECTIONS, *SHORT, *MOVES, *BARE_OF, *VERB_OF})
"""What is a command, or how one begins."""
KNOWN_VERBS = tuple(
    sorted({w for w in (*BARE_OF, *VERB_OF, *MOVES, *DIRECTIONS, "say") if len(w) > 1})
)
"""What may be offered for completion."""
