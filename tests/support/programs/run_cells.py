"""Run scripts, notebooks' code cells and pages' Python blocks, one after the other in one process with one Ray.

What each defines is in a `__main__` of its own, which has a file where it is a script. Each runs in a folder of its
own, named as the file without its ending, which is its home too. There is one worker at a time, because each further
one would import TensorFlow. Nothing is delivered to MLflow.
"""

import asyncio
import json
import os
import re
import runpy
import sys
from pathlib import Path
from types import ModuleType

from tune_jobs.execution.ray_variables import prepare_ray


def cells(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


def run(path):
    if path.suffix == ".py":
        runpy.run_path(str(path), run_name="__main__")
    else:
        asyncio.run(run_cells(path))


async def run_cells(path):
    """Run cells inside an event loop, as a notebook's kernel does."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    for number, source in enumerate(cells(path), start=1):
        exec(compile(source, f"<cell {number}>", "exec"), vars(module))
        print(f"ran cell {number}")


files, folder = [Path(name) for name in sys.argv[1:]], Path.cwd()
prepare_ray(is_own_cluster=True)
import without_mlflow  # noqa: E402, F401

from tune_jobs.execution import cluster  # noqa: E402 - it imports Ray

slots = cluster.slots
cluster.slots = lambda cpus, gpus, max_concurrent: slots(cpus, gpus, 1)
with cluster.connection(None):
    for file in files:
        own = folder / file.stem
        own.mkdir()
        os.chdir(own)
        os.environ["TUNE_JOBS_HOME"] = str(own / "home")
        print(f"begin {file.name}")
        run(file)
