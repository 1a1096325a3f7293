"""What is wrong with the commands that rules answer: those that no player's words ever come to.

Knows how players' words are read; knows nothing of conditions and effects.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from adventure.world.doing import in_words
from adventure.world.grammar import Command, parse
from adventure.world.keys import Fault, nearest, quoted
from adventure.world.lines import Place
from adventure.world.parts import DIRECTIONS, World, words_of
from adventure.world.verbs import SHORT

_OWN = re.compile(r"[a-z](?:[a-z'-]*[a-z])?( [a-z](?:[a-z'-]*[a-z])?){0,2}")
_TAKEN = frozenset("arrive clock if so say usual end".split())
"""Headings and words of the game's own blocks."""


def command_faults(world: World) -> Iterator[Fault]:
    """All of them."""
    for i, rule in enumerate(world.rules):
        for do in rule.commands:
            place = ("rules", i, "when")
            found = list(_faults(place, do, world))
            yield from found
            main = world.alias[do]
            if not found and main != rule.first:
                meant = in_words(main, world)
                said = f"the rule {quoted(in_words(rule.first, world))}"
                said += f" answers {in_words(do, world)!r}, which is another way to say"
                yield place, f"{said} {meant!r} by an earlier rule; begin its when with {meant!r}."
            elif not found:
                yield from _unheard(place, do, world)


def _faults(place: Place, do: str, world: World) -> Iterator[Fault]:
    verb, *nouns = do.split("|")
    it = f"the rule {quoted(in_words(do, world))}"
    if len(nouns) > 2 or not all(part and part == part.strip() for part in (verb, *nouns)):
        yield place, f"the rule {quoted(do)} won't do; write a command such as 'pull lever'."
    elif not nouns and (verb in DIRECTIONS or verb in SHORT):
        yield place, f"{it} is about going somewhere; write {SHORT.get(verb, verb)!r}."
    elif verb == "go":
        yield from _direction(place, it, nouns)
    elif verb in _TAKEN or not _OWN.fullmatch(verb):
        yield place, f"{it} has the verb {quoted(verb)}; take one to three words of small letters."
    else:
        yield from _unknown_nouns(place, it, verb, nouns, world)


def _unheard(place: Place, do: str, world: World) -> Iterator[Fault]:
    """A command that is read as another one, or not at all, however plainly it is typed."""
    verb = do.partition("|")[0]
    if verb in ("ask", "tell"):
        return  # a topic is whatever comes nearest
    read = parse(Command(do).phrase, world, near=world.names)
    it = f"the rule {quoted(in_words(do, world))}"
    if not isinstance(read, Command):
        yield place, f"{it} is for a command that can't be typed; take another verb."
    elif world.alias[do] not in read.lines:
        meant = in_words(read.line, world)
        yield place, f"{it} is for a command that is read as {meant!r}; write that."


def _direction(place: Place, it: str, nouns: list[str]) -> Iterator[Fault]:
    if len(nouns) != 1 or nouns[0] not in DIRECTIONS:
        way = nouns[0] if nouns else ""
        full = SHORT.get(way)
        end = f"; did you mean {full!r}?" if full else nearest(way, DIRECTIONS)
        yield place, f"{it} needs one direction{end}"


def _unknown_nouns(
    place: Place, it: str, verb: str, nouns: list[str], world: World
) -> Iterator[Fault]:
    if verb in ("ask", "tell") and len(nouns) == 2:
        topic = nouns[1]
        if not words_of(topic) or set(topic) & set(":.<>,"):
            yield place, f"{it} has the topic {quoted(topic)}; write a word or two."
    phrases = {phrase: name for name, said in world.names.items() for phrase in said}
    for noun in nouns[:1] if verb in ("ask", "tell") else nouns:
        if noun in world.names:
            continue
        end = nearest(noun, list(phrases))
        if noun in phrases:
            full = phrases[noun]
            line = "|".join((verb, *(full if n == noun else n for n in nouns)))
            yield place, f"{it} names {full!r} by a synonym; write {in_words(line, world)!r}."
        else:
            said = f"{it} names {quoted(noun)}, which is no door, thing, person or scenery"
            yield place, said + end
