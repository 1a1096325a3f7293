"""Copy hints: what they name, and that they follow from the tokens alone."""

from __future__ import annotations

import dataclasses
import itertools
import random
import re
from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adventure.referee.players import CuriousPlayer, walk
from adventure.world.generate import random_world
from adventure.world.prompt import command_text, pack_text, reply_text
from engine.copyhints import (
    ABOUT,
    CHANNELS,
    CODES,
    DUE,
    ELSE,
    KEY,
    NEXT,
    NOUN,
    NOUN2,
    PLACE,
    RECORD,
    SEQUEL,
    TO,
    VALUE,
    CopyHints,
    HintConfig,
)

WORDS = (
    "\n : , . <|do|> <|say|> <|end|> <|of|> <|when|> if so say At the ( <|noun|> <|noun2|> "
    "<|key|> <|all|> <|last|> <|about|> <|first|> new was clock leads Clocks 0 nothing off "
    "go you worn holds exits Deeds game arrive light dark person You carry"
).split(" ")
CONFIG = HintConfig(
    **{f.name: i for i, f in enumerate(fields(HintConfig)) if f.type == "int"},
    carry=(WORDS.index("You"), WORDS.index("carry")),
)
NAMES = "RECORD SKIP VALUE KEY NOUN NOUN2 SEQUEL NEXT ELSE ABOUT TO PLACE DUE".split()


def tokens_of(text: str, words: list[str]) -> list[int]:
    """One id a word, a mark or a newline; new words are added to `words`."""
    found = re.findall(r"<\|\w+\|>|[\w'-]+|[^\w ]", text)
    words += [word for word in dict.fromkeys(found) if word not in words]
    return [words.index(word) for word in found]


def hints_after(text: str) -> dict[int, tuple[str, int]]:
    """Channel -> (hinted word, code) after the last token of `text`."""
    words = list(WORDS)
    ids, codes, _ = CopyHints.start(CONFIG).read(tokens_of(text, words))
    return {k: (words[ids[-1, k]], int(codes[-1, k])) for k in range(CHANNELS) if codes[-1, k]}


def follow(text: str, value: str) -> list[str]:
    """Which channel names each word of `value` first, written after `text`."""
    words = list(WORDS)
    start = len(tokens_of(text, words))
    tokens = tokens_of(text + value, words)
    ids, codes, _ = CopyHints.start(CONFIG).read(tokens)
    named = []
    for at in range(start, len(tokens)):
        hits = [k for k in range(CHANNELS) if codes[at - 1, k] and ids[at - 1, k] == tokens[at]]
        named.append(NAMES[hits[0]] if hits else f"({words[tokens[at]]})")
    return named


def names(channel: int, text: str, value: str) -> bool:
    """Whether the channel names every word of `value`, written after `text`."""
    words = list(WORDS)
    start = len(tokens_of(text, words))
    tokens = tokens_of(text + value, words)
    ids, codes, _ = CopyHints.start(CONFIG).read(tokens)
    before = range(start - 1, len(tokens) - 1)
    return all(codes[at, channel] and ids[at, channel] == tokens[at + 1] for at in before)


PACK = """say taken
You pick up<|noun|>.
say taken or
Yours:<|noun|>.
say barred
But<|key|> is<|last|>.
say carry
You have<|all|>.
say place
<|first|>
say misfit
You try<|noun2|> on<|noun|>.
say comes
In comes<|about|>.
lamp
It is lit.
Old Marta
She smiles.
<|when|> pull<|of|> red lever
if<|of|> gate<|of|> is not<|of|> open
<|when|> pull<|of|> red lever or
so<|of|> Old Marta<|of|> moves to<|of|> Far Cellar
say
A bell rings.
end
<|when|> pull<|of|> red lever or
if<|of|> lamp<|of|> carried
usual
end
You carry: lamp, old jar, key.
At: Hall, dark.
door key: brass key.
door: Hall, Far Cellar, locked.
Hall holds: lamp (lit), lamp post, door.
"""


# -- records ---------------------------------------------------------------------------------------


def test_record_is_copied_from_the_latest_with_that_key() -> None:
    moved = PACK + "At: Cellar.\n<|do|> look\n"
    assert hints_after(moved + "At")[RECORD] == (":", 1)
    assert hints_after(moved + "At:")[RECORD] == ("Cellar", 4)
    assert hints_after(PACK + "<|do|> look\nAt:")[RECORD] == ("Hall", 4)
    assert RECORD not in hints_after(moved + "Nowhere:")


def test_record_being_rewritten_is_copied_from_the_one_before() -> None:
    text = PACK + "<|do|> go<|of|> north\nAt: Hall, dark.\nAt:"
    assert hints_after(text)[RECORD] == ("Hall", 7)
    assert hints_after(text + " Cellar.\nAt:")[RECORD] == ("Cellar", 7)


def test_words_put_into_a_list_do_not_lose_the_place() -> None:
    at_end = PACK + "<|do|> take<|of|> ring\nYou carry: lamp, old jar, key, ring"
    assert hints_after(at_end)[RECORD] == (".", 4)


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("frost 2, old guard 5.", ["RECORD", "(2)", *["RECORD"] * 5]),
        ("ice, old guard 5.", ["(ice)", *["RECORD"] * 5]),
        ("last ice, old guard 5.", ["(last)", "(ice)", *["RECORD"] * 5]),
        ("frost, old guard 5.", ["RECORD", "(,)", *["RECORD"] * 4]),
        ("frost 3, old guard 4.", [*["RECORD"] * 5, "(4)", "RECORD"]),
    ],
)
def test_after_an_item_that_was_changed_the_next_is_as_it_was(value: str, named: list[str]) -> None:
    shelf = PACK + "Shelf holds: frost 3, old guard 5.\n<|do|> wait\nShelf holds:"
    assert follow(shelf, f" {value}") == named


