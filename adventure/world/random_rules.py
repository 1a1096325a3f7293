"""Rules and clocks of a random world: whatever the format can say. Knows no map and no network."""

from __future__ import annotations

from collections.abc import Sequence

from adventure.world.parts import DIRECTIONS, OPPOSITE
from adventure.world.random_parts import MANY, Parts, Table
from adventure.world.random_prose import Prose
from adventure.world.random_quests import Quests
from adventure.world.random_tasks import Tasks
from adventure.world.verbs import ALOUD, ANSWERED, SHORT, VERBS
from adventure.world.words import COMMON

_HANDS = [verb.name for verb in VERBS if verb.name not in ANSWERED and not verb.topic]
_BARE = (*ALOUD, "listen", "smell", "wait", "look")
_OFTEN = (
    "take take drop examine examine open close on off eat drink wear read search talk touch"
).split()

_TASKS = 0.1
"""The share of worlds with tasks."""

_NO_VERBS = frozenset(
    (
        *"arrive clock if so say usual end that this these those it go".split(),
        *(verb.name for verb in VERBS),
        *(*DIRECTIONS, *SHORT),
    )
)


class Rules:
    """Makes rules for what is in `table`, a pack that is finished but for them."""

    def __init__(self, prose: Prose, table: Table, parts: Parts) -> None:
        self.rng, self.names, self.prose, self.table = prose.rng, prose.names, prose, table
        self.parts = parts
        self.rooms: list[str] = [room["name"] for room in table["rooms"]]
        self.deeds = [self.names.deed() for _ in range(self.rng.randint(1, 3))]
        self.clocks: list[Table] = []

    def add(self) -> None:
        """Put clocks, rules and the deeds that they speak of into the table."""
        rng = self.rng
        for _ in range(rng.choice((0, 0, 0, 1, 1, 2, 2, 3))):
            self.add_clock(running=rng.random() < 0.6)
        rules = list[Table]()
        for _ in range(rng.choice((0, 1, 2, 3) if len(self.rooms) > MANY else (0, 1, 2, 3, 4, 6))):
            rules.append(self._rule())
            while rng.random() < 0.25:
                rules.append(self._rule() | {"when": rules[-1]["when"]})
        rng.shuffle(rules)
        for clock in self.clocks:
            clock["then"] = tuple(self._effect() for _ in range(rng.choice((0, 1, 1, 2))))
            if rng.random() < 0.35:
                clock["needs"] = tuple(self._condition() for _ in range(rng.choice((1, 1, 2))))
        quests = Quests(self)
        chains = rng.choice((0, 0, 1, 1, 1, 2) if len(self.rooms) > 4 else (0, 0, 0, 1, 1))
        chained = [r for _ in range(chains) for r in quests.chain(rng.choice((1, 2, 3, 4)))]
        rules = [*chained, *rules] if rng.random() < 0.7 else [*rules, *chained]
        for clock in self.clocks:
            if not clock["then"] or rng.random() < 0.7:
                clock["say"] = self.prose.text()
        self.table |= {"clocks": self.clocks, "rules": rules}
        self.table["deeds"] = self._listed()
        if rng.random() < _TASKS:
            Tasks(self).add(rng.choice((1, 2, 3, 4, 6, 8)))

    def add_clock(self, running: bool) -> Table:
        """One more clock, whose effects are drawn when all clocks are known."""
        rng = self.rng
        turns = rng.randint(10, 40) if rng.random() < 0.15 else rng.randint(2, 9)
        clock: Table = {"name": self.names.clock(), "turns": turns, "then": ()}
        clock |= {"running": running, "every": rng.random() < 0.4}
        self.clocks.append(clock)
        return clock

    def new_deed(self) -> str:
        """One that nothing has done so far."""
        self.deeds.append(self.names.deed())
        return self.deeds[-1]

    def doors_of(self, room: str) -> list[str]:
        """Directions in which doors lead out of a room."""
        doors: list[Table] = self.table["doors"]
        out = [door["direction"] for door in doors if door["from"] == room]
        return out + [OPPOSITE[door["direction"]] for door in doors if door["to"] == room]

    def _listed(self) -> dict[str, int]:
        """Points of all deeds that are spoken of, and now and then of treasures."""
        spoken = list[str]()
        for part in (*self.table["rules"], *self.clocks):
            spoken += [*part.get("needs", ()), *part.get("then", ())]
        points = dict[str, int]()
        for deed in self.deeds:
            if any(text in (f"deed {deed}", f"{deed} done", f"{deed} not done") for text in spoken):
                points[deed] = self.rng.choice((1, 2, 5, 5, 10, 10, 20))
        for thing in self.table["things"]:
            if thing.get("treasure") and self.rng.random() < 0.2:
                points[thing["name"]] = self.rng.choice((1, 2, 5, 10))
        return points

    def _rule(self) -> Table:
        rng = self.rng
        nouns = [n["name"] for key in ("things", "doors", "people") for n in self.table[key]]
        do, where = self._doing(rng.choice(nouns), nouns)
        asked = list(dict.fromkeys(self._condition() for _ in range(rng.choice((0, 1, 1, 2, 3)))))
        needs: tuple[str, ...] | dict[str, str] = tuple(asked)
        if rng.random() < 0.5:
            needs = {text: self.prose.text() if rng.random() < 0.7 else "" for text in asked}
        effects = [self._effect() for _ in range(rng.choice((0, 1, 1, 2, 3)))]
        if rng.random() < 0.12:
            several = rng.sample(self.deeds, min(len(self.deeds), rng.choice((2, 2, 3))))
            effects += [f"deed {deed}" for deed in several]
            rng.shuffle(effects)
        rule: Table = {"when": do, "needs": needs, "then": tuple(effects), "say": self.prose.say()}
        silent = [text for text in asked if not isinstance(needs, dict) or not needs[text]]
        if silent and rng.random() < 0.5:
            rule["otherwise"] = self.prose.text()
        if where:
            rule["in"] = where
        if rng.random() < 0.3:
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
        if roll < 0.64:
            room = rng.choice(self.table["rooms"])
            return f"go|{rng.choice([*room['exits']] or DIRECTIONS[:4])}", room["name"]
        if roll < 0.72 and self.table["people"]:
            person = rng.choice(self.table["people"])
            topics = [*person["topics"], self.names.topic()]
            verb = rng.choice(("ask", "ask", "tell"))
            return f"{verb}|{person['name']}|{rng.choice(topics)}", where
        if roll < 0.76:
            own = self._own_verb()
            return f"{own}|{noun}" if rng.random() < 0.8 else own, where
        if roll < 0.8:
            verb = rng.choice(("unlock", "tie", "turn", "hit", "rub"))
            return f"{verb}|{noun}|{rng.choice(nouns)}", where
        scenery = [name for room in self.table["rooms"] for name in room.get("scenery", {})]
        if scenery and rng.random() < 0.3:
            noun = rng.choice(scenery)
        return f"{rng.choice(_OFTEN)}|{noun}", where

    def _own_verb(self) -> str:
        """A word or two that are no command so far and no heading of the game's own blocks."""
        while True:
            drawn = (self.prose.stock.draw(COMMON) for _ in range(self.rng.choice((1, 1, 2))))
            own = " ".join(drawn)
            if not {*own.split()} & _NO_VERBS:
                return own

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
            shut = ("open", "closed", "locked") if known.get("key") else ("open", "closed")
            usual = ("on", "off") if known.get("switch") else shut
            state = rng.choice(known.get("states") or usual)
            return f"{name} is {rng.choice(('', '', 'not '))}{state}"
        if roll < 0.8:
            return f"you {rng.choice(('in', 'in', 'not in'))} {room}"
        boxes = [t["name"] for t in things if t.get("container") or t.get("supporter")]
        boxes = [name for name in (*boxes, *(p["name"] for p in people)) if name != thing]
        where = rng.choice(boxes) if boxes and rng.random() < 0.5 else room
        return f"{thing} {rng.choice(('in', 'in', 'not in'))} {where}"

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
        if roll < 0.58:
            return self._move()
        if roll < 0.68:
            return f"{rng.choice(rooms)} {rng.choice(DIRECTIONS[:8])} leads to {rng.choice(rooms)}"
        if roll < 0.75:
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

    def _move(self) -> str:
        """Something goes to a room, to the player, out of the world, to somebody or into a box."""
        rng, things = self.rng, self.table["things"]
        people = [p["name"] for p in self.table["people"]]
        name = rng.choice([*(t["name"] for t in things if not t.get("fixed")), *people])
        if name in people:
            return f"{name} moves to {rng.choice(self.rooms)}"
        thing = next(t for t in things if t["name"] == name)
        boxes = [t["name"] for t in things if t.get("container") or t.get("supporter")]
        inside = not (thing.get("light") or name in boxes)  # nothing may come to be in itself
        others = [*people, *boxes] if inside and rng.random() < 0.4 else []
        return f"{name} moves to {rng.choice(others or [*self.rooms, 'you', 'you', 'nowhere'])}"
