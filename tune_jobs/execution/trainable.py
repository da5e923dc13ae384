"""The class of workers as Ray Tune sees it, in the driver. What runs in the workers is `worker.TrialWorker`.

Ray sends a class to workers as pickle has it. This one is pickled as `TrialWorker`, so that no worker imports Ray Tune:
what a worker imports before its task takes 1.3 s of CPU in place of 3.8 (2 cores, Ray 2.60).
"""

from __future__ import annotations

import copyreg
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import ray
from ray import tune
from ray.train._internal.storage import StorageContext
from ray.tune.execution.class_cache import _ActorClassCache
from ray.tune.experiment.trial import _TrialInfo
from ray.util import serialization

from tune_jobs.execution import worker, worker_forks
from tune_jobs.execution.messages import Assignment
from tune_jobs.execution.worker import SweepContext

_UNUSED = (StorageContext, _TrialInfo)  # which Tune sends to each worker; to read them a worker would import Tune


class _Trainable(tune.Trainable, metaclass=worker.PickledAsWorker):  # type: ignore[misc]
    """A worker, as far as the driver has to know of it."""

    context: ray.ObjectRef | None = None  # of the sweep that runs; each worker is given it with its class

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        return tune.PlacementGroupFactory([Assignment.from_config(config).resources])

    def leave(self, parks: bool) -> None:
        """See `TrialWorker.leave`."""


# Ray makes a subclass of what it is given and pickles that as a whole, Tune's methods too, unless it made the class
TrialActor: Any = worker.as_actor_class(_Trainable)
TrialActor.__qualname__ = "TrialActor"


@contextmanager
def actor_class(context: SweepContext) -> Iterator[type]:
    """Yield the class for a sweep; within the block its workers get `context` and nothing of Tune's own."""
    TrialActor.context = ray.put(context)
    get_class = _ActorClassCache.get
    if worker_forks.is_own_ray():  # whose workers have the variables of this process without it
        _ActorClassCache.get = _without_environment
    for unused in _UNUSED:
        serialization.register_serializer(unused, serializer=worker.nothing, deserializer=worker.nothing)
    try:
        yield TrialActor
    finally:
        TrialActor.context, _ActorClassCache.get = None, get_class
        for unused in _UNUSED:
            serialization.deregister_serializer(unused)


def _without_environment(cache: _ActorClassCache, trainable: type) -> Any:
    """Return the remote class as Tune does, without a runtime environment: Ray would start an agent for it."""
    if trainable not in cache._cache:
        cache._cache[trainable] = ray.remote(trainable)
    return cache._cache[trainable]


def _as_worker(actor: Any) -> tuple[Any, ...]:
    return worker.class_for, (actor.context,)


copyreg.pickle(worker.PickledAsWorker, _as_worker)
