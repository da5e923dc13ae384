"""Passwords and tokens are nowhere to be read, an MLflow that wants a password gets it, and names lead nowhere."""

from __future__ import annotations

import base64
import io
import stat
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import optuna
import psutil
import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.mlflow_tables import Tables
from tests.support.servers import MlflowServer, private_postgres
from tests.support.sweeping import called, command_line, ended, finished_study, kill_family, own_task, refusal, until
from tune_jobs import masking, plain_yaml, tracking
from tune_jobs.actions import doctor
from tune_jobs.cli import run
from tune_jobs.errors import SettingsError, StudyError
from tune_jobs.settings import Settings
from tune_jobs.study import storage, study
from tune_jobs.tracking import delivery
from tune_jobs.training.checkpoints import Checkpoint

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

PASSWORD, OTHER = "pa55-26a38032b2b0a482", "pa56-1c0f95d3be7724a1"  # in no other text


@pytest.fixture
def server(tmp_path: Path, mlflow_tables: Tables) -> Iterator[MlflowServer]:
    server = MlflowServer(tmp_path, tables=mlflow_tables, login=("ada", PASSWORD))
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest.fixture
def postgres() -> Iterator[str]:
    """A storage that is named with a password."""
    with private_postgres() as server:
        yield server.url().replace("tune_jobs@", f"tune_jobs:{OTHER}@")


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """For Ray, whose sockets' paths may not be long."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="p-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def holding(*folders: Path, words: tuple[str, ...]) -> list[Path]:
    """The files that have one of these words in them."""
    found = []
    for path in (path for folder in folders for path in folder.rglob("*") if path.is_file()):
        with suppress(FileNotFoundError):
            content = path.read_bytes()
            found += [path] if any(word.encode() in content for word in words) else []
    return found


def status(url: str, user: str | None = None, password: str = "") -> int:
    request = urllib.request.Request(url)
    if user is not None:
        request.add_header("Authorization", "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode())
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code


@pytest.mark.slow
@pytest.mark.postgres
def test_a_sweep_with_passwords_tells_nobody(
    tmp_path: Path, server: MlflowServer, postgres: str, short_folder: Path
) -> None:
    """One sweep with everything that has a secret: MLflow, the storage and Ray."""
    own, alone = (own_task(tmp_path / name, "wait-at-4") for name in ("task", "alone"))
    home = tmp_path / "home"
    settings = Settings(home, home / "data", postgres, server.url)
    (alone.file.parent / "go").touch()
    with_login = server.url.replace("://", f"://ada:{PASSWORD}@")
    variables = {"MLFLOW_TRACKING_URI": with_login, "RAY_TMPDIR": str(short_folder)}
    said = []

    def call(*words: str, **more: str) -> tuple[int, str]:
        code, stdout, stderr = called(settings, *words, **(variables | more))
        said.append(stdout + stderr)
        return code, stderr

    nowhere = {"HOME": "/dev/null", "MPLCONFIGDIR": matplotlib.get_cachedir()}  # where Ray would keep a token
    words = ("launch", own.reference, "--search", "grid", "--max-concurrent", "1")
    process = command_line(settings, *words, **(variables | nowhere))
    try:
        until(lambda: len(own.noted("end")) >= 3, "all but one to end", process)
        (private,) = short_folder.glob("tj-*")
        token = (private / "token").read_text()
        words = (PASSWORD, OTHER, token)
        assert [stat.S_IMODE(path.stat().st_mode) for path in (private, private / "token")] == [0o700, 0o600]
        assert holding(private, home, words=words) == [private / "token"]
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        lines = [" ".join(one.cmdline()) for one in family if one.is_running() and one.status() != "zombie"]
        assert any("sync own --follow" in line for line in lines)
        assert not [line for line in lines if any(word in line for word in words)]
        own.go()
        code, stdout, stderr = ended(process)
    finally:
        kill_family(process)
    assert code == 0, stderr
    assert "All trials are in MLflow" in stderr
    said.append(stdout + stderr)
    assert not list(short_folder.glob("tj-*"))

    for line in (("sync", "own"), ("status", "own"), ("doctor",), ("export-study", "own", "-o", str(home / "x.study"))):
        assert call(*line)[0] == 0
    code, told = call("ui")
    assert code == 0
    assert told.startswith(
        f"The MLflow server is at {server.url}\nThe trials of own are at {server.url}/#/experiments/"
    )
    assert not [text for text in said if any(word in text for word in words)]
    assert holding(home, tmp_path, words=words) == []

    only_with_the_password(server)
    wrong = {"MLFLOW_TRACKING_URI": server.url, "MLFLOW_TRACKING_USERNAME": "ada", "MLFLOW_TRACKING_PASSWORD": OTHER}
    for line in (("launch", own.reference), ("sync", "own")):
        code, stderr = call(*line, **wrong)
        assert code == 2
        assert f"the MLflow server at {server.url} denied access (401 " in refusal(stderr)
    right = wrong | {"MLFLOW_TRACKING_PASSWORD": PASSWORD}
    assert call("sync", "own", **right)[0] == 0
    with pytest.MonkeyPatch.context() as patch:
        for name, value in right.items():
            patch.setenv(name, value)
        audit(settings, undisturbed(alone, tmp_path), own=own)


def only_with_the_password(server: MlflowServer) -> None:
    """Its API, its artifacts and its pages; whether it is there everybody may know."""
    paths = ("/api/2.0/mlflow/experiments/search?max_results=1", "/api/2.0/mlflow-artifacts/artifacts", "/")
    assert [status(server.url + path) for path in paths] == [401, 401, 401]
    assert [status(server.url + path, "ada", OTHER) for path in paths] == [401, 401, 401]
    assert [status(server.url + path, "ada", PASSWORD) for path in paths] == [200, 200, 200]
    assert status(server.url + "/health") == 200


class _Refusing:
    """MLflow, once a password was changed there."""

    n_calls = 0

    def deliver(self, record: Any) -> int:
        self.n_calls += 1
        raise ConnectionError("API request to http://ada:pa55@h/api failed with error code 401 != 200")


def test_a_server_that_refuses_in_mid_sweep_is_asked_once_more_at_the_end(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    looks = iter([False] * 50 + [True])
    monkeypatch.setattr(delivery, "_input_closed", lambda _: next(looks))
    tracker = _Refusing()
    follower = delivery._Follower(type("S", (), {"history": lambda self: None})(), tracker)  # type: ignore[arg-type]
    assert not follower.run()
    assert follower.is_denied
    assert tracker.n_calls == 2
    out = capfd.readouterr().out
    assert "MLflow denied access: ConnectionError: API request to http://ada:***@h/api failed" in out
    assert "pa55" not in out


@pytest.mark.parametrize("uri", [f"http://ada:{PASSWORD}@127.0.0.1:1", f"https://{PASSWORD}@127.0.0.1:1/x"])
def test_an_address_with_a_password_is_shown_without(
    uri: str, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(SettingsError, match="no MLflow server answers at http") as refused:
        tracking.check(replace(settings, tracking_uri=uri))
    assert PASSWORD not in str(refused.value)
    shown = repr(doctor.examine(replace(settings, tracking_uri=uri)))
    assert PASSWORD not in shown + repr(replace(settings, tracking_uri=uri))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    for name in ("MLFLOW_TRACKING_USERNAME", "MLFLOW_TRACKING_PASSWORD"):
        monkeypatch.setenv(name, "")  # to be as before afterwards
    assert PASSWORD not in Settings.read(home=tmp_path).tracking_uri


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql+psycopg://ada:{PASSWORD}@127.0.0.1:1/x",
        f"postgresql+psycopg:/ada:{PASSWORD}@127.0.0.1:1/x",
        f"postgresql+psycopg://ada:{PASSWORD}@[::1/x",
        f"no-such-kind://ada:{PASSWORD}@127.0.0.1/x",
        f"postgresql+psycopg://127.0.0.1:1/x?password={PASSWORD}",
    ],
)
def test_a_storage_that_does_not_answer_is_named_without_its_password(url: str, settings: Settings) -> None:
    with pytest.raises(StudyError, match=r"\*\*\*") as refused:
        storage.study_names(replace(settings, storage=url))
    assert PASSWORD not in str(refused.value)


def test_what_others_say_of_an_address_has_no_password() -> None:
    url = "http://ada:a secret@host"
    assert masking.redact(f"{url}/x said: no", url) == "http://ada:***@host/x said: no"
    assert masking.redact("at postgresql://a:b@c and (http://t@d) or e@f") == (
        "at postgresql://a:***@c and (http://***@d) or e@f"
    )
    assert masking.redact("http://127.0.0.1:5000 has 1@2") == "http://127.0.0.1:5000 has 1@2"


WICKED = ("../../x", "/tmp/x", "a/b", "..", ".x", "a\nb", "a\0b", "x" * 101, "", "-x", "~root")


@pytest.mark.parametrize("name", WICKED)
def test_a_name_of_a_study_is_no_path(
    name: str, tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    own = own_task(tmp_path / "task")
    settings.prepare()
    before = sorted(tmp_path.rglob("*"))
    home = ("--home", str(settings.home))
    for words in (
        ("launch", own.reference, f"--study={name}"),
        ("delete", "--yes"),
        ("export",),
        ("status",),
        ("sync",),
    ):
        line = [*words, *home, *(() if words[0] == "launch" else ("--", name))]
        if words[0] == "launch" and not name:
            continue  # nothing said
        assert run(line) == 2, words
        assert len(capsys.readouterr().err.strip().splitlines()) == 1
    after = [path for path in sorted(tmp_path.rglob("*")) if "__pycache__" not in path.parts]
    assert after == before


@pytest.mark.slow
@pytest.mark.parametrize("name", WICKED[:-3])
def test_a_study_of_such_a_name_in_a_shared_database_is_none_of_ours(name: str, settings: Settings) -> None:
    settings.prepare()
    shared = replace(settings, storage=f"sqlite:///{settings.home / 'shared.db'}")
    begun = optuna.create_study(storage=shared.storage, study_name=name)
    begun.set_user_attr("terms", {})
    assert storage.study_names(shared) == ()
    with pytest.raises(StudyError, match="no study named"):
        study.Study.open(name, shared)


def test_a_file_that_data_name_is_run_only_if_it_is_a_task_of_ours(
    tmp_path: Path, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    own, ran = own_task(tmp_path / "task", before=f"open({str(tmp_path / 'ran')!r}, 'a').close()\n"), tmp_path / "ran"
    finished_study(own, settings)
    home = ("--home", str(settings.home))
    assert run(["export", "own", "-o", str(tmp_path / "out"), *home]) == 0
    ran.unlink()
    best = str(tmp_path / "out" / "best.yaml")
    commands = (["extend", "own", "--trials", "+1"], ["retry", "own"], ["replicate", "own"], ["train", best])
    own.file.chmod(0o666)
    for words in commands:
        capsys.readouterr()
        assert run([*words, *home]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()[-1:]
        assert f"names the task file {own.file}, which another user can write: it is Python, and not run" in line
    own.file.chmod(0o644)
    own.file.write_text(f"open({str(ran)!r}, 'a').close()\n")
    for words in commands:
        capsys.readouterr()
        assert run([*words, *home]) == 2
        assert f"names {own.file}, which has no task in it: it is not run" in capsys.readouterr().err
    assert not ran.exists()


class _Program:
    """What would make a file if its pickle were opened."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[Any, ...]:
        return open, (str(self._file), "w")


