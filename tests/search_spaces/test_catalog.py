"""The catalogue's contract, the grid of report A, and tasks from users' own files."""

from __future__ import annotations

import json
import random
import subprocess
import sys

import pytest

from tune_jobs.search_spaces import Choice, Float, Space, TaskError, catalog, narrow, open_all, open_parameters
from tune_jobs.search_spaces.catalog import GROUPS, TASKS, find
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.tasks.digits import DIGITS_MLP
from tune_jobs.search_spaces.tasks.fashion_mnist import FASHION_MNIST_CNN, FASHION_MNIST_MLP

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)

OWN = """
from tune_jobs.models import mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task

SMALL = Task(
    name="small",
    summary="two widths",
    dataset="digits",
    space=Space(units=Choice(4, 8)),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=1),
    baseline={"units": 4},
    build=mlp.build,
    encoding=Classes(10),
)
"""
OTHER = "\nfrom dataclasses import replace\nOTHER = replace(SMALL, name='other')\n"


@pytest.fixture
def own(tmp_path):
    """Writes a user's file and gives its path as a reference."""

    def write(text, name="own.py"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write


# --- every task -------------------------------------------------------------------------------------------------------


def _draw(rng):
    def choose(name, domain, under):
        if isinstance(domain, Float) and domain.size is None:
            return rng.uniform(domain.low, domain.high)
        return rng.choice(list(domain.values()))

    return choose


def test_names_are_unique():
    assert len({task.name for task in TASKS}) == len(TASKS)


def test_every_task_stands_in_one_group_and_in_its_order():
    assert [task.name for tasks in GROUPS.values() for task in tasks] == [task.name for task in TASKS]
    assert all(tasks for tasks in GROUPS.values())


@every_task
def test_a_task_is_found_by_its_name(task):
    assert find(task.name) is task


@every_task
def test_the_baseline_belongs_to_the_opened_space(task):
    assert open_all(task.space).why_not(task.baseline) is None


@every_task
def test_every_task_says_what_it_is(task):
    assert task.summary
    assert task.source
    words = "\n".join(task.space.describe())
    assert [name for name in task.space.names() if name not in words] == []


@every_task
def test_every_space_survives_json(task):
    assert space_from_json(json.loads(json.dumps(task.space.to_json(), sort_keys=True))) == task.space


@every_task
def test_every_parameter_is_taken_by_somebody(task):
    rng = random.Random(0)
    for _ in range(50):
        params = open_all(task.space).walk(_draw(rng))
        routed = task.route(params)
        taken = routed.builder | routed.encoding | routed.optimizer
        assert taken | {"batch_size": routed.batch_size} == params


@every_task
def test_tasks_have_digests_of_their_own(task):
    assert [other.name for other in TASKS if other.digest() == task.digest()] == [task.name]


@pytest.mark.slow
def test_the_catalogue_imports_nothing_heavy():
    heavy = ("keras", "tensorflow", "ray", "mlflow", "optuna")
    code = f"import sys, tune_jobs.search_spaces.catalog; print([name for name in {heavy} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


# --- report A ---------------------------------------------------------------------------------------------------------


def test_the_fashion_perceptrons_are_the_81_of_the_report():
    """Table 3: 3 initializers, 3 activations, 3 optimizers with their rates, 3 regularizers."""
    points = list(FASHION_MNIST_MLP.space.grid())
    assert len(points) == FASHION_MNIST_MLP.space.size == 3 * 3 * 3 * 3
    held = {"units": 128, "layers": 1, "dropout": "without", "batch_size": 128}
    assert points[0] == {
        "initializer": "random_normal",
        "activation": "relu",
        "optimizer": "rmsprop",
        "learning_rate": 0.001,
        "regularizer": "none",
        **held,
    }
    assert points[-1] == {
        "initializer": "glorot_uniform",
        "activation": "tanh",
        "optimizer": "adam",
        "learning_rate": 0.01,
        "regularizer": "l2",
        "factor": 0.01,
        **held,
    }
    settings = {(point["optimizer"], point["learning_rate"]) for point in points}
    assert settings == {("rmsprop", 0.001), ("adam", 0.001), ("adam", 0.01)}


def test_the_reports_best_perceptron_can_be_asked_for():
    """Table 4: 512 units, dropout of 0.3, relu, GlorotUniform, RMSprop, no regularizer."""
    best = {
        "units": "512",
        "dropout": "with",
        "dropout_rate": "0.3",
        "activation": "relu",
        "initializer": "glorot_uniform",
        "optimizer": "rmsprop",
        "regularizer": "none",
    }
    assert narrow(FASHION_MNIST_MLP.space, best).size == 1


def test_the_fashion_networks_are_the_9_of_the_report():
    """Table 6: 3 dropout rates and 3 optimizers; Table 7: the filters of its best, which may be opened."""
    points = list(FASHION_MNIST_CNN.space.grid())
    assert len(points) == 3 * 3
    assert {point["dense_dropout_rate"] for point in points} == {0.1, 0.3, 0.5}
    assert {(point["dropout"], point["dropout_rate"]) for point in points} == {("with", 0.0)}
    settings = {(point["optimizer"], point["learning_rate"]) for point in points}
    assert settings == {("rmsprop", 0.001), ("adam", 0.001), ("adam", 0.01)}
    assert {point["filters"] for point in points} == {"32/64-64/128-128"}
    filters = dict(open_parameters(FASHION_MNIST_CNN.space, ["filters"]).domains)["filters"]
    assert {"32/64-64/128-128", "64/128-128/256-256"} <= set(filters.options)


# --- references -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        (
            "fashion-mlp",
            "no task named 'fashion-mlp'; near it: fashion-mnist-mlp. `tune-jobs tasks` lists all",
        ),
        ("clouds", "no task named 'clouds'. `tune-jobs tasks` lists all"),
        ("", "no task named ''. `tune-jobs tasks` lists all"),
        ("own.txt:SMALL", "no task named 'own.txt:SMALL'. `tune-jobs tasks` lists all"),
        ("no/such.py", "no file no/such.py; a task of your own is named FILE.py or FILE.py:NAME"),
        ("no/such.py:SMALL", "no file no/such.py; a task of your own is named FILE.py or FILE.py:NAME"),
    ],
)
def test_a_reference_to_nothing_is_told_what_there_is(reference, message):
    with pytest.raises(TaskError) as caught:
        find(reference)
    assert str(caught.value) == message


