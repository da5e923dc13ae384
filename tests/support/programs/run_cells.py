"""Run notebooks' code cells, pages' Python blocks and scripts, one after the other in one process with one Ray.

As in a notebook, what each defines is in a `__main__` of its own, which has no file. Each runs in a folder of its own,
named as the file without its ending, which is its home too. There is one worker at a time, because each further one
would import TensorFlow, and this process delivers to MLflow, because each further one would import MLflow.
"""

import asyncio
import json
import os
import re
import sys
from contextlib import nullcontext
from pathlib import Path
from types import ModuleType, SimpleNamespace

from tune_jobs.execution.ray_variables import prepare_ray


def cells(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [text]
    if path.suffix == ".ipynb":
        return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


async def run(path):
    """Run a file inside an event loop, as a notebook's kernel does."""
    module = sys.modules["__main__"] = ModuleType("__main__")
    for number, source in enumerate(cells(path), start=1):
        exec(compile(source, f"<cell {number}>", "exec"), vars(module))
        print(f"ran cell {number}")


def alongside(name, settings):
    return nullcontext(
        SimpleNamespace(
            sweep_began=lambda: None, sweep_ended=lambda: None, wait=lambda: bool(delivery.deliver_once(name, settings))
        )
    )


files, folder = [Path(name) for name in sys.argv[1:]], Path.cwd()
prepare_ray(is_own_cluster=True)
from tune_jobs.execution import cluster  # noqa: E402 - it imports Ray
from tune_jobs.tracking import delivery  # noqa: E402

slots = cluster.slots
delivery.alongside = alongside
cluster.slots = lambda cpus, gpus, max_concurrent: slots(cpus, gpus, 1)
with cluster.connection(None):
    for file in files:
        own = folder / file.stem
        own.mkdir()
        os.chdir(own)
        os.environ["TUNE_JOBS_HOME"] = str(own / "home")
        print(f"begin {file.name}")
        asyncio.run(run(file))
