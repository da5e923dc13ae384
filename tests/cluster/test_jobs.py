"""`submit`, `jobs`, `logs -f`, `stop`, from a client that is no node to a real head with token authentication."""

from __future__ import annotations

import itertools
import json
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.security.conftest import Intruder
from tests.support.clusters import TOKEN, RayHead
from tests.support.sweeping import WITHOUT_MLFLOW, Own, ended, own_task, until
from tests.support.warm import Command, WarmServer
from tune_jobs import cli
from tune_jobs.actions import status
from tune_jobs.records.studies import StudyRecord
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

NAME = "it's a task; sleep 9.py"  # a file may be called so


class Client:
    """Somebody's laptop: a home of its own, nothing of which is to reach the cluster, and the cluster's address."""

    def __init__(self, folder: Path, head: RayHead, warm: WarmServer) -> None:
        self._head, self._warm, self._settings = head, warm, Settings.read(home=folder / "client")
        self.secrets = {"TUNE_JOBS_STORAGE": "sqlite:////nowhere/of-the-client.db", "MY_SECRET": "of-the-client"}

    def start(self, *words: str, **variables: str) -> Command:
        known = {"TUNE_JOBS_ADDRESS": self._head.url, "RAY_ADDRESS": "http://127.0.0.1:1"} | self.secrets
        return self._warm.command_line(self._settings, *words, **(known | self._head.client | variables))

    def call(self, *words: str, **variables: str) -> tuple[int, str, str]:
        return ended(self.start(*words, **variables))

    def jobs(self) -> dict[str, Any]:
        code, out, said = self.call("jobs", "--json")
        assert code == 0, said
        return {job["name"]: job for job in json.loads(out)}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings.read(home=tmp_path_factory.mktemp("server") / "home")


