"""The standing replies: four voices, three persons, two tenses, and marks where names go."""

from __future__ import annotations

import itertools
import re

import pytest
from workshop import workshop

from adventure.referee.rules import play, start
from adventure.world.parts import World
from adventure.world.script import MARKS, marked
from adventure.world.voice import KINDS, VOICES, past, third, voice

PERSONS = ("first", "second", "third")
ALL = [*itertools.product(VOICES, PERSONS, ("present", "past"), ("", "Ada"))]


@pytest.mark.parametrize(("name", "person", "tense", "player"), ALL)
def test_every_voice_has_every_reply(name: str, person: str, tense: str, player: str) -> None:
    table = voice(name, person, tense, player)
    assert tuple(table) == KINDS
    for kind, forms in table.items():
        assert forms, kind
        for form in forms:
            assert not set(form) & set("{}"), form
            assert kind == "place" or form[0].isupper(), "no noun begins a sentence"
            assert form == "%" or form.endswith((".", "!")), form
            assert not re.search(r"\b(?:I is|I are|you is|you am|they is|Ada are)\b", form), form


def test_a_voice_that_there_is_not_is_an_error() -> None:
    with pytest.raises(KeyError):
        voice("operatic", "second", "present", "")


@pytest.mark.parametrize(
    ("name", "person", "tense", "player", "kind", "said"),
    [
        ("plain", "second", "present", "", "taken", "You take *."),
        ("plain", "second", "past", "", "taken", "You took *."),
        ("plain", "first", "past", "", "carry", "I carried: @."),
        ("plain", "third", "present", "Ada", "taken", "Ada takes *."),
        ("plain", "third", "past", "Ada", "noway", "Ada couldn't go that way."),
        ("plain", "third", "present", "", "see", "They see: @."),
        ("terse", "second", "present", "", "taken", "Taken: *."),
        ("terse", "second", "past", "", "already", "No need: * was &."),
        ("storybook", "first", "past", "", "carry", "In my keeping: @."),
        ("storybook", "third", "present", "Ada", "taken", "Ada takes * into their keeping."),
        ("wry", "first", "present", "", "carry", "I am burdened with: @."),
        ("wry", "first", "past", "", "carry", "I was burdened with: @."),
        ("wry", "second", "past", "", "carry", "You were burdened with: @."),
        ("wry", "third", "past", "", "carry", "They were burdened with: @."),
        ("wry", "third", "present", "Ada", "taken", "Ada helps themselves to *."),
    ],
)
def test_person_and_tense(
    name: str, person: str, tense: str, player: str, kind: str, said: str
) -> None:
    assert voice(name, person, tense, player)[kind][0] == said


def test_verbs() -> None:
    done = {"take": "took", "open": "opened", "close": "closed", "passes": "passed", "is": "was"}
    done |= {"helps": "helped", "carry": "carried", "stays": "stayed", "can't": "couldn't"}
    assert {verb: past(verb) for verb in done} == done
    does = {"take": "takes", "carry": "carries", "push": "pushes", "have": "has", "are": "is"}
    does |= {"can't": "can't", "don't": "doesn't", "try": "tries", "go": "goes"}
    assert {verb: third(verb) for verb in does} == does


def test_marks_take_in_the_space_before_them() -> None:
    assert marked("You take *.") == f"You take{MARKS['*']}."
    assert marked("%") == MARKS["%"]
    assert "*" not in marked("But * is & already.") and MARKS["&"] in marked("But * is & already.")


def test_a_pack_s_own_words_come_before_the_voice_s() -> None:
    world = workshop()
    own = {"taken": "Got *, said nobody.", "wait": ("Tick.", "Tock.")}
    told = world.model_dump(by_alias=True) | {"replies": own, "style": {"voice": "terse"}}
    changed = World.model_validate(told)
    assert play(changed, start(changed), "take|tongs").reply == " Got the tongs, said nobody."
    assert changed.voice["wait"] == ("Tick.", "Tock.")
    assert play(changed, start(changed), "drop|oil lamp").reply == " Dropped: the oil lamp."
