"""A population in a sweep: whose turn is next, who waits for the others, and what becomes of all at a boundary."""

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
    course: Lineage
    epoch: int = 0  # the last boundary at which it left a checkpoint
    scores: dict[int, float] = field(default_factory=dict)  # after each epoch, from one
    is_there: bool = False  # at that boundary, where its course is not decided yet


class Population:
    """The members of a population that have not ended, and their courses."""

    def __init__(
        self, study: Study, terms: StudyTerms, checkpoints: CheckpointFolder, every: int, space: AnySpace
    ) -> None:
        self._study, self._terms, self._checkpoints, self._space = study, terms, checkpoints, space
        self._every = every
        self._boundaries = population.boundaries(terms.protocol.epochs, every)
        self._members: dict[int, _Member] = {}

    def join(self, trial: TrialRecord) -> None:
        """A member, new or left by a driver that was killed: it goes on from its last boundary."""
        course = trial.course or (Segment(1, dict(trial.params), trial.seed, trial.number),)
        member = _Member(trial, course)
        for epoch, metrics in enumerate(trial.history, start=1):
            member.scores[epoch] = metrics["score"]
        for epoch in self._boundaries:
            if epoch in member.scores and self._checkpoints.has(key(trial.number, epoch)):
                member.epoch = epoch
        member.epoch = max(member.epoch, course[-1].first - 1)
        member.is_there = member.epoch > 0 and course[-1].first != member.epoch + 1
        self._members[trial.number] = member

    def turn(self, number: int) -> Assignment:
        """What the member is to train next."""
        member = self._members[number]
        stretch = member.course[-1]
        copies = stretch.parent != number
        start = key(stretch.parent, member.epoch) if member.epoch else None
        until = next((epoch for epoch in self._boundaries if epoch > member.epoch), None)
        return Assignment(dict(stretch.params), stretch.seed, number, start=start, copies=copies, until=until)

    @property
    def waiting(self) -> set[int]:
        """The members that are at a boundary where others are not yet."""
        return {number for number, member in self._members.items() if member.is_there}

    def noted(self, number: int, epoch: int, score: float) -> None:
        self._members[number].scores[epoch] = score

    def paused(self, trial: TrialRecord) -> None:
        """A member came to its next boundary."""
        member = self._members[trial.number]
        member.trial = trial
        member.epoch = next(epoch for epoch in self._boundaries if epoch > member.epoch)
        member.is_there = True

    def left(self, number: int) -> None:
        """A member ended, well or not."""
        self._members.pop(number, None)
        if not self._members:
            for epoch in self._boundaries:
                self._checkpoints.drop_all_at(epoch)

    def moved_on(self) -> Iterable[TrialRecord]:
        """Once all members are at a boundary, where they may go on: their courses are durable then."""
        waiting = [member for member in self._members.values() if member.is_there]
        if not waiting or len(waiting) < len(self._members):
            return ()
        epoch = min(member.epoch for member in waiting)
        here = [member for member in waiting if member.epoch == epoch]
        members = [Member(m.trial.number, m.trial.seed, m.course, m.scores[epoch]) for m in here]
        courses = population.moved_on(members, epoch, self._space, self._terms.objective, self._terms.seed)
        self._study.note_courses(courses)
        for member in here:
            member.course, member.is_there = courses[member.trial.number], False
        self._checkpoints.drop_all_at(epoch - self._every)  # from which all of these have gone on
        return [member.trial for member in here]
