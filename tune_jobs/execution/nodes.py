"""The machines of a Ray cluster, and where on them this worker is."""

from __future__ import annotations

from collections import Counter

import ray

from tune_jobs.execution.messages import Place
from tune_jobs.live.activity import Node


def alive() -> tuple[Node, ...]:
    """Return the cluster's nodes that are alive, each under a unique name.

    A node is named as `ray start --node-name` named it, else after its host, else by the beginning of Ray's id.
    """
    nodes = [node for node in ray.nodes() if node["Alive"]]
    names = [_name(node) for node in nodes]
    shared = {name for name, count in Counter(names).items() if count > 1}
    return tuple(
        Node(
            identity=node["NodeID"],
            name=node["NodeID"][:8] if name in shared else name,
            address=node["NodeManagerAddress"],
            gpus=int(node["Resources"].get("GPU", 0)),
        )
        for node, name in zip(nodes, names, strict=True)
    )


def own_place() -> Place:
    """Return the node and the GPUs of this worker."""
    own_id = ray.get_runtime_context().get_node_id()
    gpus = tuple(str(index) for index in ray.get_gpu_ids())
    for node in alive():
        if node.identity == own_id:
            return Place(own_id, node.name, node.address, gpus)
    return Place(own_id, own_id[:8], "", gpus)


def _name(node: dict[str, str]) -> str:
    name, address = node["NodeName"], node["NodeManagerAddress"]  # Ray names a node after its address by default
    return node["NodeManagerHostname"] if name in ("", address) else name
