"""What is said to people: ASK, TELL, TALK, SAY, a name with a comma. Knows words, no places."""

from __future__ import annotations

from collections.abc import Collection

from adventure.world.commands import Command, Rejection
from adventure.world.lexicon import Lexicon, plain, the
from adventure.world.parts import Noun, Person, words_of
from adventure.world.verbs import BY_NAME, GREETINGS, Verb

ANYTHING = "anything"
"""The topic of a question about what nobody has written an answer to."""


def said_to(text: str, lexicon: Lexicon, near: Collection[str]) -> Command | Rejection | None:
    """`Marta, hello` and `say hello to Marta`; None where nothing is said to anybody."""
    words = words_of(text)
    if words[0] == "say":
        return _say(words[1:], lexicon, near)
    name, comma, said = text.partition(",")
    if not comma or not said.strip():
        return None
    person = lexicon.resolve(words_of(name), near, BY_NAME["talk"])
    if not isinstance(person, str) or not _speaks(person, lexicon):
        return None
    asked = words_of(said)
    if "about" in asked[:-1]:
        return about(BY_NAME["ask"], person, asked[asked.index("about") + 1 :], lexicon)
    return _talk(person, lexicon)


def talked(
    verb: Verb, said: str, rest: list[str], lexicon: Lexicon, near: Collection[str]
) -> Command | Rejection | None:
    """`talk`, `ask about storm`: said to the only one who is there. None: somebody is named."""
    if verb.name == "talk" and lexicon.empty(rest):
        person = lexicon.person(near, "talk to {}")
        return person if isinstance(person, Rejection) else _talk(person, lexicon)
    if verb.topic and rest[:1] and rest[0] in verb.links:
        person = lexicon.person(near, " ".join((verb.name, "{}", *rest)))
        return person if isinstance(person, Rejection) else about(verb, person, rest[1:], lexicon)
    if verb.topic and lexicon.empty(rest):
        return Rejection(f"Whom do you want to {said}?", f"{said} {{}}")
    return None


def about(verb: Verb, noun: str, words: list[str], lexicon: Lexicon) -> Command | Rejection:
    """A question or a remark about the topic that the words are nearest to."""
    person = lexicon.world.by_name.get(noun)
    rules = [do for do in lexicon.rules if do.startswith((f"ask|{noun}|", f"tell|{noun}|"))]
    if not isinstance(person, Person) and not rules:
        has = "have" if isinstance(person, Noun) and person.plural else "has"
        return Rejection(f"{the(noun)[0].upper()}{the(noun)[1:]} {has} nothing to tell you.")
    if not plain(words):
        asked = f"What do you want to {verb.name} {the(noun)} about?"
        return Rejection(asked, f"{verb.name} {noun} about {{}}")
    known = list(person.topics) if isinstance(person, Person) else []
    topic = _nearest(set(plain(words)), [*known, *(do.split("|")[2] for do in rules)])
    lines = (f"{name}|{noun}|{topic}" for name in (verb.name, "ask", "tell"))
    line = next((lexicon.rules[do] for do in lines if do in lexicon.rules), f"ask|{noun}|{topic}")
    return Command(line, noun)


def _nearest(words: set[str], known: list[str]) -> str:
    """The topic that has most of the words; commas part the names of one."""
    best, most = ANYTHING, 0
    for topics in known:
        names = [words_of(name) for name in topics.split(",")]
        hits = max((len(words & set(name)) for name in names), default=0)
        if hits > most:
            best, most = topics.split(",")[0].strip(), hits
    return best


def _say(words: list[str], lexicon: Lexicon, near: Collection[str]) -> Command | Rejection | None:
    """`say storm to Marta`, `say hello`, `say xyzzy` where that is a command of the world's."""
    if line := lexicon.bare(plain(words)):
        return Command(line)
    said, to = words, list[str]()
    if "to" in words:
        at = len(words) - 1 - words[::-1].index("to")
        said, to = words[:at], words[at + 1 :]
    if not plain(said):
        return Rejection("What do you want to say?", "say {}")
    person = lexicon.resolve(to, near, BY_NAME["talk"]) if to else None
    if person is None or (isinstance(person, Rejection) and not person.among):
        said = words if isinstance(person, Rejection) else said
        person = lexicon.person(near, f"say {' '.join(said)} to {{}}")
    if isinstance(person, Rejection):
        return person.waiting(f"say {' '.join(said)} to {{}}")
    if " ".join(said) in GREETINGS:
        return _talk(person, lexicon)
    return about(BY_NAME["tell"], person, said, lexicon)


def _talk(person: str, lexicon: Lexicon) -> Command:
    line = f"talk|{person}"
    return Command(lexicon.rules.get(line, line), person)


def _speaks(name: str, lexicon: Lexicon) -> bool:
    """Whether somebody, or something that a rule lets one talk to."""
    person = isinstance(lexicon.world.by_name.get(name), Person)
    return person or any(do.startswith((f"talk|{name}", f"ask|{name}|")) for do in lexicon.rules)
