"""Run commands in children of this process, which has imported what they need: Ray and Tune alone take seconds.

Standard input is a Unix socket. A request is a JSON object: the `words` of a command line, its `environment`, its
`folder` and Python to run `before`; with it come two descriptors, for standard output and standard error. The answers
are the process id of the child and, once it has ended, its exit code.
"""

import gc
import json
import os
import signal
import socket
import sys
import threading
from select import select
from typing import Any

from tune_jobs import process  # noqa: F401 (what it registers for the exit is called last, so it comes first)
from tune_jobs.execution.ray_variables import prepare_ray

gc.disable()
prepare_ray(is_own_cluster=False)

import psycopg  # noqa: E402, F401
import ray.job_submission  # noqa: E402
import ray.tune  # noqa: E402, F401
import sqlalchemy.dialects.postgresql  # noqa: E402, F401
from ray._raylet import WorkerID  # noqa: E402

from tune_jobs import cli, exports  # noqa: E402, F401
from tune_jobs.actions import evaluate, launch, replicate  # noqa: E402, F401
from tune_jobs.execution import cluster, driver, evaluators, jobs, tokens  # noqa: E402, F401


def serve() -> dict[str, Any]:
    """Answer requests. Only the children return, each with its own."""
    server = socket.socket(fileno=0)
    children: set[int] = set()
    number = 0
    while True:
        readable, _, _ = select([server], [], [], 0.02)
        if readable:
            message, descriptors, _, _ = socket.recv_fds(server, 1 << 20, 2)
            if not message:  # whoever asked has ended
                sys.exit()
            number += 1
            request: dict[str, Any] = json.loads(message)
            if not (child := os.fork()):
                become(request, descriptors, number)
                return request
            os.setpgid(child, child)
            children.add(child)
            for descriptor in descriptors:
                os.close(descriptor)
            server.send(json.dumps({"pid": child}).encode())
        for child in list(children):
            ended, status = os.waitpid(child, os.WNOHANG)
            if ended:
                children.remove(child)
                server.send(json.dumps({"pid": child, "code": os.waitstatus_to_exitcode(status)}).encode())


def become(request: dict[str, Any], descriptors: list[int], number: int) -> None:
    """Make this child the process that a shell would have started."""
    os.setpgid(0, 0)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, target in zip((nothing, *descriptors), (0, 1, 2), strict=True):
        os.dup2(descriptor, target)
        os.close(descriptor)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    tokens._reload()
    draw(number)


def draw(number: int) -> None:
    """Draw random ids as often as no other child: those that follow are then of this one alone."""
    for _ in range(20 * number):
        thread = threading.Thread(target=WorkerID.from_random)
        thread.start()
        thread.join()
        WorkerID.from_random()


gc.freeze()  # so that the children share it
gc.enable()
request = serve()
exec(request["before"])
cli.main(request["words"])
