"""The native runtime: against plain torch, and every way to read a text against every other."""

from __future__ import annotations

import copy
import itertools
import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import official
import pytest
import torch
from tiny import GENERATIONS, relative, tiny_model, tiny_tokens
from torch import Tensor, nn

from engine import kernels, native
from engine.copyhints import CHANNELS, CODES
from engine.errors import UserError
from engine.rwkv.config import Config
from engine.rwkv.hints import Hints
from engine.rwkv.network import Network
from engine.rwkv.state import State

KINDS = tuple(native.KINDS)


@pytest.fixture(autouse=True)
def built(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """With a compiler at hand, failing to build is a bug. Nothing is differentiated here."""
    try:
        kernels._compiler()
    except kernels.NoBuildError as error:
        pytest.skip(str(error))
    monkeypatch.setenv(kernels.VARIABLE, "native")
    threads = torch.get_num_threads()
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)


def tokens_of(batch: int, length: int, seed: int = 0) -> Tensor:
    rng = torch.Generator().manual_seed(seed)
    return torch.randint(0, 61, (batch, length), generator=rng)


def some_hints(batch: int, length: int) -> Hints:
    """Hints on half of the places, several channels often naming the same token."""
    rng, shape = torch.Generator().manual_seed(5), (batch, length, CHANNELS)
    shown = torch.rand(shape, generator=rng) < 0.5
    ids = torch.randint(0, 9, shape, generator=rng)
    return ids * shown, torch.randint(1, CODES, shape, generator=rng) * shown


def assert_same(found: tuple[Tensor, State], wanted: tuple[Tensor, State], about: object) -> None:
    """Logits and state are equal to the bit."""
    assert torch.equal(found[0], wanted[0]), about
    for name, tensor in wanted[1].tensors.items():
        assert torch.equal(found[1].tensors[name], tensor), (about, name)


def sums(state: State) -> dict[str, Tensor]:
    """A state's tensors; the two sums of RWKV-2, 3 and 4 as numbers, whatever their exponent."""
    tensors = dict(state.tensors)
    if "exp" in tensors:
        exp = tensors.pop("exp").clamp(min=-1000).double()
        tensors |= {n: tensors[n] * torch.exp2(exp - exp.max()) for n in ("num", "den")}
    return tensors


def assert_near(
    found: tuple[Tensor, State], wanted: tuple[Tensor, State], most: float, about: object = ""
) -> None:
    assert relative(found[0], wanted[0]) <= most, about
    theirs = sums(wanted[1])
    for name, tensor in sums(found[1]).items():
        assert relative(tensor, theirs[name]) <= most, (about, name)


def plain(call: Callable[[], tuple[Tensor, State]]) -> tuple[Tensor, State]:
    """The same call by plain torch."""
    os.environ[kernels.VARIABLE] = "torch"
    try:
        return call()
    finally:
        os.environ[kernels.VARIABLE] = "native"


# ---- against plain torch -------------------------------------------------------------------------


@pytest.mark.parametrize("generation", GENERATIONS)
def test_meets_plain_torch(generation: str) -> None:
    """Two rows of a 128-wide network, begun in torch and gone on with in either.

    Torch computes in float64: in float32 its own two modes are 1e-6 apart.
    """
    model, tokens = official.network(generation), tokens_of(2, 60)
    _, start = plain(lambda: model(tokens[:, :20], model.initial_state(2)))
    found, precise = model(tokens[:, 20:], start), copy.deepcopy(model).double()
    wanted = plain(lambda: precise(tokens[:, 20:], start))
    assert wanted[0].dtype == torch.float64
    assert_near(found, wanted, 1e-6)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_small_heads_hints_and_tied_tables(generation: str, tied: bool) -> None:
    model = tiny_model(hints=True, tied=tied, generation=generation)
    tokens, hints, start = tiny_tokens(3, 21), some_hints(3, 21), model.initial_state(3)
    found = model(tokens, start, hints=hints)
    assert_near(found, plain(lambda: model(tokens, start, hints=hints)), 1e-6)
    silent = tuple(torch.zeros_like(part) for part in hints)
    assert relative(model(tokens, start, hints=silent)[0], found[0]) > 0.01


@pytest.mark.parametrize("generation", ["5.2", "6", "7"])
def test_a_tuned_first_state_is_begun_from(generation: str) -> None:
    model, tokens = tiny_model(generation=generation, time_state=True), tiny_tokens(1, 9)
    start = model.initial_state()
    assert start.tensors["wkv"].abs().max() > 0.01
    assert_near(model(tokens, start), plain(lambda: model(tokens, start)), 1e-6)


