"""The searches among studies: what each spent and found, beside the task's baseline and a random search.

A study of few configurations, of a grid or of configurations that were handed in is no search, whatever came of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from tune_jobs.exports import numbers
from tune_jobs.leaderboard import histories, ranking
from tune_jobs.leaderboard.histories import Step
from tune_jobs.records.studies import Search as Algorithm
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.reproduction.contests import Contest, changes, contest_of
from tune_jobs.reproduction.reported import ABSENT, budget, piped, task_of
from tune_jobs.study.optuna_view import Snapshot
from tune_jobs.study_report import importances
from tune_jobs.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FEWEST = 20  # configurations that a study tries, at least, to be called a search
_PROPOSING: tuple[Algorithm, ...] = ("random", "qmc", "tpe", "gp", "cmaes", "nsga2")
_NAMED = 3  # params, the most important ones


@dataclass(frozen=True)
class Search:
    """A search with its steps, its baseline against what it found, and the random searches beside it."""

    study: StudyRecord
    steps: tuple[Step, ...]
    contest: Contest | None  # None before the baseline has a score
    beside: tuple[StudyRecord, ...]


def is_search(study: StudyRecord) -> bool:
    """Return True if an algorithm proposed what a study tried, and that was more than a handful."""
    launch = study.launch
    return launch is not None and launch.search in _PROPOSING and len(study.searched) >= FEWEST


def searches(studies: Sequence[StudyRecord]) -> tuple[Search, ...]:
    """Return the searches of tasks of the catalogue in alphabetical order, each with the random ones beside it.

    A random search over the same space, data and protocol as another search has no place of its own.
    """
    own = [study for study in sorted(studies, key=lambda study: study.name) if task_of(study) is not None]
    wanted = [study for study in own if is_search(study)]
    others = {study.name: _random_ones(study, own) for study in wanted}
    beside = {other.name for study in wanted if not _is_random(study) for other in others[study.name]}
    return tuple(
        Search(study, histories.history(study), contest_of(study), others[study.name])
        for study in wanted
        if study.name not in beside and _has_best(study)
    )


def drawings(found: Sequence[Search]) -> dict[str, Figure]:
    """Draw the history of each search beside those of the random ones, by `search-` and its name."""
    from tune_jobs.exports.history_plot import history_plot

    drawn = {}
    for search in found:
        ours = [(search.study.name, search.steps)]
        theirs = [(study.name, histories.history(study)) for study in search.beside]
        title, objective = f"{search.study.name}: the best so far", search.study.terms.objective
        drawn[f"search-{search.study.name}"] = history_plot(title, objective, [*ours, *theirs], _baseline(search))
    return drawn


def lines(found: Sequence[Search], kinds: Mapping[str, str], plots: Mapping[str, str]) -> Iterator[str]:
    """Yield the section: tables of all searches, then what there is to tell of each.

    `kinds` are data and families by the names of tasks, `plots` the files of the drawings.
    """
    if not found:
        yield f"None: no study here has an algorithm that proposed {FEWEST} configurations or more."
        return
    yield from _ABOUT
    yield from _spent_table(found, kinds)
    yield ""
    yield from _gains_table(found)
    for search in found:
        yield from ("", f"### {search.study.name}", "")
        yield from (f"- {line}" for line in _told(search))
        if (name := f"search-{search.study.name}") in plots:
            yield f"\n![{search.study.name}: the best so far over the epochs spent]({plots[name]})"


def gains(found: Sequence[Search]) -> Iterator[str]:
    """Yield each search with what it gained over the baseline, in words."""
    for search in found:
        pair = search.contest.difference if search.contest else None
        if pair is not None and pair.difference is not None:
            interval = f", {numbers.between_signed(pair.interval)}" if pair.interval else ""
            yield f"{search.study.name} {numbers.signed(pair.difference)}{interval}"


_ABOUT = (
    f"Studies in which an algorithm proposed {FEWEST} configurations or more, the task's baseline first. Epochs are",
    "those of all its configurations, stopped ones too, without further seeds. `found` is the best validation score of",
    "one seed, and `random` what a random search over the same space had found after equal epochs, with one seed too.",
    "",
)
_ABOUT_GAINS = (
    "The gain is the best's score less the baseline's on the validation split, by a paired test over the seeds that",
    "both have, at 95 %. The search chose by the first of these seeds, which flatters the best; the test split knows",
    "nothing of that.",
    "",
)


def _spent_table(found: Sequence[Search], kinds: Mapping[str, str]) -> Iterator[str]:
    head = ("study", "data, family", "search", "tried", "complete", "stopped", "failed", "epochs", "found", "random")
    yield piped(*head)
    yield piped(":--", ":--", ":--", *["--:"] * 6, ":--")
    for search in found:
        study, states = search.study, ranking.summary(search.study.searched).states
        yield piped(
            study.name,
            kinds[study.terms.task],
            _how(study),
            str(len(study.searched)),
            *(str(states[state]) for state in ("complete", "stopped", "failed")),
            str(search.steps[-1].epochs),
            numbers.score(search.steps[-1].best),
            "; ".join(_against(search, other) for other in search.beside) or "not run",
        )


def _how(study: StudyRecord) -> str:
    assert study.launch is not None
    scheduling = study.launch.scheduling
    return study.launch.search + ("" if scheduling.name == "none" else f", {scheduling.words}")


def _against(search: Search, other: StudyRecord) -> str:
    steps = histories.history(other)
    epochs = min(search.steps[-1].epochs, steps[-1].epochs)
    ours, theirs = (numbers.score(histories.best_after(each, epochs)) for each in (search.steps, steps))
    return f"{theirs} ({other.name}) against {ours}, after {counted(epochs, 'epoch')}"


def _gains_table(found: Sequence[Search]) -> Iterator[str]:
    yield from _ABOUT_GAINS
    yield piped("study", "baseline", "95 %", "best", "95 %", "gain", "95 %", "seeds", "best, test", "95 %", "budget")
    yield piped(":--", *["--:"] * 9, ":--")
    for search in found:
        if search.contest is not None:
            yield piped(search.study.name, *_gain_cells(search.contest), budget(search.study))


def _gain_cells(contest: Contest) -> Iterator[str]:
    baseline, best, pair, tested = contest.baseline, contest.best, contest.difference, contest.best.tested
    yield from (numbers.score(baseline.score), numbers.between(baseline.interval))
    yield from (numbers.score(best.score), numbers.between(best.interval))
    if pair is None:
        yield from ("nothing was better", ABSENT)
    else:
        difference = best.score - baseline.score if pair.difference is None else pair.difference
        yield from (numbers.signed(difference), numbers.between_signed(pair.interval))
    yield f"{baseline.n}, {best.n}"
    yield from (
        ("not read", ABSENT) if tested is None else (numbers.score(tested.score), numbers.between(tested.interval))
    )


def _told(search: Search) -> Iterator[str]:
    if search.contest is not None and (changed := changes(search.contest)):
        yield changed
    yield _stopped(search.study)
    yield from _most_important(search.study)


def _stopped(study: StudyRecord) -> str:
    """Say how many configurations were stopped early, and after how many epochs."""
    stopped = [trial.n_epochs for trial in study.searched if trial.state == "stopped"]
    if not stopped:
        return "No configuration was stopped early."
    after = ", ".join(f"{n} after {counted(epochs, 'epoch')}" for epochs, n in sorted(Counter(stopped).items()))
    spent = sum(trial.n_epochs for trial in study.searched)
    return (
        f"Stopped early: {len(stopped)} of {len(study.searched)} configurations, {after}. "
        f"They took {sum(stopped)} of the {spent} epochs."
    )


def _most_important(study: StudyRecord) -> Iterator[str]:
    """Say which parameters mattered: among the configurations that ran in full, and, where a scheduler stopped others
    after some epochs, among all by what they had reached by then."""
    yield _important(study, "in full")
    scheduling = study.launch.scheduling if study.launch else None
    if scheduling is not None and scheduling.name == "asha" and scheduling.resource == "epochs":
        yield _important(_after(study, scheduling.grace), f"within {counted(scheduling.grace, 'epoch')}")


def _important(study: StudyRecord, when: str) -> str:
    assessed = importances.overall(Snapshot.of_record(study))
    if assessed is None:
        n = sum(trial.state == "complete" for trial in study.searched)
        return f"What mattered {when} is not known of {n} configurations; {importances.FEWEST} are needed."
    most = (f"{each.name} {each.share:.0%} ± {each.spread:.0%}" for each in assessed.importances[:_NAMED])
    return f"What mattered most {when}, by {assessed.method} over {assessed.n} configurations: {', '.join(most)}."


def _after(study: StudyRecord, epochs: int) -> StudyRecord:
    """Return a study as if each trial that trained so long had ended then, with the best score that it had."""
    reached = (_ended(trial, epochs, study) for trial in study.searched if len(trial.history) >= epochs)
    return replace(study, trials=tuple(trial for trial in reached if trial is not None))


def _ended(trial: TrialRecord, epochs: int, study: StudyRecord) -> TrialRecord | None:
    objective = study.terms.objective
    scores = [metrics[objective.metric] for metrics in trial.history[:epochs] if objective.metric in metrics]
    if trial.result is None or not scores:
        return None
    result = replace(trial.result, state="complete", score=objective.best(scores))
    return replace(trial, state="complete", result=result)


def _baseline(search: Search) -> float | None:
    return None if search.contest is None else search.contest.baseline.score


def _is_random(study: StudyRecord) -> bool:
    return study.launch is not None and study.launch.search == "random"


def _random_ones(study: StudyRecord, studies: Sequence[StudyRecord]) -> tuple[StudyRecord, ...]:
    """Return the random searches of the same task over the same space, data and protocol."""
    return tuple(
        other
        for other in studies
        if other.name != study.name and _is_random(other) and _subject(other) == _subject(study) and _has_best(other)
    )


def _has_best(study: StudyRecord) -> bool:
    return any(trial.state == "complete" and trial.score is not None for trial in study.searched)


def _subject(study: StudyRecord) -> tuple[object, ...]:
    terms = study.terms
    return terms.task, terms.data_digest, terms.space, terms.objective, terms.protocol
