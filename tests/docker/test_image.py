"""The Dockerfile, its entry point and the worker's start, without a container."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

DOCKER = Path(__file__).parents[2] / "docker"
SCRIPTS = sorted(DOCKER.rglob("*.sh"))
GOOD = "3f9c1d5e7a2b4c6d8e0f1a2b"


def stages() -> dict[str, list[str]]:
    """The Dockerfile's stages, each as its instructions."""
    text = re.sub(r"\\\n", " ", (DOCKER / "Dockerfile").read_text())
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    found: dict[str, list[str]] = {"": []}
    for line in lines:
        stage = re.fullmatch(r"FROM (\S+) AS (\S+)", line)
        if stage:
            found[stage[2]] = list(found.get(stage[1], ()))
        list(found.values())[-1].append(line)
    return found


def start(tmp_path: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = f"{tmp_path / 'bin'}:/usr/bin:/bin"
    return subprocess.run(words, env={"PATH": path, **environment}, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("target", ["cpu", "gpu"])
def test_a_target_is_unprivileged_and_knows_its_health(target: str) -> None:
    instructions = stages()[target]
    assert [line for line in instructions if line.startswith("USER")] == ["USER 1000:1000"]
    assert any(line.startswith("HEALTHCHECK") and "health.py" in line for line in instructions)
    code = next(i for i, line in enumerate(instructions) if "/wheels" in line)
    dependencies = next(i for i, line in enumerate(instructions) if f"--from=dependencies-{target} " in line)
    assert dependencies < code
    assert instructions.index("USER 1000:1000") > code


def test_the_targets_differ_in_their_lock_and_in_what_the_driver_reads() -> None:
    cpu, gpu = (set(stages()[target]) for target in ("cpu", "gpu"))
    assert {line.replace("-gpu", "-cpu") for line in gpu - cpu if not re.search("NVIDIA|FROM", line)} == {
        line for line in cpu - gpu if "FROM" not in line
    }


def test_packages_come_with_hashes_and_no_secret_is_built_in() -> None:
    text = (DOCKER / "Dockerfile").read_text()
    assert "PIP_REQUIRE_HASHES=1" in text
    assert "PIP_ONLY_BINARY=:all:" in text
    assert not re.search(r"(PASSWORD|TOKEN|SECRET|_KEY)", text)
    assert not re.search(r"^ADD |curl|wget|https?://|index-url", text, re.M)


def test_the_image_is_made_of_named_files_alone() -> None:
    lines = (DOCKER.parent / ".dockerignore").read_text().splitlines()
    assert lines[1] == "*"
    kept = [line[1:] for line in lines if line.startswith("!")]
    assert all(list(DOCKER.parent.glob(name)) for name in kept)
    assert not [name for name in kept if "env" in name]
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (DOCKER / "Dockerfile").read_text(), re.M)
    for name in " ".join(copied).split():
        assert any(Path(name).match(pattern) for pattern in kept), name


@pytest.mark.parametrize("script", SCRIPTS, ids=[script.name for script in SCRIPTS])
def test_a_script_is_one_and_can_be_run(script: Path) -> None:
    shell = "bash" if "bash" in script.read_text().splitlines()[0] else "sh"
    subprocess.run([shell, "-n", str(script)], check=True)
    assert script.stat().st_mode & 0o111


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ("", "has 0 characters"),
        ("short", "has 5 characters"),
        ("password1234password", "example that everybody knows"),
        ("CHANGE-ME-CHANGE-ME", "example that everybody knows"),
        ("a blank in the middle of it", "blank"),
        (GOOD, None),
    ],
)
def test_a_bad_secret_stops_the_container(tmp_path: Path, value: str, why: str | None) -> None:
    entry = str(DOCKER / "entrypoint.sh")
    done = start(tmp_path, entry, "echo", "it runs", RAY_AUTH_TOKEN=value, PGPASSWORD=GOOD)
    if why is None:
        assert (done.returncode, done.stdout) == (0, "it runs\n")
        return
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("RAY_AUTH_TOKEN ")
    assert why in done.stderr
    assert value not in done.stderr or len(value) < 6


