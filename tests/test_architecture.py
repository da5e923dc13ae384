"""Keeps the plan of the house by reading its source, and shows that each rule would notice what breaks it.

The plan is the table of `tests/support/house.py`. What is read is the syntax: imports anywhere in a file, under
TYPE_CHECKING too, and `import_module("literal")`.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import house
from tests.support.house import PACKAGE, ROOT, STOREYS, called, floor_of, literals, room_of

GROUND_FLOOR_MAY_IMPORT = {"keras", "numpy", *sys.stdlib_module_names}

# Framework -> the only files, or folders, that may import it.
HOMES = {
    "ray": ("tune_jobs/execution/",),
    "mlflow": ("tune_jobs/tracking/",),
    "optuna": ("tune_jobs/study/", "tune_jobs/search/", "tune_jobs/study_report/"),
    "plotly": ("tune_jobs/study_report/",),
    "sqlalchemy": ("tune_jobs/study/",),
    "optuna_dashboard": ("tune_jobs/actions/dashboard.py",),
    "tensorboard": ("tune_jobs/actions/tensorboard.py",),
    "tensorboardX": ("tune_jobs/exports/event_files.py",),
    "tensorflow": ("tune_jobs/training/",),
}
READS_ENVIRONMENT = (
    "tune_jobs/environment.py",
    "tune_jobs/settings.py",
    "tune_jobs/execution/worker_launcher.py",  # a program that hands all of it on, and has to start in a moment
)
SETS_ENVIRONMENT = ("tune_jobs/environment.py", "tune_jobs/execution/")
READS_TEST_SPLIT = ("tune_jobs/datasets/", "tune_jobs/execution/evaluating.py")
HANDS_TEST_SPLIT_ON = "tune_jobs/execution/evaluators.py"

# What knows a particular encoding or report: names, imports and texts with these words stand there only. Docstrings are
# prose, which may give an example.
PARTICULAR = re.compile(
    r"(?<![a-zA-Z])(clocks?|dials?|CLOCKS?|DIALS?)(?![a-zA-Z])|(Clock|Dial)s?(?![a-z])|\b[Rr]eports? [AB]\b"
)
KNOWS_PARTICULAR = (
    "models/",  # the label encodings
    "search_spaces/tasks/",  # the tasks, with what is reported of them
    "search_spaces/catalog.py",  # lists the tasks by their names, under a title each
    "tune_jobs/reproduction/",  # the reports' figures beside ours
    "tune_jobs/datasets/clocks/",  # draws the pictures
    "tune_jobs/datasets/__init__.py",  # lists the data sets by their names
    "tune_jobs/cli/results_pages.py",  # `results --page clock`
)

_SETTERS = {"setdefault", "update", "pop", "clear"}


def violations(path: str, source: str) -> list[str]:
    """Every never that this file breaks, as `path:line: what`; the path is relative to the repository's root."""
    tree = ast.parse(source)
    rules = _wrong_imports, _environment, _test_split, _particular
    found = [violation for rule in rules for violation in rule(path, tree)]
    return [f"{path}:{line}: {what}" for line, what in sorted(found)]