def test_a_file_with_one_task_needs_no_name(own):
    path = own(OWN)
    assert find(path).name == "small"
    assert find(f"{path}:SMALL") is find(path)


def test_a_file_with_two_tasks_needs_a_name(own):
    path = own(OWN + OTHER)
    assert find(f"{path}:OTHER").name == "other"
    with pytest.raises(TaskError) as caught:
        find(path)
    assert str(caught.value) == "own.py has several tasks, SMALL, OTHER: name one, as own.py:SMALL"


def test_two_names_of_one_task_are_one(own):
    assert find(own(OWN + "SAME = SMALL\n")).name == "small"


def test_a_task_taken_from_the_catalogue_is_not_the_files_own(own):
    text = "from dataclasses import replace\nfrom tune_jobs.search_spaces.tasks.digits import DIGITS_MLP\n"
    path = own(text + "MINE = replace(DIGITS_MLP, name='mine')\n")
    assert find(path).name == "mine"
    assert find(f"{path}:DIGITS_MLP") is DIGITS_MLP


@pytest.mark.parametrize(
    ("text", "attribute", "message"),
    [
        ("X = 3\n", "", "own.py has no Task at its top level"),
        (OWN, ":SMAL", "own.py: 'SMAL' is not in it; its tasks: SMALL"),
        ("X = 3\n", ":X", "own.py: 'X' is no Task but int; its tasks: none"),
        ("\n\nSpcae()\n", "", "own.py, line 3: NameError: name 'Spcae' is not defined"),
        ("x = (\n", "", "own.py, line 1: SyntaxError: '(' was never closed"),
        (
            "import no_such_module_here\n",
            "",
            "own.py, line 1: ModuleNotFoundError: No module named 'no_such_module_here'",
        ),
        ("raise RuntimeError('a\\n b')\n", "", "own.py, line 1: RuntimeError: a b"),
        ("assert False\n", "", "own.py, line 1: AssertionError"),
        ("def f():\n    1 / 0\n\nf()\n", "", "own.py, line 2: ZeroDivisionError: division by zero"),
        ("import sys\nsys.exit(3)\n", "", "own.py, line 2: SystemExit: 3"),
        (
            OWN.replace("Choice(4, 8)", "Choice(tuple(range(9999)))"),
            "",
            "own.py, line 10: Choice takes None, bool, int, float and str; got (0, 1,",
        ),
        (OWN.replace("units=Choice", "unitz=Choice"), "", "own.py, line 6: task 'small': neither mlp.build nor the "),
        (OWN.replace("Choice(4, 8)", "Choice()"), "", "own.py, line 10: Choice needs at least one option; got none"),
    ],
)
def test_a_file_that_fails_is_told_where_in_one_line(own, text, attribute, message):
    modules = set(sys.modules)
    with pytest.raises(TaskError) as caught:
        find(own(text) + attribute)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 600
    if "line" in message:
        assert not [name for name in set(sys.modules) - modules if name.startswith("task_file_")]


def test_an_error_in_a_sibling_names_the_line_that_imports_it(own):
    own("1 / 0\n", "sibling_that_fails.py")
    with pytest.raises(TaskError, match=r"^own\.py, line 2: ZeroDivisionError: division by zero$"):
        find(own("\nimport sibling_that_fails\n"))


def test_a_file_that_is_no_text_is_refused(tmp_path):
    (tmp_path / "own.py").write_bytes(b"\xff\xfe")
    (tmp_path / "folder.py").mkdir()
    for name in ("own.py", "folder.py"):
        with pytest.raises(TaskError, match=rf"{name} cannot be read: "):
            find(str(tmp_path / name))


def test_files_beside_a_task_can_be_imported_while_it_is(own, tmp_path):
    own("WIDTHS = (4, 8)\n", "sibling_of_widths.py")
    found = find(own("from sibling_of_widths import WIDTHS\n" + OWN.replace("Choice(4, 8)", "Choice(*WIDTHS)")))
    assert found.space == Space(units=Choice(4, 8))
    assert str(tmp_path) not in sys.path


def test_an_edited_file_is_imported_anew_and_leaves_no_bytecode(own, tmp_path):
    assert find(own(OWN)).space == Space(units=Choice(4, 8))
    assert find(own(OWN.replace("4, 8", "4, 9"))).space == Space(units=Choice(4, 9))
    assert [path.name for path in tmp_path.iterdir()] == ["own.py"]


def test_a_reference_is_split_into_file_and_name():
    assert [str(part) for part in catalog.split("a/b.py:T")] == ["a/b.py", "T"]
    assert catalog.split("mnist-mlp") == (None, None)
    assert catalog.split("b.py")[1] is None
