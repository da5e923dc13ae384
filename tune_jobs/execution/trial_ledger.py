"""The durable side of a sweep: its trials in the study, and their checkpoints on disk."""

from __future__ import annotations

from tune_jobs.execution.kept_weights import KeptWeights
from tune_jobs.records.constraints import is_untrained
from tune_jobs.records.trials import Spent, TrialRecord, TrialResult
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.study.study import Study
from tune_jobs.training.checkpoints import CheckpointFolder, key


class TrialLedger:
    """Writes what happens to the trials of a sweep into the study.

    Every method returns once its record is durable; an epoch is so with the next record. `cpus` is how many CPU
    threads each trial trains with, and `gpus` how many GPUs, where they are several; the study keeps both with the
    result. Without `checkpoints` an interrupted trial starts again from its first epoch.
    """

    def __init__(
        self,
        study: Study,
        checkpoints: CheckpointFolder | None = None,
        cpus: float = 1.0,
        gpus: int | None = None,
        kept: KeptWeights | None = None,
    ) -> None:
        self._study, self._checkpoints, self._cpus, self._gpus = study, checkpoints, cpus, gpus
        self._kept = kept
        self.metric = study.terms.objective.metric  # which scores an epoch
        self.step = study.terms.protocol.step  # what is scored: an epoch or a fold

    @property
    def n_searched(self) -> int:
        """How many trials of the study come from its search; replicates do not count, nor what was not trained."""
        return sum(not is_untrained(trial) for trial in self._study.record().searched)

    def unfinished(self) -> list[TrialRecord]:
        """Return the trials that an earlier driver left waiting or running."""
        return list(self._study.unfinished())

    def add(self, space: AnySpace, candidate: Candidate) -> TrialRecord:
        return self._study.add(space, candidate.params, candidate.seed)

    def start(self, trial: TrialRecord, place: str) -> TrialRecord:
        """Begin another attempt at a trial, at a place in words."""
        return self._study.start(trial, place)

    def note_epoch(self, number: int, epoch: int, score: float) -> None:
        self._study.note_epoch(number, epoch, score)

    def finish(self, trial: TrialRecord, result: TrialResult, spent: Spent | None = None) -> TrialRecord:
        """Write the result with what it took, then delete the trial's checkpoint, and weights that no evaluation would
        ask for."""
        trial = self._study.finish(trial, result, self._cpus, self._gpus, spent)
        if self._checkpoints is not None:
            self._checkpoints.drop(key(trial.number))
        if self._kept is not None:
            self._kept.ended(trial)
        return trial

    def checkpoint(self, number: int) -> str | None:
        """Return the name of the checkpoint that a trial can continue from; None if there is none."""
        name = key(number)
        return name if self._checkpoints is not None and self._checkpoints.has(name) else None
