"""Write a study's report: when a user asks for it, and after a launch in a process of its own.

A report takes seconds of CPU, of which most are the forests of fANOVA. So a launch does not wait for it: a process of
the lowest priority writes it beside the leaderboard and sends it to MLflow after the command has ended.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import ExitStack, suppress
from pathlib import Path

from tune_jobs import files, process, study_report
from tune_jobs.errors import UserError
from tune_jobs.settings import Settings, writes_reports
from tune_jobs.study.locks import taking_turns, unless_held
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery


def write(name: str, settings: Settings, path: Path | None = None) -> Path:
    """Write the report of a study to `path`, or beside its leaderboard; return where it is.

    Raises:
        StudyError: there is no such study.
        UserError: the file cannot be written.
    """
    record = Study.open(name, settings).record()
    if path is None:
        path = settings.exports_dir(name) / study_report.FILE
    files.make_parent(path)
    files.write(path, study_report.text(record, settings))
    return path


def begin(name: str, settings: Settings) -> None:
    """Start the process that writes the report after a launch, unless the user's settings say otherwise."""
    if not writes_reports():
        return
    command = [sys.executable, "-P", "-m", "tune_jobs", "report", name, "--after-launch", "--home", str(settings.home)]
    with suppress(OSError), files.opened(settings.home / "report.log", mode=0o600) as log:
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)


def turns_file(settings: Settings) -> Path:
    """Return the file on which processes that write reports take turns."""
    return settings.home / "report.lock"


def waiting_file(name: str, settings: Settings) -> Path:
    """Return the file that a process has while it waits to write the report of this study."""
    return settings.studies_dir / f"{name}.report.lock"


def write_after_launch(name: str, settings: Settings) -> None:
    """Write the report where the leaderboard is, then send it to MLflow.

    The processes of a home take turns, for each needs hundreds of megabytes, and a user may launch many short studies
    one after the other. Where one waits for a study already, it will see all that this one would. A study or a folder
    that was deleted meanwhile stays deleted, and a home that was moved is not made anew. An MLflow that is away is not
    waited for: the next launch sends another report.
    """
    process.give_way(19)
    path = settings.exports_dir(name) / study_report.FILE
    if not settings.studies_dir.is_dir():
        return
    with ExitStack() as turn, suppress(UserError):
        with unless_held(waiting_file(name, settings)) as is_alone:
            if not is_alone:
                return
            turn.enter_context(taking_turns(turns_file(settings)))
        record = Study.open(name, settings).record()
        files.write(path, study_report.text(record, settings))
        if path.exists():
            delivery.send_file(record, path, settings)