@pytest.mark.parametrize("generation", ["2", "3", "4"])
def test_keys_of_any_size(generation: str) -> None:
    """Keys up to a few hundred either way: e^k is far beyond float32."""
    model, tokens = tiny_model(generation=generation), tiny_tokens(2, 40)
    for block in model.blocks:
        block.att.key.weight.mul_(130)
    start = model.initial_state(2)
    for length in (1, 40):  # after the first token the state is that token's key
        wanted = plain(lambda length=length: model(tokens[:, :length], start))
        # A key of 200 is rounded at its eighth digit, and e^k with it: float32 gives no more.
        assert_near(model(tokens[:, :length], start), wanted, 2e-5, length)
        exponents = wanted[1].tensors["exp"]
        assert exponents.min() < -100 if length == 1 else exponents.max() > 250


@pytest.mark.parametrize("generation", GENERATIONS)
def test_decays_from_none_to_total(generation: str) -> None:
    model, tokens = tiny_model(generation=generation), tiny_tokens(1, 300)
    for block in model.blocks:
        rate = block.att.w0 if generation == "7" else block.att.time_decay
        rate.copy_(torch.linspace(-14, 9, rate.numel()).view_as(rate))
    start = model.initial_state()
    found = model(tokens, start)
    assert found[0].isfinite().all()
    assert_near(found, plain(lambda: model(tokens, start)), 2e-6)


def test_not_a_number_is_never_hidden() -> None:
    for generation in GENERATIONS:
        model, tokens = tiny_model(generation=generation), tiny_tokens(1, 6)
        model.emb.weight[tokens[0, 3]] = torch.nan
        where = int((tokens[0] == tokens[0, 3]).nonzero()[0])
        logits, _ = model(tokens, model.initial_state())
        assert logits[0, where:].isnan().all(), generation
        assert not logits[0, :where].isnan().any(), generation


# ---- the same to the bit -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_way_to_read_gives_the_same_bits(generation: str, kind: str) -> None:
    """Modes, splits, neighbours in the batch, numbers of threads."""
    model = official.network(generation)
    model.weights = kind
    tokens = tokens_of(3, 70)
    whole = model(tokens, model.initial_state(3))
    assert_same(model(tokens, model.initial_state(3), mode="rnn"), whole, "rnn")
    for threads in (2, 3):
        torch.set_num_threads(threads)
        assert_same(model(tokens, model.initial_state(3)), whole, f"{threads} threads")
    torch.set_num_threads(1)
    alone = [model(tokens[b : b + 1], model.initial_state()) for b in range(3)]
    joined = State.stack([state for _, state in alone])
    assert_same((torch.cat([logits for logits, _ in alone]), joined), whole, "alone")
    for cut in (1, 2, 7, 16, 35, 64, 69):
        left, state = model(tokens[:, :cut], model.initial_state(3), mode="rnn")
        right, state = model(tokens[:, cut:], state)
        assert_same((torch.cat((left, right), 1), state), whole, cut)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_every_split_of_a_text_with_hints(generation: str) -> None:
    model, tokens = tiny_model(hints=True, generation=generation), tiny_tokens(2, 24)
    hints, start = some_hints(2, 24), model.initial_state(2)
    whole = model(tokens, start, hints=hints)
    for cut in range(1, 24):
        parts, state = [], start
        for part in (slice(0, cut), slice(cut, 24)):
            here = hints[0][:, part], hints[1][:, part]
            logits, state = model(tokens[:, part], state, hints=here)
            parts.append(logits)
        assert_same((torch.cat(parts, 1), state), whole, cut)


@pytest.mark.parametrize("generation", GENERATIONS)
def test_texts_longer_than_a_block_of_rows(generation: str) -> None:
    """Blocks of 256 rows end inside rows of the batch, and inside a token's neighbourhood."""
    model, tokens = tiny_model(generation=generation), tokens_of(3, 300)
    whole = model(tokens, model.initial_state(3))
    alone = [model(tokens[b : b + 1], model.initial_state(), mode="rnn") for b in range(3)]
    joined = State.stack([state for _, state in alone])
    assert_same((torch.cat([logits for logits, _ in alone]), joined), whole, "alone")
    left, state = model(tokens[:, :255], model.initial_state(3))
    right, state = model(tokens[:, 255:], state)
    assert_same((torch.cat((left, right), 1), state), whole, 255)


