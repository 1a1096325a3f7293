"""World: the longest token always wins, all bytes come back, and the real one is the peer's."""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import world_tokenizer
from engine.errors import TokenizerError
from engine.tokenizer import END_OF_TEXT, StreamDecoder, Tokenizer, open_tokenizer
from engine.world_tokenizer import (
    PATTERN,
    ROWS,
    VOCABULARY,
    WorldTokenizer,
    installed_vocabulary,
)

BYTES = [bytes([b]) for b in range(256)]
WORDS = ["ab", "abcd", "bc", "cde", " the", " there", "é", "\U0001f642", "\n\n", '"', "'q"]
TOKENS = [*BYTES, *(w.encode() for w in WORDS if len(w.encode()) > 1), b"\xf0\x9f", b"\x82\xac "]
WORLD = WorldTokenizer(TOKENS)


def line(number: int, token: bytes) -> str:
    """As it stands in a vocabulary file."""
    try:
        literal = repr(token.decode())
    except UnicodeDecodeError:
        literal = repr(token)
    return f"{number} {literal} {len(token)}"


def a_file(folder: Path, name: str = VOCABULARY, newline: str = "\n") -> Path:
    path = folder / name
    text = "\n".join(line(i, token) for i, token in enumerate(TOKENS, 1)) + "\n"
    path.write_text(text, encoding="utf-8", newline=newline)
    return path


def longest_match(data: bytes) -> list[bytes]:
    """The rule, as plainly as it can be said."""
    out, known = [], set(TOKENS)
    while data:
        n = max(n for n in range(1, len(data) + 1) if data[:n] in known)
        out, data = [*out, data[:n]], data[n:]
    return out


BITS = st.lists(st.sampled_from([*TOKENS[256:], b"a", b"d", b"\x82", b" "])).map(b"".join)


@given(st.one_of(st.binary(), BITS))
@settings(deadline=None)
def test_the_longest_token_wins_and_all_bytes_come_back(data: bytes) -> None:
    ids = WORLD.encode_bytes(data)
    assert [WORLD.bytes_of(i) for i in ids] == longest_match(data)
    assert WORLD.decode_bytes(ids) == data


@given(st.text())
@settings(deadline=None)
def test_text_comes_back(text: str) -> None:
    assert WORLD.decode(WORLD.encode(text)) == text


def test_a_longer_token_that_fails_late_falls_back_to_the_last_whole_one() -> None:
    assert [WORLD.bytes_of(i) for i in WORLD.encode("abce")] == [b"ab", b"c", b"e"]
    assert [WORLD.bytes_of(i) for i in WORLD.encode(" therx")] == [b" the", b"r", b"x"]
    assert [WORLD.bytes_of(i) for i in WORLD.encode("abc")] == [b"ab", b"c"]  # at the text's end
    assert WORLD.encode("") == [] and WORLD.encode("\x00") == [1]


@given(st.lists(st.integers(0, len(TOKENS) + 5)))
@settings(deadline=None)
def test_a_stream_says_what_decoding_at_once_says(ids: list[int]) -> None:
    stream = StreamDecoder(WORLD)
    assert "".join(stream.push(i) for i in ids) + stream.flush() == WORLD.decode(ids)


def test_a_character_cut_between_tokens_is_held_back() -> None:
    stream = StreamDecoder(WORLD)
    pieces = [*"\U0001f600€ !".encode()]
    ids = WORLD.encode_bytes(bytes(pieces))
    assert [stream.push(i) for i in ids] == ["", "", "\U0001f600", "", "€ ", "!"]


def test_the_end_and_rows_to_spare() -> None:
    n = len(TOKENS)
    assert WORLD.vocab == n + 1 and WORLD.id_of(END_OF_TEXT) == 0
    assert WORLD.decode([0, 66, n, n + 1, n + 300]) == "A" + TOKENS[-1].decode("utf-8", "replace")
    assert 0 not in WORLD.encode(END_OF_TEXT)  # as text it is text
    with pytest.raises(TokenizerError, match="no special token 'ab'"):
        WORLD.id_of("ab")
    WORLD.check_fits(n + 1)
    WORLD.check_fits(n + 512)
    for rows in (n, n + 513):
        with pytest.raises(TokenizerError, match=f"has {n + 1} tokens and the model {rows}; put"):
            WORLD.check_fits(rows)


def test_lone_surrogates_do_not_crash() -> None:
    assert WORLD.decode(WORLD.encode("a\udc80b")) == "a" + "\ufffd" * 3 + "b"


def test_through_a_file(tmp_path: Path) -> None:
    for newline in ("\n", "\r\n"):
        loaded = WorldTokenizer.from_file(a_file(tmp_path, newline=newline))
        assert loaded.hash == WORLD.hash and loaded.encode("abcd there") == WORLD.encode(
            "abcd there"
        )
    assert WorldTokenizer(TOKENS[:-1]).hash != WORLD.hash
    assert WorldTokenizer([*TOKENS[1:], TOKENS[0]]).hash != WORLD.hash
    # The same bytes one after the other, but other tokens.
    one, other = ([*BYTES, b"ab", b"abc"], [*BYTES, b"aba", b"bc"])
    assert WorldTokenizer(one).hash != WorldTokenizer(other).hash


