"""Studies by name: launch one, open one, list them, import one from a file."""

from __future__ import annotations

from pathlib import Path
from typing import Unpack

from tune_jobs.actions import launch as launch_action
from tune_jobs.actions import portable, status
from tune_jobs.api.console import raise_early_end, say
from tune_jobs.api.options import LaunchOptions, launch_request, with_options
from tune_jobs.api.study import Study
from tune_jobs.api.tables import Listing
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.task import Task
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study as StoredStudy
from tune_jobs.training import tensorflow_start


@with_options(LaunchOptions)
def launch(task: str | Task, **options: Unpack[LaunchOptions]) -> Study:
    """Begin a study or continue it: the same call again runs only what is missing. Return the study.

    `task` is a name of the catalogue, a `FILE.py:NAME`, or a `Task`, also one made in this notebook or script. The
    options are those of `tune-jobs launch`, with `_` for `-`: `trials=20`, `search="tpe"`, `epochs=5`, `seed=1`,
    `scheduler="asha"`, `time_limit="30m"`, `max_concurrent=2`, `home="sweeps"` and so on. `set` narrows the space:
    a value, a list of values or the text of a range for each name. `first` lists configurations to begin with.

    >>> study = tj.launch("digits-mlp", trials=3, epochs=2)
    >>> len(study.trials)
    3

    Ctrl-C, or the interrupt button of a notebook, ends the sweep cleanly and raises KeyboardInterrupt: finished trials
    are kept, the rest run next time.

    Raises:
        UserError, TaskError, SpaceError: for what has to be mended; in one line.
    """
    reference = task if isinstance(task, str) else catalog.reference_of(task)
    request = launch_request(reference, options)
    settings = Settings.read(options.get("home"), options.get("data_dir"))
    with tensorflow_start.quiet():  # for the task's file may import it
        outcome = launch_action.launch(request, settings, say)
    raise_early_end(outcome)
    return Study(outcome.study.name, settings)


def open_study(name: str, home: Path | str | None = None, data_dir: Path | str | None = None) -> Study:
    """Return the study of a name; `home` and `data_dir` are the folders of the commands' options.

    >>> tj.open("digits-mlp").name
    'digits-mlp'
    >>> tj.open("digits-cnn")
    Traceback (most recent call last):
    tune_jobs.errors.StudyError: no study named 'digits-cnn'...

    Raises:
        StudyError: if there is no such study, or its file is damaged.
    """
    settings = Settings.read(home, data_dir)
    StoredStudy.open(name, settings)
    return Study(name, settings)


def studies(home: Path | str | None = None, data_dir: Path | str | None = None) -> Listing[Study]:
    """Return the studies there are, in the order of their names. They show themselves as a table.

    >>> tj.studies()
    study       task        trials  complete  failed  best    metric        state
    digits-mlp  digits-mlp  3       3         0       0...  val_accuracy  idle
    >>> tj.studies()[0].name
    'digits-mlp'
    """
    settings = Settings.read(home, data_dir)
    lines = {str(line["study"]): tuple(line.values()) for line in status.overview(settings)}
    found = [Study(name, settings) for name in lines]
    return Listing(found, status.COLUMNS, lambda study: lines[study.name], "no study yet")


def import_study(
    file: Path | str, name: str | None = None, home: Path | str | None = None, data_dir: Path | str | None = None
) -> Study:
    """Return the study that a file holds, as a study of this home; `name` is another name for it.

    Raises:
        StudyError: if the file holds no study, or another study has the name.
    """
    settings = Settings.read(home, data_dir)
    imported = portable.import_study(Path(file), name, settings, say)
    return Study(imported.study.name, settings)
