"""What players type: one canonical line for each of many ways to say it, or why not."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workshop import TESTS, workshop

from adventure.referee.rules import RULES, play, start
from adventure.world.grammar import KNOWN_VERBS, LONGEST, Command, Rejection, parse
from adventure.world.pack import World, load_world, make_world
from adventure.world.verbs import (
    ANSWERED,
    BARE,
    BARE_OF,
    BY_NAME,
    PARTICLES,
    VERB_OF,
    VERBS,
)

WORLD = workshop()
HERE = (
    *("Workshop", "window", "shavings", "oak door", "low hatch", "Old Marta", "bench", "tin box"),
    *("wicker basket", "radio", "tongs", "anvil", "notice", "great clock", "dial", "oil lamp"),
    *("felt hat", "brass key", "bread", "milk"),
)
"""What a session gives the parser at the start of the game."""


def read(typed: str, near: tuple[str, ...] = HERE, world: World = WORLD) -> str:
    """The canonical lines, or the parser's words in brackets."""
    said = parse(typed, world, near)
    return " + ".join(said.lines) if isinstance(said, Command) else f"[{said.text}]"


# -- every phrase that verbs.py knows --------------------------------------------------------------

NOUN_FOR = {
    "talk": "Old Marta", "ask": "Old Marta", "tell": "Old Marta", "wake": "Old Marta",
    "feed": "bread", "lift": "notice", "search": "shavings", "enter": "wicker basket",
}  # fmt: skip
OTHER_FOR = {"give": "Old Marta", "show": "Old Marta", "ask": "clock", "tell": "glue"}
EXPECTED = {
    "ask": "ask|Old Marta|clock",
    "tell": "tell|Old Marta|glue",
    "read": "examine|anvil",
    "turn": "turn|anvil",
    "tie": "tie|anvil|bench",
    "dig": "dig",
    "climb up": "go|up",
}


@pytest.mark.parametrize("phrase", VERB_OF)
def test_every_phrase(phrase: str) -> None:
    verb = BY_NAME[VERB_OF[phrase]]
    noun = NOUN_FOR.get(verb.name, "anvil")
    link, other = verb.links[0], OTHER_FOR.get(verb.name, "bench")
    two = verb.needs_other
    typed = f"{phrase} the {noun} {link} the {other}" if two else f"{phrase} the {noun}"
    line = f"{verb.name}|{noun}|{other}" if two else f"{verb.name}|{noun}"
    assert read(typed) == EXPECTED.get(phrase, EXPECTED.get(verb.name, line))


@pytest.mark.parametrize("phrase", BARE_OF)
def test_every_phrase_without_a_noun(phrase: str) -> None:
    assert read(phrase) == BARE_OF[phrase]
    assert read(f"{phrase.upper()}!") == BARE_OF[phrase]


@pytest.mark.parametrize(("words", "name"), PARTICLES.items())
def test_every_particle_stands_behind_its_noun(words: tuple[str, str], name: str) -> None:
    line = {"lift": "take|bench", "dig": "dig"}.get(name, f"{name}|bench")
    assert read(f"{words[0]} the bench {words[1]}") == line


def test_what_the_game_answers_is_what_the_rules_answer() -> None:
    assert {*ANSWERED} == {*RULES} - {*BARE, "go"}
    assert len(VERB_OF) == sum(len(verb.phrases) for verb in VERBS), "no phrase means two verbs"


# -- many ways to say the same ---------------------------------------------------------------------

