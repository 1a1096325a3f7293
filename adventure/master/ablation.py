"""The ablation (`adventure ablate`): arms that are trained alike but for one thing, and judged.

Every arm is a run of `adventure tune` in a folder of its own, with what it was judged to be beside
it; knows neither what arms there are nor how one plays.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch

from adventure.errors import TrainError
from adventure.master import SHIPPED, runs, tune, tune_options
from adventure.master.ablation_arms import ARMS, Arm, chosen
from adventure.master.ablation_judge import Measure, fed, forgetful, play
from adventure.master.ablation_options import BUDGET
from adventure.master.ablation_report import draw, table
from adventure.master.corpus import hint_config
from adventure.master.run_graphs import check_kind
from adventure.master.starting import MASTER, check_marks, fresh_network
from adventure.master.tune_options import Plan
from engine.checkpoint import inspect, load_model
from engine.rwkv.network import Network
from engine.tokenizer import Tokenizer, open_tokenizer

RESULT = "result.json"
LOST, FEW = 0.02, 2
"""A master that tells a smaller share of turns than this plays in so few worlds: it writes as much
as it may in every turn, and there is nothing to tell apart."""
_OF_CHECKPOINT = ("steps", "layers", "width", "vocab", "hints", "base")
"""What of a plan follows from a checkpoint, or from nothing that an arm is given."""


def run(args: argparse.Namespace) -> int:
    """Train and judge the chosen arms, or show what is there: 0, or 130 after Ctrl-C.

    Raises UserError on the user's mistakes.
    """
    arms, out = chosen(args.only), Path(args.out)
    for name in ("seeds", "worlds", "turns", "threads"):
        if getattr(args, name) < 1:
            raise TrainError(f"--{name} is {getattr(args, name)}; it must be at least 1.")
    if args.tokens < 0:
        raise TrainError(f"--tokens is {args.tokens}; it must be at least 0.")
    if args.graph:
        check_kind(Path(args.graph))
    if args.table or args.graph:
        return _show(arms, out, args)
    if args.init:  # what a fresh arm, which takes its tokenizer alone, wouldn't see
        file = Path(args.init)
        config = inspect(file).network.config
        check_marks(file, config, open_tokenizer(file, config.vocab))
    for seed in range(1, args.seeds + 1):
        for arm in arms:
            stopped = _one(arm, seed, out / f"{arm.name}-{seed}", args)
            if stopped is not None:
                return stopped
    return 0


def _show(arms: list[Arm], out: Path, args: argparse.Namespace) -> int:
    results = [*_results(arms, out)]
    if not results:
        raise TrainError(f"No arm was judged in {out}; leave out --table and --graph to do it.")
    if args.graph:
        draw(results, Path(args.graph))
    if args.table:
        print(table(results))
        measure = Measure(args.worlds, args.turns)
        print(
            f"\nBy the rules {forgetful(measure):.1%} of later turns of {args.worlds} worlds are "
            "right where nothing goes on."
        )
    return 0


def _results(arms: list[Arm], out: Path) -> Iterator[dict[str, Any]]:
    """What is there, in the order of the arms and then of seeds."""
    for arm in arms:
        files = out.glob(f"{arm.name}-*/{RESULT}")
        found = [_read(file) for file in files]
        yield from sorted(
            (r for r in found if r["arm"] == arm.name), key=lambda result: result["seed"]
        )


def _read(file: Path) -> dict[str, Any]:
    try:
        result = json.loads(file.read_text(encoding="utf-8"))
        return _checked({name: result[name] for name in _NAMES})
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise TrainError(f"{file} is damaged; delete it, and the arm is judged again.") from error


def _checked(result: dict[str, Any]) -> dict[str, Any]:
    """The result, played in just the ways that its arm is. Raises ValueError, KeyError or TypeError
    where it lacks something that is shown."""
    texts = [result[name] for name in ("arm", "family", "what", "options")]
    numbers = [result[name] for name in ("seed", "tokens", "parameters", "memory")]
    numbers += [result["measure"][name] for name in ("worlds", "turns")]
    controls = {arm.name: arm.controls for arm in ARMS}.get(result["arm"], ())
    played = {way: result["played"][way] for way in ("usual", *controls)}
    tallies = [parts[part] for parts in played.values() for part in (*_PARTS, "all")]
    shares = [tally[which] for tally in tallies for which in ("exact", "exact_by_own_records")]
    shares.append(result["fed"]["exact"])
    if not (
        all(isinstance(text, str) for text in texts)
        and all(type(number) is int for number in numbers)
        and all(0 <= share <= 1 for share in shares)
        and result["family"] in BUDGET
    ):
        raise ValueError("not what an arm was judged to be")
    return {**result, "played": played}


_NAMES = "arm family what seed options tokens parameters memory measure played fed".split()


def _one(arm: Arm, seed: int, folder: Path, args: argparse.Namespace) -> int | None:
    """Train and judge one arm as far as that isn't done; the exit status if it was stopped."""
    result = folder / RESULT
    budget = args.tokens or BUDGET[arm.family]
    settings = _settings(arm, seed, folder, args, budget)
    if result.is_file():
        measure = _read(result)["measure"]
        worlds = args.worlds, min(FEW, args.worlds)
        if measure["turns"] != args.turns or measure["worlds"] not in worlds:
            shown = ", ".join(f"--{name} {value}" for name, value in measure.items())
            raise TrainError(f"{result} was judged with {shown}; delete it to judge the arm anew.")
        print(f"{arm.name}, seed {seed}: {result} is there")
        return None
    print(f"{arm.name}, seed {seed}: {arm.what}", flush=True)
    if _seen(folder) < budget:
        status = tune.run(settings)
        if _seen(folder) < budget:
            return status
    trained = time.time()
    figures = _judged(arm, seed, folder, settings, args)
    _keep(figures, folder, result)
    shown = ", ".join(f"{part} {figures['played']['usual'][part]['exact']:.2%}" for part in _PARTS)
    spent = (time.time() - trained) / 60
    print(f"{arm.name}, seed {seed}: exact in {shown}; {spent:.1f} min", flush=True)
    return None


