"""The exact rules: (world, records, canonical command) -> what a perfect master would write.

Knows worlds and records, no network and no player's typing. The state of play is the records
themselves, so the referee can start from any set of them, the master's own included.

Each verb first recalls the records that the command depends on, then writes those that change; the
reply follows. That order is what the network learns, so it is part of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from adventure.world.parts import World
from adventure.world.prompt import Records, initial_records, one_line, record_line, room_view

LOCK_STATES = ("open", "closed", "locked")


@dataclass
class Outcome:
    """One turn: the new records, the hidden lines, the visible reply (raw, each line begins with a
    space), and a kind for statistics: the verb, or `verb: refusal`."""

    records: Records
    lines: list[str]
    reply: str
    kind: str

    @property
    def refused(self) -> bool:
        """Whether the world stayed as it was because the command couldn't be carried out."""
        return ":" in self.kind


@dataclass
class _Turn:
    world: World
    records: Records
    lines: list[str] = field(default_factory=list)

    def recall(self, key: str) -> tuple[str, ...]:
        """Say a record as it is and use it."""
        items = self.records.get(key, ())
        self.lines.append(record_line(key, items))
        return items

    def write(self, key: str, items: tuple[str, ...]) -> None:
        """Say a record as it will be from now on."""
        self.records[key] = items
        self.lines.append(record_line(key, items))

    def one(self, key: str) -> str:
        """Recall a record of one item; a missing one reads as nothing."""
        items = self.recall(key)
        return items[0] if items else ""

    def here(self, name: str) -> tuple[str, str]:
        """Recall what is at hand: (room, where `name` is: 'room', 'carried' or '')."""
        room = self.one("At")
        if name in self.recall(f"{room} holds"):
            return room, "room"
        return room, "carried" if name in self.recall("You carry") else ""


def start(world: World) -> Records:
    """The records before the first turn."""
    return initial_records(world)


def play(world: World, records: Records, line: str) -> Outcome:
    """Carry out one canonical command. Raises ValueError for a verb that there isn't."""
    verb, _, rest = line.partition(" ")
    rule = RULES.get(verb)
    if rule is None:
        raise ValueError(f"{line!r} is not a canonical command")
    turn = _Turn(world, dict(records))
    reply, refusal = rule(turn, rest)
    return Outcome(turn.records, turn.lines, reply, f"{verb}: {refusal}" if refusal else verb)


def _view(turn: _Turn, room: str, things: tuple[str, ...]) -> str:
    lines = room_view(turn.world, room)
    if things:
        lines.append(f" You see: {', '.join(things)}.")
    return "\n".join(lines)


def _absent(name: str) -> str:
    return f" You can't see any {name} here."


def _look(turn: _Turn, _: str) -> tuple[str, str]:
    room = turn.one("At")
    return _view(turn, room, turn.recall(f"{room} holds")), ""


def _go(turn: _Turn, direction: str) -> tuple[str, str]:
    room = turn.one("At")
    way = turn.recall(f"{room} {direction}")
    if not way:
        return " You can't go that way.", "no exit"
    target = way[0]
    if len(way) == 2:
        door = way[0]
        state = turn.one(door)
        if state != "open":
            return f" The {door} is {state}.", state
        target = turn.one(f"{door} {direction}")
    turn.write("At", (target,))
    return _view(turn, target, turn.recall(f"{target} holds")), ""


def _examine(turn: _Turn, name: str) -> tuple[str, str]:
    state = turn.one(name)
    if not turn.here(name)[1]:
        return _absent(name), "absent"
    turn.lines.append(f" {name}")
    part = next(p for p in turn.world.nouns if p.name == name)
    prose = f" {one_line(part.description)}"
    return (f"{prose}\n It is {state}." if state in LOCK_STATES else prose), ""


