"""Text to ids and back: nothing is lost, and text comes out of a stream as it would at once."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import TokenizerError
from engine.tokenizer import (
    END_OF_TEXT,
    PADDING,
    VOCAB_20B,
    StreamDecoder,
    Tokenizer,
    open_tokenizer,
    split_utf8,
    train_tokenizer,
)

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


# -- 20B -------------------------------------------------------------------------------------------


def like_20b(vocab: int = 0) -> dict[str, Any]:
    """JSON of 20B's form: NFC, two special tokens, the bytes, merges, runs of spaces; as filler,
    tokens that no merge comes to, until there are `vocab`."""
    alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
    merges = [("Ġ", "t"), ("h", "e"), ("Ġt", "he"), ("Ã", "©")]
    words = [END_OF_TEXT, "<|padding|>", *alphabet, *("".join(pair) for pair in merges)]
    runs = [" " * n for n in range(24, 1, -1)]
    filler = (a + b + c for a in alphabet for b in alphabet for c in "xyz")
    while len(words) + len(runs) < vocab:
        word = next(filler)
        if word not in words[:300]:
            words.append(word)
    added = [(0, END_OF_TEXT, True), (1, "<|padding|>", True)]
    added += [(len(words) + n, run, False) for n, run in enumerate(runs)]
    level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {
                "id": i,
                "content": text,
                "special": special,
                "normalized": not special,
                "single_word": False,
                "lstrip": False,
                "rstrip": False,
            }
            for i, text, special in added
        ],
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": level,
        "post_processor": level,
        "decoder": level,
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "vocab": {word: i for i, word in enumerate(words)},
            "merges": [" ".join(pair) for pair in merges],
        },
    }


NEOX_JSON = json.dumps(like_20b())
NEOX, NEOX_PEER = Tokenizer.from_json(NEOX_JSON), tokenizers.Tokenizer.from_str(NEOX_JSON)


# Which normal form later characters have depends on the release of Python or of `tokenizers`.
SETTLED = st.characters(max_codepoint=0xFFFF).filter(
    lambda c: unicodedata.ucd_3_2_0.category(c) not in ("Cn", "Cs")
)


@given(st.one_of(st.text(SETTLED), st.text("e\u0301 \u212bĀ\u1100\u1161the\n")))
@settings(deadline=None)
def test_text_comes_back_from_20b_in_nfc(text: str) -> None:
    ids = NEOX.encode(text)
    assert NEOX.decode(ids) == unicodedata.normalize("NFC", text)
    assert ids == NEOX_PEER.encode(text).ids
    assert NEOX_PEER.decode(ids, skip_special_tokens=False) == NEOX.decode(ids)


def test_what_20b_makes_of_spaces_and_marks() -> None:
    run = {n: NEOX.encode(" " * n)[0] for n in (2, 24)}
    assert NEOX.encode("e\u0301 the" + " " * 26 + "!") == [
        NEOX.encode("é")[0], NEOX.encode(" the")[0], run[24], run[2], NEOX.encode("!")[0]
    ]  # fmt: skip
    assert NEOX.encode(f"{END_OF_TEXT}the")[0] == NEOX.id_of(END_OF_TEXT) == 0
    with pytest.raises(TokenizerError, match="no special token"):
        NEOX.id_of("  ")  # added, but as text


def test_only_20b_may_have_rows_to_spare(learned: Tokenizer) -> None:
    neox = Tokenizer.from_json(json.dumps(like_20b(VOCAB_20B)))
    assert neox.vocab == VOCAB_20B
    for rows in (VOCAB_20B, 50_304, 50_432, VOCAB_20B + PADDING - 1):
        neox.check_fits(rows)
    assert neox.decode([rows - 1, *neox.encode("é"), 50_303]) == "é"
    for rows in (VOCAB_20B - 1, VOCAB_20B + PADDING, 65_536):
        with pytest.raises(TokenizerError, match=f"has 50277 tokens and the model {rows};"):
            neox.check_fits(rows)
    for one in (learned, NEOX):
        one.check_fits(one.vocab)
        for rows in (one.vocab - 1, one.vocab + 1):
            with pytest.raises(TokenizerError, match=f"and the model {rows}; put"):
                one.check_fits(rows)
        with pytest.raises(IndexError):
            one.bytes_of(one.vocab)


@given(st.binary(), st.integers(0, 20))
@settings(deadline=None)
def test_bytes_split_at_a_character(data: bytes, at: int) -> None:
    first, cut = split_utf8(data[:at])
    second, rest = split_utf8(cut + data[at:])
    assert first + second + rest.decode("utf-8", "replace") == data.decode("utf-8", "replace")
    assert len(rest) < 4


# -- beside a checkpoint ---------------------------------------------------------------------------


def test_a_tokenizer_beside_the_checkpoint(learned: Tokenizer, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text(learned.to_json(), encoding="utf-8")
    checkpoint = tmp_path / "model.safetensors"
    checkpoint.touch()
    for path in (checkpoint, str(checkpoint), tmp_path, tmp_path / "another.pth"):
        assert open_tokenizer(path, learned.vocab).hash == learned.hash
    with pytest.raises(TokenizerError, match=r"and the model 65536; put the model's own"):
        open_tokenizer(checkpoint, 65_536)


@pytest.mark.parametrize(
    ("vocab", "said"),
    [
        (300, "put the model's own tokenizer.json there"),
        (50_277, "put 20B_tokenizer.json under the name tokenizer.json there"),
        (50_304, "put 20B_tokenizer.json under the name tokenizer.json there"),
    ],
)
def test_no_tokenizer_beside_the_checkpoint(tmp_path: Path, vocab: int, said: str) -> None:
    with pytest.raises(TokenizerError) as caught:
        open_tokenizer(tmp_path / "model.pth", vocab)
    message = str(caught.value)
    assert f"for a model of {vocab} tokens; {said}." in message and str(tmp_path) in message
