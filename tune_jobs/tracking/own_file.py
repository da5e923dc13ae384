"""MLflow's SQLite file in the home: made whole, found whatever the home is called, at home after the home was moved.

MLflow keeps where its artifacts are as absolute addresses. After a home was moved or copied, those of the old place are
changed to the new one: nothing is written to where the home was.
"""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

from tune_jobs import temporary
from tune_jobs.errors import SettingsError
from tune_jobs.study.locks import taking_turns
from tune_jobs.tracking.marks import STUDY, TASK
from tune_jobs.words import Say

_MEMORY = Path("/dev/shm")  # a folder that Linux keeps in memory
_PATIENCE_S = 20.0  # for another process that writes to the file
_TABLES = ("experiments", "runs", "experiment_tags", "tags", "params", "metrics", "latest_metrics")  # of any version
_PLACES = (  # where MLflow keeps addresses of artifacts
    ("experiments", "artifact_location"),
    ("runs", "artifact_uri"),
    ("logged_models", "artifact_location"),
    ("model_versions", "source"),
    ("model_versions", "storage_location"),
    ("trace_tags", "value"),
)
_OURS = f"""
    SELECT DISTINCT artifact_location FROM experiments WHERE experiment_id IN
    (SELECT experiment_id FROM runs JOIN tags USING (run_uuid) WHERE key = '{STUDY}'
    UNION SELECT experiment_id FROM experiment_tags WHERE key = '{TASK}')
"""


def address(file: Path) -> str:
    """Return a file's address for SQLAlchemy, which reads `?` and `%` in a path otherwise: then by way of a link."""
    return f"sqlite:///{file if _is_plain(file) else _link_to(file.parent) / file.name}"


def _is_plain(path: Path) -> bool:
    return re.search("[%?#]", str(path)) is None


@cache
def _link_to(folder: Path) -> Path:
    """Return a link to a folder, in a folder that only this user may enter and that is removed with this process."""
    roots = [root for root in (Path(tempfile.gettempdir()), Path("/tmp"), Path("/var/tmp")) if _is_plain(root)]
    link = temporary.make(roots[0]) / "home"
    link.symlink_to(folder)
    return link


def make(file: Path, artifacts: Path) -> None:
    """Make MLflow's file if there is none, whole or not at all. Its files go to the folder `artifacts`.

    MLflow creates its tables one after another. Killed in between, it leaves a file that it does not open again. It
    waits for the disk a hundred times, so that the tables are made in memory where there is a folder for that.
    """
    if file.exists():
        return
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    try:
        part.touch(0o600)
        _make_tables(part)
        with closing(sqlite3.connect(part)) as database, database:
            database.execute(
                "UPDATE experiments SET artifact_location = ? || '/' || experiment_id", [artifacts.as_uri()]
            )
        os.link(part, file)
    except FileExistsError:
        pass  # another process was faster
    finally:
        part.unlink(missing_ok=True)


def _make_tables(part: Path) -> None:
    """Have MLflow make its tables, and write them to a file."""
    from mlflow import MlflowClient

    with temporary.folder(_MEMORY if os.access(_MEMORY, os.W_OK) else None) as folder:
        made = folder / "mlflow.db"
        MlflowClient(tracking_uri=address(made)).search_experiments(max_results=1)
        _copy(made, part)


def check(file: Path) -> None:
    """Check that a file has the tables of MLflow.

    Raises:
        SettingsError: it is damaged, or another program's.
    """
    try:
        with closing(sqlite3.connect(file, timeout=_PATIENCE_S)) as database:
            present = {name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    except sqlite3.OperationalError:  # it is locked, or its disk fails: that may pass
        raise
    except sqlite3.DatabaseError as error:
        raise _damaged(file, str(error)) from error
    missing = [name for name in _TABLES if name not in present]
    if missing:
        raise _damaged(file, f"it has no table {missing[0]}")


def _damaged(file: Path, why: str) -> SettingsError:
    return SettingsError(
        f"MLflow's file {file} is damaged ({why}): move it away, then `tune-jobs sync STUDY` makes the runs of each "
        "study anew; nothing of a study is lost"
    )


def settle(file: Path, artifacts: Path) -> None:
    """Change MLflow's addresses of artifacts to the folder `artifacts`, if the home was elsewhere before."""
    if not file.exists():
        return
    with closing(sqlite3.connect(file, timeout=_PATIENCE_S)) as database:
        for before in _roots(database, artifacts) - {artifacts.as_uri()}:
            _move(database, before, artifacts.as_uri())


def _roots(database: sqlite3.Connection, artifacts: Path) -> set[str]:
    """Return the addresses of the folders in which the artifacts of our experiments are."""
    locations = [str(location) for (location,) in database.execute(_OURS)]
    pattern = re.compile(rf"(file:///.*/{re.escape(artifacts.name)})/[^/]+")
    return {match[1] for location in locations if (match := pattern.fullmatch(location))}


def _move(database: sqlite3.Connection, before: str, after: str) -> None:
    """Change every address under `before` to one under `after`, all at once."""
    with database:
        for table, column in _existing(database):
            database.execute(
                f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                [after, len(before) + 1, len(before) + 1, f"{before}/"],
            )


def _existing(database: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Yield the tables and columns that the file has: those of an older MLflow are fewer."""
    for table, column in _PLACES:
        if column in [row[1] for row in database.execute(f"PRAGMA table_info({table})")]:
            yield table, column


def upgrade(file: Path, say: Say) -> None:
    """Bring a file of an older MLflow up to date, and keep it as it was beside it.

    A copy is brought up to date and written over the file in one transaction: a kill in between does no harm, and who
    has the file open sees the new tables.

    Raises:
        SettingsError: if MLflow cannot do it; the file is as it was.
    """
    with taking_turns(file.with_name(f"{file.name}.upgrade.lock")):
        version = schema_version(file)
        kept = file.with_name(f"{file.stem}-before-upgrade-from-{version}{file.suffix}")
        part = file.with_name(f".{file.name}.{os.getpid()}.part")
        try:
            _copy(file, part)
            _upgrade_with_mlflow(part, file)
            _copy(file, kept)
            _copy(part, file)
        finally:
            part.unlink(missing_ok=True)
    say(f"MLflow's file was of an older version: it had an upgrade, and {kept} is a copy from before")


def schema_version(file: Path) -> str:
    """Return the version of a file's tables, as MLflow counts them."""
    with closing(sqlite3.connect(file, timeout=_PATIENCE_S)) as database:
        (found,) = database.execute("SELECT version_num FROM alembic_version").fetchone() or ("none",)
    return str(found)


def _copy(file: Path, to: Path) -> None:
    """Write a database over another one, or to a new file that only its owner can read."""
    to.touch(0o600)
    with (
        closing(sqlite3.connect(file, timeout=_PATIENCE_S)) as source,
        closing(sqlite3.connect(to, timeout=_PATIENCE_S)) as target,
    ):
        source.backup(target)


def _upgrade_with_mlflow(part: Path, file: Path) -> None:
    command = [sys.executable, "-P", "-m", "mlflow", "db", "upgrade", address(part)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return
    errors = re.findall(r"^[\w.]*(?:Error|Exception): .*", done.stderr, flags=re.MULTILINE)
    why = errors[-1][:200] if errors else f"exit code {done.returncode}"
    raise SettingsError(
        f"MLflow's file {file} is of another MLflow version, and its upgrade failed ({why}): use the newest "
        f"MLflow that wrote it, or copy it and run `mlflow db upgrade sqlite:///{file}`"
    )
