"""Join a Ray cluster as `ray start --address` does, which joins none that listens on loopback alone."""

import sys
import time

from ray._private.node import Node
from ray._private.parameter import RayParams

address, folder, cpus, gpus = sys.argv[1:]
ports = {"min_worker_port": 0, "max_worker_port": 0, "node_manager_port": 0, "object_manager_port": 0}
size = {"num_cpus": float(cpus), "num_gpus": int(gpus)}
params = RayParams(gcs_address=address, temp_dir=folder, include_log_monitor=False, **ports, **size)
Node(params, head=False, shutdown_at_exit=True, spawn_reaper=True)
print("Ray runtime started", flush=True)
time.sleep(3600)