RAN = PACK + "Clocks: frost 0, old guard 1, old ice 0, tide 7.\n<|do|> wait\n"


def test_clocks_go_on_item_by_item_without_those_that_have_run_out() -> None:
    named = follow(RAN + "Clocks:", " old guard 0, tide 6.")
    assert named == ["RECORD", "RECORD", "(0)", "RECORD", "RECORD", "(6)", "RECORD"]
    alone = PACK + "Clocks: frost 0.\n<|do|> wait\nClocks:"
    assert RECORD not in hints_after(alone), "there is nothing left to copy"


def test_what_the_turn_goes_on_with() -> None:
    """The clocks, then the blocks of those that ran out, one after the other, then the reply."""
    first, second = "<|when|> clock<|of|> frost\n", "<|when|> clock<|of|> old guard\n"
    ran = f"{first}end\n{second}end\n{RAN}"
    assert hints_after(ran)[DUE] == ("Clocks", 1)
    assert DUE not in hints_after(ran + "At:"), "in front of a line alone"
    text = ran + "Clocks: frost 0, old guard 0, old ice 0, tide 6.\n"
    assert names(DUE, text, first)
    text += first + "end\n"
    assert names(DUE, text, second)
    assert hints_after(text + second + "end\n")[DUE] == ("<|say|>", 1), "old ice has no block"
    assert hints_after(ran + "Clocks: old guard 1, tide 6.\n")[DUE] == ("<|say|>", 1)
    assert hints_after(text + "<|do|> wait\n")[DUE] == ("Clocks", 1), "a new turn has its own"


def test_where_the_game_ends_no_clock_goes_on() -> None:
    pack = "<|when|> ring<|of|> bell\nso<|of|> game<|of|> won\nend\n"
    turn = PACK + pack + "<|do|> ring<|of|> bell\n"
    assert hints_after(turn)[DUE] == ("Clocks", 1)
    assert hints_after(turn + pack.removesuffix("end\n"))[DUE] == ("<|say|>", 1)


def test_after_a_block_on_arrival_the_place_is_told() -> None:
    pack = "<|when|> arrive<|of|> Hall\nusual\n<|when|> look\nend\n"
    turn = PACK + pack + "<|do|> look\nAt: Hall.\nlamp: you.\n"
    assert names(KEY, turn + "<|when|> arrive<|of|> Hall\nusual\n", "Hall\n")
    assert KEY not in hints_after(turn + "<|when|> look\nend\n")
    told = turn + "<|when|> arrive<|of|> Hall\nusual\nHall\n"
    assert KEY not in hints_after(told), "once"


def test_on_arrival_the_places_block_is_named_and_not_at_a_look() -> None:
    block = "<|when|> arrive<|of|> Far Cellar\n"
    turn = f"{PACK}{block}usual\n<|do|> go<|of|> north\n"
    went = turn + "At: Hall.\nHall north: Far Cellar, story.\nAt: Far Cellar, story.\n"
    assert names(KEY, went, block) and names(KEY, went + "say place\n", block)
    stays = turn.replace("go<|of|> north", "look") + "At: Far Cellar, story.\n"
    assert KEY not in hints_after(stays)
    assert KEY not in hints_after(went.replace("At: Far", "At: Near")), "it has no block"


def test_what_is_told_to_the_player_is_no_record() -> None:
    told = "<|do|> look\nAt: Hall, dark.\n<|say|>At: Cellar.\n<|end|><|do|> look\n"
    assert hints_after(PACK + told + "At:")[RECORD] == ("Hall", 4)
    assert VALUE not in hints_after(PACK + told), "a turn begins without one"


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ("lamp, old jar, key.", ["RECORD"] * 7),
        ("old jar, key.", ["SKIP"] + ["RECORD"] * 4),
        ("lamp, key.", ["RECORD", "RECORD", "SKIP", "RECORD"]),
        ("lamp, old jar.", ["RECORD"] * 4 + ["SKIP"]),
    ],
)
def test_skip_leaves_any_one_item_out(value: str, named: list[str]) -> None:
    """From RECORD and SKIP alone the list without the item can be written."""
    assert follow(PACK + "<|do|> drop<|of|> it\nYou carry:", f" {value}") == named


def test_item_ahead_is_flagged_as_a_noun_of_the_command() -> None:
    one = PACK + "<|do|> drop<|of|> old jar\nYou carry:"
    assert hints_after(one)[RECORD] == ("lamp", 4)
    assert hints_after(one + " lamp")[RECORD] == (",", 5)
    assert hints_after(one + " lamp,")[RECORD] == ("old", 5)
    assert hints_after(one + " lamp, old")[RECORD] == ("jar", 5), "to its end"
    assert hints_after(one + " lamp, old jar,")[RECORD] == ("key", 4)
    two = PACK + "<|do|> unlock<|of|> door<|of|> brass key\ndoor key:"
    assert hints_after(two)[RECORD] == ("brass", 6)
    assert hints_after(PACK + "<|do|> unlock<|of|> door<|of|> key\ndoor key:")[RECORD][1] == 4
    at_once = PACK + "<|do|> take<|of|> lamp\nHall holds:"
    assert hints_after(at_once)[RECORD] == ("lamp", 5), "(lit) is no part of the name"
    assert hints_after(at_once + " lamp (lit),")[RECORD] == ("lamp", 4), "lamp post isn't lamp"