def test_only_the_wanted_positions() -> None:
    model, tokens = tiny_model(hints=True), tiny_tokens(2, 140)
    hints, start = some_hints(2, 140), model.initial_state(2)
    logits, state = model(tokens, start, hints=hints)
    last = model(tokens, start, hints=hints, last_only=True)
    assert_same(last, (logits[:, -1:], state), "last")
    places = torch.rand((2, 140), generator=torch.Generator().manual_seed(3)) < 0.3
    some = model(tokens, start, hints=hints, select=places)
    assert_same(some, (logits[places], state), "some")
    none, _ = model(tokens, start, hints=hints, select=torch.zeros_like(places))
    assert none.shape == (0, 61)
    nobody = model(tokens[:0], start.select([]), hints=(hints[0][:0], hints[1][:0]))
    assert nobody[0].shape == (0, 140, 61) and nobody[1].tensors["wkv"].shape[1] == 0


@pytest.mark.parametrize("generation", GENERATIONS)
def test_a_thousand_greedy_tokens_are_the_same_in_both_modes(generation: str) -> None:
    model, state, written = official.network(generation), None, [7]
    state = model.initial_state()
    for _ in range(1000):
        logits, state = model(torch.tensor([written[-1:]]), state, mode="rnn")
        written.append(int(logits.argmax()))
    logits, end = model(torch.tensor([written[:-1]]), model.initial_state())
    assert logits[0].argmax(-1).tolist() == written[1:]
    assert all(torch.equal(end.tensors[name], tensor) for name, tensor in state.tensors.items())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_half_precision_weights_are_read_as_they_are(generation: str, dtype: torch.dtype) -> None:
    """All arithmetic is float32: the same as with the weights turned into float32 first."""
    half = tiny_model(hints=True, generation=generation).to(dtype)
    full = copy.deepcopy(half).float()
    tokens, hints = tiny_tokens(2, 20), some_hints(2, 20)
    found = half(tokens, half.initial_state(2), hints=hints)
    assert found[0].dtype == torch.float32
    assert_same(found, full(tokens, full.initial_state(2), hints=hints), dtype)


# ---- coarser weights -----------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "most"), [("bfloat16", 0.02), ("int8", 0.06)])
@pytest.mark.parametrize("generation", GENERATIONS)
def test_coarser_weights_stay_near(generation: str, kind: str, most: float) -> None:
    model, tokens = official.network(generation), tokens_of(1, 60)
    wanted, _ = model(tokens, model.initial_state())
    model.weights = kind
    found, _ = model(tokens, model.initial_state())
    assert 1e-4 < relative(found, wanted) < most


def test_coarser_weights_take_less_memory() -> None:
    size = {}
    for kind in KINDS:
        model = Network.create(Config(n_layer=2, n_embd=256, vocab=400), seed=0)
        model.weights = kind
        model(tokens_of(1, 2), model.initial_state())
        size[kind] = model._runner.nbytes - model.emb.weight.nbytes
    assert size["bfloat16"] < 0.6 * size["float32"] and size["int8"] < 0.4 * size["float32"]


def test_unknown_weights_are_refused() -> None:
    model = tiny_model()
    model.weights = "int4"
    with pytest.raises(ValueError, match="'int4', wanted one of float32, bfloat16, int8"):
        model(tiny_tokens(1, 2), model.initial_state())


# ---- when it runs, and with which weights --------------------------------------------------------


def test_state_goes_in_and_comes_out() -> None:
    for generation in GENERATIONS:
        model, tokens = official.network(generation), tokens_of(2, 12)
        _, state = model(tokens, model.initial_state(2))
        kept = state.clone()
        first = model(tokens, state)
        assert_same(model(tokens, state), first, generation)
        assert all(torch.equal(state.tensors[n], t) for n, t in kept.tensors.items())
        assert not torch.equal(first[1].tensors["att_x"], kept.tensors["att_x"])


def test_a_state_may_be_a_view() -> None:
    model, tokens = official.network("7"), tokens_of(2, 12)
    _, state = model(tokens, model.initial_state(2))
    turned = State({n: t.transpose(0, 1).contiguous().transpose(0, 1) for n, t in
                    state.tensors.items()})  # fmt: skip
    assert not turned.tensors["wkv"].is_contiguous()
    assert_same(model(tokens[:, ::3], turned), model(tokens[:, ::3].clone(), state), "view")


