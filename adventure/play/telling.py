"""Records -> words that a player may hear: of what hasn't been seen, no name is said.

Knows a world, what a player has seen, and whoever reads records out; no network. A reader may make
a record up: what makes no sense in this world is an answer of no worth.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from adventure.play import phrases, readings
from adventure.play.known import Known
from adventure.world.lexicon import the
from adventure.world.parts import NOWHERE, WORN, YOU, Door, Person, Thing, World
from adventure.world.thing_faults import LOCK, states_of

Read = Callable[[str], Sequence[str]]
"""The items of the record under a key. Raises ValueError where it gives none that can be read."""


Kind = Literal["part", "inside", "room", "exits", "place", "carried", "here"]


@dataclass(frozen=True)
class Asked:
    """What a question is about. name: of a room for "room" and "exits", of a thing or a person for
    "part" (where and how it is) and "inside" (what is in or on it, or with them)."""

    kind: Kind
    name: str = ""


@dataclass(frozen=True)
class Teller:
    """Says records in words. dark: whether nothing can be seen where the player is."""

    world: World
    known: Known
    dark: bool

    def tell(self, asked: Asked, read: Read) -> str:
        """A sentence or two. Raises ValueError for records that make no sense."""
        match asked.kind:
            case "part":
                return self._part(asked.name, read(asked.name))
            case "inside":
                return self._inside(asked.name, read(f"{asked.name} holds"))
            case "room":
                return self._holds(asked.name, read)
            case "exits":
                return self._exits(asked.name, read)
            case "carried":
                return self._list("You carry", read("You carry")) or "You carry nothing."
        room = self._room_of(read("At")[:1])
        named = room in self.known.rooms and not self._spoken(room)
        where = f"You are here: {room}." if named else f"You are {self._in(room)}."
        if asked.kind == "place" or room not in self.known.rooms:
            return where
        return f"{where} {'It is too dark to see.' if self.dark else self._here(room, read)}"

    # -- things, doors, people, scenery ------------------------------------------------------------

    def _part(self, name: str, items: Sequence[str]) -> str:
        part, known = self.world.by_name.get(name), self.known
        if isinstance(part, Thing):
            told = len(items) == 1 + len(part.traits) + bool(part.state)
            if not told or (part.state and items[-1] not in states_of(part)):
                raise ValueError(f"{items} of a thing")
            lit = part.light and not part.states
            now = {"on": "lit", "off": "not lit"}.get(items[-1], "") if lit else items[-1]
            state = f" {'They are' if part.plural else 'It is'} {now}." if part.state else ""
            return f"{self._place(part, items[0])}{state}"
        if isinstance(part, Person):
            return self._place(part, items[0] if items else "")
        door = isinstance(part, Door)
        rooms = [self._room_of([item]) for item in items[: 2 if door else -1]]
        met = [room for room in rooms if room in known.rooms]
        rest = tuple(items[len(rooms) :])
        well = rest in {("door", state) for state in LOCK} if door else rest == ("scenery",)
        if not met or not well:
            raise ValueError(f"{items} of a door or scenery")
        if not door:  # "can be": whether a name of scenery is a plural nobody knows
            return f"{_capital(the(name))} can be seen {self._at(met)}."
        where = f"between {self._the(met[0])} and {self._the(met[1])}" if met[1:] else self._at(met)
        return f"{self._is(name)} {where}. It is {items[-1]}."

    def _place(self, part: Thing | Person, place: str) -> str:
        """Where something is."""
        name, holder = part.name, self.world.by_name.get(place)
        if place == YOU:
            return f"You have {the(name)}."
        if place == WORN:
            return f"You are wearing {the(name)}."
        if place == NOWHERE:
            return f"{self._is(name)} nowhere to be found."
        if not isinstance(holder, Thing | Person):
            return f"{self._is(name)} {self._in(self._room_of([place]))}."
        if holder.name not in self.known.seen:
            return f"{self._is(name)} somewhere that you haven't looked."
        if isinstance(holder, Person):
            return f"{_capital(the(holder.name))} has {the(name)}."
        return f"{self._is(name)} {_preposition(holder)} {the(holder.name)}."

    def _is(self, name: str) -> str:
        """The beginning of a sentence about a part."""
        verb = "are" if getattr(self.world.by_name.get(name), "plural", False) else "is"
        return f"{_capital(the(name))} {verb}"

    def _inside(self, name: str, items: Sequence[str]) -> str:
        holder = self.world.by_name[name]
        person = isinstance(holder, Person)
        head = "With" if person else _preposition(holder).capitalize()
        nothing = f"Nothing that you have seen is {head.lower()} {the(name)}."
        return self._list(f"{head} {the(name)}", items) or nothing

    # -- rooms -------------------------------------------------------------------------------------

    def _room_of(self, items: Sequence[str]) -> str:
        """The one room that is named. Raises ValueError where it isn't one."""
        for name in items:
            if any(room.name == name for room in self.world.rooms):
                return name
        raise ValueError(f"{items}, wanted a room")

    def _spoken(self, room: str) -> bool:
        """Whether the author's prose gives the room's name an article."""
        texts = (self.world.intro, *(part.description for part in self.world.parts))
        phrase = f"the {room.lower()}"
        return any(phrases.mentions(text.lower(), phrase) for text in texts)

    def _the(self, room: str) -> str:
        return f"the {room}" if self._spoken(room) else room

    def _in(self, room: str) -> str:
        seen = room in self.known.rooms
        return self._at([room]) if seen else "somewhere that you haven't been"

    def _at(self, rooms: Sequence[str]) -> str:
        """Where that is; a name without an article needs a form that can do without one."""
        names = " and ".join(map(self._the, rooms))
        return f"in {names}" if all(map(self._spoken, rooms)) else f"there: {names}"

    def _here(self, room: str, read: Read) -> str:
        return self._list("Here", read(f"{room} holds")) or "There is nothing here."

    def _holds(self, room: str, read: Read) -> str:
        if room not in self.known.lit:
            return f"It was too dark to see what is {self._in(room)}."
        nothing = f"Nothing that you have seen is {self._in(room)}."
        head = _capital(self._in(room)) if self._spoken(room) else room
        return self._list(head, read(f"{room} holds")) or nothing

    def _exits(self, room: str, read: Read) -> str:
        if room not in self.known.lit:
            return f"It was too dark to see the exits of {self._the(room)}."
        ways = [self._way(room, direction, read) for direction in read(f"{room} exits")]
        return f"Exits of {self._the(room)}: {', '.join(ways) or 'none'}."

    def _way(self, room: str, direction: str, read: Read) -> str:
        """A direction, and where it leads as far as that has been seen."""
        if (room, direction) not in self.world.ways and not self._made(room, direction):
            raise ValueError(f"no way {direction} from {room}")
        target = [*read(f"{room} {direction}"), ""][0]
        door = isinstance(self.world.by_name.get(target), Door)
        if door and target in self.known.seen:
            return f"{direction} (through {the(target)})"
        return f"{direction} (to {self._the(target)})" if target in self.known.rooms else direction

    def _made(self, room: str, direction: str) -> bool:
        return f"{room} {direction}" in self.world.ways_made

    # -- lists -------------------------------------------------------------------------------------

    def _list(self, head: str, items: Sequence[str]) -> str:
        """What of a list has been seen; empty where that is nothing."""
        named = {readings.bare(item): item for item in items}
        forms = {form for name in named for form in (name, f"{name} (lit)", f"{name} (worn)")}
        if len(named) < len(items) or not named.keys() <= self.world.names.keys():
            raise ValueError(f"{items}, wanted names, each of them once")
        if not forms.issuperset(items):
            raise ValueError(f"{items}, wanted no remarks but lit and worn")
        told = [item for name, item in named.items() if name in self.known.seen]
        return f"{head}: {', '.join(told)}." if told else ""


def _preposition(holder: object) -> str:
    return "on" if getattr(holder, "supporter", False) else "in"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