SAYINGS = {
    "go|north": "north|n|N|go north|walk north|run n|go to the north|head  north|step north!",
    "go|northeast": "ne|northeast|go ne",
    "go|up": "u|up|upstairs|climb|climb up|go upstairs|climb up the wall|go up the stairs|"
    "enter low hatch|go through hatch|walk to the low hatch",
    "go|down": "d|down|climb down|go down the ladder|go downwards",
    "go|in": "in|enter|go in|go inside|inside",
    "go|out": "out|exit|leave|outside|go out|leave the workshop|get out|get out of here|exit shop",
    "look": "look at workshop|x the workshop|examine room",
    "take|tongs": "take tongs|take the tongs|pick tongs up|get my tongs|take tongs from the bench|"
    "take tongs off bench|get tongs out of the basket|lift tongs|lift the tongs up|pick up tongs|"
    "take tongs from workshop|take “tongs”|TAKE   TONGS.|take 'tongs'",
    "drop|tongs": "drop tongs|put tongs down|put the tongs on the floor|set tongs down|"
    "leave tongs here|throw tongs away|drop tongs on the ground|leave tongs",
    "put|tongs|bench": "put tongs on bench|place tongs on top of the bench|set tongs on the bench|"
    "drop tongs on bench|hang tongs upon bench|stick tongs onto the bench",
    "examine|anvil": "x anvil|look at the anvil|l at anvil|look anvil|read anvil|search anvil|"
    "look under the anvil|look behind anvil|look in anvil|look through anvil|x anvil on bench",
    "examine|window": "x window|look out of the window|look through window|look at the pane",
    "unlock|oak door|brass key": "unlock oak door with brass key|unlock the door using the key|"
    "use brass key on oak door|use key with oak door",
    "unlock|oak door|brass key + open|oak door": "open oak door with brass key|"
    "open the door using key",
    "lock|oak door|brass key": "lock oak door with brass key|close oak door with brass key",
    "open|oak door": "open oak door|push the oak door open|pull oak door open",
    "open|tin box": "open box|open the tin",
    "on|oil lamp": "turn on lamp|turn lamp on|light lamp|light lamp with tongs|"
    "switch the oil lamp on|light the light",
    "off|oil lamp": "turn off lamp|put the lamp out|blow out lamp|extinguish the lamp|"
    "blow lamp out",
    "wear|felt hat": "wear hat|put on hat|put hat on|put my hat on",
    "remove|felt hat": "take off hat|take hat off|remove the felt hat",
    "give|bread|Old Marta": "give bread to marta|give marta the bread|give bread marta|"
    "offer old marta bread|hand bread to her|feed bread to marta|feed marta bread|"
    "feed marta with bread",
    "show|tongs|Old Marta": "show tongs to marta|show marta the tongs|show her the tongs",
    "feed|errand boy": "feed boy|feed the errand boy",
    "talk|Old Marta": "talk to marta|hello|hi|talk|greet marta|say hello|say hello to marta|"
    "marta, hello|Old Marta, good morning|speak with her|hello marta|say good morning to marta",
    "ask|Old Marta|clock": "ask marta about clock|ask about the clock|ask old marta about great "
    "clock|marta, tell me about the clock|talk to marta about the clock|say clock to marta|"
    "say clock|ask her about clock|tell marta about the clock",
    "tell|Old Marta|glue": "tell marta about glue|tell about glue|ask marta about glue|"
    "say glue to marta",
    "ask|Old Marta|anything": "ask marta about rain|ask for tongs|ask marta for the tongs",
    "wind up|great clock": "wind up clock|wind clock up|wind clock|turn clock|crank great clock",
    "turn|dial": "turn dial|turn dial to seven|turn the dial to the left|set dial to nine|"
    "set dial|rotate dial",
    "pull|radio": "pull radio|pull on the radio|pull radio down|tug at radio|pull radio out",
    "push|anvil": "push anvil|move anvil|push against the anvil|push anvil over",
    "pour|milk": "pour milk|pour milk out|pour out milk|empty milk out|pour milk on bench",
    "touch|anvil": "touch anvil|pet anvil|pat the anvil",
    "sit|bench": "sit on bench|lie on bench|lie in bench|sit bench|lie down on the bench",
    "mail|notice": "mail notice|post notice|send the notice to marta|post notice in box",
    "knock|oak door": "knock on oak door|knock at the oak door|knock oak door",
    "climb|bench": "climb bench|climb on bench|climb up on the bench|climb onto bench",
    "enter|wicker basket": "enter basket|get in the basket|get into basket|board basket",
    "dig": "dig|dig here|dig hole|dig a hole|dig with tongs|dig in the ground",
    "sing": "sing|sing a song|sing loudly",
    "shout": "shout|shout loudly|yell for help",
    "jump": "jump|jump up and down|leap",
    "dance": "dance|dance wildly|say dance",
    "sesame": "sesame|say sesame|Sesame!",
}


