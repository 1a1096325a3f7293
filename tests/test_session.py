"""Games played in words: what undo, AGAIN, OOPS, IT, ALL and chains of commands do to a session."""

from __future__ import annotations

import pytest
from fakes import SEGMENT, SOLUTION, cottage_with, fingerprint, new_session, say
from hypothesis import given, settings
from hypothesis import strategies as st

from adventure.play import course, phrases, session
from adventure.play.session import Session
from adventure.play.transcript import Cleaner, PlayedTurn, Transcript, clean


def test_the_game_can_be_won_and_then_says_so() -> None:
    game = new_session()
    say(game, *SOLUTION)
    assert (game.room, game.over) == ("Parlour", False)
    assert "The fire burns." in say(game, "drop log")
    assert game.over


def test_introduction_looks_round_without_moving_the_game() -> None:
    game = new_session(moody=True)
    before = fingerprint(game)
    pieces = list(game.introduction())
    assert [p.text for p in pieces[:2]] == [
        "The Cottage",
        "A very small adventure\nBy A. Tester",
    ]
    assert "Roses and rain." in "".join(p.text for p in pieces)
    assert fingerprint(game) == before


def test_undo_restores_everything_to_the_bit() -> None:
    """Also across the end of a segment, and with replies that draw on the randomness."""
    game = new_session(moody=True)
    marks = []
    for line in [*SOLUTION, "drop lamp and key", "look", "take it"]:
        marks.append(fingerprint(game))
        say(game, line)
    assert game.master.settled >= 2
    while marks:
        assert game.undo()
        assert fingerprint(game) == marks.pop()
    assert not game.undo()


def test_the_same_command_after_undo_has_the_same_reply() -> None:
    game = new_session(moody=True)
    first = say(game, "look")
    game.undo()
    assert say(game, "look") == first
    assert say(game, "look") != first


def test_undo_keeps_a_limited_number_of_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(course, "UNDO_TURNS", 5)
    game = new_session()
    say(game, *["look"] * 9)
    assert [game.undo() for _ in range(6)] == [True] * 5 + [False]
    assert game.turns == 4


def test_large_states_are_kept_for_fewer_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    game = new_session()
    monkeypatch.setattr(course, "UNDO_BYTES", 3 * game.position.state.nbytes)
    say(game, *["look"] * 9)
    assert len(game.past) == 3


def test_restart_is_a_new_game() -> None:
    game, fresh = new_session(moody=True), new_session(moody=True)
    say(game, "east", "take all")
    game.restart()
    assert fingerprint(game) == fingerprint(fresh)


def test_a_settled_segment_begins_anew() -> None:
    game = new_session()
    say(game, *["look"] * SEGMENT)
    assert (game.master.settled, game.position.turns) == (1, 0)


@pytest.mark.parametrize("stop", [1, 2, 5, 9])
def test_an_abandoned_turn_was_never_played(stop: int) -> None:
    game = new_session(moody=True)
    say(game, "east")
    before = fingerprint(game)
    pieces = game.play("take key")
    for _ in range(stop):
        next(pieces)
    pieces.close()  # type: ignore[attr-defined]
    assert fingerprint(game) == before
    assert "brass key" not in say(game, "inventory")


def test_ctrl_c_inside_the_master_leaves_the_game_as_it_was() -> None:
    game = new_session(moody=True)
    say(game, "east")
    before = fingerprint(game)
    calls = iter(range(100))

    def interrupt() -> None:
        if next(calls) == 4:
            raise KeyboardInterrupt

    game.master.before_piece = interrupt
    with pytest.raises(KeyboardInterrupt):
        say(game, "take key")
    game.master.before_piece = lambda: None
    assert fingerprint(game) == before


# -- shorthand -----------------------------------------------------------------------------------


def test_again_repeats_the_last_command() -> None:
    game = new_session()
    assert say(game, "g") == "There is nothing to do again yet."
    assert say(game, "east", "take key", "drop key", "g") == "You don't have the brass key.\n"
    assert say(game, "look", "again") == say(game, "look")


def test_again_means_the_very_same_thing() -> None:
    """Also where the words would mean several things by now, and for verbs of the world's own."""
    things = [
        {"name": "red ball", "description": "Rubber.", "in": "Garden"},
        {"name": "blue ball", "description": "Glass.", "in": "Shed"},
    ]
    rules = [{"when": "juggle|red ball|lamp", "say": "Up they go."}]
    game = new_session(world=cottage_with(things=things, rules=rules))
    say(game, "take ball. east. drop ball")
    assert game.last == "drop red ball"
    assert say(game, "g") == "You don't have the red ball.\n"  # nor is it asked which
    assert say(game, "juggle red ball with lamp", "again") == "Up they go.\n"
    assert lines_of(game)[-2:] == ["juggle|red ball|lamp"] * 2


