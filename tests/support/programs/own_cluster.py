"""Start a Ray of our own and hold it until standard input closes.

Print its folder, or the variables that it left in the environment.
"""

import os
import sys

from tune_jobs.execution.ray_variables import prepare_ray

prepare_ray(is_own_cluster=True)  # as a sweep does before Ray is imported

from tune_jobs.execution import cluster, tokens  # noqa: E402

before = dict(os.environ)
with cluster.connection(None):
    changed = [name for name, value in os.environ.items() if before.get(name) != value and "AUTH" in name]
    print(changed or tokens.private_folder(), flush=True)
    sys.stdin.read()
