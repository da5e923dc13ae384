"""Start a node of Ray on loopback, a head or one that joins, without the services that no sweep uses.

`ray start` has no option that leaves them out, and `ray start --address` joins no head that listens on loopback alone.
"""

import sys
import time

from ray._private.node import Node
from ray._private.parameter import RayParams

from tune_jobs.execution import services

role, address, folder, cpus, gpus, agent_port, *name = sys.argv[1:]
ports = {"min_worker_port": 0, "max_worker_port": 0, "node_manager_port": 0, "object_manager_port": 0}
where = {"gcs_server_port": int(address.rpartition(":")[2])} if role == "head" else {"gcs_address": address}
params = RayParams(
    node_ip_address="127.0.0.1",
    node_name=name[0] if name else None,
    temp_dir=folder,
    num_cpus=float(cpus),
    num_gpus=int(gpus),
    include_log_monitor=False,
    no_monitor=True,
    include_dashboard=False,
    dashboard_agent_listen_port=int(agent_port),
    **ports,
    **where,
)
with services.without_unused_services():
    Node(params, head=role == "head", shutdown_at_exit=True, spawn_reaper=True)
print("Ray runtime started", flush=True)
time.sleep(3600)
