"""Players for transcripts and for judging: they choose commands. Know the rules, no network."""

from __future__ import annotations

import random
from collections import Counter, deque
from collections.abc import Callable, Iterator

from adventure.referee.legal import legal_player
from adventure.referee.locks import LOCK_STATES
from adventure.referee.planner import attempt, bare, fetch, path, reach
from adventure.referee.rules import Outcome, play, start
from adventure.world.parts import WORN, YOU, World
from adventure.world.prompt import Records

Player = Callable[[World, Records, random.Random], str]
_TELLING = ("leads to", "moves to", "becomes", "go to", "deed", " clock", "old")
"""What the hidden lines of a turn hold where an author's block did something."""


class CuriousPlayer:
    """Prefers what it has seen happen least: every refusal gets its share of a transcript."""

    def __init__(self, candidates: int = 5) -> None:
        self.candidates = candidates
        self._seen: Counter[str] = Counter()

    def __call__(self, world: World, records: Records, rng: random.Random) -> str:
        """The candidate whose outcome is rarest so far."""
        lines = [legal_player(world, records, rng) for _ in range(self.candidates)]
        kinds = [_seen(play(world, records, line)) for line in lines]
        best = min(range(len(lines)), key=lambda i: self._seen[kinds[i]])
        self._seen[kinds[best]] += 1
        return lines[best]


def _seen(outcome: Outcome) -> str:
    """What happened, for telling rare from common: what was told, and which rules' effects."""
    followed = [text for text in _TELLING if any(text in line for line in outcome.lines)]
    return " ".join((outcome.kind, *followed, f"{len(outcome.records['Clocks'])}"))


