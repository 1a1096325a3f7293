"""Networks of every generation: against numbers made by other programs, and mode against mode."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny import GENERATIONS, relative, tiny_model, tiny_tokens
from torch import Tensor

from engine.copyhints import CHANNELS, CODES
from engine.rwkv.config import Config
from engine.rwkv.hints import Hints, read_hints
from engine.rwkv.network import Mode, Network
from engine.rwkv.state import State

VECTORS = Path(__file__).parent / "vectors"
MODES: tuple[Mode, ...] = ("gpt", "rnn")
FAST = 2e-6

# What each file was made with: `rwkv2` by the first program for RWKV-2, the others without epsilon.
SOURCES = {
    "rwkv2": ("2", 1e-9),
    "rwkv2_longctx": ("2", None),
    "rwkv4": ("4", None),
    "rwkv5": ("5.2", None),
    "rwkv6": ("6", None),
    "rwkv7": ("7", None),
}
NAMES = tuple(SOURCES)


@pytest.fixture(params=["torch", "auto"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Plain torch, the specification, and whatever takes its place where there is a compiler."""
    monkeypatch.setenv("ADVENTURE_KERNEL", request.param)
    choice: str = request.param
    return choice


def published(name: str) -> tuple[Network, dict[str, Tensor]]:
    """The network of a file of vectors, and all that the file holds."""
    vector, prefix = load_file(VECTORS / f"{name}.safetensors"), "weights/"
    generation, epsilon = SOURCES[name]
    weights = {n.removeprefix(prefix): t.float() for n, t in vector.items() if prefix in n}
    shapes = {n: tuple(t.shape) for n, t in weights.items()}
    model = Network(Config.infer(shapes, generation=generation))
    model.load_state_dict(weights)
    if epsilon is not None:
        model.compat = epsilon
    return model.eval(), vector


def state_pairs(name: str, state: State, vector: dict[str, Tensor]) -> list[tuple[Tensor, Tensor]]:
    """A one-row state and the file's, tensor by tensor, in the file's layout and scale."""
    pairs = []
    layers, generation = len(state.tensors["att_x"]), SOURCES[name][0]
    for i in range(layers):
        own = {n: t[i, 0] for n, t in state.tensors.items()}
        if generation in ("5.2", "6", "7"):  # the package holds [key, value] before 7
            wkv = own["wkv"] if generation == "7" else own["wkv"].mT
            found, first = [own["att_x"], wkv, own["ffn_x"]], 3 * i
            pairs += [(t, vector[f"state/{first + j}"]) for j, t in enumerate(found)]
            continue
        if generation == "4":
            att_x, aa, bb, exponent, ffn_x = (vector[f"state/{5 * i + j}"] for j in range(5))
        else:
            aa, bb, att_x, ffn_x = (
                vector[f"state/{part}.{i}"] for part in ("aa.att", "bb.att", "xx.att", "xx.ffn")
            )
            exponent = vector.get(f"state/mm.att.{i}", torch.zeros_like(aa))
        # The sources hold A e^-exponent.
        scale = torch.exp2(own["exp"].double()) * torch.exp(-exponent.double())
        pairs += [(own["att_x"], att_x), (own["num"] * scale, aa), (own["den"] * scale, bb)]
        pairs.append((own["ffn_x"], ffn_x))
    return pairs


def assert_source(
    name: str, logits: Tensor, state: State, vector: dict[str, Tensor], about: object
) -> None:
    assert relative(logits[0], vector["logits"]) <= FAST, about
    for i, (found, wanted) in enumerate(state_pairs(name, state, vector)):
        assert relative(found, wanted) <= FAST, (about, i)


