"""The standing replies: four voices, three persons, two tenses, and marks where names go."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest
from workshop import workshop

from adventure.referee.rules import first, play, start
from adventure.referee.turn import Turn
from adventure.world.pack import load_world
from adventure.world.parts import World
from adventure.world.script import MARKS, marked
from adventure.world.voice import KINDS, VOICES, past, third, voice

WORLDS = Path(__file__).parent.parent / "worlds"
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


AGREES = "is|are|was|were|has|have|had|does|do|did|won't|wouldn't|\\w+s|\\w+n't"
FINITE = re.compile(rf"[*#~^] (?:(?:already|still|never) )?(?:{AGREES}|who|which|that)\b")
BEFORE = re.compile(r"\b(?:is|are|was|were|has|have|comes|goes|stands|lies|rides|falls) \^")
PRONOUN = re.compile(r"\b(?:it|its|itself|they|them|their|he|she|him|her)\b", re.IGNORECASE)
OF_NO_NAME = "place exits see inside upon carry deeds dark noway wait nothing".split()


def stiff(kind: str, form: str, own: str = "") -> str:
    """What of a reply would change if the name in it were in the plural. own: the player's words,
    who may be a `they`."""
    said = re.sub(own, "", form) if own else form
    found = FINITE.search(form) or BEFORE.search(form)
    if not found and kind not in OF_NO_NAME:
        found = PRONOUN.search(said)
    return found[0] if found else ""


@pytest.mark.parametrize(("name", "person", "tense", "player"), ALL)
def test_nothing_agrees_with_a_marked_name(name: str, person: str, tense: str, player: str) -> None:
    own = r"\b(?:[Tt]hey|them|their|themselves)\b" if person == "third" else ""
    for kind, forms in voice(name, person, tense, player).items():
        assert not [said for form in forms if (said := stiff(kind, form, own))], (kind, forms)


@pytest.mark.parametrize("world", sorted(p for p in WORLDS.iterdir() if p.is_dir()), ids=str)
def test_nothing_in_a_pack_s_own_replies_does(world: Path) -> None:
    for kind, forms in load_world(world).voice.items():
        for form in forms:
            assert not stiff(kind, form), (kind, form)


@pytest.mark.parametrize(
    ("kind", "form", "said"),
    [
        ("barred", "You can't: ~ is &.", "~ is"),
        ("fixed", "Looks like * is staying.", "* is"),
        ("unwanted", "You offer *, but # doesn't want any.", "# doesn't"),
        ("silent", "To that * has no answer.", "* has"),
        ("goes", "Then ^ goes away.", "^ goes"),
        ("comes", "In comes ^.", "comes ^"),
        ("state", "It is &.", "It"),
        ("treasure", "You take *, and you're keeping it.", "it"),
        ("taken", "You take *.", ""),
        ("wait", "Time passes. It does that.", ""),
    ],
)
def test_what_would_agree_is_noticed(kind: str, form: str, said: str) -> None:
    assert stiff(kind, form) == said


def test_names_of_every_kind_read_well() -> None:
    """Plural, mass, proper: the article comes of the name alone."""
    world = workshop()
    for name, told in (
        ("gas pumps", "You can't take the gas pumps."),
        ("coal", "You can't take the coal."),
        ("Old Marta", "You can't take Old Marta."),
    ):
        turn = Turn(world, start(world), f"take|{name}", first)
        turn.say("fixed")
        assert turn.told == [told]


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
        ("terse", "second", "past", "", "already", "No need, with * &."),
        ("storybook", "first", "past", "", "carry", "In my keeping: @."),
        ("storybook", "third", "present", "Ada", "taken", "Ada takes * into their keeping."),
        ("wry", "first", "present", "", "carry", "I am burdened with: @."),
        ("wry", "first", "past", "", "carry", "I was burdened with: @."),
        ("wry", "first", "present", "", "closed", "I close *, as I was taught."),
        ("wry", "third", "present", "Ada", "closed", "Ada closes *, as Ada was taught."),
        ("storybook", "first", "past", "", "see", "There before me: @."),
        ("storybook", "third", "past", "Ada", "see", "There before Ada: @."),
        ("storybook", "third", "past", "", "fixed", "Try as they would, there was no moving *."),
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
    done |= {"puts": "put", "carry": "carried", "changes": "changed", "can't": "couldn't"}
    assert {verb: past(verb) for verb in done} == done
    does = {"take": "takes", "carry": "carries", "push": "pushes", "have": "has", "are": "is"}
    does |= {"can't": "can't", "don't": "doesn't", "try": "tries"}
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
