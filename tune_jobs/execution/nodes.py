"""The machines of a Ray cluster, as far as trials are placed on them."""

from __future__ import annotations

from collections import Counter

import ray

from tune_jobs.execution.messages import Place
from tune_jobs.live.activity import Node


def alive() -> tuple[Node, ...]:
    """The nodes that there are now, each under a name of its own: the one `ray start --node-name` gave it, else its
    host's, else a piece of Ray's id."""
    said = [node for node in ray.nodes() if node["Alive"]]
    names = [_name(node) for node in said]
    shared = {name for name, n in Counter(names).items() if n > 1}
    return tuple(
        Node(
            identity=node["NodeID"],
            name=node["NodeID"][:8] if name in shared else name,
            address=node["NodeManagerAddress"],
            gpus=int(node["Resources"].get("GPU", 0)),
        )
        for node, name in zip(said, names, strict=True)
    )


def own_place() -> Place:
    """Where this worker is."""
    mine = ray.get_runtime_context().get_node_id()
    gpus = tuple(str(index) for index in ray.get_gpu_ids())
    for node in alive():
        if node.identity == mine:
            return Place(mine, node.name, node.address, gpus)
    return Place(mine, mine[:8], "", gpus)


def _name(node: dict[str, str]) -> str:
    given, address = node["NodeName"], node["NodeManagerAddress"]
    return node["NodeManagerHostname"] if given in ("", address) else given
