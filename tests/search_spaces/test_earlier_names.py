"""Task files of earlier versions import `models` and `search_spaces`, perhaps beside modules of these names."""

from __future__ import annotations

import importlib
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tune_jobs.search_spaces import Task, TaskError, catalog, earlier_names

# What docs/adding_a_task.md showed, before models and search_spaces were packages of tune_jobs.
EARLIER = """
from models import mlp
from models.label_encodings import Classes
from search_spaces.domains import Choice, Fixed, Float, Space, Variants
from search_spaces.task import Objective, Protocol, Task

OWN = Task(
    name="own",
    summary="of an earlier version",
    dataset="digits",
    space=Space(units=Choice("4", "8")),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=1),
    baseline={"units": "4"},
    build=mlp.build,
    encoding=Classes(10),
)
"""
MODULES = {  # each module of the earlier packages, and the one that it is today
    **{
        f"models.{name}": f"tune_jobs.models.{name}"
        for name in (
            "arguments",
            "clock_encodings",
            "clock_metrics",
            "cnn",
            "hidden_layers",
            "label_encodings",
            "lazy_keras",
            "mlp",
            "optimizers",
            "pictures",
            "random_view",
            "schedules",
        )
    },
    **{
        f"search_spaces.{name}": f"tune_jobs.search_spaces.{name}"
        for name in ("catalog", "expressions", "moving", "one_factor", "scalars", "spelling", "task")
    },
    **{
        f"search_spaces.{name}": f"tune_jobs.search_spaces.tasks.{name}"
        for name in (
            "cifar10",
            "clock",
            "digits",
            "fashion_mnist",
            "mnist",
            "mnist_factors",
            "permuted",
            "shared_domains",
            "textbook",
        )
    },
    "search_spaces.conditions": "tune_jobs.search_spaces",
    "search_spaces.domains": "tune_jobs.search_spaces",
    "models": "tune_jobs.models",
    "search_spaces": "tune_jobs.search_spaces",
}
Find = Callable[..., Task]


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    """Forget the earlier names again."""

    def forget() -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] in earlier_names.PACKAGES]:
            del sys.modules[name]

    forget()
    finders = list(sys.meta_path)
    yield
    sys.meta_path[:] = finders
    forget()


@pytest.fixture
def find(tmp_path: Path) -> Find:
    """Write a project's files and return its task."""

    def write_and_find(**files: str) -> Task:
        for name, text in files.items():
            path = tmp_path / (name.replace("__in__", "/") + ".py")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        return catalog.find(str(tmp_path / "task.py"))

    return write_and_find


@pytest.mark.parametrize("name", MODULES)
def test_an_earlier_name_is_the_very_module_of_today(name: str) -> None:
    earlier_names.install()
    module = importlib.import_module(name)
    assert module is importlib.import_module(MODULES[name])
    assert module.__name__ == MODULES[name]
    assert module.__spec__ is not None
    assert module.__spec__.name == MODULES[name]