@pytest.mark.parametrize(
    ("typed", "line"),
    [(t, line) for line, sayings in SAYINGS.items() for t in sayings.split("|")],
)
def test_many_ways_to_say_the_same(typed: str, line: str) -> None:
    assert read(typed) == line


REJECTED = {
    "": "I beg your pardon?",
    "  \t ": "I beg your pardon?",
    "?!": "I beg your pardon?",
    "the": "I beg your pardon?",
    "yes": "There is nothing to say yes or no to; say what you want to do.",
    "x me": "You are as you always were.",
    "take myself": "You had better leave yourself out of it.",
    "take": "What do you want to take?",
    "take the": "What do you want to take?",
    "x": "What do you want to examine?",
    "look at": "What do you want to look at?",
    "knock": "What do you want to knock on?",
    "sit": "What do you want to sit on?",
    "drop my": "What do you want to drop?",
    "say": "What do you want to say?",
    "say to marta": "What do you want to say?",
    "ask": "Whom do you want to ask?",
    "ask marta": "What do you want to ask Old Marta about?",
    "tell marta about": "What do you want to tell Old Marta about?",
    "ask anvil about clock": "The anvil has nothing to tell you.",
    "ask tongs about clock": "The tongs have nothing to tell you.",
    "give tongs": "Whom do you want to give the tongs to?",
    "tie tongs": "What do you want to tie the tongs to?",
    "put tongs": "Where do you want to put the tongs?",
    "put tongs in": "Where do you want to put the tongs?",
    "unlock": "What do you want to unlock?",
    "unlock with brass key": "What do you want to unlock?",
    "unlock oak door": "What do you want to unlock the oak door with?",
    "open oak door with": "What do you want to open the oak door with?",
    "go": "Which way do you want to go?",
    "walk to the": "Which way do you want to go?",
    "go yard": "Which way? Name a direction, such as north or up.",
    "enter the yard": "Which way? Name a direction, such as north or up.",
    "enter the anvil": "Which way? Name a direction, such as north or up.",
    "go through the window": "Which way? Name a direction, such as north or up.",
    "go north and east": "Which way? Name a direction, such as north or up.",
    "take sword": 'I don\'t know the word "sword".',
    "take tonsg": 'I don\'t know the word "tonsg"; did you mean "tongs"?',
    "x shavngs": 'I don\'t know the word "shavngs"; did you mean "shavings"?',
    "put tongs in baskte": 'I don\'t know the word "baskte"; did you mean "basket"?',
    "x spannr": 'I don\'t know the word "spannr".',
    "take café": 'I don\'t know the word "café".',
    "unlock oak door with sword": 'I don\'t know the word "sword".',
    "x swallows": "You don't need to trouble yourself with that.",
    "look east": "You don't need to trouble yourself with that.",
    "look at yard": "You don't need to trouble yourself with that.",
    "tkae tongs": 'I don\'t know how to "tkae"; did you mean "take"?',
    "dnace": 'I don\'t know how to "dnace". (HELP lists what you can say.)',
    "z z": 'I understood that only as far as "z".',
    "inventory lamp": 'I understood that only as far as "inventory".',
    "xyzzy": 'I don\'t know how to "xyzzy". (HELP lists what you can say.)',
    "иди на север": 'I don\'t know how to "иди". (HELP lists what you can say.)',
    "brass key": "What do you want to do with the brass key?",
    "take wicker tongs": "You don't need to trouble yourself with that.",
    "x" * (LONGEST + 1): f"That is 201 characters long; say it in {LONGEST}.",
    "take " * 2000: f"That is 10,000 characters long; say it in {LONGEST}.",
}


@pytest.mark.parametrize("typed", REJECTED, ids=lambda typed: typed[:30])
def test_what_is_not_understood_is_said_to_be_so(typed: str) -> None:
    assert read(typed) == f"[{REJECTED[typed]}]"


