"""The pack format: world.toml -> World, or a sentence on each fault. Knows no network.

Sources: format 1 is described for authors in docs/PACKS.md.
"""

from __future__ import annotations

import difflib
import os
import re
import stat
import tomllib
from collections.abc import Iterator
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from adventure.errors import PackError
from adventure.world.doing import canonical_rules, keep_words
from adventure.world.faults import RESERVED_NAMES, RESERVED_WORDS, faults
from adventure.world.free import keep_free, read_free
from adventure.world.keys import Fault, nearest, quoted, type_faults, unknown_key
from adventure.world.lines import Place, Source
from adventure.world.parcel import PROMPT, SUFFIX, WORLD, is_parcel, open_parcel
from adventure.world.parts import (
    DIRECTIONS,
    OPPOSITE,
    Clock,
    Door,
    Ending,
    Person,
    Room,
    Rule,
    Thing,
    World,
)

__all__ = [
    "DIRECTIONS",
    "OPPOSITE",
    "RESERVED_NAMES",
    "RESERVED_WORDS",
    "Clock",
    "Door",
    "Ending",
    "Person",
    "Room",
    "Rule",
    "Source",
    "Thing",
    "World",
    "find_world",
    "list_worlds",
    "load_world",
    "make_world",
    "read_cover",
    "read_source",
    "worlds_folders",
]

LARGEST_FILE = 2_000_000  # bytes; a long world has 60,000
LARGEST_COVER = 8 << 20  # bytes
MOST_FAULTS = 20
"""So many are told at once."""
_DOTS = re.compile(r"""(?<![\w"'-])(?:(?:[\w-]++|"[^"\n]*+"|'[^'\n]*+')[ \t]*+\.[ \t]*+){50}""")
"""A key of so many parts would take the TOML parser hours; no sentence looks like it."""
_AGAIN = re.compile("Cannot (overwrite|declare|mutate)|Duplicate")
"""How TOML's parser begins to speak of what stands twice."""
_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


def load_world(path: Path) -> World:
    """Read a world folder, its world.toml or a parcel. Raises PackError: the file, its lines."""
    source = read_source(path)
    table = _parse(source)
    parcel = is_parcel(path)
    name = path.stem if parcel else _file_of(path).resolve().parent.name
    world = make_world(table, source.name, source.text, name)
    if world.cover and not parcel:
        _check_cover(source, _file_of(path).parent, world.cover)
    beside = f"{PROMPT} in {source.name}" if parcel else str(Path(source.name).with_name(PROMPT))
    keep_free(world, read_free(path, beside))
    return world


def read_source(path: Path) -> Source:
    """The text of a world, and how messages call its file. Raises PackError."""
    file = _file_of(path)
    shown = _shown(file)
    if is_parcel(path):
        raw = open_parcel(path)[WORLD]
    else:
        try:
            if not stat.S_ISREG(file.stat().st_mode):
                raise PackError(f"{shown} is no file; give a folder with a world.toml in it.")
            with file.open("rb") as opened:
                raw = opened.read(LARGEST_FILE + 1)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or "that is no name of a file"
            raise PackError(f"Can't read the world {shown}: {why}.") from error
    if len(raw) > LARGEST_FILE:
        raise PackError(f"{shown} has more than {LARGEST_FILE:,} bytes, the most a world may have.")
    try:
        # Some editors begin a file with a byte-order mark.
        return Source(shown, raw.decode("utf-8-sig").replace("\r\n", "\n"))
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        where = f"{shown}, line {line}"
        raise PackError(f"{where}: this is not UTF-8 text; save it as UTF-8.") from error


def read_cover(path: Path, world: World) -> bytes:
    """The bytes of a world's cover, as far as they are few enough to read; none without one."""
    if is_parcel(path):
        return open_parcel(path).get(world.cover, b"")
    if not world.cover:
        return b""
    try:
        with (_file_of(path).parent / world.cover).open("rb") as opened:
            return opened.read(LARGEST_COVER)
    except OSError as error:
        raise PackError(f"Can't read the cover {quoted(world.cover)}: {error.strerror}.") from error


def _parse(source: Source) -> dict[str, Any]:
    deep = f"{source.name} nests its lists or tables too deeply; a world needs three."
    if _DOTS.search(source.text):
        raise PackError(deep)
    try:
        return tomllib.loads(source.text)
    except RecursionError as error:
        raise PackError(deep) from error
    except ValueError as error:  # TOMLDecodeError, and numbers or dates that Python can't hold
        if _AGAIN.match(str(error)) and source.twice:
            raise PackError(_twice(source, *source.twice)) from error
        said = str(error).rstrip(".").replace("\n", " ")
        line = _LINE.search(said)
        where = f"{source.name}, line {line[1]}" if line else source.name
        what = said.replace(line[0], "") if line else said
        at_end = " its end" if "(at end of document)" in what else " that line"
        what = what.replace(" (at end of document)", "")
        how = f"look at the quotation marks and brackets before{at_end}"
        if _AGAIN.match(what):
            how = "something stands there twice, so leave one out"
        raise PackError(f"{where}: this is not valid TOML: {what[:120]}; {how}.") from error


