"""Conditions of rules as facts: what each needs, what makes it fail, what lets a command go by.

Knows the blocks of a world, nothing of what commands do.
"""

from __future__ import annotations

from adventure.author.facts import Fact, Facts
from adventure.world.parts import YOU
from adventure.world.script import Op

ANYTHING = True
"""Needs nothing that a fact could say."""


def needed(facts: Facts, op: Op, block: str) -> Fact | None:
    """What must be true for a condition to hold; None where anything goes."""
    match op.fields:
        case ("new",):
            return ("new", block)
        case ("you", relation, room):
            return ("at" if relation == "in" else "elsewhere", room)
        case ("Deeds", relation, deed):
            return ("deed" if relation == "done" else "undone", deed)
        case (name, "carried"):
            return ("carried", name)
        case (name, "not carried"):
            return ("free", name)
        case (name, "here"):
            return ("near", name)
        case (name, "in", place) if name in facts.places:
            return ("place", name, place)
        case (name, "not in", place) if name in facts.places:
            return ("out", name, place)
        case (name, "is", state):
            return ("is", name, state)
        case (name, "is not", state):
            return ("isnt", name, state)
    return None


def against(facts: Facts, op: Op, block: str, room: str, nouns: list[str]) -> Fact | bool | None:
    """What must be true for a condition to fail; ANYTHING: it easily does, None: it never does.

    room: where the command is given, if it can be given there alone; nouns: what is at hand then.
    """
    match op.fields:
        case ("new",):
            return ("old", block)
        case ("you", relation, place) if room:
            return ANYTHING if (place == room) != (relation == "in") else None
        case (name, "here"):
            return None if name in nouns else ANYTHING
        case (subject, relation, *rest):
            plain = relation.removeprefix("not ").removesuffix(" not")
            if plain == relation:
                plain = "is not" if relation == "is" else f"not {relation}"
            failing = needed(facts, Op("if", (subject, plain, *rest)), block)
            return ANYTHING if failing is None else failing
    return ANYTHING


class Gates:
    """Rules in the way of commands. derived: facts that follow from any of several others."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.derived: dict[Fact, list[Fact]] = {}

    def usual(self, line: str, room: str) -> list[Fact] | None:
        """What lets a command do what it always does; None: its rules never let it."""
        found = list[Fact]()
        for j in range(len(self.facts.branches.get(line, ()))):
            passing = self.past(line, j, room)
            if passing is None:
                return None
            found += passing
        return found

    def past(self, key: str, j: int, room: str) -> list[Fact] | None:
        """What makes the j-th rule of a command leave it to those after it; None: nothing does."""
        block, nouns = key + " or" * j, key.split("|")[1:]
        options = list[Fact]()
        for need, refusal in self.facts.branches[key][j].needs:
            fact = None if refusal else against(self.facts, need, block, room, nouns)
            if fact is ANYTHING:
                return []
            if isinstance(fact, tuple):
                options.append(fact)
        if len(options) > 1:
            either: Fact = ("past", key, str(j), room)
            self.derived[either] = options
            return [either]
        return options or None

    def scope(self, key: str, j: int) -> tuple[str, tuple[str, ...]]:
        """The room that a rule holds in, empty for any, and what must be at hand."""
        needs = [need for need, _ in self.facts.branches[key][j].needs]
        where = next((op.fields[2] for op in needs if op.fields[:2] == (YOU, "in")), "")
        return where, tuple(op.fields[0] for op in needs if op.fields[1:] == ("here",))
