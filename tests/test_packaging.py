"""What is shipped works outside the checkout: the wheel, the Makefile, and the worlds in it."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from collections import Counter
from pathlib import Path

import pytest
from workshop import Typewriter

import adventure
from adventure.author.solve import solve
from adventure.world.pack import list_worlds, load_world, make_world

ROOT = Path(__file__).resolve().parents[1]
WORLDS = sorted(ROOT.glob("worlds/*/world.toml"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, unpacked as an installation would."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, text=True)
    (file,) = folder.glob("*.whl")
    with zipfile.ZipFile(file) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def test_wheel_holds_what_a_game_needs_and_nothing_else(wheel: Path) -> None:
    """A cuda package or folder of ours would hide NVIDIA's, so its sources move into engine."""
    held = {p.relative_to(wheel).as_posix() for p in wheel.rglob("*") if p.is_file()}
    assert {f"adventure/_worlds/{p.parent.name}/world.toml" for p in WORLDS} <= held
    for folder, inside in (("cuda", "engine/_cuda"), ("adventure/master/weights", None)):
        for file in (ROOT / folder).glob("*.*"):
            assert f"{inside or folder}/{file.name}" in held
    tops = {name.split("/")[0] for name in held}
    assert tops == {"adventure", "engine", f"adventure_rwkv-{adventure.__version__}.dist-info"}
    assert any(name.endswith("/LICENSE") for name in held)


def test_cuda_folder_holds_no_python() -> None:
    assert [p.name for p in (ROOT / "cuda").rglob("*.py")] == []


def test_installed_program_finds_its_worlds(wheel: Path, tmp_path: Path) -> None:
    """Run from an empty folder, so nothing of the checkout can help."""
    code = (
        "import adventure.world.pack as p;"
        "print(p.__file__); print(p.load_world(p.find_world('lantern')).title);"
        "print(p.find_world('lantern'))"
    )
    env = {**os.environ, "PYTHONPATH": str(wheel)}
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, env=env, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    module, title, found = ran.stdout.splitlines()
    assert Path(module).is_relative_to(wheel)
    assert title == "The Lantern of Harrow Skerry"
    assert Path(found) == wheel / "adventure/_worlds/lantern"