def beginnings(model: Network, tokens: Tensor, mode: Mode) -> list[tuple[Tensor, State]]:
    """Logits and state after the first 0, 1, 2 ... of tokens (1, T), each read in one call."""
    start = model.initial_state()
    found = [(torch.empty(1, 0, model.config.vocab), start)]
    if mode == "gpt":
        return found + [model(tokens[:, :cut], start) for cut in range(1, tokens.shape[1])]
    logits, state = found[0]
    for t in range(tokens.shape[1] - 1):
        new, state = model(tokens[:, t : t + 1], state, mode="rnn")
        logits = torch.cat((logits, new), 1)
        found.append((logits, state))
    return found


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_vector_at_every_split_with_gpt_mode_after(name: str, first: Mode) -> None:
    model, vector = published(name)
    tokens = vector["tokens"].unsqueeze(0)
    for cut, (logits, state) in enumerate(beginnings(model, tokens, first)):
        rest, state = model(tokens[:, cut:], state)
        assert_source(name, torch.cat((logits, rest), 1), state, vector, cut)


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("first", MODES)
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_vector_at_every_split_with_rnn_mode_after(name: str, first: Mode) -> None:
    # With every token a row joins the batch, whose text so far was read in one call.
    model, vector = published(name)
    tokens, rows = vector["tokens"].unsqueeze(0), beginnings(model, vector["tokens"][None], first)
    logits = [row for row, _ in rows]
    joined = rows[0][1].select([])
    for t in range(tokens.shape[1]):
        joined = State.stack([joined, rows[t][1]])
        new, joined = model(tokens[:, t : t + 1].expand(t + 1, 1), joined, mode="rnn")
        logits[: t + 1] = [torch.cat((logits[b], new[b : b + 1]), 1) for b in range(t + 1)]
    for cut, whole in enumerate(logits):
        assert_source(name, whole, joined.select([cut]), vector, cut)


