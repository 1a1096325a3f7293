"""A game of TextWorld's, as its .json holds it -> a world's tables. Knows no file and no engine.

TextWorld (https://github.com/microsoft/TextWorld) keeps a game as facts, `at(c_0, r_1)`, and quests
as facts that win. Places, doors, locks and what lies where have their like in a world; a quest
becomes a clock that looks every turn whether its facts hold. What has none is left out, and said.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import NAMESPACE_URL, uuid5

from adventure.author.textworld_facts import ALWAYS, LOCK_STATES, PACK, PLACES, PLAYER, Facts
from adventure.author.textworld_quests import Quests
from adventure.author.textworld_words import Names, prose_of, sentences_within
from adventure.errors import PackError
from adventure.world.parts import NOWHERE, YOU

_KINDS = {"c": "container", "s": "supporter", "o": "", "k": "", "f": "", "t": ""}
_INTRO, _HINT = 1_100, 5
"""Characters of a first paragraph, commands of a hint."""


@dataclass
class Imported:
    """A world's tables, the commands that win it, and a sentence on each thing left out.

    names: TextWorld's identifiers -> names in the world.
    """

    table: dict[str, Any]
    walkthrough: list[str]
    left_out: list[str] = field(default_factory=list)
    names: dict[str, str] = field(default_factory=dict)


def world_of(game: Any, title: str, source: str = "the game") -> Imported:
    """Raises PackError where it isn't a game of TextWorld's, or one that can't be won here."""
    try:
        return _Import(game, title).result()
    except (KeyError, TypeError, AttributeError, IndexError, ValueError) as error:
        raise PackError(
            f"{source} isn't a game of TextWorld's ({type(error).__name__}: {error}); "
            "give the .json that tw-make wrote."
        ) from error