def test_item_ahead_is_flagged_as_the_place_or_the_object() -> None:
    look = PACK + "<|do|> look\nAt: Hall, dark.\ndoor:"
    assert hints_after(look)[RECORD] == ("Hall", 7)
    assert hints_after(PACK + "<|do|> look\ndoor:")[RECORD] == ("Hall", 4)
    moved = STEP + SECOND + "door: Hall"
    assert hints_after(moved)[RECORD] == (",", 8)
    assert hints_after(moved + ", Far Cellar")[RECORD] == (",", 4)
    text = (STEP + SECOND).replace("Hall holds: lamp (lit)", "Hall holds: Old Marta, lamp (lit)")
    assert hints_after(text + "Hall holds:")[RECORD] == ("Old", 2), "the subject"


def test_a_name_that_is_being_written_is_not_confused_with_another_lines() -> None:
    """`old jar` is the noun; of the records that begin with `old`, the last is another's."""
    text = PACK + "old jar: Hall.\nold oven: Hall.\n<|do|> take<|of|> old jar\n"
    assert hints_after(text + "old")[NOUN] == ("jar", 2)
    assert RECORD not in hints_after(text + "old")
    assert hints_after(text + "old jar")[RECORD] == (":", 1), "it is whole"
    agreed = PACK + "old oven: Hall.\nold jar: Hall.\n<|do|> take<|of|> old jar\n"
    assert hints_after(agreed + "old")[RECORD] == ("jar", 1)
    assert hints_after(PACK + "old oven: Hall.\n<|do|> look\nold")[RECORD] == ("oven", 1)


def test_no_record_has_its_own_key_for_a_value() -> None:
    """In `Copper Queen: Copper Lawn` the key's second word would be named beside the right one."""
    text = STEP + SECOND
    assert hints_after(text + "Old Marta")[ABOUT] == ("<|of|>", 2)
    assert ABOUT not in hints_after(text + "Old Marta: Old")
    assert hints_after(text + "Hall: Old")[ABOUT] == ("Marta", 2)
    taken = PACK + "<|do|> take<|of|> old jar\nAt: Hall.\n"
    assert NOUN not in hints_after(taken + "old jar:") and KEY not in hints_after(taken + "key:")
    assert hints_after(taken + "old jar: Hall.\n")[NOUN][0] == "old", "only in that line"


def test_last_record_of_the_turn_can_be_said_again() -> None:
    text = PACK + "<|do|> inventory\nAt: Hall, dark.\n"
    assert hints_after(text + "it:")[VALUE] == ("Hall", 1)
    assert VALUE not in hints_after(text), "no line begins with a room"
    assert KEY not in hints_after(text), "of At there is no more to say"
    assert hints_after(text + "it: Hall")[VALUE] == (",", 2)
    assert hints_after(text + "lamp: Hall.\nold jar: Hall.\n")[KEY] == ("old", 1)
    assert KEY not in hints_after(text + "Hall holds: key.\n"), "nor of a list"
    assert VALUE not in hints_after(PACK + "<|do|> inventory\n"), "the pack is no turn"


LISTS = PACK + "old jar: Hall, open.\nold jar holds: key.\nFar Cellar holds: old jar.\n"


def test_of_what_was_moved_both_lists_are_named() -> None:
    text = LISTS + "<|do|> take<|of|> key\nkey: old jar, brass.\n"
    assert hints_after(text)[VALUE] == ("old", 5)
    text += "old jar: Hall, open.\nkey: you, brass.\n"
    assert hints_after(text)[VALUE] == ("old", 1) and hints_after(text)[TO] == ("You", 1)
    assert names(VALUE, text, "old jar holds:")
    assert names(TO, text + "old jar holds: nothing.\n", "You carry:")
    listed = text + "old jar holds: nothing.\n"
    assert VALUE not in hints_after(listed) and hints_after(listed)[TO] == ("You", 1)
    assert TO not in hints_after(listed + "You carry: lamp, key.\n")


def test_where_something_was_is_what_another_turn_said() -> None:
    unread = LISTS + "key: Hall, brass.\n<|do|> wait\nkey: Far Cellar, brass.\n"
    assert names(VALUE, unread, "Hall holds:") and names(TO, unread, "Far Cellar holds:")


def test_the_lists_of_those_carried_and_of_nowhere() -> None:
    text = LISTS + "key: worn.\n<|do|> wait\n"
    assert names(VALUE, text + "key: Hall.\n", "You carry:")
    gone = hints_after(text + "key: nowhere.\n")
    assert gone[VALUE] == ("You", 1) and TO not in gone


def test_a_list_is_said_to_be_that_of_the_place() -> None:
    """Who leaves it or comes there is told."""
    text = LISTS + "Old Marta: Far Cellar.\n<|do|> wait\nAt: {}.\nOld Marta: Hall.\n"
    left, came = hints_after(text.format("Far Cellar")), hints_after(text.format("Hall"))
    assert left[VALUE] == ("Far", 6) and left[TO] == ("Hall", 1)
    assert came[VALUE] == ("Far", 1) and came[TO] == ("Hall", 6)
    assert KEY in came and came[KEY][0] != "say", "it isn't somebody"
    people = text.replace("Marta: Hall.", "Marta: Hall, person.")
    assert hints_after(people.format("Hall"))[KEY] == ("say", 7)
    assert KEY not in hints_after(people.format("Hall") + "say comes\n"), "once"
    assert hints_after(people.format("Elsewhere"))[KEY] == ("Old", 1)


