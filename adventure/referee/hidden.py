"""What is done to records, and the hidden lines that say so. Knows no verb and no author's block.

Records recalled and written, and a line for each thing that will be told: all go through here, so
that what is said and what is so can't differ.
"""

from __future__ import annotations

from collections.abc import Callable

from adventure.referee.tables import tables_of
from adventure.world.parts import WORN, YOU, World
from adventure.world.prompt import NOTHING, Records, list_key, listed, record_line

Choose = Callable[[str, int], int]
"""Kind of reply and how many forms it has -> which one."""


class HiddenLines:
    """`records` as they change, the hidden `lines`, what is `told`, and its `kinds`."""

    def __init__(self, world: World, records: Records, line: str, choose: Choose) -> None:
        self.world, self.choose = world, choose
        self.records = records.copy()
        self.verb, *rest = line.split("|")
        self.noun = rest[0] if rest else ""
        self.noun2 = rest[1] if len(rest) > 1 else ""
        self.lines: list[str] = []
        self.told: list[str] = []
        self.kinds: list[str] = []
        self.place = ""
        self.last: tuple[str, tuple[str, ...]] = ("", ())
        self.tables = tables_of(world)

    # -- hidden lines

    def recall(self, key: str) -> tuple[str, ...]:
        """Say a record as it is and use it."""
        items = self.records.get(key, ())
        self.last = key, items
        self.lines.append(record_line(key, items))
        return items

    def again(self, key: str) -> None:
        """Recall a record unless it was the last one."""
        if self.last[0] != key:
            self.recall(key)

    def write(self, key: str, items: tuple[str, ...]) -> None:
        """Say a record as it will be from now on."""
        self.records[key] = items
        self.last = key, items
        self.lines.append(record_line(key, items))

    def say(self, kind: str, subject: str = "") -> None:
        """Say that a standing reply will be told; `subject`: what the author's line is about."""
        forms = self.tables.said[kind]
        line, pieces = forms[self.choose(kind, len(forms)) if len(forms) > 1 else 0]
        self.lines.append(line)
        self.kinds.append(kind)
        if len(pieces) == 1:
            self.told.append(pieces[0])
            return
        filled = list(pieces)
        for i in range(1, len(filled), 2):  # what is split at stands at the odd places
            filled[i] = self._marked(filled[i], subject)
        self.told.append("".join(filled))

    def _marked(self, mark: str, subject: str) -> str:
        """What a mark of a standing reply stands for."""
        key, items = self.last
        match mark:
            case "*":
                return the(self.noun)
            case "#":
                return the(self.noun2)
            case "~":
                return the(key)
            case "@":
                return ", ".join(items) or NOTHING
            case "&":
                return items[-1] if items else ""
            case "%":
                return items[0] if items else ""
        return the(subject)

    def prose(self, name: str) -> None:
        """Say that a part's description will be told."""
        self.lines.append(f" {name}")
        self.told.append(self.tables.prose[name])

    # -- where things are

    def at(self) -> bool:
        """Recall the place; whether one can see there."""
        items = self.recall("At")
        self.place = items[0]
        if "dark" not in items:
            return True
        return self.light()

    def light(self) -> bool:
        """Recall whether something gives light in a dark place: what is carried, worn, or lies in
        the room itself. Of what is in or on other things, or held by people, no list here tells."""
        if any(i.endswith("(lit)") for i in self.recall("You carry")):
            return True
        return any(i.endswith("(lit)") for i in self.recall(f"{self.place} holds"))

    def find(self, name: str) -> tuple[str, tuple[str, ...]]:
        """Recall a thing: whereabouts it is to the player, and its items.

        What is in another thing is recalled once more after that, so that whatever is decided next
        is decided by the record just read.
        """
        items = self.recall(name)
        where = self.whereabouts(items)
        if where == "inside":
            self.again(name)
        return where, items

    def whereabouts(self, items: tuple[str, ...]) -> str:
        """Where a thing just recalled is to the player; recalls what it is in, if it is in one."""
        if not items:
            return ""
        where = items[0]
        if where in (YOU, WORN):
            return "carried"
        if where == self.place or (_manifold(items) and self.place in items):
            return "here"
        if not _manifold(items) and where in self.records:
            holder = self.recall(where)
            if holder[-1] not in ("closed", "locked") and holder[0] in (self.place, YOU, WORN):
                return "held" if "person" in holder else "inside"
        return ""

    def move(self, name: str, to: str, notice: Callable[[], None] | None = None) -> None:
        """Write a thing's new place and the lists that change.

        notice: says what there is to notice about it: before the lists, which may be long, so that
        what decides it was just read.
        """
        items = self.records[name]
        old = items[0]
        lit = "light" in items and items[-1] == "on"
        self.write(name, (to, *items[1:]))
        if notice:
            notice()
        source, target = list_key(self.world, old), list_key(self.world, to)
        if source and source != target:
            gone = listed(name, old, lit)
            self.write(source, tuple(i for i in self.records.get(source, ()) if i != gone))
        if target and source != target:
            self.write(target, (*self.records.get(target, ()), listed(name, to, lit)))
        elif target:
            before, after = listed(name, old, lit), listed(name, to, lit)
            self.write(target, tuple(after if i == before else i for i in self.records[target]))

    def relist(self, name: str, lit: bool) -> None:
        """Write the list that a light is in, with or without (lit)."""
        where = self.records[name][0]
        key = list_key(self.world, where)
        before, after = listed(name, where, not lit), listed(name, where, lit)
        self.write(key, tuple(after if i == before else i for i in self.records.get(key, ())))

    def view(self) -> None:
        """What there is to see: the last record is At, or the place is known to be lit."""
        self.prose(self.place)
        self.recall(f"{self.place} exits")
        self.say("exits")
        if self.recall(f"{self.place} holds"):
            self.say("see")


def _manifold(items: tuple[str, ...]) -> bool:
    """Whether a record lists several places."""
    return "door" in items or "scenery" in items


def the(name: str) -> str:
    """A name with its article: none for a proper one."""
    return name if name[:1].isupper() else f"the {name}"