def test_every_change_of_the_weights_is_seen() -> None:
    model, tokens = tiny_model(), tiny_tokens(1, 8)

    def assert_seen(before: Tensor) -> Tensor:
        found = model(tokens, model.initial_state())
        assert_near(found, plain(lambda: model(tokens, model.initial_state())), 1e-6)
        assert relative(found[0], before) > 1e-3
        return found[0]

    logits = assert_seen(torch.ones(1, 8, 61))
    model(tokens, model.initial_state())
    packed = model._runner
    model(tokens, model.initial_state())
    assert packed is not None and model._runner is packed
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with torch.enable_grad():
        model(tokens, model.initial_state())[0].square().sum().backward()
    optimizer.step()
    logits = assert_seen(logits)
    model.head.weight = nn.Parameter(model.head.weight * 1.5)
    logits = assert_seen(logits)
    model.load_state_dict(tiny_model(seed=4).state_dict())
    logits = assert_seen(logits)
    model.load_state_dict(tiny_model(seed=5).state_dict(), assign=True)
    logits = assert_seen(logits)
    model.to(torch.bfloat16)
    assert relative(model(tokens, model.initial_state())[0], logits) > 1e-4


def test_runs_where_nothing_is_differentiated() -> None:
    model, tokens = tiny_model(), tiny_tokens(1, 5)
    with torch.enable_grad():
        assert model(tokens, model.initial_state(), mode="gpt")[0].requires_grad
        assert model._runner is None
        assert not model(tokens, model.initial_state(), mode="rnn")[0].requires_grad
        assert model._runner is not None
        model.train()
        assert model(tokens, model.initial_state(), mode="rnn")[0].requires_grad
        assert model._runner is None
    with torch.inference_mode():
        model(tokens, model.initial_state())
    assert model._runner is not None


def test_the_old_programs_arithmetic_is_left_to_torch() -> None:
    model, tokens = official.network("2"), tokens_of(1, 9)
    model.compat = 0.5
    found = model(tokens, model.initial_state())
    assert_same(found, plain(lambda: model(tokens, model.initial_state())), "compat")
    assert model._runner is None


def test_plain_torch_where_it_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    model, tokens = tiny_model(), tiny_tokens(1, 5)
    monkeypatch.setenv(kernels.VARIABLE, "torch")
    model(tokens, model.initial_state())
    assert model._runner is None
    monkeypatch.setenv(kernels.VARIABLE, "cuda")
    with pytest.raises(UserError, match="ADVENTURE_KERNEL is 'cuda'"):
        model(tokens, model.initial_state())


def test_widths_that_do_not_fit_are_left_to_torch() -> None:
    model = Network.create(Config(n_layer=1, n_embd=24, vocab=61, head_size=8), seed=0)
    logits, _ = model(tokens_of(1, 5), model.initial_state())
    assert logits.isfinite().all() and model._runner is None


def test_tokens_outside_the_vocabulary_are_refused() -> None:
    model = tiny_model(hints=True)
    ids, codes = some_hints(1, 3)
    for tokens, hints in (
        (torch.tensor([[1, 61, 2]]), (ids, codes)),
        (torch.tensor([[1, -1, 2]]), (ids, codes)),
        (torch.tensor([[1, 2, 3]]), (ids + 61, codes)),
        (torch.tensor([[1, 2, 3]]), (ids, codes + CODES)),
    ):
        with pytest.raises(IndexError, match="not in the vocabulary of 61"):
            model(tokens, model.initial_state(), hints=hints)


def test_states_and_hints_of_another_network_are_refused() -> None:
    model, wider = tiny_model(hints=True), official.network("7")
    tokens, hints = tiny_tokens(1, 3), some_hints(1, 3)
    with pytest.raises(ValueError, match=r"att_x has shape \(2, 1, 128\).* wanted \(2, 1, 32\)"):
        model(tokens, wider.initial_state(), hints=hints)
    with pytest.raises(ValueError, match=rf"codes has shape \(1, 2, {CHANNELS}\)"):
        model(tokens, model.initial_state(), hints=(hints[0], hints[1][:, :2]))
    runner = native.runner_for(model, model.config, "float32", None)
    assert runner is not None
    elsewhere = {n: t.to("meta") for n, t in model.initial_state().tensors.items()}
    with pytest.raises(ValueError, match="on meta, wanted"):
        runner.forward(tokens, elsewhere, hints)


def test_copies_of_a_network_have_their_own_weights() -> None:
    model, tokens = tiny_model(), tiny_tokens(1, 5)
    wanted = model(tokens, model.initial_state())
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert copied._runner is None
        assert_same(copied(tokens, copied.initial_state()), wanted, "copied")
        copied.head.weight.zero_()
        assert copied(tokens, copied.initial_state())[0].abs().max() == 0
    assert_same(model(tokens, model.initial_state()), wanted, "the first")