def test_a_list_is_added_to_at_its_end() -> None:
    """Inside it no name is hinted."""
    text = PACK + "You carry: lamp, old oven.\n<|do|> take<|of|> {}\nYou carry:"
    for written in ("", " lamp", " lamp, ", " lamp, old"):
        assert NOUN not in hints_after(text.format("old jar") + written)
        assert NOUN not in hints_after(text.format("old oven") + written)
    after = text.format("old jar") + " lamp, old oven,"
    assert hints_after(after)[NOUN] == ("old", 1) and hints_after(after + "old")[NOUN][0] == "jar"
    empty = "You carry: nothing.\n<|do|> take<|of|> old jar\nYou carry:"
    assert hints_after(PACK + empty)[NOUN] == ("old", 1)


def test_of_a_light_that_is_switched_its_list_is_named() -> None:
    text = PACK + "fan: Hall, light, off.\n<|do|> on<|of|> fan\nfan: Hall, light, off.\n"
    assert VALUE not in hints_after(text)
    assert names(VALUE, text + "fan: Hall, light, on.\n", "Hall holds:")
    dull = text.replace("light", "switch")
    assert VALUE not in hints_after(dull + "fan: Hall, switch, on.\n"), "no list says so"


def test_in_the_dark_what_gives_light_is_looked_for_first() -> None:
    text = PACK + "<|do|> go<|of|> north\nAt: Hall, dark.\n"
    assert hints_after(text + "Hall")[PLACE] == (",", 2)
    text += "You carry: lamp.\n"
    assert names(KEY, text, "Hall holds:") and names(PLACE, text, "Hall north:")
    assert names(PLACE, text + "Hall holds: nothing.\n", "Hall north:")
    taken = text + "Hall holds: lamp.\nlamp: you.\nHall holds: nothing.\nYou carry: lamp.\n"
    assert KEY not in hints_after(taken), "that is over"


def test_a_clock_that_is_set_anew_may_take_the_place_of_the_last() -> None:
    block = "<|when|> ring<|of|> bell\nso<|of|> clock<|of|> tide<|of|> 8\nend\n"
    text = PACK + block + "<|when|> clock<|of|> tide\nend\n"
    text += "Clocks: frost 2, tide 3.\n<|do|> ring<|of|> bell\n"
    text += block.removesuffix("end\n") + "Clocks:"
    assert TO not in hints_after(text)
    assert names(TO, text + " frost 2,", " tide 8")
    first = text.replace("frost 2, tide 3", "tide 3, frost 2")
    assert TO not in hints_after(first) and names(TO, first + " frost 2,", " tide 8")


def test_only_a_list_of_clocks_is_one() -> None:
    text = PACK + "Clocks Inn: Far Cellar, bread 0.\n<|do|> look\nAt: Far Cellar.\nClocks Inn:"
    assert hints_after(text)[RECORD] == ("Far", 7)
    assert hints_after(text + " Far")[RECORD] == ("Cellar", 7)


def test_a_name_begins_where_names_begin() -> None:
    text = PACK + "<|do|> take<|of|> jar lid\n"
    assert NOUN not in hints_after(text + "old") and NOUN not in hints_after(text + "old jar")
    assert hints_after(text + "old: Hall,")[NOUN] == ("jar", 1)


def test_the_way_that_is_taken_is_named_whole() -> None:
    door = "Hall north: gate, a door.\ngate north: Far Cellar.\ngate: Hall, Far Cellar, open.\n"
    text = PACK + door + "<|do|> go<|of|> north\nAt: Hall.\n"
    assert names(PLACE, text, "Hall north:")
    text += "Hall north: gate, a door.\n"
    assert hints_after(text)[VALUE] == ("gate", 5)
    text += "gate: Hall, Far Cellar, open.\n"
    assert names(KEY, text, "gate north:")
    assert hints_after(text + "At: Far Cellar.\nFar Cellar")[PLACE] == (".", 2), "no way back"
    assert hints_after(PACK + door + "<|do|> look\nAt: Hall.\nHall")[PLACE] == (".", 2)


def test_the_place_is_that_of_the_turns_latest_at() -> None:
    text = PACK + "<|do|> go<|of|> north\n"
    assert PLACE not in hints_after(text)
    text += "At: Hall, dark.\n"
    assert hints_after(text)[PLACE] == ("Hall", 1)
    assert hints_after(text + "door: Hall, Far Cellar, open.\n")[PLACE] == ("Hall", 1)
    assert hints_after(text + "At: Far Cellar.\n")[PLACE] == ("Far", 1)
    assert hints_after(text + "At: Far Cellar.\nFar")[PLACE] == ("Cellar", 2)


# -- commands --------------------------------------------------------------------------------------


def test_nouns_of_the_command_can_be_said() -> None:
    text = PACK + "<|do|> unlock<|of|> old door<|of|> brass key\n"
    assert hints_after(text)[NOUN] == ("old", 1) and hints_after(text)[NOUN2] == ("brass", 1)
    assert hints_after(text + "old")[NOUN] == ("door", 2)
    assert hints_after(text + "it: brass")[NOUN2] == ("key", 2)
    assert hints_after(text + "it: brass, ")[NOUN2] == ("brass", 1)
    assert NOUN2 not in hints_after(PACK + "<|do|> take<|of|> lamp\n")
    assert NOUN not in hints_after(PACK + "<|do|> look\n")


