"""The command language: what a player types + a World -> one canonical line, or why not.

Knows the world's words, not where anything is: whether a command can be carried out is the game
master's affair. A rejection takes no game time and no model time.

A canonical line is `verb`, `verb|noun` or `verb|noun|other`, with the names that the world gives.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from adventure.world.commands import Command, Rejection
from adventure.world.lexicon import Lexicon, lexicon_of, plain, the
from adventure.world.moves import WHICH_WAY, movement, through
from adventure.world.parts import Person, Thing, World, words_of
from adventure.world.speech import about, said_to, talked
from adventure.world.verbs import (
    AFTER,
    ALOUD,
    BARE_OF,
    BEFORE,
    BY_NAME,
    COMMAND_WORDS,
    KNOWN_VERBS,
    LINKS,
    PARTICLES,
    VERB_OF,
    Verb,
)

__all__ = ["COMMAND_WORDS", "KNOWN_VERBS", "LONGEST", "Command", "Rejection", "parse"]

LONGEST = 200
_YES_OR_NO = ("yes", "y", "no")
_SELF = {"me", "myself", "self", "you", "yourself"}
_TO_SOMEBODY = ("give", "show", "feed")
_PRONOUNS = ("him", "her")
_FLOOR = {"floor", "ground", "here", "there", "down"}
_WITH = ("with", "using")
_PLACES = ("in", "on", "from", "at", "under", "behind", "inside", "beside", "near", "of", "by")
_NOT_SET = {"in", "into", "inside", "on", "onto", "upon", "down", "fire", "alight"}


@dataclass(frozen=True)
class _Typed:
    """A verb, how it was said, and what it is said with."""

    verb: Verb
    said: str
    words: Lexicon
    near: Collection[str]

    @property
    def question(self) -> str:
        """The verb as a question to the player has it."""
        first = self.verb.phrases[0]
        short = len(self.said) < 3 or first.startswith(f"{self.said} ") or self.said == "l at"
        return first if short or self.verb.name == "talk" else self.said

    def noun(self, words: list[str]) -> str | Rejection:
        return self.words.resolve(words, self.near, self.verb)


def parse(
    text: str, world: World, near: Collection[str] = (), seen: Collection[str] | None = None
) -> Command | Rejection:
    """One command. `near` names what is at hand, and the room if it is known: these win where a
    phrase could mean several. `seen` names what else the player has come across (None: all): of
    other nouns only the whole name is understood."""
    if len(text) > LONGEST:
        return Rejection(f"That is {len(text):,} characters long; say it in {LONGEST}.")
    words, lexicon = words_of(text), lexicon_of(world).for_one_who_saw(seen)
    if not plain(words):
        return Rejection("I beg your pardon?")
    said = " ".join(words)
    if bare := lexicon.bare(words) or BARE_OF.get(said, ""):
        return Command(lexicon.bare([bare]) or bare)
    if len(words) == 1 and words[0] in _YES_OR_NO:
        return Rejection("There is nothing to say yes or no to; say what you want to do.")
    for attempt in (movement(words, lexicon, near), said_to(text, lexicon, near)):
        if attempt is not None:
            return attempt
    verb, said, rest = _split_verb(words, lexicon)
    if verb is None:
        return _no_verb(words, lexicon, near)
    return _with_nouns(_Typed(verb, said, lexicon, near), rest)


def _split_verb(words: list[str], lexicon: Lexicon) -> tuple[Verb | None, str, list[str]]:
    """The verb, how it was said, and the words after it; handles `pick X up`."""
    if words[0] == "set" and not set(words) & _NOT_SET:
        return BY_NAME["turn"], "set", words[1:]  # `set dial to seven`
    for length in (3, 2, 1):
        said = " ".join(words[:length])
        if len(words) < length:
            continue
        if length == 1 and len(words) > 2:
            both = f"{words[0]} {words[-1]}"
            if particle := PARTICLES.get((words[0], words[-1])):
                return BY_NAME[particle], both, words[1:-1]
            if both in lexicon.own:
                return _own(both, lexicon), both, words[1:-1]
        if said in VERB_OF:
            return BY_NAME[VERB_OF[said]], said, words[length:]
        if said in lexicon.own:
            return _own(said, lexicon), said, words[length:]
        if BARE_OF.get(said) in ALOUD:
            return BY_NAME[BARE_OF[said]], said, words[length:]
    return None, "", words


def _own(said: str, lexicon: Lexicon) -> Verb:
    """A verb that the world brings along."""
    return Verb(lexicon.own[said], (said,), LINKS)


def _with_nouns(typed: _Typed, rest: list[str]) -> Command | Rejection:
    verb, lexicon = typed.verb, typed.words
    if talk := talked(verb, typed.said, rest, lexicon, typed.near):
        return talk
    if lexicon.empty(rest):
        return Rejection(f"What do you want to {typed.question}?", f"{typed.question} {{}}")
    links = [i for i, word in enumerate(rest) if word in verb.links]
    if verb.name in _TO_SOMEBODY and rest[0] in _PRONOUNS and not links:
        return _person_first(typed, rest) or _wanting(typed, rest[0], "to")
    noun = typed.noun(rest)
    if not (isinstance(noun, str) and lexicon.named(rest)):
        for i, word in enumerate(rest):
            link = next((n for n in (3, 2, 1) if " ".join(rest[i : i + n]) in verb.links), 0)
            if i and link and word not in ("the", "a"):
                return _two(typed, rest[:i], rest[i : i + link], rest[i + link :])
    if isinstance(noun, Rejection):
        return _unclear(typed, rest, noun)
    if verb.needs_other and not lexicon.rule(verb, typed.said, noun):
        return _wanting(typed, noun, verb.links[0])
    return _one(typed, noun)


def _unclear(typed: _Typed, rest: list[str], complaint: Rejection) -> Command | Rejection:
    """What isn't one noun may be two, or one with words to let go, or none that matters."""
    verb, lexicon = typed.verb, typed.words
    if complaint.among:
        return complaint.waiting(f"{typed.said} {{}}")
    if verb.name in _TO_SOMEBODY and (swapped := _person_first(typed, rest)):
        return swapped
    if verb.name == "put" and rest[-1] in _FLOOR and isinstance(down := typed.noun(rest[:-1]), str):
        return _one(_Typed(BY_NAME["drop"], "drop", lexicon, typed.near), down)
    if rest[0] in _WITH and rest[0] in verb.links and not lexicon.empty(rest[1:]):
        whole = " ".join((typed.question, "{}", *rest))
        return Rejection(f"What do you want to {typed.question}?", whole)
    if verb.name == "enter":
        return WHICH_WAY
    for fewer in (rest[1:] if rest[0] in BEFORE else [], rest[:-1] if rest[-1] in AFTER else []):
        if fewer and not lexicon.empty(fewer):
            found = _with_nouns(typed, fewer)
            if isinstance(found, Command) or found.pending:
                return found
    for i in range(1, len(rest) - 1):
        if rest[i] in _PLACES:  # `take key from box`: the first is what is meant
            first, where = typed.noun(rest[:i]), rest[i + 1 :]
            known = " ".join(plain(where)) in lexicon.rooms or isinstance(typed.noun(where), str)
            if isinstance(first, str) and known:
                return _one(typed, first)
    if aloud := _aloud(typed, rest):
        return aloud
    if set(plain(rest)) <= _SELF:
        return Rejection(
            "You are as you always were."
            if verb.name == "examine"
            else "You had better leave yourself out of it."
        )
    if verb.name in ("examine", "search") and " ".join(plain(rest)) in lexicon.rooms:
        room = lexicon.rooms[" ".join(plain(rest))]
        return Command(lexicon.bare(["look"]) or "look") if room in typed.near else complaint
    return complaint


