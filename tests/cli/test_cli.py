"""The command line: one line and exit code 2 for a usage error, JSON for programs, help that is quick."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest

from tests.support.sweeping import finished_study, own_task
from tune_jobs.actions import launch, replicate, retry
from tune_jobs.cli import cli, run
from tune_jobs.records.studies import Scheduling
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

GROUPS = cli.groups(click.Context(cli))
COMMANDS = {name: command for commands in GROUPS.values() for name, command in commands}
VARIABLES = ("TUNE_JOBS_HOME", "TUNE_JOBS_DATA", "TUNE_JOBS_STORAGE", "MLFLOW_TRACKING_URI")


@pytest.fixture(autouse=True)
def home(settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Set a home of the test's own, and work in a folder of its own."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TUNE_JOBS_HOME", str(settings.home))
    monkeypatch.chdir(tmp_path)
    return settings.home


@pytest.fixture
def study(settings: Settings, tmp_path: Path) -> None:
    finished_study(own_task(tmp_path / "task", "fine", "raise", width="Choice(1, 2)"), settings)


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Run a wrong command line and return its message, which has to be one line, with exit code 2."""

    def call(*words: str) -> str:
        capfd.readouterr()
        assert run(words) == 2
        out, err = capfd.readouterr()
        assert out == ""
        assert err.startswith("tune-jobs: ")
        assert err.count("\n") == 1
        assert "Traceback" not in err
        return err

    return call


@pytest.fixture
def answer(capsys: pytest.CaptureFixture[str]) -> Callable[..., Any]:
    """Run a command with --json and return what it printed."""

    def call(*words: str, code: int = 0) -> Any:
        capsys.readouterr()
        assert run([*words, "--json"]) == code
        return json.loads(capsys.readouterr().out)

    return call


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["launch", "fashion-mlp"], "no task named 'fashion-mlp'; near it: fashion-mnist-mlp"),
        (["show", "digit-mlp"], "near it: digits-mlp"),
        (["launch", "no_such_file.py:TASK"], "no_such_file.py"),
        (["launch", "digits-mlp", "--set", "optimizer=lion"], "optimizer"),
        (["launch", "digits-mlp", "--set", "optimiser=adam"], "near it: optimizer"),
        (["launch", "digits-mlp", "--set", "optimizer"], "needs NAME=VALUE"),
        (["launch", "digits-mlp", "--set", "units=32", "--set", "units=64"], "units is set twice"),
        (["launch", "digits-mlp", "--open", "units"], "units"),
        (["launch", "digits-mlp", "--search", "grid"], "grid"),
        (["launch", "digits-mlp", "--search", "hyperband"], "hyperband"),
        (["launch", "digits-mlp", "--trials", "0"], "--trials"),
        (["launch", "digits-mlp", "--trials", "-3"], "--trials"),
        (["launch", "digits-mlp", "--trials", "many"], "--trials"),
        (["launch", "digits-mlp", "--epochs", "0"], "--epochs"),
        (["launch", "digits-mlp", "--max-concurrent", "0"], "--max-concurrent"),
        (["launch", "digits-mlp", "--cpus-per-trial", "0"], "--cpus-per-trial"),
        (["launch", "digits-mlp", "--gpus-per-trial", "-1"], "--gpus-per-trial"),
        (["launch", "digits-mlp", "--gpus-per-trial", "1.5"], "a whole number of GPUs, or auto; got 1.5"),
        (["launch", "digits-mlp", "--gpus-per-trial", "nan"], "got nan"),
        (["drain", "own"], "needs --gpus, --node or both"),
        (["drain", "own", "--gpus", "2,"], "needs GPUs as `status` names them"),
        (["launch", "digits-mlp", "--seed", "-1"], "--seed"),
        (["launch", "digits-mlp", "--time-limit", "0"], "needs a time such as 90s"),
        (["launch", "digits-mlp", "--time-limit", "soon"], "got 'soon'"),
        (["launch", "digits-mlp", "--study", "a/b"], "a study's name is"),
        (["launch", "digits-mlp", "--home", "/proc/nothing"], "name another home with --home"),
        (["launch"], "TASK"),
        (["launhc"], "launhc"),
        (["status", "own"], "no study named 'own'"),
        (["leaderboard", "own"], "no study named 'own'"),
        (["export", "own", "-o", "results"], "no study named 'own'"),
        (["sync", "own"], "no study named 'own'"),
        (["train", "best.yaml"], "there is no file best.yaml"),
        (["predict", "model.keras", "clock.png"], "there is no file model.keras"),
        (["predict", "model.h5", "clock.png"], "FILE.keras; got model.h5"),
        (["predict", "model.keras"], "FILE"),
        (["ui", "--port", "0"], "--port"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_usage_error_is_one_line(words: list[str], says: str, refused: Callable[..., str]) -> None:
    assert says in refused(*words)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module_here\n", "broken.py, line 1: ModuleNotFoundError"),
        ("x = 1\nTASK = Task(\n", "broken.py, line 2: SyntaxError"),
        ("TASK = 3\n", "broken.py: 'TASK' is no Task but int"),
        ("raise SystemExit('no')\n", "broken.py, line 1: SystemExit: no"),
    ],
)
def test_a_task_file_that_does_not_import_is_one_line(
    tmp_path: Path, text: str, says: str, refused: Callable[..., str]
) -> None:
    (tmp_path / "broken.py").write_text(text)
    assert says in refused("launch", "broken.py:TASK")


