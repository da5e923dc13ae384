"""`tune-jobs`, and `python -m tune_jobs` where its script is not on the path: the command line as a process.

Python puts the working folder first on the import path of `python -m`. It is taken off before anything else is
imported, for it may have a `keras.py` or a `mlflow.py`. Then the process is prepared, for Ctrl-C may come while the
rest is imported.
"""

import os
import sys

if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109 (pathlib may be theirs)
    del sys.path[0]

from tune_jobs import process

process.prepare()
if sys.flags.optimize > 1:
    from tune_jobs import environment

    environment.restart_with_docstrings()


def main() -> None:
    """Run the command line of this process and exit with its exit code."""
    from tune_jobs import cli

    cli.main()


if __name__ == "__main__":
    main()
