"""Games that somebody played in a world with one of everything: every command, every reply.

tests/golden/*.walk: `* what it shows` begins a fresh run, `> command` is what is typed, the lines
below it are the whole answer; [brackets] are the parser's words, which take no game time.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from workshop import TESTS, Typewriter, workshop

from adventure.referee.rules import RULES
from adventure.world.grammar import Command, parse
from adventure.world.verbs import BARE, VERBS
from adventure.world.voice import KINDS

WORLD = workshop()
FILES = sorted((TESTS / "golden").glob("*.walk"))
TURN = tuple[str, list[str]]


def runs(path: Path) -> dict[str, list[TURN]]:
    """Title -> turns: what is typed, and the answer line by line."""
    found: dict[str, list[TURN]] = {}
    turns: list[TURN] = []
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("* "):
            turns = found.setdefault(line[2:], [])
        elif line.startswith("> "):
            turns.append((line[2:], []))
        elif line and not line.startswith("#"):
            turns[-1][1].append(line)
    return found


RUNS = {f"{path.stem}: {title}": turns for path in FILES for title, turns in runs(path).items()}


@pytest.mark.parametrize("title", RUNS)
def test_walk(title: str) -> None:
    run = Typewriter(WORLD)
    for typed, answer in RUNS[title]:
        assert (typed, run.type(typed)) == (typed, answer)


def test_walks_show_every_kind_of_reply_and_every_verb() -> None:
    kinds: set[str] = set()
    verbs: set[str] = set()
    for turns in RUNS.values():
        run = Typewriter(WORLD)
        for typed, _ in turns:
            command = parse(typed, WORLD)
            verbs |= {line.partition("|")[0] for line in getattr(command, "lines", ())}
            run.type(typed)
        kinds |= {kind for said in run.kinds for kind in re.split("[: ]+", said)}
    assert set(KINDS) <= kinds
    assert {*RULES, *BARE, *(verb.name for verb in VERBS)} <= verbs


def test_a_wrong_reply_would_be_noticed() -> None:
    typed, answer = RUNS["taking: taking"][0]
    assert isinstance(parse(typed, WORLD), Command)
    assert Typewriter(WORLD).type(typed) == answer != Typewriter(WORLD).type("look")
