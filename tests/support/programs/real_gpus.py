"""Train on the first GPUs together, as many as the argument says, and print as JSON how many and the score."""

import json
import sys

from tune_jobs.training import tensorflow_start

n_gpus = int(sys.argv[1])
tensorflow_start.start(1, n_gpus)

from tests.support.several_devices import DATA, TASK  # noqa: E402
from tune_jobs.training import replicas  # noqa: E402
from tune_jobs.training.runs import run_trial  # noqa: E402

task = TASK("float32")
print(json.dumps({"devices": replicas.count(), "score": run_trial(task, task.baseline, DATA, seed=3).score}))
