"""Text to ids and back: nothing is lost, and text comes out of a stream as it would at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import TokenizerError
from engine.tokenizer import StreamDecoder, Tokenizer, train_tokenizer

SPECIALS = ["<|say|>", "> ", "<é\n>"]
TEXTS = [
    " At: Glass Vault.\n Glass Vault holds: rusty key, lamp.\n",
    "> take rusty key\n<|say|>You take the rusty key, 12 times.\n",
] * 20


@pytest.fixture(scope="module")
def learned() -> Tokenizer:
    return train_tokenizer(TEXTS, 300, SPECIALS)


TOKENIZER = train_tokenizer(TEXTS, 300, SPECIALS)


@given(st.text())
@settings(deadline=None)
def test_every_text_comes_back(text: str) -> None:
    assert TOKENIZER.decode(TOKENIZER.encode(text)) == text


@given(st.binary())
@settings(deadline=None)
def test_bytes_that_are_latin_text_come_back(content: bytes) -> None:
    assert (
        TOKENIZER.decode(TOKENIZER.encode(content.decode("latin-1"))).encode("latin-1") == content
    )


@given(st.lists(st.integers(0, TOKENIZER.vocab - 1)))
@settings(deadline=None)
def test_a_stream_says_what_decoding_at_once_says(ids: list[int]) -> None:
    stream = StreamDecoder(TOKENIZER)
    pieces = [stream.push(i) for i in ids]
    assert "".join(pieces) + stream.flush() == TOKENIZER.decode(ids)
    assert stream.flush() == ""


def test_a_character_cut_between_tokens_is_held_back(learned: Tokenizer) -> None:
    ids = learned.encode("🙂!")
    stream = StreamDecoder(learned)
    pieces = [stream.push(i) for i in ids]
    assert len(ids) == 5 and pieces == ["", "", "", "🙂", "!"]
    stream.push(ids[0])
    assert stream.flush() == "\ufffd"


def test_special_tokens_are_known_in_text(learned: Tokenizer) -> None:
    assert [learned.id_of(s) for s in SPECIALS] == [0, 1, 2]
    ids = learned.encode("> look<|say|>A room.<é\n>")
    assert ids[0] == 1 and ids.count(0) == 1 and ids[-1] == 2
    assert learned.decode(ids) == "> look<|say|>A room.<é\n>"
    for missing in ("<|none|>", "key"):
        with pytest.raises(TokenizerError, match="no special token"):
            learned.id_of(missing)


def test_words_are_cut_alike_wherever_they_stand(learned: Tokenizer) -> None:
    inside = learned.encode(" holds: rusty key, lamp")
    key = learned.encode(" rusty key")
    assert any(inside[i : i + len(key)] == key for i in range(len(inside)))
    assert len(learned.encode(" 123")) == 3  # a digit with its space, then single digits
    assert len(learned.encode("\n\n")) == 2
    assert learned.bytes_of(learned.encode(" lamp")[-1]).endswith(b"p")
    assert not any(b"lamp." in learned.bytes_of(i) for i in range(learned.vocab))


def test_learning_is_repeatable_and_keeps_its_bounds(learned: Tokenizer) -> None:
    again = train_tokenizer(iter(TEXTS), 300, SPECIALS)
    assert again.hash == learned.hash and again.vocab == learned.vocab <= 300
    assert train_tokenizer(TEXTS, 290, SPECIALS).hash != learned.hash
    small = train_tokenizer(TEXTS, 256, [])
    assert small.vocab == 256 and small.decode(small.encode("é> lamp")) == "é> lamp"
    with pytest.raises(ValueError, match="vocab is 258, wanted at least 259"):
        train_tokenizer(TEXTS, 258, SPECIALS)
    # What stands in the specials isn't learned from: only their neighbours are.
    assert not any(b"say" in learned.bytes_of(i) for i in range(3, learned.vocab))


def test_through_a_file(learned: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text(learned.to_json(), encoding="utf-8")
    loaded = Tokenizer.from_file(path)
    text = "> take lamp\n<|say|>Taken: é.\n"
    assert loaded.hash == learned.hash and loaded.encode(text) == learned.encode(text)


def test_lone_surrogates_do_not_crash(learned: Tokenizer) -> None:
    assert learned.decode(learned.encode("a\udc80b")).strip("ab") == "\ufffd" * 3


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "No such file"),
        (b"", "is not a `tokenizers` JSON file"),
        (b'{"version": "1.0"', "is not a `tokenizers` JSON file"),
        (b"\xff\xfe", "is not UTF-8"),
        (
            b'{"model": {"type": "WordLevel", "vocab": {"two words": 0}, "unk_token": "x"}}',
            "not in the byte-level alphabet",
        ),
        (
            b'{"model": {"type": "WordLevel", "vocab": {"a": 0, "b": 7}, "unk_token": "x"}}',
            "ids must run from 0",
        ),
    ],
)
def test_files_that_are_no_tokenizers(tmp_path: Path, content: bytes | None, said: str) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(TokenizerError) as caught:
        Tokenizer.from_file(path)
    assert said in str(caught.value) and "\n" not in str(caught.value)
