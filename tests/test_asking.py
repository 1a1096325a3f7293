"""`? lamp`: what the master remembers is told in words, only of what was seen; nothing moves."""

from __future__ import annotations

import random
import re
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from fakes import (
    COTTAGE,
    SEGMENT,
    SOLUTION,
    cottage,
    cottage_with,
    fingerprint,
    new_console,
    new_session,
    say,
    tell,
    tell_all,
)
from inn import inn
from tiny import tiny_model

from adventure.master.gamemaster import GameMaster
from adventure.play.asking import ALIKE, NO_ANSWER, UNSEEN
from adventure.play.known import Known
from adventure.play.session import Session
from adventure.referee.legal import legal_player
from adventure.referee.master import RefereeMaster
from adventure.world.parts import World
from adventure.world.prompt import SPECIALS, pack_text, record_line
from engine.tokenizer import train_tokenizer


def refereed(world: World) -> Session:
    master: Any = RefereeMaster(world)
    return Session(world, master, master.opening())


def ask(session: Session, question: str) -> str:
    return "\n".join(said.text for said in session.ask(question) if said.kind == "note")


QUESTIONS = ("key", "me", "here", "exits", "exits of the garden", "what is in the shed", "moon", "")


# -- answers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("lamp", "You have the lamp."),
        ("lantern", "You have the lamp."),
        ("where is the lantern?", "You have the lamp."),
        ("where's my lamp now", "You have the lamp."),
        ("is the lamp lit", "You have the lamp."),
        ("key", "The brass key is there: Shed."),
        ("do you remember the brass key", "The brass key is there: Shed."),
        ("where did I leave the gold ring", "The gold ring is there: Shed."),
        ("door", "The green door is in the Garden. It is locked."),
        ("me", "You are in the Garden.\nYou carry: lamp."),
        ("carrying", "You carry: lamp."),
        ("what am I carrying", "You carry: lamp."),
        ("what have I got", "You carry: lamp."),
        ("what do i have with me", "You carry: lamp."),
        ("where am i", "You are in the Garden."),
        ("here", "You are in the Garden. Here: green door."),
        ("what is here", "You are in the Garden. Here: green door."),
        ("exits", "Exits of the Garden: north (through the green door), east (to Shed)."),
        ("where can I go", "Exits of the Garden: north (through the green door), east (to Shed)."),
        ("exits of the shed", "Exits of Shed: west (to the Garden)."),
        ("what are the exits of the shed", "Exits of Shed: west (to the Garden)."),
        ("shed exits", "Exits of Shed: west (to the Garden)."),
        ("the shed", "Shed: brass key, dry log, gold ring, workbench."),
        ("what's in the shed?", "Shed: brass key, dry log, gold ring, workbench."),
        ("log and ring", "The dry log is there: Shed.\nThe gold ring is there: Shed."),
        (
            "exits of the shed and the garden",
            "Exits of Shed: west (to the Garden).\n"
            "Exits of the Garden: north (through the green door), east (to Shed).",
        ),
        (
            "what is here, and my lamp",
            "You are in the Garden. Here: green door.\nYou have the lamp.",
        ),
        ("ring, lamp", "The gold ring is there: Shed.\nYou have the lamp."),
        ("it", "The workbench is there: Shed."),
        *(
            (unseen, UNSEEN)
            for unseen in ("parlour", "exits of the parlour", "moon", "the", "log and moon", "n")
        ),
        ("exits of the key", UNSEEN),
        *((nothing, UNSEEN) for nothing in ("what is in", "what is on", "what is with", ".", "!")),
        ("what is on me", "You carry: lamp."),
    ],
)
@pytest.mark.parametrize("exact", [True, False])
def test_questions_have_their_answers(question: str, answer: str, exact: bool) -> None:
    """A rule of the prose's: rooms have an article where the author gives them one."""
    world = cottage(intro="Night falls over the garden. Bring the log to the hearth.")
    game = refereed(world) if exact else new_session(world=world)
    say(game, "east", "x workbench", "west")
    assert ask(game, question) == answer


