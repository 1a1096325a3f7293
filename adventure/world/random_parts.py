"""Things, people and doors of a random world, as tables of its pack. Knows no map and no rules."""

from __future__ import annotations

from typing import Any

from adventure.world.random_prose import Prose
from adventure.world.words import DOORS, KEYS, KITS, MEALS, STANDS, THINGS

Table = dict[str, Any]
MANY = 14
"""Rooms from which on a world is brief, so that its text stays within what a segment can learn."""
_STATES = """
asleep awake bent blocked boiling broken burning clean cold cracked damp dim dirty dry dull empty
flooded frozen full half-full hot humming jammed knotted lit loose lowered mended oiled painted
polished quiet raised ringing ruined rusty sealed shaking silent smoking soaked spinning straight
stuck swinging tied tight torn upright warm wet whole wound
""".split()
_STATEFUL = "openable open locked key states".split()


class Parts:
    """Makes what is to be found in the rooms. things: those made to be found, keys among them."""

    def __init__(self, prose: Prose, rooms: list[str]) -> None:
        self.rng, self.names, self.prose, self.rooms = prose.rng, prose.names, prose, rooms
        self.things: list[Table] = []
        self._nested = self.rng.choice((0.2, 0.3, 0.5))
        """How many of the things are in or on another, where there is one to be in."""

    def add_thing(self, nouns: list[str] = THINGS) -> Table:
        """Any thing, in a room, on the player, or in what was made before it."""
        thing = self._house_thing() if self.names.house and nouns is THINGS else self._thing(nouns)
        self.things.append(thing)
        return thing

    def _thing(self, nouns: list[str]) -> Table:
        rng = self.rng
        thing: Table = {"name": self.names.name(nouns), "description": self.prose.text()}
        roll = rng.random()
        if roll < 0.2:
            thing["fixed"] = True
        elif roll < 0.38:
            thing["treasure"] = True
        kind = rng.random()
        if kind < 0.12:
            self._contain(thing)
        elif kind < 0.18:
            thing["supporter"] = True
        elif kind < 0.27:
            thing["wearable"] = True
        elif kind < 0.33:
            thing["edible" if rng.random() < 0.6 else "drinkable"] = True
        elif kind < 0.42:
            thing |= {"switch": True, "on": rng.random() < 0.5}
        elif kind < 0.56:
            thing["states"] = self.states()
        if rng.random() < 0.1:
            thing["text"] = self.prose.text()
        return self._placed(thing)

    def _house_thing(self) -> Table:
        """A box with its own key, something to put things on, food, or whatever."""
        rng, roll = self.rng, self.rng.random()
        nouns = KITS if roll < 0.2 else STANDS if roll < 0.45 else MEALS if roll < 0.65 else THINGS
        if nouns is THINGS:
            return self._thing(nouns)
        thing: Table = {"name": self.names.name(nouns), "description": self.prose.text()}
        if nouns is KITS:
            self._contain(thing)
            thing["fixed"] = rng.random() < 0.7
        elif nouns is STANDS:
            thing |= {"supporter": True, "fixed": True}
        else:
            thing["edible"] = True
        return self._placed(thing)

    def _contain(self, thing: Table) -> None:
        """Make a container of it, perhaps with a lid, a lock and a key."""
        rng = self.rng
        thing |= {"container": True, "openable": rng.random() < 0.75}
        if not thing["openable"]:
            return
        thing["open"] = rng.random() < 0.4
        if rng.random() < 0.35:
            keys = [
                t["name"] for t in self.things if not t.get("fixed") and t["name"] != thing["name"]
            ]
            if rng.random() < (0.8 if self.names.house else 0.5) or not keys:
                keys = [self.add_key(thing["name"])["name"]]
            thing |= {"key": rng.choice(keys), "locked": rng.random() < 0.7}
            thing["open"] = thing["open"] and not thing["locked"]

    def add_key(self, owner: str) -> Table:
        """A key, named after what it opens now and then."""
        alike = self.rng.random() < (0.8 if self.names.house else 0.3)
        name = self.names.like(owner, KEYS) if alike else self.names.name(KEYS)
        key = self._placed({"name": name, "description": self.prose.text()})
        self.things.append(key)
        return key

    def _placed(self, thing: Table) -> Table:
        """Give it a place: in what was made before it, on the player, or in a room."""
        rng = self.rng
        holders = [t["name"] for t in self.things if t.get("container") or t.get("supporter")]
        if holders and rng.random() < self._nested:
            thing["in"] = rng.choice(holders)
        elif not thing.get("fixed") and rng.random() < 0.12:
            thing["in"] = "worn" if thing.get("wearable") and rng.random() < 0.5 else "you"
        else:
            thing["in"] = rng.choice(self.rooms)
        return thing

    def states(self) -> tuple[str, ...]:
        """Two or three words for how a thing may be."""
        while True:
            count = self.rng.choice((2, 2, 3))
            drawn = tuple(dict.fromkeys(self.prose.stock.draw(_STATES) for _ in range(count)))
            if len(drawn) > 1:
                return drawn

    def add_lamp(self) -> Table:
        """Something that gives light; it is in nothing and nothing else."""
        rng, lamp = self.rng, self._thing(THINGS)
        lamp |= {"light": True, "switch": rng.random() < 0.85, "on": rng.random() < 0.3}
        for key in (*_STATEFUL, "container", "fixed", "wearable", "edible"):
            lamp.pop(key, None)
        lamp["on"] = lamp["on"] or not lamp["switch"]
        if lamp["in"] not in (*self.rooms, "you"):
            lamp["in"] = rng.choice((*self.rooms, "you"))
        self.things.append(lamp)
        return lamp

    def complete(self) -> None:
        """Make sure of what training needs often: switches, clothes, boxes with things in them."""
        rng = self.rng
        for key, share in (("switch", 0.9), ("wearable", 0.5), ("container", 0.75)):
            if not any(thing.get(key) for thing in self.things) and rng.random() < share:
                thing = self.plain()
                if key == "container":
                    self._contain(thing)
                    self._placed_inside(thing["name"])
                else:
                    thing |= {key: True} | ({"on": rng.random() < 0.5} if key == "switch" else {})

        boxes = [t["name"] for t in self.things if t.get("container")]
        treasures = [t for t in self.things if t.get("treasure") and not t.get("light")]
        treasures = [t for t in treasures if t["in"] in self.rooms]
        treasures = [t for t in treasures if not (t.get("container") or t.get("supporter"))]
        if boxes and treasures and rng.random() < 0.6:
            rng.choice(treasures)["in"] = rng.choice(boxes)

    def plain(self) -> Table:
        """A thing with nothing particular to it: one more."""
        thing: Table = {"name": self.names.name(THINGS), "description": self.prose.text()}
        self.things.append(self._placed(thing))
        return thing

    def _placed_inside(self, box: str) -> None:
        """Put one or two of the things into it."""
        loose = [t for t in self.things if t["in"] in self.rooms and not t.get("light")]
        loose = [t for t in loose if t["name"] != box and not t.get("fixed")]
        if loose and box in [t["name"] for t in self.things if t["in"] in self.rooms]:
            for thing in self.rng.sample(loose, min(len(loose), self.rng.randint(1, 2))):
                thing["in"] = box

    def person(self) -> Table:
        """Somebody, who may have much to say, and may walk about."""
        rng, names = self.rng, self.names
        proper = rng.random() < 0.5
        name = names.name(THINGS, proper) if rng.random() < 0.2 else names.person(proper)
        person: Table = {"name": name, "description": self.prose.text()}
        person["in"] = rng.choice(self.rooms)
        count = rng.choice((0, 1, 2, 3) if len(self.rooms) > MANY else (0, 0, 1, 1, 2, 3, 4, 6, 8))
        person["topics"] = {names.topic(): self.prose.text() for _ in range(count)}
        if rng.random() < 0.5:
            person["other"] = self.prose.text()
        if rng.random() < 0.4:
            person["talk"] = self.prose.text()
        if rng.random() < 0.4 and len(self.rooms) > 1:
            stops = min(len(self.rooms), rng.choice((2, 2, 3, 3, 4, 4, 5, 6, 8)))
            others = [room for room in self.rooms if room != person["in"]]
            route = [person["in"], *rng.sample(others, stops - 1)]
            at = rng.randrange(stops)  # somebody may begin in the middle of a route
            person["route"] = (*route[at:], *route[:at])
            person["every"] = rng.choice((1, 2, 2, 3, 3, 4, 5))
        return person

    def hand_out(self, people: list[Table]) -> None:
        """Some of the things are somebody's."""
        if not people:
            return
        for thing in self.things:
            if self.rng.random() < 0.1 and not thing.get("fixed"):
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
        if roll < 0.7:
            key = self.add_key(door["name"]) if rng.random() < 0.7 else self.add_thing()
            key.pop("fixed", None)
            door |= {"locked": roll < 0.55, "key": key["name"]}
        if not door.get("locked"):
            door["open"] = rng.random() < 0.3
        return door