_PARTS = ("first", "later")


def _settings(
    arm: Arm, seed: int, folder: Path, args: argparse.Namespace, budget: int
) -> argparse.Namespace:
    """The arguments of `adventure tune` for this arm. Raises TrainError where the folder holds a
    run that was begun with others."""
    init = Path(args.init) if args.init else SHIPPED
    options = [*arm.options, "--seed", str(seed), "--tokens", str(budget), "--out", str(folder)]
    options += ["--threads", str(args.threads), "--save-every", str(budget)]  # no validation
    tokenizer = str(init.with_name("tokenizer.json"))
    options += ["--tokenizer", tokenizer] if arm.family == "fresh" else ["--init", str(init)]
    parser = argparse.ArgumentParser()
    tune_options.add_arguments(parser)
    settings = parser.parse_args(options)
    plan = folder / "plan.json"
    if not (folder / "run.pt").is_file():
        return settings
    try:
        begun = dict(json.loads(plan.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise TrainError(f"{plan} is damaged; delete {folder} to begin anew.") from error
    for name in (f.name for f in fields(Plan) if f.name not in _OF_CHECKPOINT):
        was, now = begun.get(name), getattr(settings, name)
        if was != (list(now) if isinstance(now, tuple) else now):
            option = name.replace("_", "-")
            raise TrainError(
                f"{folder} was begun with --{option} {was} and now it is {now}; choose another "
                "--out."
            )
    settings.resume = True
    return settings


def _seen(folder: Path) -> int:
    """Tokens that the run in a folder has learned from; 0 where there is none."""
    file = folder / "run.pt"
    if not file.is_file():
        return 0
    try:
        return int(torch.load(file, weights_only=True, map_location="cpu")["extra"]["tokens"])
    except Exception as error:  # whatever torch makes of a damaged file
        raise TrainError(f"{file} is damaged; delete {folder} to begin anew.") from error


def _judged(
    arm: Arm, seed: int, folder: Path, settings: argparse.Namespace, args: argparse.Namespace
) -> dict[str, Any]:
    """All that is known of an arm; how long it took is in the file of runs."""
    torch.set_num_threads(args.threads)
    tokenizer = Tokenizer.from_file(folder / "tokenizer.json")
    model = _network(arm, folder, tokenizer)
    whole = Measure(args.worlds, args.turns, tuple(settings.rooms))
    by_truth = fed(model, tokenizer, arm, settings.longest, whole)
    lost = by_truth["exact"] < LOST
    measure = replace(whole, worlds=min(FEW, args.worlds)) if lost else whole
    played = {"usual": play(model, tokenizer, arm, measure)}
    for control in arm.controls:
        played[control] = play(model, tokenizer, arm, measure, control)
    sizes = {name: p.numel() for name, p in model.named_parameters()}
    return {
        "arm": arm.name,
        "family": arm.family,
        "what": arm.what,
        "seed": seed,
        "options": " ".join(arm.options),
        "tokens": _seen(folder),
        "parameters": sum(sizes.values()),
        "memory": sum(n for name, n in sizes.items() if name.startswith("memory.")),
        "measure": {"worlds": measure.worlds, "turns": args.turns},
        "played": played,
        "fed": by_truth,
    }


def _network(arm: Arm, folder: Path, tokenizer: Tokenizer) -> Network:
    """What the arm has learned, in evaluation mode."""
    plan = Plan(**json.loads((folder / "plan.json").read_text(encoding="utf-8")))
    if plan.core != "attention":
        return load_model(folder / MASTER)
    model = fresh_network(plan, hint_config(tokenizer))  # no file of a master's can hold it
    model.load_state_dict(torch.load(folder / "run.pt", weights_only=True)["model"])
    return model.eval()


def _keep(figures: dict[str, Any], folder: Path, result: Path) -> None:
    """In the arm's folder, and in the file of runs, which needn't be there."""
    temporary = result.with_suffix(".tmp")
    try:
        temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")
        temporary.replace(result)
    except OSError as error:
        raise TrainError(f"Can't write {result}: {error.strerror or error}.") from error
    db = folder.resolve().parent / "runs.db"
    scores = [
        runs.Score(f"ablation, {how}", part, t["exact"], t["exact_by_own_records"], t["turns"])
        for how, parts in figures["played"].items()
        for part, t in parts.items()
    ]
    try:
        number = runs.latest(db, folder)
        if number is not None:
            runs.record_scores(db, number, scores)
    except TrainError as error:  # the result itself is kept
        print(error, file=sys.stderr)