class GoalPlayer:
    """Plans with the rules: wanders, fetches, opens doors, follows rules, now and then errs."""

    def __init__(self, error: float = 0.1) -> None:
        self.error = error
        self._plan: deque[str] = deque()

    def __call__(self, world: World, records: Records, rng: random.Random) -> str:
        """The next command; replans when its plan has run out."""
        if rng.random() < self.error:
            return legal_player(world, records, rng)
        if not self._plan:
            self._plan.extend(self._make_plan(world, records, rng))
        return self._plan.popleft() if self._plan else legal_player(world, records, rng)

    def _make_plan(self, world: World, records: Records, rng: random.Random) -> list[str]:
        plans = (
            *(3 * (self._rule,)),
            *(self._shut, self._get, self._get, self._ask, self._end, self._stow, self._switch),
            *(self._wear, self._light, self._follow, self._wander),
        )
        plan = rng.choice(plans)(world, records, rng)
        return plan or self._wander(world, records, rng)

    def _rule(self, world: World, records: Records, rng: random.Random) -> list[str]:
        return attempt(world, records, rng.choice(world.rules), rng) if world.rules else []

    def _shut(self, world: World, records: Records, rng: random.Random) -> list[str]:
        """Open what is shut, with its key."""
        shut = [n for n, items in records.items() if items[-1:] in (("closed",), ("locked",))]
        if not shut:
            return []
        name = rng.choice(shut)
        key = records.get(f"{name} key", ("",))[0]
        locked = records[name][-1] == "locked" and bool(key)
        if locked and key not in [bare(i) for i in records["You carry"]]:
            return fetch(records, key) or []
        unlock = [f"unlock|{name}|{key}"] if locked else []
        return [*(reach(records, name) or []), *unlock, f"open|{name}"]

    def _get(self, world: World, records: Records, rng: random.Random) -> list[str]:
        """Fetch something; what is in something else, or a treasure, most often."""
        if not world.things:
            return []
        rooms = {room.name for room in world.rooms}
        dear = [t.name for t in world.things if t.treasure or records[t.name][0] not in rooms]
        every = [t.name for t in world.things]
        thing = rng.choice(dear if dear and rng.random() < 0.6 else every)
        look = [f"examine|{thing}"] if rng.random() < 0.3 else []
        return [*(fetch(records, thing) or []), *look]

    def _ask(self, world: World, records: Records, rng: random.Random) -> list[str]:
        if not world.people:
            return []
        person = rng.choice(world.people)
        asked = [f"ask|{person.name}|{t.split(',')[0]}" for t in person.topics]
        rng.shuffle(asked)
        return [*(reach(records, person.name) or []), *asked[:2], f"talk|{person.name}"]

    def _end(self, world: World, records: Records, rng: random.Random) -> list[str]:
        ending = world.ending
        if ending is None or records.get(ending.thing, ("",))[0] not in (YOU, WORN):
            return []
        return [*(path(records, ending.room) or []), f"drop|{ending.thing}"]

    def _stow(self, world: World, records: Records, rng: random.Random) -> list[str]:
        """Put something into a box, close it, and want it back; or just put it down."""
        carried = [bare(i) for i in records["You carry"]]
        holders = [n for n, i in records.items() if {"container", "supporter"} & set(i)]
        if not carried:
            return []
        name = rng.choice(carried)
        if not holders or rng.random() < 0.3:
            return [f"drop|{name}"]
        holder = rng.choice(holders)
        steps = [*(reach(records, holder) or []), f"open|{holder}", f"put|{name}|{holder}"]
        if records[holder][-1] not in LOCK_STATES:
            steps.remove(f"open|{holder}")
        elif rng.random() < 0.5:
            steps += [f"close|{holder}", f"take|{name}", f"open|{holder}"]
        return [*steps, *([f"take|{name}"] if rng.random() < 0.5 else [])]

    def _switch(self, world: World, records: Records, rng: random.Random) -> list[str]:
        """On, off, and once more what it was told before."""
        switches = [thing.name for thing in world.things if thing.switch]
        if not switches:
            return []
        name = rng.choice(switches)
        first, second = rng.sample(("on", "off"), 2)
        steps = [f"{first}|{name}", f"{second}|{name}", f"{rng.choice((first, second))}|{name}"]
        return [*(reach(records, name) or []), *steps[: rng.randint(1, 3)]]

    def _wear(self, world: World, records: Records, rng: random.Random) -> list[str]:
        clothes = [thing.name for thing in world.things if thing.wearable]
        if not clothes:
            return []
        name = rng.choice(clothes)
        if records[name][0] == WORN:
            return [f"{rng.choice(('remove', 'wear', 'drop'))}|{name}", f"remove|{name}"]
        return [*(fetch(records, name) or []), f"wear|{name}"]

    def _light(self, world: World, records: Records, rng: random.Random) -> list[str]:
        """Carry a light into the dark, and see."""
        lamps = [thing.name for thing in world.things if thing.light]
        dark = [room.name for room in world.rooms if room.dark]
        if not lamps or not dark:
            return []
        name = rng.choice(lamps)
        if records[name][0] != YOU:
            return fetch(records, name) or []
        lit = [] if records[name][-1] == "on" else [f"on|{name}"]
        return [*lit, *(path(records, rng.choice(dark)) or [])]

    def _follow(self, world: World, records: Records, rng: random.Random) -> list[str]:
        """Wait where somebody is who walks about, or for them to come."""
        walkers = [person.name for person in world.people if person.route]
        if not walkers:
            return []
        return [*(reach(records, rng.choice(walkers)) or []), *["wait"] * rng.randint(1, 4)]

    def _wander(self, world: World, records: Records, rng: random.Random) -> list[str]:
        return path(records, rng.choice([r.name for r in world.rooms])) or ["look"]


def walk(
    world: World, player: Player, rng: random.Random, turns: int
) -> Iterator[tuple[str, Records, Outcome]]:
    """At most `turns` turns from the start, fewer if won: (command, records before, outcome)."""
    records = start(world)
    for _ in range(turns):
        line = player(world, records, rng)
        outcome = play(world, records, line)
        yield line, records, outcome
        records = outcome.records
        if records["Game"][0] != "on":
            return
