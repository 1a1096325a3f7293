"""Rules and clocks of a random world: whatever the format can say. Knows no map and no network."""

from __future__ import annotations

from collections.abc import Sequence

from adventure.world.parts import DIRECTIONS
from adventure.world.random_parts import Table
from adventure.world.random_prose import Prose
from adventure.world.verbs import ALOUD, ANSWERED, VERBS
from adventure.world.words import COMMON, STUFF

_HANDS = [verb.name for verb in VERBS if verb.name not in ANSWERED and not verb.topic]
_BARE = (*ALOUD, "listen", "smell", "wait", "look")
_OFTEN = (
    "take take drop examine examine open close on off eat drink wear read search talk touch"
).split()


class Rules:
    """Makes rules for what is in `table`, a pack that is finished but for them."""

    def __init__(self, prose: Prose, table: Table) -> None:
        self.rng, self.names, self.prose, self.table = prose.rng, prose.names, prose, table
        self.rooms: list[str] = [room["name"] for room in table["rooms"]]
        self.deeds = [self.names.deed() for _ in range(self.rng.randint(1, 5))]
        self.clocks: list[Table] = []

    def add(self) -> None:
        """Put clocks and rules into the table."""
        rng = self.rng
        drawn = [self._clock() for _ in range(rng.choice((0, 0, 0, 1, 2)))]
        clocks = list({clock["name"]: clock for clock in drawn}.values())
        self.clocks = clocks
        rules = list[Table]()
        for _ in range(rng.choice((0, 1, 2, 3, 4, 6, 8, 12))):
            rules.append(self._rule())
            while rng.random() < 0.3:
                rules.append(self._rule() | {"when": rules[-1]["when"]})
        rng.shuffle(rules)
        self.table |= {"clocks": clocks, "rules": rules}

    def _clock(self) -> Table:
        rng = self.rng
        clock: Table = {"name": self.prose.stock.draw(STUFF), "turns": rng.randint(2, 9)}
        if rng.random() < 0.15:
            clock["turns"] = rng.randint(10, 40)
        clock |= {"running": rng.random() < 0.6, "every": rng.random() < 0.4}
        clock["then"] = tuple(self._effect() for _ in range(rng.choice((0, 1))))
        if rng.random() < 0.4:
            clock["needs"] = tuple(self._condition() for _ in range(rng.choice((1, 1, 2))))
        if rng.random() < 0.8:
            clock["say"] = self.prose.text()
        return clock

    def _rule(self) -> Table:
        rng = self.rng
        nouns = [n["name"] for key in ("things", "doors", "people") for n in self.table[key]]
        do, where = self._doing(rng.choice(nouns), nouns)
        asked = list(dict.fromkeys(self._condition() for _ in range(rng.choice((0, 1, 1, 2, 3)))))
        needs: tuple[str, ...] | dict[str, str] = tuple(asked)
        if rng.random() < 0.5:
            needs = {text: self.prose.text() if rng.random() < 0.7 else "" for text in asked}
        effects = [self._effect() for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        rule: Table = {"when": do, "needs": needs, "then": tuple(effects)}
        rule["say"] = self.prose.text()
        if rng.random() < 0.4:
            rule["otherwise"] = self.prose.text()
        if where:
            rule["in"] = where
        if rng.random() < 0.25:
            rule["once"] = True
            rule["again"] = self.prose.text() if rng.random() < 0.5 else ""
        return rule

    def _doing(self, noun: str, nouns: Sequence[str]) -> tuple[str, str]:
        """What a rule answers, and the room that it holds for (empty: anywhere)."""
        rng = self.rng
        where = rng.choice(self.rooms) if rng.random() < 0.12 else ""
        roll = rng.random()
        if roll < 0.3:
            return f"{rng.choice(_HANDS)}|{noun}", where
        if roll < 0.42:
            return f"{rng.choice(('give', 'give', 'show'))}|{rng.choice(nouns)}|{noun}", where
        if roll < 0.5:
            return f"put|{rng.choice(nouns)}|{noun}", where
        if roll < 0.56:
            return rng.choice(_BARE), rng.choice(self.rooms) if rng.random() < 0.6 else ""
        if roll < 0.62:
            room = rng.choice(self.table["rooms"])
            return f"go|{rng.choice([*room['exits']] or DIRECTIONS[:4])}", room["name"]
        if roll < 0.72 and self.table["people"]:
            person = rng.choice(self.table["people"])
            topics = [*person["topics"], self.names.topic()]
            verb = rng.choice(("ask", "ask", "tell"))
            return f"{verb}|{person['name']}|{rng.choice(topics)}", where
        if roll < 0.76:
            own = " ".join(self.prose.stock.draw(COMMON) for _ in range(rng.choice((1, 1, 2))))
            return f"{own}|{noun}" if rng.random() < 0.8 else own, where
        if roll < 0.8:
            verb = rng.choice(("unlock", "tie", "turn", "hit", "rub"))
            return f"{verb}|{noun}|{rng.choice(nouns)}", where
        scenery = [name for room in self.table["rooms"] for name in room.get("scenery", {})]
        if scenery and rng.random() < 0.3:
            noun = rng.choice(scenery)
        return f"{rng.choice(_OFTEN)}|{noun}", where

    def _condition(self) -> str:
        rng = self.rng
        things, people = self.table["things"], self.table["people"]
        thing, roll = rng.choice(things)["name"], rng.random()
        room = rng.choice(self.rooms)
        stateful = [t["name"] for t in things if t.get("states") or t.get("openable")]
        stateful += [d["name"] for d in self.table["doors"]]
        stateful += [t["name"] for t in things if t.get("switch")]
        if roll < 0.08:
            return f"{rng.choice(self.deeds)} {rng.choice(('done', 'not done'))}"
        if roll < 0.3:
            somebody = [p["name"] for p in people] if rng.random() < 0.3 else []
            name = rng.choice(somebody or [thing])
            ways = ("carried", "carried", "not carried", "here", "not here")
            return f"{name} {rng.choice(('here', 'not here') if somebody else ways)}"
        if roll < 0.6 and stateful:
            name = rng.choice(stateful)
            known: Table = next((t for t in things if t["name"] == name), {})
            usual = ("on", "off") if known.get("switch") else ("open", "closed")
            state = rng.choice(known.get("states") or usual)
            return f"{name} is {rng.choice(('', '', 'not '))}{state}"
        if roll < 0.8:
            return f"you {rng.choice(('in', 'in', 'not in'))} {room}"
        return f"{thing} {rng.choice(('in', 'not in'))} {room}"

    def _effect(self) -> str:
        rng, rooms = self.rng, self.rooms
        stateful = [t for t in self.table["things"] if t.get("states")]
        shut = [t for t in self.table["things"] if t.get("openable")] + self.table["doors"]
        switched = [t for t in self.table["things"] if t.get("switch")]
        roll = rng.random()
        if roll < 0.2 and stateful:
            thing = rng.choice(stateful)
            return f"{thing['name']} becomes {rng.choice(thing['states'])}"
        if roll < 0.28 and shut:
            thing = rng.choice(shut)
            states = ("open", "closed", "locked") if thing.get("key") else ("open", "closed")
            return f"{thing['name']} becomes {rng.choice(states)}"
        if roll < 0.35 and switched:
            return f"{rng.choice(switched)['name']} becomes {rng.choice(('on', 'off'))}"
        if roll < 0.6:
            movable = [t["name"] for t in self.table["things"] if not t.get("fixed")]
            people = [p["name"] for p in self.table["people"]]
            name = rng.choice([*movable, *people])
            others = [] if name in people else ["you", "you", "nowhere"]
            return f"{name} moves to {rng.choice([*rooms, *others])}"
        if roll < 0.7:
            return f"{rng.choice(rooms)} {rng.choice(DIRECTIONS[:8])} leads to {rng.choice(rooms)}"
        if roll < 0.78:
            return f"you go to {rng.choice(rooms)}"
        if roll < 0.88:
            return f"deed {rng.choice(self.deeds)}"
        if roll < 0.96 and self.clocks:
            clock = rng.choice(self.clocks)
            turns = clock["turns"] if rng.random() < 0.5 else rng.randint(1, 9)
            return f"clock {clock['name']} {rng.choice((turns, turns, 'off'))}"
        if rng.random() < 0.2:
            return f"game {rng.choice(('won', 'lost'))}"
        return f"deed {rng.choice(self.deeds)}"
