"""A figure that a report prints for a configuration of a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from tune_jobs.models.plain_values import make_plain
from tune_jobs.search_spaces.declarations import plain_params, why_no_params
from tune_jobs.search_spaces.protocol import TaskError, is_count
from tune_jobs.search_spaces.scalars import Params


@dataclass(frozen=True)
class Reported:
    """A figure that a report prints for one configuration, for comparison with ours.

    A configuration that was transferred from another task has no `params`; `place` is its place on the leaderboard of
    that task's study.

    Raises:
        TaskError: both `params` and `place` are given, or neither.
    """

    table: str
    setting: str
    value: float
    params: Params | None = field(hash=False)
    metric: str = "test_accuracy"
    place: int | None = None
    epochs: int | None = None  # that the report trained, where they are not the task's

    def __post_init__(self) -> None:
        if (self.params is None) == (self.place is None):
            raise TaskError(f"Reported needs params or a place in another task; got {self.params!r} and {self.place!r}")
        for name in ("table", "setting", "metric"):
            if not isinstance(getattr(self, name), str):
                raise TaskError(f"Reported needs its {name} as a text; got {getattr(self, name)!r}")
        make_plain(self)
        if isinstance(self.value, bool) or not isinstance(self.value, int | float):
            raise TaskError(f"Reported needs its value as a number; got {self.value!r}")
        if self.epochs is not None and not is_count(self.epochs):
            raise TaskError(f"Reported needs its epochs as a whole number of 1 or more; got {self.epochs!r}")
        if self.params is None and not is_count(self.place):
            raise TaskError(f"Reported needs its place as a whole number of 1 or more; got {self.place!r}")
        if self.params is not None:
            if wrong := why_no_params(self.params):
                raise TaskError(f"Reported: params {wrong}")
            object.__setattr__(self, "params", plain_params(self.params))


def with_losses(figures: Sequence[Reported], losses: Sequence[float]) -> tuple[Reported, ...]:
    """Return the accuracies of a table, and the test losses that it prints beside them."""
    return (
        *figures,
        *(replace(figure, value=loss, metric="test_loss") for figure, loss in zip(figures, losses, strict=True)),
    )
