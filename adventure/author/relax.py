"""What could ever happen in a world: a model in which nothing that was true once stops being true.

What this model can't reach, no player can: it says yes too often, never no too often. Its facts are
those of facts.py, its operators those of model.py. The search of solve.py takes its sense of
direction from it. Knows no network.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from adventure.author.facts import Fact
from adventure.author.model import model_of
from adventure.referee.rules import start
from adventure.world.parts import World
from adventure.world.prompt import Records

FAR = 1 << 30
Goal = Sequence[Fact]


class Relaxed:
    """The operators of a world, with every fact as a number."""

    def __init__(self, world: World) -> None:
        self.model = model_of(world)
        self.operators = self.model.operators
        self.number: dict[Fact, int] = {}
        self.needs = [[self._id(f) for f in op.needs] for op in self.operators]
        self.adds = [[self._id(f) for f in op.adds] for op in self.operators]

        for fact in self.model.facts.of(start(world)):
            self._id(fact)
        scored = {n for f, n in self.number.items() if f[0] in ("deed", "game")}
        self.mattering = frozenset(scored | {n for needs in self.needs for n in needs})
        """Facts that some operator needs, deeds and the end; that a rule was followed isn't one."""

        self.users: list[list[int]] = [[] for _ in self.number]
        for i, needs in enumerate(self.needs):
            for n in needs:
                self.users[n].append(i)

    def _id(self, fact: Fact) -> int:
        return self.number.setdefault(fact, len(self.number))

    def known(self, facts: Iterable[Fact]) -> list[int]:
        """The numbers of those facts that matter to anything."""
        return [n for fact in facts if (n := self.number.get(fact)) is not None]

    def reach(self, records: Records) -> Reach:
        """What can follow from a state of play."""
        return Reach(self, self.known(self.model.facts.of(records)))


class Reach:
    """How many commands away each fact is at most, if each could be had by itself."""

    def __init__(self, relaxed: Relaxed, facts: Sequence[int]) -> None:
        self.relaxed, self.facts = relaxed, frozenset(facts)
        cost = [FAR] * len(relaxed.number)
        by = [-1] * len(relaxed.number)
        missing = [len(needs) for needs in relaxed.needs]
        spent = [0 if op.free else 1 for op in relaxed.operators]
        heap = list[tuple[int, int]]()
        for fact in self.facts:
            cost[fact] = 0
            heap.append((0, fact))
        ready = [i for i, count in enumerate(missing) if not count]

        def follow(i: int) -> None:
            for fact in relaxed.adds[i]:
                if spent[i] < cost[fact]:
                    cost[fact], by[fact] = spent[i], i
                    heapq.heappush(heap, (spent[i], fact))

        for i in ready:
            follow(i)
        heapq.heapify(heap)
        done = [False] * len(cost)
        while heap:
            so_far, fact = heapq.heappop(heap)
            if done[fact]:
                continue
            done[fact] = True
            for i in relaxed.users[fact]:
                missing[i] -= 1
                spent[i] += so_far
                if not missing[i]:
                    follow(i)
        self._cost, self._by, self._missing = cost, by, missing

    def cost(self, fact: Fact) -> int:
        """Of a fact; FAR if it can't come about."""
        number = self.relaxed.number.get(fact)
        return FAR if number is None else self._cost[number]

    def possible(self, fact: Fact) -> bool:
        """Whether it can come about, as far as this model knows."""
        return self.cost(fact) < FAR

    def fires(self, operator: int) -> bool:
        """Whether all that it needs can come about."""
        return not self._missing[operator]

    def lacking(self, operator: int) -> list[Fact]:
        """What it needs and can't have."""
        return [f for f in self.relaxed.operators[operator].needs if not self.possible(f)]

    @cached_property
    def rooms(self) -> frozenset[str]:
        """Where the player can walk to now."""
        found = ((f, n) for f, n in self.relaxed.number.items() if f[0] == "at")
        return frozenset(fact[1] for fact, n in found if self._cost[n] == 0)

    def plan(self, goal: Goal) -> set[int] | None:
        """Operators that would reach the goal if nothing were ever undone; None: no such plan."""
        pending = [self.relaxed.number.get(fact, -1) for fact in goal]
        if any(n < 0 or self._cost[n] == FAR for n in pending):
            return None
        seen, chosen = set[int](pending), set[int]()
        while pending:
            i = self._by[pending.pop()]
            if i < 0 or i in chosen:
                continue
            chosen.add(i)
            fresh = [n for n in self.relaxed.needs[i] if n not in seen]
            seen.update(fresh)
            pending += fresh
        return {i for i in chosen if not self.relaxed.operators[i].free}

    def candidates(self, all_of_them: bool = False) -> Iterator[int]:
        """Commands that can be given now, walking included, and that bring about what matters."""
        cost = self._cost
        for i, operator in enumerate(self.relaxed.operators):
            if operator.free or self._missing[i]:
                continue
            if any(cost[n] for n in self.relaxed.needs[i]):
                continue
            new = (n for n in self.relaxed.adds[i] if n not in self.facts)
            if all_of_them or any(n in self.relaxed.mattering for n in new):
                yield i
