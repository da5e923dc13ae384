"""Names and values that MLflow takes.

MLflow refuses names with other characters than letters, digits and `_ - . : /` and the space, names that are no plain
relative path, and names of more than 250 characters. It cuts long values. Here a name becomes the nearest one that
MLflow takes, and a value is cut where MLflow cuts it.
"""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping

from tune_jobs.records import fold_rows
from tune_jobs.records.studies import StudyTerms
from tune_jobs.records.trials import TrialRecord

LONGEST_NAME = 250
LONGEST_PARAM = 6000
LONGEST_TAG = 8000
_SHORTEST_CUT = 250  # no MLflow cuts a value earlier
_TRUE_NAME = "true_name."  # the tag that has a changed name as it was


class MetricNames:
    """The names under which MLflow takes the metrics of a study.

    Those of the objectives come first, so that they stay when a trial brings further metrics.
    """

    def __init__(self, terms: StudyTerms) -> None:
        self._objectives = {objective.metric for objective in terms.objectives}
        ours = [*self._objectives, *(f"best_{name}" for name in self._objectives), "best_epoch", "front_size"]
        ours += [] if terms.protocol.folds is None else [fold_rows.spread_name(terms.objective.metric)]
        self._ours = taken(ours)
        self._reported: dict[str, str] = {}

    def learn(self, trial: TrialRecord) -> None:
        """Take the metrics that a trial reported into account."""
        if trial.result is None:
            return
        tested = {} if trial.tested is None else trial.tested.metrics
        found = {*tested, *(name for epoch in trial.result.history for name in epoch)} - self._objectives
        if not found <= self._reported.keys():
            self._reported = taken(found | self._reported.keys(), used=set(self._ours.values()))

    def ours(self, name: str) -> str:
        """Return the name of a metric that each study has by its objectives."""
        return self._ours[name]

    def reported(self, name: str) -> str:
        """Return the name of a metric that trials reported."""
        return self._ours[name] if name in self._objectives else self._reported[name]

    def tags(self, found: Iterable[str]) -> dict[str, str]:
        """Return the tags with the true names of those of these names in MLflow that are others."""
        pairs = (*self._ours.items(), *self._reported.items())
        true = {name_there: name for name, name_there in pairs}
        return true_names({name: true[name] for name in found if true[name] != name})


def taken(names: Iterable[str], used: Collection[str] = ()) -> dict[str, str]:
    """Return for each name the nearest one that MLflow takes. No two become one, and none becomes one in use."""
    nearest = {name: near(name) for name in names}
    counts = Counter(nearest.values())
    return {
        name: apart(name, found) if found in used or (found != name and counts[found] > 1) else found
        for name, found in nearest.items()
    }


def near(name: str) -> str:
    """Return the nearest name that MLflow takes. It is the name itself if MLflow takes it."""
    plain = re.sub(r"[^\w\-.: /]", "_", name)
    parts = ["_" * len(part) if part in (".", "..") else part for part in plain.split("/") if part]
    found = re.sub(r"^\.\.", "__", "/".join(parts)) or "_"
    return found if len(found) <= LONGEST_NAME else apart(name, found)


def apart(name: str, found: str) -> str:
    """Return a name near to `found` that only `name` has."""
    digest = hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:8]
    return f"{found[: LONGEST_NAME - 9]}-{digest}"


def true_names(changed: Mapping[str, str]) -> dict[str, str]:
    """Return the tags that have the true names of those that MLflow takes under others only."""
    keys = taken(f"{_TRUE_NAME}{found}" for found in changed)
    return {keys[f"{_TRUE_NAME}{found}"]: cut(name, LONGEST_TAG) for found, name in changed.items()}


def is_true_name(tag: str) -> bool:
    """Return True if a tag of this name has a true name."""
    return tag.startswith(_TRUE_NAME)


def cut(value: str, length: int) -> str:
    """Return a value as MLflow keeps it: cut, and without what no database takes."""
    text = value.replace("\0", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
    return text[:length]


def is_cut_of(kept: str, value: str) -> bool:
    """Return True if MLflow keeps `value` as `kept`. A server may cut earlier than ours."""
    text = cut(value, LONGEST_PARAM)
    return kept == text or (len(kept) >= _SHORTEST_CUT and text.startswith(kept))