@pytest.mark.parametrize(
    ("number", "text", "said"),
    [
        (1, "2 '\\x00' 1", "line 1 is"),
        (7, "7 '\\x06' 2", "line 7 is"),
        (7, "7 '\\x06'", "line 7 is"),
        (7, "seven '\\x06' 1", "line 7 is"),
        (7, "7 6 1", "line 7 is"),
        (7, "7 '' 0", "line 7 is"),
        (7, "", "line 7 is ''"),
        (7, "7 '\\ud800' 3", "line 7 is"),
        (7, "7 __import__('os').system('exit') 1", "line 7 is"),
        (7, "7 " + "(" * 100_000 + " 1", "line 7 is"),
        (257, "257 'abcd' 4", "a token comes twice"),
        (7, "7 'zz' 2", "the single byte 0x06 is lacking"),
    ],
)
def test_files_that_are_no_vocabularies(tmp_path: Path, number: int, text: str, said: str) -> None:
    path = a_file(tmp_path)
    lines = path.read_text(encoding="utf-8").split("\n")
    lines[number - 1] = text
    path.write_text("\n".join(lines), encoding="utf-8")
    with pytest.raises(TokenizerError) as caught:
        WorldTokenizer.from_file(path)
    message = str(caught.value)
    assert said in message and message.endswith("; get it again.") and len(message) < 400


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="No such file"):
        WorldTokenizer.from_file(tmp_path / "none.txt")
    (tmp_path / "latin.txt").write_bytes(b"1 '\xff' 1\n")
    with pytest.raises(TokenizerError, match="not a World vocabulary"):
        WorldTokenizer.from_file(tmp_path / "latin.txt")


# -- beside a checkpoint ---------------------------------------------------------------------------


def test_a_vocabulary_beside_the_checkpoint(tmp_path: Path) -> None:
    a_file(tmp_path)
    rows = len(TOKENS) + 1
    assert open_tokenizer(tmp_path / "model.pth", rows).hash == WORLD.hash
    with pytest.raises(TokenizerError, match="and the model 65536"):
        open_tokenizer(tmp_path, ROWS)
    a_file(tmp_path, PATTERN.replace("*", "_v2"))
    with pytest.raises(TokenizerError, match=r"holds rwkv_vocab_v2\.txt, .*, wanted one"):
        open_tokenizer(tmp_path, rows)
    (tmp_path / "tokenizer.json").write_text("{}")  # it goes before, even where it is no good
    with pytest.raises(TokenizerError, match="not a `tokenizers` JSON file"):
        open_tokenizer(tmp_path, rows)


def test_the_package_is_for_worlds_networks_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "site" / "fake_package").mkdir(parents=True)
    (tmp_path / "site" / "fake_package" / "__init__.py").write_text("raise AssertionError")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    monkeypatch.setattr(world_tokenizer, "PACKAGES", ("no_such_package", "fake_package"))
    with pytest.raises(TokenizerError, match=f"put {VOCABULARY} .* there"):
        open_tokenizer(tmp_path, ROWS)
    a_file(tmp_path / "site" / "fake_package")
    with pytest.raises(TokenizerError, match=f"has {len(TOKENS) + 1} tokens and the model {ROWS}"):
        open_tokenizer(tmp_path, ROWS)
    monkeypatch.setattr(world_tokenizer, "ROWS", len(TOKENS) + 3)
    assert open_tokenizer(tmp_path, len(TOKENS) + 3).hash == WORLD.hash
    with pytest.raises(TokenizerError, match="holds no tokenizer"):
        open_tokenizer(tmp_path, len(TOKENS) + 4)
    assert "fake_package" not in sys.modules


# -- the real one ----------------------------------------------------------------------------------

REAL = installed_vocabulary()
real = pytest.mark.skipif(REAL is None, reason="no package with the World vocabulary is installed")


@real
def test_the_real_vocabulary(tmp_path: Path) -> None:
    assert REAL
    whole = WorldTokenizer.from_file(REAL)
    assert whole.vocab == 65_530 and whole.bytes_of(65_529) == b" " * 128
    assert open_tokenizer(tmp_path / "model.pth", ROWS).hash == whole.hash
    assert whole.encode("Hello world! 你好") == [33155, 40213, 34, 33, 10464, 11685]
    with pytest.raises(TokenizerError, match="and the model 2048"):
        whole.check_fits(2048)
    assert not isinstance(whole, Tokenizer)


@cache
def _both() -> tuple[WorldTokenizer, Any]:
    assert REAL
    peer = pytest.importorskip("rwkv.rwkv_tokenizer").TRIE_TOKENIZER(str(REAL))
    return WorldTokenizer.from_file(REAL), peer


@real
@settings(deadline=None, max_examples=300)
@given(st.one_of(st.text(), st.text(" abcdeTh.,\n0123", max_size=200), st.binary(max_size=100)))
def test_the_real_vocabulary_as_the_peer_has_it(text: str | bytes) -> None:
    whole, peer = _both()
    data = text.encode() if isinstance(text, str) else text
    ids = whole.encode_bytes(data)
    assert ids == peer.encodeBytes(data)
    assert whole.decode_bytes(ids) == data == peer.decodeBytes(ids)
    if isinstance(text, str):
        assert whole.encode(text) == ids and whole.decode(ids) == text