@pytest.mark.slow
def test_the_names_exist_only_for_who_loads_a_task_file() -> None:
    code = (
        "import sys, tune_jobs, tune_jobs.models, tune_jobs.search_spaces.catalog as c; c.find('digits-mlp'); "
        "print([type(finder).__name__ for finder in sys.meta_path], 'search_spaces' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=True)
    assert "_EarlierNames" not in done.stdout
    assert done.stdout.endswith("False\n")


def test_a_task_file_of_an_earlier_version_is_found(find: Find) -> None:
    task = find(task=EARLIER)
    assert type(task) is Task
    assert task.build is importlib.import_module("tune_jobs.models.mlp").build


def test_a_name_that_we_never_had_is_not_found(find: Find) -> None:
    with pytest.raises(TaskError, match=r"ModuleNotFoundError: No module named 'search_spaces\.nothing'"):
        find(task="import search_spaces.nothing")
    with pytest.raises(TaskError, match=r"ModuleNotFoundError: No module named 'models\.mlp\.x'"):
        find(task="import models.mlp.x")


OWN_AND_OURS = EARLIER.replace("mlp.build", "build").replace("from models import mlp", "from models import build")


@pytest.mark.slow
def test_a_users_own_models_file_stands_beside_ours(find: Find) -> None:
    own = "def build(*, input_shape, head, units):\n    return units"
    task = find(task=OWN_AND_OURS, models=own)
    assert task.build is not None
    assert task.build.__module__ == "models"
    assert task.build(input_shape=None, head=None, units="4") == "4"
    assert type(task.encoding).__module__ == "tune_jobs.models.label_encodings"


@pytest.mark.slow
def test_a_users_own_package_wins_where_it_has_the_module(find: Find) -> None:
    text = OWN_AND_OURS.replace("from models import build", "from models.cnn import build\nfrom models import mlp")
    task = find(
        task=text,
        models__in____init__="",
        models__in__cnn="def build(*, input_shape, head, units):\n    return units",
        models__in__helper="",
    )
    assert task.build is not None
    assert task.build.__module__ == "models.cnn"
    assert task.build(input_shape=None, head=None, units="4") == "4"


def test_a_users_own_folder_of_modules_wins_where_it_has_the_module(find: Find) -> None:
    text = OWN_AND_OURS.replace("from models import build", "from models.own import build")
    own = "def build(*, input_shape, head, units):\n    return units"
    assert getattr(find(task=text, models__in__own=own).build, "__module__", None) == "models.own"


def test_a_models_file_that_the_task_does_not_import_is_left_alone(find: Find) -> None:
    text = EARLIER.replace("from models import mlp", "import models.mlp as mlp")
    assert find(task=text, models="raise RuntimeError", search_spaces="raise RuntimeError").name == "own"


def test_an_import_that_runs_later_finds_ours(find: Find) -> None:
    later = "def build(*, input_shape, head, units):\n    import models.cnn\n    return models.cnn\n"
    text = EARLIER.replace("OWN =", f"{later}\nOWN =").replace("mlp.build", "build")
    build = find(task=text).build
    assert build is not None
    cnn: object = build(input_shape=None, head=None, units="4")
    assert cnn is importlib.import_module("tune_jobs.models.cnn")


def test_the_name_means_what_the_last_task_means_by_it(tmp_path: Path) -> None:
    for folder, text in {"own": OWN_AND_OURS, "ours": EARLIER}.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "task.py").write_text(text, encoding="utf-8")
    own = "def build(*, input_shape, head, units):\n    return units"
    (tmp_path / "own" / "models.py").write_text(own, encoding="utf-8")
    for _ in range(2):
        own_build = catalog.find(str(tmp_path / "own" / "task.py")).build
        assert own_build is not None
        assert own_build is importlib.import_module("models").build
        our_build = catalog.find(str(tmp_path / "ours" / "task.py")).build
        assert our_build is importlib.import_module("models.mlp").build
        assert importlib.import_module("models") is importlib.import_module("tune_jobs.models")


def test_an_installed_package_of_the_users_wins(find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "installed").mkdir()
    (tmp_path / "installed" / "models.py").write_text("NAME = 'installed'", encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    (tmp_path / "project").mkdir()
    file = tmp_path / "project" / "task.py"
    file.write_text(
        EARLIER.replace(
            "from models import mlp", "from tune_jobs.models import mlp\nimport models\nNAME = models.NAME"
        ).replace("from models.label", "from tune_jobs.models.label"),
        encoding="utf-8",
    )
    assert catalog.find(str(file)).name == "own"
    assert sys.modules["models"].NAME == "installed"


def test_an_empty_folder_on_the_path_hides_nothing(find: Find, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "path" / "models").mkdir(parents=True)
    monkeypatch.syspath_prepend(str(tmp_path / "path"))
    assert find(task=EARLIER).name == "own"


def test_a_checkout_on_the_path_gives_no_second_copy(find: Find, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2]))
    assert type(find(task=EARLIER)) is Task
    assert importlib.import_module("models.mlp") is importlib.import_module("tune_jobs.models.mlp")