def _take(turn: _Turn, name: str) -> tuple[str, str]:
    kind = turn.one(name)
    room, where = turn.here(name)
    if where == "carried":
        return f" You already have the {name}.", "carried"
    if not where:
        return _absent(name), "absent"
    if kind not in ("portable", "treasure"):
        return f" You can't take the {name}.", "fixed"
    turn.write(f"{room} holds", tuple(t for t in turn.records[f"{room} holds"] if t != name))
    turn.write("You carry", (*turn.records.get("You carry", ()), name))
    if kind == "portable":
        return f" You take the {name}.", ""
    turn.write(name, ("portable",))
    turn.write("Treasures found", (*turn.records.get("Treasures found", ()), name))
    return f" You take the {name}. A treasure found!", ""


def _drop(turn: _Turn, name: str) -> tuple[str, str]:
    carried = turn.recall("You carry")
    if name not in carried:
        return f" You don't have the {name}.", "not carried"
    turn.write("You carry", tuple(t for t in carried if t != name))
    room = turn.one("At")
    turn.write(f"{room} holds", (*turn.records.get(f"{room} holds", ()), name))
    if turn.one(f"{room} awaits") != name:
        return f" You put down the {name}.", ""
    turn.write("Game", ("won",))
    turn.lines.append(" The End")
    return f" {one_line(turn.world.ending.text)}", ""


def _inventory(turn: _Turn, _: str) -> tuple[str, str]:
    return record_line("You carry", turn.records.get("You carry", ())), ""


def _score(turn: _Turn, _: str) -> tuple[str, str]:
    return record_line("Treasures found", turn.records.get("Treasures found", ())), ""


def _wait(turn: _Turn, _: str) -> tuple[str, str]:
    return " Time passes.", ""


def _open(turn: _Turn, name: str) -> tuple[str, str]:
    state = turn.one(name)
    if not turn.here(name)[1]:
        return _absent(name), "absent"
    if state == "locked":
        return f" The {name} is locked.", "locked"
    if state == "open":
        return f" The {name} is already open.", "already"
    if state != "closed":
        return f" You can't open the {name}.", "not a door"
    turn.write(name, ("open",))
    return f" You open the {name}.", ""


def _close(turn: _Turn, name: str) -> tuple[str, str]:
    state = turn.one(name)
    if not turn.here(name)[1]:
        return _absent(name), "absent"
    if state in ("closed", "locked"):
        return f" The {name} is already closed.", "already"
    if state != "open":
        return f" You can't close the {name}.", "not a door"
    turn.write(name, ("closed",))
    return f" You close the {name}.", ""


def _turn_key(turn: _Turn, rest: str, verb: str) -> tuple[str, str]:
    name, _, key = rest.partition(" with ")
    before, after = ("locked", "closed") if verb == "unlock" else ("closed", "locked")
    state = turn.one(name)
    room = turn.one("At")
    here = name in turn.recall(f"{room} holds")
    carried = turn.recall("You carry")
    if not here and name not in carried:
        return _absent(name), "absent"
    if state not in LOCK_STATES:
        return f" You can't {verb} the {name}.", "not a door"
    if key not in carried:
        return f" You don't have the {key}.", "no key"
    if state == "open" and verb == "lock":
        return f" The {name} is open.", "open"
    if state != before:
        return f" The {name} is {'not' if verb == 'unlock' else 'already'} locked.", "already"
    if turn.one(f"{name} key") != key:
        return f" The {key} doesn't fit the {name}.", "wrong key"
    turn.write(name, (after,))
    return f" You {verb} the {name} with the {key}.", ""


def _unlock(turn: _Turn, rest: str) -> tuple[str, str]:
    return _turn_key(turn, rest, "unlock")


def _lock(turn: _Turn, rest: str) -> tuple[str, str]:
    return _turn_key(turn, rest, "lock")


RULES: dict[str, Callable[[_Turn, str], tuple[str, str]]] = {
    "look": _look,
    "go": _go,
    "examine": _examine,
    "take": _take,
    "drop": _drop,
    "inventory": _inventory,
    "score": _score,
    "wait": _wait,
    "open": _open,
    "close": _close,
    "unlock": _unlock,
    "lock": _lock,
}