def test_nothing_is_hinted_within_a_command() -> None:
    for text in ("<|do|>", "<|do|> take", "<|do|> take<|of|> old jar"):
        assert hints_after(PACK + text) == {}


def test_a_hint_that_record_gives_too_is_marked() -> None:
    text = PACK + "<|do|> look\nAt: Hall.\ndoor:"
    assert hints_after(text)[RECORD][0] == "Hall" and hints_after(text)[PLACE] == ("Hall", 3)
    assert hints_after(PACK + "<|do|> take<|of|> lamp post\nlamp")[NOUN] == ("post", 2)
    known = PACK + "lamp post: Hall.\n<|do|> take<|of|> lamp post\nlamp"
    assert hints_after(known)[NOUN] == ("post", 4)


# -- blocks ----------------------------------------------------------------------------------------

STEP = PACK + "<|do|> pull<|of|> red lever\nAt: Hall, dark.\n"
HEADING = "<|when|> pull<|of|> red lever\n"
CONDITION = "if<|of|> gate<|of|> is not<|of|> open\n"
OTHER = "<|when|> pull<|of|> red lever or\n"
SECOND = HEADING + CONDITION + "so<|of|> Old Marta<|of|> moves to<|of|> Far Cellar\n"


def test_who_comes_is_not_told_where_the_block_told_something() -> None:
    comes = "so<|of|> Old Marta<|of|> moves to<|of|> Hall\n"
    ring, other = "<|when|> ring<|of|> bell\n", "<|when|> ring<|of|> bell or\n"
    asks = "if<|of|> lamp<|of|> carried\n"
    clock = f"<|when|> clock<|of|> bread\n{comes}end\n"
    pack = f"{ring}say\nDing.\n{asks}{other}end\n{other}{comes}end\n{clock}Old Marta: Cellar.\n"
    turn = PACK + pack + "<|do|> ring<|of|> bell\nAt: Hall.\n"
    told = turn + ring + "say\n" + asks + "lamp: nowhere.\n" + other + comes
    assert hints_after(told + "Old Marta: Hall.\n")[TO] == ("Hall", 1), "in another of its parts"
    again = told + "end\nOld Marta: Cellar.\n<|when|> clock<|of|> bread\n" + comes
    assert hints_after(again + "Old Marta: Hall.\n")[TO] == ("Hall", 6), "another block"


def test_a_block_lists_what_its_line_is_about() -> None:
    text = STEP + SECOND + "Old Marta: you.\nYou carry: lamp, old jar, key,"
    assert hints_after(text)[ABOUT] == ("Old", 1) and NOUN not in hints_after(text)
    rest = STEP + SECOND + "say\nend\nYou carry: lamp, old jar, key,"
    assert hints_after(rest)[NOUN] == ("red", 1), "after it, what the command is"


def test_a_condition_without_a_subject_is_about_nothing() -> None:
    text = "<|when|> pull\nif\nend\n<|do|> pull\n<|when|> pull\nif\n"
    assert ABOUT not in hints_after(PACK + text)


def test_where_a_block_sent_the_player_is_told_at_its_end() -> None:
    pack = "<|when|> ring<|of|> bell\nso<|of|> you<|of|> go to<|of|> Hall\nsay\nDing.\nend\n"
    turn = PACK + pack + "<|do|> ring<|of|> bell\nAt: Cellar.\n" + pack.partition("say")[0]
    turn += "At: Hall.\nDeeds: nothing.\nsay\n"
    assert KEY not in hints_after(turn) and names(KEY, turn + "end\n", "At:")


def test_whoever_is_sent_to_where_they_are_does_not_take_the_way() -> None:
    block = "so<|of|> you<|of|> go to<|of|> Hall\nend\n"
    pack = f"Hall\nA hall.\nHall west: Yard.\n<|when|> go<|of|> west\n{block}"
    turn = f"{PACK}{pack}<|do|> go<|of|> west\nAt: Hall.\n"
    assert hints_after(turn + "Hall")[PLACE][0] == "west"
    sent = turn + "<|when|> go<|of|> west\n" + block.replace("end", "At: Hall.\nend")
    assert hints_after(sent + "At: Hall.\nsay place\nHall").get(PLACE, ("",))[0] != "west"


def test_a_block_is_followed_line_by_line() -> None:
    assert hints_after(STEP)[NEXT] == ("<|when|>", 1), "the heading of what the command does"
    assert hints_after(STEP + "<|when|> pull")[NEXT] == ("<|of|>", 4), "running, and RECORD's too"
    assert hints_after(STEP + HEADING)[NEXT] == ("if", 1)
    assert hints_after(STEP + SECOND)[NEXT] == ("say", 1)
    assert hints_after(STEP + SECOND + "say\n")[NEXT] == ("end", 1), "prose isn't said here"
    assert NEXT not in hints_after(STEP + SECOND + "say\nend\n")
    assert NEXT not in hints_after(PACK + "<|do|> pull<|of|> lever\n"), "nothing answers that"


def test_records_between_a_blocks_lines_do_not_lose_the_place() -> None:
    text = STEP + HEADING + CONDITION + "gate: shut.\n"
    assert hints_after(text)[NEXT] == ("so", 1) and hints_after(text)[ELSE] == ("<|when|>", 1)