def _aloud(typed: _Typed, rest: list[str]) -> Command | None:
    """A verb that needs no noun, with words that name none: `sing a song`, `dig here`."""
    name, rules = typed.verb.name, typed.words.rules
    bare = BARE_OF.get(name, "") or (name if name in rules else "")
    if not bare or (bare not in ALOUD and name not in rules and not set(rest) <= AFTER):
        return None
    if bare in ("listen", "smell", "look") and not set(rest) <= AFTER:
        return None
    return Command(rules.get(bare, bare))


def _wanting(typed: _Typed, noun: str, link: str) -> Rejection:
    """The question for the second noun."""
    whole = f"{typed.said} {noun} {link} {{}}"
    if typed.verb.name == "put":
        return Rejection(f"Where do you want to put {the(noun)}?", whole)
    whom = "Whom" if typed.verb.name in ("give", "show") else "What"
    return Rejection(f"{whom} do you want to {typed.said} {the(noun)} {link}?", whole)


def _one(typed: _Typed, noun: str) -> Command | Rejection:
    """A command about one noun; what nobody wrote a rule for becomes the nearest that there is."""
    verb, lexicon = typed.verb, typed.words
    if line := lexicon.rule(verb, typed.said, noun):
        return Command(line, noun)
    if verb.name in ALOUD and verb.name in lexicon.rules:
        return Command(lexicon.rules[verb.name], noun)  # `swim in the lake`
    if verb.name == "enter":
        return through(noun, lexicon, typed.near)
    other = verb.otherwise if verb.otherwise in ("examine", "take") else ""
    return Command(f"{other or verb.name}|{noun}", noun)