def test_it_is_the_noun_named_last() -> None:
    game = new_session()
    assert say(game, "take it") == "I don't know yet what you mean by that; say the name."
    say(game, "east", "x brass key", "look", "take it")
    assert "brass key" in say(game, "inventory")
    say(game, "undo it")  # rejected: IT stays
    assert say(game, "drop it") == "Dropped: the brass key.\n"


def test_undo_takes_it_and_again_back_too() -> None:
    game = new_session()
    say(game, "east", "x key", "x ring")
    game.undo()
    assert game.noun == "brass key"
    assert say(game, "g") == "Small and bright.\n"


@pytest.mark.parametrize(
    ("typed", "line"),
    [
        (["unlock", "door", "key"], "unlock|green door|brass key"),
        (["go", "to the west"], "go|west"),
        (["take", "log"], "take|dry log"),
        (["take", "west"], "go|west"),
        (["lantern", "drop"], "drop|lamp"),
        (["drop", "all"], "drop|lamp"),
    ],
)
def test_a_question_can_be_answered_with_a_word(typed: list[str], line: str) -> None:
    game = new_session()
    say(game, "east", *typed)
    assert game.transcript.last and game.transcript.last.line == line
    assert game.turns == 2


def far_chart() -> Session:
    """The cottage, with a chart in its shed that a word of the garden's prose half names."""
    chart = {"name": "sea chart", "description": "Soundings.", "in": "Shed", "synonyms": ["map"]}
    return new_session(world=cottage_with(things=[chart]))


@pytest.mark.parametrize("typed", ["x sea", "x map", "take chart", "put sea in map"])
def test_half_a_name_tells_nothing_of_what_is_far_away(typed: str) -> None:
    game = far_chart()
    assert say(game, typed) == "You can see nothing like that here."
    assert say(game, "x sea chart") == "You can't see the sea chart here.\n"


def test_what_has_been_seen_is_known_by_half_its_name_also_after_a_save_and_undo() -> None:
    game = far_chart()
    say(game, "east", "west")
    known = "You can't see the sea chart here.\n"
    assert say(game, "x sea") == known
    loaded = far_chart()
    loaded.resume(game.game())
    assert say(loaded, "x map") == known
    game.undo()
    game.undo()
    game.undo()
    assert say(game, "x map") == known, "what has been read can't be forgotten"


def test_of_two_only_the_one_that_was_seen_is_meant() -> None:
    things = [
        {"name": f"{c} chart", "description": c, "in": where, "synonyms": ["map"]}
        for c, where in (("red", "Garden"), ("blue", "Shed"))
    ]
    game = new_session(world=cottage_with(things=things))
    say(game, "take map", "drop map", "east")
    assert say(game, "take map") == "Taken: the blue chart.\n"
    say(game, "drop map", "west. take map. east")
    assert say(game, "x map").startswith("Which do you mean, the red chart or the blue chart")


def test_in_the_dark_the_game_master_answers() -> None:
    chart = {"name": "sea chart", "description": "Soundings.", "in": "Shed"}
    world = cottage_with(things=[chart])
    rooms = [r.model_copy(update={"dark": r.name == "Shed"}) for r in world.rooms]
    game = new_session(world=world.model_copy(update={"rooms": tuple(rooms)}))
    assert "dark" in say(game, "east", "x chart")
    assert game.turns == 2


def test_an_answer_chooses_among_what_was_asked_about() -> None:
    """And only the next input is an answer."""
    colours = [{"name": f"{c} ball", "description": "Round.", "in": "you"} for c in ("red", "blue")]
    far = {"name": "blue hat", "description": "Felt.", "in": "you"}
    game = new_session(world=cottage_with(things=[*colours, far]))
    assert say(game, "x ball") == "Which do you mean, the red ball or the blue ball?"
    say(game, "blue")
    assert game.last == "examine blue ball"
    say(game, "x ball", "xyzzy")
    assert "What do you want to do with" in say(game, "red")


def lines_of(game: session.Session) -> list[str]:
    return [turn.line for turn in game.transcript]


def test_to_open_with_a_key_is_two_turns_and_one_to_undo() -> None:
    game = new_session()
    say(game, "east", "take key", "west")
    mark = fingerprint(game)
    assert "A hearth, cold and black." in say(game, "open door with key. north")
    assert lines_of(game)[3:] == [
        "unlock|green door|brass key",
        "open|green door",
        "go|north",
    ]
    say(game, "south", "close it", "open it with key")  # it isn't locked any more
    assert lines_of(game)[-3:] == ["go|south", "close|green door", "open|green door"]
    while game.turns > 3:
        game.undo()
    assert fingerprint(game) == mark
    say(game, "open door with brass key")
    assert game.last == "open green door with brass key"
    game.undo()
    assert fingerprint(game) == mark


