"""Reading and writing tokens with a network: the only token loops; knows nothing of text or games.

Glossary: B batch, T tokens, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence, Set
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.sampler import NOTHING_SEEN, Sampler, Seen


class Step(NamedTuple):
    """A token, and what comes after it: logits (V,), state (batch 1), what penalties go by."""

    token: int
    logits: Tensor
    state: State
    seen: Seen


class Written(NamedTuple):
    """The tokens of one row, and what comes after the last: logits (V,), state (batch 1)."""

    tokens: list[int]
    logits: Tensor
    state: State


@torch.no_grad()
def prefill(
    model: Network,
    tokens: Tensor,
    state: State,
    chunk: int = 256,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Tensor, State]:
    """Read tokens (B, T) in GPT mode, `chunk` at a time, calling progress(done, T) after each.

    Returns the last position's logits (B, V) and the state. Raises ValueError for no tokens.
    """
    total = tokens.shape[1]
    if not total:
        raise ValueError("prefill needs at least one token, got none")
    logits = torch.empty(0)
    for start in range(0, total, chunk):
        part = tokens[:, start : start + chunk]
        logits, state = model(part, state, mode="gpt", last_only=True)
        if progress:
            progress(min(start + chunk, total), total)
    return logits[:, -1], state


def prefill_rows(
    model: Network, rows: Sequence[Sequence[int]], state: State, chunk: int = 256
) -> tuple[Tensor, State]:
    """Read each row's own tokens, of any lengths but 0: logits (B, V) and state as `prefill` gives.

    Nothing is padded: all rows are read up to where the shortest ends, then the others go on.
    Raises ValueError for a row without tokens, or another number of rows than the state has.
    """
    if len(rows) != state.batch or not all(rows):
        lengths = [len(row) for row in rows]
        raise ValueError(f"rows of {lengths} tokens, wanted {state.batch} of 1 or more")
    ended: dict[int, tuple[Tensor, State]] = {}
    live, at = list(range(len(rows))), 0
    while live:
        end = min(len(rows[i]) for i in live)
        tokens = torch.tensor([list(rows[i][at:end]) for i in live])
        logits, state = prefill(model, tokens, state, chunk)
        for row, i in enumerate(live):
            if len(rows[i]) == end:
                ended[i] = logits[row], state.select([row])
        stay = [row for row, i in enumerate(live) if len(rows[i]) > end]
        live, at = [live[row] for row in stay], end
        state = state.select(stay) if live else state
    ends = [ended[i] for i in range(len(rows))]
    return torch.stack([logits for logits, _ in ends]), State.stack([s for _, s in ends])


@torch.no_grad()
def step(model: Network, tokens: Tensor, state: State) -> tuple[Tensor, State]:
    """Read one token a row, tokens (B,), by the quickest way: next logits (B, V) and the state."""
    logits, state = model(tokens.unsqueeze(1), state, mode=model.step_mode)
    return logits[:, -1], state


def decode(
    model: Network,
    logits: Tensor,
    state: State,
    sampler: Sampler,
    generator: Generator | None = None,
    stop: Set[int] = frozenset(),
    limit: int = 256,
) -> Iterator[tuple[int, Tensor, State]]:
    """Write tokens until one of `stop` or `limit` of them: (token, logits (V,), state) for each.

    `logits` (V,) and `state` (batch 1) are those after the text so far. Each yielded pair is from
    after its token, the stopping one included: what is in the state is what was said. Penalties go
    by what is written here.
    """
    for said in steps(model, logits, state, sampler, generator, stop, limit):
        yield said.token, said.logits, said.state


def steps(
    model: Network,
    logits: Tensor,
    state: State,
    sampler: Sampler,
    generator: Generator | None = None,
    stop: Set[int] = frozenset(),
    limit: int = 256,
    seen: Seen = NOTHING_SEEN,
) -> Iterator[Step]:
    """As `decode`, for going on from any of its steps: `seen` is what was written before."""
    for _ in range(limit):
        token = sampler(logits, generator, seen)
        row, state = step(model, torch.tensor([token]), state)
        logits, seen = row[0], sampler.remember(seen, token)
        yield Step(token, logits, state, seen)
        if token in stop:
            return


def decode_batch(
    model: Network,
    logits: Tensor,
    state: State,
    sampler: Sampler,
    generators: Sequence[Generator | None] | None = None,
    stop: Set[int] = frozenset(),
    limit: int = 256,
) -> list[Written]:
    """Write on in every row of logits (B, V) and state (batch B), each as `decode` would.

    A row that has come to one of `stop` takes part no longer. generators: one a row.
    Raises ValueError for another number of generators than of rows.
    """
    B = len(logits)
    owners = [None] * B if generators is None else list(generators)
    if len(owners) != B:
        raise ValueError(f"{len(owners)} generators for {B} rows, wanted one a row")
    told, seen = [list[int]() for _ in range(B)], [NOTHING_SEEN] * B
    done: dict[int, tuple[Tensor, State]] = {}
    live = list(range(B))
    for _ in range(limit):
        tokens = sampler.choose_rows(logits, [owners[i] for i in live], [seen[i] for i in live])
        logits, state = step(model, torch.tensor(tokens), state)
        for i, token in zip(live, tokens, strict=True):
            told[i].append(token)
            seen[i] = sampler.remember(seen[i], token)
        stay = [row for row, token in enumerate(tokens) if token not in stop]
        if len(stay) < len(live):
            for row in set(range(len(live))) - set(stay):
                done[live[row]] = logits[row], state.select([row])
            live = [live[row] for row in stay]
            if not live:
                break
            logits, state = logits[stay], state.select(stay)
    done |= {i: (logits[row], state.select([row])) for row, i in enumerate(live)}
    return [Written(told[i], *done[i]) for i in range(B)]