def test_states_holders_people_and_the_dark() -> None:
    game = refereed(inn())
    assert ask(game, "candle") == "The candle is in the Taproom. It is not lit."
    assert ask(game, "oak box") == "The oak box is in the Taproom. It is closed."
    assert ask(game, "what is in the oak box") == "Nothing that you have seen is in the oak box."
    assert ask(game, "small key") == UNSEEN
    say(game, "open box")
    assert ask(game, "key") == "The small key is in the oak box."
    assert ask(game, "what does the box hold") == "In the oak box: small key."
    say(game, "take key", "close box", "light candle", "take candle", "drop bone")
    assert ask(game, "oak box") == "The oak box is in the Taproom. It is closed."
    assert ask(game, "me") == "You are in the Taproom.\nYou carry: small key, candle (lit)."
    assert ask(game, "candle and key") == "You have the candle. It is lit.\nYou have the small key."
    assert ask(game, "cook") == UNSEEN
    say(game, "unlock door with key. open door. n")
    assert ask(game, "where is the cook") == "The cook is in the Kitchen."
    assert ask(game, "what does the cook have") == "Nothing that you have seen is with the cook."
    say(game, "x cook")
    for question in ("him", "where is he", "where's she now?"):
        assert ask(game, question) == "The cook is in the Kitchen."
    say(game, "s", "turn off candle", "d")
    assert ask(game, "here") == "You are in the Cellar. It is too dark to see."
    assert ask(game, "exits") == "It was too dark to see the exits of the Cellar."
    assert ask(game, "dog") == ask(game, "iron grate") == UNSEEN
    say(game, "u")
    assert ask(game, "cellar") == "It was too dark to see what is in the Cellar."
    say(game, "light candle", "d", "u")
    assert ask(game, "dog") == "The dog is in the Cellar."
    assert ask(game, "what is in the cellar") == "In the Cellar: dog, iron grate."
    assert ask(game, "exits of cellar") == "Exits of the Cellar: west, up (to the Taproom)."
    assert ask(game, "it") == "You have the candle. It is lit."


def test_what_was_moved_out_of_sight_is_not_given_away() -> None:
    """Things that rules carry off to where the player has never been; one that is eaten."""
    parts: dict[str, Any] = {
        "rules": [
            {"when": "wave", "then": ["lamp moves to Parlour"], "say": "Gone."},
            {"when": "jump", "then": ["gold ring moves to iron chest"], "say": "Gone."},
            {"when": "sing", "then": ["brass key moves to Tom"], "say": "Gone."},
        ],
        "people": [{"name": "Tom", "description": "A ghost.", "in": "nowhere"}],
        "things": [
            {"name": "iron chest", "description": "Big.", "in": "Parlour", "container": True},
            {"name": "apple", "description": "Red.", "in": "Shed", "edible": True},
            {"name": "hat", "description": "Felt.", "in": "Shed", "wearable": True},
        ],
    }
    game = refereed(cottage_with(**parts))
    say(game, "inventory", "east", "take all", "wave", "jump", "sing", "eat apple", "wear hat")
    assert ask(game, "lamp") == "The lamp is somewhere that you haven't been."
    assert ask(game, "ring") == "The gold ring is somewhere that you haven't looked."
    assert ask(game, "brass key") == "The brass key is somewhere that you haven't looked."
    assert ask(game, "apple") == "The apple is nowhere to be found."
    assert ask(game, "hat") == "You are wearing the hat."


@pytest.mark.parametrize("seed", range(6))
def test_no_answer_names_what_was_not_seen(seed: int) -> None:
    """Games played at random: whatever is asked, rooms not entered and things not seen stay so."""
    world, rng = inn(), random.Random(seed)
    game = refereed(world)
    every = [*world.names, *(room.name for room in world.rooms)]
    asked = [f"{lead}{name}" for name in every for lead in ("", "exits of ", "what is in ")]
    for _ in range(12):
        line = legal_player(world, dict(game.position.records), rng).replace("|", " ")
        say(game, line.replace("go ", ""))
        hidden = set(every) - game.known.seen - game.known.rooms
        told = "\n".join(ask(game, question) for question in [*asked, "me", "here", "exits"])
        assert not [name for name in hidden if re.search(rf"\b{name}\b", told)]
        assert NO_ANSWER not in told and "records" not in told


# -- nothing moves ---------------------------------------------------------------------------------


