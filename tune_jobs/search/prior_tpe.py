"""TPE with the trials of another study: some proposals come from the trials of both, the others from this one's alone.

The share of the first is the weight of the other study (`prior_model.py`). A mixture of proposals is a mixture of the
densities that TPE draws from: S. Watanabe, N. Awad, M. Onishi and F. Hutter, Speeding Up Multi-Objective Hyperparameter
Optimization by Task Similarity-Based Meta-Learning for the Tree-Structured Parzen Estimator, 2023. Scores of two tasks
are compared by their place in their own study, as normal scores: D. Salinas, H. Shen and V. Perrone, A Quantile-Based
Approach for Hyperparameter Transfer Learning, 2020.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from statistics import NormalDist

import numpy as np

from tune_jobs.records.constraints import Constraint
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.bayesian import GaussianProcessSampler
from tune_jobs.search.candidates import Candidate
from tune_jobs.search.optuna_sampler import OptunaSampler
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.search_spaces.protocol import Objective


class PriorTPE:
    """TPE that learns from another study too, as far as that ranks this study's trials well.

    It is a function of the seed, of the prior and of the trials in the order in which they were begun.
    """

    def __init__(
        self,
        space: AnySpace,
        objective: Objective,
        seed: int,
        trials: Iterable[TrialRecord],
        constraints: Sequence[Constraint] = (),
        prior: Sequence[TrialRecord] = (),
    ) -> None:
        self._space, self._objective, self._seed = space, objective, seed
        self._constraints, self._prior = tuple(constraints), normal_scores(prior)
        self._alone = OptunaSampler("tpe", space, (objective,), seed, (), constraints)
        self._judge = GaussianProcessSampler(space, objective, seed, (), constraints, prior)
        self._trials: dict[str, TrialRecord] = {}
        for trial in trials:
            self.tell(trial)

    def ask(self) -> Candidate | None:
        draw = np.random.default_rng((self._seed, len(self._trials), 2)).random()
        is_alone = draw >= self._judge.prior_weight()
        candidate = (self._alone if is_alone else self._with_prior()).ask()
        if candidate is not None:
            self._note(TrialRecord(len(self._trials), candidate.params, candidate.seed, "waiting"), is_known=is_alone)
        return candidate

    def tell(self, trial: TrialRecord) -> None:
        self._note(trial)

    def _note(self, trial: TrialRecord, *, is_known: bool = False) -> None:
        """Take a trial into account; `is_known` if the search without the prior has it already."""
        if not is_known:
            self._alone.tell(trial)
        self._judge.tell(trial)
        self._trials[trial.params_id] = trial

    def _with_prior(self) -> OptunaSampler:
        own = normal_scores(tuple(self._trials.values()))
        return OptunaSampler("tpe", self._space, (self._objective,), self._seed, own, self._constraints, self._prior)


def normal_scores(trials: Sequence[TrialRecord]) -> tuple[TrialRecord, ...]:
    """Return the trials, the complete ones with the normal quantile of their score's rank among them in its place.

    Equal scores have the mean of their ranks.
    """
    scores = np.array([t.score for t in trials if t.state == "complete" and t.score is not None])
    return tuple(
        replace(trial, result=replace(trial.result, score=_normal_score(trial.score, scores)))
        if trial.state == "complete" and trial.result is not None and trial.score is not None
        else trial
        for trial in trials
    )


def _normal_score(score: float, scores: np.ndarray) -> float:
    share = (np.sum(scores < score) + np.sum(scores == score) / 2) / len(scores)
    return NormalDist().inv_cdf(float(share))
