"""The records of a game in one world -> those of the same game in an edited one. Knows no network.

What play has changed stays as it is, where the edited world still has room for it; what play has
left alone is as the author has it now.
"""

from __future__ import annotations

import re
from collections import Counter

from adventure.world.compile import blocks_of, stage
from adventure.world.parts import NOWHERE, WORN, YOU, Thing, World
from adventure.world.prompt import Records, initial_records, listed, room_items

_LISTS = ("rooms", "doors", "things", "people", "rules", "clocks")
_LOCKS, _SWITCH = ("open", "closed", "locked"), ("on", "off")
_STAGES = re.compile(r"( or)+$")
_DEEPEST = 400  # as many things as a world may have


def carried_over(old: World, records: Records, new: World) -> Records:
    """Every record of the new world, with what the old game has made of it."""
    return _Carrying(old, records, new).result()


def parts_changed(old: World, new: World) -> int:
    """How many rooms, things, rules and so on, and settings of the whole, aren't as they were."""
    if old.digest == new.digest:
        return 0
    one, other = (
        world.model_dump(mode="json", by_alias=True, exclude={"name"}) for world in (old, new)
    )
    count = sum(one[key] != other[key] for key in one if key not in _LISTS)
    for key in _LISTS:
        before, after = (Counter(repr(part) for part in parts[key]) for parts in (one, other))
        count += max((before - after).total(), (after - before).total())
    return count


def _clock_of(item: str) -> str:
    """`tide or 4`, the second stage of a clock, -> `tide`."""
    return _STAGES.sub("", item.rpartition(" ")[0])


class _Carrying:
    def __init__(self, old: World, records: Records, new: World) -> None:
        self.old, self.new, self.records = old, new, records
        self.before, self.fresh = initial_records(old), initial_records(new)
        self.rooms = {room.name for room in new.rooms}
        holders = {t.name for t in new.things if t.container or t.supporter}
        people = {person.name for person in new.people}
        self.places = {YOU, WORN, NOWHERE, *self.rooms, *holders, *people}

    def result(self) -> Records:
        """All records, in the order of a new game."""
        made = dict(self.fresh)
        for key in self.fresh:
            if self._played(key) and key.endswith(" was"):
                made[key] = self.records[key]
        for part in (*self.new.doors, *self.new.things, *self.new.people):
            made[part.name] = self._part(part.name)
        self._untangle(made)
        for way in self.new.ways_made:
            self._open(way, made)
        made["Deeds"] = tuple(deed for deed in self.records["Deeds"] if self._is_deed(deed))
        made["Clocks"] = self._clocks()
        made["Game"] = self.records["Game"]
        room, *known = self.records["At"] or ("",)
        if room in self.rooms:
            items = room_items(self.new, room)
            made["At"] = tuple(i for i in items if i != "story" or i in known)
        for key in self.fresh:
            if key == "You carry":
                made[key] = self._listed(key, (YOU, WORN), made)
            elif key.endswith(" holds"):
                made[key] = self._listed(key, (key.removesuffix(" holds"),), made)
        return made

    def _played(self, key: str) -> bool:
        """Whether a record of the new world has been changed by playing the old one."""
        return key in self.records and self.records[key] != self.before.get(key)

    def _part(self, name: str) -> tuple[str, ...]:
        """A door's, thing's or person's record: new traits, the place and state that play made."""
        fresh, now, before = self.fresh[name], self.records.get(name), self.before.get(name)
        if not now or not before or ("door" in fresh) != ("door" in now):
            return fresh
        items = list(fresh)
        part = self.new.by_name[name]
        if now[0] in self.places and now[0] != before[0] and "door" not in fresh:
            items[0] = YOU if now[0] == WORN and "wearable" not in fresh else now[0]
        if "treasure" in fresh and "treasure" in before and "treasure" not in now:
            items[1] = "portable"
        possible = part.states if isinstance(part, Thing) else ()
        for states in (_LOCKS, _SWITCH):
            possible = states if not possible and fresh[-1] in states else possible
        if now[-1] != before[-1] and now[-1] in possible:
            items[-1] = now[-1]
        return tuple(items)

    def _untangle(self, made: Records) -> None:
        """What an edit and a game have put into each other goes back to where the author has it."""
        for thing in self.new.things:
            place, seen = made[thing.name][0], 0
            while place in made and seen < _DEEPEST:
                place, seen = made[place][0], seen + 1
            if seen == _DEEPEST:
                made[thing.name] = (thing.in_, *made[thing.name][1:])

    def _open(self, way: str, made: Records) -> None:
        """A way that a rule has opened in the old game is open in the new one."""
        room, _, direction = way.rpartition(" ")
        if self._played(way) and self.records[way] and self.records[way][0] in self.rooms:
            made[way] = room_items(self.new, self.records[way][0])
            key = f"{room} exits"
            if direction not in made[key]:
                made[key] = (*made[key], direction)

    def _is_deed(self, name: str) -> bool:
        part = self.new.by_name.get(name)
        ops = (op.fields for block in blocks_of(self.new).values() for op in block.ops)
        told = ("deed", name) in ops  # by a rule, whether it has points or not
        return told or name in self.new.deeds or (isinstance(part, Thing) and part.treasure)

    def _clocks(self) -> tuple[str, ...]:
        """Those that run, if they are still there, and new ones that run from the start."""
        known = {clock.name for clock in self.old.clocks}
        known |= {person.name for person in self.old.people if person.route}
        kept = [self._clock(item) for item in self.records["Clocks"]]
        new = (item for item in self.fresh["Clocks"] if _clock_of(item) not in known)
        return (*(item for item in kept if item), *new)

    def _clock(self, item: str) -> str:
        """A running clock as it stands; empty if it is gone, begun anew if it is shorter now."""
        if f"clock|{item.rpartition(' ')[0]}" in blocks_of(self.new):
            return item
        name = _clock_of(item)
        turns = next((clock.turns for clock in self.new.clocks if clock.name == name), 0)
        return " ".join(map(str, stage(name, turns))) if turns else ""

    def _listed(self, key: str, places: tuple[str, ...], made: Records) -> tuple[str, ...]:
        """What is at a place, in the order of the old list, then in that of the pack."""
        inside = {}
        for noun in (*self.new.doors, *self.new.people, *self.new.things):
            items = made[noun.name]
            if any(place in places for place in items[: 2 if "door" in items else 1]):
                inside[noun.name] = listed(
                    noun.name, items[0], "light" in items and items[-1] == "on"
                )
        old = [item.partition(" (")[0] for item in self.records.get(key, ())]
        order = [name for name in old if name in inside]
        return tuple(inside[name] for name in dict.fromkeys((*order, *inside)))
