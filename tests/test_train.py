"""Training: the loss, the schedule, and that a run which was stopped goes on just the same."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny import HINTS, relative, tiny_model, tiny_tokens
from torch import Tensor
from torch.nn import functional as F

from adventure.master.corpus import corpus_tokenizer, hint_config, make_group
from adventure.master.recall import recall_batch
from adventure.master.validation import validate
from engine import headloss
from engine.adapters import Learn, prepare
from engine.copyhints import CHANNELS, CopyHints
from engine.rwkv.hints import Hints
from engine.rwkv.network import Network
from engine.train import LONGEST_OPENING, Schedule, Trainer, masked_loss, read_opening

SCHEDULE = Schedule(steps=100, peak=1e-2, warmup=10, decay=0.2)


# -- rate ------------------------------------------------------------------------------------------


def test_rate_rises_stays_and_falls_to_a_tenth() -> None:
    rates = [SCHEDULE.rate(step) for step in range(100)]
    assert rates[:10] == pytest.approx([1e-3 * n for n in range(1, 11)])
    assert rates[10:81] == [1e-2] * 71
    falling = rates[81:]
    assert falling == sorted(falling, reverse=True)
    assert rates[90] == pytest.approx(5e-3)
    assert rates[99] == pytest.approx(1e-3) == SCHEDULE.rate(100) == SCHEDULE.rate(5000)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_rate_of_a_very_short_run_is_a_rate(steps: int) -> None:
    assert all(0 < Schedule(steps).rate(step) <= 2e-3 for step in range(steps + 1))


# -- loss ------------------------------------------------------------------------------------------


def said_at(tokens: Tensor, *places: tuple[int, int]) -> Tensor:
    said = torch.zeros_like(tokens, dtype=torch.bool)
    for place in places:
        said[place] = True
    return said


def test_loss_is_of_what_is_said_next_and_of_nothing_else() -> None:
    model, tokens = tiny_model(), tiny_tokens(2, 20)
    said = said_at(tokens, (0, 3), (0, 18), (1, 7))
    logits, _ = model(tokens, model.initial_state(2))
    rows, targets = logits[said], torch.stack([tokens[0, 4], tokens[0, 19], tokens[1, 8]])
    loss, right = masked_loss(model, tokens, said, None)
    summed = F.cross_entropy(rows, targets, reduction="sum")
    assert loss.item() == pytest.approx(summed.item(), rel=1e-5)
    assert right.tolist() == (rows.argmax(-1) == targets).tolist()


def test_where_nothing_is_said_nothing_is_learned() -> None:
    """The mean over no token would be NaN, and one NaN in the weights ends a run."""
    model, tokens = tiny_model(hints=True).train(), tiny_tokens(1, 12)
    none = torch.zeros((1, 12, CHANNELS), dtype=torch.int64)
    loss, right = masked_loss(model, tokens, said_at(tokens), (none, none))
    loss.backward()
    assert loss.item() == 0 and not len(right)
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())
    update = partial(masked_loss, model, tokens, said_at(tokens), (none, none))
    assert Trainer(model, SCHEDULE).update([update, update]) == (0, 0)
    assert all(p.isfinite().all() for p in model.parameters())


# -- openings --------------------------------------------------------------------------------------


def hints_of(tokens: Tensor) -> Hints:
    """The hints of tokens (B, T), read from nothing."""
    read = [CopyHints.start(HINTS).read(row.tolist()) for row in tokens]
    ids, codes = zip(*((i, c) for i, c, _ in read), strict=True)
    return torch.stack([*map(torch.from_numpy, ids)]), torch.stack([*map(torch.from_numpy, codes)])


def test_gradients_flow_through_openings_but_not_through_endless_ones() -> None:
    model = tiny_model().train()
    for length, flows in ((40, True), (LONGEST_OPENING + 1, False)):
        state = read_opening(model, tiny_tokens(1, length), None, copies=2)
        assert all(x.requires_grad == flows for x in state.tensors.values())


@pytest.mark.parametrize("learn", ["adapter", "state"])
def test_a_part_learns_from_endless_openings_too(
    learn: Learn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.train.LONGEST_OPENING", 3)
    model = prepare(tiny_model(), learn).train()
    state = read_opening(model, tiny_tokens(1, 4), None, copies=2)
    assert state.tensors["wkv"].requires_grad


@pytest.mark.parametrize("hinted", [False, True])
def test_segments_read_from_the_openings_state_are_read_as_in_one_go(hinted: bool) -> None:
    """A group reads its world once, whatever number of segments go on from there."""
    model = tiny_model(hints=hinted).train()
    opening, segments = tiny_tokens(1, 30, seed=1), tiny_tokens(3, 20, seed=2)
    whole = torch.cat((opening.expand(3, -1), segments), 1)
    hints = hints_of(whole)
    at_once, _ = model(whole, model.initial_state(3), hints=hints if hinted else None)
    first = (hints[0][:1, :30], hints[1][:1, :30]) if hinted else None
    then = (hints[0][:, 30:], hints[1][:, 30:]) if hinted else None
    state = read_opening(model, opening, first, copies=3)
    parted, _ = model(segments, state, hints=then)
    assert relative(parted, at_once[:, 30:]) <= 1e-5
    said = torch.ones_like(segments, dtype=torch.bool)
    said[:, -1] = False
    loss, _ = masked_loss(model, segments, said, then, state)
    rows = at_once[:, 30:-1].flatten(0, 1)
    wanted = F.cross_entropy(rows, segments[:, 1:].flatten(), reduction="sum")
    assert loss.item() == pytest.approx(wanted.item(), rel=1e-4)


def gradients(model: Network) -> list[Tensor]:
    """Of all weights, which are left without."""
    found = [torch.zeros_like(p) if p.grad is None else p.grad for p in model.parameters()]
    model.zero_grad(set_to_none=True)
    return found


def test_what_is_said_in_a_segment_teaches_how_to_read_the_opening() -> None:
    model = tiny_model().train()
    opening, segments = torch.arange(40, 55)[None], tiny_tokens(2, 20)
    said = torch.ones_like(segments, dtype=torch.bool)
    said[:, -1] = False
    masked_loss(model, segments, said, None, read_opening(model, opening, None, 2))[0].backward()
    parted = gradients(model)
    whole = torch.cat((opening.expand(2, -1), segments), 1)
    both = torch.cat((torch.zeros(2, 15, dtype=torch.bool), said), 1)
    masked_loss(model, whole, both, None)[0].backward()
    for one, other in zip(parted, gradients(model), strict=True):
        assert relative(one, other) <= 1e-4 or other.norm() < 1e-6
    names = [name for name, _ in model.named_parameters()]
    embedding = parted[names.index("emb.weight")]
    assert embedding[opening[0]].norm(dim=1).min() > 0, "words that only the opening has"


# -- runs ------------------------------------------------------------------------------------------


def batch(step: int, model: torch.nn.Module) -> Callable[[], tuple[Tensor, Tensor]]:
    """The loss on batch number `step`."""
    tokens = tiny_tokens(2, 24, seed=step)
    said = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(step)) < 0.5
    return partial(masked_loss, model, tokens, said, None)


def trainer(seed: int = 0) -> Trainer:
    return Trainer(tiny_model(seed=seed).train(), SCHEDULE)


def weights_and_moments(of: Trainer) -> list[Tensor]:
    states = [state for one in of.optimizers for state in one.state.values()]
    moments = [t for state in states for t in state.values() if isinstance(t, Tensor)]
    return [*of.model.state_dict().values(), *moments]


def test_a_resumed_run_is_the_same_to_the_bit(tmp_path: Path) -> None:
    straight = trainer()
    figures = [straight.update([batch(step, straight.model)]) for step in range(6)]
    stopped = trainer()
    for step in range(3):
        stopped.update([batch(step, stopped.model)])
    stopped.save(tmp_path / "run.pt", {"tokens": 123})
    resumed = trainer(seed=9)
    assert resumed.load(tmp_path / "run.pt") == {"tokens": 123}
    assert resumed.step == 3
    again = [resumed.update([batch(step, resumed.model)]) for step in range(3, 6)]
    assert again == figures[3:]
    pairs = [*zip(weights_and_moments(resumed), weights_and_moments(straight), strict=True)]
    assert all(torch.equal(a, b) for a, b in pairs)
    assert len(pairs) > 2 * len([*straight.model.parameters()]), "both optimisers remember"


def test_a_step_is_down_the_mean_over_all_tokens_of_all_losses() -> None:
    """However they are parted: three losses of one row are as one loss of three rows."""
    tokens = tiny_tokens(3, 16)
    said = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(1)) < 0.4
    said[0] = False
    said[0, 4] = True
    whole, parted = trainer(), trainer()
    at_once = whole.update([partial(masked_loss, whole.model, tokens, said, None)])
    rows = [(tokens[i : i + 1], said[i : i + 1]) for i in range(3)]
    by_row = parted.update(partial(masked_loss, parted.model, *row, None) for row in rows)
    assert by_row == pytest.approx(at_once, rel=1e-5)
    for name, weight in whole.model.state_dict().items():
        assert relative(parted.model.state_dict()[name], weight) <= 1e-4, name


def test_training_learns() -> None:
    one = trainer()
    first, _ = one.update([batch(0, one.model)])
    for _ in range(30):
        last, right = one.update([batch(0, one.model)])
    assert last < first / 2 and 0 < right <= 1


def test_what_is_given_twice_counts_once() -> None:
    """The limit on the gradient's length is one on the mean, whatever is in a batch."""
    once, twice = trainer(), trainer()

    def small(of: Trainer) -> tuple[Tensor, Tensor]:
        loss, right = batch(0, of.model)()
        return loss * 1e-4, right  # far below the limit

    once.update([partial(small, once)])
    twice.update([partial(small, twice), partial(small, twice)])
    for one, other in zip(once.model.parameters(), twice.model.parameters(), strict=True):
        assert one.grad is not None and other.grad is not None
        assert relative(other.grad, one.grad) <= 1e-4