def _twice(source: Source, place: Place, line: int) -> str:
    """What to say of a key or a table that stands a second time on this line."""
    names = [str(step) for step in place if isinstance(step, str)]
    within, how = "", "leave one out"
    if isinstance(place[-1], str) and len(place) == 1:
        what = f"{quoted(names[0])} stands twice"
    else:
        what = f"{quoted(names[-1])} stands twice"
        part = any(isinstance(step, int) for step in place)
        within = f" in one [[{names[0]}]]" if part else f" in [{'.'.join(names[:-1])}]"
        how += f", or begin another [[{names[0]}]] before it" if part else ""
    return f"{source.name}, line {line}: {what}{within}, first on line {source.line(place)}; {how}."


def make_world(
    table: dict[str, Any], source: str = "world", text: str = "", name: str = ""
) -> World:
    """Check a parsed pack. Raises PackError with its faults, in the order of their lines."""
    lines = Source(source, text)
    if "format" not in table:
        if slip := next(iter(difflib.get_close_matches("format", table, 1, 0.8)), ""):
            said = f"unknown key {slip!r} in the world; did you mean 'format'?"
            raise PackError(f"{lines.where((slip,))}: {said}")
        raise PackError(f"{source}: the key 'format' is missing in the world; add format = 1.")
    seen = table["format"]
    if seen != 1 or type(seen) is not int:
        where = lines.where(("format",))
        raise PackError(f"{where}: format is {quoted(seen)}; this version reads format = 1.")
    world: World | None = None
    slips, rules, typed = canonical_rules(table)
    try:
        world = World.model_validate({**table, **rules, "name": name})
        keep_words(world, typed)
        found: Iterator[Fault] = faults(world)
    except ValidationError as error:
        found = type_faults(error, table)
    unread = {place for place, _ in slips}  # what can't be read has no other faults
    others = (fault for fault in found if fault[0] not in unread)
    several = list(dict.fromkeys((*slips, *islice(others, 10 * MOST_FAULTS))))
    if "name" in table:
        several.insert(0, (("name",), unknown_key(("name",), table)))
    if several or world is None:
        several.sort(key=lambda fault: lines.line(fault[0]))
        told = [f"{lines.where(place)}: {said}" for place, said in several[:MOST_FAULTS]]
        if len(several) > MOST_FAULTS:
            told.append(f"{source} has more faults than these {MOST_FAULTS}; mend these first.")
        raise PackError(*told)
    return world


def _check_cover(source: Source, folder: Path, cover: str) -> None:
    where = source.where(("cover",))
    try:
        file = (folder / cover).resolve()
        inside, there = file.is_relative_to(folder.resolve()), file.is_file()
    except (OSError, RuntimeError):  # a name that is too long, a loop of links
        inside, there = True, False
    if not inside:
        raise PackError(f"{where}: the cover {quoted(cover)} leads out of the world's folder.")
    if not there:
        raise PackError(f"{where}: there is no file {quoted(cover)} for the cover; put it there.")


# -- finding -------------------------------------------------------------------------------------


def worlds_folders() -> list[Path]:
    """Where packs are looked for: the working folder, then what came with the program."""
    shipped = Path(str(resources.files("adventure"))) / "_worlds"
    checkout = Path(__file__).resolve().parents[2] / "worlds"
    seen = dict.fromkeys(p.resolve() for p in (Path("worlds"), checkout, shipped) if p.is_dir())
    return list(seen)


def list_worlds() -> list[Path]:
    """All worlds found, the first of a name winning, sorted by name."""
    found: dict[str, Path] = {}
    for folder in worlds_folders():
        for child in sorted(folder.iterdir()):
            if (child / WORLD).is_file():
                found.setdefault(child.name, child)
            elif child.suffix == SUFFIX and child.is_file():
                found.setdefault(child.stem, child)
    return [found[name] for name in sorted(found)]


def find_world(name_or_path: str) -> Path:
    """A folder or file that exists, else a shipped world of that name. Raises PackError."""
    path = Path(name_or_path)
    if os.sep in name_or_path or path.suffix in (".toml", SUFFIX) or _exists(path / WORLD):
        if not _exists(path):
            raise PackError(
                f"There is no world at {_shown(path)}; give a folder with a world.toml in it."
            )
        return path
    known = {p.stem if is_parcel(p) else p.name: p for p in list_worlds()}
    if name_or_path not in known:
        said = f"No world is called {quoted(name_or_path, 60)}"
        raise PackError(said + nearest(name_or_path, list(known)))
    return known[name_or_path]


def _file_of(path: Path) -> Path:
    try:
        return path / WORLD if path.is_dir() else path
    except (OSError, ValueError):
        return path


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):  # a name that is too long, or that no file can have
        return False


def _shown(path: Path) -> str:
    """A path as a message shows it: nothing in it that would move a terminal's cursor."""
    text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in str(path))
    return text if len(text) <= 300 else f"...{text[-300:]}"
