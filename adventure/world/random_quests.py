"""Quests of a random world: deeds that build on one another, as authors' do. Knows no network."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from adventure.world.parts import DIRECTIONS
from adventure.world.random_parts import Table

if TYPE_CHECKING:
    from adventure.world.random_rules import Rules

_WORK = "pull push turn lift touch rub shake ring knock squeeze climb hit use cut".split()
_PEEK = "search search lift examine touch shake dig".split()


class Quests:
    """Makes chains of rules for what is in a pack; each step may need the one before it."""

    def __init__(self, rules: Rules) -> None:
        self.rules, self.rng, self.prose = rules, rules.rng, rules.prose
        self.table, self.parts, self.rooms = rules.table, rules.parts, rules.rooms
        self._before = ""
        """A condition that holds once the step before is done; empty at the beginning."""
        self._used = set[str]()

    def chain(self, steps: int) -> list[Table]:
        """Rules of so many steps; the last one may end the game."""
        self._before = ""
        kinds: tuple[Callable[[], list[Table]], ...] = (
            *(self._machine, self._machine, self._find, self._find, self._gift, self._secret),
            *(self._way, self._alarm, self._sure, self._loot, self._lock, self._spring),
        )
        found = list[Table]()
        for _ in range(steps):
            found += self.rng.choice(kinds)()
        if self.rng.random() < 0.4 and found:
            last = found[-1]
            last["then"] = (
                *last.get("then", ()),
                f"game {self.rng.choice(('won', 'won', 'lost'))}",
            )
        return found

    # -- steps

    def _machine(self) -> list[Table]:
        """Something is worked, and changes; from then on it tells that it is so already."""
        thing = self._stateful()
        states, room = thing["states"], thing["in"]
        do = f"{self.rng.choice(_WORK)}|{thing['name']}"
        rule = self._step(do, [f"{thing['name']} is {states[0]}"], [])
        rule["then"] = (f"{thing['name']} becomes {states[1]}", *rule["then"])
        if room in self.rooms and self.rng.random() < 0.3:
            rule["in"] = room
        self._before = self.rng.choice((self._before, f"{thing['name']} is {states[1]}"))
        again: Table = {"when": do, "say": self.prose.text()}
        if len(states) > 2 and self.rng.random() < 0.5:
            again |= {"needs": (f"{thing['name']} is {states[1]}",)}
            again |= {"then": (f"{thing['name']} becomes {states[2]}",)}
        elif self.rng.random() < 0.4:
            again |= {"then": (f"{thing['name']} becomes {states[0]}",)}
        return [rule, again] if self.rng.random() < 0.7 else [rule]

    def _find(self) -> list[Table]:
        """Searching one thing brings another to light, once."""
        hidden, place = self._movable(), self._any_thing()
        if hidden is None or place["name"] == hidden["name"]:
            return []
        hidden["in"] = "nowhere"
        to = self.rng.choice((self.rng.choice(self.rooms), "you", "you"))
        do = f"{self.rng.choice(_PEEK)}|{place['name']}"
        rule = self._step(do, [f"{hidden['name']} in nowhere"], [f"{hidden['name']} moves to {to}"])
        if self.rng.random() < 0.4:  # by any verb one might think of
            other = f"{self.rng.choice(_PEEK)}|{place['name']}"
            return [rule, {**rule, "when": other}] if other != do else [rule]
        return [rule]

    def _gift(self) -> list[Table]:
        """Somebody wants something, and gives something for it."""
        if not self.table["people"]:
            return self._machine()
        person, gift, reward = self._person(), self._movable(), self._movable()
        if gift is None:
            return []
        then = [f"{gift['name']} moves to {self.rng.choice((person['name'], 'nowhere'))}"]
        if reward is not None and reward["name"] != gift["name"]:
            if not reward.get("light") and self.rng.random() < 0.7:
                reward["in"] = person["name"]
            then.append(f"{reward['name']} moves to you")
        return [
            self._step(f"give|{gift['name']}|{person['name']}", [f"{gift['name']} carried"], then)
        ]

    def _secret(self) -> list[Table]:
        """Somebody says more than before once something is done, or shows a thing they hold."""
        if not self.table["people"]:
            return self._find()
        person = self._person()
        topics = [topic.partition(",")[0] for topic in person["topics"]]
        topic = self.rng.choice(topics or [self.rules.names.topic()])
        held = [t["name"] for t in self.table["things"] if t["in"] == person["name"]]
        then = [f"{self.rng.choice(held)} moves to you"] if held else []
        do = f"ask|{person['name']}|{topic}"
        return [self._step(self.rng.choice((do, do, f"talk|{person['name']}")), [], then)]

    def _way(self) -> list[Table]:
        """A way opens that wasn't there, or leads elsewhere from now on."""
        do = f"{self.rng.choice(_WORK)}|{self._any_thing()['name']}"
        room = self.rng.choice(self.table["rooms"])
        taken = [*room["exits"], *self.rules.doors_of(room["name"])]
        free = [d for d in DIRECTIONS[:10] if d not in taken] or ["down"]
        way = self.rng.choice(free if self.rng.random() < 0.75 else [*room["exits"]] or free)
        to = self.rng.choice([name for name in self.rooms if name != room["name"]] or self.rooms)
        rule = self._step(do, [], [f"{room['name']} {way} leads to {to}"])
        if self.rng.random() < 0.3:
            rule["then"] = (*rule["then"], f"you go to {to}")
        if self.rng.random() < 0.6:
            rule |= {"once": True, "again": self.prose.text() if self.rng.random() < 0.5 else ""}
        return [rule]

    def _alarm(self) -> list[Table]:
        """Something starts a clock; in time, something else stops it."""
        clock = self.rules.add_clock(running=False)
        name = clock["name"]
        start = f"{self.rng.choice(_WORK)}|{self._any_thing()['name']}"
        stop = f"{self.rng.choice(_WORK)}|{self._any_thing()['name']}"
        turns = self.rng.choice((clock["turns"], self.rng.randint(2, 9)))
        found = [self._step(start, [], [f"clock {name} {turns}"])]
        if stop != start:
            found.append(self._step(stop, [], [f"clock {name} off"]))
        return found

    def _sure(self) -> list[Table]:
        """A confirmation: the first time a warning, the second time it is done."""
        things = [t for t in self.table["things"] if t.get("switch") or t.get("edible")]
        thing = self.rng.choice(things) if things else self._any_thing()
        verb = "off" if thing.get("switch") else "eat" if thing.get("edible") else "hit"
        do, needs = f"{verb}|{thing['name']}", list[str]()
        if thing.get("switch"):
            needs = [f"{thing['name']} is on"]
        warning: Table = {"when": do, "needs": tuple(needs), "once": True, "say": self.prose.text()}
        if self.rng.random() < 0.4:
            return [warning]
        effects = [f"{thing['name']} becomes off"] if thing.get("switch") else []
        return [warning, self._step(do, needs, effects)]

    def _loot(self) -> list[Table]:
        """Taking something is a deed, and told in words of its own."""
        thing = self._movable()
        if thing is None:
            return []
        do, name = f"take|{thing['name']}", thing["name"]
        rule = self._step(do, [f"{name} not carried"], [f"{name} moves to you"])
        if self.rng.random() < 0.5:
            rule |= {"once": True, "again": ""}
        return [rule]

    def _lock(self) -> list[Table]:
        """Words, a blow or a tool open what is shut."""
        shut = [t["name"] for t in self.table["things"] if t.get("openable")]
        shut += [door["name"] for door in self.table["doors"]]
        if not shut:
            return self._machine()
        name = self.rng.choice(shut)
        do = f"{self.rng.choice(('knock', 'push', 'hit', 'open', 'pull'))}|{name}"
        return [self._step(do, [f"{name} is not open"], [f"{name} becomes open"])]

    def _spring(self) -> list[Table]:
        """A switch sets something else going: another switch, or a thing that has states."""
        switches = [t for t in self.table["things"] if t.get("switch")]
        if not switches:
            return self._machine()
        first, thing = self.rng.choice(switches), self._stateful()
        verb = self.rng.choice(("on", "on", "off"))
        rule = self._step(f"{verb}|{first['name']}", [f"{first['name']} is not {verb}"], [])
        state = self.rng.choice(thing["states"])
        changes = (f"{first['name']} becomes {verb}", f"{thing['name']} becomes {state}")
        rule["then"] = (*changes, *rule["then"])
        return [rule]

    # -- what they are made of

    def _step(self, do: str, needs: list[str], then: list[str]) -> Table:
        """A rule that may need the step before, and is told apart by a deed most often."""
        rng = self.rng
        asked = dict.fromkeys(needs, "")
        if self._before and rng.random() < 0.7:
            asked = {self._before: self.prose.text() if rng.random() < 0.7 else "", **asked}
        if rng.random() < 0.2:
            thing = self._any_thing()["name"]
            asked[f"{thing} {rng.choice(('carried', 'here'))}"] = self.prose.text()
        effects = [*then]
        if rng.random() < 0.7:
            deed = self.rules.new_deed()
            effects.append(f"deed {deed}")
            self._before = f"{deed} done"
        told = {text: said for text, said in asked.items() if said}
        plain: tuple[str, ...] | dict[str, str] = asked if told else tuple(asked)
        return {"when": do, "needs": plain, "then": tuple(effects), "say": self.prose.say()}

    def _stateful(self) -> Table:
        """A thing with states; one more thing gets some if there is no other."""
        things = [t for t in self.table["things"] if t.get("states")]
        fresh = [t for t in things if t["name"] not in self._used]
        if fresh or (things and self.rng.random() < 0.5):
            thing: Table = self.rng.choice(fresh or things)
        else:
            thing = self.parts.plain()
            thing |= {"fixed": True, "states": self.parts.states()}
            if thing["in"] in ("you", "worn"):
                thing["in"] = self.rng.choice(self.rooms)
        self._used.add(thing["name"])
        return thing

    def _movable(self) -> Table | None:
        things = [t for t in self.table["things"] if not t.get("fixed")]
        fresh = [t for t in things if t["name"] not in self._used and not t.get("light")]
        if not fresh:
            return None
        thing: Table = self.rng.choice(fresh)
        self._used.add(thing["name"])
        return thing

    def _any_thing(self) -> Table:
        thing: Table = self.rng.choice(self.table["things"])
        return thing

    def _person(self) -> Table:
        person: Table = self.rng.choice(self.table["people"])
        return person
