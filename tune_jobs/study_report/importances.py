"""Which params mattered, as Optuna assesses it: fANOVA (Hutter et al. 2014) and PED-ANOVA (Watanabe et al. 2023).

fANOVA says how much of the variance of the score a param explains over the whole space; PED-ANOVA, how much it decides
on being among the best tenth. A param that exists only under an option has no place in fANOVA's forest, so each is
assessed in the groups of trials that share their params.
"""

from __future__ import annotations

import math
import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np
from optuna.importance import (
    FanovaImportanceEvaluator,
    PedAnovaImportanceEvaluator,
    get_param_importances,
)
from optuna.search_space import intersection_search_space

from tune_jobs.study.optuna_view import OptunaStudy, OptunaTrial, Snapshot
from tune_jobs.study_report import trials as chosen
from tune_jobs.study_report.trials import ALL, Group

Method = Literal["fANOVA", "PED-ANOVA"]
Target = Callable[[OptunaTrial], float]

FEWEST = 10  # trials of a group; fewer say nothing
MOST_FOR_FANOVA = 300  # trials: its time grows with their square (1,000 take 45 s of CPU, 300 take 5)
TREES = 64  # Optuna's own default
BOOTSTRAPS = 50
_GROUPS = 4  # the largest


@dataclass(frozen=True)
class Importance:
    """The share of a param, of all that are assessed with it, and its standard deviation over trees or bootstraps."""

    name: str
    share: float
    spread: float


@dataclass(frozen=True)
class Assessment:
    """The importances of one method in one group of trials, the largest first."""

    method: Method
    group: str
    of: str  # the objective, or the front
    n: int  # trials that it is computed on
    n_group: int  # trials of the group
    importances: tuple[Importance, ...]


def assess(snapshot: Snapshot) -> tuple[Assessment, ...]:
    """Return the importances in each group that is large enough, and of conditional spaces as a whole.

    The same study gives the same figures: forests and bootstraps have a seed.
    """
    trials = chosen.searched(snapshot)
    groups = chosen.groups(trials)
    with _quiet():
        found = [_ped_anova(snapshot, Group(ALL, trials))] if len(groups) > 1 else []
        found += [each for group in groups[:_GROUPS] for each in _of_group(snapshot, group)]
    return tuple(each for each in found if each is not None)


def overall(snapshot: Snapshot) -> Assessment | None:
    """Return the importances by PED-ANOVA over all configurations; None of too few trials."""
    with _quiet():
        return _ped_anova(snapshot, Group(ALL, chosen.searched(snapshot)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Leave out Optuna's warnings of the target of a maximized objective, and of quantiles of few trials."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _of_group(snapshot: Snapshot, group: Group) -> Iterator[Assessment | None]:
    yield _fanova(snapshot, group)
    yield _ped_anova(snapshot, group)


def _is_assessable(group: Group) -> bool:
    values = {tuple(trial.values) for trial in group.trials}
    return len(group.trials) >= FEWEST and len(group.names) > 1 and len(values) > 1


def _fanova(snapshot: Snapshot, group: Group) -> Assessment | None:
    """Assess by fANOVA, with the spread over the trees of its forest; None if there is nothing to tell apart."""
    if not _is_assessable(group):
        return None
    trials = thinned(group.trials, MOST_FOR_FANOVA)
    study, evaluator = snapshot.study(trials), FanovaImportanceEvaluator(n_trees=TREES, seed=0)
    try:
        shares = get_param_importances(study, evaluator=evaluator, target=first_value)
    except RuntimeError:  # every tree has the same value everywhere
        return None
    spreads = _over_trees(evaluator, study)
    metric = snapshot.record.terms.objective.metric
    return _assessment("fANOVA", group, metric, len(trials), shares, spreads)


def _over_trees(evaluator: FanovaImportanceEvaluator, study: OptunaStudy) -> dict[str, float]:
    """Return the standard deviation of each share over the trees, in units of the sum of all importances."""
    space = intersection_search_space(study.get_trials(deepcopy=False))
    names = [name for name, domain in space.items() if not domain.single()]
    of_each = [evaluator._evaluator.get_importance(index) for index in range(len(names))]
    total = sum(mean for mean, _ in of_each) or 1.0
    return {name: deviation / total for name, (_, deviation) in zip(names, of_each, strict=True)}


def _ped_anova(snapshot: Snapshot, group: Group) -> Assessment | None:
    """Assess by PED-ANOVA, with the spread over bootstrap samples; of several objectives, for being on the front."""
    if not _is_assessable(group):
        return None
    trials, rng = group.trials, random.Random(0)
    shares = ped_anova(snapshot.study(trials))
    samples = [ped_anova(snapshot.study(rng.choices(trials, k=len(trials)))) for _ in range(BOOTSTRAPS)]
    spreads = {name: float(np.std([sample.get(name, 0.0) for sample in samples])) for name in shares}
    terms = snapshot.record.terms
    of = "the front" if terms.further_objectives else terms.objective.metric
    return _assessment("PED-ANOVA", group, of, len(trials), shares, spreads)


def ped_anova(study: OptunaStudy) -> dict[str, float]:
    return get_param_importances(study, evaluator=PedAnovaImportanceEvaluator())


def _assessment(
    method: Method, group: Group, of: str, n: int, shares: dict[str, float], spreads: dict[str, float]
) -> Assessment | None:
    varied = group.names
    known = [Importance(name, float(share), spreads.get(name, 0.0)) for name, share in shares.items() if name in varied]
    if not known or not all(math.isfinite(each.share) for each in known):
        return None
    ordered = sorted(known, key=lambda each: (-each.share, each.name))
    return Assessment(method, group.label, of, n, len(group.trials), tuple(ordered))


def first_value(trial: OptunaTrial) -> float:
    """Return a trial's value in the first objective."""
    return float(trial.values[0])


def thinned(trials: Sequence[OptunaTrial], most: int) -> tuple[OptunaTrial, ...]:
    """Return at most so many trials, evenly spread over the order in which they began."""
    if len(trials) <= most:
        return tuple(trials)
    return tuple(trials[int(place)] for place in np.linspace(0, len(trials) - 1, most))
