"""Training runs in an SQLite file: what is written and what is read. Knows no network, no terminal.

Every run has its configuration, where it ran, its losses by step, and its scores: shares of turns
told exactly (`exact`) and rightly by the master's own records (`own`), of `what` was judged, over a
`window` of turns. Whatever is written is written whole: a crash leaves what was there before.
"""

from __future__ import annotations

import json
import platform
import sqlite3
import subprocess
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from adventure.errors import TrainError

DEFAULT = Path("runs/runs.db")
_PATIENCE = 30.0  # seconds that another program may hold the file
_TABLES = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT, folder TEXT NOT NULL, started REAL NOT NULL, ended REAL,
    configuration TEXT NOT NULL, seed INTEGER NOT NULL, revision TEXT NOT NULL,
    machine TEXT NOT NULL, parameters INTEGER NOT NULL, tokens INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS steps (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, step INTEGER NOT NULL,
    tokens INTEGER NOT NULL, loss REAL NOT NULL, right REAL NOT NULL, rate REAL NOT NULL,
    seconds REAL NOT NULL, PRIMARY KEY (run, step)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scores (
    run INTEGER NOT NULL REFERENCES runs ON DELETE CASCADE, step INTEGER NOT NULL,
    tokens INTEGER NOT NULL, what TEXT NOT NULL, window TEXT NOT NULL, exact REAL, own REAL,
    turns INTEGER NOT NULL DEFAULT 0, PRIMARY KEY (run, step, what, window)) WITHOUT ROWID;
"""


@dataclass(frozen=True)
class Step:
    """One update: tokens seen so far, mean loss, share of tokens right, the rate, seconds."""

    step: int
    tokens: int
    loss: float
    right: float
    rate: float
    seconds: float


@dataclass(frozen=True)
class Score:
    """Shares of `turns` turns; what: as "held-out words"; window: as "1-20", or "all"."""

    what: str
    window: str
    exact: float
    own: float | None = None
    turns: int = 0


@contextmanager
def opened(file: Path, make: bool = False) -> Iterator[sqlite3.Connection]:
    """The file of runs; what is done inside is done whole or not at all.

    Raises TrainError for one that is missing (unless `make`), damaged, held or can't be written.
    """
    if not make and not file.is_file():
        raise TrainError(f"There are no runs in {file}; give the file with --db, or train one.")
    try:
        if make:
            file.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(file, timeout=_PATIENCE)) as db:
            db.execute("PRAGMA foreign_keys = ON")
            if make:
                db.executescript(_TABLES)
            with db:
                yield db
    except (sqlite3.Error, OSError) as error:
        raise TrainError(f"Can't use the file of runs {file} ({error}); see --db.") from error


# -- what training and evaluation write -----------------------------------------------------------


def begin_run(
    file: Path,
    folder: Path,
    configuration: dict[str, Any],
    machine: dict[str, Any],
    parameters: int,
) -> int:
    """A new run's number. configuration has its "seed". Raises as `opened`."""
    row = (
        str(folder.resolve()),
        time.time(),
        json.dumps(configuration, sort_keys=True),
        configuration["seed"],
        revision(),
        json.dumps({"system": platform.machine(), **machine}, sort_keys=True),
        parameters,
    )
    names = "folder, started, configuration, seed, revision, machine, parameters"
    with opened(file, make=True) as db:
        return int(
            db.execute(f"INSERT INTO runs ({names}) VALUES (?, ?, ?, ?, ?, ?, ?)", row).lastrowid
            or 0
        )


def go_on_with(
    file: Path, folder: Path, step: int, configuration: dict[str, Any], tokens: int
) -> int | None:
    """The number of the latest run in that folder, with what came after `step` taken away again;
    None where the file doesn't know it. Raises as `opened`."""
    with opened(file, make=True) as db:
        run = _latest(db, folder)
        if run is not None:
            db.execute("DELETE FROM steps WHERE run = ? AND step > ?", (run, step))
            db.execute("DELETE FROM scores WHERE run = ? AND step > ?", (run, step))
            text = json.dumps(configuration, sort_keys=True)
            change = "UPDATE runs SET ended = NULL, configuration = ?, tokens = ? WHERE id = ?"
            db.execute(change, (text, tokens, run))
    return run


def latest(file: Path, folder: Path) -> int | None:
    """The number of the latest run in that folder; None where the file doesn't know it. Raises as
    `opened`."""
    with opened(file) as db:
        return _latest(db, folder)


def _latest(db: sqlite3.Connection, folder: Path) -> int | None:
    asked = "SELECT max(id) FROM runs WHERE folder = ?"
    (run,) = db.execute(asked, (str(folder.resolve()),)).fetchone()
    return None if run is None else int(run)


def record_steps(file: Path, run: int, steps: Sequence[Step], ended: bool = False) -> None:
    """Add updates, and the end if it has come. Raises as `opened`."""
    with opened(file) as db:
        rows = [(run, *astuple(step)) for step in steps]
        db.executemany("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        if steps:
            db.execute("UPDATE runs SET tokens = ? WHERE id = ?", (steps[-1].tokens, run))
        if ended:
            db.execute("UPDATE runs SET ended = ? WHERE id = ?", (time.time(), run))


def record_scores(
    file: Path,
    run: int,
    scores: Iterable[Score],
    step: int | None = None,
    tokens: int | None = None,
) -> None:
    """Add scores, in place of those of the same step, what and window.

    step, tokens: when the judged weights were saved; left out, the run's last. Raises as `opened`,
    and TrainError for a run that isn't in the file.
    """
    with opened(file) as db:
        found = _run(db, file, run)
        if step is None:
            (step,) = db.execute("SELECT max(step) FROM steps WHERE run = ?", (run,)).fetchone()
        at = (run, step or 0, found["tokens"] if tokens is None else tokens)
        db.executemany(
            "INSERT OR REPLACE INTO scores VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [(*at, *astuple(score)) for score in scores],
        )


def revision() -> str:
    """What the program is: as git describes its checkout, else the package's version."""
    asked = ("git", "describe", "--always", "--dirty", "--tags")
    place = Path(__file__).resolve().parents[2]
    if (place / ".git").exists():
        try:
            done = subprocess.run(asked, cwd=place, capture_output=True, text=True, timeout=10)
        except (OSError, subprocess.SubprocessError):
            return _version()
        if done.returncode == 0:
            return done.stdout.strip()
    return _version()


def _version() -> str:
    try:
        return metadata.version("adventure-rwkv")
    except metadata.PackageNotFoundError:
        return "unknown"


# -- what is read ---------------------------------------------------------------------------------


def _run(db: sqlite3.Connection, file: Path, run: int) -> dict[str, Any]:
    cursor = db.execute("SELECT * FROM runs WHERE id = ?", (run,))
    row = cursor.fetchone()
    if row is None:
        numbers = ", ".join(str(n) for (n,) in db.execute("SELECT id FROM runs ORDER BY id"))
        raise TrainError(f"{file} has no run {run}; it has {numbers or 'none'}.")
    found = dict(zip((column[0] for column in cursor.description), row, strict=True))
    for name in ("configuration", "machine"):
        found[name] = json.loads(found[name])
    return found


@dataclass(frozen=True)
class Run:
    """All that is known of a run; scores are (step, tokens, Score)."""

    number: int
    about: dict[str, Any]
    steps: list[Step]
    scores: list[tuple[int, int, Score]]


def read_run(file: Path, run: int) -> Run:
    """Raises as `opened`, and TrainError for a run that isn't in the file."""
    with opened(file) as db:
        about = _run(db, file, run)
        of = "FROM steps WHERE run = ? ORDER BY step"
        steps = db.execute(f"SELECT step, tokens, loss, right, rate, seconds {of}", (run,))
        of = "FROM scores WHERE run = ? ORDER BY step, what, window"
        scores = db.execute(f"SELECT step, tokens, what, window, exact, own, turns {of}", (run,))
        return Run(
            run,
            about,
            [Step(*row) for row in steps],
            [(step, tokens, Score(*rest)) for step, tokens, *rest in scores],
        )


def numbers(file: Path) -> list[int]:
    """Of all runs. Raises as `opened`."""
    with opened(file) as db:
        return [n for (n,) in db.execute("SELECT id FROM runs ORDER BY id")]


def drop(file: Path, run: int) -> None:
    """Forget a run; its folder stays. Raises as `read_run`."""
    with opened(file) as db:
        _run(db, file, run)
        db.execute("DELETE FROM runs WHERE id = ?", (run,))