def test_the_secrets_of_the_example_are_refused_and_new_ones_are_not(tmp_path: Path) -> None:
    entry, made = str(DOCKER / "entrypoint.sh"), tmp_path / "env"
    subprocess.run([str(DOCKER / "new-env.sh"), str(made)], check=True, capture_output=True)
    assert made.stat().st_mode & 0o077 == 0
    example, new = (
        dict(line.split("=", 1) for line in file.read_text().splitlines() if re.match(r"[A-Z_]+=", line))
        for file in (DOCKER / ".env.example", made)
    )
    secrets = {name for name, value in example.items() if value == "change-me"}
    assert len({new[name] for name in secrets}) == len(secrets) == 7
    assert {name: value for name, value in new.items() if name not in secrets} == {
        name: value for name, value in example.items() if name not in secrets
    }
    for name in secrets:
        checked = {
            "MLFLOW_ADMIN_PASSWORD": "MLFLOW_AUTH_ADMIN_PASSWORD",
            "MLFLOW_SECRET_KEY": "MLFLOW_FLASK_SERVER_SECRET_KEY",
        }
        variable = checked.get(name, name)
        assert start(tmp_path, entry, "true", **{variable: example[name]}).returncode == 2, name
        assert start(tmp_path, entry, "true", **{variable: new[name]}).returncode == 0, name
    again = subprocess.run([str(DOCKER / "new-env.sh"), str(made)], capture_output=True, text=True, check=False)
    assert (again.returncode, "there already" in again.stderr) == (2, True)


class _Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/well" else 503)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.mark.slow
def test_health_is_what_the_address_answers() -> None:
    server = HTTPServer(("127.0.0.1", 0), _Health)
    Thread(target=server.serve_forever, daemon=True).start()
    here = f"http://127.0.0.1:{server.server_port}"

    def health(url: str | None) -> int:
        environment = {"PATH": "/usr/bin:/bin"} | ({"HEALTH_URL": url} if url else {})
        command = [sys.executable, str(DOCKER / "health.py")]
        return subprocess.run(command, env=environment, capture_output=True, check=False).returncode

    assert [health(None), health(f"{here}/well"), health(f"{here}/ill"), health("http://127.0.0.1:9")] == [0, 0, 1, 1]
    server.shutdown()
    server.server_close()


def test_workers_of_a_machine_share_its_gpus_out_among_them(tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, body in {
        "nvidia-smi": "printf 'GPU-a\\nGPU-b\\nGPU-c\\n'",
        # as Ray would: it says what it was given, and stays
        "ray": f"{sys.executable} -c 'import json, os, sys; "
        'print(json.dumps([os.environ.get("CUDA_VISIBLE_DEVICES"), sys.argv[1:]]), flush=True); '
        'sys.stdin.read()\' "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\nexec {body}\n" if name == "ray" else f"#!/bin/sh\n{body}\n")
        (programs / name).chmod(0o755)
    environment = {"PATH": f"{programs}:/usr/bin:/bin", "GPU_LOCKS": str(tmp_path), "RAY_HEAD": "head:6379"}

    def worker(**more: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        command = [str(DOCKER / "worker.sh"), "--node-ip-address=10.0.0.1"]
        return subprocess.Popen(command, env=environment | more, stdin=pipe, stdout=pipe, stderr=pipe, text=True)

    def said(process: subprocess.Popen[str]) -> list[object]:
        assert process.stdout is not None
        answer: list[object] = json.loads(process.stdout.readline())
        return answer

    workers = [worker(WORKER_GPUS="1"), worker(WORKER_GPUS="2", WORKER_CPUS="4")]
    first, second = sorted(map(said, workers), key=lambda words: len(str(words[0])))
    assert {*str(first[0]).split(","), *str(second[0]).split(",")} == {"GPU-a", "GPU-b", "GPU-c"}
    assert "--num-gpus=2" in str(second[1])
    assert "--num-cpus=4" in str(second[1])
    assert "'--node-ip-address=10.0.0.1'" in str(first[1])
    none_left = worker(WORKER_GPUS="1")
    _, words = none_left.communicate(timeout=20)
    assert (none_left.returncode, "only 0 GPUs are free" in words) == (2, True)
    workers[0].communicate(timeout=20)  # it ends, and its GPU is free
    heir = worker(WORKER_GPUS="1")
    assert said(heir)[0] == str(first[0])
    for gpus, expected in {"0": "--num-gpus=0", "all": "--address=head:6379"}.items():
        process = worker(WORKER_GPUS=gpus)
        devices, options = said(process)
        assert devices is None
        assert expected in str(options)
        process.communicate(timeout=20)
    refused = worker(WORKER_GPUS="some")
    assert refused.communicate(timeout=20)[1] == "WORKER_GPUS is a number or 'all', not 'some'\n"
    for process in (workers[1], heir):
        process.communicate(timeout=20)
