"""Write a study to one file, and import it from one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from tune_jobs import exports, tracking
from tune_jobs.actions import reported_files
from tune_jobs.decoding import ContentError
from tune_jobs.errors import SettingsError, StudyError
from tune_jobs.files import make_parent, write_bytes
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study import contents
from tune_jobs.study import file as study_file
from tune_jobs.study.contents import StudyContent
from tune_jobs.study.file import decoded, encoded
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery
from tune_jobs.tracking.report import server_address
from tune_jobs.words import Say


@dataclass(frozen=True)
class Imported:
    """A study that was imported."""

    study: StudyRecord
    exports_dir: Path
    is_new: bool  # the study was not here before
    is_delivered: bool  # MLflow has every trial
    view: str | None  # the address of the study's trials on an MLflow server


def export_study(name: str, file: Path, settings: Settings, say: Say) -> None:
    """Write the study `name` as it is now to `file`, whole or not at all. Running trials run again after an import.

    What its trials reported goes into an archive beside it.

    Raises:
        StudyError: if there is no such study, or it is damaged or too large.
        UserError: if the file or its folder cannot be written.
    """
    study = Study.open(name, settings)
    holder = study.holder()
    content = study.content()
    data = encoded(content)
    try:
        decoded(data)
    except ContentError as error:
        raise StudyError(f"study {name!r} holds what no import would take: {error}") from error
    make_parent(file)
    write_bytes(file, data)
    archive = reported_files.pack(name, file, settings)
    if archive is not None:
        say(f"the files that its trials reported are in {archive}: keep it beside {file.name}")
    n_running = sum(trial.state == "running" and trial.result is None for trial in content.trials)
    if holder is not None:
        say(f"study {name} is being run by {holder}: this is what it has now")
    if n_running:
        say(f"{n_running} of its {len(content.trials)} trials have not ended, and run again where it is imported")


def import_study(file: Path, name: str | None, settings: Settings, say: Say) -> Imported:
    """Import the study of `file`, named `name` or as it was, with its exports and its runs in MLflow, and with what its
    trials reported if that lies beside it.

    An import that was killed leaves no study: the same call imports it from the start. A study that is here already
    with the same content stays as it is.

    Raises:
        StudyError: if the file holds no study, another study has that name, this study has another name here or went
            on, or a process holds it.
        SettingsError: if the home cannot be written.
    """
    content = study_file.read(file)
    name = content.name if name is None else name
    contents.check_name(name)
    reported_files.check(file, len(content.trials))
    settings.prepare()
    with Study.hold(name, settings) as study:
        is_new = not study.has_begun
        if is_new:
            _refuse_twin(content, name, settings)
            study.import_content(content)
        elif _is_other(study.content(), content):
            raise StudyError(_what_is_there(study.content(), content))
        record = study.record()
        reported_files.unpack(file, name, len(record.trials), settings)
        exports.write_all(record, settings.exports_dir(name))
        is_delivered = _deliver(name, settings, say)
        view = server_address(name, settings)
        return Imported(record, settings.exports_dir(name), is_new, is_delivered, view)


def _is_other(here: StudyContent, content: StudyContent) -> bool:
    return encoded(here) != encoded(replace(content, name=here.name))


def _what_is_there(here: StudyContent, content: StudyContent) -> str:
    if here.notes["identity"] != content.notes["identity"]:
        return f"there is another study {here.name!r} already: import this one with --study NAME"
    return (
        f"study {here.name!r} is here already and is not as in the file ({len(here.trials)} trials here, "
        f"{len(content.trials)} there): it stays as it is"
    )


def _refuse_twin(content: StudyContent, name: str, settings: Settings) -> None:
    """Refuse a study that is here under another name: it would be counted twice, and MLflow would take both for one."""
    for other in study_names(settings):
        if other != name and _identity(other, settings) == content.notes["identity"]:
            raise StudyError(f"this study is here already, as {other!r}: it would be counted twice")


def _identity(name: str, settings: Settings) -> str | None:
    """Return a study's identity; None if it cannot be read."""
    try:
        return Study.open(name, settings).identity
    except StudyError:
        return None


def _deliver(name: str, settings: Settings, say: Say) -> bool:
    try:
        tracking.check(settings)
    except SettingsError as error:
        say(str(error))
        return False
    say("delivering to MLflow …")
    with delivery.alongside(name, settings) as delivered:
        return delivered.wait()
