"""Run a notebook's code cells, a page's Python blocks or a script in one process with one Ray and one worker.

As in a notebook, what they define is in `__main__`, which has no file. Each further worker would import TensorFlow.
"""

import asyncio
import json
import re
import sys
from pathlib import Path

from tune_jobs.settings import prepare_ray


def cells(path):
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".py":
        return [text]
    if path.suffix == ".ipynb":
        return ["".join(cell["source"]) for cell in json.loads(text)["cells"] if cell["cell_type"] == "code"]
    return re.findall(r"```python\n(.*?)```", text, re.DOTALL)


async def run(sources):
    """Run them inside an event loop, as a notebook's kernel does."""
    for number, source in enumerate(sources, start=1):
        exec(compile(source, f"<cell {number}>", "exec"), vars(sys.modules["__main__"]))
        print(f"ran cell {number}")


sources = cells(Path(sys.argv[1]))
del __file__
prepare_ray(is_own_cluster=True)
from tune_jobs.execution import cluster  # noqa: E402 - it imports Ray

slots = cluster.slots
cluster.slots = lambda cpus, gpus, max_concurrent: slots(cpus, gpus, 1)
with cluster.connection(None):
    asyncio.run(run(sources))