def test_a_condition_that_fails_leads_to_the_line_after_it() -> None:
    text = STEP + HEADING + CONDITION
    assert ELSE not in hints_after(STEP + HEADING)
    assert {*follow(text, OTHER)} == {"ELSE", "RECORD"}
    assert hints_after(text + "<|when|> pull<|of|> red lever")[ELSE] == ("or", 2)
    assert hints_after(text + OTHER)[NEXT] == ("if", 1)
    other = text + OTHER + "if<|of|> lamp<|of|> carried\n"
    assert hints_after(other)[ELSE] == ("usual", 1) and hints_after(other)[NEXT] == ("end", 1)
    assert not {NEXT, ELSE} & hints_after(other + "usual\n").keys()


def test_subject_and_object_of_a_blocks_line_can_be_said() -> None:
    asked = hints_after(STEP + HEADING + CONDITION)
    assert asked[ABOUT] == ("gate", 1) and asked[TO] == ("open", 1)
    done = hints_after(STEP + SECOND)
    assert done[ABOUT] == ("Old", 1) and done[TO] == ("Far", 1)
    assert hints_after(STEP + SECOND + "Far")[TO] == ("Cellar", 2)
    text = STEP + HEADING + CONDITION + OTHER + "if<|of|> lamp<|of|> carried\n"
    assert hints_after(text)[ABOUT] == ("lamp", 1) and TO not in hints_after(text)


def test_a_line_without_an_object_of_its_own_has_what_comes_last() -> None:
    """`so deed X`: X is what is to be written into a list."""
    block = "<|when|> sing\nso<|of|> deed<|of|> old song\nend\n<|memory|>\n<|do|> sing\n"
    asked = PACK + block + "<|when|> sing\nso<|of|> deed<|of|> old song\n"
    assert hints_after(asked)[TO] == ("old", 1)


# -- what is told ----------------------------------------------------------------------------------


def told(turn: str) -> str:
    """What SEQUEL names, one word after the other, once the player is told something."""
    words = list(WORDS)
    read = CopyHints.start(CONFIG).read(tokens_of(PACK + turn + "<|say|>", words))
    said = list[str]()
    while not said or said[-1] != "<|end|>":
        ids, codes, value = read
        assert codes[-1, SEQUEL] == (2 if said else 1)
        said.append(words[ids[-1, SEQUEL]])
        read = value.read(ids[-1:, SEQUEL].tolist())
    return " ".join(said)


def test_prose_that_was_named_is_told() -> None:
    assert told("<|do|> examine<|of|> lamp\nAt: Hall, dark.\nlamp\n") == "It is lit . \n <|end|>"
    assert told("<|do|> wait\nlamp\nlamp\n") == "It is lit . \n It is lit . \n <|end|>"
    assert told(STEP.removeprefix(PACK) + SECOND + "say\nend\n") == "A bell rings . \n <|end|>"


@pytest.mark.parametrize(
    ("turn", "reply"),
    [
        ("<|do|> take<|of|> old jar\nsay taken\n", "You pick up the old jar ."),
        ("<|do|> take<|of|> old jar\nsay taken or\n", "Yours : the old jar ."),
        ("<|do|> unlock<|of|> door<|of|> key\nsay misfit\n", "You try the key on the door ."),
        ("<|do|> look\ndoor: Hall, locked.\nsay barred\n", "But the door is locked ."),
        ("<|do|> inventory\nYou carry: lamp, old jar.\nsay carry\n", "You have lamp , old jar ."),
        ("<|do|> inventory\nYou carry: nothing.\nsay carry\n", "You have nothing ."),
        ("<|do|> look\nAt: Far Cellar, dark.\nsay place\n", "Far Cellar"),
        ("<|do|> look\nAt: Far Cellar.\nsay place\n", "Far Cellar"),
        ("<|do|> look\nAt: Hall.\nsay barred\n", "But the At is Hall ."),
    ],
)
def test_marks_of_a_template_are_filled_in(turn: str, reply: str) -> None:
    assert told(turn) == f"{reply} \n <|end|>"


def test_marks_mean_what_they_mean_when_the_template_is_named() -> None:
    turn = STEP.removeprefix(PACK) + SECOND + "say comes\nYou carry: key.\nsay carry\n"
    assert told(turn) == "In comes the Old Marta . \n You have key . \n <|end|>"


def test_a_name_may_do_without_its_article() -> None:
    text = STEP + SECOND + "say comes\n<|say|>In comes"
    assert hints_after(text)[SEQUEL] == ("the", 2)
    assert hints_after(text + " Old")[SEQUEL] == ("Marta", 2), "left out"
    assert hints_after(text + " the")[SEQUEL] == ("Old", 2), "taken"
    assert SEQUEL not in hints_after(text + " Marta")


def test_a_name_with_a_capital_takes_no_article() -> None:
    words = list(WORDS)
    turn = tokens_of(STEP + SECOND + "say comes\n<|say|>In comes", words)
    config = dataclasses.replace(CONFIG, capitals=(words.index("Old"),))
    ids, codes, _ = CopyHints.start(config).read(turn)
    assert (words[ids[-1, SEQUEL]], codes[-1, SEQUEL]) == ("Old", 2)


