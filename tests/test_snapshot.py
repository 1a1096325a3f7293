"""Snapshots: going on from what was written is going on from what was."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from tiny import HINTS, tiny_model, tiny_tokens
from torch import Tensor

from engine import Snapshot
from engine.copyhints import CopyHints
from engine.errors import SnapshotError
from engine.generate import decode, prefill
from engine.sampler import make_sampler

Parts = tuple[dict[str, Tensor], dict[str, Any]]


def a_snapshot(hints: bool = True, batch: int = 1) -> Snapshot:
    model = tiny_model(hints=hints)
    logits, state = prefill(model, tiny_tokens(batch, 40), model.initial_state(batch))
    return Snapshot(state, logits[0], {"temperature": 0.1}, {"turns": 3, "said": ["é"]})


def through_a_file(parts: Parts, folder: Path) -> Parts:
    tensors, meta = parts
    save_file(tensors, folder / "snapshot.safetensors")
    return load_file(folder / "snapshot.safetensors"), json.loads(json.dumps(meta))


@pytest.mark.parametrize("hints", [False, True])
@pytest.mark.parametrize("batch", [1, 3])
def test_every_bit_comes_back(tmp_path: Path, hints: bool, batch: int) -> None:
    snapshot = a_snapshot(hints, batch)
    back = Snapshot.from_tensors(*through_a_file(snapshot.to_tensors(), tmp_path))
    assert torch.equal(back.logits, snapshot.logits)
    assert back.state.tensors.keys() == snapshot.state.tensors.keys()
    for name, tensor in snapshot.state.tensors.items():
        assert torch.equal(back.state.tensors[name], tensor)
        assert back.state.tensors[name].dtype == tensor.dtype
    assert (back.sampler, back.extra) == (snapshot.sampler, snapshot.extra)
    kept = [h.tokens for h in snapshot.state.hints or ()]
    assert [h.tokens for h in back.state.hints or ()] == kept and len(kept) == batch * hints


def test_going_on_is_the_same_to_the_bit(tmp_path: Path) -> None:
    model, snapshot = tiny_model(hints=True), a_snapshot()
    back = Snapshot.from_tensors(*through_a_file(snapshot.to_tensors(), tmp_path))
    sampler, written = make_sampler(temperature=1.0), []
    for start in (snapshot, back):
        generator = torch.Generator().manual_seed(9)
        steps = list(decode(model, start.logits, start.state, sampler, generator, limit=30))
        written.append(([token for token, _, _ in steps], steps[-1][1]))
    assert written[0][0] == written[1][0] and len(set(written[0][0])) > 5
    assert torch.equal(written[0][1], written[1][1])


def test_copy_hints_are_read_on_from_what_has_read_their_beginning(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parts = a_snapshot().to_tensors()
    tokens = parts[0]["hints.0"].tolist()
    others = replace(HINTS, colon=HINTS.newline, newline=HINTS.colon)
    first, strange, longer, foreign = (
        CopyHints.start(config).read(read)[2]
        for config, read in (
            *((HINTS, tokens[:25]), (HINTS, [*tokens[:24], 60]), (HINTS, [*tokens, 1])),
            (others, tokens[:25]),
        )
    )

    def hints_after(begun: CopyHints | None) -> list[list[list[int]]]:
        state = Snapshot.from_tensors(*parts, begun).state
        assert state.hints is not None and state.hints[0].tokens == tuple(tokens)
        ids, codes, _ = state.hints[0].read(tokens)
        return [ids.tolist(), codes.tolist()]

    wanted = hints_after(None)
    assert [hints_after(begun) for begun in (first, strange, longer, foreign)] == [wanted] * 4
    monkeypatch.setattr(CopyHints, "start", None)  # nobody begins at the beginning
    assert hints_after(first) == wanted


def test_taking_a_snapshot_apart_shares_nothing_with_what_goes_on() -> None:
    snapshot = a_snapshot()
    tensors, _ = snapshot.to_tensors()
    kept = {name: t.clone() for name, t in tensors.items()}
    model = tiny_model(hints=True)
    list(decode(model, snapshot.logits, snapshot.state, make_sampler(), limit=5))
    assert all(torch.equal(t, kept[name]) for name, t in tensors.items())


def without(name: str) -> Any:
    return lambda tensors, meta: (tensors if name in tensors else meta).pop(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t, m: m.update(format=0), "has format 0 and this program reads format 1"),
        (without("format"), "has format None"),
        (without("logits"), "lacks its state or its logits"),
        (without("sampler"), "lacks its state or its logits"),
        (lambda t, m: t.update({"state.wkv": t["state.wkv"][:, :0]}), "different batch sizes"),
        (lambda t, m: t["state.att_x"].fill_(float("nan")), "not numbers"),
        (lambda t, m: t["logits"].fill_(float("nan")), "not numbers"),
        (without("hints.0"), "copy hints are damaged"),
        (lambda t, m: m.update(hints={"hints": "{"}), "copy hints are damaged"),
        (lambda t, m: m.update(hints={}), "copy hints lack their settings"),
    ],
)
def test_parts_that_do_not_fit(change: Any, said: str) -> None:
    tensors, meta = a_snapshot().to_tensors()
    tensors = {name: t.clone() for name, t in tensors.items()}
    change(tensors, meta)
    with pytest.raises(SnapshotError) as caught:
        Snapshot.from_tensors(tensors, meta)
    assert said in str(caught.value) and str(caught.value).endswith(".")


def test_a_snapshot_of_another_version_is_not_called_damaged() -> None:
    tensors, meta = a_snapshot().to_tensors()
    own = json.loads(HINTS.to_metadata()["hints"])
    lacking = {name: own[name] for name in own if name != "off"}
    for which, names in {"an earlier": lacking, "a later": own | {"spoons": [3]}}.items():
        with pytest.raises(SnapshotError) as caught:
            Snapshot.from_tensors(tensors, meta | {"hints": {"hints": json.dumps(names)}})
        assert str(caught.value) == (
            f"The snapshot was written by {which} version of this program, whose copy hints are "
            "others; use the version that wrote it."
        )
