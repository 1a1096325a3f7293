"""States of play as facts: tuples of words, each of which is true or not. Knows no command.

at ROOM, elsewhere ROOM, see ROOM, place X WHERE, out X WHERE, carried X, free X, loose X (put down
where no rule asks for it), is X STATE, isnt X STATE, near X, handy X (near, and it can be seen),
way KEY ROOM, deed D, undone D, new BLOCK, old BLOCK, clock NAME, game HOW, fired BLOCK NUMBER.
What follows from others isn't among the facts of a state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from adventure.world.compile import branches_of
from adventure.world.parts import NOWHERE, WORN, YOU, Door, Thing, World
from adventure.world.prompt import Records
from adventure.world.script import Op

Fact = tuple[str, ...]


class Facts:
    """What can be said of a world's states; places: where each thing and person can ever be."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.branches = branches_of(world)
        self.things = {thing.name: thing for thing in world.things}
        self.people = {person.name: person for person in world.people}
        self.doors = {door.name: door for door in world.doors}
        self.rooms = {room.name: room for room in world.rooms}
        self.movable = {thing.name: thing.in_ for thing in world.things}
        self.movable |= {person.name: person.in_ for person in world.people}
        self.places = {name: {place} for name, place in self.movable.items()}
        self.asked: dict[str, dict[str, None]] = {name: {} for name in self.movable}
        """Where conditions ask each thing to be, or not to be; in order, for searches go by it."""
        self._rooms_asked: dict[str, None] = {}
        self._deeds_asked: dict[str, None] = {}
        for op in self._ops():
            self._mention(op)
        for name, thing in self.things.items():
            self.places[name] |= {p for p in self.asked[name] if p in self.rooms or self.holds(p)}
            if thing.wearable:
                self.places[name].add(WORN)
            if thing.edible or thing.drinkable:
                self.places[name].add(NOWHERE)
        self.fresh = tuple(
            key + " or" * j
            for key, several in self.branches.items()
            for j, branch in enumerate(several)
            if any(need.fields == ("new",) for need, _ in branch.needs)
        )
        """Blocks that remember whether they have been followed."""
        self.ways = self._ways()

    def _ops(self) -> Iterator[Op]:
        for branch in (b for several in self.branches.values() for b in several):
            yield from (need for need, _ in branch.needs)
            yield from (*branch.before, *branch.body)

    def _mention(self, op: Op) -> None:
        match op.fields:
            case ("you", "in" | "not in", room):
                self._rooms_asked[room] = None
            case ("Deeds", _, deed):
                self._deeds_asked[deed] = None
            case (name, "in" | "not in", place) if name in self.places:
                self.asked[name][place] = None
            case (name, "moves to", place) if name in self.places:
                self.places[name].add(place)

    def _ways(self) -> dict[str, set[str]]:
        """Key of a way without a door -> the rooms that it can ever lead to."""
        made: dict[str, set[str]] = defaultdict(set)
        for op in self._ops():
            if op.what == "so" and op.fields[1:2] == ("leads to",):
                made[op.fields[0]].add(op.fields[2])
        for (room, direction), (target, door) in self.world.ways.items():
            if door is None:
                made[f"{room} {direction}"].add(target)
        return made

    def holds(self, name: str) -> bool:
        """Whether things can be put in or on it."""
        thing = self.things.get(name)
        return bool(thing and (thing.container or thing.supporter))

    def of(self, records: Records) -> Iterator[Fact]:
        """What is true in a state of play."""
        at = records["At"][0]
        yield ("at", at)
        yield from self.away(at)
        for name in self.movable:
            place, state = records[name][0], records[name][-1]
            if place not in self.places[name]:
                yield ("loose", name)
            yield from self.placed(name, place)
            if name in self.things:
                yield from self.states(name, state)
        for name in self.doors:
            yield from self.states(name, records[name][-1])
        deeds = records["Deeds"]
        yield from (("deed", deed) for deed in deeds)
        yield from (("undone", deed) for deed in self._deeds_asked if deed not in deeds)
        yield from (("clock", item.rpartition(" ")[0]) for item in records["Clocks"])
        yield ("game", records["Game"][0])
        yield from (("way", key, records[key][0]) for key in self.ways if records.get(key))
        for block in self.fresh:
            yield (records[f"{block.replace('|', ' ')} was"][0], block)

    def away(self, at: str) -> Iterator[Fact]:
        """Rooms that a player in another one isn't in, where conditions ask."""
        yield from (("elsewhere", room) for room in self._rooms_asked if room != at)

    def placed(self, name: str, place: str) -> Iterator[Fact]:
        """What is true of a thing that is at a place."""
        yield ("place", name, place)
        yield ("carried" if place in (YOU, WORN) else "free", name)
        yield from (("out", name, other) for other in self.asked[name] if other != place)

    def states(self, name: str, state: str) -> Iterator[Fact]:
        """What is true of a thing that is in a state."""
        yield ("is", name, state)
        yield from (("isnt", name, other) for other in self._states(name) if other != state)

    def _states(self, name: str) -> tuple[str, ...]:
        part = self.world.by_name.get(name)
        if isinstance(part, Thing) and part.states:
            return part.states
        lockable = isinstance(part, Door) or (isinstance(part, Thing) and part.openable)
        return ("open", "closed", "locked") if lockable else ("on", "off")
