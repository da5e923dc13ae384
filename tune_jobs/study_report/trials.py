"""The trials that figures and importances are of, as Optuna knows them, and the groups in which they share params."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from tune_jobs.exports.board import value_text
from tune_jobs.search_spaces.scalars import typed
from tune_jobs.study.optuna_view import OptunaTrial, Snapshot

ALL = "all configurations"


@dataclass(frozen=True)
class Group:
    """Complete trials that have the very same params, which a conditional space gives to some of them only."""

    label: str  # what they have in common and others have not: `optimizer = adam`
    trials: tuple[OptunaTrial, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The params that vary among the trials."""
        return varied(self.trials)


def searched(snapshot: Snapshot) -> tuple[OptunaTrial, ...]:
    """Return a complete trial of each configuration, the first, with a finite value in each objective.

    Replicates are left out, since a configuration that was trained ten times would count ten times.
    """
    numbers = [trial.number for trial in snapshot.record.searched if trial.state == "complete"]
    by_number = {trial.number: trial for trial in snapshot.trials}
    trials = (by_number[number] for number in numbers)
    return tuple(trial for trial in trials if all(value is not None and math.isfinite(value) for value in trial.values))


def groups(trials: Sequence[OptunaTrial]) -> tuple[Group, ...]:
    """Return the groups of trials that share their params, the largest first; one group if no param is conditional."""
    by_names: dict[frozenset[str], list[OptunaTrial]] = {}
    for trial in trials:
        by_names.setdefault(frozenset(trial.params), []).append(trial)
    found = [Group(_label(group, trials), tuple(group)) for group in by_names.values()]
    return tuple(sorted(found, key=lambda group: -len(group.trials)))


def _label(group: Sequence[OptunaTrial], trials: Sequence[OptunaTrial]) -> str:
    """Return what is the same in a group and not in all trials; its params where that is nothing."""
    if len(group) == len(trials):
        return ALL
    same = []
    for name in group[0].params:
        values = {typed(trial.params[name]) for trial in group}
        if len(values) == 1 and len({typed(trial.params.get(name)) for trial in trials}) > 1:
            same.append(f"{name} = {value_text(group[0].params[name])}")
    return ", ".join(same) or f"those with {', '.join(sorted(group[0].params))}"


def varied(trials: Sequence[OptunaTrial]) -> tuple[str, ...]:
    """Return the params with several values, in the order in which trials first have them."""
    values: dict[str, set[object]] = {}
    for trial in trials:
        for name, value in trial.params.items():
            values.setdefault(name, set()).add(typed(value))
    return tuple(name for name, several in values.items() if len(several) > 1)
