"""Things, people and doors of a random world, as tables of its pack. Knows no map and no rules."""

from __future__ import annotations

from typing import Any

from adventure.world.random_prose import Prose
from adventure.world.words import DOORS, KEYS, THINGS

Table = dict[str, Any]
_STATES = """
asleep awake bent blocked boiling broken burning clean cold cracked damp dim dirty dry dull empty
flooded frozen full half-full hot humming jammed knotted lit loose lowered mended oiled painted
polished quiet raised ringing ruined rusty sealed shaking silent smoking soaked spinning straight
stuck swinging tied tight torn upright warm wet whole wound
""".split()


class Parts:
    """Makes what is to be found in the rooms. things: those made to be found, keys among them."""

    def __init__(self, prose: Prose, rooms: list[str]) -> None:
        self.rng, self.names, self.prose, self.rooms = prose.rng, prose.names, prose, rooms
        self.things: list[Table] = []

    def add_thing(self, nouns: list[str] = THINGS) -> Table:
        """Any thing, in a room, on the player, or in what was made before it."""
        holders = [t["name"] for t in self.things if t.get("container") or t.get("supporter")]
        thing = self._thing(nouns, holders)
        self.things.append(thing)
        return thing

    def _thing(self, nouns: list[str], holders: list[str]) -> Table:
        rng = self.rng
        thing: Table = {"name": self.names.name(nouns), "description": self.prose.text()}
        roll = rng.random()
        if roll < 0.2:
            thing["fixed"] = True
        elif roll < 0.35:
            thing["treasure"] = True
        kind = rng.random()
        if kind < 0.1:
            thing |= {"container": True, "openable": rng.random() < 0.7}
            if thing["openable"]:
                thing["open"] = rng.random() < 0.5
                keys = [t["name"] for t in self.things if not t.get("fixed")]
                if keys and rng.random() < 0.4:
                    thing |= {"key": rng.choice(keys), "locked": rng.random() < 0.7}
                    thing["open"] = thing["open"] and not thing["locked"]
        elif kind < 0.16:
            thing["supporter"] = True
        elif kind < 0.22:
            thing["wearable"] = True
        elif kind < 0.28:
            thing["edible" if rng.random() < 0.6 else "drinkable"] = True
        elif kind < 0.34:
            thing |= {"switch": True, "on": rng.random() < 0.5}
        elif kind < 0.5:
            count = rng.choice((2, 2, 3))
            drawn = (self.prose.stock.draw(_STATES) for _ in range(count))
            thing["states"] = tuple(dict.fromkeys(drawn))
        if rng.random() < 0.1:
            thing["text"] = self.prose.text()
        if holders and rng.random() < 0.3:
            thing["in"] = rng.choice(holders)
        elif not thing.get("fixed") and rng.random() < 0.12:
            thing["in"] = "worn" if thing.get("wearable") and rng.random() < 0.5 else "you"
        else:
            thing["in"] = rng.choice(self.rooms)
        return thing

    def add_lamp(self) -> Table:
        """Something that gives light; it is in nothing and nothing else."""
        rng, lamp = self.rng, self._thing(THINGS, [])
        lamp |= {"light": True, "switch": rng.random() < 0.8, "on": rng.random() < 0.3}
        for key in (
            *("container", "openable", "open", "locked", "key", "states", "fixed"),
            *("wearable", "edible"),
        ):
            lamp.pop(key, None)
        lamp["on"] = lamp["on"] or not lamp["switch"]
        self.things.append(lamp)
        return lamp

    def person(self) -> Table:
        """Somebody, who may have much to say, and may walk about."""
        rng, names = self.rng, self.names
        proper = rng.random() < 0.5
        name = names.name(THINGS, proper) if rng.random() < 0.3 else names.person(proper)
        person: Table = {"name": name, "description": self.prose.text()}
        person["in"] = rng.choice(self.rooms)
        count = rng.choice((0, 1, 2, 3))
        person["topics"] = {names.topic(): self.prose.text() for _ in range(count)}
        if rng.random() < 0.5:
            person["other"] = self.prose.text()
        if rng.random() < 0.5:
            person["talk"] = self.prose.text()
        if rng.random() < 0.3 and len(self.rooms) > 1:
            stops = min(len(self.rooms), rng.randint(2, 3))
            person["route"] = tuple(rng.sample(self.rooms, stops))
            person["every"] = rng.randint(1, 5)
        return person

    def hand_out(self, people: list[Table]) -> None:
        """Some of the things are somebody's."""
        for thing in self.things:
            if people and self.rng.random() < 0.06 and not thing.get("fixed"):
                thing["in"] = self.rng.choice(people)["name"]

    def door(self, at: str, direction: str, to: str) -> Table:
        """A door, perhaps with a lock, whose key is one thing more."""
        rng = self.rng
        door: Table = {
            "name": self.names.name(DOORS),
            "description": self.prose.text(),
            "from": at,
            "direction": direction,
            "to": to,
        }
        roll = rng.random()
        if roll < 0.75:
            key = self.add_thing(KEYS if rng.random() < 0.7 else THINGS)
            key.pop("fixed", None)
            door |= {"locked": roll < 0.6, "key": key["name"]}
        if not door.get("locked"):
            door["open"] = rng.random() < 0.3
        return door
