"""What a second user puts where a command is typed, or where it looks for a file, neither runs nor holds it up."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from subprocess import Popen
from typing import Any

import pytest

from tests.security.conftest import Intruder
from tests.support.mlflow_tables import Tables
from tests.support.servers import free_port
from tests.support.sweeping import (
    Own,
    called,
    called_here,
    ended,
    finished_study,
    kill_family,
    own_task,
    plain_environment,
    refusal,
    until,
    variables_of,
)
from tune_jobs import temporary
from tune_jobs.actions import portable
from tune_jobs.settings import Settings

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables
MODULES = (
    "mlflow",
    "keras",
    "tensorflow",
    "ray",
    "numpy",
    "pandas",
    "optuna",
    "sqlalchemy",
    "uvicorn",
    "yaml",
    "click",
    "sklearn",
    "models",
    "tune_jobs",
    "json",
    "sitecustomize",
)


@pytest.fixture
def open_folder(reachable: Path) -> Path:
    """A folder in which everybody may write, as /tmp is."""
    folder = reachable / "open"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.mark.slow
def test_modules_where_a_command_is_typed_do_not_run(
    open_folder: Path, open_home: Settings, tmp_path: Path, intruder: Intruder, mlflow_tables: Tables
) -> None:
    """`import-study` delivers by a process of its own, as a sweep and `sync` do."""
    other = Settings(tmp_path / "other", tmp_path, None, "")
    finished_study(own_task(tmp_path / "task"), other)
    portable.export_study("own", tmp_path / "own.study", other, lambda _: None)
    planted = plant_modules(open_folder, intruder)
    open_home.prepare()
    mlflow_tables.copy_to(open_home.home / "mlflow.db")
    for words in (("import-study", str(tmp_path / "own.study")), ("sync", "own"), ("status", "own")):
        code, _, stderr = ended(typed(open_folder, open_home, *words))
        assert code == 0, stderr
    assert {*open_folder.iterdir()} == planted  # nothing ran, and nothing is left among the temporary files


@pytest.mark.slow
def test_nor_do_they_where_networks_are_trained_looked_at_or_sent(
    open_folder: Path, open_home: Settings, tmp_path: Path, intruder: Intruder, mlflow_tables: Tables
) -> None:
    """Driver, Ray, its workers, the delivery, TensorFlow here, MLflow's server and a client of a cluster."""
    own = Own.copy("dense_task.py", tmp_path / "task")
    open_home.prepare()
    mlflow_tables.copy_to(open_home.home / "mlflow.db")
    planted = plant_modules(open_folder, intruder)
    best = str(open_home.exports_dir("own") / "best.yaml")
    for words, expected in (
        (("launch", own.reference, "--search", "grid", "--trials", "1"), 0),
        (("train", best, "-o", str(tmp_path / "model.keras")), 0),
        (("submit", own.reference, "--address", "http://127.0.0.1:9"), 2),
    ):
        code, _, stderr = ended(typed(open_folder, open_home, *words))
        assert code == expected, stderr
    port = free_port()
    server = typed(open_folder, open_home, "ui", "--port", str(port))
    try:
        until(lambda: has_answer(f"http://127.0.0.1:{port}/"), "the UI", server)
        server.send_signal(signal.SIGINT)
        ended(server)
    finally:
        kill_family(server)
    assert {*open_folder.iterdir()} == planted


def plant_modules(folder: Path, intruder: Intruder) -> set[Path]:
    """Put modules of these names there, each of which leaves a file where it runs; return what is there."""
    for name in MODULES:
        intruder.writes(folder / f"{name}.py", f"open({str(folder / 'ran')!r}, 'a').write({name!r})")
    return {*folder.iterdir()}


def typed(folder: Path, settings: Settings, *words: str) -> Popen[str]:
    """Start a command that is typed in this folder, in which temporary files are, too."""
    environment = plain_environment() | variables_of(settings) | {"TMPDIR": str(folder)}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)  # or nobody would see what is compiled there
    return Popen(
        [str(Path(sys.executable).with_name("tune-jobs")), *words],
        env=environment,
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        process_group=0,
    )


def has_answer(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=20):
            return True
    except urllib.error.HTTPError as error:  # it asks for its password
        error.close()
        return True
    except OSError:
        return False


@pytest.mark.slow
@pytest.mark.parametrize(
    "words",
    [
        ("import-study", "{}"),
        ("train", "{}"),
        ("launch", "digits-mlp", "--try", "{}"),
        ("submit", "digits-mlp", "--try", "{}", "--address", "http://127.0.0.1:9"),
    ],
    ids=lambda words: str(words[0]),
)
def test_a_pipe_in_place_of_a_file_holds_up_no_command(
    words: tuple[str, ...], open_folder: Path, open_home: Settings, intruder: Intruder
) -> None:
    pipe = open_folder / "shared.yaml"
    assert intruder.does('mkfifo "$1"', pipe).returncode == 0
    code, _, stderr = called(open_home, *(word.format(pipe) for word in words))
    assert code == 2
    assert "no regular file, and another user's" in refusal(stderr)