def test_what_to_open_with_can_be_answered() -> None:
    game = new_session()
    say(game, "east", "take key", "west")
    assert say(game, "open door with") == "What do you want to open the green door with?"
    assert say(game, "key") == (
        "You unlock the green door with the brass key.\nYou open the green door.\n"
    )


def test_what_can_not_be_unlocked_is_not_opened() -> None:
    game = new_session()
    assert "You try the lamp on the green door" in say(game, "open door with lamp. look")
    assert lines_of(game) == ["unlock|green door|lamp"]
    assert "You can't do that with" in say(game, "east", "open workbench with lamp")
    assert lines_of(game)[-1] == "open|workbench"


def test_oops_corrects_the_unknown_word_and_goes_on() -> None:
    game = new_session()
    assert say(game, "oops key") == "Sorry, that can't be corrected."
    assert 'the word "kye"' in say(game, "east. take kye. drop it")
    assert say(game, "oops") == "Think nothing of it."
    say(game, "take kye then drop it", "oops key")
    assert [turn.line for turn in game.transcript][1:] == ["take|brass key", "drop|brass key"]
    assert say(game, "oops key") == "Sorry, that can't be corrected."


def test_commands_can_be_chained() -> None:
    game = new_session()
    say(game, "e. take key, then take log then w")
    assert game.room == "Garden"
    assert [turn.line for turn in game.transcript] == [
        "go|east",
        "take|brass key",
        "take|dry log",
        "go|west",
    ]


def test_each_command_of_a_chain_is_undone_by_itself() -> None:
    game = new_session()
    say(game, "e. take key")
    game.undo()
    assert (game.room, game.items("You carry")) == ("Shed", ("lamp",))


@pytest.mark.parametrize("failing", ["xyzzy", "take moon", "north", "take workbench", "take hinge"])
def test_a_failure_drops_the_rest_of_the_line(failing: str) -> None:
    """Rejections by the parser, and refusals by the master: an action that changed no record."""
    game = new_session()
    say(game, f"east. {failing}. west")
    assert game.room == "Shed"


def test_take_all_takes_what_can_be_carried_as_one_turn_to_undo() -> None:
    game = new_session()
    assert say(game, "take all") == "There is nothing here to take."
    assert say(game, "drop all but lamp") == "You have nothing to drop."
    text = say(game, "east", "take all")
    assert [line.split(":")[0] for line in text.split("\n") if line] == [
        "brass key",
        "dry log",
        "gold ring",
    ]
    assert game.items("You carry") == ("lamp", "brass key", "dry log", "gold ring")
    assert (game.score, game.max_score) == (5, 5)
    game.undo()
    assert game.items("You carry") == ("lamp",)


def test_drop_all_and_exceptions_and_lists() -> None:
    game = new_session()
    say(game, "east", "take everything but the ring")
    assert game.items("You carry") == ("lamp", "brass key", "dry log")
    say(game, "drop all except lantern and log")
    assert game.items("You carry") == ("lamp", "dry log")
    say(game, "take brass key, gold ring and workbench")
    assert game.items("You carry") == ("lamp", "dry log", "brass key", "gold ring")
    say(game, "drop key and moon")  # nothing is done by halves
    assert "brass key" in game.items("You carry")


def test_an_action_that_ends_the_game_ends_the_list() -> None:
    game = new_session()
    say(game, *SOLUTION, "drop log and lamp")
    assert game.over
    assert "lamp" in game.items("You carry")


def test_what_may_be_completed_is_what_has_been_read() -> None:
    game = new_session()
    list(game.introduction())
    assert "green door" in game.known.names
    assert not game.known.names & {"brass key", "gold ring", "lamp", "lantern"}
    say(game, "inventory")
    assert "lamp" in game.known.names


def test_the_words_of_a_rejection_cost_no_turn() -> None:
    game = new_session()
    before = fingerprint(game)
    for line in ["", ".", "xyzzy", "take", "take moon", "unlock door", "oops", "g", "it"]:
        say(game, line)
    assert fingerprint(game) == before


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.text(max_size=60),
            st.lists(
                st.sampled_from(
                    "take drop x all it them g oops lamp key ring n e w . , then and but".split()
                ),
                max_size=8,
            ).map(" ".join),
        ),
        max_size=8,
    )
)
def test_whatever_is_typed_undo_leads_back(lines: list[str]) -> None:
    game = new_session(moody=True)
    before = fingerprint(game)[0]
    say(game, *lines)
    while game.undo():
        assert game.turns < 200
    assert fingerprint(game)[0] == before