def test_rwkv_3_is_4_with_a_column_for_decays() -> None:
    four, vector = published("rwkv4")
    weights = dict(four.state_dict())
    for name in weights:
        if name.endswith(("time_decay", "time_first")):
            weights[name] = weights[name].unsqueeze(1)
    shapes = {name: tuple(t.shape) for name, t in weights.items()}
    model = Network(Config.infer(shapes, generation="3"))
    model.load_state_dict(weights)
    logits, state = model(vector["tokens"].unsqueeze(0), model.initial_state())
    assert_source("rwkv4", logits, state, vector, "3")


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("name", [name for name in NAMES if name != "rwkv2"])
@torch.no_grad()
def test_a_thousand_greedy_tokens_are_the_same_in_both_modes(name: str) -> None:
    # Written token by token; then GPT mode must choose every one of them again.
    model, _ = published(name)
    state, token, written = model.initial_state(), torch.tensor([[7]]), [7]
    for _ in range(1000):
        logits, state = model(token, state, mode="rnn")
        token = logits.argmax(-1)
        written.append(int(token))
    logits, _ = model(torch.tensor([written[:-1]]), model.initial_state(), mode="gpt")
    assert logits[0].argmax(-1).tolist() == written[1:]


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("exact", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_forward_leaves_its_state_untouched(generation: str, mode: Mode, exact: bool) -> None:
    model = tiny_model(hints=True, generation=generation)
    model.exact = exact
    _, state = model(tiny_tokens(2, 9), model.initial_state(2))
    kept, read = state.clone(), [len(h.tokens) for h in state.hints or ()]
    first, _ = model(tiny_tokens(2, 5, seed=1), state, mode=mode)
    again, _ = model(tiny_tokens(2, 5, seed=1), state, mode=mode)
    assert torch.equal(first, again)
    assert [len(h.tokens) for h in state.hints or ()] == read == [9, 9]
    assert all(torch.equal(state.tensors[n], t) for n, t in kept.tensors.items())


def joined_sums(state: State) -> dict[str, Tensor]:
    """The tensors, with sums and their exponents put together as float64."""
    tensors = dict(state.tensors)
    if "exp" in tensors:
        scale = torch.exp2(tensors.pop("exp").double())
        tensors |= {name: tensors[name] * scale for name in ("num", "den")}
    return tensors


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_rows_of_a_batch_know_nothing_of_each_other(generation: str, mode: Mode) -> None:
    model, tokens = tiny_model(hints=True, generation=generation), tiny_tokens(3, 20)
    logits, state = model(tokens, model.initial_state(3), mode=mode)
    alone = [model(tokens[b : b + 1], model.initial_state(), mode=mode) for b in range(3)]
    joined = State.stack([s for _, s in alone])
    assert relative(torch.cat([row for row, _ in alone]), logits) <= FAST
    for name, tensor in joined_sums(state).items():
        assert relative(joined_sums(joined)[name], tensor) <= FAST
    turned = state.select([2, 0])
    for name, tensor in state.tensors.items():
        assert torch.equal(turned.tensors[name], tensor[:, [2, 0]])
    assert turned.hints is not None and state.hints is not None and turned.batch == 2
    assert turned.hints == (state.hints[2], state.hints[0])


@pytest.mark.parametrize("generation", GENERATIONS)
@torch.no_grad()
def test_an_exact_network_gives_the_same_bits_however_it_is_run(
    generation: str, kernel: str
) -> None:
    model, tokens = tiny_model(hints=True, generation=generation), tiny_tokens(3, 9)
    fast, _ = model(tokens, model.initial_state(3))
    model.exact = True
    wanted, end = model(tokens, model.initial_state(3))
    assert relative(wanted, fast) <= FAST
    if kernel == "torch":  # the native runtime is exact by itself
        assert not torch.equal(wanted, fast)
    for cut in range(1, tokens.shape[1]):
        for first, second in (("gpt", "rnn"), ("rnn", "gpt")):
            left, state = model(tokens[:, :cut], model.initial_state(3), mode=first)
            right, state = model(tokens[:, cut:], state, mode=second)
            assert torch.equal(torch.cat((left, right), 1), wanted)
            assert all(torch.equal(state.tensors[n], t) for n, t in end.tensors.items())
    for b in range(3):
        alone, state = model(tokens[b : b + 1], model.initial_state(), mode="rnn")
        assert torch.equal(alone, wanted[b : b + 1])
        for name, tensor in state.tensors.items():
            assert torch.equal(tensor, end.tensors[name][:, b : b + 1])
    last, _ = model(tokens, model.initial_state(3), last_only=True)
    assert torch.equal(last, wanted[:, -1:])
    places = tokens > 6
    some, _ = model(tokens, model.initial_state(3), select=places)
    assert torch.equal(some, wanted[places])


def expected_with_hints(model: Network, tokens: Tensor, hints: Hints) -> Tensor:
    """Logits with copy hints by their definition, one position and channel at a time."""
    plain, w = model.hint, dict(model.named_parameters())
    model.hint, table = None, model.emb.weight
    ids, codes = hints
    B, T = tokens.shape
    logits = torch.empty(B, T, len(table))
    for b in range(B):
        state = model.initial_state()
        for t in range(T):
            x = w["emb.weight"][tokens[b, t]].detach().clone()
            for k in range(CHANNELS):
                code, hinted = int(codes[b, t, k]), int(ids[b, t, k])
                x += w["hint.code.weight"][k * CODES + code]
                if code:
                    x += w["hint.scale"][k] * w["hint.emb.weight"][hinted]
            # One word's embedding takes the sum's place: the layers need not know of hints.
            with torch.no_grad():
                kept = table[0].clone()
                table[0] = x
            seen: list[Tensor] = []
            hook = model.ln_out.register_forward_hook(lambda _m, _i, h, s=seen: s.append(h))
            _, state = model(torch.tensor([[0]]), state)  # in plain torch, for its gradients
            hook.remove()
            state = state.detach()
            with torch.no_grad():
                table[0] = kept
            h = seen[0].view(-1)
            row = (table if model.config.tied else w["head.weight"]) @ h
            for k in range(CHANNELS):
                code, hinted = int(codes[b, t, k]), int(ids[b, t, k])
                if code:
                    bias = w["hint.gate.bias"][k * CODES + code]
                    row[hinted] += w["hint.gate.weight"][k] @ h + bias
            logits[b, t] = row
    model.hint = plain
    return logits.detach()


def some_hints(batch: int, length: int, vocab: int = 61) -> Hints:
    """Hints on a third of the places, several channels often naming the same token."""
    rng = torch.Generator().manual_seed(5)
    shape = (batch, length, CHANNELS)
    shown = torch.rand(shape, generator=rng) < 0.35
    ids = torch.randint(0, 4, shape, generator=rng) + vocab - 4
    codes = torch.randint(1, CODES, shape, generator=rng)
    return ids * shown, codes * shown


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("generation", ["2", "6", "7"])
@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("length", [3, 12])  # fewer and more hints than the vocabulary's 61
def test_hints_do_what_their_definition_says(
    generation: str, tied: bool, mode: Mode, length: int
) -> None:
    model = tiny_model(hints=True, tied=tied, generation=generation)
    tokens = tiny_tokens(2, length)
    hints = some_hints(2, length)
    wanted = expected_with_hints(model, tokens, hints)
    logits, state = model(tokens, model.initial_state(2), mode=mode, hints=hints)
    assert relative(logits, wanted) <= FAST
    assert state.hints is None
    none = tuple(torch.zeros_like(part) for part in hints)
    silent, _ = model(tokens, model.initial_state(2), mode=mode, hints=none)
    assert relative(silent, wanted) > 0.01


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("cut", [1, 40, 79])
def test_hints_are_the_same_however_the_tokens_come(cut: int) -> None:
    model, tokens = tiny_model(hints=True), tiny_tokens(2, 80)
    start = model.initial_state(2)
    assert start.hints is not None
    hints, _ = read_hints(start.hints, tokens)
    assert int((hints[1] > 0).sum()) > 10
    wanted, _ = model(tokens, start, hints=hints)
    left, state = model(tokens[:, :cut], start)
    right, state = model(tokens[:, cut:], state, mode="rnn")
    assert relative(torch.cat((left, right), 1), wanted) <= FAST
    assert state.hints is not None
    assert [list(h.tokens) for h in state.hints] == tokens.tolist()


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_only_the_wanted_positions(generation: str, mode: Mode) -> None:
    model = tiny_model(hints=True, generation=generation)
    tokens, hints = tiny_tokens(2, 12), some_hints(2, 12)
    start = model.initial_state(2)
    whole, _ = model(tokens, start, mode=mode, hints=hints)
    last, _ = model(tokens, start, mode=mode, hints=hints, last_only=True)
    assert last.shape == (2, 1, 61) and relative(last, whole[:, -1:]) <= FAST
    places = torch.rand((2, 12), generator=torch.Generator().manual_seed(3)) < 0.4
    some, _ = model(tokens, start, mode=mode, hints=hints, select=places)
    assert relative(some, whole[places]) <= FAST


def gradients(model: Network, mode: Mode) -> tuple[dict[str, Tensor], list[Tensor]]:
    """Of a loss on logits and final state, by every weight and by the state it began with."""
    tokens = tiny_tokens(2, 11)
    _, state = model(tiny_tokens(2, 3, seed=1), model.initial_state(2))
    start = {n: t.detach().clone() for n, t in state.tensors.items()}
    learnt = [t.requires_grad_() for t in start.values() if t.is_floating_point()]
    model.zero_grad()
    logits, end = model(tokens, State(start), mode=mode)
    sums = [t.square().mean() for t in joined_sums(end).values()]
    (logits.square().mean() + 1e-3 * sum(sums)).backward()
    weights = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
    return weights, [t.grad.clone() for t in learnt if t.grad is not None]


@pytest.mark.parametrize("generation", GENERATIONS)
def test_gradients_of_weights_and_of_the_first_state_agree(generation: str) -> None:
    model = tiny_model(generation=generation).train()
    gpt, gpt_start = gradients(model, "gpt")
    rnn, rnn_start = gradients(model, "rnn")
    parts = 3 if model.config.has_heads else 4
    assert len(gpt) == len(list(model.parameters())) and len(gpt_start) == parts
    for name, gradient in gpt.items():
        assert relative(rnn[name], gradient) <= 1e-5, name
    assert all(relative(b, a) <= 1e-5 for a, b in zip(gpt_start, rnn_start, strict=True))


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_fresh_network_is_fixed_by_its_seed_and_can_learn(generation: str) -> None:
    config = Config(n_layer=2, n_embd=64, vocab=20, tied=True, generation=generation)
    model, tokens = Network.create(config, 1), tiny_tokens(2, 16, vocab=20)
    same, other = Network.create(config, 1), Network.create(config, 2)
    assert all(
        torch.equal(p, q) for p, q in zip(model.parameters(), same.parameters(), strict=True)
    )
    assert not torch.equal(model.emb.weight, other.emb.weight)
    # Output matrices start at zero, so a fresh network's logits are those of its embedding.
    x = model.emb(tokens)
    for norm in [model.blocks[0].ln1] if generation == "2" else [model.blocks[0].ln0]:
        x = norm(x)
    first, _ = model(tokens, model.initial_state(2))
    wanted = model.ln_out(x) @ model.emb.weight.t()
    assert relative(first, wanted) <= (1e-3 if generation == "2" else FAST)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01)
    losses = []
    for _ in range(60):
        logits, _ = model(tokens[:, :-1], model.initial_state(2))
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[0] > 2.5 and losses[-1] < 0.1


