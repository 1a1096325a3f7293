"""The parcel format: a world's files <-> one NAME.world. Knows nothing of what the files say.

A parcel is a zip archive of world.toml, what belongs to it, and manifest.json with all hashes.
A reader trusts nothing: not the names, not the sizes, not the archive.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from adventure.errors import PackError

SUFFIX = ".world"
WORLD, MANIFEST, OPENING = "world.toml", "manifest.json", "opening.safetensors"
PROMPT = "prompt.md"
MOST_FILES = 200
LARGEST = {WORLD: 2 << 20, MANIFEST: 1 << 20, OPENING: 64 << 20}
LARGEST_OTHER = 8 << 20  # bytes of a test, a cover or a licence
LARGEST_PARCEL = 128 << 20  # bytes, of the file and of all that is in it

_WORD = r"[A-Za-z0-9_][A-Za-z0-9_ +-]*(?:\.[A-Za-z0-9_+-]+)*"
_BELONGS = re.compile(
    rf"world\.toml|manifest\.json|opening\.safetensors|prompt\.md"
    rf"|(?:README|LICENSE|LICENCE|COPYING|CREDITS|CHANGELOG)(?:\.(?:md|txt))?"
    rf"|tests/{_WORD}\.(?:walk|test)"
    rf"|(?:{_WORD}/)?{_WORD}\.(?:png|jpg|jpeg)"
)
_DEVICES = re.compile(r"(?:con|prn|aux|nul|com\d|lpt\d)(?:\..*)?", re.IGNORECASE)
_TEXTS = (".toml", ".md", ".txt", ".walk", ".test", "")
"""Endings of what has to be UTF-8 text."""
_BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, NotImplementedError),
    *(ValueError, OverflowError, KeyError, IndexError),
)
"""What zipfile raises for an archive that is damaged, or packed in a way it can't read."""


def is_parcel(path: Path) -> bool:
    """Whether a path means a parcel, and not a folder or a world.toml."""
    return path.suffix == SUFFIX and not path.is_dir()


def belongs(name: str) -> bool:
    """Whether a file of this name, `tests/solution.walk`, is part of a world that is handed on."""
    if not _BELONGS.fullmatch(name) or len(name) > 150:
        return False
    # Windows opens a device where a file is called nul.test, and drops a space at a folder's end.
    return not any(_DEVICES.fullmatch(part) or part != part.strip() for part in name.split("/"))


def largest(name: str) -> int:
    """The most bytes that a file of a parcel may have."""
    return LARGEST.get(name, LARGEST_OTHER)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def build_parcel(files: Mapping[str, bytes], about: Mapping[str, Any]) -> bytes:
    """The bytes of a parcel; the same files and the same `about` give the same bytes everywhere."""
    listing = {name: {"bytes": len(files[name]), "sha256": sha256(files[name])} for name in files}
    manifest = {"parcel": 1, **about, "files": dict(sorted(listing.items()))}
    text = json.dumps(manifest, indent=1, sort_keys=True, ensure_ascii=True) + "\n"
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name, data in [(MANIFEST, text.encode()), *sorted(files.items())]:
            # Not compressed: what comes of compressing differs from one build of zlib to another.
            entry = zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, (stat.S_IFREG | 0o644) << 16
            archive.writestr(entry, data)
    return made.getvalue()