# -- transcript and text -------------------------------------------------------------------------


def test_the_transcript_keeps_what_was_typed_said_and_recorded() -> None:
    game = new_session()
    say(game, "east", "get the KEY")
    turn = game.transcript.last
    assert turn is not None
    assert (turn.typed, turn.line, turn.reply) == (
        "get the KEY",
        "take|brass key",
        "Taken: the brass key.",
    )
    assert turn.records[:2] == (" At: Shed.", " brass key: Shed, portable.")


def test_a_transcript_counts_the_turns_that_it_does_not_have() -> None:
    turns = [PlayedTurn(f"t{i}", "look", "", ()) for i in range(3)]
    kept = Transcript(before=40)
    assert (len(kept), kept.last, list(kept)) == (40, None, [])
    for turn in turns:
        kept.append(turn)
    assert (len(kept), list(kept)) == (43, turns)
    kept.cut(41)
    assert (len(kept), list(kept)) == (41, turns[:1])
    kept.cut(30)  # UNDO, back to before it was restored
    assert (len(kept), list(kept)) == (30, [])


@pytest.mark.parametrize(
    ("dirty", "text"),
    [
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link", "link"),
        ("be\x07ep\x00\x9b2J", "beep"),
        ("a\tb\r\nc\rd", "a b\ncd"),
        ("\u202egnol\u2066", "gnol"),
        ("half \ud800", "half "),
        ("na\u00efve \u2014 \u732b", "na\u00efve \u2014 \u732b"),
    ],
)
def test_control_characters_never_reach_the_page(dirty: str, text: str) -> None:
    assert clean(dirty) == text


@pytest.mark.parametrize("step", [1, 2, 3, 5])
def test_text_in_pieces_is_cleaned_as_a_whole(step: int) -> None:
    dirty = "a\x1b[31mred\x1b[0m\r\n\x1b]8;;http://x\x1b\\link\x9b2J, \u732b\x07."
    cleaner = Cleaner()
    pieces = [cleaner.push(dirty[at : at + step]) for at in range(0, len(dirty), step)]
    assert "".join(pieces) == clean(dirty) == "ared\nlink, \u732b."


def test_phrases() -> None:
    assert phrases.commands_of("n. e; look and then w.") == ["n", "e", "look", "w"]
    assert phrases.commands_of("then") == [""]
    assert phrases.commands_of("open the thenar door") == ["open the thenar door"]
    assert phrases.several("take lamp") is None
    assert phrases.with_person("ask him about her hat, give her the cap", "Jo") == (
        "ask Jo about her hat, give Jo the cap"
    )


@pytest.mark.parametrize(
    ("text", "many"),
    [
        ("put down all", ("drop", True, ("",), "", "")),
        ("put all down", ("drop", True, ("",), "", "")),
        ("pick everything up", ("take", True, ("",), "", "")),
        ("get all but hat and cap from the box", ("take", True, ("hat", "cap"), "from", "the box")),
        ("take hat and cap out of box", ("take", False, ("hat", "cap"), "out of", "box")),
        ("drop all in box", ("put", True, ("",), "in", "box")),
        ("put hat, cap and pin on shelf", ("put", False, ("hat", "cap", "pin"), "on", "shelf")),
        ("put on hat and cap", ("wear", False, ("hat", "cap"), "", "")),
        ("take off everything", ("remove", True, ("",), "", "")),
        ("give all to Jo", ("give", True, ("",), "to", "Jo")),
        ("put all", ("put", True, ("",), "", "")),
    ],
)
def test_what_is_said_of_several_things(
    text: str, many: tuple[str, bool, tuple[str, ...], str, str]
) -> None:
    assert phrases.several(text) == phrases.Several(*many)


@pytest.mark.parametrize(
    "text", ["take hat", "put hat in box", "get in", "put out fire and lamp up", "throw all at Jo"]
)
def test_what_is_about_one_thing_or_none(text: str) -> None:
    assert phrases.several(text) is None


def test_pronouns_in_a_text() -> None:
    assert phrases.with_noun("put it with them, Kit", "a\\1") == "put a\\1 with a\\1, Kit"


def test_a_turn_that_the_master_never_finishes_leaves_the_game_as_it_was(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    game = new_session(moody=True)
    ask, before = game.master.turn, fingerprint(game)

    def lose(*given):  # type: ignore[no-untyped-def]
        turn = ask(*given)
        turn.lost = True
        return turn

    monkeypatch.setattr(game.master, "turn", lose)
    assert "lost the thread" in say(game, "wait")
    assert fingerprint(game) == before
