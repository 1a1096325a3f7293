"""Text written piece by piece: stops leave no trace, and any point can be gone on from exactly."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from tiny import tiny_model, tiny_tokens

from engine.errors import SnapshotError
from engine.generate import prefill
from engine.sampler import Sampler, make_sampler
from engine.snapshot import Snapshot
from engine.tokenizer import AnyTokenizer
from engine.writing import Point, until_stop, write

WORDS = ["a", "b", "ab", "STOP", "ST", "OP", "\n\n", "User", ":", "é", "\U0001f642", "end", " "]


class Pieces(AnyTokenizer):
    """Ids for given pieces of bytes."""

    hash = ""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        super().__init__(pieces, padded=False)

    def encode(self, text: str) -> list[int]:
        raise NotImplementedError

    def id_of(self, special: str) -> int:
        raise NotImplementedError


class Scripted:
    """Says 0, 1, 2 ..., whatever the network thinks."""

    def __init__(self) -> None:
        self.said = -1

    def __call__(self, *_: object) -> int:
        self.said += 1
        return self.said

    def remember(self, seen: object, token: int) -> object:
        return seen


MODEL = tiny_model()


def a_start() -> Point:
    logits, state = prefill(MODEL, tiny_tokens(1, 6), MODEL.initial_state())
    return Point(state, logits[0])


START = a_start()


def told(
    pieces: Sequence[bytes | str], stops: Sequence[str] = (), end: frozenset[int] = frozenset()
) -> tuple[list[str], Point]:
    """What is given out when these pieces are written, and the point after it."""
    tokenizer = Pieces([p.encode() if isinstance(p, str) else p for p in pieces])
    scripted: Sampler = Scripted()  # type: ignore[assignment]
    texts, point = [], START
    steps = write(MODEL, tokenizer, START, scripted, stops=stops, end=end, limit=len(pieces))
    for _, text, after in steps:
        texts.append(text)
        point = after
    return texts, point


@pytest.mark.parametrize(
    ("pieces", "stops", "wanted", "stop"),
    [
        # a token that holds the beginning of the stop
        (["Hi.\nUs", "er", ": x", "never"], ["\nUser:"], ["Hi.", "", ""], "\nUser:"),
        # all of it within one token, and text after it
        (["a", "bSTOPc", "never"], ["STOP"], ["a", "b"], "STOP"),
        # one character a token
        ([*"xSTOP", "never"], ["STOP"], ["x", "", "", "", ""], "STOP"),
        # a false beginning is given out as soon as it is one
        (["ST", "ST", "OP"], ["STOP"], ["", "ST", ""], "STOP"),
        (["a", "a", "a", "b"], ["aab"], ["", "", "a", ""], "aab"),
        # of two stops the one that ends first
        (["abc", "d"], ["abcd", "bc"], ["a"], "bc"),
        (["abcd"], ["abcd", "bc"], ["a"], "bc"),
        # of two that end together the longest
        (["xa", "bc"], ["bc", "abc"], ["x", ""], "abc"),
        # characters cut between tokens, within the stop and before it
        ([b"\xc3", b"\xa9\xe2", b"\x82", b"\xac"], ["é€"], ["", "", "", ""], "é€"),
        ([b"a\xf0\x9f", b"\x99\x82b"], ["b"], ["a", "\U0001f642"], "b"),
        # and after it
        ([b"aSTOP\xf0\x9f"], ["STOP"], ["a"], "STOP"),
        # bytes that are no character break a stop as any character does
        (["S", b"\xff", "TOP"], ["STOP"], ["", "S\ufffd", "TOP"], ""),
        # none
        (["a", "STO"], ["STOP"], ["a", ""], ""),
        (["a", "b"], [], ["a", "b"], ""),
    ],
)
def test_stops(pieces: list[bytes | str], stops: list[str], wanted: list[str], stop: str) -> None:
    texts, point = told(pieces, stops)
    assert (texts, point.stop) == (wanted, stop)
    if stop:
        assert point.rest == ""


def test_what_is_held_back_is_there_to_be_given() -> None:
    texts, point = told(["a", "ST", b"O\xf0\x9f"], ["STOP"])
    assert texts == ["a", "", ""] and (point.held, point.cut) == ("STO", b"\xf0\x9f")
    assert point.rest == "STO\ufffd"


def test_the_end_gives_out_what_was_held_back_and_not_its_own_bytes() -> None:
    texts, point = told(["a", b"ST\xf0", "<|end|>", "never"], ["STOP"], frozenset({2}))
    assert texts == ["a", "", "ST\ufffd"] and point.rest == "" and point.stop == ""


def test_the_network_has_read_every_token() -> None:
    _, point = told(["a", "bSTOPc", "never"], ["STOP"])
    logits, state = START.logits, START.state
    for token in (0, 1):
        out, state = MODEL(torch.tensor([[token]]), state, mode="rnn")
        logits = out[0, -1]
    assert torch.equal(point.logits, logits)
    assert torch.equal(point.state.tensors["wkv"], state.tensors["wkv"])


def test_an_empty_stop_is_refused() -> None:
    with pytest.raises(ValueError, match="stop text is empty"):
        told(["a"], ["b", ""])


@given(
    st.lists(st.sampled_from(WORDS), max_size=12).map("".join),
    st.lists(st.sampled_from([*WORDS, "bSTOP", "aab", "OPS", "\n\nUser:"]), max_size=3),
    st.data(),
)
@settings(deadline=None)
def test_it_does_not_matter_how_text_is_spread_over_pieces(
    text: str, stops: list[str], data: st.DataObject
) -> None:
    # Read a character at a time, the text ends where a stop first ends.
    ended = [n for n in range(len(text) + 1) if any(text[:n].endswith(s) for s in stops)]
    wanted, stop = text, ""
    if ended:
        stop = max((s for s in stops if text[: ended[0]].endswith(s)), key=len)
        wanted = text[: ended[0] - len(stop)]
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))) | {0, len(text)})
    given_out, held, met = "", "", ""
    for a, b in pairwise(cuts):
        free, held, met = until_stop(held + text[a:b], stops)
        given_out += free
        if met:
            break
        # Nothing more is held back than a stop could begin with.
        assert not held or any(s.startswith(held) and s != held for s in stops)
    assert (given_out + held, met) == (wanted, stop)


# -- going on --------------------------------------------------------------------------------------

OPTIONS = {
    "temperature": 3.0,
    "top_k": 50,
    "top_p": 0.98,
    "min_p": 0.001,
    "repetition": 1.1,
    "presence": 0.2,
    "frequency": 0.3,
    "decay": 0.9,
    "banned": [60],
}
BYTES = Pieces([(WORDS[i % 13].encode() * 2)[i % 2 : i % 2 + 3] for i in range(61)])
"""Pieces that often cut characters and stops."""
STOPS = ["STOPS", "endend"]


def through_a_file(snapshot: Snapshot, folder: Path) -> Snapshot:
    tensors, meta = snapshot.to_tensors()
    save_file(tensors, folder / "point.safetensors")
    back = load_file(folder / "point.safetensors")
    return Snapshot.from_tensors(back, json.loads(json.dumps(meta)))


def test_going_on_from_a_file_is_never_having_stopped(tmp_path: Path) -> None:
    sampler, generator = make_sampler(**OPTIONS), torch.Generator().manual_seed(3)  # type: ignore[arg-type]
    whole, files = [], []
    for said in write(MODEL, BYTES, START, sampler, generator, STOPS, limit=60):
        whole.append(said)
        files.append(said[2].to_snapshot(sampler, generator, {"turns": 3}))
    held = [at for at, (_, _, point) in enumerate(whole[:-9]) if point.held]
    cut = [at for at, (_, _, point) in enumerate(whole[:-9]) if point.cut]
    assert held and cut
    for at in {0, 30, 58, *held[:3], *cut[:3]}:
        snapshot = through_a_file(files[at], tmp_path)
        assert snapshot.extra == {"turns": 3}
        point, again, noise = Point.from_snapshot(snapshot)
        rest = list(write(MODEL, BYTES, point, again, noise, STOPS, limit=59 - at))
        assert [said[:2] for said in rest] == [said[:2] for said in whole[at + 1 :]], at
        assert torch.equal(rest[-1][2].logits, whole[-1][2].logits)
        assert rest[-1][2].rest == whole[-1][2].rest
        assert torch.equal(noise.get_state(), generator.get_state())


def test_two_can_go_on_from_one_point() -> None:
    sampler = make_sampler(**OPTIONS)  # type: ignore[arg-type]
    *_, (_, _, point) = write(MODEL, BYTES, START, sampler, torch.Generator(), STOPS, limit=9)
    kept = point.to_snapshot(sampler, torch.Generator().manual_seed(0)).sampler
    rows = []
    for seed in (1, 2, 1):
        generator = torch.Generator().manual_seed(seed)
        rows.append(
            [said[:2] for said in write(MODEL, BYTES, point, sampler, generator, STOPS, limit=9)]
        )
    assert rows[0] == rows[2] != rows[1]
    assert point.to_snapshot(sampler, torch.Generator().manual_seed(0)).sampler == kept


@pytest.mark.parametrize(
    "change",
    [
        {"seen": {"tokens": [1], "counts": []}},
        {"seen": None},
        {"generator": "AAAA"},
        {"generator": "ä"},
        {"generator": None},
        {"cut": "xyz"},
        {"held": 3},
        {"stop": None},
        {"options": {"warmth": 1}},
        {"options": {"temperature": -1}},
        {"options": None},
    ],
)
def test_snapshots_that_are_damaged(change: dict[str, object]) -> None:
    good = START.to_snapshot(make_sampler(), torch.Generator())
    bad = Snapshot(good.state, good.logits, good.sampler | change)
    with pytest.raises(SnapshotError) as caught:
        Point.from_snapshot(bad)
    assert "use another copy" in str(caught.value) and "\n" not in str(caught.value)
    with pytest.raises(SnapshotError):
        Point.from_snapshot(Snapshot(good.state, good.logits))
