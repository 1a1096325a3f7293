"""The worlds that come with the program, played as people type: each can be won and reads well."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
from fakes import identity, load, new_session

from adventure.play.commands import WON, Console
from adventure.play.saves import Saves
from adventure.play.screen import PlainScreen
from adventure.play.session import Session

SCORES = {
    "lantern": (95, 125),
    "mercy": (135, 135),
    "purkiss": (98, 100),
    "rulenine": (100, 100),
    "threshold": (100, 100),
    "wednesday": (96, 100),
}
"""World -> the points of its solution, and of all that there is."""


def walked(name: str, folder: Path) -> tuple[str, Session, int]:
    """A world's solution, typed: the page, the session, how many commands there were."""
    world, home = load(name)
    session = new_session(world=world)
    console = Console(session, Saves(folder, identity(world)), autosave=False)
    page = io.StringIO()
    screen = PlainScreen(io.StringIO(), page, page, rooms=[room.name for room in world.rooms])
    lines = (home / "tests" / "solution.walk").read_text(encoding="utf-8").splitlines()
    typed = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    for pieces in (console.introduction(), *map(console.play, typed)):
        for said in pieces:
            screen.show(said)
        screen.end()
    return page.getvalue(), session, len(typed)


@pytest.mark.parametrize("name", SCORES)
def test_a_solution_wins_and_is_told_as_a_story(name: str, tmp_path: Path) -> None:
    page, session, typed = walked(name, tmp_path)
    assert session.won
    assert (session.score, session.max_score) == SCORES[name]
    assert f"\n{WON}\n[{session.score} of {session.max_score} points, " in page
    assert session.turns >= 0.95 * typed  # but for SCORE, and what asks back
    assert not re.search(r"\n\n\n|  |[*#~@&^%]|<\|", page)
    heads = [line for line in page.split("\n") if line in {r.name for r in session.world.rooms}]
    assert len(heads) > 5
    for line in page.split("\n"):
        assert not line or re.match(r"[^a-z]", line), line
    assert "I don't know the word" not in page and "lost the thread" not in page