@pytest.mark.parametrize("generation", ["5.2", "6", "7"])
def test_a_tuned_start_is_where_reading_begins_and_can_be_tuned(generation: str) -> None:
    tuned = tiny_model(generation=generation, time_state=True)
    plain = tiny_model(generation=generation)
    weights = tuned.state_dict()
    matrices = [weights.pop(f"blocks.{i}.att.time_state") for i in range(2)]  # [value, key]
    plain.load_state_dict(weights)
    start = plain.initial_state(2)
    wkv = torch.stack(matrices).unsqueeze(1).expand(2, 2, 2, 16, 16)
    moved = State({**start.tensors, "wkv": wkv})
    wanted, _ = plain(tiny_tokens(2, 7), moved)
    found, _ = tuned(tiny_tokens(2, 7), tuned.initial_state(2))
    assert torch.equal(found, wanted)
    assert relative(plain(tiny_tokens(2, 7), start)[0], wanted) > 1e-3
    found.square().mean().backward()
    gradient = dict(tuned.named_parameters())["blocks.0.att.time_state"].grad
    assert gradient is not None and float(gradient.norm()) > 0


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("generation", ["2", "3"])
@torch.no_grad()
def test_compat_is_off_until_it_is_set(generation: str, mode: Mode) -> None:
    model, tokens = tiny_model(generation=generation), tiny_tokens(2, 7)
    plain, _ = model(tokens, model.initial_state(2), mode=mode)
    assert model.compat is None
    for epsilon, least, most in ((1e-9, 0.0, FAST), (1.0, 0.01, 1.0)):
        model.compat = epsilon
        found, _ = model(tokens, model.initial_state(2), mode=mode)
        assert model.compat == epsilon and least <= relative(found, plain) <= most
    model.compat = None
    assert torch.equal(model(tokens, model.initial_state(2), mode=mode)[0], plain)


