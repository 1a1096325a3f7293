"""Copy hints: what they name, and that they follow from the tokens alone."""

from __future__ import annotations

import itertools
import random
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adventure.referee.players import CuriousPlayer, walk
from adventure.world.generate import random_world
from adventure.world.prompt import command_text, pack_text, reply_text
from engine.copyhints import (
    CHANNELS,
    CODES,
    KEY,
    NOUN,
    NOUN2,
    RECORD,
    SEQUEL,
    VALUE,
    CopyHints,
    HintConfig,
)

WORDS = ["\n", ":", ",", ".", "<|do|>", "<|say|>", "<|end|>", "with"]
CONFIG = HintConfig(
    newline=0, colon=1, comma=2, stop=3, command=4, say=5, end=6, preposition=7
)  # fmt: skip
NAMES = ("RECORD", "SKIP", "VALUE", "KEY", "NOUN", "NOUN2", "SEQUEL")


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


PACK = """You carry: lamp, old jar, key.
At: Hall.
door key: brass key.
lamp
It is lit.
door: locked.
"""


# -- what each channel names -----------------------------------------------------------------------


def test_record_is_copied_from_the_latest_with_that_key() -> None:
    moved = PACK + "At: Cellar.\n<|do|> look\n"
    assert hints_after(moved + "At")[RECORD] == (":", 1)
    assert hints_after(moved + "At:")[RECORD] == ("Cellar", 4)
    assert hints_after(PACK + "<|do|> look\nAt:")[RECORD] == ("Hall", 4)
    assert RECORD not in hints_after(moved + "Nowhere:")


def test_record_being_rewritten_is_copied_from_the_one_before() -> None:
    text = PACK + "<|do|> go north\nAt: Hall.\nAt:"
    assert hints_after(text)[RECORD] == ("Hall", 4)
    assert hints_after(text + " Cellar.\nAt:")[RECORD] == ("Cellar", 4)


def test_words_put_into_a_list_do_not_lose_the_place() -> None:
    at_end = PACK + "<|do|> take ring\nYou carry: lamp, old jar, key, ring"
    assert hints_after(at_end)[RECORD] == (".", 4)


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
    assert follow(PACK + "<|do|> drop it\nYou carry:", f" {value}") == named


def test_item_ahead_is_flagged_as_the_first_or_second_noun() -> None:
    one = PACK + "<|do|> drop old jar\nYou carry:"
    assert hints_after(one)[RECORD] == ("lamp", 4)
    assert hints_after(one + " lamp")[RECORD] == (",", 5)
    assert hints_after(one + " lamp,")[RECORD] == ("old", 5)
    assert hints_after(one + " lamp, old")[RECORD] == ("jar", 4)
    two = PACK + "<|do|> unlock door with brass key\ndoor key:"
    assert hints_after(two)[RECORD] == ("brass", 6)
    assert hints_after(PACK + "<|do|> unlock door with key\ndoor key:")[RECORD] == ("brass", 4)


def test_nouns_of_the_command_can_be_said() -> None:
    text = PACK + "<|do|> unlock old door with brass key\n"
    assert hints_after(text)[NOUN] == ("old", 1) and hints_after(text)[NOUN2] == ("brass", 1)
    assert hints_after(text + "old")[NOUN] == ("door", 2)
    assert hints_after(text + "The brass")[NOUN2] == ("key", 2)
    assert hints_after(text + "The brass old")[NOUN2] == ("brass", 1)
    assert NOUN2 not in hints_after(PACK + "<|do|> take lamp\n")
    assert NOUN not in hints_after(PACK + "<|do|> look\n")


def test_last_record_of_the_turn_can_be_said_again() -> None:
    text = PACK + "<|do|> inventory\nAt: Hall.\n"
    assert hints_after(text)[VALUE] == ("Hall", 1)
    assert hints_after(text)[KEY] == ("At", 1)
    assert hints_after(text + "<|say|> You are in the")[VALUE] == ("Hall", 1)
    assert hints_after(text + "You carry: lamp.\nHall holds: key.\n")[KEY] == ("Hall", 1)
    assert VALUE not in hints_after(PACK + "<|do|> inventory\n"), "the pack is no turn"


def test_what_is_said_to_the_player_is_no_record_of_the_turn() -> None:
    text = PACK + "<|do|> look\nAt: Hall.\n<|say|> Exits: north.\n"
    assert hints_after(text)[VALUE] == ("Hall", 1)


def test_sequel_of_a_line_is_what_followed_it_before() -> None:
    text = PACK + "<|do|> examine lamp\nlamp\n"
    assert hints_after(text)[SEQUEL] == ("It", 1)
    assert hints_after(text + "<|say|> It")[SEQUEL] == ("is", 4), "running, and RECORD's too"
    assert SEQUEL not in hints_after(text + "<|say|> You")
    again = text + "<|say|> It is lit.\n<|end|> <|do|> examine lamp\nlamp\n<|say|>"
    assert hints_after(again)[SEQUEL] == ("It", 1), "the mark between them is passed over"


def test_a_hint_that_record_gives_too_is_marked() -> None:
    text = PACK + "<|do|> take lamp\nYou carry:"
    assert hints_after(text)[RECORD][0] == "lamp" == hints_after(text)[NOUN][0]
    assert hints_after(text)[NOUN][1] == 3
    assert hints_after(PACK + "<|do|> take old jar\nYou carry: lamp, old")[NOUN] == ("jar", 4)


def test_nothing_is_hinted_within_a_command() -> None:
    for text in ("<|do|>", "<|do|> take", "<|do|> take old jar"):
        assert hints_after(PACK + text) == {}


def test_nearly_all_that_a_master_says_is_named_by_a_hint() -> None:
    """So that a small network has only to choose; the rest are first words and fixed phrases."""
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
    assert named / told > 0.8


# -- values ----------------------------------------------------------------------------------------

tokens = st.lists(st.integers(0, 11), max_size=80)


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
    assert ((codes >= 0) & (codes < CODES)).all() and (codes[:, 1:] < 5).all()
    assert (ids[codes == 0] == 0).all(), "no hint, no id"
    assert set(ids[codes > 0].tolist()) <= set(sequence), "a hint was read before"
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


def test_reading_leaves_the_value_as_it_was() -> None:
    before = read([8, 1, 9, 3, 0])[2]
    first = before.read([8, 1])
    other = before.read([4, 9, 0])
    again = before.read([8, 1])
    assert same(first, again)
    assert before.tokens == (8, 1, 9, 3, 0) and other[2].tokens == (8, 1, 9, 3, 0, 4, 9, 0)


def test_settings_are_kept_in_the_header_of_a_checkpoint() -> None:
    assert HintConfig.from_metadata(CONFIG.to_metadata()) == CONFIG
    assert HintConfig.from_metadata({}) is None


@pytest.mark.parametrize(
    "damaged",
    ["", "[]", "{}", '{"newline": 1}', CONFIG.to_metadata()["hints"].replace("4", '"4"')]
    + [CONFIG.to_metadata()["hints"].replace("4", wrong) for wrong in ("null", "-4", "4.5")],
)
def test_damaged_settings_are_an_error(damaged: str) -> None:
    with pytest.raises(ValueError):
        HintConfig.from_metadata({"hints": damaged})
