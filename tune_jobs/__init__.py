"""Hyperparameter sweeps of Keras models: the Python API, `import tune_jobs as tj`.

>>> study = tj.launch("digits-mlp", trials=3, epochs=2)
>>> study.best_score > 0.5
True

Nothing is imported before it is used, so that the import itself takes no time. docs/python.md is the page about it.
"""

from __future__ import annotations

TYPE_CHECKING = False  # as in `typing`, which takes longer to import than a quick Ctrl-C to come
if TYPE_CHECKING:
    from tune_jobs.api.leaderboard import Leaderboard
    from tune_jobs.api.studies import import_study, launch, studies
    from tune_jobs.api.studies import open_study as open  # noqa: A004 - as in `tj.open`
    from tune_jobs.api.study import Study
    from tune_jobs.api.tasks import find_task, run_trial, tasks
    from tune_jobs.datasets.image_folders.loading import image_folder
    from tune_jobs.datasets.tables import table
    from tune_jobs.errors import StudyError, TrialError, UserError
    from tune_jobs.models.label_encodings import Binary, Classes, MultiLabel
    from tune_jobs.models.regression import Regression
    from tune_jobs.records.trials import TrialResult
    from tune_jobs.search_spaces.data import Data
    from tune_jobs.search_spaces.one_factor import OneFactor
    from tune_jobs.search_spaces.protocol import Objective, Protocol, TaskError
    from tune_jobs.search_spaces.scalars import Choice, Float, Int, SpaceError
    from tune_jobs.search_spaces.space import Fixed, Space, Variants
    from tune_jobs.search_spaces.streamed import streamed
    from tune_jobs.search_spaces.task import Task

__all__ = [
    "Binary",
    "Choice",
    "Classes",
    "Data",
    "Fixed",
    "Float",
    "Int",
    "Leaderboard",
    "MultiLabel",
    "Objective",
    "OneFactor",
    "Protocol",
    "Regression",
    "Space",
    "SpaceError",
    "Study",
    "StudyError",
    "Task",
    "TaskError",
    "TrialError",
    "TrialResult",
    "UserError",
    "Variants",
    "find_task",
    "image_folder",
    "import_study",
    "launch",
    "open",
    "run_trial",
    "streamed",
    "studies",
    "table",
    "tasks",
]

_MODULES = {  # where each public name is defined
    "api.leaderboard": ("Leaderboard",),
    "api.studies": ("import_study", "launch", "open", "studies"),
    "api.study": ("Study",),
    "api.tasks": ("find_task", "run_trial", "tasks"),
    "datasets.image_folders.loading": ("image_folder",),
    "datasets.tables": ("table",),
    "errors": ("StudyError", "TrialError", "UserError"),
    "models.label_encodings": ("Binary", "Classes", "MultiLabel"),
    "models.regression": ("Regression",),
    "records.trials": ("TrialResult",),
    "search_spaces": (
        *("Choice", "Data", "Fixed", "Float", "Int", "Objective", "OneFactor", "Protocol"),
        *("Space", "SpaceError", "Task", "TaskError", "Variants", "streamed"),
    ),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_ATTRIBUTES = {"open": "open_study"}  # that have another name there


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'tune_jobs' has no attribute {name!r}")
    import importlib

    module = importlib.import_module(f"tune_jobs.{_HOMES[name]}")
    value = globals()[name] = getattr(module, _ATTRIBUTES.get(name, name))
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
