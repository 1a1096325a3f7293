"""The latent memory: embeddings in place of tokens, what each solidifier makes, chains of segments,
files; and that it can carry facts at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from tiny import GENERATIONS, relative, tiny_model, tiny_tokens
from torch import Tensor

from engine.bench import memory as toy
from engine.checkpoint import load_model, save_model
from engine.convert import write_model
from engine.copyhints import CHANNELS
from engine.errors import CheckpointError
from engine.generate import prefill, prefill_rows
from engine.memory import elephant
from engine.memoryconfig import FORMULAS, GATES, SOLIDIFIERS, MemoryConfig
from engine.rwkv.hints import read_hints
from engine.rwkv.network import Network
from engine.rwkv.state import State
from engine.segments import Segment, memory_of, read_memory, segments_loss, write_memory


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def network(memory: MemoryConfig, generation: str = "7", hints: bool = True) -> Network:
    """A tiny network with a memory of which no weight has its special first value."""
    model = tiny_model(hints=hints, generation=generation)
    model.add_memory(memory, seed=3)
    rng = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for p in memory_of(model).parameters():
            p.add_(0.1 * torch.randn(p.shape, generator=rng))
    return model.eval()


def same(one: State, other: State) -> bool:
    return all(torch.equal(t, other.tensors[name]) for name, t in one.tensors.items())


# -- embeddings in place of tokens ---------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("kernel", ["auto", "torch"])
def test_the_embeddings_of_tokens_are_read_as_the_tokens_are(
    generation: str, kernel: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ADVENTURE_KERNEL", kernel)
    model, tokens = tiny_model(hints=True, generation=generation), tiny_tokens(2, 9)
    with torch.no_grad():
        begin = model.initial_state(2)
        assert begin.hints is not None
        hints, _ = read_hints(begin.hints, tokens)
        logits, state = model(tokens, begin, hints=hints)
        h, after = model.read_embeddings(model.embed(tokens, hints), begin)
    assert after.hints == begin.hints, "what is no token is no text"
    assert relative(model.logits(h, hints), logits) < 1e-5
    for name, tensor in state.tensors.items():
        assert relative(after.tensors[name].double(), tensor.double()) < 1e-5


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("exact", [False, True])
def test_modes_splits_and_batches_give_the_same_bits(generation: str, exact: bool) -> None:
    model = tiny_model(generation=generation)
    if exact:
        model.exact = True
        model._native = lambda mode: None  # type: ignore[method-assign]
    x = torch.randn(3, 8, 32, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        _, begin = model(tiny_tokens(3, 4), model.initial_state(3))
        h, state = model.read_embeddings(x, begin)
        steps, stepped = model.read_embeddings(x, begin, mode="rnn")
        left, middle = model.read_embeddings(x[:, :3], begin)
        right, split = model.read_embeddings(x[:, 3:], middle, mode="rnn")
        alone, row = model.read_embeddings(x[1:2], begin.select([1]))
    assert torch.equal(h, steps) and same(state, stepped)
    assert torch.equal(h, torch.cat((left, right), 1)) and same(state, split)
    assert torch.equal(h[1:2], alone) and same(state.select([1]), row)


def test_embeddings_that_dont_fit_are_refused() -> None:
    model = tiny_model()
    for x in (torch.zeros(1, 2), torch.zeros(2, 2, 32), torch.zeros(1, 0, 32)):
        with pytest.raises(ValueError, match="embeddings have shape"):
            model.read_embeddings(x, model.initial_state())
    with torch.no_grad(), pytest.raises(ValueError, match="embeddings has shape"):
        model.read_embeddings(torch.zeros(1, 2, 16), model.initial_state())
    with pytest.raises(ValueError, match="mode is 'fast'"):
        model.read_embeddings(torch.zeros(1, 2, 32), model.initial_state(), "fast")  # type: ignore[arg-type]


def test_rows_of_any_lengths_are_read_as_each_alone() -> None:
    model = tiny_model(hints=True)
    rows = [[5], [3, 4, 5, 6, 7], [8, 9], [1, 2, 3, 4, 9]]
    together, state = prefill_rows(model, rows, model.initial_state(4))
    for i, row in enumerate(rows):
        logits, alone = prefill(model, torch.tensor([row]), model.initial_state())
        assert torch.equal(logits[0], together[i]) and same(alone, state.select([i]))
        assert alone.hints is not None and state.hints is not None
        assert alone.hints[0].tokens == state.hints[i].tokens == tuple(row)
    with pytest.raises(ValueError, match=r"rows of \[1, 0\] tokens"):
        prefill_rows(model, [[1], []], model.initial_state(2))


# -- the memory itself ---------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
@pytest.mark.parametrize("solidifier", SOLIDIFIERS)
def test_every_weight_of_a_memory_learns(generation: str, solidifier: str) -> None:
    config = MemoryConfig(slots=3, solidifier=solidifier, gate="elephant", pause=2)
    model = network(config, generation)
    state = model.initial_state(2)
    memory = memory_of(model).start(2)
    for _ in range(2):
        memory, _ = write_memory(model, memory, read_memory(model, memory, state))
        assert memory.shape == (2, 3, 32)
    (memory * torch.randn(2, 3, 32)).sum().backward()
    for name, p in memory_of(model).named_parameters():
        assert p.grad is not None and torch.isfinite(p.grad).all(), name
        assert p.grad.any(), name


def test_the_right_formula_writes_from_what_was_read_and_the_wrong_one_does_not() -> None:
    for formula in FORMULAS:
        memory = memory_of(network(MemoryConfig(slots=2, solidifier="none", formula=formula)))
        given = torch.randn(1, 2, 32)
        tokens = memory.write_tokens(given)
        assert torch.equal(tokens, memory.read(given)) == (formula == "right")
        assert torch.equal(tokens, memory.start(1)) == (formula == "wrong")


def test_pause_tokens_come_before_the_write_tokens() -> None:
    model = network(MemoryConfig(slots=2, solidifier="none", pause=3))
    memory, given = memory_of(model), torch.randn(2, 2, 32)
    tokens = memory.write_tokens(given)
    assert tokens.shape == (2, 5, 32)
    assert torch.equal(tokens[0, :3], memory.pause) and torch.equal(tokens[:, 3:], given)
    with torch.no_grad():
        written, _ = write_memory(model, given, model.initial_state(2))
        outputs, _ = model.read_embeddings(model.unhinted(tokens), model.initial_state(2))
    assert torch.equal(written, outputs[:, 3:])


def test_a_quantised_memory_is_its_codes_to_the_bit() -> None:
    for levels in (3, 5, 9, 127):
        model = network(MemoryConfig(slots=3, solidifier="fsq", levels=levels, gate="elephant"))
        memory = memory_of(model)
        with torch.no_grad():
            first = memory.start(2)
            written, _ = write_memory(model, first, model.initial_state(2))
        for value in (first, written):
            codes = memory.codes(value)
            assert codes.dtype is torch.int8 and int(codes.abs().max()) <= levels // 2
            assert torch.equal(memory.from_codes(codes), value)
            assert len(codes.unique()) > 1


def test_an_elephant_gate_chooses_between_new_and_old() -> None:
    x = torch.tensor([0.0, 1.0, -1.0, 3.0, 1e9])
    assert elephant(x).tolist() == pytest.approx([1, 0.5, 0.5, 0, 0], abs=2e-4)
    memory = memory_of(network(MemoryConfig(slots=1, solidifier="none", gate="elephant")))
    with torch.no_grad():
        memory.elephant.weight.zero_()
        memory.elephant.bias.copy_(torch.tensor([0.0, 9.0]).repeat(16))
    new, old = torch.ones(1, 1, 32), torch.full((1, 1, 32), 7.0)
    assert memory.solidify(new, old)[0, 0, :2].tolist() == pytest.approx([1, 7], abs=1e-4)


def test_a_fresh_solidifier_changes_nothing_so_that_all_start_alike() -> None:
    outputs, before = torch.randn(2, 2, 32), torch.zeros(2, 2, 32)
    for solidifier in ("none", "glu", "mlp", "separate"):
        model = tiny_model()
        model.add_memory(MemoryConfig(slots=2, solidifier=solidifier))
        solid = memory_of(model).solidify(outputs, before)
        assert torch.allclose(solid, outputs, atol=1e-6)
        assert float(memory_of(model).initial.detach().std()) == pytest.approx(
            float(model.emb.weight.detach().std()), rel=0.5
        )


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"slots": 0}, "slots is 0, wanted a whole number from 1"),
        ({"pause": -1}, "pause is -1"),
        ({"levels": 4}, "levels is 4, wanted an odd number"),
        ({"levels": 129}, "levels is 129"),
        ({"slots": 2.0}, "slots is 2.0"),
        ({"solidifier": "lstm"}, "solidifier is 'lstm', wanted one of none, glu"),
        ({"gate": "sigmoid"}, "gate is 'sigmoid'"),
        ({"formula": "left"}, "formula is 'left'"),
    ],
)
def test_settings_that_cant_be_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MemoryConfig(**changes)  # type: ignore[arg-type]


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("solidifier", SOLIDIFIERS)
def test_a_checkpoint_keeps_the_memory(solidifier: str, tmp_path: Path) -> None:
    config = MemoryConfig(slots=3, solidifier=solidifier, gate=GATES[1], pause=1)
    model, file = network(config), tmp_path / "m.safetensors"
    save_model(model, file, {})
    found = load_model(file)
    assert found.config == model.config and found.config.memory == config
    tokens, given = tiny_tokens(1, 4), torch.tanh(torch.randn(1, 3, 32))
    with torch.no_grad():
        states = [m(tokens, m.initial_state())[1] for m in (model, found)]
        one, other = (
            write_memory(m, given, s)[0] for m, s in zip((model, found), states, strict=True)
        )
    assert torch.equal(one, other)


def test_damaged_settings_and_missing_weights_are_refused(tmp_path: Path) -> None:
    model, file = network(MemoryConfig(slots=3)), tmp_path / "m.safetensors"
    for wrong in ("{}", "[", '{"slots": 3}', "7"):
        bare = tiny_model()
        save_model(bare, file, {"memory": wrong})
        with pytest.raises(CheckpointError, match="damaged settings for its latent memory"):
            load_model(file)
    save_model(tiny_model(), file, MemoryConfig(slots=3).to_metadata())
    with pytest.raises(CheckpointError, match=r"lacks the weight memory\.initial"):
        load_model(file)
    for form, name in (("pth", "m.pth"), ("huggingface", "folder")):
        plain = tiny_model()
        plain.add_memory(MemoryConfig(slots=3))
        with pytest.raises(CheckpointError, match="latent memory"):
            write_model(plain, tmp_path / name, form)
    assert model.config.memory is not None


def test_a_network_without_a_memory_says_so() -> None:
    model = tiny_model()
    with pytest.raises(ValueError, match="has no latent memory"):
        read_memory(model, torch.zeros(1, 2, 32), model.initial_state())


# -- chains of segments --------------------------------------------------------------------------


def chain(lengths: list[list[int]], seed: int = 0) -> list[Segment]:
    """Random segments of these lengths, [segment][game], padded with zeros."""
    rng, made = torch.Generator().manual_seed(seed), []
    for row in lengths:
        shape = (len(row), max(row))
        tokens = torch.randint(1, 30, shape, generator=rng)
        inside = torch.arange(shape[1]) < torch.tensor(row).unsqueeze(1)
        ids = torch.randint(30, (*shape, CHANNELS), generator=rng)
        said = inside & (torch.arange(shape[1]) + 1 < torch.tensor(row).unsqueeze(1))
        made.append(
            Segment(tokens * inside, said, torch.tensor(row), (ids, (ids % 3) * inside[..., None]))
        )
    return made


def rows(segments: list[Segment], b: int) -> list[Segment]:
    return [segment.row(b) for segment in segments]


@pytest.mark.parametrize("start", ["opening", "carried"])
def test_padding_leaves_no_trace(start: str) -> None:
    model = network(MemoryConfig(slots=3, pause=1))
    segments = chain([[7, 4], [3, 9], [5, 6]])
    state = model(tiny_tokens(2, 5), model.initial_state(2), hints=None)[1]
    state = State(state.tensors)
    loss, right = segments_loss(model, state, segments, start=start)  # type: ignore[arg-type]
    alone = [
        segments_loss(model, state.select([b]), rows(segments, b), start=start)  # type: ignore[arg-type]
        for b in range(2)
    ]
    assert loss.item() == pytest.approx(sum(one.item() for one, _ in alone), rel=1e-5)
    assert int(right.sum()) == sum(int(hits.sum()) for _, hits in alone)
    assert len(right) == sum(int(s.said.sum()) for s in segments)


def test_a_chain_is_read_as_play_reads_it() -> None:
    """Memory between, read and written through the functions that play uses."""
    model = network(MemoryConfig(slots=3, solidifier="mlp", gate="elephant", pause=1))
    segments, total = chain([[6], [5], [4]]), torch.zeros(())
    opening = State(model.initial_state().tensors)
    memory = memory_of(model).start(1)
    for i, segment in enumerate(segments):
        state = read_memory(model, memory, opening) if i else opening
        logits, state = model(segment.tokens, state, hints=segment.hints, select=segment.said)
        targets = segment.tokens.roll(-1, 1)[segment.said]
        total = total + torch.nn.functional.cross_entropy(logits, targets, reduction="sum")
        memory, _ = write_memory(model, memory, state)
    loss, _ = segments_loss(model, opening, segments)
    assert loss.item() == pytest.approx(total.item(), rel=1e-5)


def gradient(model: Network, **options: object) -> Tensor:
    """Of the last segment's loss in the embeddings of tokens that only the first segment has."""
    segments = chain([[6], [5], [4]])
    first = segments[0]
    segments[0] = replace(first, tokens=torch.full_like(first.tokens, 50))
    quiet = [replace(s, said=torch.zeros_like(s.said)) for s in segments[:-1]]
    opening = State(model.initial_state().tensors)
    model.zero_grad()
    segments_loss(model, opening, [*quiet, segments[-1]], **options)[0].backward()  # type: ignore[arg-type]
    assert model.emb.weight.grad is not None
    return model.emb.weight.grad[50].clone()


