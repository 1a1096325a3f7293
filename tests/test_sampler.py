"""Choosing a token: greedy is fixed, sampling follows the probabilities and nothing else."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from engine.sampler import Sampler, make_sampler

P = torch.tensor([0.05, 0.5, 0.15, 0.3])


def drawn(sampler: Sampler, times: int = 4000) -> dict[int, float]:
    generator = torch.Generator().manual_seed(0)
    counts = Counter(sampler(P.log(), generator) for _ in range(times))
    return {token: count / times for token, count in counts.items()}


def test_greedy_takes_the_likeliest_and_the_first_of_equals() -> None:
    greedy = make_sampler()
    assert greedy(P.log(), None) == 1
    assert greedy(torch.tensor([1.0, 3.0, 3.0, 3.0]), None) == 1


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({"temperature": 1.0}, {0: 0.05, 1: 0.5, 2: 0.15, 3: 0.3}),
        ({"temperature": 1.0, "top_k": 2}, {1: 0.625, 3: 0.375}),
        ({"temperature": 1.0, "top_k": 9}, {0: 0.05, 1: 0.5, 2: 0.15, 3: 0.3}),
        ({"temperature": 1.0, "top_p": 0.81}, {1: 0.5263, 2: 0.1579, 3: 0.3158}),
        ({"temperature": 1.0, "top_p": 0.79}, {1: 0.625, 3: 0.375}),
        ({"temperature": 1.0, "top_p": 1e-6}, {1: 1.0}),
        ({"temperature": 0.5}, {0: 0.0068, 1: 0.6849, 2: 0.0616, 3: 0.2466}),
        ({"temperature": 1.0, "top_k": 3, "top_p": 0.6}, {1: 0.625, 3: 0.375}),
    ],
)
def test_draws_follow_the_probabilities(
    options: dict[str, float], wanted: dict[int, float]
) -> None:
    found = drawn(make_sampler(**options))  # type: ignore[arg-type]
    assert set(found) == set(wanted)
    for token, share in wanted.items():
        assert abs(found[token] - share) < 0.03, token


def test_the_generator_alone_decides() -> None:
    sampler = make_sampler(temperature=1.5, top_p=0.9)

    def row(seed: int) -> list[int]:
        generator = torch.Generator().manual_seed(seed)
        return [sampler(P.log(), generator) for _ in range(30)]

    torch.manual_seed(1)
    first = row(3)
    torch.manual_seed(2)
    assert row(3) == first != row(4)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"temperature": -0.1}, "temperature is -0.1"),
        ({"temperature": float("nan")}, "temperature is nan"),
        ({"temperature": float("inf")}, "temperature is inf"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0.0}, "top_p is 0.0"),
        ({"top_p": 1.1}, "top_p is 1.1"),
    ],
)
def test_options_out_of_range(options: dict[str, float], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        make_sampler(**options)  # type: ignore[arg-type]
