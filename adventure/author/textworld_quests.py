"""TextWorld's quests -> deeds and clocks: what is to be so when a game is won or lost.

A quest is done when its facts hold, whatever made them so; a clock looks after every turn.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from adventure.author.textworld_facts import (
    ALWAYS,
    LOCK_STATES,
    PACK,
    PLACES,
    PLAYER,
    Facts,
    read_facts,
)
from adventure.author.textworld_words import Names, letters
from adventure.errors import PackError
from adventure.world.parts import NOWHERE

_WON = "All that was asked of you is done, and the game with it."


class Quests:
    """Fills deeds and clocks; left_out: a sentence on each thing that has no like in a world."""

    def __init__(self, facts: Facts, names: Names, title: str) -> None:
        self.facts, self.names, self.title = facts, names, title
        self.left_out: list[str] = []
        self.deeds: dict[str, int] = {}
        self.clocks: list[dict[str, Any]] = []

    def read(self, quests: list[Mapping[str, Any]]) -> None:
        """A clock for each event of each quest; where several are to be done, one for the end."""
        wanted = sum(bool(q["win_events"]) and not q.get("optional") for q in quests)
        done = []
        for quest in quests:
            deed = self._deed(quest)
            wins = [self._needs(event) for event in quest["win_events"]]
            found = [needs for needs in wins if needs is not None]
            if wins and not found and not quest.get("optional"):
                raise PackError(
                    f"{self.title} can't be brought over: nothing in a world says when its quest "
                    f"{deed!r} is done."
                )
            if found and len(found) < len(wins):
                self.left_out.append(f"A way to do the quest {deed!r} is left out.")
            ends = wanted == 1 and not quest.get("optional")
            for needs in found:
                then, say = [f"deed {deed}"], "That is done."
                self.deeds[deed] = max(0, int(quest.get("reward") or 0))
                if ends:
                    self._clock(needs, [*then, "game won"], _WON)
                else:
                    self._clock([f"{deed} not done", *needs], then, say)
            if found and not quest.get("optional"):
                done.append(f"{deed} done")
            if quest.get("repeatable"):
                self.left_out.append(f"The quest {deed!r} counts once, not again and again.")
            self._failing(quest, deed)
        if wanted > 1:
            self._clock(done, ["game won"], _WON)

    def _failing(self, quest: Mapping[str, Any], deed: str) -> None:
        for event in quest["fail_events"]:
            needs = self._needs(event)
            if needs is None:
                self.left_out.append(f"A way to fail the quest {deed!r} is left out.")
            else:
                self._clock(needs, ["game lost"], "That can't be undone now: you have failed.")

    def _clock(self, needs: list[str], then: list[str], say: str) -> None:
        """Something that is looked at after every turn."""
        name = f"quest-{letters(len(self.clocks))}"
        self.clocks.append(
            {"name": name, "turns": 1, "running": True, "every": True, "needs": needs}
            | {"then": then, "say": say}
        )

    def _deed(self, quest: Mapping[str, Any]) -> str:
        """What a quest is called: its last command."""
        commands = quest.get("commands") or [""]
        words = re.split(" (?:in|on|with) ", self.names.translated(commands[-1])[0])[0].split()
        deed = " ".join(re.findall(r"[a-z][a-z'-]*", " ".join(words))) or "do what was asked"
        while deed in self.deeds:
            deed += " again"
        return deed

    def _needs(self, event: Mapping[str, Any]) -> list[str] | None:
        """The facts of an event as conditions; None where one has no like."""
        needs = []
        for name, args in read_facts(event["condition"]["preconditions"]):
            if name in ALWAYS and not (name == "free" and args in self.facts.linked):
                continue
            need = self._need(name, args)
            if need is None:
                return None
            needs += [need] if need else []
        return list(dict.fromkeys(needs))

    def _need(self, name: str, args: tuple[str, ...]) -> str | None:
        """One fact as a condition; empty for what is always so."""
        if name == "free":
            return f"{self.names[self.facts.linked[args[0], args[1]]]} is open"
        if name == "at" and args[0] == PLAYER:
            return f"you in {self.names[args[1]]}"
        if any(arg not in self.names and arg != PACK for arg in args):
            return None
        if name in LOCK_STATES:
            return f"{self.names[args[0]]} is {name}"
        if name == "eaten":
            return f"{self.names[args[0]]} in {NOWHERE}"
        if name not in PLACES:
            return None
        if args[1] == PACK:
            return f"{self.names[args[0]]} carried"
        kind = self.facts.types[args[0]]
        return "" if kind in ("c", "s") else f"{self.names[args[0]]} in {self.names[args[1]]}"
