"""Packs spoilt in hundreds of ways: each is refused in plain sentences, with no traceback."""

from __future__ import annotations

import random
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from mill import MILL

from adventure.cli import main
from adventure.world.keys import TABLES
from adventure.world.parts import World

ROOT = Path(__file__).resolve().parents[1]
SHIPPED = {
    name: (ROOT / "worlds" / name / "world.toml").read_text(encoding="utf-8")
    for name in ("threshold", "lantern", "wednesday")
}
PACKS = {"mill": MILL, **SHIPPED}
SMALL = {name: PACKS[name] for name in ("mill", "threshold", "lantern")}
COMMANDS = ("ifiction", "prompt", "play")
KEYS = {field.alias or name for name, field in World.model_fields.items()} | {
    field.alias or name
    for _, table in TABLES.values()
    for name, field in table.model_fields.items()
}
KEY_LINE = re.compile(r"^(\w+) = ", re.MULTILINE)
REQUIRED = ("title", "intro", "start", "name", "description", "from", "to", "direction", "in")
NEEDED = (*REQUIRED, "when", "say", "turns", "thing", "room", "format")
LONG = 60  # seconds after which a pack is taken to be read for ever
JARGON = ("Traceback", "validation", "pydantic", "type=", "ctx", "Error(", "None")

Mutation = tuple[str, str | bytes]
"""What was done, and the file that came of it."""


@pytest.fixture(autouse=True)
def _watchdog() -> Iterator[None]:
    """A pack that is read for ever fails its test."""
    signal.alarm(LONG)
    yield
    signal.alarm(0)


def keys_in(text: str) -> list[str]:
    return list(dict.fromkeys(KEY_LINE.findall(text)))


def swapped(word: str) -> str:
    """A slip of two letters; the last one twice where that changes nothing."""
    other = word[:-2] + word[-1] + word[-2]
    return other if other != word and other not in KEYS else word + word[-1]


def missing_keys() -> Iterator[Mutation]:
    for pack, text in SMALL.items():
        for key in keys_in(text):
            at = (
                text.index("[[rooms]]") if key == "description" else 0
            )  # the world's may be missing
            start = text.index(f"\n{key} = ", at) + 1 if f"\n{key} = " in text else 0
            if key in NEEDED:
                said = f"{pack} without {key}"
                yield said, text[:start] + text[text.index("\n", start) + 1 :]


def misspelt_keys() -> Iterator[Mutation]:
    for pack, text in SMALL.items():
        for key in keys_in(text):
            said = f"{pack}: {swapped(key)} for {key}"
            yield said, re.sub(rf"^{key} = ", f"{swapped(key)} = ", text, count=1, flags=re.M)


def wrong_types() -> Iterator[Mutation]:
    for pack, text in SMALL.items():
        for i, key in enumerate(keys_in(text)):
            bad = ("2020-02-30T99", "[[1]]", "1979-05-27", "3.5", "nan", "{ a = { b = 1 } }")[i % 6]
            said = f"{pack}: {key} = {bad}"
            yield said, re.sub(rf"^{key} = .*$", f"{key} = {bad}", text, count=1, flags=re.M)


def misspelt_names() -> Iterator[Mutation]:
    """Every key that names something names it with a letter too many."""
    for pack, text in PACKS.items():
        for key in ("start", "from", "to", "direction", "in", "thing", "room", "key"):
            for n, found in enumerate(re.finditer(rf'^{key} = "([^"]+)"', text, re.MULTILINE)):
                if n < 3:
                    said = f"{pack}: {key} {n} is {found[1]}q"
                    yield said, text[: found.end(1)] + "q" + text[found.end(1) :]