def test_a_game_is_the_same_to_the_bit_after_questions() -> None:
    """Also what is known, what IT means and what AGAIN repeats; and the next reply."""
    game, other = new_session(moody=True), new_session(moody=True)
    for played in (game, other):
        say(played, *SOLUTION[:3])
    before = fingerprint(game), deepcopy(game.known.__dict__), game.position
    for question in QUESTIONS:
        ask(game, question)
    assert (fingerprint(game), game.known.__dict__, game.position) == before
    assert say(game, "drop it") == say(other, "drop it")
    assert fingerprint(game) == fingerprint(other)


@pytest.fixture(scope="module")
def network() -> tuple[Any, Any]:
    torch.set_num_threads(1)
    tokenizer = train_tokenizer([pack_text(cottage())], 330, SPECIALS)
    return tiny_model(hints=True, vocab=tokenizer.vocab), tokenizer


def test_a_network_is_asked_on_a_copy(
    network: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """State, logits and what the hints have read are the very tensors, unwritten."""
    monkeypatch.setattr("adventure.master.gamemaster.LONGEST_RECORD", 20)
    model, tokenizer = network
    world = cottage()
    master = GameMaster(model, tokenizer, world)
    game = Session(world, master, master.opening())
    game.known.look_round({**master.opening().records, "At": ("Shed",)})
    position, before = game.position, fingerprint(game)
    clones = {name: t.clone() for name, t in position.state.tensors.items()}
    logits = position.logits.clone()
    for question in QUESTIONS:
        ask(game, question)
    assert ask(game, "key") != UNSEEN, "the network was asked"
    assert game.position is position and torch.equal(position.logits, logits)
    for name, tensor in position.state.tensors.items():
        assert torch.equal(tensor, clones[name])
    assert fingerprint(game) == before


def test_a_network_tells_its_record_from_its_state(
    network: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line is what greedy writing gives, whatever the position's own records say."""
    monkeypatch.setattr("adventure.master.gamemaster.LONGEST_RECORD", 40)
    model, tokenizer = network
    master = GameMaster(model, tokenizer, cottage())
    opening = master.opening()
    line = master.recall(opening, "lamp")
    assert line.startswith(" lamp:") and "\n" not in line
    told = list[int]()
    row, state = model(torch.tensor([tokenizer.encode("<|do|> look\n lamp:")]), opening.state)
    while len(told) < 40 and master.newline not in told:
        told.append(int(row[0, -1].argmax()))
        row, state = model(torch.tensor([told[-1:]]), state)
    assert line == f" lamp:{tokenizer.decode(told).partition(chr(10))[0]}"


def test_a_long_record_is_told_to_its_end(
    network: tuple[Any, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list may be longer than records usually are: it doesn't stop in the middle of a name."""

    def as_drafted(model: Any, tokens: Any, state: Any, guess: Any, stop: Any, limit: int) -> Any:
        return SimpleNamespace(tokens=guess([])[:limit])

    monkeypatch.setattr("adventure.master.gamemaster.write_drafted", as_drafted)
    master = GameMaster(*network, cottage())
    opening = master.opening()
    items = tuple(f"brass key of the parlour {n}" for n in range(80))
    position = replace(opening, records={**opening.records, "You carry": items})
    assert master.recall(position, "You carry") == record_line("You carry", items)


# -- where the master is wrong ---------------------------------------------------------------------


def wrong(**lines: str) -> Session:
    game = new_session()
    say(game, "e", "w")
    game.master.wrong = {key.replace("_", " "): line for key, line in lines.items()}
    return game


def test_where_the_master_is_wrong_the_records_are_told() -> None:
    game = wrong(brass_key=" brass key: you, portable.")
    assert ask(game, "key") == (
        "You have the brass key.\n"
        "[The game's own records have it otherwise: The brass key is there: Shed.]"
    )
    assert ask(game, "log") == "The dry log is there: Shed.", "one that is right has no remark"
    game = wrong(Garden_exits=" Garden exits: east.")
    assert ask(game, "exits") == (
        "Exits of Garden: east (to Shed).\n[The game's own records have it otherwise: "
        "Exits of Garden: north (through the green door), east (to Shed).]"
    )


def test_what_differs_out_of_sight_is_only_said_to_differ() -> None:
    game = wrong(Garden_north=" Garden north: Parlour.")
    assert ask(game, "exits").endswith("(through the green door), east (to Shed).]")
    game = new_session()
    game.master.wrong = {"Garden holds": " Garden holds: green door, gold ring."}  # type: ignore[attr-defined]
    assert ask(game, "garden") == f"Garden: green door.\n{ALIKE}", "the ring wasn't seen yet"


@pytest.mark.parametrize(
    "line",
    [
        " brass key: Moon, portable.",
        " brass key: nothing.",
        " brass key:",
        " brass key: Shed",
        " brass key: Shed, portable, open.",
        "",
    ],
)
def test_an_answer_that_makes_no_sense_is_none(line: str) -> None:
    game = new_session()
    say(game, "e")
    game.master.recall = lambda position, key: line  # type: ignore[attr-defined,assignment]
    assert ask(game, "key") == (
        f"{NO_ANSWER}\n[The game's own records have it otherwise: The brass key is there: Shed.]"
    )


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        ("me", {"At": " At: Moon."}),
        ("exits", {"Garden_exits": " Garden exits: up."}),
        ("carrying", {"You_carry": " You carry: moon."}),
        ("door", {"green_door": " green door: Moon, Sun, door, locked."}),
        ("here", {"Garden_holds": " Garden holds green door"}),
    ],
)
def test_nor_do_lists_and_places_that_are_none(question: str, lines: dict[str, str]) -> None:
    answer = ask(wrong(**lines), question)
    assert NO_ANSWER in answer and "The game's own records have it otherwise" in answer


HIDING = """\
green door: Garden, Shed, door, {}.
green door: Garden, Shed, {}, locked.
green door: Garden, Shed, door.
green door: Garden, {}.
green door: Garden, Shed, door, door, {}.
gravel: Garden, {}.
gravel: Garden, {}, scenery.
chest: Shed, fixed, container, {}.
chest: Shed, {}, fixed, container, closed.
Garden holds: green door, gravel ({}).
Garden holds: green door (lit) ({}).
Garden holds: green door, {}.
You carry: lamp ({}).
You carry: {}, {}.
You carry: lamp, lamp.
You carry: lamp, lamp (lit).
chest holds: lamp ({}).
Garden exits: {}.
At: {}.""".splitlines()


@pytest.mark.parametrize("hidden", ["ruby", "Crypt", "open (ruby)", "melted"])
def test_a_wrong_record_gives_nothing_hidden_away(hidden: str) -> None:
    """Whatever the master makes up: no name that wasn't seen, no state that there can't be."""
    chest: dict[str, Any] = {"name": "chest", "description": "Oak.", "in": "Shed", "fixed": True}
    chest |= {"container": True, "openable": True, "locked": True, "key": "brass key"}
    ruby = {"name": "ruby", "description": "Red.", "in": "chest"}
    crypt = {"name": "Crypt", "description": "Cold.", "exits": {}}
    garden, *others = COTTAGE["rooms"]
    rooms = [{**garden, "scenery": {"gravel": "Grey."}}, *others, crypt]
    game: Any = new_session(world=cottage(rooms=rooms, things=[*COTTAGE["things"], chest, ruby]))
    say(game, "e", "w")
    made_up = re.compile(r"ruby|crypt|melted|lamp, lamp|(?:lamp|gravel|door) \(", re.IGNORECASE)
    for record in HIDING:
        key = record.partition(":")[0]
        game.master.wrong = {key: f" {record.replace('{}', hidden)}"}
        for question in ("chest", "door", "gravel", "here", "me", "exits", "in the chest"):
            assert not made_up.search(ask(game, question)), (record, question)


def test_records_that_make_no_sense_do_no_harm() -> None:
    """The network writes the records, and may have written anything."""
    game = new_session()
    say(game, "e")
    for key in game.position.records:
        game.position.records[key] = ("Moon", "", "a door")
    game.known.look_round(game.position.records)
    for question in QUESTIONS:
        assert ask(game, question) in (NO_ANSWER, f"{NO_ANSWER}\n{NO_ANSWER}", UNSEEN)
    game.master.wrong = {"brass key": " brass key: Shed, portable."}  # type: ignore[attr-defined]
    assert ask(game, "key") == f"The brass key is there: Shed.\n{ALIKE}"
    assert "Moon" not in game.known.rooms


def test_a_master_that_cannot_be_asked_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("adventure.referee.master.RefereeMaster.recall")
    assert ask(refereed(cottage()), "me") == "This game master can't be asked what it remembers."


# -- what has been seen ----------------------------------------------------------------------------


def test_what_was_seen_can_be_asked_about_after_undo_restart_and_load() -> None:
    game = new_session()
    assert ask(game, "key") == UNSEEN
    say(game, "e", "take key")
    game.undo()
    assert ask(game, "key") == "The brass key is there: Shed."
    game.undo()
    assert ask(game, "key") == "The brass key is there: Shed.", "what was seen can't be forgotten"
    say(game, "e", "w")
    loaded = new_session()
    loaded.resume(game.game())
    assert ask(loaded, "key") == ask(game, "key") == "The brass key is there: Shed."
    assert ask(loaded, "shed") == ask(game, "shed") and ask(loaded, "parlour") == UNSEEN
    game.restart()
    assert ask(game, "key") == "The brass key is there: Shed."


def test_what_is_known_comes_back_with_the_game() -> None:
    """What is known of a restored game is what was known of it when it was left."""
    world = inn()
    game = refereed(world)
    say(game, "open box", "take key and candle", "d", "light candle", "u", "unlock door with key")
    for _ in range(SEGMENT):
        say(game, "z")
    again = refereed(world)
    again.resume(game.game())
    assert again.known.kept == game.known.kept != refereed(world).known.kept
    assert "Cellar" in again.known.lit and "Kitchen" not in again.known.rooms
    known = Known(world)
    known.add({"names": ["troll"], "seen": ["troll"], "rooms": ["Nowhere"], "lit": ["Nowhere"]})
    assert known.kept == Known(world).kept, "nothing that the world hasn't"


def test_an_edited_world_has_other_names() -> None:
    known = Known(inn())
    known.seen, known.rooms, known.lit = {"candle", "cook"}, {"Cellar", "Vault"}, {"Vault"}
    known.go_on_in(inn(('"candle"', '"taper"'), ('"Vault"', '"Crypt"')))
    assert (known.seen, known.rooms, known.lit) == ({"cook"}, {"Cellar"}, set())


# -- as it is typed --------------------------------------------------------------------------------


def test_questions_go_between_commands_and_take_no_turn(tmp_path: Path) -> None:
    console = new_console(tmp_path, autosave=True)
    assert tell(console, "?lamp") == tell(console, "? where is the lamp?") == "You have the lamp.\n"
    text = tell(console, "east. ? brass key. west")
    assert "The brass key is there: Shed." in text and console.session.room == "Garden"
    assert console.session.turns == 2
    tell(console, "undo")
    assert tell(console, "? where am I") == "You are here: Shed.\n"
    tell(console, "quit")
    assert tell(console, "? key") == "The brass key is there: Shed.\n" and not console.finished


def test_full_stops_are_part_of_a_question(tmp_path: Path) -> None:
    """Names may hold them: what follows the mark is asked about, and nothing is done."""
    console = new_console(tmp_path)
    for asked in ("? Mr. East", "? lamp. east", "? .", "?. .", "? then"):
        assert tell(console, asked) == f"{UNSEEN}\n"
    assert console.session.turns == 0 and console.session.room == "Garden"
    assert tell(console, "? lamp.") == "You have the lamp.\n"
    tom = {"name": "Mr. Smith", "description": "A ghost.", "in": "Garden"}
    console = new_console(tmp_path, world=cottage(people=[tom]))
    assert tell(console, "? Mr. Smith") == "Mr. Smith is there: Garden.\n"


@pytest.mark.parametrize("typed", ["?", " ? ", "??", "? ?"])
def test_a_question_mark_alone_is_help(tmp_path: Path, typed: str) -> None:
    text = tell(new_console(tmp_path), typed)
    assert "Getting about" in text and "A question mark asks the game master" in text


def test_the_lines_are_shown_with_the_records(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    assert tell(console, "records on", "? lamp") == " lamp: you, portable.\nYou have the lamp.\n"
    assert tell(console, "records off", "? lamp") == "You have the lamp.\n"


def test_a_game_that_is_over_can_still_be_asked(tmp_path: Path) -> None:
    console = new_console(tmp_path)
    tell(console, *SOLUTION, "drop log")
    assert console.session.over
    assert tell(console, "? log") == "The dry log is there: Parlour.\n"


def test_a_pronoun_needs_something_named() -> None:
    game = new_session()
    assert ask(game, "it") == "I don't know yet what you mean by that; say the name."
    assert tell_all(game.ask("where is he")) == "I don't know yet who you mean; say the name."
