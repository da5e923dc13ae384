"""docker/restore.sh with real databases and without containers: a dump that is damaged costs nothing."""

from __future__ import annotations

import gzip
import hashlib
import os
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers import PostgresServer, private_postgres

pytestmark = [pytest.mark.postgres, pytest.mark.slow]
SCRIPT = Path(__file__).parents[2] / "docker" / "restore.sh"
DATABASES = {"studies": "tune_jobs", "mlflow": "mlflow", "mlflow_auth": "mlflow"}  # with their owners
CONTAINERS = """#!/bin/sh
# `docker compose …`: PostgreSQL's programs run here, and what is done to other services is noted
while [ "$1" != exec ] && [ "$1" != up ] && [ "$1" != stop ] && [ "$1" != run ]; do shift; done
echo "$*" >>"$CALLS"
[ "$1" = exec ] || {{ [ "$1" != run ] || cat >/dev/null; exit 0; }}
shift 3
program=$1; shift
export PGHOST=127.0.0.1 PGPORT={port} PGDATABASE=postgres
[ "$program" != createdb ] && [ "$program" != dropdb ] || unset PGDATABASE
exec {programs}/"$program" "$@"
"""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with private_postgres() as server:
        call(server, "psql", "-d", "postgres", "-c", "CREATE ROLE postgres SUPERUSER LOGIN")
        call(server, "psql", "-d", "postgres", "-c", "CREATE ROLE mlflow LOGIN")
        for name, owner in DATABASES.items():
            call(server, "createdb", "-O", owner, name)
            call(server, "psql", "-d", name, "-c", "CREATE TABLE t AS SELECT n FROM generate_series(1, 5000) n")
        yield server


def call(server: PostgresServer, program: str, *words: str) -> str:
    where = ["-h", "127.0.0.1", "-p", str(server.port), "-U", "tune_jobs"]
    command = [str(server._programs / program), *where, *words]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def rows(server: PostgresServer) -> dict[str, int]:
    """How many rows each database has."""
    return {name: int(call(server, "psql", "-d", name, "-Atc", "SELECT count(*) FROM t")) for name in DATABASES}


@pytest.fixture
def backup(server: PostgresServer, tmp_path: Path) -> Path:
    folder = tmp_path / "backup"
    folder.mkdir()
    for name in DATABASES:
        call(server, "pg_dump", "-Fc", "-f", str(folder / f"{name}.dump"), name)
    for name in ("mlflow", "home"):
        with tarfile.open(folder / f"{name}.tar.gz", "w:gz"):
            pass
    seal(folder)
    return folder


def seal(folder: Path) -> None:
    files = sorted(file for file in folder.iterdir() if file.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in files]
    (folder / "SHA256SUMS").write_text("".join(lines))


def restore(server: PostgresServer, folder: Path) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the script; return how it ended, and what it did to services that are no database."""
    docker, calls = folder.parent / "docker", folder.parent / "calls"
    docker.write_text(CONTAINERS.format(port=server.port, programs=server._programs))
    docker.chmod(0o755)
    calls.write_text("")
    variables = {"DOCKER": str(docker), "CALLS": str(calls), "ENV_FILE": os.devnull}
    done = subprocess.run(
        ["bash", str(SCRIPT), str(folder)], env=os.environ | variables, capture_output=True, text=True, check=False
    )
    return done, [line for line in calls.read_text().splitlines() if line.startswith(("stop", "run"))]


def test_what_was_backed_up_is_there_again_and_has_its_owner(server: PostgresServer, backup: Path) -> None:
    before = rows(server)
    for name in DATABASES:
        call(server, "psql", "-d", name, "-c", "DELETE FROM t")
    done, calls = restore(server, backup)
    assert done.returncode == 0, done.stderr
    assert rows(server) == before
    assert [call.split()[0] for call in calls] == ["stop", "run", "run"]
    owners = call(server, "psql", "-d", "mlflow", "-Atc", "SELECT tableowner FROM pg_tables WHERE tablename = 't'")
    assert owners.strip() == "mlflow"


@pytest.mark.parametrize("damage", ["cut", "flipped", "other sum", "cut archive"])
def test_a_damaged_backup_changes_nothing(server: PostgresServer, backup: Path, damage: str) -> None:
    dump, before = backup / "mlflow_auth.dump", rows(server)
    content = dump.read_bytes()
    if damage == "cut":
        dump.write_bytes(content[: len(content) * 2 // 3])
    elif damage == "cut archive":
        (backup / "home.tar.gz").write_bytes(gzip.compress(b"x" * 2000)[:20])
    else:
        place = len(content) * 3 // 4
        dump.write_bytes(content[:place] + bytes([content[place] ^ 0x10]) + content[place + 1 :])
    if damage != "other sum":
        seal(backup)  # it was damaged before its sum was taken
    done, calls = restore(server, backup)
    assert done.returncode != 0
    assert rows(server) == before
    assert calls == []  # nobody was stopped
