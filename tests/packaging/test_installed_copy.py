"""An installed copy: a wheel has all modules under `tune_jobs`, and runs from folders with modules of any name."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import pytest

from tests.support.house import ROOT, module_of, sources

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        int(metadata.version("setuptools").split(".")[0]) < 77,
        reason="builds need setuptools 77 or later, which the extra `dev` brings",
    ),
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]

PARTS = ("LICENSE", "README.md", "models", "pyproject.toml", "search_spaces", "tune_jobs")
RAISES = "raise RuntimeError('imported {} from the working folder')\n"
TASK = """
import numpy as np

from models import network
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task


def load_data():
    x = np.random.default_rng(0).normal(size=(200, 6)).astype("float32")
    y = (x.sum(axis=1) > 0).astype("int64")
    return (x[:150], y[:150]), (x[150:], y[150:])


def build(*, input_shape, head, width):
    return network(input_shape, head, width)


OWN = Task(
    name="own",
    summary="a network of models.py",
    dataset=load_data,
    space=Space(width=Choice(4, 8)),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=1, validation=0.2),
    baseline={"width": 8},
    build=build,
    encoding=Classes(2),
)
"""
MODELS = """
def network(input_shape, head, width):
    import keras

    inputs = keras.Input(input_shape)
    return keras.Model(inputs, head(keras.layers.Dense(width, activation="relu")(inputs)))
"""


def _build(kind: str, tree: Path, out: Path) -> Path:
    """Build a distribution of a source tree without a network and return it."""
    out.mkdir(exist_ok=True)
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(out)!r}))"
    done = subprocess.run([sys.executable, "-c", code], cwd=tree, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return out / done.stdout.split()[-1]


def _install(wheel: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", folder, wheel]
    subprocess.run(command, check=True)


def _modules(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as file:
        return {name for name in file.namelist() if name.endswith(".py")}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the source tree, for building writes into it."""
    tree = tmp_path_factory.mktemp("tree")
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tree / part, symlinks=True, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, tree / part)
    return tree


