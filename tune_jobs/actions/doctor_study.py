"""Check all that is kept of a study, and repair what can be."""

from __future__ import annotations

import re
from pathlib import Path

from tune_jobs import exports, temporary
from tune_jobs.actions.doctor import Finding, mlflow, tried
from tune_jobs.decoding import ContentError
from tune_jobs.errors import StudyError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study import contents, mending
from tune_jobs.study.file import decoded, encoded
from tune_jobs.study.locks import lock_of
from tune_jobs.study.storage import journal_file
from tune_jobs.study.study import Study

_EXPORTS = ("leaderboard.json", "leaderboard.csv", "best.yaml")
_NUMBER = re.compile(r"(\d+)")


def examine(name: str, settings: Settings) -> tuple[Finding, ...]:
    """Check a study's file, trials, exports, kept weights and checkpoints, and MLflow.

    Raises:
        StudyError: there is no such study.
    """
    contents.check_name(name)
    file = () if settings.storage is not None else (_file(journal_file(name, settings)),)
    try:
        study = Study.open(name, settings)
        record, content = study.history(), study.content()
    except StudyError as error:
        if not file or file[0].state == "ok":
            raise
        return (*file, Finding("trials", "bad", str(error)))
    return (
        *file,
        tried("trials", lambda: _trials(record, encoded(content))),
        _exports(record.of_version(), settings),
        _kept("weights", settings.weights_dir(record.identity), record),
        _kept("checkpoints", settings.checkpoints_dir(record.identity), record),
        tried("tracking", lambda: mlflow(settings)),
    )


def repair(name: str, settings: Settings) -> tuple[str, ...]:
    """Repair a study's file and write its exports anew; return what was done, a line each.

    Raises:
        StudyError: another process holds the study, or what is damaged cannot be repaired. The file is then as before.
    """
    contents.check_name(name)
    done = () if settings.storage is not None else repair_file(name, settings)
    with Study.hold(name, settings) as study:
        study.unfinished()  # settles what has its result
        record = study.record()
        if not _stale_exports(record, settings):
            return done
        exports.write_all(record, settings.exports_dir(name))
    return (*done, f"the exports in {settings.exports_dir(name)} are written anew")


def repair_file(name: str, settings: Settings) -> tuple[str, ...]:
    """Repair a study's file alone, as `repair` does."""
    path = journal_file(name, settings)
    if not path.exists():
        raise StudyError(f"no study named {name!r}. `tune-jobs studies` lists all")
    with lock_of(name, settings).hold():
        mended = mending.mended(_content(path), name)
        if not mended.changes:
            return ()
        with temporary.folder() as folder:  # a home with nothing else, where it has to pass every check first
            elsewhere = Settings(folder, folder, None, settings.tracking_uri)
            elsewhere.studies_dir.mkdir()
            journal_file(name, elsewhere).write_bytes(mended.content)
            Study.open(name, elsewhere).record()
        copy = mending.replace(path, mended.content)
    return (*mended.changes, f"the file as it was is kept as {copy}")


def _file(path: Path) -> Finding:
    try:
        changes = mending.mended(_content(path), path.stem).changes
    except StudyError as error:
        return Finding("file", "bad", str(error))
    if changes:
        return Finding("file", "bad", f"{path}: {'; '.join(changes)}: with --repair")
    return Finding("file", "ok", f"{path}: every record is as it was written")


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise StudyError(f"the study file {path} cannot be read: {error.strerror}") from error


def _trials(record: StudyRecord, data: bytes) -> str:
    try:
        decoded(data)
    except ContentError as error:
        raise StudyError(str(error)) from error
    counts = [f"{record.count(state)} {state}" for state in ("complete", "stopped", "failed", "running", "waiting")]
    return f"{len(record.trials)}: {', '.join(count for count in counts if not count.startswith('0 '))}"


def _exports(record: StudyRecord, settings: Settings) -> Finding:
    stale = _stale_exports(record, settings)
    if stale:
        return Finding("exports", "note", f"{', '.join(stale)}: not as the study is; --repair writes them anew")
    return Finding("exports", "ok", str(settings.exports_dir(record.name)))


def _stale_exports(record: StudyRecord, settings: Settings) -> tuple[str, ...]:
    folder = settings.exports_dir(record.name)
    with temporary.folder() as fresh:
        exports.write_all(record, fresh)
        return tuple(name for name in _EXPORTS if _bytes(folder / name) != _bytes(fresh / name))


def _bytes(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None


def _kept(what: str, folder: Path, record: StudyRecord) -> Finding:
    """Check that what is kept in files is about trials of this study, and is not empty."""
    files = sorted(folder.glob("*.npz"))
    strange = [file.name for file in files if not _is_of(file, record) or not file.stat().st_size]
    if strange:
        return Finding(what, "note", f"{', '.join(strange[:3])} in {folder}: of no trial, or empty; they are not used")
    return Finding(what, "ok", f"{len(files)} in {folder}")


def _is_of(file: Path, record: StudyRecord) -> bool:
    match = _NUMBER.search(file.name)
    return match is not None and int(match[1]) < len(record.trials)
