"""Run many commands at once: a mapping from names to words on standard input, their exit codes on standard output.

Each is `tune-jobs` from its first line to its exit code, in a child of this process, which has imported what they need:
this is about studies side by side, and not about as many times the same imports. It has not imported Ray, whose random
ids would be the same in all of them. What a command prints is in a file of its name. Nothing is delivered to MLflow.
"""

import json
import os
import sys
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any, cast

import pandas  # noqa: F401 - as those below, for the children
import psycopg  # noqa: F401
import pyarrow.fs  # noqa: F401
import sqlalchemy.dialects.postgresql  # noqa: F401

from tune_jobs import cli
from tune_jobs.actions import launch  # noqa: F401
from tune_jobs.tracking import delivery

_DELIVERED = SimpleNamespace(sweep_ended=lambda: None, is_complete=lambda: True)
cast(Any, delivery).alongside = lambda *_: nullcontext(_DELIVERED)

children = {}
for name, words in json.load(sys.stdin).items():
    child = os.fork()
    if not child:
        for descriptor in (1, 2):
            os.dup2(os.open(f"{name}.said", os.O_CREAT | os.O_WRONLY | os.O_APPEND), descriptor)
        os._exit(cli.run(words))
    children[child] = name
codes = {}
while children:
    child, status = os.wait()
    codes[children.pop(child)] = os.waitstatus_to_exitcode(status)
print(json.dumps(codes))
