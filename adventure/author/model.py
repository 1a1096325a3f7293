"""A world as operators: what each command, clock and place needs and brings about, in facts.

Nothing that an operator ends is noted: relax.py asks what could ever come about. Where the rules of
the game are finer than a fact can say, the operator needs less than they do. Knows no search.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from adventure.author.facts import Fact, Facts
from adventure.author.gates import Gates, needed
from adventure.world.parts import NOWHERE, WORN, YOU, Door, Thing, World
from adventure.world.script import Op


@dataclass(frozen=True)
class Operator:
    """line: what is typed, `wait` for a clock; free: it takes no command of its own, or is a walk.

    where: the room that it must be done in; near: what must be at hand; source: the key of a
    rule's block, and its branch.
    """

    line: str
    needs: tuple[Fact, ...]
    adds: tuple[Fact, ...]
    free: bool = False
    where: str = ""
    near: tuple[str, ...] = ()
    source: tuple[str, int] | None = None


class Model:
    """All operators of a world, and the facts of any state of it."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.facts = Facts(world)
        self.gates = Gates(self.facts)
        self.operators: list[Operator] = []
        self._sight()
        self._moves()
        for name in self.facts.movable:
            self._at_hand(name)
        for door in world.doors:
            for room in (door.from_, door.to):
                self._derive([("at", room)], ("near", door.name))
                self._derive([("see", room)], ("handy", door.name))
            self._locks(door)
        for name, rooms in world.scenery.items():
            for room in rooms:
                self._derive([("at", room)], ("near", name))
        for thing in world.things:
            self._hands(thing)
        for key, several in self.facts.branches.items():
            for j in range(len(several)):
                self._rule(key, j)
        for either, options in self.gates.derived.items():
            for option in options:
                self._derive([option], either)

    def _derive(self, needs: Iterable[Fact], *adds: Fact) -> None:
        self.operators.append(Operator("", tuple(needs), adds, free=True))

    def _command(
        self, line: str, needs: Iterable[Fact], adds: Iterable[Fact], room: str = ""
    ) -> None:
        """What a command always does, unless a rule stands in its way."""
        passing = self.gates.usual(line, room)
        if passing is not None:
            near = tuple(n for n in line.split("|")[1:] if n in self.world.names)
            needs, adds = (*needs, *passing), tuple(adds)
            self.operators.append(Operator(line, needs, adds, where=room, near=near))

    # -- places

    def _sight(self) -> None:
        """Where one can see, and where one isn't."""
        for room in self.facts.rooms.values():
            here: Fact = ("at", room.name)
            self._derive([here], *self.facts.away(room.name))
            if not room.dark:
                self._derive([here], ("see", room.name))
                continue
            for name in (t.name for t in self.world.things if t.light):
                lit: Fact = ("is", name, "on")
                self._derive([here, lit, ("carried", name)], ("see", room.name))
                self._derive([here, lit, ("place", name, room.name)], ("see", room.name))

    def _moves(self) -> None:
        ways: list[tuple[str, str, Fact]] = [
            (key, target, ("way", key, target))
            for key, targets in self.facts.ways.items()
            for target in sorted(targets)
        ]
        for (room, direction), (target, door) in self.world.ways.items():
            if door:
                ways.append((f"{room} {direction}", target, ("is", door, "open")))
        for key, target, way in ways:
            room, _, direction = key.rpartition(" ")
            passing = self.gates.usual(f"go|{direction}", room)
            if passing is not None:
                self._derive([("at", room), way, *passing], ("at", target))

    def _at_hand(self, name: str) -> None:
        """When a thing or a person can be reached, and when it can be seen as well."""
        both: tuple[Fact, Fact] = (("near", name), ("handy", name))
        self._derive([("carried", name)], *both)
        self._derive([("loose", name)], *both)
        for place in sorted(self.facts.places[name]):
            here: Fact = ("place", name, place)
            if place in self.facts.rooms:
                self._derive([here, ("at", place)], ("near", name))
                self._derive([here, ("see", place)], ("handy", name))
            elif place in self.facts.movable:
                self._derive([here, ("near", place), *self._shut(place)], ("near", name))
                self._derive([here, ("handy", place), *self._shut(place)], ("handy", name))

    def _shut(self, holder: str) -> list[Fact]:
        """What must be true of a holder for one to reach in."""
        thing = self.facts.things.get(holder)
        return [("is", holder, "open")] if thing and thing.openable else []

    # -- hands

    def _locks(self, part: Door | Thing) -> None:
        name = part.name
        handy: Fact = ("handy", name)

        def turn(line: str, before: str, after: str, *more: Fact) -> None:
            needs = [handy, ("is", name, before), *more]
            self._command(line, needs, self.facts.states(name, after))

        turn(f"open|{name}", "closed", "open")
        turn(f"close|{name}", "open", "closed")
        if part.key:
            carried: Fact = ("carried", part.key)
            turn(f"unlock|{name}|{part.key}", "locked", "closed", carried)
            turn(f"lock|{name}|{part.key}", "closed", "locked", carried)

    def _hands(self, thing: Thing) -> None:
        name, facts = thing.name, self.facts
        carried, handy, near = ("carried", name), ("handy", name), ("near", name)
        if thing.openable:
            self._locks(thing)
        if thing.switch:  # in the dark, too
            for before, after in (("off", "on"), ("on", "off")):
                needs = [near, ("is", name, before)]
                self._command(f"{after}|{name}", needs, facts.states(name, after))
        if thing.edible:
            self._command(f"eat|{name}", [handy], facts.placed(name, NOWHERE))
        if thing.drinkable:
            self._command(f"drink|{name}", [handy], facts.placed(name, NOWHERE))
        if thing.wearable:
            worn: Fact = ("place", name, WORN)
            self._command(f"wear|{name}", [carried], facts.placed(name, WORN))
            self._command(f"remove|{name}", [worn], facts.placed(name, YOU))
        if not thing.fixed:
            self._take(thing)
            self._let_go(name)

    def _take(self, thing: Thing) -> None:
        name = thing.name
        mine = [*self.facts.placed(name, YOU), *([("deed", name)] if thing.treasure else [])]
        self._command(f"take|{name}", [("loose", name)], mine)
        for place in sorted(self.facts.places[name]):
            here: Fact = ("place", name, place)
            if place in self.facts.rooms:
                self._command(f"take|{name}", [here, ("see", place)], mine, place)
            elif self.facts.holds(place):
                self._command(f"take|{name}", [here, ("handy", place), *self._shut(place)], mine)

    def _let_go(self, name: str) -> None:
        carried: Fact = ("carried", name)
        for place in sorted(self.facts.asked[name]):
            there = self.facts.placed(name, place)
            if place in self.facts.rooms:
                self._command(f"drop|{name}", [carried, ("at", place)], there, place)
            elif self.facts.holds(place):
                needs = [carried, ("handy", place), *self._shut(place)]
                self._command(f"put|{name}|{place}", needs, there)
        anywhere: tuple[Fact, ...] = (("free", name), ("loose", name))
        anywhere += (("out", name, YOU), ("out", name, WORN))
        self.operators.append(Operator(f"drop|{name}", (carried,), anywhere))

    # -- rules

    def _rule(self, key: str, j: int) -> None:
        """What the j-th rule of a command does, or a clock, or the first visit to a room."""
        verb, noun = key.split("|")[0], key.partition("|")[2]
        branch, block = self.facts.branches[key][j], key + " or" * j
        where, near = self.gates.scope(key, j)
        needs = [f for op, _ in branch.needs if (f := needed(self.facts, op, block))]
        if verb in ("clock", "arrive"):
            needs.append(("clock" if verb == "clock" else "at", noun))
        for i in range(j):
            passing = self.gates.past(key, i, where)
            needs += [("shadowed", key, str(i))] if passing is None else passing
        adds = [fact for op in branch.body for fact in self._effect(op, block)]
        if branch.before:  # a clock that is wound again, whatever else comes of it
            wound = [fact for op in branch.before for fact in self._effect(op, block)]
            self._derive([("clock", noun)], *wound)
        self.operators.append(
            Operator(
                line="wait" if verb == "clock" else key,
                needs=tuple(dict.fromkeys(needs)),
                adds=(*adds, ("fired", key, str(j))),
                free=verb == "arrive",
                where=where,
                near=near,
                source=(key, j),
            )
        )

    def _effect(self, op: Op, block: str) -> Iterator[Fact]:
        if op.what != "so":
            return
        match op.fields:
            case ("new", *_):
                yield ("old", block)
            case (name, "becomes", state):
                yield from self.facts.states(name, state)
            case (name, "moves to", place):
                yield from self.facts.placed(name, place)
            case (way, "leads to", room, *_):
                yield ("way", way, room)
            case (_, "go to", room, *_):
                yield ("at", room)
            case ("deed", deed):
                yield ("deed", deed)
            case ("clock", name, turns) if turns != "off":
                yield ("clock", name)
            case ("game", how):
                yield ("game", how)


def model_of(world: World) -> Model:
    """A world's model, made once."""
    if "_model" not in world.__dict__:
        world.__dict__["_model"] = Model(world)
    made: Model = world.__dict__["_model"]
    return made