def test_gradients_flow_through_as_many_segments_as_asked() -> None:
    model = network(MemoryConfig(slots=3))
    assert gradient(model).any() and gradient(model, depth=3).any()
    assert not gradient(model, depth=2).any() and not gradient(model, depth=1).any()
    assert not gradient(model, latent="frozen").any() and not gradient(model, latent="off").any()
    assert gradient(model, start="carried", latent="off").any()
    assert not gradient(model, start="carried", depth=1).any()


def test_nothing_to_learn_is_no_loss() -> None:
    model = network(MemoryConfig(slots=3))
    (segment,) = chain([[4]])
    loss, right = segments_loss(
        model,
        State(model.initial_state().tensors),
        [replace(segment, said=torch.zeros_like(segment.said))],
    )
    assert loss.item() == 0 and len(right) == 0


def test_a_memory_is_never_replaced() -> None:
    """What it has learned stays: the same one again is that one, another one is a mistake."""
    config = MemoryConfig(slots=3)
    model = network(config)
    before = memory_of(model).initial.clone()
    model.add_memory(MemoryConfig(slots=3), seed=9)
    assert torch.equal(memory_of(model).initial, before)
    with pytest.raises(ValueError, match=r"there is another one already: MemoryConfig\(slots=3"):
        model.add_memory(MemoryConfig(slots=2))
    assert model.config.memory == config and torch.equal(memory_of(model).initial, before)


# -- whether it can carry facts ------------------------------------------------------------------


def test_a_memory_learns_to_carry_facts_and_to_overwrite_them() -> None:
    """Told in segment 1, some overwritten in 2, asked in 3; chance is one in eight."""
    result = toy.learn(toy.Plan(memory=MemoryConfig(slots=4, solidifier="none"), batch=24))
    assert result.right > 0.9, result.as_text()
    assert result.frozen < 0.25, result.as_text()


def test_the_toy_overwrites_and_asks_for_what_was_told_last() -> None:
    told, again, asked = toy.toy_chain(64, 3, torch.Generator().manual_seed(1))
    for b in range(64):
        held = dict(divmod(t, toy.VALUES) for t in told.tokens[b].tolist())
        held |= dict(divmod(t, toy.VALUES) for t in again.tokens[b].tolist())
        pairs = asked.tokens[b].view(-1, 2).tolist()
        facts = toy.KEYS * toy.VALUES
        assert {q - facts: a - facts - toy.KEYS for q, a in pairs} == held
        assert asked.said[b].tolist() == [True, False] * toy.KEYS
    assert not told.said.any() and not again.said.any()