def test_everything_is_trained_by_one_optimiser_and_only_matrices_decay() -> None:
    one = trainer()
    adam, muon = one.optimizers
    decayed, rest = (group["params"] for group in adam.param_groups)
    (inner,) = (group["params"] for group in muon.param_groups)
    trained = [id(p) for p in (*decayed, *rest, *inner)]
    assert sorted(trained) == sorted(id(p) for p in one.model.parameters())
    layers = {id(p) for n, p in one.model.named_parameters() if n.startswith("blocks.")}
    assert all(p.dim() == 2 and id(p) in layers for p in inner)
    assert all(p.dim() == 2 for p in decayed) and id(one.model.emb.weight) in map(id, decayed)
    assert all(p.dim() != 2 or min(p.shape) == 1 for p in rest)
    groups = [*adam.param_groups, *muon.param_groups]
    assert [g["weight_decay"] > 0 for g in groups] == [True, False, True]
    one.update([batch(0, one.model)])
    assert [g["lr"] for g in groups] == [SCHEDULE.rate(0)] * 3


def test_a_checkpoint_is_replaced_whole_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, file = trainer(), tmp_path / "run.pt"
    one.save(file, {"tokens": 1})
    before = file.read_bytes()

    def fail(whole: object, to: object) -> None:
        to.write(b"half")  # type: ignore[attr-defined]
        raise OSError("No space left on device")

    monkeypatch.setattr(torch, "save", fail)
    with pytest.raises(OSError, match="No space"):
        one.save(file, {"tokens": 2})
    assert file.read_bytes() == before