def test_callers_at_the_same_time_do_not_disturb_each_other() -> None:
    """One has the threads, the others work alone; each thread of Python has memory of its own."""
    model, texts = official.network("7"), [tokens_of(2, 64, seed) for seed in range(12)]
    wanted = [model(tokens, model.initial_state(2)) for tokens in texts]
    torch.set_num_threads(2)
    with ThreadPoolExecutor(4) as pool:

        def read(tokens: Tensor) -> tuple[Tensor, State]:
            with torch.no_grad():
                return model(tokens, model.initial_state(2))

        for found, result in zip(pool.map(read, texts), wanted, strict=True):
            assert_same(found, result, "at once")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forked_child_makes_its_own_threads() -> None:
    model, tokens = official.network("7"), tokens_of(2, 64)
    torch.set_num_threads(3)
    wanted = model(tokens, model.initial_state(2))
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        found = model(tokens, model.initial_state(2))
        same = torch.equal(found[0], wanted[0])
        os.write(write, b"%d %d" % (same, len([*Path("/proc/self/task").iterdir()])))
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        assert pipe.read() == "1 3"
    os.waitpid(child, 0)
    assert_same(model(tokens, model.initial_state(2)), wanted, "parent")


SANITIZED = """
import os, sys
sys.path[:0] = [{tests!r}, {root!r}]
import torch
from engine import kernels
flags = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g")
kernels.FLAG_SETS = tuple((*f, "-O1", *flags) for f in kernels.FLAG_SETS)
from tiny import GENERATIONS, tiny_model, tiny_tokens
from engine import native
with torch.no_grad():
    for generation in GENERATIONS:
        for kind in native.KINDS:
            model = tiny_model(hints=True, vocab=75, generation=generation)
            model.weights = kind
            for threads, batch, length in ((1, 1, 1), (2, 3, 11), (3, 1, 270), (2, 2, 200)):
                torch.set_num_threads(threads)
                tokens, state = tiny_tokens(batch, length), model.initial_state(batch)
                logits, state = model(tokens, state, last_only=length > 100)
                logits, state = model(tokens[:, :1], state, mode="rnn")
                assert model._runner is not None and logits.isfinite().all()
print("clean")
"""


@pytest.mark.slow
def test_sanitizers_find_nothing(tmp_path: Path) -> None:
    found = subprocess.run(
        [kernels._compiler(), "-print-file-name=libasan.so"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    if not Path(found).is_absolute():
        pytest.skip("this compiler has no shared AddressSanitizer runtime")
    tests = Path(__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", SANITIZED.format(tests=str(tests), root=str(tests.parent))],
        env=os.environ
        | {
            "LD_PRELOAD": found,
            "ASAN_OPTIONS": "detect_leaks=0",
            "XDG_CACHE_HOME": str(tmp_path),
            "OPENBLAS_NUM_THREADS": "1",
            "OMP_NUM_THREADS": "1",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "clean\n"


def test_replaced_weights_and_modules_are_seen() -> None:
    """By the native runtime and by the packed step of plain torch."""
    for kernel in ("auto", "torch"):
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("ADVENTURE_KERNEL", kernel)
            model, tokens = tiny_model(), tiny_tokens(1, 3)
            seen: list[Tensor] = []

            def answer(model: Network = model, tokens: Tensor = tokens) -> Tensor:
                with torch.no_grad():
                    return model(tokens, model.initial_state(), mode="rnn")[0]

            seen.append(answer())
            model.head.weight = torch.nn.Parameter(model.head.weight.detach() * 1.5)
            seen.append(answer())
            model.head.weight.data = model.head.weight.data * 1.5
            seen.append(answer())
            model.head = torch.nn.Linear(32, 61, bias=False)
            seen.append(answer())
            model.head.weight.data.mul_(2)  # can't be seen
            model.drop_copies()
            seen.append(answer())
        for before, after in itertools.pairwise(seen):
            assert not torch.equal(before, after)
        assert relative(seen[1], seen[0] * 1.5) < 1e-6
        assert relative(seen[4], seen[3] * 2) < 1e-6


def test_a_states_numbers_may_come_in_other_types() -> None:
    model, tokens = tiny_model(generation="4"), tiny_tokens(1, 5)
    with torch.no_grad():
        _, state = model(tokens, model.initial_state())
        wanted, _ = model(tokens, state)
        wide = {n: t.long() if n == "exp" else t.double() for n, t in state.tensors.items()}
        found, _ = model(tokens, State(wide))
    assert torch.equal(found, wanted)


def test_tokens_and_masks_of_other_types_are_refused() -> None:
    model = tiny_model()
    state = model.initial_state()
    with torch.no_grad(), pytest.raises(ValueError, match="wanted whole numbers"):
        model(torch.tensor([[1.7]]), state)
    with torch.no_grad(), pytest.raises(ValueError, match="wanted a mask of bool"):
        model(torch.tensor([[1]]), state, select=torch.tensor([[1]]))