def misspelt_rules() -> Iterator[Mutation]:
    """Every first line of a kind with a word that means nothing in it."""
    swaps = {
        " carried": " caried", " becomes ": " become ", " moves to ": " move to ", "deed ": "ded ",
        " is ": " iz ", "you in ": "you in old ", "game won": "game one",
        "when = \"": 'when = "x|y|', " in nowhere": " in nowere",
        "you go to ": "you went to ", "clock ": "clok ",
    }  # fmt: skip
    for pack, text in PACKS.items():
        for old, new in swaps.items():
            pattern = rf'^((?:needs|then|when) = .*?["{{[]?.*?){re.escape(old)}'
            spoilt, times = re.subn(pattern, rf"\g<1>{new}", text, count=1, flags=re.M)
            if times:
                yield f"{pack}: {new!r} for {old!r}", spoilt


def odd_prose() -> Iterator[Mutation]:
    for pack, text in SMALL.items():
        for odd in (r"\u001b[2J", r"\u0000", r"\u202e", r"\u0007", "<|end|>", "\x7f", "\x1b[31m"):
            for key in ("description", "intro", "say", "title"):
                spoilt = re.sub(rf'^{key} = "', rf'{key} = "', text, count=1, flags=re.M)
                at = re.search(rf'^{key} = "', spoilt, re.M)
                if at:
                    yield f"{pack}: {odd!r} in {key}", spoilt[: at.end()] + odd + spoilt[at.end() :]
        blank = re.sub(r'^intro = "', 'intro = "One.\\\\n\\\\nTwo. ', text, count=1, flags=re.M)
        yield f"{pack}: a blank line", blank
        yield (
            f"{pack}: a paragraph that is too long",
            text.replace('say = "', f'say = "{"z" * 1300}', 1),
        )


def contained() -> Iterator[Mutation]:
    part = '[[things]]\nname = "{}"\ndescription = "Deep."\nin = "{}"\ncontainer = true\n'
    for length in (1, 2, 3, 60):
        names = [f"matryoshka {'a' * (1 + i % 26)}{'b' * (1 + i // 26)}" for i in range(length)]
        ring = "".join(part.format(name, names[(i + 1) % length]) for i, name in enumerate(names))
        yield f"a ring of {length}", MILL + ring


def huge() -> Iterator[Mutation]:
    yield "prose of 10 MB", MILL.replace("Flour must", "Flour must " * 1_000_000)
    yield "a million keys", MILL + "".join(f"[x{i}]\n" for i in range(9_000))
    yield (
        "keys in a table",
        MILL.replace("[style]", "[style]\n" + "".join(f"k{i} = 1\n" for i in range(9_000))),
    )
    yield (
        "exits",
        MILL.replace("out =", "".join(f"x{i} = 'Yard', " for i in range(9_000)) + "out ="),
    )
    yield "many rooms", MILL + '[[rooms]]\nname = "Hall"\ndescription = "Bare."\n' * 3_000
    yield (
        "many deeds",
        MILL.replace("[deeds]", "[deeds]\n" + "".join(f"a{i} = 1\n" for i in range(9_000))),
    )
    yield "many synonyms", MILL.replace('["north door"]', "[" + '"a", ' * 3_000 + "]")
    yield "deep list", "format = 1\nrooms = " + "[" * 900_000
    yield "deep list that ends", "format = 1\nintro = " + "[" * 400 + "]" * 400
    yield "deep table", MILL + "[" + ".".join("a" * 9_999) + "]\nb = 1\n"
    yield (
        "deep inline table",
        MILL.replace("terse", "x").replace('"x"', "{a=" * 300 + "1" + "}" * 300),
    )
    yield "long key", MILL + f"{'k' * 1_900_000} = 1\n"
    yield "long name", MILL.replace("iron key", "k" * 90_000, 1)
    yield "long line of brackets", MILL.replace("Rusty.", "x") + '"""\n[' + " " * 1_900_000
    yield "brackets in a text", MILL.replace('"Rusty."', f'"""\n[{" " * 300_000}\n"""')
    yield "huge number", MILL.replace("turns = 5", f"turns = {'9' * 4_000}")
    yield "hexadecimal number", MILL.replace("turns = 5", f"turns = 0x{'f' * 90_000}")
    yield "many commas", MILL.replace('"sky" = "Grey."', f'"{"sky," * 9_999}" = "Grey."')
    yield "one empty file", ""
    yield "zeros", b"\0" * 1_000_000
    yield "noise", random.Random(1).randbytes(100_000)
    yield "latin-1", MILL.replace("Dusty", "D\u00fcster").encode("latin-1")
    yield "utf-16", MILL.encode("utf-16")


