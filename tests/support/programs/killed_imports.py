"""Import a study and die in the midst, once for each line of standard input: the exit code of each, a line each.

A line is a JSON list: the file, the home, the storage (or null), and after how many writes the process ends. Each
import is a child of this process, which has imported what they need.
"""

import json
import os
import sys
from pathlib import Path

import psycopg  # noqa: F401 - for the children
import sqlalchemy.dialects.postgresql  # noqa: F401

from tune_jobs import exports  # noqa: F401
from tune_jobs.actions import portable
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study


def die_after(writes: int) -> None:
    """End this process without anything that Python would still do on its way out."""
    left = [writes]
    for name in ("_note", "_make_trial"):
        whole = getattr(Study, name)

        def write(self: Study, *args: object, whole: object = whole) -> object:
            made = whole(self, *args)  # type: ignore[operator]
            left[0] -= 1
            if left[0] == 0:
                os._exit(9)
            return made

        setattr(Study, name, write)


for line in sys.stdin:
    file, home, storage, writes = json.loads(line)
    child = os.fork()
    if not child:
        die_after(writes)
        portable.import_study(Path(file), None, Settings(Path(home), Path(home), storage, "nowhere"), print)
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
