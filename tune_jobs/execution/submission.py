"""What is sent to a cluster: a `launch` command, the files that it needs, and the job's name. Knows nothing of Ray."""

from __future__ import annotations

import hashlib
import json
import re
import shlex
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

from tune_jobs import temporary
from tune_jobs.errors import UserError
from tune_jobs.execution.task_source import keep
from tune_jobs.search import warm_starts
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.narrowing import narrow, open_parameters
from tune_jobs.search_spaces.protocol import Protocol
from tune_jobs.search_spaces.task import Task
from tune_jobs.search_spaces.task_files import TaskFiles
from tune_jobs.settings import Settings
from tune_jobs.study import contents

_TRIED = "try/configurations.yaml"  # where the file of --try arrives
_SENT = "task"  # the folder in which a task's files arrive
_NOTIFIED = "notify/targets"  # where the targets of --notify arrive: as words of the command all users would see them
_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")  # as a study's


@dataclass(frozen=True)
class Submission:
    """A `launch` that is to run on a cluster.

    `arguments` are those of `tune-jobs` there; `files` are the contents to send, by their path in the job's folder.
    `beside` are those that only lie beside the task file: people and trials write such files at any time.
    """

    name: str
    study: str
    task: str
    arguments: tuple[str, ...]
    files: Mapping[str, bytes]
    beside: frozenset[str] = frozenset()
    user: str = ""  # who sends it
    priority: int = 0

    @property
    def command(self) -> str:
        return f"exec tune-jobs {shlex.join(self.arguments)}"

    @property
    def digest(self) -> str:
        """A hash of the arguments, the code and the files that were named: equal for the same request sent twice,
        whoever is notified."""
        return _digest([self.arguments, self._hashes(self.files.keys() - self.beside - {_NOTIFIED})])

    @property
    def beside_digest(self) -> str:
        """A hash of the files beside the task file."""
        return _digest(self._hashes(self.beside))

    @property
    def metadata(self) -> dict[str, str]:
        """What the cluster keeps with the job."""
        values = {"name": self.name, "study": self.study, "task": self.task}
        values |= {"digest": self.digest, "beside": self.beside_digest}
        values |= {"user": self.user, "priority": str(self.priority)}
        return {f"tune_jobs_{key}": value for key, value in values.items()}

    def variables(self, job_id: str) -> dict[str, str]:
        """Return what the process of the job that has this id has in its environment."""
        known = {"TUNE_JOBS_JOB": f"{self.priority}:{job_id}", "TUNE_JOBS_USER": self.user}
        return known | ({"TUNE_JOBS_NOTIFY": f"@{_NOTIFIED}"} if _NOTIFIED in self.files else {})

    def _hashes(self, paths: Collection[str]) -> dict[str, str]:
        return {path: hashlib.sha256(self.files[path]).hexdigest() for path in sorted(paths)}


def prepare(
    reference: str,
    study: str | None,
    name: str | None,
    options: Sequence[str],
    tried: Path | None,
    also: Sequence[Path] = (),
    notified: Sequence[str] = (),
) -> tuple[Submission, Task, str | None]:
    """Return what to send, its task as the cluster will find it, with no other files than those that travel, and in
    words which these are.

    `options` are those of `launch` as the user gave them, except --study, --try, --with and --notify; `tried` is the
    file of --try, `also` what --with names, and `notified` whom --notify names.

    Raises:
        UserError, TaskError: if the task cannot be loaded, a file cannot be read, or the name cannot be a job's.
    """
    file, attribute = catalog.split(reference)
    files: dict[str, bytes] = {}
    arguments = ["launch-sent", *options, "--address", "auto"]
    words, beside = None, frozenset[str]()
    if file is None:
        task, sent_reference = catalog.find(reference), reference
    else:
        own = TaskFiles.gather(file, also)
        with temporary.folder() as folder:
            task = catalog.load(own, attribute, keep(own, folder))
        sent_reference = f"{_SENT}/{own.name}" if attribute is None else f"{_SENT}/{own.name}:{attribute}"
        files |= {f"{_SENT}/{path}": content for path, content in own.contents.items()}
        arguments += [f"--with={_SENT}/{path.relative_to(own.root).as_posix()}" for path in also]
        beside = frozenset(f"{_SENT}/{path}" for path in own.contents.keys() - own.needed(also))
        words = own.words()
    if tried is not None:
        files[_TRIED] = warm_starts.read_file(tried)
        arguments += ["--try", _TRIED]
    if notified:
        files[_NOTIFIED] = "\n".join(notified).encode()
    study = study or task.name
    contents.check_name(study)
    name = name or study
    if not _NAME.fullmatch(name):
        raise UserError(f"a job's name is letters, digits, '.', '_' and '-', at most 100; got {name!r}")
    arguments += ["--study", study, "--", sent_reference]
    return Submission(name, study, task.name, tuple(arguments), files, beside), task, words


def check_options(task: Task, options: Mapping[str, Any], sent: Submission) -> None:
    """Check the options of `launch` against a task, as far as that needs neither its data nor the study, and the file
    of --try as it is sent.

    Raises:
        UserError, TaskError, SpaceError: if the task cannot be launched with them.
    """
    from tune_jobs.records import objectives

    narrow(open_parameters(task.space, options["opened"]), options["narrowed"])
    if options["objectives"]:
        objectives.parse(options["objectives"], task)
    if options["tried"] is not None:
        warm_starts.from_bytes(sent.files[_TRIED], str(options["tried"]), task)
    names = [field.name for field in fields(Protocol)]
    replace(task.protocol, **{name: options[name] for name in names if options.get(name) is not None})


def keep_task(reference: str, also: Sequence[Path], settings: Settings) -> tuple[str, tuple[Path, ...]]:
    """Copy the files of a task that was sent here to the home folder, and return where the task and what goes with it
    are there.

    The folder in which the files arrived is deleted later; the study has to find its task again.

    Raises:
        UserError: they cannot be kept, or another user can write in the home.
    """
    file, attribute = catalog.split(reference)
    if file is None:
        return reference, ()
    settings.prepare()
    arrived = next(folder for folder in reversed(file.parents) if folder.name == _SENT)
    contents = {_below(arrived, path): path.read_bytes() for path in sorted(arrived.rglob("*")) if path.is_file()}
    kept = keep(TaskFiles(arrived, _below(arrived, file), contents), settings.tasks_dir)
    copy = kept / file.relative_to(arrived)
    return str(copy) if attribute is None else f"{copy}:{attribute}", tuple(kept / _below(arrived, it) for it in also)


def _digest(parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _below(folder: Path, path: Path) -> str:
    return path.relative_to(folder).as_posix()
