"""Where the trials of a sweep are, and where they may be: slots, drained devices, and what each device does.

Ray gives a worker its devices and asks nobody. So a worker says where it is before it trains. On a drained device one
that has trained leaves, which frees the device, and one that has not is parked: it holds what Ray gave it, so that Ray
gives that to no other, and nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal

from tune_jobs.execution.messages import Assignment, Place
from tune_jobs.execution.packing import Packing, Slots
from tune_jobs.live.activity import Device, Node
from tune_jobs.live.drains import Drained
from tune_jobs.training.devices import DeviceFigures

Answer = Literal["train", "leave", "end"]  # to a worker that says where it is; "end" gives it another turn


class Placement:
    """Follows the workers of a sweep by Tune's ids of their trials."""

    def __init__(self, packing: Packing, drained: Callable[[], Drained] = Drained) -> None:
        self.packing = packing
        self._drained = drained
        self._parked: dict[str, Place] = {}
        self._places: dict[int, Place] = {}  # of trials that train
        self._seen: dict[str, set[str]] = {}  # what the GPUs of each node are called, as far as workers have told
        self._figures: dict[tuple[str, str], DeviceFigures] = {}  # by node and index

    @property
    def slots(self) -> Slots:
        return self.packing.slots

    @property
    def count(self) -> int:
        """How many trials run at once, as things are."""
        return max(0, self.slots.count - len(self._parked))

    @property
    def held(self) -> int:
        """How many trials Ray is given at once."""
        return self.slots.held

    @property
    def is_holding(self) -> bool:
        """Whether any worker is parked: Tune would wait for it for ever."""
        return bool(self._parked)

    def answer(self, tune_id: str, turn: Assignment, place: Place, *, is_ready: bool) -> Answer:
        """What a worker is to do at its place with a turn; `is_ready` if it has everything to train there."""
        self._seen.setdefault(place.node, set()).update(place.gpus)
        if (turn.cpus, turn.gpus) != (self.slots.cpus, self.slots.gpus):
            return "leave"
        if self._is_drained(place):
            if not is_ready:
                self._parked[tune_id] = place
            return "leave"
        return "train"

    def parks(self, tune_id: str) -> bool:
        """Whether a worker that leaves is to stay, parked, where it is."""
        return tune_id in self._parked

    def returns(self, tune_id: str) -> bool:
        """Whether a parked worker's device was given back, so that it may take a turn."""
        place = self._parked.get(tune_id)
        if place is not None and self._is_drained(place):
            return False
        self._parked.pop(tune_id, None)
        return True

    def gone(self, tune_id: str) -> None:
        """A worker died."""
        self._parked.pop(tune_id, None)

    def began(self, trial: int, place: Place) -> None:
        self._places[trial] = place

    def ended(self, trial: int) -> None:
        self._places.pop(trial, None)

    def read(self, trial: int, figures: Iterable[DeviceFigures]) -> None:
        """Takes what the worker of a trial read of its devices."""
        place = self._places.get(trial)
        if place is not None:
            self._figures |= {(place.node, one.index): one for one in figures}

    def devices(self, nodes: Iterable[Node]) -> tuple[Device, ...]:
        """Every device of the nodes, as far as is known what it does."""
        drained = self._drained()
        return tuple(
            self._device(node, gpu, drained) for node in nodes for gpu in (self._gpus(node) if node.gpus else (None,))
        )

    def _gpus(self, node: Node) -> tuple[str, ...]:
        """What the node's GPUs are called: their numbers from 0, unless CUDA_VISIBLE_DEVICES gave the node others."""
        numbers = {str(index) for index in range(node.gpus)}
        seen = self._seen.get(node.identity, set())
        return tuple(sorted(numbers if seen <= numbers else seen, key=lambda name: (len(name), name)))

    def _device(self, node: Node, gpu: str | None, drained: Drained) -> Device:
        here = [
            trial
            for trial, place in self._places.items()
            if place.node == node.identity and (gpu is None or gpu in place.gpus)
        ]
        is_drained = drained.covers(node.names, () if gpu is None else (gpu,))
        figures = None if gpu is None else self._figures.get((node.identity, gpu))
        if figures is None:
            return Device(node.name, gpu, tuple(sorted(here)), is_drained)
        return Device(
            node.name,
            gpu,
            tuple(sorted(here)),
            is_drained,
            figures.memory_used_mb,
            figures.memory_total_mb,
            figures.utilisation,
        )

    def _is_drained(self, place: Place) -> bool:
        names = (place.node, place.node[:8], place.name, place.address)
        return self._drained().covers(names, place.gpus)