def test_what_a_thing_is_in_is_marked_unless_it_is_a_room() -> None:
    text = PACK + "old jar: Hall, open.\n<|do|> take<|of|> key\n"
    assert hints_after(text + "key: old jar, brass.\n")[VALUE] == ("old", 5)
    assert hints_after(text + "key: old jar, brass.\nold")[VALUE] == ("jar", 4)
    assert VALUE not in hints_after(text + "key: Hall, brass.\n")
    assert VALUE not in hints_after(text + "key: old, brass.\n"), "only read whole"


def test_item_ahead_is_flagged_as_the_commands_verb() -> None:
    switch = PACK + "fan: Hall, off.\n"
    assert hints_after(switch + "<|do|> off<|of|> fan\nfan: Hall,")[RECORD] == ("off", 9)
    assert hints_after(switch + "<|do|> on<|of|> fan\nfan: Hall,")[RECORD] == ("off", 4)
    assert hints_after(switch + "<|do|> look\nfan: Hall,")[RECORD] == ("off", 4)


def block(*lines: str) -> str:
    """A pack with a block of these lines, and a turn that has just followed the first of them."""
    heading = "<|when|> pull<|of|> red knob or\n"
    return (
        "<|when|> pull<|of|> red knob\n"
        + "end\n"
        + heading
        + "".join(f"{line}\n" for line in (*lines, "end"))
        + f"{PACK}<|do|> pull<|of|> red knob\n{heading}{lines[0]}\n"
    )


def test_whether_a_block_is_new_has_the_key_of_its_own() -> None:
    for line in ("if<|of|> new", "so<|of|> new<|of|> becomes<|of|> old"):
        assert follow(block(line), "pull red knob or was:") == ["KEY"] * 6


def test_a_clock_that_a_rule_sets_is_put_into_the_list_with_its_turns() -> None:
    thing = block("so<|of|> clock<|of|> high tide<|of|> 4")
    assert TO in hints_after(thing + "clock:"), "moved, if there is no such clock"
    text = "<|when|> clock<|of|> high tide\nend\n" + thing
    assert follow(text + "Clocks:", " high tide 4") == ["TO"] * 3
    listed = text.replace("<|do|>", "Clocks: frost 3, high tide 2.\n<|do|>")
    assert hints_after(listed + "Clocks: frost 3,")[RECORD] == ("high", 8)
    stopped = listed.replace("<|of|> 4", "<|of|> off")
    assert hints_after(stopped + "Clocks: frost 3,")[RECORD] == ("high", 8)
    assert TO not in hints_after(stopped + "Clocks:"), "it isn't listed"


def test_a_clock_that_is_called_as_somebody_is_stays_in_the_list() -> None:
    """People who walk about have clocks of their names."""
    text = f"{PACK}Clocks: Marta 3, frost 2.\nHall holds: Marta, frost.\n<|do|> ask<|of|> Marta\n"
    assert hints_after(text + "Clocks:")[RECORD] == ("Marta", 4)
    assert hints_after(text + "Hall holds:")[RECORD] == ("Marta", 5), "whoever is asked may go"


def test_a_way_that_a_rule_makes_adds_its_direction_to_the_exits() -> None:
    text = block("so<|of|> Far Cellar east<|of|> leads<|of|> Hall")
    assert hints_after(text)[TO] == ("Hall", 1)
    made = text + "Far Cellar east: Hall.\n"
    assert hints_after(made + "Far Cellar exits: north,")[TO] == ("east", 1)
    for before, named in (("nothing", True), ("Yard", False)):  # a way that leads elsewhere now
        known = made.replace("<|do|>", f"Far Cellar east: {before}.\n<|do|>")
        assert (TO in hints_after(known)) == named


def test_what_follows_a_place_in_an_effect_is_an_item_of_the_record() -> None:
    text = block("so<|of|> you<|of|> go to<|of|> Far Cellar<|of|> dark<|of|> story")
    named = ["TO", "TO", "RECORD", "RECORD", "TO", "TO"]
    assert follow(text + "At:", " Far Cellar, dark, story") == named
    assert hints_after(text + "At: Far Cellar")[TO] == (",", 4)


def test_other_words_than_the_hinted_end_the_hints() -> None:
    text = PACK + "<|do|> examine<|of|> lamp\nlamp\n<|say|>"
    assert hints_after(text + "It")[SEQUEL] == ("is", 2)
    assert hints_after(text + "It was") == {} == hints_after(text + "It was lit")


def test_nothing_is_to_be_told_where_nothing_was_named() -> None:
    assert hints_after(PACK + "<|do|> wait\n<|say|>")[SEQUEL] == ("<|end|>", 2)
    turn = PACK + "<|do|> examine<|of|> lamp\nlamp\n<|say|>It is lit.\n<|end|>"
    assert hints_after(turn + "<|do|> wait\n<|say|>")[SEQUEL] == ("<|end|>", 2)


def test_nearly_all_that_a_master_says_is_named_by_a_hint() -> None:
    """So that a small network has only to choose; most of the rest are first words of a line."""
    named = told = 0
    for seed in range(4):
        words, world = list(WORDS), random_world(seed)
        tokens, said = tokens_of(pack_text(world), words), list[int]()
        for line, _, outcome in walk(world, CuriousPlayer(), random.Random(seed), 30):
            tokens += tokens_of(command_text(line), words)
            first = len(tokens)
            tokens += tokens_of(reply_text(outcome.lines, outcome.reply), words)
            said += range(first, len(tokens))
        ids, codes, _ = CopyHints.start(CONFIG).read(tokens)
        told += len(said)
        named += sum(any((ids[t - 1] == tokens[t]) & (codes[t - 1] > 0)) for t in said)
    assert named / told > 0.85


