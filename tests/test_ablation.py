"""`adventure ablate`: every arm is trained and played as it says, once, and told in a table."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import cast

import pytest
import torch
from test_tune import killed_at, small_tokenizer

from adventure.errors import TrainError, UserError
from adventure.master import ablation, ablation_arms, ablation_judge, tune, tune_options
from adventure.master.ablation_arms import ARMS, Arm, chosen
from adventure.master.ablation_options import add_arguments
from adventure.master.chains import Chain
from adventure.master.corpus import Group, hint_config
from adventure.master.starting import first_network, fresh_network
from adventure.master.tune_checks import check
from adventure.master.tune_options import Plan
from adventure.world.prompt import DO, MEMORY, SAY
from engine.attention import AttentionNetwork
from engine.rwkv.network import Network
from engine.train import Schedule

BY_NAME = {arm.name: arm for arm in ARMS}
FRESH = [arm for arm in ARMS if arm.family == "fresh"]
TRAINED = [arm for arm in ARMS if arm.family == "trained"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks and worlds that take a moment."""
    monkeypatch.setattr(ablation_arms, "WORLDS", "--simple --rooms 3 3 --worlds 1")
    common = {
        "fresh": "--layers 1 --width 64 --segments 1 --longest 200 --recall 0",
        "trained": "--segments 2 --chain 2 --whole-games --longest 200",
    }
    for family, options in common.items():
        monkeypatch.setitem(ablation_arms.COMMON, family, options)  # type: ignore[arg-type]
    monkeypatch.setattr(ablation_judge, "VALIDATED", 1)
    monkeypatch.setattr(ablation_judge, "LONGEST_REPLY", 40)


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint to go on from, which has learned nothing, and its tokenizer."""
    from engine.checkpoint import save_model

    tokenizer, folder = small_tokenizer(), tmp_path_factory.mktemp("master")
    plan = Plan(layers=1, width=64, vocab=tokenizer.vocab)
    save_model(fresh_network(plan, hint_config(tokenizer)), folder / "m.safetensors", {})
    (folder / "tokenizer.json").write_text(tokenizer.to_json())
    return folder / "m.safetensors"


def arguments(out: Path, master: Path, *options: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    few = ("--worlds", "1", "--turns", "2", "--init", str(master), "--out", str(out))
    return parser.parse_args([*few, *options])


def plan_of(arm: Arm, tmp_path: Path, master: Path) -> Plan:
    """What `adventure tune` is asked for."""
    args = arguments(tmp_path, master)
    settings = ablation._settings(arm, 1, tmp_path / arm.name, args, 5000)
    check(settings)
    (tmp_path / arm.name).mkdir()
    return tune._new_plan(settings, tmp_path / arm.name)


def test_an_arm_is_trained_judged_kept_and_shown_once(
    tmp_path: Path,
    master: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    names = ("--only", "latent", "no-records", "--tokens", "2500")
    out = tmp_path / "out"
    assert ablation.run(arguments(out, master, *names)) == 0
    results = {n: json.loads((out / f"{n}-1" / "result.json").read_text()) for n in names[1:3]}
    played = results["latent"]["played"]
    assert [*played] == ["usual", "zeroed", "frozen", "swapped"]
    assert played["usual"]["first"]["turns"] == 4
    assert results["latent"]["memory"] > 0 == results["no-records"]["memory"]
    assert all(result["tokens"] >= 2500 for result in results.values())
    assert results["no-records"]["fed"]["turns"] > 0
    from adventure.master.runs import read_run

    latent, _ = (read_run(out / "runs.db", n) for n in (2, 1))  # in the order of ARMS
    assert {s.what for _, _, s in latent.scores} == {f"ablation, {how}" for how in played}

    def never(*_: object) -> None:
        raise AssertionError("it was there")

    monkeypatch.setattr(tune, "run", never)
    monkeypatch.setattr(ablation, "play", never)
    capsys.readouterr()
    assert ablation.run(arguments(out, master, *names)) == 0
    assert ablation.run(arguments(out, master, "--table")) == 0
    said = capsys.readouterr().out
    assert "latent-1/result.json is there" in said and said.count("**From") == 2
    assert "| `no-records`: replies alone" in said and "| has none |" in said
    assert "latent zeroed: later | latent frozen: later | another game's: later |" in said
    few = arguments(out, master, *names, "--turns", "1")
    with pytest.raises(TrainError, match=r"was judged with --worlds 1, --turns 2; delete it to j"):
        ablation.run(few)
    (out / "latent-1" / "plan.json").write_text("[3]")
    with pytest.raises(TrainError, match=r"plan\.json is damaged; delete .* to begin anew"):
        ablation.run(arguments(out, master, *names))
    (out / "latent-1" / "result.json").write_text("{}")
    with pytest.raises(TrainError, match="is damaged; delete it, and the arm is judged again"):
        ablation.run(arguments(out, master, "--table"))


TALLY = {"turns": 4, "exact": 0.5, "exact_by_own_records": 0.75}
PARTS = dict.fromkeys(("first", "later", "all"), TALLY)
WAYS = {"usual": PARTS, "wiped": PARTS, "swapped": PARTS}
JUDGED = {
    "arm": "words",
    "family": "trained",
    "what": "it",
    "seed": 1,
    "options": "",
    "tokens": 9,
    "parameters": 7,
    "memory": 2,
    "measure": {"worlds": 1, "turns": 2},
    "played": WAYS,
    "fed": {"turns": 4, "exact": 0.25},
}


@pytest.mark.parametrize(
    "damage",
    [
        {"seed": "x"},
        {"seed": 1.5},
        {"arm": ["words"]},
        {"family": "none"},
        {"what": None},
        {"parameters": "7"},
        {"measure": {}},
        {"measure": 3},
        {"played": {}},
        {"played": {"usual": PARTS, "wiped": PARTS}},
        {"played": WAYS | {"wiped": PARTS | {"later": TALLY | {"exact": "1"}}}},
        {"played": WAYS | {"wiped": PARTS | {"all": TALLY | {"exact": float("nan")}}}},
        {"fed": {}},
    ],
)
def test_a_damaged_result_is_named(
    tmp_path: Path, master: Path, damage: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "words-1" / "result.json"
    file.parent.mkdir()
    file.write_text(json.dumps(JUDGED))
    assert ablation.run(arguments(tmp_path, master, "--table")) == 0
    assert "| `words`: it | 7 (2 its own) | 1 | 50.0% |" in capsys.readouterr().out
    file.write_text(json.dumps(JUDGED | damage))
    for options in (["--table"], ["--only", "words"]):
        with pytest.raises(TrainError, match=r"words-1/result\.json is damaged; delete it, and"):
            ablation.run(arguments(tmp_path, master, *options))


def test_what_to_go_on_from_is_looked_at_before_the_first_arm(
    tmp_path: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "run", lambda args: 130)
    junk = tmp_path / "junk.json"
    junk.write_text("{}")
    (tmp_path / "tokenizer.json").write_text(master.with_name("tokenizer.json").read_text())
    with pytest.raises(UserError, match=r"junk\.json"):
        ablation.run(arguments(tmp_path / "out", junk, "--only", "base"))
    assert ablation.run(arguments(tmp_path / "out", master, "--only", "base")) == 130


def test_the_graph_is_a_function_of_the_figures(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from adventure.master.ablation_report import draw, table

    tally, parts = TALLY, PARTS
    common = {"parameters": 7, "memory": 2, "options": "", "fed": {"exact": 0.25}}
    one = {"arm": "base", "family": "fresh", "what": "all", "seed": 1, "played": {"usual": parts}}
    worse = {**parts, "first": {**tally, "exact": 0.3}}
    two = {**one, "seed": 2, "played": {"usual": worse}}
    three = {**one, "arm": "words", "family": "trained"}
    three["played"] = {"usual": parts, "wiped": worse}
    results = [{**common, **result} for result in (one, two, three)]
    for name in ("a.svg", "b.svg"):
        draw(results, tmp_path / name)
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    said = table(results)
    assert "| 7 (2 its own) | 1, 2 | 40.0% (30.0% to 50.0%) | 50.0% (50.0% to 50.0%) |" in said
    assert "words wiped: later" in said.splitlines()[-3]


@pytest.mark.parametrize("arm", FRESH, ids=lambda arm: arm.name)
def test_a_fresh_arm_is_the_network_and_the_corpus_it_says(
    tmp_path: Path, master: Path, arm: Arm
) -> None:
    plan = plan_of(arm, tmp_path, master)
    tokenizer = small_tokenizer()
    plan.vocab = tokenizer.vocab
    model = fresh_network(plan, hint_config(tokenizer))
    assert model.config.generation == ("4" if arm.name == "rwkv-4" else "7")
    assert (model.config.hints is None) == (arm.name == "no-hints")
    assert isinstance(model, AttentionNetwork) == (arm.name == "attention")
    (group,) = tune._work(str(master.with_name("tokenizer.json")), 0, plan)
    assert isinstance(group, Group)
    text = tokenizer.decode(group.segments.tokens[0].tolist())
    silent = all(SAY in line for turn in text.split(DO)[1:] for line in turn.split("\n")[1:2])
    assert silent == (arm.name == "no-records") == (not arm.hidden)


@pytest.mark.parametrize("arm", TRAINED, ids=lambda arm: arm.name)
def test_a_trained_arm_learns_from_games_that_carry_what_it_says(
    tmp_path: Path, master: Path, arm: Arm
) -> None:
    plan = plan_of(arm, tmp_path, master)
    tokenizer = small_tokenizer()
    file = str(master.with_name("tokenizer.json"))
    batches = [batch for step in range(3) for batch in tune._work(file, step, plan)]
    assert all(isinstance(batch, Chain) for batch in batches)
    chains = cast(list[Chain], batches)
    do = tokenizer.id_of(DO)
    # A game begins at its beginning, where there is nothing to remember; later there is.
    assert all((chain.segments[0].tokens[:, 0] == do).all() for chain in chains)
    read = any((chain.segments[1].tokens[:, 0] != do).any() for chain in chains)
    assert read == arm.words == (arm.name in ("words", "both"))
    assert MEMORY in tokenizer.decode(chains[0].opening.tokens.tolist())
    model = first_network(plan, hint_config(tokenizer), tmp_path, resumed=False)
    memory = model.config.memory
    assert (memory is not None) == (arm.name.startswith("latent") or arm.name == "both")
    if memory is not None:
        kinds = {"latent-none": "none", "latent-fsq": "fsq"}
        assert memory.solidifier == kinds.get(arm.name, "mlp")
        assert (memory.formula == "wrong") == (arm.name == "latent-wrong")
    assert (plan.start, arm.start) == (
        ("carried",) * 2 if arm.name == "state" else ("opening",) * 2
    )


def test_whoever_forgets_is_right_as_long_as_nothing_has_changed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    measure = ablation_judge.Measure(worlds=3, turns=36)
    assert 0.2 < ablation_judge.forgetful(measure) < 0.9
    monkeypatch.setattr(ablation_judge, "everyday", lambda _: lambda *_: "look")
    assert ablation_judge.forgetful(measure) == 1
    assert ablation_judge.forgetful(ablation_judge.Measure(worlds=1, turns=12)) == 0


def test_controls_take_away_what_they_name() -> None:
    used = ablation_judge.used
    assert used(BY_NAME["words"], None).words and not used(BY_NAME["words"], "wiped").words
    latent = BY_NAME["latent"]
    assert [used(latent, c).latent for c in (None, "zeroed", "frozen", "swapped")] == [
        *("on", "zeroed", "frozen", "on")
    ]
    assert used(BY_NAME["state"], None).start == "carried"
    assert not any(used(arm, None).words for arm in TRAINED if not arm.words)


def test_a_killed_arm_goes_on_to_the_same_weights(tmp_path: Path, master: Path) -> None:
    """The rate follows the tokens seen, which a checkpoint has."""
    options = ("--only", "no-records", "--tokens", "12000")
    assert ablation.run(arguments(tmp_path / "a", master, *options)) == 0
    killed = arguments(tmp_path / "b", master, *options)
    with killed_at(1):
        ablation.run(killed)
    with pytest.raises(TrainError, match=r"was begun with --tokens 12000 and now it is 5000; choo"):
        ablation.run(arguments(tmp_path / "b", master, *options[:-1], "5000"))
    assert ablation.run(killed) == 0
    one, two = (
        torch.load(tmp_path / x / "no-records-1" / "run.pt", weights_only=True) for x in "ab"
    )
    assert one["step"] == two["step"] > 1
    assert all(torch.equal(t, two["model"][name]) for name, t in one["model"].items())


def test_a_stopped_arm_ends_the_command(
    tmp_path: Path, master: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tune, "run", lambda args: 130)
    assert ablation.run(arguments(tmp_path, master)) == 130
    assert not [*tmp_path.glob("*/result.json")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--only", "latent-nome"], "--only is latent-nome, which is no arm; did you mean lat.*"),
        (["--seeds", "0"], "--seeds is 0; it must be at least 1."),
        (["--tokens", "-1"], "--tokens is -1; it must be at least 0."),
        (["--table"], "No arm was judged in .*; leave out --table and --graph to do it."),
        (["--graph", "x.pdf"], "The graph is to be x.pdf, .*"),
    ],
)
def test_mistakes_on_the_command_line(
    tmp_path: Path, master: Path, options: list[str], said: str
) -> None:
    with pytest.raises(TrainError, match=f"^{said}$"):
        ablation.run(arguments(tmp_path, master, *options))


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tokens", "-1"], "--tokens is -1; it must be at least 0."),
        (["--longest", "5"], "--longest is 5; it must be at least 100."),
        (
            ["--rooms", "5", "3"],
            "--rooms is 5 3; it must be two numbers from 1 to 40, the least .*",
        ),
        (["--no-records", "--chain", "2"], "--no-records has no segments for --chain; leave .*"),
        (
            ["--core", "4", "--init", "x"],
            "--core and --tokenizer are for a fresh network; leave .*",
        ),
        (["--whole-games"], "--whole-games needs --chain; add it, or leave --whole-games out."),
        (["--simple", "--packs", "mercy"], "--simple is for random worlds; leave it out, or .*"),
        (["--core", "attention", "--memory", "mlp"], "--core attention has no latent memory; .*"),
        (
            ["--core", "4", "--mixed"],
            "--mixed can't be: RWKV-4 has no mixed products, only RWKV-7.",
        ),
    ],
)
def test_mistakes_in_what_is_trained(
    tmp_path: Path, master: Path, options: list[str], said: str
) -> None:
    tokenizer = str(master.with_name("tokenizer.json"))
    given = options if "--init" in options else ["--tokenizer", tokenizer, *options]
    parser = argparse.ArgumentParser()
    tune_options.add_arguments(parser)
    with pytest.raises(TrainError, match=f"^{said}$"):
        tune.run(parser.parse_args(["--layers", "1", "--out", str(tmp_path / "x"), *given]))


def test_the_rate_follows_what_is_done_where_a_run_has_no_number_of_steps() -> None:
    schedule = Schedule(steps=10, peak=1.0, warmup=4, decay=0.5)
    assert [schedule.rate(step, 0.0) for step in (0, 3, 99)] == [0.25, 1.0, 1.0]
    assert [schedule.rate(99, done) for done in (0.5, 0.75, 0.99, 1.2)] == [1.0, 0.5, 0.1, 0.1]
    assert schedule.rate(9) < schedule.rate(9, 0.4)


def test_all_arms_are_chosen_in_their_order() -> None:
    assert chosen([]) == [*ARMS]
    assert [arm.name for arm in chosen(["words", "base"])] == ["base", "words"]
    assert len({arm.name for arm in ARMS}) == len(ARMS)


def test_a_simple_world_is_played_by_everyday_commands() -> None:
    import random

    from adventure.master.corpus import Kind
    from adventure.master.simple import VERBS, simple_world
    from adventure.referee.rules import play, start
    from adventure.world.compile import blocks_of
    from adventure.world.generate import random_world

    worlds = [random_world(seed, rooms=(4, 5)) for seed in range(6)]
    assert any("read|" not in heading for world in worlds for heading in blocks_of(world))
    verbs = set()
    for seed, world in enumerate(map(simple_world, worlds)):
        assert all(heading.startswith("read|") for heading in blocks_of(world))
        rng = random.Random(seed)
        records, player = start(world), Kind(simple=True).player(rng)
        for _ in range(40):
            line = player(world, records, rng)
            verbs.add(line.partition("|")[0])
            records = play(world, records, line).records
            assert records["Game"] == ("on",)
    assert verbs == set(VERBS)


def test_without_hidden_lines_a_game_is_one_segment(master: Path) -> None:
    from dataclasses import replace

    from adventure.master.gamemaster import SEGMENT_TURNS, GameMaster
    from adventure.world.generate import random_world

    tokenizer = small_tokenizer()
    plan = Plan(layers=1, width=64, vocab=tokenizer.vocab)
    model: Network = fresh_network(plan, hint_config(tokenizer)).eval()
    subject = ablation_judge._Subject(GameMaster(model, tokenizer, random_world(1, rooms=(3, 3))))
    full = replace(subject.opening(), turns=SEGMENT_TURNS)
    assert subject.settle(full).turns == 0
    subject.hidden = False
    assert subject.settle(full) is full