class _Import:
    def __init__(self, game: Any, title: str) -> None:
        self.game, self.title = game, title
        self.facts = Facts(game["world"])
        self.infos: dict[str, dict[str, Any]] = dict(game["infos"])
        self.types = self.facts.types
        self.names = Names({i: (t, self.infos[i].get("name") or i) for i, t in self.types.items()})
        self.left_out: list[str] = []

    def result(self) -> Imported:
        """All tables, in the order of a world.toml."""
        facts = Counter(name for name, _ in self.facts.all)
        known = (*PLACES, *LOCK_STATES, *ALWAYS)
        for name in sorted(facts.keys() - set(known)):
            many = f" ({facts[name]} times)" if facts[name] > 1 else ""
            self.left_out.append(f"The fact {name!r} has no like in a world and is left out{many}.")
        (start,) = (args[1] for args in self.facts.args("at") if args[0] == PLAYER)
        rooms, doors, things = self._rooms(), self._doors(), self._things()
        things += self._lost_key([*doors, *things])
        quests = Quests(self.facts, self.names, self.title)
        quests.read(self.game["quests"])
        self.left_out += quests.left_out
        if not quests.deeds:
            raise PackError(f"{self.title} has no quest that can be won; give another game.")
        walkthrough = self._walkthrough()
        said = str(self.game["metadata"].get("uuid") or self.game)
        table: dict[str, Any] = {
            "format": 1,
            "ifid": str(uuid5(NAMESPACE_URL, said)).upper(),
            "title": self.title,
            "author": "TextWorld",
            "headline": "An imported game",
            "genre": "Puzzle",
            "description": "A game that TextWorld made, brought over with all that is in it.",
            "language": "en",
            "intro": sentences_within(str(self.game.get("objective") or ""), _INTRO)
            or "There is something to be done here. Look around, and see what it is.",
            "start": self.names[start],
            "hints": _hints(walkthrough),
            "deeds": quests.deeds,
            "rooms": rooms,
            "doors": doors,
            "things": things,
            "rules": [_eating(thing["name"]) for thing in things if thing.get("edible")],
            "clocks": quests.clocks,
        }
        return Imported(
            {key: value for key, value in table.items() if value != []},
            walkthrough,
            list(dict.fromkeys(self.left_out)),
            dict(self.names),
        )

    # -- what there is

    def _rooms(self) -> list[dict[str, Any]]:
        linked, free = self.facts.linked, set(self.facts.args("free"))
        tables = []
        for room in self.facts.of("r"):
            exits, said = {}, []
            for (here, way), there in self.facts.ways().items():
                door = linked.get((here, there))
                if here != room or (door is None and (here, there) not in free):
                    continue
                said.append(
                    f"the {self.names[door]} is to the {way}" if door else f"a way leads {way}"
                )
                if door is None:
                    exits[way] = self.names[there]
            prose = prose_of(self.infos[room].get("desc"), first_only=True)
            prose = prose or f"This is the {self.names[room].lower()}."
            ways = " and ".join((", ".join(said[:-1]), said[-1]) if said[:-1] else said)
            ways = ways or "there is no way out"
            prose = f"{prose} {ways[0].upper()}{ways[1:]}."
            table = {"name": self.names[room], "description": prose, "exits": exits}
            tables.append({key: value for key, value in table.items() if value != {}})
        return tables

    def _doors(self) -> list[dict[str, Any]]:
        ways, seen, tables = self.facts.ways(), set(), []
        for (here, there), door in self.facts.linked.items():
            way = next((w for (r, w), to in ways.items() if (r, to) == (here, there)), None)
            if door in seen or way is None:
                continue
            seen.add(door)
            between = {"from": self.names[here], "direction": way, "to": self.names[there]}
            tables.append({**self._noun(door), **between, **self._lock(door)})
        return tables

    def _things(self) -> list[dict[str, Any]]:
        tables = []
        places = {args[0]: args[1] for name, args in self.facts.all if name in PLACES}
        edible = {args[0] for args in self.facts.args("edible")}
        for thing in self.types:
            kind = self.types[thing]
            if kind in ("r", "d"):
                continue
            if thing not in places or (places[thing] != PACK and places[thing] not in self.names):
                self.left_out.append(f"Nothing says where {self.names[thing]!r} is: it is nowhere.")
            if kind not in _KINDS:
                what = f"What is of the type {kind!r} stays where it is, and does nothing"
                self.left_out.append(f"{what}: {self._all_of(kind)}.")
            place = places.get(thing, "")
            where = YOU if place == PACK else self.names.get(place, NOWHERE)
            table = {**self._noun(thing), "in": where}
            if kind not in ("o", "k", "f", "t"):
                table["fixed"] = True
            if _KINDS.get(kind):
                table[_KINDS[kind]] = True
            if kind == "f" or thing in edible:
                table["edible"] = True
            lock = self._lock(thing)
            if lock is not None and kind == "c":
                table |= {"openable": True, **lock}
            tables.append(table)
        return tables

    def _all_of(self, kind: str) -> str:
        return ", ".join(self.names[i] for i in self.facts.of(kind))

    def _noun(self, one: str) -> dict[str, Any]:
        name, info = self.names[one], self.infos[one]
        said = prose_of(info.get("desc")) or f"There is nothing more to be said of the {name}."
        table: dict[str, Any] = {"name": name, "description": said}
        if others := self.names.synonyms(one):
            table["synonyms"] = others
        return table

    def _lock(self, one: str) -> dict[str, Any]:
        """What a door or a container says of its lock; nothing for what has no lid."""
        states = self.facts.states(one)
        keys = [key for key, what in self.facts.args("match") if what == one]
        if len(keys) > 1:
            others = ", ".join(self.names[key] for key in keys[1:])
            what = f"{self.names[one]!r} has one key here, {self.names[keys[0]]!r}"
            self.left_out.append(f"{what}; what fitted it too no longer does: {others}.")
        table: dict[str, Any] = {}
        if "locked" in states:
            table["locked"] = True
        if "open" in states:
            table["open"] = True
        if keys:
            table["key"] = self.names[keys[0]]
        return table

    def _lost_key(self, tables: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """What TextWorld locks for ever has a key that nobody can find: a world asks for one."""
        shut = [t for t in tables if t.get("locked") and "key" not in t]
        if not shut:
            return []
        name = self.names.new("lost key")
        for table in shut:
            table["key"] = name
        locked = ", ".join(table["name"] for table in shut)
        self.left_out.append(f"No key is in the game for what is locked here: {locked}.")
        description = "Whoever turned it last has taken it away."
        return [{"name": name, "description": description, "in": NOWHERE}]

    def _walkthrough(self) -> list[str]:
        """The commands that win, in the words of the world."""
        commands = self.game["metadata"].get("walkthrough") or []
        if not commands:
            commands = [c for quest in self.game["quests"] for c in quest.get("commands") or []]
        found = []
        for command in commands:
            said, understood = self.names.translated(command)
            if not understood:
                self.left_out.append(f"The command {command!r} of the solution may not be known.")
            found.append(said)
        if not found:
            self.left_out.append("The game has no solution of its own, so there is none here.")
        return found


def _eating(name: str) -> dict[str, Any]:
    """In TextWorld one eats only what one holds."""
    return {
        "when": f"eat|{name}",
        "needs": {f"{name} carried": f"You would have to be holding the {name}."},
        "then": [f"{name} moves to {NOWHERE}"],
        "say": f"You eat the {name}.",
    }


def _hints(walkthrough: list[str]) -> list[str]:
    """The solution, a few commands at a time."""
    parts = [walkthrough[i : i + _HINT] for i in range(0, len(walkthrough), _HINT)]
    words = ["Begin with", *["Then"] * len(parts)]
    return [f"{w}: {', '.join(p).upper()}." for w, p in zip(words, parts, strict=False)]