def _two(
    typed: _Typed, first: list[str], link: list[str], second: list[str]
) -> Command | Rejection:
    verb, said, lexicon = typed.verb, typed.said, typed.words
    whole = " ".join((said, "{}", *link, *second))
    if lexicon.empty(first):
        return Rejection(f"What do you want to {typed.question}?", whole)
    noun = typed.noun(first)
    if isinstance(noun, Rejection):
        return noun.waiting(whole)
    if verb.topic or (verb.name == "talk" and "about" in link):
        return about(BY_NAME["ask"] if verb.name == "talk" else verb, noun, second, lexicon)
    if lexicon.empty(second):
        return _wanting(typed, noun, " ".join(link))
    other = lexicon.resolve(second, typed.near)
    if isinstance(other, Rejection):
        if verb.name == "put" and not other.among and set(second) & _FLOOR:
            return _one(_Typed(BY_NAME["drop"], "drop", lexicon, typed.near), noun)
        if verb.name == "drop" and not other.among and set(second) & _FLOOR:
            return _one(typed, noun)
        if not other.among and " ".join(plain(second)) in lexicon.rooms:
            return _one(typed, noun)  # `take key from the kitchen`
        if verb.name == "turn" and not other.among and link == ["to"]:
            return _one(typed, noun)  # `turn dial to seven`, where nobody asks how far
        return other.waiting(f"{said} {noun} {' '.join(link)} {{}}")
    return _both(typed, noun, other)


def _both(typed: _Typed, noun: str, other: str) -> Command | Rejection:
    verb, lexicon = typed.verb, typed.words
    if line := lexicon.rule(verb, typed.said, noun, other):
        return Command(line, noun)
    if verb.name == "drop" and _holds(other, lexicon):
        return _both(_Typed(BY_NAME["put"], "put", lexicon, typed.near), noun, other)
    if verb.name in ("open", "close"):
        if verb.name == "close":
            return Command(f"lock|{noun}|{other}", noun)
        return Command(f"unlock|{noun}|{other}", noun, f"open|{noun}")
    if verb.name in ("tie", "feed") and (line := lexicon.rule(verb, typed.said, other, noun)):
        return Command(line, noun)
    if verb.name == "feed" and not lexicon.rule(verb, typed.said, noun):
        what, who = (other, noun) if _is_person(noun, lexicon) else (noun, other)
        line = f"give|{what}|{who}"
        return Command(lexicon.rules.get(line, line), what)
    if verb.name == "use" and not lexicon.rule(verb, typed.said, noun) and _locks(noun, lexicon):
        line = f"unlock|{other}|{noun}"
        return Command(lexicon.rules.get(line, line), other)
    if verb.needs_other and not lexicon.rule(verb, typed.said, noun):
        return Command(f"{verb.name}|{noun}|{other}", noun)
    return _one(typed, noun)


def _is_person(name: str, lexicon: Lexicon) -> bool:
    return isinstance(lexicon.world.by_name.get(name), Person)


def _holds(name: str, lexicon: Lexicon) -> bool:
    part = lexicon.world.by_name.get(name)
    return isinstance(part, Thing) and (part.container or part.supporter)


def _locks(name: str, lexicon: Lexicon) -> bool:
    """Whether something is the key of anything."""
    world = lexicon.world
    keys = [*(door.key for door in world.doors), *(thing.key for thing in world.things)]
    return name in keys


def _person_first(typed: _Typed, rest: list[str]) -> Command | Rejection | None:
    """`give Marta the coin`."""
    lexicon = typed.words
    for i in range(1, len(rest)):
        who, what = typed.noun(rest[:i]), typed.noun(rest[i:])
        if isinstance(who, str) and isinstance(what, str):
            turned = _is_person(what, lexicon) and not _is_person(who, lexicon)
            return _both(typed, who, what) if turned else _both(typed, what, who)
    return None


def _no_verb(words: list[str], lexicon: Lexicon, near: Collection[str]) -> Rejection:
    noun = lexicon.resolve(words, near)
    if isinstance(noun, str):
        return Rejection(f"What do you want to do with {the(noun)}?", f"{{}} {noun}")
    for length in range(len(words) - 1, 0, -1):
        if (said := " ".join(words[:length])) in COMMAND_WORDS:
            return Rejection(f'I understood that only as far as "{said}".')
    return lexicon.unknown_verb(words[0])
