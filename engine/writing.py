"""Text from a network: written piece by piece until a stop text; knows no files and no games.

Characters may be cut between tokens, and a token may hold more than the beginning or the end of a
stop text. So bytes and text are held back until it is clear what they are. Where a text stands
between two tokens is a value, `Point`: any of them can be gone on from, again and again.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from engine.errors import SnapshotError
from engine.generate import steps
from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.sampler import NOTHING_SEEN, Sampler, Seen, make_sampler
from engine.snapshot import Snapshot
from engine.tokenizer import AnyTokenizer, split_utf8


@dataclass(frozen=True, eq=False)
class Point:
    """All that is needed to write on exactly, but for the randomness.

    logits (V,) and state (batch 1) are those after the text so far, seen is what penalties go by.
    cut: bytes of a character that is not whole yet; held: text that may begin a stop text;
    stop: the stop text that ended the writing, if one did.
    """

    state: State
    logits: Tensor
    seen: Seen = NOTHING_SEEN
    cut: bytes = b""
    held: str = ""
    stop: str = ""

    @property
    def rest(self) -> str:
        """What was held back, for one who doesn't write on; U+FFFD for a character cut off."""
        return self.held + self.cut.decode("utf-8", "replace")

    def to_snapshot(
        self, sampler: Sampler, generator: Generator, extra: Mapping[str, Any] | None = None
    ) -> Snapshot:
        """With how tokens are chosen and the state of the randomness; `from_snapshot` reads it."""
        about = {
            "options": asdict(sampler),
            "seen": self.seen.to_metadata(),
            "generator": base64.b64encode(generator.get_state().numpy().tobytes()).decode(),
            "cut": self.cut.hex(),
            "held": self.held,
            "stop": self.stop,
        }
        return Snapshot(self.state, self.logits, about, dict(extra or {}))

    @staticmethod
    def from_snapshot(snapshot: Snapshot) -> tuple[Point, Sampler, Generator]:
        """Raises SnapshotError where `to_snapshot` can't have made it."""
        about, generator = snapshot.sampler, Generator()
        try:
            seen = Seen.from_metadata(about["seen"])
            cut, held, stop = bytes.fromhex(about["cut"]), about["held"], about["stop"]
            if not isinstance(held, str) or not isinstance(stop, str):
                raise TypeError("text held back that is no text")
            sampler = make_sampler(**about["options"])
            noise = base64.b64decode(about["generator"], validate=True)
            generator.set_state(torch.from_numpy(np.frombuffer(noise, np.uint8).copy()))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise SnapshotError(
                f"The snapshot's sampler can't be gone on with ({error}); use another copy."
            ) from error
        return Point(snapshot.state, snapshot.logits, seen, cut, held, stop), sampler, generator


def write(
    model: Network,
    tokenizer: AnyTokenizer,
    point: Point,
    sampler: Sampler,
    generator: Generator | None = None,
    stops: Sequence[str] = (),
    end: Set[int] = frozenset(),
    limit: int = 256,
) -> Iterator[tuple[int, str, Point]]:
    """Write on from `point`: (token, text that is now certain, the point after it) for each token.

    It ends with the first of `stops` that is complete, which is no part of the text, nor is what
    follows it in the same token; with a token of `end`, whose own bytes are no part of it either,
    and which gives out what was held back; or after `limit` tokens, when `Point.rest` is what was
    held back. What the network has read is all tokens, wherever the text ends; the points before
    are there to go back to. Raises ValueError for an empty stop text.
    """
    if not all(stops):
        raise ValueError("a stop text is empty, wanted at least one character")
    said = steps(model, point.logits, point.state, sampler, generator, end, limit, point.seen)
    for token, logits, state, seen in said:
        if token in end:
            yield token, point.rest, Point(state, logits, seen)
            return
        text, cut = split_utf8(point.cut + tokenizer.bytes_of(token))
        text, held, stop = until_stop(point.held + text, stops)
        point = Point(state, logits, seen, b"" if stop else cut, held, stop)
        yield token, text, point
        if stop:
            return


def until_stop(text: str, stops: Sequence[str]) -> tuple[str, str, str]:
    """(text that is certain, text held back, stop text met) of the text not given out so far.

    The stop that ends first counts, and of those that end together the longest, as if characters
    came one by one; so it doesn't matter how they are spread over tokens. What is held back is the
    longest end of the text with which a stop begins.
    """
    met = [(text.find(stop) + len(stop), text.find(stop), stop) for stop in stops if stop in text]
    if met:
        _, start, stop = min(met)
        return text[:start], "", stop
    longest = max(map(len, stops), default=1) - 1
    for size in range(min(longest, len(text)), 0, -1):
        if any(stop.startswith(text[-size:]) for stop in stops):
            return text[:-size], text[-size:], ""
    return text, "", ""