@pytest.mark.parametrize(
    ("typed", "answer", "line"),
    [
        ("take", "tongs", "take|tongs"),
        ("give tongs", "marta", "give|tongs|Old Marta"),
        ("give tongs to", "old marta", "give|tongs|Old Marta"),
        ("unlock with brass key", "oak door", "unlock|oak door|brass key"),
        ("unlock oak door", "the brass key", "unlock|oak door|brass key"),
        ("put tongs", "basket", "put|tongs|wicker basket"),
        ("ask", "marta about clock", "ask|Old Marta|clock"),
        ("ask marta", "the clock", "ask|Old Marta|clock"),
        ("say", "clock to marta", "ask|Old Marta|clock"),
        ("go yard", "east", "go|east"),
        ("knock", "oak door", "knock|oak door"),
        ("anvil", "push", "push|anvil"),
    ],
)
def test_a_question_is_completed_by_its_answer(typed: str, answer: str, line: str) -> None:
    said = parse(typed, WORLD, HERE)
    assert isinstance(said, Rejection)
    assert read(said.completed(answer)) == line


# -- which of several ------------------------------------------------------------------------------

WHICH_KEY = "Which do you mean, the brass key or the iron key?"
WHOM = "Whom do you mean, Old Marta or the errand boy?"


@pytest.mark.parametrize(
    ("typed", "near", "read_as"),
    [
        ("take key", ("brass key",), "take|brass key"),
        ("take key", ("iron key", "oak door"), "take|iron key"),
        ("take key", ("tongs",), f"[{WHICH_KEY}]"),
        ("take key", ("iron key", "brass key"), f"[{WHICH_KEY}]"),
        ("take iron key", ("brass key",), "take|iron key"),
        ("x window", ("window",), "examine|window"),
        ("x window", ("window ledge",), "examine|window"),
        ("x window", (), "examine|window"),
        ("x ledge", ("window",), "examine|window ledge"),
        ("open box", ("tin box",), "open|tin box"),
        ("hello", ("errand boy",), "talk|errand boy"),
        ("hello", ("anvil",), "[There is nobody here to talk to.]"),
        ("ask about clock", ("errand boy", "Old Marta"), f"[{WHOM}]"),
        ("hello", (), "[Whom do you mean?]"),
        ("enter oak door", ("Store", "oak door"), "go|south"),
        ("enter oak door", ("oak door",), "[Which way? Name a direction, such as north or up.]"),
    ],
)  # fmt: skip
def test_what_is_at_hand_is_meant(typed: str, near: tuple[str, ...], read_as: str) -> None:
    assert read(typed, near) == read_as


TABLE = tomllib.loads((TESTS / "packs" / "workshop" / "world.toml").read_text(encoding="utf-8"))


def with_things(*names: str, **keys: object) -> World:
    things = [{"name": n, "description": "It is.", "in": "Yard", **keys} for n in names]
    return make_world({**TABLE, "things": [*TABLE["things"], *things]})


def test_of_several_the_one_that_the_verb_fits_is_meant() -> None:
    world = with_things("tin cup", drinkable=True)
    near = ("tin cup", "tin box")
    assert read("open tin", near, world) == "open|tin box"
    assert read("drink tin", near, world) == "drink|tin cup"
    assert read("x tin", near, world).startswith("[Which do you mean")


def test_an_answer_to_which_of_several_completes_the_command() -> None:
    said = parse("unlock oak door with key", WORLD, ("oak door", "brass key", "iron key"))
    assert isinstance(said, Rejection) and said.among == ("brass key", "iron key")
    assert parse(said.completed("iron"), WORLD, said.among) == Command(
        "unlock|oak door|iron key", "oak door"
    )


def test_three_that_could_be_meant_are_listed() -> None:
    said = read("take key", (), with_things("bone key"))
    assert said == "[Which do you mean, the brass key, the iron key or the bone key?]"


def test_a_whole_name_is_meant_before_a_part_of_one() -> None:
    world = with_things("key", "lamp stand")
    assert parse("take key", world, ["brass key"]) == Command("take|key", "key")
    assert parse("take oil lamp", world, ["lamp stand"]) == Command("take|oil lamp", "oil lamp")


def test_a_synonym_of_something_far_gives_way_to_a_part_of_a_name_at_hand() -> None:
    world = with_things("crate", synonyms=["key"])
    assert read("x key", (), world) == "examine|crate"
    assert read("x key", ("brass key",), world) == "examine|brass key"


