"""Likelihoods and continuations by shared states, against reading each text from scratch."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_model

from adventure.master import SHIPPED
from engine import scoring
from engine.errors import TokenizerError
from engine.sampler import make_sampler
from engine.scoring import Scorer
from engine.tokenizer import END_OF_TEXT, Tokenizer, train_tokenizer

TEXT = "The cat sat on the mat. The dog sat on the log. The cat and the dog sat and sat."
PIECES = st.lists(
    st.text(alphabet="Thecatsonmdlg. ", max_size=12), min_size=1, max_size=8, unique=True
)


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    tokenizer = train_tokenizer([TEXT] * 4, 300, [END_OF_TEXT])
    return Scorer(tiny_model(vocab=tokenizer.vocab), tokenizer)


def directly(scorer: Scorer, context: str, continuation: str) -> tuple[float, bool]:
    """The same from the tokens of the whole text, read at once."""
    before, after = scorer.split(context, continuation)
    tokens = torch.tensor([[*before, *after]])
    with torch.no_grad():
        logits, _ = scorer.model(tokens, scorer.model.initial_state())
    logs = logits[0].double().log_softmax(-1)
    places = range(len(before) - 1, tokens.shape[1] - 1)
    log = sum(float(logs[t, tokens[0, t + 1]]) for t in places)
    return log, all(int(logs[t].argmax()) == tokens[0, t + 1] for t in places)


@settings(max_examples=25, deadline=None)
@given(contexts=PIECES, continuations=PIECES)
def test_likelihoods_are_those_of_reading_the_whole_text(
    scorer: Scorer, contexts: list[str], continuations: list[str]
) -> None:
    pairs = [(context, after) for after in continuations for context in contexts]
    for pair, found in zip(pairs, scorer.likelihoods(pairs), strict=True):
        log, greedy = directly(scorer, *pair)
        assert found.log == pytest.approx(log, abs=1e-4, rel=1e-5)
        assert found.greedy == greedy


@given(contexts=PIECES)
@settings(max_examples=25, deadline=None)
def test_nothing_that_contexts_have_in_common_is_read_twice(
    scorer: Scorer, contexts: list[str]
) -> None:
    before = scorer.read
    scorer.likelihoods([(context, " cat") for context in contexts])
    starts = [scorer.split(context, " cat")[0] for context in contexts]
    nodes = {start[:n] for start in starts for n in range(1, len(start) + 1)}
    assert scorer.read - before == len(nodes)


def test_a_text_of_any_length_is_read_whole(scorer: Scorer) -> None:
    long = TEXT * 40
    assert len(scorer.tokenizer.encode(long)) > 2 * scoring.POSITIONS
    short, whole = scorer.likelihoods([("", TEXT), ("", long)])
    assert whole.log == pytest.approx(directly(scorer, "", long)[0], rel=1e-5)
    assert short.log == pytest.approx(directly(scorer, "", TEXT)[0], rel=1e-5)
    first, rest = scorer.likelihoods([("", TEXT), (TEXT, TEXT * 39)])
    assert first.log + rest.log == pytest.approx(whole.log, rel=1e-5)


def test_context_and_continuation_are_the_tokens_of_the_whole(scorer: Scorer) -> None:
    for context, after in (("The c", "at sat"), ("The", " cat"), ("", "The"), ("The ", "cat")):
        before, rest = scorer.split(context, after)
        assert [*before[1:], *rest] == scorer.tokenizer.encode(context + after)
        assert before[:1] == scorer.start == (scorer.tokenizer.id_of(END_OF_TEXT),)
        assert (context + after).endswith(after) and after in scorer.tokenizer.decode(rest)


def test_an_empty_continuation_is_certain(scorer: Scorer) -> None:
    (found,) = scorer.likelihoods([("The cat", "")])
    assert (found.log, found.greedy) == (0.0, True)


def test_what_is_written_is_what_comes_of_the_likeliest_tokens(scorer: Scorer) -> None:
    (text,) = scorer.write(["The cat"], make_sampler(), limit=6)
    tokens = [*scorer.start, *scorer.tokenizer.encode("The cat")]
    said = list[int]()
    for _ in range(6):
        with torch.no_grad():
            logits, _ = scorer.model(torch.tensor([tokens + said]), scorer.model.initial_state())
        said.append(int(logits[0, -1].argmax()))
    assert scorer.ends.isdisjoint(said)
    assert text == scorer.tokenizer.decode(said)


def test_writing_ends_before_a_stop_text_and_shares_contexts(scorer: Scorer) -> None:
    whole = scorer.write(["The cat", "The dog", "The cat"], make_sampler(), limit=20)
    assert whole[0] == whole[2] and len(whole[0]) > 4
    stop = whole[0][3:5]
    cut, *_ = scorer.write(["The cat"], make_sampler(), stops=[stop], limit=20)
    assert cut == whole[0][: whole[0].find(stop)]


def test_a_foreign_tokenizer_is_refused(scorer: Scorer) -> None:
    with pytest.raises(TokenizerError):
        Scorer(tiny_model(vocab=77), scorer.tokenizer)


def test_without_a_token_between_texts_they_begin_after_a_line() -> None:
    tokenizer = Tokenizer.from_file(SHIPPED.with_name("tokenizer.json"))
    scorer = Scorer(tiny_model(vocab=tokenizer.vocab), tokenizer)
    assert tokenizer.decode(scorer.start) == "\n" and not scorer.ends
    (found,) = scorer.likelihoods([("", "A")])
    assert -math.inf < found.log < 0