def _wrong_imports(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    for line, module in house.imports(tree):
        top = module.split(".", maxsplit=1)[0]
        if top in STOREYS[:-1]:
            yield line, f"{top} is imported as {PACKAGE}.{top}"
        if top == PACKAGE:
            yield from ((line, what) for what in _upwards(path, module))
        if top in HOMES and not path.startswith(HOMES[top]):
            yield line, f"{top} has its home in {' and '.join(HOMES[top])}"
        elif path.startswith("models/") and top not in GROUND_FLOOR_MAY_IMPORT and top != PACKAGE:
            yield line, f"models knows Keras and NumPy only, not {top}"


def _upwards(path: str, module: str) -> Iterator[str]:
    """What is wrong with an import of ours."""
    storey, other = Path(path).parts[0], _place_of(module)
    if other in STOREYS[:-1]:
        if STOREYS.index(other) > STOREYS.index(storey):
            yield f"{storey} imports upwards from {other}"
        return
    if storey != PACKAGE:
        yield f"{storey} imports upwards from {PACKAGE}"
        return
    here = room_of(path)
    assert here is not None
    if here == other:
        return
    floor, below = floor_of(here), floor_of(other)
    if below is None:
        yield f"the plan has no room {other}"
    elif floor is not None and below == floor:
        yield f"{here} and {other} are on one floor and do not import each other"
    elif floor is not None and below > floor:
        yield f"{here} imports upwards from {other}"


def _place_of(module: str) -> str:
    """The room of a module, or the storey it is in."""
    parts = module.split(".")
    if len(parts) == 1:
        return "__init__"
    return parts[1] if parts[1] not in house.GROUND else "ground"


def _environment(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    set_here = {id(node) for node in _set_variables(tree)}
    for node in ast.walk(tree):
        line = getattr(node, "lineno", 0)
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            names = {alias.name for alias in node.names} & {"environ", "environb", "getenv", "putenv"}
            if names and not path.startswith(READS_ENVIRONMENT):
                yield line, f"say os.{names.pop()}, so that it can be seen"
        elif not isinstance(node, ast.Attribute) or node.attr not in {"environ", "environb", "getenv", "putenv"}:
            continue
        elif id(node) in set_here or node.attr == "putenv":
            if not path.startswith(SETS_ENVIRONMENT):
                yield line, f"the environment is set in {' and '.join(SETS_ENVIRONMENT)} only"
        elif not path.startswith(READS_ENVIRONMENT):
            yield line, f"the environment is read in {' and '.join(READS_ENVIRONMENT)} only"


def _set_variables(tree: ast.AST) -> Iterator[ast.AST]:
    """The `os.environ` in `os.environ[x] = y`, `del os.environ[x]` and calls of its setters whose answer is unused."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield node.value
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            function = node.value.func
            if isinstance(function, ast.Attribute) and function.attr in _SETTERS:
                yield function.value


def _test_split(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    if path.startswith(READS_TEST_SPLIT):
        return
    for node in ast.walk(tree):
        named = isinstance(node, ast.Attribute) and node.attr == "test"
        asked = isinstance(node, ast.Call) and called(node) == "getattr" and "test" in literals(node)
        loaded = isinstance(node, ast.Call) and called(node) == "dataset"  # a task's own function, with both parts
        if named or asked or loaded:
            yield node.lineno, f"the test split is read in {' and '.join(READS_TEST_SPLIT)} only"
        elif isinstance(node, ast.Attribute) and node.attr == "test_split" and path != HANDS_TEST_SPLIT_ON:
            yield node.lineno, f"the test split is handed on in {HANDS_TEST_SPLIT_ON} only"


def _particular(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    if path.startswith(KNOWS_PARTICULAR):
        return
    docstrings = {id(node) for node in _docstrings(tree)}
    lines: dict[int, str] = {}
    for node in ast.walk(tree):
        texts = [] if id(node) in docstrings else [part for _, part in ast.iter_fields(node) if isinstance(part, str)]
        if match := next(filter(None, map(PARTICULAR.search, texts)), None):
            lines.setdefault(getattr(node, "lineno", 0), match[0])
    yield from ((line, f"{word!r} is particular: let the encoding answer") for line, word in lines.items())


def _docstrings(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                yield first.value


def test_every_storey_and_every_room_of_the_plan_has_files() -> None:
    files = house.sources()
    assert {Path(path).parts[0] for path in files} == set(STOREYS)
    rooms = {room for path in files if (room := room_of(path)) is not None}
    assert rooms == {room for floor in house.FLOORS for room in floor}


@pytest.mark.parametrize("path", house.sources())
def test_the_nevers_are_kept(path: str) -> None:
    assert violations(path, (ROOT / path).read_text(encoding="utf-8")) == []


@pytest.mark.slow
def test_no_circle_of_files() -> None:
    assert house.circles(house.graph(house.texts())) == []


def test_a_planted_circle_is_noticed() -> None:
    planted = {
        "tune_jobs/study/study.py": "from tune_jobs.study import journal",
        "tune_jobs/study/journal.py": "if TYPE_CHECKING:\n    from tune_jobs.study.locks import Holder",
        "tune_jobs/study/locks.py": "def f():\n    import tune_jobs.study.study",
        "tune_jobs/study/retries.py": "from tune_jobs.study.study import Study",
    }
    (circle,) = house.circles(house.graph(planted))
    assert circle == ["tune_jobs/study/journal.py", "tune_jobs/study/locks.py", "tune_jobs/study/study.py"]


def test_no_file_of_the_product_is_long() -> None:
    long = {path: n for path, text in house.texts().items() if (n := text.count("\n")) > 400}
    assert long == {}


@pytest.mark.parametrize(
    ("path", "source", "what"),
    [
        ("models/mlp.py", "import tune_jobs.errors", "models imports upwards from tune_jobs"),
        ("models/mlp.py", "from tune_jobs.search_spaces import task", "models imports upwards from search_spaces"),
        ("search_spaces/task.py", "def f():\n    from tune_jobs.errors import UserError", "2: search_spaces imports"),
        ("search_spaces/task.py", "if TYPE_CHECKING:\n    import tune_jobs", "2: search_spaces imports upwards"),
        ("search_spaces/task.py", "from models import mlp", "models is imported as tune_jobs.models"),
        ("tune_jobs/study/study.py", "import search_spaces.task", "is imported as tune_jobs.search_spaces"),
        ("models/mlp.py", "import tensorflow as tf", "tensorflow has its home"),
        ("models/mlp.py", "import torch", "models knows Keras and NumPy only, not torch"),
        ("models/lazy_keras.py", "importlib.import_module('tensorflow')", "tensorflow has its home"),
        ("search_spaces/tasks/digits.py", "from tensorflow import data", "tensorflow has its home"),
        ("tune_jobs/study/study.py", "import tensorflow", "tensorflow has its home"),
        ("tune_jobs/execution/worker.py", "import tensorflow", "tensorflow has its home"),
        ("tune_jobs/training/trial.py", "from ray import tune", "ray has its home"),
        ("tune_jobs/cli/main.py", "def f():\n    import ray.tune", "2: ray has its home"),
        ("tune_jobs/execution/driver.py", "import mlflow", "mlflow has its home"),
        ("tune_jobs/execution/driver.py", "from optuna.trial import TrialState", "optuna has its home"),
        ("tune_jobs/search/samplers.py", "import sqlalchemy", "sqlalchemy has its home"),
        ("search_spaces/space.py", "import optuna", "optuna has its home"),
        ("tune_jobs/study/study.py", "from tune_jobs.actions import launch", "study imports upwards from actions"),
        ("tune_jobs/settings.py", "from tune_jobs.records import trials", "ground imports upwards from records"),
        ("tune_jobs/actions/launch.py", "import tune_jobs", "actions imports upwards from __init__"),
        ("tune_jobs/study/study.py", "from tune_jobs import exports", "study and exports are on one floor"),
        ("tune_jobs/records/trials.py", "if TYPE_CHECKING:\n    from tune_jobs.datasets import Split", "one floor"),
        ("tune_jobs/study/study.py", "from tune_jobs.utils import f", "the plan has no room utils"),
        ("tune_jobs/study/study.py", "x = os.environ['A']", "environment is read"),
        ("tune_jobs/study/study.py", "x = os.environ.get('A')", "environment is read"),
        ("tune_jobs/execution/worker.py", "x = os.getenv('A')", "environment is read"),
        ("tune_jobs/execution/worker.py", "x = dict(os.environ)", "environment is read"),
        ("tune_jobs/execution/worker.py", "x = os.environ.pop('A')", "environment is read"),
        ("tune_jobs/execution/worker.py", "from os import environ", "say os.environ"),
        ("tune_jobs/study/study.py", "os.environ['A'] = 'b'", "environment is set"),
        ("tune_jobs/study/study.py", "os.environ.setdefault('A', 'b')", "environment is set"),
        ("tune_jobs/training/trial.py", "score(model, data.test)", "test split"),
        ("tune_jobs/training/trial.py", "score(model, data.test.x)", "test split"),
        ("search_spaces/task.py", "getattr(data, 'test')", "test split"),
        ("tune_jobs/training/trial.py", "train, test = task.dataset()", "test split is read"),
        ("tune_jobs/execution/worker.py", "score(model, job.test_split)", "test split is handed on"),
        ("tune_jobs/exports/page.py", "from tune_jobs.models import clock_encodings as e", "'clock' is particular"),
        ("tune_jobs/prediction/reader.py", "def is_clock(): ...", "'clock' is particular"),
        ("tune_jobs/prediction/reader.py", "x = isinstance(y, models.ClockEncoding)", "'Clock' is particular"),
        ("tune_jobs/records/readings.py", "x = y % DIAL", "'DIAL' is particular"),
        ("tune_jobs/exports/page.py", "x = f'of report A: {y}'", "'report A' is particular"),
    ],
)
def test_a_planted_violation_is_noticed(path: str, source: str, what: str) -> None:
    (found,) = violations(path, source)
    assert what in found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("models/mlp.py", "from tune_jobs.models.lazy_keras import keras\nimport math, numpy as np"),
        ("models/lazy_keras.py", "importlib.import_module('keras')"),
        ("search_spaces/tasks/digits.py", "from tune_jobs.models import mlp\nfrom tune_jobs.search_spaces import task"),
        (
            "tune_jobs/training/trial.py",
            "from tune_jobs.search_spaces.task import Task\nfrom tune_jobs import datasets",
        ),
        ("tune_jobs/training/compiled.py", "import tensorflow as tf"),
        ("tune_jobs/execution/worker.py", "import ray\nfrom tune_jobs.execution.messages import Turn"),
        ("tune_jobs/tracking/outbox.py", "from mlflow import MlflowClient"),
        ("tune_jobs/search/samplers.py", "import optuna\nfrom tune_jobs.study.optuna_form import optuna_form"),
        ("tune_jobs/settings.py", "x = os.environ.get('A')"),
        (
            "tune_jobs/execution/worker.py",
            "os.environ['A'] = 'b'\nos.environ.setdefault('A', 'b')\ndel os.environ['A']",
        ),
        ("tune_jobs/datasets/__init__.py", "loaded.test.x"),
        ("tune_jobs/execution/evaluating.py", "job = TestJob(data.test)"),
        ("tune_jobs/execution/evaluators.py", "score(trial, job.test_split)"),
        ("tune_jobs/training/trial.py", "np.testing.assert_equal(data.train, data.validation)"),
        ("tune_jobs/exports/page.py", '"""Draw a clock."""\ndialect = "dialled"'),
        ("tune_jobs/cli/results_pages.py", "page = 'clock'"),
    ],
)
def test_what_is_allowed_is_left_alone(path: str, source: str) -> None:
    assert violations(path, source) == []