def test_every_thing_can_be_named_whatever_words_are_in_its_name() -> None:
    names = ["my hat", "hat", "man of straw", "man", "jack-in-the-box", "pin-up", "jar of dust"]
    names += ["sailor's chest", "o'brien's pipe", "letter from Ann", "put-away bed"]
    world = with_things(*names)
    for name in names:
        for verb in ("take", "drop", "examine", "open"):
            assert read(f"{verb} {name.upper()}", (), world) == f"{verb}|{name}"
        unlocked = f"unlock|oak door|{name}"
        assert read(f"unlock oak door with {name}", (), world) == unlocked


def test_a_world_s_own_word_for_a_verb_is_for_that_word_and_for_its_kind() -> None:
    rules = [
        {"when": "board|anvil", "say": "Aboard."},
        {"when": "get on|bench", "say": "On."},
        {"when": "taste|milk", "say": "Sour."},
        {"when": "look through|window", "say": "The yard."},
        {"when": "plug in|radio", "say": "It hums."},
        {"when": "plug|oil lamp|radio", "say": "It doesn't go in."},
        {"when": "burn|notice", "say": "It burns."},
        {"when": "swim", "in": "Yard", "say": "Splash."},
    ]
    world = make_world({**TABLE, "rules": [*TABLE["rules"], *rules]})
    said = {
        "board anvil": "board|anvil", "enter anvil": "board|anvil", "get in anvil": "board|anvil",
        "get on bench": "get on|bench", "get in bench": "get on|bench",
        "taste milk": "taste|milk", "eat milk": "eat|milk",
        "look through window": "look through|window", "x window": "examine|window",
        "plug in radio": "plug in|radio", "plug radio in": "plug in|radio",
        "plug radio": "plug in|radio", "plug lamp into radio": "plug|oil lamp|radio",
        "burn notice": "burn|notice", "light notice": "burn|notice",
        "set fire to notice": "burn|notice", "light notice with lamp": "burn|notice",
        "swim in the milk": "swim", "swim": "swim",
    }  # fmt: skip
    assert {typed: read(typed, HERE, world) for typed in said} == said


# -- what always holds -----------------------------------------------------------------------------


def test_it_will_be_the_thing_a_command_was_about() -> None:
    said = {"unlock oak door with brass key": "oak door", "give marta bread": "bread", "n": ""}
    for typed, noun in said.items():
        command = parse(typed, WORLD, HERE)
        assert isinstance(command, Command) and command.noun == noun


def test_control_characters_only_part_words() -> None:
    assert parse("take\x00iron\x1bkey\r\n", WORLD) == Command("take|iron key", "iron key")


def test_every_known_verb_is_understood() -> None:
    for verb in KNOWN_VERBS:
        more = ("", " anvil", " north", " marta about clock", " anvil on bench", " basket")
        assert any(not read(f"{verb}{rest}").startswith("[") for rest in more), verb


@pytest.mark.parametrize("name", ["lantern", "mercy", "purkiss", "rulenine", "wednesday"])
def test_what_is_read_as_a_command_can_be_typed_again(name: str) -> None:
    """AGAIN types a command's own phrase; every rule of a pack answers to one."""
    world = load_world(TESTS.parent / "worlds" / name)
    near = tuple(world.names)
    for do, line in world.alias.items():
        if not do.startswith(("ask|", "tell|")):
            said = parse(Command(do).phrase, world, near)
            assert isinstance(said, Command) and line in said.lines, do


@settings(deadline=None, max_examples=200)
@given(st.text(max_size=LONGEST + 2))
def test_any_text_has_an_answer(text: str) -> None:
    said = parse(text, WORLD)
    assert said.text if isinstance(said, Rejection) else said.line


KNOWN_WORDS = sorted(
    {word for verb in KNOWN_VERBS for word in verb.split()}
    | {word for names in WORLD.names.values() for name in names for word in name.split()}
    | {"the", "with", "in", "on", "north", "up", "to", "away", "down", "about", "set", "her"}
)


@settings(deadline=None, max_examples=150)
@given(st.lists(st.sampled_from(KNOWN_WORDS), max_size=6).map(" ".join))
def test_what_is_understood_can_be_played_and_said_again(text: str) -> None:
    said = parse(text, WORLD, HERE)
    if isinstance(said, Command):
        assert parse(said.phrase, WORLD, HERE) == said
        for line in said.lines:
            play(WORLD, start(WORLD), line)