def test_an_unknown_study_is_refused_with_the_nearest_name(study: None, refused: Callable[..., str]) -> None:
    for command in ("status", "leaderboard", "sync"):
        assert "no study named 'owns'; near it: own. `tune-jobs studies` lists all" in refused(command, "owns")


@pytest.mark.parametrize("words", [["--top", "0"], ["--top", "-1"], ["--format", "pdf"], ["-o", "/proc/no/x"]])
def test_a_usage_error_of_leaderboard_is_one_line(study: None, words: list[str], refused: Callable[..., str]) -> None:
    refused("leaderboard", "own", *words)


def test_an_export_into_a_file_is_one_line(study: None, tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "taken").touch()
    assert "taken" in refused("export", "own", "-o", "taken")


def test_a_home_that_cannot_be_written_is_one_line(tmp_path: Path, refused: Callable[..., str]) -> None:
    (tmp_path / "taken").touch()
    assert "cannot write in" in refused("launch", "digits-mlp", "--home", "taken")


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("http://127.0.0.1:1", "no MLflow server answers at http://127.0.0.1:1"),
        ("file:///tmp/mlruns", "MLFLOW_TRACKING_URI must be"),
    ],
)
@pytest.mark.parametrize("command", [["launch", "digits-mlp"], ["sync", "own"]], ids=lambda words: words[0])
def test_an_mlflow_that_does_not_answer_is_one_line(
    study: None, command: list[str], uri: str, says: str, refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    assert says in refused(*command)


@pytest.mark.parametrize("command", [["launch", "digits-mlp"], ["studies"], ["leaderboard", "own"]])
def test_a_storage_that_does_not_answer_is_one_line(
    command: list[str], refused: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TUNE_JOBS_STORAGE", "sqlite:////no/such/folder/studies.db")
    assert "does not answer" in refused(*command)


def test_a_wrong_data_file_is_one_line(tmp_path: Path, refused: Callable[..., str]) -> None:
    from tune_jobs.datasets import mnist

    folder = tmp_path / "data" / "mnist"
    folder.mkdir(parents=True)
    for name in mnist.MNIST.md5:
        (folder / name).write_bytes(b"not what it says")
    message = refused("launch", "mnist-mlp", "--data-dir", "data")
    assert "is not the published file of mnist" in message
    assert "replace it" in message


def test_a_refused_launch_leaves_no_study(home: Path, refused: Callable[..., str]) -> None:
    refused("launch", "digits-mlp", "--set", "optimizer=lion")
    refused("launch", "digits-mlp", "--search", "grid")
    assert run(["studies", "--json"]) == 0
    assert list((home / "studies").glob("*.journal")) == []


def test_a_model_is_saved_as_keras_only(study: None, refused: Callable[..., str]) -> None:
    assert run(["export", "own", "-o", "results"]) == 0
    assert "FILE.keras" in refused("train", "results/best.yaml", "-o", "model.h5", "--no-mlflow")


def test_tasks_for_programs(answer: Callable[..., Any]) -> None:
    tasks = {task["name"]: task for task in answer("tasks")}
    assert tasks["fashion-mnist-mlp"]["grid_size"] == 81
    assert tasks["digits-mlp"]["grid_size"] is None


def test_a_task_for_programs(answer: Callable[..., Any]) -> None:
    shown = answer("show", "fashion-mnist-mlp")
    assert (shown["grid_size"], shown["objective"]) == (81, {"metric": "val_accuracy", "direction": "maximize"})
    assert {"space", "protocol", "baseline", "digest", "dataset"} <= shown.keys()


def test_studies_for_programs(study: None, settings: Settings, answer: Callable[..., Any]) -> None:
    (shown,) = answer("studies")
    record = Study.open("own", settings).record()
    best = max(trial.score for trial in record.trials if trial.score is not None)
    counts = {"study": "own", "task": "own", "trials": 4, "complete": 2, "failed": 2, "best": best}
    assert counts.items() <= shown.items()


def test_no_studies_for_programs(answer: Callable[..., Any]) -> None:
    assert answer("studies") == []


def test_a_status_for_programs(study: None, answer: Callable[..., Any]) -> None:
    status = answer("status", "own")
    assert (status["trials"], status["driver"], status["running"]) == (4, None, [])
    assert (status["states"]["complete"], status["states"]["failed"]) == (2, 2)
    assert status["reasons"] == {"crashed": 2}


def test_a_status_names_its_driver(study: None, settings: Settings, answer: Callable[..., Any]) -> None:
    import os

    with Study.hold("own", settings):
        assert answer("status", "own")["driver"]["pid"] == os.getpid()


def test_a_leaderboard_for_programs(study: None, answer: Callable[..., Any]) -> None:
    rows = answer("leaderboard", "own")
    assert [row["rank"] for row in rows] == [1, 2]
    assert rows[0]["score"] > rows[1]["score"]
    assert rows[0].keys() >= {"rank", "params", "score", "trials"}
    assert answer("leaderboard", "own", "--top", "1") == rows[:1]


def test_a_diagnosis_for_programs(answer: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    assert {finding["what"]: finding["state"] for finding in answer("doctor")}["home"] == "ok"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    assert {finding["what"]: finding["state"] for finding in answer("doctor", code=1)}["tracking"] == "bad"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["tasks"], "fashion-mnist-mlp"),
        (["show", "digits-mlp"], "objective   maximize val_accuracy"),
        (["studies"], "own"),
        (["status", "own"], "failed: crashed (RuntimeError: no such thing)"),
        (["leaderboard", "own"], "4 trials: 2 complete, 2 failed"),
        (["leaderboard", "own", "--format", "csv"], "rank,"),
        (["export", "own", "-o", "results"], "best.yaml"),
        (["doctor"], "tensorflow"),
        (["--version"], "tune-jobs 0."),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_commands_speak_to_people(study: None, words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) == 0
    assert says in capsys.readouterr().out


def test_a_leaderboard_goes_into_a_file(study: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["leaderboard", "own", "--format", "json", "-o", "board.json"]) == 0
    assert capsys.readouterr().out == ""
    assert len(json.loads((tmp_path / "board.json").read_text())) == 2


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_every_command_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run([command, "--help"]) == 0
    assert f"Example:  tune-jobs {command}" in capsys.readouterr().out


def test_the_help_lists_each_command_once_under_its_heading(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == 0
    shown = capsys.readouterr().out
    headings = re.findall(r"^(\S.*):$", shown, re.MULTILINE)
    assert headings == ["Options", "Begin and steer", "Look", "Claim", "Take away", "Cluster"]
    assert list(GROUPS) == headings[1:]
    lines = [
        line.split()[0] for line in shown.partition("\nBegin and steer:\n")[2].splitlines() if line.startswith("  ")
    ]
    assert lines == list(COMMANDS)
    assert run([]) == 0


def test_a_hidden_command_is_in_no_help() -> None:
    context = click.Context(cli)
    commands = {name: cli.get_command(context, name) for name in cli.list_commands(context)}
    hidden = {name for name, command in commands.items() if command is not None and command.hidden}
    assert hidden == {"launch-sent"}
    assert not hidden & COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_help_is_whole_sentences(command: click.Command) -> None:
    texts = [command.help, command.short_help]
    texts += [param.help for param in command.params if isinstance(param, click.Option)]
    for text in texts:
        assert text, command.name
        assert text[0].isupper() or text.startswith("0."), text
        assert "\b" in text or text.rstrip().endswith((".", ")")), text


def test_the_defaults_that_help_states_are_the_ones_that_act() -> None:
    def stated(command: str, option: str) -> str:
        (help_text,) = [param.help for param in COMMANDS[command].params if f"--{option}" in param.opts]
        return re.search(r"\(default: ([^;)]*)", help_text)[1]

    scheduling = Scheduling()
    assert stated("launch", "search") == launch.DEFAULT_SEARCH
    assert stated("launch", "trials") == str(launch.DEFAULT_TRIALS)
    assert stated("launch", "scheduler") == scheduling.name
    assert stated("launch", "eta") == str(scheduling.eta)
    assert stated("launch", "grace") == f"1/{scheduling.eta**3} of the epochs"
    assert stated("replicate", "budget") == str(replicate.DEFAULT_BUDGET)
    assert stated("retry", "reason").replace(" and ", ", ").split(", ") == [str(reason) for reason in retry.BY_ITSELF]


@pytest.mark.slow
def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom tune_jobs.cli import run\n"
        f"for command in {tuple(COMMANDS)!r}:\n    run([command, '--help'])\n"
        "run(['--help'])\n"
        "heavy = ('tensorflow', 'keras', 'ray', 'mlflow', 'optuna', 'pandas', 'sklearn', 'numpy')\n"
        "print('heavy:', [name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    asked = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert asked.stderr.strip() == "heavy: []"


def test_the_module_is_the_command() -> None:
    asked = subprocess.run([sys.executable, "-m", "tune_jobs", "show"], capture_output=True, text=True, check=False)
    assert (asked.returncode, asked.stdout) == (2, "")
    assert asked.stderr.startswith("tune-jobs: ")