def open_parcel(path: Path) -> dict[str, bytes]:
    """All files of a parcel by name, manifest.json among them, each proven by its hash.

    Raises PackError: one sentence that names the file.
    """
    try:
        with path.open("rb") as opened:
            raw = opened.read(LARGEST_PARCEL + 1)
    except OSError as error:
        raise PackError(f"Can't read the world {path}: {error.strerror or error}.") from error
    if len(raw) > LARGEST_PARCEL:
        raise PackError(
            f"{path} has more than {LARGEST_PARCEL:,} bytes, the most a parcel may have."
        )
    if not raw.startswith(b"PK\x03\x04"):
        raise PackError(f'{path} isn\'t a packed world; make one with "adventure pack".')
    if raw.count(b"PK\x01\x02") > MOST_FILES:  # zipfile reads all before it counts
        raise PackError(f"{path} holds more than {MOST_FILES} files, the most a parcel may have.")
    try:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            entries = archive.infolist()
            _check_entries(path, entries)
            files = {entry.filename: _read(path, archive, entry) for entry in entries}
    except _BROKEN as error:
        raise PackError(
            f"{path} is damaged, or not all of it is there; get another copy."
        ) from error
    _prove(path, files)
    return files


def manifest_of(files: Mapping[str, bytes]) -> dict[str, Any]:
    """What the manifest of an opened parcel says; `open_parcel` has proven that it can be read."""
    found: dict[str, Any] = json.loads(files[MANIFEST])
    return found


def _check_entries(path: Path, entries: Iterable[zipfile.ZipInfo]) -> None:
    """Refuse by what an archive declares, before any of it is unpacked."""
    seen: set[str] = set()
    total = 0
    for entry in entries:
        name, kind = entry.orig_filename, stat.S_IFMT(entry.external_attr >> 16)
        total += entry.file_size
        why = ""
        if total > LARGEST_PARCEL or entry.file_size > largest(name):
            why = f"holds {_shown(name)}, which unpacks to more than its size may be"
        elif kind not in (0, stat.S_IFREG):
            why = f"holds {_shown(name)}, which is not a plain file"
        elif entry.flag_bits & 0x1:
            why = f"holds {_shown(name)} encrypted"
        elif not belongs(name):
            why = f"holds {_shown(name)}, which is no part of a world"
        elif name.lower() in seen:  # two files that some systems can't keep apart
            why = f"holds {_shown(name)} twice"
        elif entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            why = f"holds {_shown(name)} compressed in a way that isn't read here"
        if why:
            raise PackError(f'{path} {why}; make a new one with "adventure pack".')
        seen.add(name.lower())


def _read(path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """One file, never more of it than it may have, whatever the archive declares."""
    with archive.open(entry) as opened:
        data = opened.read(largest(entry.filename) + 1)
    if len(data) != entry.file_size:
        raise zipfile.BadZipFile("not the size that it declares")
    return data


def _prove(path: Path, files: Mapping[str, bytes]) -> None:
    """Every file is listed with its hash, and every one listed is there."""
    again = f'{path} {{}}; make a new one with "adventure pack".'
    if MANIFEST not in files or WORLD not in files:
        missing = MANIFEST if MANIFEST not in files else WORLD
        raise PackError(again.format(f"holds no {missing}"))
    try:
        manifest = json.loads(files[MANIFEST])
        version, listed = manifest["parcel"], manifest["files"]
        hashes = {str(name): str(about["sha256"]) for name, about in listed.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise PackError(again.format(f"has a {MANIFEST} that can't be read")) from error
    if version != 1 or type(version) is not int:
        raise PackError(f"{path} is a parcel of another version; this program reads version 1.")
    for name in sorted({*files, *hashes} - {MANIFEST}):
        if name not in files or name not in hashes:
            what = "lists" if name in hashes else "holds"
            other = "doesn't hold" if name in hashes else "doesn't list"
            raise PackError(again.format(f"{what} {_shown(name)} but {other} it"))
        if sha256(files[name]) != hashes[name]:
            raise PackError(again.format(f"holds another {_shown(name)} than was packed"))
        if Path(name).suffix in _TEXTS and not _is_text(files[name]):
            raise PackError(again.format(f"holds {_shown(name)}, which is not UTF-8 text"))


def _is_text(data: bytes) -> bool:
    try:
        return "\0" not in data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False


def _shown(name: str) -> str:
    """A name that may be anything, as a message shows it."""
    shown = ascii(name)
    return shown if len(shown) <= 60 else f"{shown[:60]}..."
