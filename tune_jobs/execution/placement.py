"""Where the trials of a sweep are and may be: slots, drained devices, and what each device does.

Ray gives a worker its devices without asking anybody, so a worker reports where it is before it trains. On a drained
device, a worker that has trained leaves, which frees the device. A worker that has not trained is parked: it keeps what
Ray gave it and uses none of it, so that Ray gives it to no other worker.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from tune_jobs.execution.messages import Assignment, Place
from tune_jobs.execution.packing import Packing, Slots
from tune_jobs.live.activity import Device, Node
from tune_jobs.live.drains import Drained
from tune_jobs.training.devices import DeviceFigures

Instruction = Literal["train", "leave", "end"]  # to a worker; after "end" it gets another assignment


class Placement:
    """Follows the workers of a sweep, by Tune's ids of their trials."""

    def __init__(self, packing: Packing, drained: Callable[[], Drained] = Drained) -> None:
        self.packing = packing
        self._drained = drained
        self._parked: dict[str, Place] = {}
        self._places: dict[int, Place] = {}  # of trials that train
        self._gpu_names: dict[str, set[str]] = {}  # by node, as far as workers have reported them
        self._figures: dict[tuple[str, str], DeviceFigures] = {}  # by node and index

    @property
    def slots(self) -> Slots:
        return self.packing.slots

    @property
    def count(self) -> int:
        """How many trials can run at once now."""
        return max(0, self.slots.count - len(self._parked))

    @property
    def submitted(self) -> int:
        """How many trials Ray is given at once."""
        return self.slots.submitted

    @property
    def has_parked(self) -> bool:
        """True if any worker is parked."""
        return bool(self._parked)

    def instruct(self, tune_id: str, assignment: Assignment, place: Place, *, is_ready: bool) -> Instruction:
        """Decide what a worker does at its place. `is_ready` if it holds everything that training there needs."""
        self._gpu_names.setdefault(place.node, set()).update(place.gpus)
        if (assignment.cpus, assignment.gpus) != (self.slots.cpus, self.slots.gpus):
            return "leave"  # the packing has changed since
        if self._is_drained(place):
            if not is_ready:
                self._parked[tune_id] = place
            return "leave"
        return "train"

    def is_parked(self, tune_id: str) -> bool:
        return tune_id in self._parked

    def unpark(self, tune_id: str) -> bool:
        """Release a parked worker if its device is no longer drained. Return True if the worker is free."""
        place = self._parked.get(tune_id)
        if place is not None and self._is_drained(place):
            return False
        self._parked.pop(tune_id, None)
        return True

    def worker_lost(self, tune_id: str) -> None:
        self._parked.pop(tune_id, None)

    def trial_started(self, number: int, place: Place) -> None:
        self._places[number] = place

    def trial_ended(self, number: int) -> None:
        self._places.pop(number, None)

    def record_figures(self, number: int, figures: Iterable[DeviceFigures]) -> None:
        """Keep what a trial's worker read of its devices."""
        place = self._places.get(number)
        if place is not None:
            self._figures |= {(place.node, reading.index): reading for reading in figures}

    def devices(self, nodes: Iterable[Node]) -> tuple[Device, ...]:
        """Return every device of the nodes, with what is known of it."""
        drained = self._drained()
        return tuple(
            self._device(node, gpu, drained) for node in nodes for gpu in (self._gpus(node) if node.gpus else (None,))
        )

    def _gpus(self, node: Node) -> tuple[str, ...]:
        """Return the names of a node's GPUs: numbers from 0, unless CUDA_VISIBLE_DEVICES gave the node others."""
        numbers = {str(index) for index in range(node.gpus)}
        reported = self._gpu_names.get(node.identity, set())
        names = numbers if reported <= numbers else reported
        return tuple(sorted(names, key=lambda name: (len(name), name)))

    def _device(self, node: Node, gpu: str | None, drained: Drained) -> Device:
        """Return a GPU of a node; the whole node where `gpu` is None."""
        trials = tuple(
            sorted(
                number
                for number, place in self._places.items()
                if place.node == node.identity and (gpu is None or gpu in place.gpus)
            )
        )
        is_drained = drained.covers(node.names, () if gpu is None else (gpu,))
        figures = None if gpu is None else self._figures.get((node.identity, gpu))
        if figures is None:
            return Device(node.name, gpu, trials, is_drained)
        return Device(
            node.name,
            gpu,
            trials,
            is_drained,
            figures.memory_used_mb,
            figures.memory_total_mb,
            figures.utilisation,
        )

    def _is_drained(self, place: Place) -> bool:
        names = (place.node, place.node[:8], place.name, place.address)
        return self._drained().covers(names, place.gpus)
