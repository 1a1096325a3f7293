"""Choosing a token: greedy is fixed, sampling follows the probabilities and nothing else."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Sequence
from functools import reduce

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.errors import SnapshotError
from engine.sampler import NOTHING_SEEN, Sampler, Seen, make_sampler

P = torch.tensor([0.05, 0.5, 0.15, 0.3])
EVEN = {"temperature": 1.0}


def written(sampler: Sampler, tokens: Sequence[int]) -> Seen:
    return reduce(sampler.remember, tokens, NOTHING_SEEN)


def drawn(sampler: Sampler, times: int = 4000) -> dict[int, float]:
    generator = torch.Generator().manual_seed(0)
    counts = Counter(sampler(P.log(), generator) for _ in range(times))
    return {token: count / times for token, count in counts.items()}


def test_greedy_takes_the_likeliest_and_the_first_of_equals() -> None:
    greedy = make_sampler()
    assert greedy(P.log(), None) == 1
    assert greedy(torch.tensor([1.0, 3.0, 3.0, 3.0]), None) == 1
    assert greedy.probabilities(P.log()).tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, {0: 0.05, 1: 0.5, 2: 0.15, 3: 0.3}),
        ({"top_k": 2}, {1: 0.625, 3: 0.375}),
        ({"top_k": 9}, {0: 0.05, 1: 0.5, 2: 0.15, 3: 0.3}),
        ({"top_p": 0.81}, {1: 0.5263, 2: 0.1579, 3: 0.3158}),
        ({"top_p": 0.79}, {1: 0.625, 3: 0.375}),
        ({"top_p": 1e-6}, {1: 1.0}),
        ({"temperature": 0.5}, {0: 0.0068, 1: 0.6849, 2: 0.0616, 3: 0.2466}),
        ({"top_k": 3, "top_p": 0.6}, {1: 0.625, 3: 0.375}),
        ({"min_p": 0.2}, {1: 0.5263, 2: 0.1579, 3: 0.3158}),
        ({"min_p": 0.5}, {1: 0.625, 3: 0.375}),
        ({"temperature": 2.0, "min_p": 0.5}, {1: 0.4306, 2: 0.2359, 3: 0.3335}),
        ({"banned": [1]}, {0: 0.1, 2: 0.3, 3: 0.6}),
        ({"banned": [1], "top_k": 2}, {2: 0.3333, 3: 0.6667}),
    ],
)
def test_draws_follow_the_probabilities(
    options: dict[str, float], wanted: dict[int, float]
) -> None:
    sampler = make_sampler(**EVEN | options)  # type: ignore[arg-type]
    expected = [wanted.get(token, 0) for token in range(4)]
    # The inputs are float32 logs and the expectations have four digits.
    assert sampler.probabilities(P.log()).tolist() == pytest.approx(expected, abs=6e-5)
    found = drawn(sampler)
    assert set(found) == set(wanted)
    for token, share in wanted.items():
        assert abs(found[token] - share) < 0.03, token


def test_top_k_comes_before_top_p_and_top_p_goes_by_what_is_left() -> None:
    # Of all, 0.5 + 0.3 don't reach 0.85; of the three likeliest, 0.8 / 0.95 don't either, but
    # of the two likeliest all of it does, and 0.5 / 0.8 reaches 0.6.
    for options, kept in (
        ({"top_k": 3, "top_p": 0.85}, [1, 2, 3]),
        ({"top_k": 3, "top_p": 0.84}, [1, 3]),
        ({"top_k": 2, "top_p": 0.6}, [1]),
        ({"top_p": 0.6}, [1, 3]),
    ):
        p = make_sampler(**EVEN | options).probabilities(P.log())
        assert p.nonzero()[:, 0].tolist() == kept, options


def test_a_draw_is_where_one_uniform_number_falls() -> None:
    sampler = make_sampler(temperature=1.0)
    p = sampler.probabilities(P.log()).tolist()
    for seed in range(200):
        owner = torch.Generator().manual_seed(seed)
        u = float(torch.rand((), dtype=torch.float64, generator=owner))
        wanted = next(i for i in range(4) if sum(p[: i + 1]) > u)
        assert sampler(P.log(), torch.Generator().manual_seed(seed)) == wanted


def test_the_ends_of_what_can_be_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    row = torch.tensor([-math.inf, 0.0, 0.0, 0.0, -math.inf])
    for u, wanted in ((0.0, 1), (1 - 2**-53, 3)):
        drawn_number = torch.tensor(u, dtype=torch.float64)
        monkeypatch.setattr(torch, "rand", lambda *_, x=drawn_number, **__: x)
        for options in ({}, {"min_p": 0.1}, {"top_k": 4}):
            assert make_sampler(**EVEN | options)(row) == wanted  # type: ignore[arg-type]


def test_the_generator_alone_decides() -> None:
    sampler = make_sampler(temperature=1.5, top_p=0.9)

    def row(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [sampler(P.log(), generator) for _ in range(30)]

    torch.manual_seed(1)
    first = row(3)
    torch.manual_seed(2)
    assert row(3) == first != row(4)


# -- properties ------------------------------------------------------------------------------------

LOGITS = st.lists(
    st.one_of(
        st.floats(-50, 50, width=32),
        st.integers(-3, 3).map(float),  # equals
        st.just(-math.inf),
    ),
    min_size=1,
    max_size=30,
).filter(lambda row: max(row) > -math.inf)
TEMPERATURES = st.floats(0.05, 20)


def exact(row: Sequence[float], temperature: float) -> list[float]:
    weights = [math.exp((x - max(row)) / temperature) for x in row]
    return [w / math.fsum(weights) for w in weights]


def ranked(row: Sequence[float]) -> list[int]:
    return sorted(range(len(row)), key=lambda i: (-row[i], i))


@given(LOGITS, TEMPERATURES)
@settings(deadline=None)
def test_plain_probabilities_are_the_softmax(row: list[float], temperature: float) -> None:
    p = make_sampler(temperature=temperature).probabilities(torch.tensor(row))
    assert p.tolist() == pytest.approx(exact(row, temperature), rel=1e-12, abs=1e-300)


@given(LOGITS, TEMPERATURES, st.floats(0.01, 0.999))
@settings(deadline=None)
def test_top_p_keeps_the_fewest_that_reach_it(
    row: list[float], temperature: float, top_p: float
) -> None:
    p, order = exact(row, temperature), ranked(row)
    kept = make_sampler(temperature=temperature, top_p=top_p).probabilities(torch.tensor(row))
    n = int((kept > 0).sum())
    assert set(kept.nonzero()[:, 0].tolist()) == set(order[:n])
    assert math.fsum(p[i] for i in order[:n]) >= top_p - 1e-12
    assert math.fsum(p[i] for i in order[: n - 1]) < top_p + 1e-12
    total = math.fsum(p[i] for i in order[:n])
    assert [float(kept[i]) for i in order[:n]] == pytest.approx([p[i] / total for i in order[:n]])


@given(LOGITS, TEMPERATURES, st.floats(0.001, 1))
@settings(deadline=None)
def test_min_p_keeps_all_that_are_likely_enough(
    row: list[float], temperature: float, min_p: float
) -> None:
    p = exact(row, temperature)
    kept = make_sampler(temperature=temperature, min_p=min_p).probabilities(torch.tensor(row))
    for i, x in enumerate(kept.tolist()):
        if abs(p[i] - min_p * max(p)) > 1e-12:
            assert (x > 0) == (p[i] > min_p * max(p)), i
    assert all(kept[i] > 0 for i, x in enumerate(row) if x == max(row))


@given(LOGITS, st.integers(1, 40), st.floats(0.01, 1e30))
@settings(deadline=None)
def test_top_k_keeps_the_likeliest_and_of_equals_the_first(
    row: list[float], k: int, temperature: float
) -> None:
    p = make_sampler(temperature=temperature, top_k=k).probabilities(torch.tensor(row))
    assert set(p.nonzero()[:, 0].tolist()) <= set(ranked(row)[:k])
    if temperature > 1:  # nothing possible is too unlikely to be told from impossible
        assert int((p > 0).sum()) == min(k, sum(x > -math.inf for x in row))
    assert float(p.sum()) == pytest.approx(1)


@given(LOGITS, st.integers(0, 9), st.floats(0.05, 1), st.floats(0, 1), st.integers(0, 99))
@settings(deadline=None)
def test_what_is_drawn_was_possible(
    row: list[float], k: int, top_p: float, min_p: float, seed: int
) -> None:
    sampler = make_sampler(temperature=1.0, top_k=k, top_p=top_p, min_p=min_p)
    token = sampler(torch.tensor(row), torch.Generator().manual_seed(seed))
    assert sampler.probabilities(torch.tensor(row))[token] > 0 and row[token] > -math.inf


# So small that even neighbours among float32 numbers are far apart.
@given(LOGITS, st.sampled_from([5e-324, 1e-300, 1e-50]))
@settings(deadline=None)
def test_the_smallest_temperatures_leave_the_greatest(row: list[float], temperature: float) -> None:
    p = make_sampler(temperature=temperature).probabilities(torch.tensor(row))
    best = [i for i, x in enumerate(row) if x == max(row)]
    assert p.nonzero()[:, 0].tolist() == best
    assert p[best].tolist() == pytest.approx([1 / len(best)] * len(best))


@pytest.mark.parametrize("top", [{}, {"top_p": 0.5}, {"min_p": 1.0}, {"top_k": 3}])
def test_only_one_that_can_come(top: dict[str, float]) -> None:
    row = torch.full((1000,), -math.inf)
    row[321] = -7
    sampler = make_sampler(**EVEN | top)  # type: ignore[arg-type]
    assert {sampler(row, torch.Generator().manual_seed(s)) for s in range(20)} == {321}


def test_a_large_even_vocabulary_is_cut_as_a_small_one() -> None:
    p = make_sampler(temperature=1e30, top_p=0.25).probabilities(torch.arange(65_536.0))
    assert p.nonzero()[:, 0].tolist() == list(range(49_152, 65_536))
    assert make_sampler(temperature=1.0, top_p=1e-300).probabilities(torch.zeros(9)).tolist() == [
        1, 0, 0, 0, 0, 0, 0, 0, 0
    ]  # fmt: skip


# -- penalties and bans ----------------------------------------------------------------------------


def test_penalties_are_their_formulas() -> None:
    row = torch.tensor([2.0, -1.0, 0.5, 3.0])
    sampler = make_sampler(temperature=0.7, repetition=1.25, frequency=0.3, presence=0.4, decay=0.5)
    seen = written(sampler, [1, 3, 1])
    assert seen.tokens.tolist() == [1, 3] and seen.counts.tolist() == [1 + 0.25, 0.5]
    x = [2.0, -1.0 * 1.25 - 0.3 * 1.25 - 0.4, 0.5, 3.0 / 1.25 - 0.3 * 0.5 - 0.4]
    assert sampler.probabilities(row, seen).tolist() == pytest.approx(exact(x, 0.7), rel=1e-12)


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"repetition": 2.0}, [0, 1, 0, 0, 0, 0]),  # once written, both are halved
        ({"presence": 1.5}, [0, 1, 0, 0, 0, 0]),  # once written, both are 1.5 less
        ({"frequency": 0.75}, [0, 0, 1, 0, 1, 0]),  # each time costs as much again
        ({"frequency": 1.25, "decay": 0.1}, [0, 1, 0, 1, 0, 1]),  # and is nearly forgotten
        ({}, [0, 0, 0, 0, 0, 0]),
    ],
)
def test_greedy_goes_by_penalties_too(options: dict[str, float], wanted: list[int]) -> None:
    sampler, seen, said = make_sampler(**options), NOTHING_SEEN, []  # type: ignore[arg-type]
    for _ in wanted:
        said.append(sampler(torch.tensor([4.0, 3.0, -9.0]), None, seen))
        seen = sampler.remember(seen, said[-1])
    assert said == wanted


def test_what_was_seen_is_a_value() -> None:
    sampler = make_sampler(frequency=1.0, decay=0.5)
    first = written(sampler, [4, 5])
    one, other = sampler.remember(first, 4), sampler.remember(first, 6)
    assert first.counts.tolist() == [0.5, 1] and first.tokens.tolist() == [4, 5]
    assert one.counts.tolist() == [1.25, 0.5] and other.tokens.tolist() == [4, 5, 6]
    assert make_sampler(temperature=1.0).remember(first, 9) is first  # nothing depends on it
    row = torch.zeros(9)
    sampler(row, None, one)
    assert not row.any()


@given(st.lists(st.integers(0, 9), max_size=60), st.floats(0.3, 1))
@settings(deadline=None)
def test_counts_are_sums_of_powers_and_come_back(tokens: list[int], decay: float) -> None:
    seen = written(make_sampler(presence=1.0, decay=decay), tokens)
    last = len(tokens) - 1
    for token, count in zip(seen.tokens.tolist(), seen.counts.tolist(), strict=True):
        powers = [decay ** (last - i) for i, t in enumerate(tokens) if t == token]
        assert count == pytest.approx(math.fsum(powers), rel=1e-12)
    assert seen.tokens.tolist() == list(dict.fromkeys(tokens))
    back = Seen.from_metadata(json.loads(json.dumps(seen.to_metadata())))
    assert torch.equal(back.tokens, seen.tokens) and torch.equal(back.counts, seen.counts)


@pytest.mark.parametrize(
    "meta",
    [
        {},
        {"tokens": [1]},
        {"tokens": [1], "counts": []},
        {"tokens": [1, 1], "counts": [1.0, 1.0]},
        {"tokens": [-1], "counts": [1.0]},
        {"tokens": [1], "counts": [float("nan")]},
        {"tokens": [1], "counts": [-1.0]},
        {"tokens": [[1]], "counts": [[1.0]]},
        {"tokens": ["x"], "counts": [1.0]},
        {"tokens": [1 << 70], "counts": [1.0]},
        {"tokens": None, "counts": None},
    ],
)
def test_counts_that_are_damaged(meta: dict[str, object]) -> None:
    with pytest.raises(SnapshotError, match="counts of tokens are damaged"):
        Seen.from_metadata(meta)


def test_banned_tokens_never_come() -> None:
    assert make_sampler(banned=[1, 3])(P.log(), None) == 2
    for options in ({}, EVEN):
        sampler = make_sampler(**options, banned=range(4))  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="every token is banned"):
            sampler(P.log(), None)
    row = P.double()
    assert make_sampler(temperature=1.0, banned=[1])(row, None) != 1
    assert torch.equal(row, P.double())  # the caller's logits stay as they are


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_numbers(bad: float) -> None:
    with pytest.raises(ValueError, match="wanted a finite number"):
        make_sampler(temperature=1.0)(torch.tensor([0.0, bad]), None)


def test_rows_are_chosen_as_one_by_one() -> None:
    rows = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    for options in ({}, EVEN, {"banned": [2, 5]}, {"presence": 2.0}):
        sampler = make_sampler(**options)  # type: ignore[arg-type]
        seen = [written(sampler, range(n)) for n in range(5)]
        alone = [
            sampler(rows[n], torch.Generator().manual_seed(n), seen[n]) for n in range(5)
        ]  # fmt: skip
        owners = [torch.Generator().manual_seed(n) for n in range(5)]
        assert sampler.choose_rows(rows, owners, seen) == alone, options


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_k": 2.5}, "top_k is 2.5, wanted a whole number"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"min_p": -0.1}, "min_p is -0.1"),
        ({"min_p": 1.1}, "min_p is 1.1"),
        ({"repetition": 0.0}, "repetition is 0.0"),
        ({"repetition": float("inf")}, "repetition is inf"),
        ({"presence": float("nan")}, "presence is nan"),
        ({"frequency": float("-inf")}, "frequency is -inf"),
        ({"decay": 0.0}, "decay is 0.0"),
        ({"decay": 1.01}, "decay is 1.01"),
        ({"banned": [3, -1]}, "banned holds -1"),
    ],
)
def test_options_out_of_range(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_sampler(**options)  # type: ignore[arg-type]