# -- the head -------------------------------------------------------------------------------------


@pytest.mark.parametrize("hinted", [False, True])
@pytest.mark.parametrize("tied", [False, True])
def test_the_head_in_parts_is_the_head_at_once(
    hinted: bool, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Loss, hits and every gradient are those of all logits and torch's cross-entropy."""
    monkeypatch.setattr(headloss, "FEWEST", 5)
    monkeypatch.setattr(headloss, "PART", {"cpu": 1})
    model, tokens = tiny_model(hints=hinted, tied=tied).train(), tiny_tokens(2, 24)
    hints = hints_of(tokens) if hinted else None
    said = torch.rand(tokens.shape, generator=torch.Generator().manual_seed(1)) < 0.5
    loss, right = masked_loss(model, tokens, said, hints)
    (loss * 0.7).backward()
    parted = gradients(model)
    logits, _ = model(tokens, model.initial_state(2), hints=hints, select=said)
    targets = tokens.roll(-1, 1)[said]
    whole = F.cross_entropy(logits, targets, reduction="sum")
    (whole * 0.7).backward()
    assert loss.item() == pytest.approx(whole.item(), rel=1e-6)
    assert right.tolist() == (logits.argmax(-1) == targets).tolist()
    for one, other in zip(parted, gradients(model), strict=True):
        assert relative(one, other) <= 2e-5 or other.norm() < 1e-6


def test_mixed_products_of_the_head_round_gradients_and_not_the_loss() -> None:
    model = tiny_model().train()
    h = torch.randn(30, 32, generator=torch.Generator().manual_seed(2)).requires_grad_()
    targets = tiny_tokens(1, 30)[0]
    plain, _ = headloss.head_loss(model, h, targets)
    (exact,) = torch.autograd.grad(plain, h)
    model.use_mixed()
    mixed, _ = headloss.head_loss(model, h, targets)
    (rounded,) = torch.autograd.grad(mixed, h)
    assert mixed.item() == plain.item()
    assert 0 < relative(rounded, exact) <= 1e-2


# -- averages -------------------------------------------------------------------------------------


def test_the_average_follows_the_weights_and_comes_back(tmp_path: Path) -> None:
    one = Trainer(tiny_model().train(), SCHEDULE, ema=0.5)
    name, weight = next(iter(one.learned.items()))
    wanted = weight.detach().clone()
    for step in range(4):
        one.update([batch(step, one.model)])
        kept = min(0.5, (1 + step) / (10 + step))
        wanted = kept * wanted + (1 - kept) * weight.detach()
    assert relative(one.averaged[name], wanted) <= 1e-6
    assert relative(one.averaged[name], weight.detach()) > 1e-6
    one.save(tmp_path / "run.pt", {})
    two = Trainer(tiny_model(seed=3).train(), SCHEDULE, ema=0.5)
    two.load(tmp_path / "run.pt")
    assert all(torch.equal(two.averaged[n], t) for n, t in one.averaged.items())
    with pytest.raises(ValueError, match="something else is learned"):
        trainer().load(tmp_path / "run.pt")


# -- what a run is made of ---------------------------------------------------------------------


def test_recall_asks_for_the_value_of_each_key_once() -> None:
    tokens, said = recall_batch(24, 600, 5, torch.Generator().manual_seed(1), batch=3)
    assert tokens.shape == said.shape == (3, 20)
    assert said.sum(1).tolist() == [5, 5, 5]
    for row, asked in zip(tokens.tolist(), said.tolist(), strict=True):
        pairs = dict(zip(row[0:10:2], row[1:10:2], strict=True))
        assert len(pairs) == 5
        answers = {row[t]: row[t + 1] for t in range(20) if asked[t]}
        assert answers == pairs
    assert tokens.min() >= 8 and tokens.max() < 600, "marks take no part"


def test_turns_are_counted_as_exact_whatever_form_of_a_reply_they_choose() -> None:
    """A stand-in that knows what comes next is right; with one token wrong, in one turn less."""
    tokenizer = corpus_tokenizer(900, worlds=20)
    hints = hint_config(tokenizer)
    group = make_group(5, 1, tokenizer, hints, (3, 3), 1, 500)
    tokens = torch.from_numpy(group.segments.tokens)
    lines = [at for at in range(tokens.shape[1] - 1) if tokens[0, at + 1] == hints.newline]
    first, last, kind = group.segments.turns[0]
    form = next(at for at in lines if first < at < last)

    class Oracle:
        """Answers with the next token, but for what `but` says at a place."""

        def __init__(self, but: dict[int, int]) -> None:
            self.config, self.but = tiny_model().config, but

        def initial_state(self, batch: int) -> Oracle:
            return self

        def select(self, rows: list[int]) -> Oracle:
            return self

        def __call__(
            self, read: Tensor, state: Oracle, hints: object, select: object = None
        ) -> tuple[Tensor, Oracle]:
            logits = F.one_hot(read.roll(-1, 1), tokenizer.vocab).float()
            if select is None:
                for at, token in self.but.items():
                    logits[0, at] = F.one_hot(torch.tensor(token), tokenizer.vocab)
            return logits, self

    def exact(but: dict[int, int]) -> tuple[int, int]:
        tally = validate(Oracle(but), tokenizer, hints, [group])  # type: ignore[arg-type]
        assert sum(tally.total.values()) == len(group.segments.turns)
        return sum(tally.exact.values()), len(tally.wrong)

    everything = len(group.segments.turns)
    assert exact({}) == (everything, 0)
    assert exact({first - 1: 99}) == (everything, 0), "the command is the player's"
    assert exact({form: 99}) == (everything - 1, 1)
    assert exact({form: tokenizer.encode(" or")[0]}) == (everything, 0)
    mistaken: Any = Oracle({form: 99})
    assert f"{kind} " in validate(mistaken, tokenizer, hints, [group]).summary()
