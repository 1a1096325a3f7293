"""`adventure check`: each thing that can be wrong with a sound world, good worlds left in peace."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
import torch
from inn import inn, spoilt
from tiny import tiny_model

from adventure.author import check
from adventure.author.findings import WARNING
from adventure.author.lints import lints
from adventure.author.probes import carrying, opened, probes, standing
from adventure.author.recall import ask, question
from adventure.cli import main
from adventure.master.gamemaster import GameMaster
from adventure.referee.rules import play, start
from adventure.world.lines import Source
from adventure.world.pack import find_world, load_world
from adventure.world.parts import World
from adventure.world.prompt import SPECIALS, pack_text, reply_text, shown
from engine.checkpoint import save_model
from engine.rwkv.network import Network
from engine.tokenizer import Tokenizer, train_tokenizer

OPENABLE = "openable = true"
BONE = 'in = "Taproom"\nedible = true'
HAT = '\n\n[[things]]\nname = "hat"\ndescription = "Old."\nin = "Taproom"'
CAT = '\n\n[[people]]\nname = "cat"\ndescription = "Grey."\nin = "Taproom"'
KICK = (
    '[[rules]]\nwhen = "kick oak box"\nneeds = ["dog in Vault"]\n'
    'then = ["oak box becomes open"]\nsay = "It opens."\n'
)
LONG = "dark = true\n\n[[rooms]]"
SPOILT: list[tuple[str, tuple[tuple[str, str], ...], str, str, str]] = [
    # kind, what is changed, where it is said to be (the text of its line), what is said of it
    (
        "unreachable-room",
        (('to = "Kitchen"\n', 'to = "Vault"\n'),),
        'name = "Kitchen"',
        "nobody can ever come to 'Kitchen'",
    ),
    (
        "key-out-of-reach",
        ((OPENABLE, f'{OPENABLE}\nlocked = true\nkey = "small key"'),),
        'key = "small key"',
        "the thing 'oak box' can't be unlocked: its key 'small key' can't be had first",
    ),
    (
        "never-opens",
        ((OPENABLE, f"{OPENABLE}\nlocked = true"), ("[[clocks]]", f"{KICK}\n[[clocks]]")),
        'name = "oak box"',
        "the thing 'oak box' can never be opened",
    ),
    (
        "no-light",
        (("light = true\nswitch = true", "switch = true"),),
        'name = "Cellar"',
        "'Cellar' is dark, and no light can be brought there",
    ),
    (
        "unreachable",
        (('in = "Vault"', 'in = "nowhere"'),),
        'in = "nowhere"',
        "'old wine' is nowhere, and no rule that can be followed brings it",
    ),
    (
        "rule-never-fires",
        (('"clock chewing 5", ', ""),),
        'name = "chewing"',
        "the clock 'chewing' never runs",
    ),
    (
        "rule-never-fires",
        (('when = "hit cook"', 'when = "pull iron grate"'),),
        'when = "pull iron grate"',
        "the rule 'pull iron grate' is never tried: an earlier one",
    ),
    (
        "rule-never-fires",
        (('"dog in nowhere" =', '"dog in Vault" ='),),
        'when = "pull iron grate"',
        "can never be followed: 'dog in Vault' never comes true",
    ),
    (
        "refusal-never-told",
        (('"dog in nowhere" =', '"oak box in Taproom" = "Gone.", "dog in nowhere" ='),),
        "needs = {",
        "has words for when 'oak box in Taproom' fails, and it never does",
    ),
    (
        "state-never-set",
        (('then = ["iron grate becomes lifted"]\n', ""),),
        "states =",
        "no rule makes 'iron grate' 'lifted'",
    ),
    (
        "deed-never-done",
        ((', "deed fed the dog"]', "]"),),
        '"fed the dog" = 5',
        "no rule does the deed 'fed the dog'",
    ),
    (
        "deed-never-done",
        (("dog moves to nowhere", "dog moves to Vault"),),
        '"served the cook" = 10',
        "the deed 'served the cook' can never be done",
    ),
    ("no-ending", ((', "game won"]', "]"),), "", "nothing ends it so"),
    (
        "unwinnable",
        (("dog moves to nowhere", "dog moves to Vault"),),
        "",
        "what would end it so can never happen",
    ),
    (
        "no-such-exit",
        (("Barrels. ", "Barrels. A passage leads north. "),),
        'description = "Barrels',
        "the prose of 'Cellar' names the north as a way",
    ),
    (
        "exit-unmentioned",
        (("a hole leads west", "a smell"),),
        'description = "Barrels',
        "the prose of 'Cellar' says nothing of the way west to 'Vault'",
    ),
    (
        "portable-in-prose",
        (("Low beams", "A bone, low beams"),),
        'description = "A bone',
        "the prose of 'Taproom' speaks of 'bone', which can be carried away",
    ),
    (
        "state-in-prose",
        (("It covers", "Lifted as it is, it covers"),),
        'description = "Lifted',
        "the prose of 'iron grate' says 'lifted', a state that changes",
    ),
    (
        "state-in-prose",
        (("Dovetailed.", "Dovetailed, and it is closed."),),
        'description = "Dovetailed',
        "the prose of 'oak box' says 'closed'",
    ),
    (
        "long",
        ((LONG, LONG.replace("\n", f'\nfirst = "{"Long it is. " * 95}"\n', 1)),
         ("Barrels. ", "Barrels. " * 60)),
        "first = ",
        "fills a screen",
    ),
    ("no-way-out", (('exits = { east = "Cellar" }', ""),), 'name = "Vault"', "nobody can leave"),
    (
        "one-way",
        (('up = "Taproom", ', ""),),
        'exits = { down = "Cellar" }',
        "the way down from 'Taproom' to 'Cellar' has no way back",
    ),
    (
        "topic-twice",
        (('"dog" = "He', '"dog, wine" = "He'),),
        '"dog, wine" =',
        "'cook' has the topic 'wine' twice",
    ),
    (
        "hidden-synonym",
        (('in = "Vault"', 'in = "Vault"\nsynonyms = ["bone"]'),),
        'synonyms = ["bone"]',
        "'bone' is a synonym of 'old wine' and the name of another",
    ),
    (
        "same-words",
        ((BONE, f'{BONE}\nsynonyms = ["stub"]'),
         ("light = true", 'light = true\nsynonyms = ["stub"]')),
        "",
        "'stub' means both 'candle' and 'bone'",
    ),
    (
        "same-first-word",
        (('name = "candle"', 'name = "small candle"'),),
        "",
        "the names 'small key', 'small candle' all begin with 'small'",
    ),
    (
        "invented-verb",
        (('when = "hit cook"', 'when = "soak grat"'),),
        'when = "soak grat"',
        "the rule 'soak grat' is about no noun, so only these words are understood; did you "
        "mean 'soak iron grate'?",
    ),
    ("unused", ((BONE, BONE + HAT),), 'name = "hat"', "nothing can be done with 'hat'"),
    ("silent", (('talk = "It growls."', f'talk = "It growls."{CAT}'),), 'name = "cat"',
     "'cat' has nothing to say"),
    ("missing", (('author = "A. Tester"\n', ""),), "", "the pack has no author"),
]  # fmt: skip


def test_nothing_is_said_of_a_world_in_which_nothing_is_wrong() -> None:
    assert lints(inn()) == []


@pytest.mark.parametrize(
    ("kind", "changes", "line", "text"),
    SPOILT,
    ids=[row[0] for row in SPOILT],
)
def test_what_is_wrong_is_said_where_it_is(
    kind: str, changes: tuple[tuple[str, str], ...], line: str, text: str
) -> None:
    source = Source("inn", spoilt(*changes))
    found = [f for f in lints(inn(*changes)) if f.kind == kind and text in f.text]
    assert len(found) == 1
    at = source.line(found[0].place)
    if line:
        near = source.text.split("\n")[at - 1 : at + 2]  # a table's own line, or the key's
        assert any(row.startswith(line) for row in near), near
    else:
        assert at == 0


def test_a_world_told_by_rules_may_name_states_in_its_prose() -> None:
    told_ = (
        '[[rules]]\nwhen = "examine iron grate"\nneeds = ["iron grate is lifted"]\nsay = "Up."\n'
    )
    changes = (("It covers", "Down or lifted, it covers"), ("[[clocks]]", f"{told_}\n[[clocks]]"))
    assert lints(inn(*changes)) == []


@pytest.mark.parametrize(
    "name", ["lantern", "mercy", "purkiss", "rulenine", "threshold", "wednesday"]
)
def test_the_shipped_worlds_give_no_cause_for_warnings(name: str) -> None:
    assert [f for f in lints(load_world(find_world(name))) if f.level == WARNING] == []


# -- the command -----------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "inn" / "tests").mkdir(parents=True)
    (tmp_path / "inn" / "world.toml").write_text(spoilt())
    (tmp_path / "inn" / "tests" / "solution.walk").write_text("look\n")
    return tmp_path / "inn"


def change(folder: Path, *changes: tuple[str, str]) -> str:
    (folder / "world.toml").write_text(spoilt(*changes))
    return str(folder)


Capture = pytest.CaptureFixture[str]


def test_a_sound_world_is_told_to_be_one(folder: Path, capsys: Capture) -> None:
    assert main(["check", str(folder), "--strict"]) == 0
    note, counted, search, master = capsys.readouterr().out.splitlines()
    assert note.endswith("world.toml: note: the game can no longer be won after 'eat bone'.")
    assert counted == "The Inn: no faults, no warnings, 1 note."
    assert search.startswith("It can be won in ") and "with 15 of 15 points" in search
    assert "Endings come to: 2 of 2" in search
    told_by = f"adventure test {folder} --master"
    assert master == f'Whether the game master can play it too, "{told_by}" tells.'


def test_findings_stand_in_the_order_of_lines_and_strictness_counts_warnings(
    folder: Path, capsys: Capture
) -> None:
    place = change(folder, ('"clock chewing 5", ', ""), ('author = "A. Tester"\n', ""))
    (folder / "tests" / "solution.walk").unlink()
    assert main(["check", place, "--no-search"]) == 0
    lines = capsys.readouterr().out.splitlines()
    numbers = [int(s.partition(", line ")[2].partition(":")[0]) for s in lines if ", line " in s]
    assert numbers == sorted(numbers) and len(numbers) > 3
    assert any("world.toml: note: there is no tests/solution.walk" in line for line in lines)
    assert lines[-2].startswith("The Inn: no faults, ") and "It can be won" not in lines[-1]
    assert main(["check", place, "--no-search", "--strict"]) == 1
    assert main(["check", change(folder, ('author = "A. Tester"\n', "")), "--strict"]) == 0


def test_what_is_proven_and_what_is_only_not_found_are_told_apart(
    folder: Path, capsys: Capture
) -> None:
    assert main(["check", change(folder, ("dog moves to nowhere", "dog moves to Vault"))]) == 0
    out = capsys.readouterr().out
    assert "Nobody can win this world" in out and "no way to win was found" not in out
    assert main(["check", change(folder), "--limit", "3"]) == 0
    out = capsys.readouterr().out
    assert "warning: no way to win was found in " in out and "Nobody can" not in out


def test_programs_read_json(folder: Path, capsys: Capture) -> None:
    assert main(["check", str(folder), "--json"]) == 0
    whole = json.loads(capsys.readouterr().out)
    assert whole["faults"] == [] and whole["search"]["won"]["score"] == 15
    records = start(inn())
    for line in whole["search"]["won"]["commands"]:
        records = play(inn(), records, line).records
    assert records["Game"] == ("won",)
    assert set(whole["search"]["dead_ends"]) == {"eat|bone"}
    kinds = {row["kind"] for row in whole["findings"]}
    assert kinds == {"dead-end"}
    faulty = change(folder, ('to = "Kitchen"', 'to = "Kitschen"'))
    assert main(["check", faulty, "--json"]) == 2
    told_ = json.loads(capsys.readouterr().out)["faults"]
    assert any("Kitschen" in fault and ", line " in fault for fault in told_)


def test_faults_go_before_everything_else(folder: Path, capsys: Capture) -> None:
    place = change(folder, ('to = "Kitchen"', 'to = "Kitschen"'))
    assert main(["check", place]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("adventure: ") and "Kitschen" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "x"], "--model is for --recall"),
        (["--recall", "--model", "nowhere.safetensors"], "nowhere.safetensors"),
    ],
)
def test_mistakes_are_one_sentence(
    folder: Path, capsys: Capture, arguments: list[str], said: str
) -> None:
    assert main(["check", str(folder), "--no-search", *arguments]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_a_check_does_without_the_network(folder: Path) -> None:
    code = (
        "import sys; from adventure.cli import main; status = main(sys.argv[1:]);"
        "assert 'torch' not in sys.modules; sys.exit(status)"
    )
    arguments = [sys.executable, "-c", code, "check", str(folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


# -- recall ----------------------------------------------------------------------------------------


def test_each_fact_is_asked_for_where_it_can_be_seen() -> None:
    world = inn()
    asked = {(probe.kind, probe.what): probe for probe in probes(world)}
    for room in world.rooms:
        probe = asked["room", room.name]
        assert room.description in shown(play(world, probe.records, probe.line).reply)
    for noun in world.nouns:
        probe = asked["thing", noun.name]
        assert noun.description in shown(play(world, probe.records, probe.line).reply)
    for person in world.people:
        for topics, prose in person.topics.items():
            probe = asked["topic", f"{person.name}, {topics.split(',')[0]}"]
            assert shown(play(world, probe.records, probe.line).reply) == prose
    lock = asked["lock", "kitchen door"]
    assert play(world, lock.records, lock.line).records["kitchen door"][-1] == "closed"
    assert {kind for kind, _ in asked} == {
        *("room", "exit", "thing", "topic", "lock", "reply", "rule"),
    }


def test_questions_are_asked_in_records_that_agree_with_one_another() -> None:
    world = inn()
    records = opened(carrying(world, standing(world, "Vault"), "small key"), "oak box")
    assert records["You carry"] == ("candle (lit)", "small key")
    assert records["oak box holds"] == () and records["oak box"][-1] == "open"
    assert "candle" not in " ".join(records["Taproom holds"])
    assert start(world)["You carry"] == ()


def test_recall_counts_what_a_master_would_say(folder: Path, capsys: Capture) -> None:
    world = inn()
    tokenizer = train_tokenizer([pack_text(world)], 400, SPECIALS)
    (folder / "tokenizer.json").write_text(tokenizer.to_json())
    vocab = len(json.loads(tokenizer.to_json())["model"]["vocab"])
    save_model(tiny_model(vocab=vocab, hints=True), folder / "m.safetensors", {})
    arguments = ["check", str(folder), "--no-search", "--recall", "--json"]
    assert main([*arguments, "--model", str(folder / "m.safetensors")]) == 0
    found = json.loads(capsys.readouterr().out)["recall"]
    assert found["kinds"]["room"] == {"asked": 4, "right": 0}  # it has learnt nothing
    asked = sum(kind["asked"] for kind in found["kinds"].values())
    assert len(found["misses"]) == asked > 25
    miss = found["misses"][0]
    assert (miss["kind"], miss["what"], miss["command"]) == ("room", "Taproom", "look")
    assert miss["wanted"] == "At: Taproom." and miss["said"]


class Knowing:
    """Stands in for a network that knows each turn by heart, in a second form, except one word."""

    def __init__(self, world: World, tokenizer: Tokenizer, forgotten: str) -> None:
        self.memory, self.config = None, SimpleNamespace(hints=True)
        self.vocab, self.opening = 0, len(tokenizer.encode(pack_text(world)))
        self.answers: dict[tuple[int, ...], list[int]] = {}
        for probe in probes(world):
            asked = [t for text in question(world, probe) for t in tokenizer.encode(text)]
            outcome = play(world, probe.records, probe.line, lambda _, forms: forms - 1)
            reply = reply_text(outcome.lines, outcome.reply).replace(forgotten, "Barrows")
            self.answers[tuple(asked)] = tokenizer.encode(reply)

    def initial_state(self, _: int) -> tuple[int, ...]:
        return ()

    def __call__(
        self, tokens: torch.Tensor, state: tuple[int, ...], **_: object
    ) -> tuple[torch.Tensor, tuple[int, ...]]:
        logits = torch.zeros(1, tokens.shape[1], 4096)
        for i, token in enumerate(tokens[0].tolist()):
            state = (*state, token)
            logits[0, i, self._next(state[self.opening :])] = 1
        return logits, state

    def _next(self, read: tuple[int, ...]) -> int:
        for asked, reply in self.answers.items():
            said = read[len(asked) :]
            if read[: len(asked)] == asked and list(said) == reply[: len(said)]:
                return reply[len(said)] if len(said) < len(reply) else 0
        return 0


def test_what_is_known_in_any_form_counts_and_what_is_not_is_named() -> None:
    world = inn()
    tokenizer = train_tokenizer([pack_text(world)], 400, SPECIALS)
    master = GameMaster(cast(Network, Knowing(world, tokenizer, "Barrels")), tokenizer, world)
    found = ask(master)
    assert found.right["thing"] == found.asked["thing"] == len(world.nouns)
    assert found.right["reply"] > 10
    assert found.right["room"] == 3
    missed = {miss.probe.line for miss in found.misses if miss.probe.kind != "rule"}
    assert missed == {"look", "go|east"}  # the ways on which the cellar is described
    lines = found.told()
    assert f"{found.right.total()} of {found.asked.total()} facts" in lines[0]
    assert lines[1].startswith("  room Cellar (look): in 'Barrels. Stairs go up")
    assert "it would say" in lines[1]


def test_a_pack_longer_than_the_master_learnt_from_is_noted(
    folder: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    tokenizer = train_tokenizer([pack_text(inn())], 400, SPECIALS)
    (folder / "tokenizer.json").write_text(tokenizer.to_json())
    monkeypatch.setattr(check, "SHIPPED", folder / "m.safetensors")
    tokens = len(tokenizer.encode(pack_text(inn())))
    for learnt, noted in ((tokens, False), (tokens - 1, True)):
        monkeypatch.setattr(check, "LEARNT", learnt)
        assert main(["check", str(folder), "--no-search"]) == 0
        assert (f"the pack has {tokens:,} tokens" in capsys.readouterr().out) == noted
