"""Hold a study's lock, and say so, until this process is killed."""

import sys
import time
from pathlib import Path

from sqlalchemy import create_engine

from tune_jobs.study.locks import StudyLock

name, path, url = sys.argv[1:]
with StudyLock(name, Path(path), create_engine(url) if url else None).hold():
    print("held", flush=True)
    time.sleep(600)
