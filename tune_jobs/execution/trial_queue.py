"""Which trial of a sweep runs next: one to run again, a point that a user enqueued, a proposal, or a member of a
population."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from tune_jobs.execution.populations import Population
from tune_jobs.execution.trial_ledger import TrialLedger
from tune_jobs.records.constraints import is_untrained
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search.candidates import Candidate, Sampler
from tune_jobs.search.enqueued import EnqueuedSampler
from tune_jobs.search.schedulers import Scheduler
from tune_jobs.search_spaces.one_factor import AnySpace


@dataclass(frozen=True)
class SearchStrategy:
    """Who proposes the trials of a sweep, who stops them early, and who advances them together.

    Points that are `enqueued` come first, beyond all limits. The configuration of the params id `spared` is never
    stopped early.
    """

    space: AnySpace
    sampler: Sampler
    scheduler: Scheduler | None = None
    population: Population | None = None
    spared: str | None = None
    enqueued: EnqueuedSampler | None = None
    image_rungs: tuple[int, ...] = ()  # on how many images a trial trains before it trains on all

    def milestones(self, trial: TrialRecord) -> tuple[int, ...]:
        """Return the epochs after which a trial may be stopped."""
        if self.scheduler is None or self.image_rungs or trial.params_id == self.spared:
            return ()
        return self.scheduler.milestones(trial.number)

    def rungs(self, trial: TrialRecord) -> tuple[int, ...]:
        """Return the numbers of images after which a trial may be stopped."""
        return () if trial.params_id == self.spared else self.image_rungs


class TrialQueue:
    """The trials of a sweep that wait for a worker.

    `max_trials` limits the study's searched trials, those of earlier launches included; None takes as many as the
    sampler proposes.
    """

    def __init__(self, ledger: TrialLedger, strategy: SearchStrategy, max_trials: int | None) -> None:
        self._ledger, self._strategy, self._max_trials = ledger, strategy, max_trials
        self._population = strategy.population
        self._n_searched = ledger.n_searched
        self._sampler_exhausted = False
        unfinished = ledger.unfinished()
        if self._population is not None:
            for trial in unfinished:
                self._population.add(trial)
        self._queued = deque(trial for trial in unfinished if trial.number not in self.at_boundary)

    @property
    def queued(self) -> tuple[TrialRecord, ...]:
        """The trials that are in the study already and can start, the next one first."""
        return tuple(self._queued)

    @property
    def at_boundary(self) -> set[int]:
        """The members that wait for the rest of their population."""
        return set() if self._population is None else self._population.waiting

    @property
    def has_more(self) -> bool:
        """True if a trial or an enqueued point waits, or the sampler may propose another."""
        return bool(self._queued) or bool(self.at_boundary) or self._may_propose or self._has_enqueued

    @property
    def _has_enqueued(self) -> bool:
        return self._strategy.enqueued is not None and self._strategy.enqueued.has_enqueued()

    @property
    def _may_propose(self) -> bool:
        is_full = self._max_trials is not None and self._n_searched >= self._max_trials
        return not is_full and not self._sampler_exhausted

    def pop(self, *, is_idle: bool) -> TrialRecord | None:
        """Return the next trial; None if none can start now.

        With `is_idle` no trial is on its way. A population advances only then: all its members are at a boundary.
        """
        if not self._queued:
            proposed = self._propose(is_idle=is_idle)
            if proposed is not None:
                return proposed
            if is_idle and self._population is not None:
                self._queued.extend(self._population.advance())
        return self._queued.popleft() if self._queued else None

    def put_back(self, trial: TrialRecord) -> None:
        """Make a trial the next one to run."""
        self._queued.appendleft(trial)

    def trial_ended(self, trial: TrialRecord) -> None:
        """Tell the population and the sampler, which may then have another proposal."""
        if self._population is not None:
            self._population.remove(trial.number)
        self._strategy.sampler.tell(trial)
        self._sampler_exhausted = False
        if is_untrained(trial):  # it was proposed, and costs nothing
            self._n_searched -= 1

    def _propose(self, *, is_idle: bool) -> TrialRecord | None:
        enqueued = self._strategy.enqueued
        candidate = None if enqueued is None else enqueued.ask_enqueued(now=is_idle)  # idle, it is the last look
        candidate = candidate or self._ask_sampler()
        if candidate is None:
            return None
        self._n_searched += 1
        trial = self._ledger.add(self._strategy.space, candidate)
        if self._population is not None:
            self._population.add(trial)
        return trial

    def _ask_sampler(self) -> Candidate | None:
        if not self._may_propose:
            return None
        candidate = self._strategy.sampler.ask()
        self._sampler_exhausted = candidate is None
        return candidate