# -- values ----------------------------------------------------------------------------------------

MADE = "article end newline was colon when clock field clocks say at holds arrive tell".split()
tokens = st.lists(st.integers(0, 43), max_size=80)


def read(*parts: list[int]) -> tuple[np.ndarray, np.ndarray, CopyHints]:
    """Read in parts; the hints of all of them."""
    value, ids, codes = CopyHints.start(CONFIG), [], []
    for part in parts:
        i, c, value = value.read(part)
        ids.append(i)
        codes.append(c)
    return np.concatenate(ids), np.concatenate(codes), value


def same(a: tuple[np.ndarray, np.ndarray, CopyHints], b: tuple) -> bool:
    return bool((a[0] == b[0]).all() and (a[1] == b[1]).all() and a[2].tokens == b[2].tokens)


@settings(deadline=None)
@given(tokens)
def test_any_tokens_can_be_read(sequence: list[int]) -> None:
    ids, codes, value = read(sequence)
    assert ids.shape == codes.shape == (len(sequence), CHANNELS)
    assert ids.dtype == codes.dtype == np.int64
    assert ((codes >= 0) & (codes < CODES)).all() and (codes[:, 1:] < 8).all()
    assert (ids[codes == 0] == 0).all(), "no hint, no id"
    known = {*sequence, *CONFIG.carry, *(getattr(CONFIG, name) for name in MADE)}
    assert set(ids[codes > 0].tolist()) <= known, "a hint was read before, or belongs to a template"
    assert value.tokens == tuple(sequence) and len(value) == len(sequence)


def test_a_list_that_breaks_off_at_a_comma_can_be_read() -> None:
    read([1, 2, 7, 5, 7, 0, 2, 5, 1, 1, 1, 2, 2, 2, 0, 1])


@settings(deadline=None)
@given(tokens, st.lists(st.integers(0, 80), max_size=6))
def test_any_split_gives_the_same_hints(sequence: list[int], cuts: list[int]) -> None:
    at = sorted({0, len(sequence), *(min(cut, len(sequence)) for cut in cuts)})
    parts = [sequence[a:b] for a, b in itertools.pairwise(at)]
    assert same(read(*parts, []), read(sequence))


@settings(max_examples=50, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), tokens), max_size=8))
def test_branches_do_not_disturb_each_other(steps: list[tuple[int, list[int]]]) -> None:
    """Read on from any value, however old: it is as if nothing else had been read."""
    values, histories = [CopyHints.start(CONFIG)], [list[int]()]
    for which, more in steps:
        i = which % len(values)
        ids, codes, value = values[i].read(more)
        alone = read(histories[i], more)
        n = len(histories[i])
        assert same((ids, codes, value), (alone[0][n:], alone[1][n:], alone[2]))
        values.append(value)
        histories.append([*histories[i], *more])
    for value, history in zip(values, histories, strict=True):
        assert value.tokens == tuple(history)


def test_a_game_branches_anywhere_as_if_nothing_else_had_been_read() -> None:
    """The same with lines of a game, where there is more to be undone."""
    words = list(WORDS)
    turn = STEP.removeprefix(PACK) + SECOND + "At: Far Cellar.\nsay\nend\n<|say|>A bell rings.\n"
    other = "<|do|> look\nAt: Hall, dark.\ndoor: Hall, Far Cellar, open.\nAt: Hall.\nsay place\n"
    first, second = tokens_of(PACK + turn + other, words), tokens_of(other + turn + other, words)
    for cut in range(0, len(first), 7):
        value = read(first[:cut])[2]
        value.read(first[cut:])
        ids, codes, after = value.read(second)
        alone = read(first[:cut], second)
        assert same((ids, codes, after), (alone[0][cut:], alone[1][cut:], alone[2]))


def test_reading_leaves_the_value_as_it_was() -> None:
    before = read([22, 1, 23, 3, 0])[2]
    first = before.read([22, 1])
    other = before.read([4, 23, 0])
    again = before.read([22, 1])
    assert first[0][-1, RECORD] == 23 and same(first, again)
    assert before.tokens == (22, 1, 23, 3, 0)
    assert other[2].tokens == (22, 1, 23, 3, 0, 4, 23, 0)


def test_settings_are_kept_in_the_header_of_a_checkpoint() -> None:
    assert HintConfig.from_metadata(CONFIG.to_metadata()) == CONFIG
    assert HintConfig.from_metadata({}) is None


DAMAGED = [f'"bracket": {wrong}' for wrong in ('"14"', "null", "-14", "14.5", "true")]


@pytest.mark.parametrize(
    "damaged",
    ["", "[]", "{}", '{"newline": 1}']
    + [CONFIG.to_metadata()["hints"].replace('"bracket": 14', wrong) for wrong in DAMAGED]
    + [
        CONFIG.to_metadata()["hints"].replace('"capitals": []', f'"capitals": {wrong}')
        for wrong in ('"A"', "[-1]", "7", "null")
    ]
    + [
        CONFIG.to_metadata()["hints"].replace('"carry": [', f'"carry": [{w}, ')
        for w in ("-1", "{}")
    ],
)
def test_damaged_settings_are_an_error(damaged: str) -> None:
    with pytest.raises(ValueError):
        HintConfig.from_metadata({"hints": damaged})