SHAPES = [
    *((generation, {}) for generation in GENERATIONS),
    *((generation, {"time_state": True}) for generation in ("5.2", "6", "7")),
    ("7", {"first_v": True}),
]


@pytest.mark.parametrize(("generation", "extra"), SHAPES)
def test_a_configuration_is_read_back_from_the_shapes(
    generation: str, extra: dict[str, bool]
) -> None:
    config = Config(n_layer=3, n_embd=96, vocab=40, head_size=32, generation=generation, ffn=160)
    config = dataclasses.replace(config, **extra)
    with torch.device("meta"):
        shapes = {n: tuple(t.shape) for n, t in Network(config).state_dict().items()}
    assert Config.infer(shapes, generation=generation) == config


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", NAMES)
@torch.no_grad()
def test_half_precision_weights_run_in_both_modes(
    name: str, dtype: torch.dtype, mode: Mode
) -> None:
    model, vector = published(name)
    logits, state = model.to(dtype)(vector["tokens"].unsqueeze(0), model.initial_state(), mode=mode)
    for tensor in state.tensors.values():
        assert tensor.dtype in (torch.float32, torch.int32)
    assert relative(logits[0].float(), vector["logits"]) < 0.03


@pytest.mark.parametrize("generation", GENERATIONS)
def test_half_precision_weights_can_be_trained(generation: str) -> None:
    model = tiny_model(generation=generation).to(torch.bfloat16).train()
    logits, _ = model(tiny_tokens(2, 9), model.initial_state(2))
    logits.float().square().mean().backward()
    assert all(
        p.grad is not None and p.grad.isfinite().all() and p.grad.any() for p in model.parameters()
    )


def test_mistaken_calls_are_refused() -> None:
    model, hinted = tiny_model(), tiny_model(hints=True)
    start = model.initial_state(2)
    with pytest.raises(ValueError, match=r"shape \(1, 3\), wanted \(2, 1 or more\)"):
        model(tiny_tokens(1, 3), start)
    with pytest.raises(ValueError, match="'fast'"):
        model(tiny_tokens(2, 3), start, mode="fast")
    with pytest.raises(ValueError, match="without copy hints"):
        model(tiny_tokens(2, 3), start, hints=some_hints(2, 3))
    _, after = hinted(tiny_tokens(2, 3), hinted.initial_state(2), hints=some_hints(2, 3))
    with pytest.raises(ValueError, match="give hints again"):
        hinted(tiny_tokens(2, 3), after)
    with pytest.raises(ValueError, match="1 of 2 states"):
        State.stack([start, hinted.initial_state()])
    with pytest.raises(ValueError, match="n_embd is 100"):
        Config(n_layer=1, n_embd=100, vocab=10)
    with pytest.raises(ValueError, match="generation is '5', wanted one of 2, 3, 4"):
        Config(n_layer=1, n_embd=64, vocab=10, generation="5")
    with pytest.raises(ValueError, match="RWKV-4 has no matrices"):
        Config(n_layer=1, n_embd=64, vocab=10, generation="4", time_state=True)
    with pytest.raises(ValueError, match="not RWKV-4"):
        tiny_model(generation="4").compat = 1e-9