def covers() -> Iterator[Mutation]:
    for cover in (
        *("../x.png", "/etc/passwd.png", "a/../../x.png", "C:\\x.png", "a\\..\\x.png", "x.svg"),
        *("missing.png", f"{'x' * 300}.png", "..", "x.png/../../y.png", "file:x.png"),
    ):
        yield f"cover {cover[:30]}", f"cover = '{cover}'\n{MILL}"


KINDS: tuple[Callable[[], Iterator[Mutation]], ...] = (
    *(missing_keys, misspelt_keys, wrong_types, misspelt_names, misspelt_rules, odd_prose),
    *(contained, huge, covers),
)


def refusal(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The sentences in which a command refuses a pack."""
    status = main(arguments)
    out, err = capsys.readouterr()
    assert (status, out) == (2, ""), (status, err)
    return sentences(err)


def sentences(err: str) -> list[str]:
    assert err.startswith("adventure: ") and err.endswith("\n"), err
    told = err.removeprefix("adventure: ").removesuffix("\n").split("\n")
    for said in told:
        assert said.isprintable() and 20 < len(said) < 600, said
        assert said[-1] in ".?" and not any(word in said for word in JARGON), said
    assert 1 <= len(told) <= 21
    return told


@pytest.mark.parametrize(
    "kind", [k for k in KINDS if k is not misspelt_keys], ids=lambda kind: kind.__name__
)
def test_a_spoilt_pack_is_refused(
    kind: Callable[[], Iterator[Mutation]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "world.toml"
    for i, (done, text) in enumerate(kind()):
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        try:
            for said in refusal(capsys, COMMANDS[i % len(COMMANDS)], str(tmp_path)):
                assert said.removeprefix("Can't read the world ").startswith(str(file))
        except AssertionError as error:
            raise AssertionError(f"{done}: {error}") from error


def test_there_are_more_than_two_hundred_ways_to_spoil_a_pack() -> None:
    spoilt = [text for kind in KINDS if kind is not huge for _, text in kind()]
    assert len(spoilt) == len(set(spoilt)) > 200
    assert not set(spoilt) & set(PACKS.values())


def test_a_misspelt_key_is_told_with_the_right_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for done, text in misspelt_keys():
        (tmp_path / "world.toml").write_text(str(text))
        wrong, _, right = done.partition(": ")[2].split(" ")
        told = " ".join(refusal(capsys, "ifiction", str(tmp_path)))
        found = re.search(rf", line (\d+): (?:unknown key|there is no reply) '{wrong}'", told)
        assert found and f"'{right}'" in told, told
        assert str(text).split("\n")[int(found[1]) - 1].startswith(f"{wrong} = ")


@pytest.mark.parametrize("pack", SMALL)
def test_a_damaged_file_is_read_or_refused(
    pack: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bits turned over, ends cut off, pieces left out or put twice."""
    rng, whole = random.Random(f"damage {pack}"), PACKS[pack].encode()
    refused = 0
    for i in range(36):
        data, at = bytearray(whole), rng.randrange(len(whole))
        match i % 4:
            case 0:
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:]
            case 2:
                del data[at : at + rng.randrange(1, 60)]
            case 3:
                data[at:at] = data[at : at + rng.randrange(1, 400)]
        (tmp_path / "world.toml").write_bytes(data)
        status = main(["ifiction", str(tmp_path)])
        out, err = capsys.readouterr()
        if status == 2:
            assert not out and sentences(err)
            refused += 1
        else:
            assert status == 0 and out.startswith("<?xml") and not err
    assert refused > 12


@pytest.mark.parametrize(
    "name",
    ["../../etc", "/etc/passwd", "..", "\x1b[2J", "a\0b", "x" * 5000, "nowhere", "/dev/null"],
)
def test_names_on_the_command_line(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for command in COMMANDS:
        assert len(refusal(capsys, command, name)) == 1