@pytest.fixture(scope="module")
def commands(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a `tune-jobs` that delivers nothing to MLflow, for jobs to find first."""
    program = tmp_path_factory.mktemp("commands") / "tune-jobs"
    main = "from tune_jobs.__main__ import main\n"
    program.write_text(f"#!{sys.executable} -P\n{main}{WITHOUT_MLFLOW}main()\n", encoding="utf-8")
    program.chmod(0o755)
    return program.parent


@pytest.fixture(scope="module")
def head(server: Settings, commands: Path) -> Iterator[RayHead]:
    """A node of one CPU, so that each sweep has one worker to start."""
    stores = {"TUNE_JOBS_HOME": str(server.home), "MLFLOW_TRACKING_URI": server.tracking_uri}
    path = os.pathsep.join([str(commands), str(Path(sys.executable).parent), os.environ["PATH"]])
    head = RayHead(cpus=1, has_dashboard=True, environment=stores | {"PATH": path})
    try:
        head.start()
        yield head
    finally:
        head.stop()


@pytest.fixture
def client(tmp_path: Path, head: RayHead, warm: WarmServer) -> Client:
    return Client(tmp_path, head, warm)


def own_file(folder: Path) -> Own:
    own = own_task(folder, "doze", width="Float(1.0, 100.0)")
    (folder / ".tunejobsignore").write_text("room\nevents\ngo\n")  # what changes while trials run is none of the task
    return Own(own.file.rename(folder / NAME))


def record(server: Settings, study: str) -> StudyRecord:
    return Study.open(study, server).record()


def test_a_sweep_is_sent_followed_stopped_and_goes_on(
    tmp_path: Path, client: Client, head: RayHead, server: Settings
) -> None:
    own = own_file(tmp_path / "task")
    tried = tmp_path / "mine.yaml"
    tried.write_text("act: doze\nwidth: 42.5\ndepth: 1\n")
    words = ("submit", own.reference, "--trials", "8", "--search", "random", "--study", "long", "--name", "mine")
    words += ("--max-concurrent", "1", "--no-baseline", "--try", str(tried))
    own.make_room(3)

    # sent twice at the same moment is one job
    both = [client.start(*words) for _ in range(2)]
    answers = [ended(process) for process in both]
    assert [code for code, *_ in answers] == [0, 0], answers
    news = [said for _, _, said in answers]
    assert sum("Sent job mine: study long of task own" in line for line in news) == 1, news
    assert sum(": not sent again" in line for line in news) == 1, news
    follower = client.start("logs", "mine", "-f")

    # with other options it is not the same job, and it says so
    until(lambda: len(own.noted("end", "width")) >= 3, "three trials to end")
    code, _, said = client.call(*words, "--seed", "5")
    assert (code, "job mine is running, with other options" in said) == (2, True), said
    listed = client.jobs()["mine"]
    assert (listed["study"], listed["task"], listed["state"]) == ("long", "own", "running")

    # stopped: what runs goes on to its end, and no other begins
    stopping = client.start("stop", "mine", "--wait", "5m")
    until(lambda: "Draining: " in _log(head, "mine"), "the driver to be told")
    own.make_room(None)
    own.go()
    code, _, said = ended(stopping)
    assert (code, said.splitlines()[-1]) == (
        0,
        "job mine was stopped: finished trials are kept, the same `tune-jobs submit` continues",
    )
    code, out, said = ended(follower)
    assert (code, said.splitlines()[-1][:20]) == (143, "job mine was stopped")
    assert out == _log(head, "mine")
    assert "[1/8] trial " in out
    kept = record(server, "long")
    assert kept.trials[0].params["width"] == 42.5  # the client's own configuration
    assert 3 <= kept.count("complete") < 8
    assert (own.file.parent / "own_task.py").exists() is False

    # and the same command again goes on, to its end
    assert client.call(*words)[0] == 0
    code, _, said = client.call("logs", "mine", "--follow")
    assert (code, said) == (0, "job mine is complete\n")
    assert record(server, "long").trials[: len(kept.trials)][0] == kept.trials[0]
    assert record(server, "long").count("complete") == 8
    assert len({width for width, _ in own.trained}) == 8
    code, _, said = client.call(*words)
    assert (code, "job mine is complete: not sent again (--again sends it again)" in said) == (0, True)

    # the task's file is kept where the study finds it, and nothing of the client's is there
    reference = record(server, "long").terms.reference
    assert Path(reference.rpartition(":")[0]).is_relative_to(server.tasks_dir)
    assert Path(reference.rpartition(":")[0]).read_bytes() == own.file.read_bytes()
    assert study_names(server) == ("long",)
    for file in [*server.home.rglob("*"), *(head.folder / "head").rglob("logs/**/*")]:
        if file.is_file():
            content = file.read_bytes()
            assert b"of-the-client" not in content, file
            assert TOKEN.encode() not in content, file
    assert not (tmp_path / "client").exists()


def test_a_stop_now_ends_cleanly_and_a_failure_is_told(tmp_path: Path, client: Client, server: Settings) -> None:
    own = own_task(tmp_path / "task", "wait")
    sent = ("submit", own.reference, "--search", "grid", "--study", "short", "--max-concurrent", "1")
    assert client.call(*sent)[0] == 0
    until(lambda: own.noted("begin", "width"), "a trial to begin")
    code, _, said = client.call("stop", "short", "--now", "--wait", "5m")
    assert (code, said.splitlines()[-1][:22]) == (0, "job short was stopped:")
    assert client.jobs()["short"]["state"] == "stopped"
    assert record(server, "short").count("running") == 1  # interrupted: it runs again
    assert (server.exports_dir("short") / "leaderboard.md").exists()  # it had the time to end well

    code, _, said = client.call("submit", own.reference, "--study", "short", "--seed", "7", "--name", "wrong")
    assert code == 0, said
    code, _, said = client.call("logs", "wrong", "-f")
    assert code == 2
    assert said.startswith("job wrong has failed: study 'short' was begun with --seed 0")
    assert "was begun with --seed 0" in client.jobs()["wrong"]["message"]


def test_a_job_waits_for_its_turn_which_comes_when_the_one_before_is_killed(
    tmp_path: Path, client: Client, head: RayHead, server: Settings
) -> None:
    first = own_task(tmp_path / "first", "wait", name="first")
    second = own_task(tmp_path / "second", name="second", width="Choice(1)")
    assert client.call("submit", first.reference, "--search", "grid", TUNE_JOBS_USER="ada")[0] == 0
    until(lambda: first.noted("begin", "width"), "a trial to begin")
    third = ("submit", second.reference, "--search", "grid", "--study", "third")
    assert client.call(*third, TUNE_JOBS_USER="ada")[0] == 0
    sent = ("submit", second.reference, "--search", "grid", "--priority", "5", "--time-limit", "1h")
    assert client.call(*sent, TUNE_JOBS_USER="grace")[0] == 0
    waiting = {
        "second": "place 1 of 2, CPUs are with job first of ada",
        "third": "place 2 of 2, after job second of grace",
    }
    for job, place in waiting.items():
        until(lambda: f"Waiting for its turn: {place}" in _log(head, job), f"{job} to wait")  # noqa: B023
    jobs = client.jobs()
    assert [jobs[name]["state"] for name in ("first", "second", "third")] == ["running", "waiting", "waiting"]
    assert (jobs["second"]["user"], jobs["second"]["priority"]) == ("grace", 5)
    assert jobs["second"]["message"].startswith("place 1 of 2, CPUs are with job first of ada")
    assert jobs["third"]["message"].startswith(
        "place 2 of 2, after job second of grace (priority 5); CPUs are with job"
    )
    assert f"  queue     {waiting['third']}" in repr(status.status("third", server))
    assert client.call("stop", "third", "--wait", "2m")[0] == 0  # it trains nothing
    assert second.trained == []

    (driver,) = [one for one in head.processes() if _is_driver(one, "first")]
    driver.kill()
    code, out, _ = client.call("logs", "second", "-f")
    assert code == 0, out
    (trial,) = record(server, "second").trials
    assert (trial.state, trial.user) == ("complete", "grace")
    assert trial.spent is not None
    assert "third" not in study_names(server) or not record(server, "third").trials
    assert list((server.home / "queue").glob("*.ticket")) == []


def _is_driver(process: psutil.Process, study: str) -> bool:
    """Return True for the command that was sent, not for what it started; False for a process that has ended."""
    with suppress(psutil.NoSuchProcess):
        words = process.cmdline()
        return any(Path(word).name == "tune-jobs" for word in words[:3]) and {"launch-sent", study} <= {*words}
    return False


def _listens_at(process: psutil.Process) -> set[int]:
    """The TCP ports of a process; none of one that has ended meanwhile."""
    try:
        return {at.laddr.port for at in process.net_connections("tcp") if at.status == "LISTEN"}
    except psutil.NoSuchProcess:
        return set()


_SEND = json.dumps({"entrypoint": "touch {marker}", "submission_id": "evil"})
_REQUESTS = (  # what a client of Ray's may ask of a dashboard and of an agent; each is refused
    ("GET", "/api/jobs/", ""),
    ("POST", "/api/jobs/", _SEND),
    ("GET", "/api/jobs/attacked/logs", ""),
    ("GET", "/api/jobs/attacked/logs/tail", ""),
    ("POST", "/api/jobs/attacked/stop", ""),
    ("DELETE", "/api/jobs/attacked", ""),
    ("PUT", "/api/packages/gcs/_ray_pkg_0123456789abcdef.zip", "a package"),
    ("GET", "//api/jobs/", ""),
    ("GET", "/static/../api/jobs/", ""),
    ("GET", "/api/v0/logs/file?node_ip=127.0.0.1&filename=raylet.out", ""),
    ("GET", "/worker/traceback?pid=1", ""),
    ("GET", "/nodes?view=summary", ""),
    ("GET", "/api/job_agent/jobs/", ""),
    ("POST", "/api/job_agent/jobs/", _SEND),
    ("POST", "/get_or_create_runtime_env", ""),
)
_CREDENTIALS = ("", "Authorization: Bearer wrong\r\n", "Cookie: ray-authentication-token=wrong\r\n")


def _answers(port: int, marker: str) -> list[list[Any]]:
    """What each request gets at a port, as method, path and status; nothing where HTTP is not spoken."""
    if not _status(port, "GET", "/", "", ""):
        return []
    asked = itertools.product(_REQUESTS, _CREDENTIALS)
    return [
        [method, path, _status(port, method, path, body.replace("{marker}", marker), credentials)]
        for (method, path, body), credentials in asked
    ]


def _status(port: int, method: str, path: str, body: str, credentials: str) -> int:
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{credentials}"
    head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
    answer = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(head.encode())
        answer = client.recv(64)
    return int(answer[9:12]) if answer.startswith(b"HTTP/1.") else 0


def test_a_second_user_neither_sends_a_job_nor_reaches_one(
    tmp_path: Path, client: Client, head: RayHead, server: Settings, intruder: Intruder, reachable: Path
) -> None:
    own = own_task(tmp_path / "task", "wait", width="Choice(1)")
    marker = reachable / "ran"
    reachable.chmod(0o777)
    for folder in (server.home.parent, *server.home.parents[1:-2]):
        folder.chmod(0o755)  # the home alone protects what is in it
    assert client.call("submit", own.reference, "--search", "grid", "--study", "attacked")[0] == 0
    until(lambda: own.noted("begin", "width"), "a trial to begin")
    family = head.processes()
    ports = {port for one in family for port in _listens_at(one)}
    answers = {port: intruder.calls(_answers, port, str(marker)) for port in sorted({head.dashboard_port, *ports})}
    assert {status for _, _, status in answers[head.dashboard_port]} == {401, 403}
    figures = {port for port, said in answers.items() if ["GET", "//api/jobs/", 200] in said}  # whatever is asked
    assert head.dashboard_port not in figures
    assert all(
        intruder.does('curl -s "$1"', f"http://127.0.0.1:{port}").stdout.startswith("# HELP") for port in figures
    )
    open_ = {port: {status for *_, status in said} - {0, 401, 403, 404} for port, said in answers.items()}
    assert {port: statuses for port, statuses in open_.items() if statuses and port not in figures} == {}
    assert sum({status for *_, status in said} & {401, 403} != set() for said in answers.values()) >= 2  # an agent too

    for folder in (head.folder, server.home):
        assert intruder.does('find "$1" -mindepth 1 2>/dev/null', folder).stdout == ""
        assert intruder.does('touch "$1/planted"', folder).returncode != 0
    for one in family:
        place = Path("/proc") / str(one.pid)
        lines = intruder.does('cat "$1/cmdline" "$1/environ" "$1/mem"', place).stdout
        assert TOKEN not in lines
        assert "PATH=" not in lines

    own.go()
    assert client.call("logs", "attacked", "-f")[0] == 0
    assert {name: job["state"] for name, job in client.jobs().items() if name in ("attacked", "evil")} == {
        "attacked": "complete"
    }
    assert not marker.exists()
    assert [trial.attempts for trial in record(server, "attacked").trials] == [1]


def test_what_is_wrong_is_said_before_it_is_sent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("TUNE_JOBS_ADDRESS", raising=False)
    own = own_task(tmp_path / "task")
    own.file.with_name("incomplete.py").write_text("import beside\n" + own.file.read_text())
    (tmp_path / "bad.yaml").write_text("width: 1000\n")
    wrong = [
        ((own.reference, "--set", "width=9"), "width=9 is not in this space"),
        ((own.reference, "--trials", "0"), "Invalid value for '--trials'"),
        ((own.reference, "--study", "a/b"), "a study's name is letters"),
        ((own.reference, "--name", "a~2"), "a job's name is letters"),
        ((own.reference, "--try", str(tmp_path / "bad.yaml")), "bad.yaml"),
        ((own.reference, "--objective", "speed"), "--objective speed: its name"),
        ((own.reference, "--checkpoint-every", "1"), "has a training loop of its own"),
        ((str(own.file.with_name("incomplete.py")),), "No module named 'beside'"),
        (("no-such-task",), "no task named 'no-such-task'"),
        ((own.reference, "--home", "x"), "No such option"),
        (
            (own.reference, "--set", "width=1"),
            "needs the address of the cluster's dashboard: give --address",
        ),  # nothing else is wrong
    ]
    for words, what in wrong:
        assert cli.run(["submit", *words]) == 2
        out, said = capsys.readouterr()
        assert (out, said.count("\n")) == ("", 1), said
        assert what in said


def test_whoever_may_not_come_in_is_told_in_a_line(client: Client) -> None:
    refused = "needs a token, or refused the one of this process"
    ways = [
        (("jobs",), {"RAY_AUTH_TOKEN": "another"}, refused),
        (("jobs",), {"RAY_AUTH_MODE": "disabled"}, refused),
        (("jobs",), {"TUNE_JOBS_ADDRESS": "http://127.0.0.1:1"}, "no Ray dashboard answers at"),
        (("submit", "digits-mlp"), {"RAY_AUTH_TOKEN": "another"}, refused),
        (("logs", "mine"), {"RAY_AUTH_TOKEN": "another"}, refused),
        (("stop", "mine"), {"RAY_AUTH_TOKEN": "another"}, refused),
    ]
    processes = [(client.start(*words, **variables), what) for words, variables, what in ways]
    for process, what in processes:
        code, out, said = ended(process)
        assert (code, out, said.count("\n")) == (2, "", 1), said
        assert what in said
        assert "another" not in said
        assert TOKEN not in said


def _log(head: RayHead, job: str) -> str:
    (file,) = (head.folder / "head").glob(f"session_2*/logs/job-driver-{job}.log")
    return file.read_text()
