"""A population in a sweep: what each member trains next, which members wait, and what happens at a boundary.

A boundary is an epoch at which all members are compared; those that are behind copy others there.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from tune_jobs.execution.messages import Assignment
from tune_jobs.records.studies import StudyTerms
from tune_jobs.records.trials import Lineage, Segment, TrialRecord
from tune_jobs.search import population
from tune_jobs.search.population import Member
from tune_jobs.search_spaces.one_factor import AnySpace
from tune_jobs.study.study import Study
from tune_jobs.training.checkpoints import CheckpointFolder, key


@dataclass
class _Member:
    trial: TrialRecord
    lineage: Lineage
    epoch: int = 0  # the last boundary at which it left a checkpoint
    scores: dict[int, float] = field(default_factory=dict)  # by epoch, counted from one
    is_waiting: bool = False  # at that boundary, before its next segment is decided


class Population:
    """The members of a population that have not ended, and their lineages.

    `every` is the number of epochs between two boundaries.
    """

    def __init__(
        self, study: Study, terms: StudyTerms, checkpoints: CheckpointFolder, every: int, space: AnySpace
    ) -> None:
        self._study, self._terms, self._checkpoints, self._space = study, terms, checkpoints, space
        self._every = every
        assert terms.protocol.epochs is not None  # `make_scheduler` refuses a population without
        self._boundaries = population.comparison_epochs(terms.protocol.epochs, every)
        self._members: dict[int, _Member] = {}

    def add(self, trial: TrialRecord) -> None:
        """Add a new member, or one that a killed driver left: it continues from its last boundary."""
        lineage = trial.course or (Segment(1, dict(trial.params), trial.seed, trial.number),)
        member = _Member(trial, lineage)
        for epoch, metrics in enumerate(trial.history, start=1):
            member.scores |= {epoch: metrics["score"]} if "score" in metrics else {}
        for epoch in self._boundaries:
            if epoch in member.scores and self._checkpoints.has(key(trial.number, epoch)):
                member.epoch = epoch
        segment = lineage[-1]
        member.epoch = max(member.epoch, segment.first - 1)
        member.is_waiting = member.epoch > 0 and segment.first != member.epoch + 1
        self._members[trial.number] = member

    def assignment(self, number: int) -> Assignment:
        """Return what a member trains next, up to the following boundary or to its end."""
        member = self._members[number]
        segment = member.lineage[-1]
        copies = segment.parent != number
        start = key(segment.parent, member.epoch) if member.epoch else None
        until = next((epoch for epoch in self._boundaries if epoch > member.epoch), None)
        return Assignment(dict(segment.params), segment.seed, number, start=start, copies=copies, until=until)

    @property
    def waiting(self) -> set[int]:
        """The members that wait at a boundary for the others."""
        return {number for number, member in self._members.items() if member.is_waiting}

    def record_score(self, number: int, epoch: int, score: float) -> None:
        self._members[number].scores[epoch] = score

    def pause(self, trial: TrialRecord) -> None:
        """Let a member that reached its next boundary wait there."""
        member = self._members[trial.number]
        member.trial = trial
        member.epoch = next(epoch for epoch in self._boundaries if epoch > member.epoch)
        member.is_waiting = True

    def remove(self, number: int) -> None:
        """Remove a member that ended, well or not; with the last one, delete the checkpoints of all boundaries."""
        self._members.pop(number, None)
        if not self._members:
            for epoch in self._boundaries:
                self._checkpoints.drop_all_at(epoch)

    def advance(self) -> Iterable[TrialRecord]:
        """Decide how the members continue, and return those that may: none until every member is at a boundary.

        Their new segments are durable when this returns.
        """
        waiting = [member for member in self._members.values() if member.is_waiting]
        if not waiting or len(waiting) < len(self._members):
            return ()
        epoch = min(member.epoch for member in waiting)
        compared = [member for member in waiting if member.epoch == epoch]
        members = [Member(m.trial.number, m.trial.seed, m.lineage, m.scores[epoch]) for m in compared]
        lineages = population.next_lineages(members, epoch, self._space, self._terms.objective, self._terms.seed)
        self._study.note_courses(lineages)
        for member in compared:
            member.lineage, member.is_waiting = lineages[member.trial.number], False
        self._checkpoints.drop_all_at(epoch - self._every)  # every member has continued from these
        return [member.trial for member in compared]