@pytest.fixture(scope="module")
def wheel(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return _build("wheel", tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the wheel installed into it."""
    folder = tmp_path_factory.mktemp("installed")
    _install(wheel, folder)
    return folder


def _environment(installed: Path, home: Path) -> Mapping[str, str]:
    """This environment with the installed copy before its own, editable one."""
    here = {name: value for name, value in os.environ.items() if not name.startswith(("MLFLOW_", "PYTHONSAFEPATH"))}
    return here | {"PYTHONPATH": str(installed), "TUNE_JOBS_HOME": str(home)}


def _run(command: list[str], folder: Path, environment: Mapping[str, str]) -> str:
    """Run a command in a folder and return what it prints."""
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def crowded(tmp_path: Path) -> Path:
    """A working folder with modules that no process may import."""
    folder = tmp_path / "crowded"
    folder.mkdir()
    for name in ("models", "search_spaces", "keras", "mlflow"):
        (folder / f"{name}.py").write_text(RAISES.format(name), encoding="utf-8")
    return folder


def _starts(installed: Path) -> dict[str, list[str]]:
    return {
        "entry": [sys.executable, str(installed / "bin" / "tune-jobs")],
        "module": [sys.executable, "-m", "tune_jobs"],
    }


def test_a_wheel_has_every_module_once_and_none_at_the_top(wheel: Path) -> None:
    expected = {module_of(path): path for path in sources()}
    names = _modules(wheel)
    assert {module_of(name) for name in names} == set(expected)
    assert {Path(name).parts[0] for name in names} == {"tune_jobs"}
    with zipfile.ZipFile(wheel) as file:
        for name in names:
            assert file.read(name) == (ROOT / expected[module_of(name)]).read_bytes()
        assert "tune_jobs/py.typed" in file.namelist()


def test_a_source_distribution_makes_the_same_wheel(tree: Path, wheel: Path, tmp_path: Path) -> None:
    archive = _build("sdist", tree, tmp_path / "sdist")
    with tarfile.open(archive) as file:
        file.extractall(tmp_path, filter="data")
    (unpacked,) = tmp_path.glob("tune_jobs-*/")
    assert _modules(_build("wheel", unpacked, tmp_path / "wheel")) == _modules(wheel)


def test_an_editable_install_finds_the_two_folders_at_the_top(tree: Path, tmp_path: Path) -> None:
    folder = tmp_path / "editable"
    _install(_build("editable", tree, tmp_path / "wheel"), folder)
    libraries = [*site.getsitepackages(), sysconfig.get_path("purelib")]
    code = (
        f"import site, sys; site.addsitedir({str(folder)!r}); sys.path += {libraries}; "
        "import tune_jobs.models.mlp as m, tune_jobs.search_spaces.catalog as c; print(m.__file__); print(c.__file__)"
    )
    files = _run([sys.executable, "-S", "-P", "-c", code], tmp_path, {"PATH": os.environ["PATH"]}).split()
    assert [Path(file).resolve() for file in files] == [tree / "models/mlp.py", tree / "search_spaces/catalog.py"]


def test_the_copy_under_test_is_the_installed_one(installed: Path, tmp_path: Path) -> None:
    code = (
        "import tune_jobs, tune_jobs.models, tune_jobs.search_spaces, importlib.util as u; "
        "print(tune_jobs.__file__, u.find_spec('models'), u.find_spec('search_spaces'))"
    )
    words = _run([sys.executable, "-c", code], tmp_path, _environment(installed, tmp_path)).split()
    assert words == [str(installed / "tune_jobs" / "__init__.py"), "None", "None"]


@pytest.mark.parametrize("start", ["entry", "module"])
def test_tasks_are_listed_and_shown_in_a_crowded_folder(
    installed: Path, crowded: Path, tmp_path: Path, start: str
) -> None:
    command, environment = _starts(installed)[start], _environment(installed, tmp_path / "home")
    assert "digits-mlp" in _run([*command, "tasks"], crowded, environment)
    assert "learning_rate" in _run([*command, "show", "digits-mlp"], crowded, environment)


@pytest.mark.parametrize("start", ["entry", "module"])
def test_a_task_in_a_crowded_folder_has_its_own_models(
    installed: Path, crowded: Path, tmp_path: Path, start: str
) -> None:
    _write_task(crowded)
    command, environment = _starts(installed)[start], _environment(installed, tmp_path / "home")
    assert "width" in _run([*command, "show", "task.py"], crowded, environment)


def test_a_sweep_runs_in_a_crowded_folder(installed: Path, crowded: Path, tmp_path: Path) -> None:
    home = tmp_path / "home"
    launch = [*_starts(installed)["module"], "launch", "digits-mlp", "--trials", "1", "--epochs", "1"]
    _run(launch, crowded, _environment(installed, home))
    assert _finished_trials(home) == 1


def test_a_sweep_of_a_task_with_its_own_models_runs_in_a_crowded_folder(
    installed: Path, crowded: Path, tmp_path: Path
) -> None:
    """Begun by the entry point, from which the working folder is farther than from `python -m`."""
    _write_task(crowded)
    home = tmp_path / "home"
    launch = [*_starts(installed)["entry"], "launch", "task.py", "--trials", "2", "--epochs", "1"]
    _run(launch, crowded, _environment(installed, home))
    assert _finished_trials(home) == 2


def _write_task(folder: Path) -> None:
    (folder / "task.py").write_text(TASK, encoding="utf-8")
    (folder / "models.py").write_text(MODELS, encoding="utf-8")


def _finished_trials(home: Path) -> int:
    """Return the number of finished trials in MLflow, which are the runs nested in a study's own."""
    from mlflow import MlflowClient

    client = MlflowClient(tracking_uri=f"sqlite:///{home / 'mlflow.db'}")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    runs = client.search_runs(experiments, "attributes.status = 'FINISHED'")
    return sum("mlflow.parentRunId" in run.data.tags for run in runs)