def test_command_is_installed_and_answers_help() -> None:
    script = Path(sys.executable).with_name("adventure")
    (entry,) = importlib.metadata.entry_points(group="console_scripts", name="adventure")
    assert entry.value == "adventure.cli:main"
    ran = subprocess.run([str(script), "--help"], capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert "play" in ran.stdout


def fake_checkout(folder: Path, venv_path: Path) -> Path:
    """A folder with our Makefile and a .venv, made at `venv_path`, whose programs only log."""
    shutil.copy(ROOT / "Makefile", folder)
    shutil.copy(ROOT / "pyproject.toml", folder)
    programs = folder / ".venv" / "bin"
    programs.mkdir(parents=True)
    (programs / "activate").write_text(f'VIRTUAL_ENV="{venv_path}"\n')
    for name in ("python", "adventure"):
        (programs / name).write_text(f'#!/bin/sh\necho {name} "$@"\n')
        (programs / name).chmod(0o755)
    return folder


def make(folder: Path, *arguments: str, path: str = os.environ["PATH"]) -> tuple[int, str, str]:
    outer = ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "ARGS", "PYTHON")  # of a make that runs us
    env = {k: v for k, v in os.environ.items() if k not in outer}
    ran = subprocess.run(
        [shutil.which("make") or "make", "-C", str(folder), "--no-print-directory", *arguments],
        env={**env, "PATH": path}, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    return ran.returncode, ran.stdout, ran.stderr


def test_second_make_play_starts_at_once(tmp_path: Path) -> None:
    folder = fake_checkout(tmp_path, tmp_path / ".venv")
    code, first, error = make(folder, "play")
    assert code == 0, error
    assert "pip install" in first and first.endswith("adventure play\n")
    assert make(folder, "play") == (0, "adventure play\n", "")


def test_make_play_after_a_change_of_pyproject_installs_again(tmp_path: Path) -> None:
    folder = fake_checkout(tmp_path, tmp_path / ".venv")
    make(folder, "play")
    later = (folder / ".venv/.play").stat().st_mtime + 5
    os.utime(folder / "pyproject.toml", (later, later))
    assert "pip install" in make(folder, "play")[1]


def test_make_rebuilds_a_venv_from_another_folder(tmp_path: Path) -> None:
    """Its console script would start the other folder's Python and so the other folder's game."""
    folder = fake_checkout(tmp_path, tmp_path / "elsewhere/.venv")
    (folder / ".venv/.play").touch()
    made = make(folder, "play", "PYTHON=echo made-by")[1]
    assert "made-by -m venv --clear .venv" in made


def test_make_without_python_says_so_in_one_sentence(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    tools = tmp_path / "tools"
    tools.mkdir()
    for tool in ("sh", "grep", "cat", "touch"):
        (tools / tool).symlink_to(shutil.which(tool) or f"/bin/{tool}")
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")  # an old Python fails the version check
    (tools / "python3").chmod(0o755)
    code, _, error = make(tmp_path, "play", path=str(tools))
    assert code != 0
    said = [line for line in error.splitlines() if not line.startswith("make")]
    assert said == [
        "Python 3.11 or newer was not found; "
        "install it, or name it with: make PYTHON=/path/to/python3.11"
    ]


@pytest.mark.parametrize("file", WORLDS, ids=lambda p: p.parent.name)
def test_shipped_prose_keeps_to_the_advice_given_to_authors(file: Path) -> None:
    """Lengths that read well, plain characters, no portable thing in a room's prose."""
    world = load_world(file)
    for parts, least, most in ((world.rooms, 25, 60), ((*world.doors, *world.things), 12, 35)):
        lengths = {part.name: len(part.description.split()) for part in parts}
        odd = {name: words for name, words in lengths.items() if not least <= words <= most}
        assert len(odd) <= len(parts) / 4, odd
        assert all(8 <= words <= 65 for words in odd.values()), odd
    for part in world.parts:
        assert not re.findall(r"[^A-Za-z0-9 ,.;:?!()'\"-]", part.description), part.name
    for room in world.rooms:
        prose = room.description.lower()
        loose = [t.name for t in world.things if not t.fixed and re.search(rf"\b{t.name}\b", prose)]
        assert not loose, (room.name, loose)


REFUSALS = {"noway", "barred", "absent", "fixed", "have", "havenot", "cannot", "nokey", "dark"}


def test_tour_of_the_default_world_sees_everything_and_errs() -> None:
    folder = ROOT / "worlds/lantern"
    run = Typewriter(world := load_world(folder))
    rooms = {world.start}
    for line in (folder / "tests/tour.walk").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            assert run.records["Game"] == ("on",), f"the game was over before {line!r}"
            assert not run.type(line)[0].startswith("["), line
            rooms.add(run.records["At"][0])
    assert run.records["Game"] == ("won",)
    assert rooms == {room.name for room in world.rooms}
    assert {thing.name for thing in world.things if thing.treasure} <= set(run.records["Deeds"])
    told = Counter(kind for said in run.kinds for kind in re.split("[: ]+", said))
    assert sum(told[kind] for kind in REFUSALS) >= 10


def test_example_for_authors_is_a_world_that_can_be_won() -> None:
    """The manual's first code block is a pack; nothing is wrong with it."""
    manual = (ROOT / "docs/PACKS.md").read_text(encoding="utf-8")
    toml = re.search(r"```toml\n(.*?)```", manual, re.DOTALL)
    assert toml
    found = solve(make_world(tomllib.loads(toml[1])))
    assert found.won and found.won.score == 10


def test_every_shipped_world_is_listed() -> None:
    assert {p.parent.name for p in WORLDS} <= {p.name for p in list_worlds()}


def test_version_is_told_in_one_voice() -> None:
    """The changelog's newest entry is the version that pip and the program tell."""
    newest = next(
        line for line in (ROOT / "CHANGELOG.md").read_text().splitlines() if line.startswith("## ")
    )
    assert newest == f"## {adventure.__version__}"
    assert importlib.metadata.version("adventure-rwkv") == adventure.__version__
