"""`python -m tune_jobs`: the command line, where its script is not on the path.

Python puts the working folder first on the import path. It is taken off before anything else is imported, for it may
have a `keras.py` or a `mlflow.py`.
"""

import os
import sys

if not sys.flags.safe_path and sys.path and sys.path[0] in ("", os.getcwd()):  # noqa: PTH109 (pathlib may be theirs)
    del sys.path[0]

from tune_jobs.cli import main

main()