def test_a_pickle_in_a_checkpoint_is_not_opened(tmp_path: Path) -> None:
    content = io.BytesIO()
    np.savez(content, told=np.array([_Program(tmp_path / "ran")], dtype=object))
    assert Checkpoint.from_bytes(content.getvalue()) is None
    assert not (tmp_path / "ran").exists()


@pytest.mark.slow
def test_yaml_is_bounded_and_says_nothing_by_reference(tmp_path: Path) -> None:
    bomb = tmp_path / "bomb.yaml"
    lines = ["a0: &a0 [x, x]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30))]
    bomb.write_text("\n".join(lines))
    with pytest.raises(StudyError, match=r"the alias \*'a0' needs to be written out in line 2"):
        plain_yaml.read(bomb, "")
    bomb.write_text("- x\n" * 2**19)
    with pytest.raises(StudyError, match="has more than 1 MiB; it is to be short"):
        plain_yaml.read(bomb, "it is to be short")
    bomb.write_text("{" * 5000)
    with pytest.raises(StudyError, match="is no YAML that can be read"):
        plain_yaml.read(bomb, "")


@pytest.mark.parametrize("name", ["TUNE_JOBS_STORAGE", "MLFLOW_TRACKING_URI"])
@pytest.mark.parametrize(
    "uri",
    [
        "http://ada:S3c/ret@127.0.0.1",
        "postgresql://ada:S3c?ret@h/x",
        "http://ada:S3c#ret@h",
        "ada:S3cret@h/x",
        "S3cret@h",
    ],
)
def test_half_a_password_is_shown_by_nobody(
    name: str, uri: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Parsers call the half before a slash a port, and show it."""
    monkeypatch.setenv(name, uri)
    assert run(["studies", "--home", str(tmp_path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert f"{name} is " in line
    assert "S3c" not in line
    assert "ret@" not in line


@pytest.mark.parametrize("key", ["password", "passwd", "pwd", "PASSWORD", "sslpassword", "api_key", "token"])
def test_a_password_in_a_query_is_hidden(key: str) -> None:
    assert masking.without_password(f"postgresql://h/x?{key}=S3c&y=1") == f"postgresql://h/x?{key}=***&y=1"
    assert masking.redact(f"no {key}=S3c here") == f"no {key}=*** here"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////a/b@c.db",
        "http://h:5000/a@b",
        "http://ada:pw@h/x",
        "postgresql://a:b%2F@h/x",
        "http://[::1]:5000",
        "",
    ],
)
def test_an_address_that_is_clear_is_not_refused(url: str) -> None:
    assert not masking.is_misread(url)