@pytest.mark.slow
def test_a_link_that_is_exchanged_while_a_file_is_read_shows_one_file_or_the_other(
    open_folder: Path, open_home: Settings, tmp_path: Path, intruder: Intruder
) -> None:
    """Whoever exchanges what is read can choose among files, and puts nothing of another into a study."""
    secret = tmp_path / "secret"
    secret.write_text("password: of-the-first-user\n")
    intruder.links(open_folder / "best.yaml", secret)
    code, stdout, stderr = called(open_home, "train", str(open_folder / "best.yaml"))
    assert code == 2
    assert "of-the-first-user" not in stdout + stderr
    assert not (open_folder / "model.keras").exists()
    assert os.listdir(open_folder) == ["best.yaml"]  # noqa: PTH208


def test_a_name_that_another_user_takes_first_stops_no_temporary_folder(
    open_folder: Path, intruder: Intruder, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []

    def watched(**words: Any) -> str:
        new = Path(tempfile.mktemp(**words))
        new.mkdir(0o700)
        if len(taken) < 3:  # so often the other is faster
            taken.append(new.with_name(new.name.replace("-new-", "-files-")))
            assert intruder.does('mkdir "$1" && touch "$1/in-it"', taken[-1]).returncode == 0
        return str(new)

    monkeypatch.setattr(tempfile, "gettempdir", lambda: str(open_folder))
    monkeypatch.setattr(tempfile, "mkdtemp", watched)
    with temporary.folder() as folder:
        assert folder.stat().st_uid == os.getuid()
        assert folder not in taken
        assert sorted(open_folder.iterdir()) == sorted([folder, *taken])


@pytest.mark.slow
def test_a_folder_that_another_user_closed_stops_no_launch(
    open_folder: Path, intruder: Intruder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It looks like one that a killed driver left. Here root is the other user, who may look into every folder."""
    from tune_jobs.execution import tokens

    (open_folder / "tj-closed00").mkdir(0o700)
    monkeypatch.setenv("RAY_TMPDIR", str(open_folder))
    made = intruder.calls(lambda: str(tokens.private_folder.__wrapped__()))
    assert Path(made).parent == open_folder


CLOSED = (
    ("launch", "{}/own.py"),
    ("launch", "digits-mlp", "--try", "{}/best.yaml"),
    ("launch", "digits-mlp", "--with", "{}/words.txt"),
    ("launch", "digits-mlp", "--data", "faces"),
    ("show", "{}/own.py"),
    ("train", "{}/best.yaml"),
    ("import-study", "{}/own.study"),
    ("predict", "{}/model.keras", "{}/a.png"),
    ("generate", "{}/model.keras", "-o", "{}/a.png"),
    ("compare", "{}/own.study", "{}/other.study"),
    ("studies", "--home", "{}/home"),
)


@pytest.mark.slow
@pytest.mark.parametrize("words", CLOSED, ids=" ".join)
def test_what_another_user_closed_is_refused_in_one_line(
    words: tuple[str, ...], open_folder: Path, intruder: Intruder, tmp_path: Path
) -> None:
    """Here root is the other user."""
    closed = tmp_path / "closed"
    closed.mkdir(0o700)

    def given(home: Path, folder: Path) -> list[Any]:
        settings = Settings(home, folder, None, "")
        return list(called_here(settings, *(word.format(folder) for word in words), TUNE_JOBS_DATA=str(folder)))

    given(tmp_path / "home", tmp_path / "nothing")  # imports what the other may not read, where Python is closed to it
    code, _, stderr = intruder.calls(given, open_folder / "home", closed)
    assert code == 2, stderr
    assert str(closed) in refusal(stderr)


def plant_settings(folder: Path, intruder: Intruder) -> None:
    intruder.writes(folder / "matplotlibrc", "text.usetex: True\n")  # LaTeX runs, or is missed


def plant_pipe(folder: Path, intruder: Intruder) -> None:
    assert intruder.does('mkfifo "$1/matplotlibrc"', folder).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("plant", [plant_settings, plant_pipe])
def test_settings_of_plots_where_a_command_is_typed_are_not_read(
    plant: Callable[[Path, Intruder], None], open_folder: Path, tmp_path: Path, intruder: Intruder
) -> None:
    plant(open_folder, intruder)
    program = (
        "from tune_jobs import process; process.prepare(); import os\n"
        "from tune_jobs.exports import plots\n"
        "with plots.styled(): print(plots.svg_text(plots.new_figure(6, 4, 'title', 'below', left=0.5)))\n"
        "print(os.getcwd())"
    )
    drawn = {}
    for folder in (tmp_path, open_folder):
        command = [sys.executable, "-P", "-c", program]
        done = subprocess.run(
            command, cwd=folder, env=plain_environment(), capture_output=True, text=True, check=False, timeout=120
        )
        assert done.returncode == 0, done.stderr
        svg, _, where = done.stdout.strip().rpartition("\n")
        drawn[folder] = svg
        assert where == str(folder)
    assert len({*drawn.values()}) == 1
