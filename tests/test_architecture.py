"""Keeps the design's nevers by reading the source of the three storeys, and shows that it would notice each.

What is read is the syntax: imports anywhere in a file, under TYPE_CHECKING too, and `import_module("literal")`.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STOREYS = ("models", "search_spaces", "tune_jobs")  # from the ground up
GROUND_FLOOR_MAY_IMPORT = {"keras", "numpy", "models", *sys.stdlib_module_names}

# Framework -> the only files, or folders, that may import it.
HOMES = {
    "ray": ("tune_jobs/execution/",),
    "mlflow": ("tune_jobs/tracking/",),
    "optuna": ("tune_jobs/study.py", "tune_jobs/sampling.py"),
    "tensorflow": ("tune_jobs/training.py", "tune_jobs/execution/worker.py"),
}
READS_ENVIRONMENT = ("tune_jobs/settings.py",)
SETS_ENVIRONMENT = ("tune_jobs/settings.py", "tune_jobs/execution/")
READS_TEST_SPLIT = ("tune_jobs/datasets/", "tune_jobs/evaluation.py")
HANDS_TEST_SPLIT_ON = "tune_jobs/execution/evaluating.py"

_SETTERS = {"setdefault", "update", "pop"}


def violations(path: str, source: str) -> list[str]:
    """Every never that this file breaks, as `path:line: what`; the path is relative to the repository's root."""
    tree = ast.parse(source)
    found = [*_wrong_imports(path, tree), *_environment(path, tree), *_test_split(path, tree)]
    return [f"{path}:{line}: {what}" for line, what in sorted(found)]


def _wrong_imports(path: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    storey = path.split("/", maxsplit=1)[0]
    for line, module in _imports(tree):
        top = module.split(".", maxsplit=1)[0]
        if top in STOREYS and STOREYS.index(top) > STOREYS.index(storey):
            yield line, f"{storey} imports upwards from {top}"
        if top in HOMES and not path.startswith(HOMES[top]):
            yield line, f"{top} has its home in {' and '.join(HOMES[top])}"
        elif storey == "models" and top not in GROUND_FLOOR_MAY_IMPORT and top not in STOREYS:
            yield line, f"models knows Keras and NumPy only, not {top}"


def _imports(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module
        elif isinstance(node, ast.Call) and _called(node) in {"import_module", "__import__"}:
            yield from ((node.lineno, name) for name in _literals(node))


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
        asked = isinstance(node, ast.Call) and _called(node) == "getattr" and "test" in _literals(node)
        loaded = isinstance(node, ast.Call) and _called(node) == "dataset"  # a task's own function, with both parts
        if named or asked or loaded:
            yield node.lineno, f"the test split is read in {' and '.join(READS_TEST_SPLIT)} only"
        elif isinstance(node, ast.Attribute) and node.attr == "test_split" and path != HANDS_TEST_SPLIT_ON:
            yield node.lineno, f"the test split is handed on in {HANDS_TEST_SPLIT_ON} only"


def _called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def _literals(node: ast.Call) -> list[str]:
    return [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]


def sources() -> list[Path]:
    return [path for storey in STOREYS for path in sorted((ROOT / storey).rglob("*.py"))]


def test_there_is_something_to_read_in_every_storey() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in sources()} == set(STOREYS)


@pytest.mark.parametrize("path", sources(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_the_nevers_are_kept(path: Path) -> None:
    assert violations(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    ("path", "source", "what"),
    [
        ("models/mlp.py", "import tune_jobs.errors", "models imports upwards from tune_jobs"),
        ("models/mlp.py", "from tune_jobs.search_spaces import task", "models imports upwards from search_spaces"),
        ("search_spaces/task.py", "def f():\n    from tune_jobs.errors import UserError", "2: search_spaces imports"),
        ("search_spaces/task.py", "if TYPE_CHECKING:\n    import tune_jobs", "2: search_spaces imports upwards"),
        ("models/mlp.py", "import tensorflow as tf", "tensorflow has its home"),
        ("models/mlp.py", "import torch", "models knows Keras and NumPy only, not torch"),
        ("models/lazy_keras.py", "importlib.import_module('tensorflow')", "tensorflow has its home"),
        ("search_spaces/digits.py", "from tensorflow import data", "tensorflow has its home"),
        ("tune_jobs/trial.py", "import tensorflow", "tensorflow has its home"),
        ("tune_jobs/execution/driver.py", "import tensorflow", "tensorflow has its home"),
        ("tune_jobs/trial.py", "from ray import tune", "ray has its home"),
        ("tune_jobs/cli/main.py", "def f():\n    import ray.tune", "2: ray has its home"),
        ("tune_jobs/execution/driver.py", "import mlflow", "mlflow has its home"),
        ("tune_jobs/execution/driver.py", "from optuna.trial import TrialState", "optuna has its home"),
        ("search_spaces/domains.py", "import optuna", "optuna has its home"),
        ("tune_jobs/study.py", "x = os.environ['A']", "environment is read"),
        ("tune_jobs/study.py", "x = os.environ.get('A')", "environment is read"),
        ("tune_jobs/execution/worker.py", "x = os.getenv('A')", "environment is read"),
        ("tune_jobs/execution/worker.py", "x = dict(os.environ)", "environment is read"),
        ("tune_jobs/execution/worker.py", "x = os.environ.pop('A')", "environment is read"),
        ("tune_jobs/execution/worker.py", "from os import environ", "say os.environ"),
        ("tune_jobs/study.py", "os.environ['A'] = 'b'", "environment is set"),
        ("tune_jobs/study.py", "os.environ.setdefault('A', 'b')", "environment is set"),
        ("tune_jobs/trial.py", "score(model, data.test)", "test split"),
        ("tune_jobs/trial.py", "score(model, data.test.x)", "test split"),
        ("search_spaces/task.py", "getattr(data, 'test')", "test split"),
        ("tune_jobs/trial.py", "train, test = task.dataset()", "test split is read"),
        ("tune_jobs/execution/worker.py", "score(model, job.test_split)", "test split is handed on"),
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
        ("search_spaces/digits.py", "from tune_jobs.models import mlp\nfrom tune_jobs.search_spaces.domains import Float"),
        ("tune_jobs/trial.py", "from tune_jobs.search_spaces.task import Task\nfrom tune_jobs.models.layers import widths"),
        ("tune_jobs/training.py", "import tensorflow as tf"),
        ("tune_jobs/execution/worker.py", "import tensorflow as tf\nimport ray"),
        ("tune_jobs/tracking/outbox.py", "from mlflow import MlflowClient"),
        ("tune_jobs/sampling.py", "import optuna"),
        ("tune_jobs/settings.py", "x = os.environ.get('A')"),
        (
            "tune_jobs/execution/worker.py",
            "os.environ['A'] = 'b'\nos.environ.setdefault('A', 'b')\ndel os.environ['A']",
        ),
        ("tune_jobs/datasets/__init__.py", "loaded.test.x"),
        ("tune_jobs/evaluation.py", "job = TestJob(data.test)"),
        ("tune_jobs/execution/evaluating.py", "score(trial, job.test_split)"),
        ("tune_jobs/trial.py", "np.testing.assert_equal(data.train, data.validation)"),
    ],
)
def test_what_is_allowed_is_left_alone(path: str, source: str) -> None:
    assert violations(path, source) == []
