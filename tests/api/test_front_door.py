"""The front door: what it names, what importing it costs, and what it promises to type checkers."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import resources
from pathlib import Path

import click
import pytest

import tune_jobs as tj
from tune_jobs.api.options import LaunchOptions, PlaceOptions, RunOptions, TransferOptions, option_names
from tune_jobs.cli import cli

HEAVY = ("ray", "tensorflow", "keras", "mlflow", "optuna", "numpy", "pandas", "click", "rich")
LOOK = f"""
import sys, time
before = time.perf_counter()
import tune_jobs
took = time.perf_counter() - before
print(took)
print(*[name for name in {HEAVY!r} if name in sys.modules])
print(*[name for name in sys.modules if name.startswith("tune_jobs.")])
"""


def test_the_import_takes_no_time_and_nothing_along() -> None:
    fastest = 1.0
    for _ in range(3):  # the machine may be busy
        answer = subprocess.run([sys.executable, "-c", LOOK], capture_output=True, text=True, check=True)
        took, heavy, ours = answer.stdout.splitlines()
        assert (heavy, ours) == ("", "")
        fastest = min(fastest, float(took))
    assert fastest < 0.1


def test_a_task_can_be_written_without_any_framework() -> None:
    program = (
        "import sys, tune_jobs as tj\n"
        "for name in ('Task', 'Space', 'Variants', 'Fixed', 'Float', 'Objective', 'Protocol', 'UserError'):\n"
        "    getattr(tj, name)\n"
        "print(*[name for name in ('ray', 'tensorflow', 'keras', 'mlflow', 'optuna', 'pandas') if name in sys.modules])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert answer.stdout == "\n"


def test_every_public_name_is_there_and_is_what_type_checkers_see() -> None:
    assert sorted(tj.__all__) == list(tj.__all__)
    assert set(tj.__all__) <= set(dir(tj))
    tree = ast.parse(Path(inspect.getfile(tj)).read_text(encoding="utf-8"))
    (seen,) = [node for node in tree.body if isinstance(node, ast.If)]
    aliases = [(node.module, alias) for node in seen.body if isinstance(node, ast.ImportFrom) for alias in node.names]
    assert {alias.asname or alias.name for _, alias in aliases} == set(tj.__all__)
    for module, alias in aliases:
        assert module is not None
        assert getattr(tj, alias.asname or alias.name) is getattr(sys.modules[module], alias.name)


def test_a_name_that_it_does_not_have_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'tune_jobs' has no attribute 'lanch'"):
        _ = tj.lanch  # type: ignore[attr-defined]


def test_the_package_tells_type_checkers_that_it_is_typed() -> None:
    assert resources.files("tune_jobs").joinpath("py.typed").is_file()


# --- the options are the commands' ------------------------------------------------------------------------------------

RENAMED = {
    "try": "first",
    "with": "with_paths",
    "objective": "objectives",
    "constraint": "constraints",
    "deterministic": "deterministic",
    "no_baseline": "no_baseline",
}
KINDS = {
    "launch": LaunchOptions,
    "replicate": RunOptions,
    "retry": RunOptions,
    "extend": RunOptions,
    "evaluate": PlaceOptions,
    "transfer": TransferOptions,
}
FUNCTIONS = {
    "launch": tj.launch,
    **{name: getattr(tj.Study, name) for name in ("replicate", "retry", "extend", "evaluate", "transfer")},
}
OF_A_STUDY = {"home", "data_dir"}  # which an open study has already
ITS_OWN = {"retry": {"reason": "reasons"}}


def option_name(parameter: click.Parameter) -> str:
    longest = max(parameter.opts, key=len)
    return longest.removeprefix("--").replace("-", "_")


@pytest.mark.parametrize("name", KINDS)
def test_the_options_of_a_function_are_those_of_its_command(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    renamed = RENAMED | ITS_OWN.get(name, {})
    words = {option_name(option) for option in command.params if isinstance(option, click.Option)}
    words = {renamed.get(word, word) for word in words} - (set() if name == "launch" else OF_A_STUDY)
    shown = inspect.signature(FUNCTIONS[name]).parameters
    assert words <= set(shown), "the signature that help shows"
    assert set(option_names(KINDS[name])) <= set(shown)
    assert set(shown) - words <= {"self", "task", "to", "trials"}


@pytest.mark.parametrize("name", ["replicate", "evaluate", "transfer"])
def test_the_defaults_of_a_function_are_those_of_its_command(name: str) -> None:
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    shown = inspect.signature(FUNCTIONS[name]).parameters
    defaults = {option_name(option): option.default for option in command.params if option.name in ("top", "seeds")}
    assert defaults
    assert defaults == {word: shown[word].default for word in defaults}
