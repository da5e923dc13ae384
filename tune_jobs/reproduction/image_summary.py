"""How our figures stand beside the reported ones on images, and ten lines that say what follows.

Every line is computed from the studies, so that the summary says no more than the tables below it.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from tune_jobs.records.split_readings import is_same_data
from tune_jobs.records.studies import StudyRecord
from tune_jobs.reproduction.claims import ClaimResult
from tune_jobs.reproduction.reported import Figure, Match, Ranked, budget
from tune_jobs.reproduction.searches import FEWEST, Search, gains, is_search
from tune_jobs.search_spaces.scalars import Params, params_id

Standing = Literal["better", "not told apart", "worse"]

_TEST_IMAGES = 10_000  # of each of the three data sets, on which a reported figure is one run
_Z = 1.96
_DECIDED = ("confirmed", "refuted")
_FEW = 5  # configurations, which nobody would call a search


@dataclass(frozen=True)
class Evidence:
    """What the page on images has: its studies with their rows, and what was made of them."""

    ranked: Ranked
    figures: Sequence[Figure]
    winners: Sequence[tuple[str, Match, float | None]]  # of each kind, with the best reported figure
    claims: Sequence[ClaimResult]
    searches: Sequence[Search]


def standing(figure: Figure) -> Standing | None:
    """Return how our accuracy on the test split stands beside a reported one; None where they cannot be compared.

    The reported figure counts as one run on the test images, whose binomial deviation is added to our interval. How far
    its own seeds scatter is not known.
    """
    row = None if figure.match is None else figure.match.row
    if figure.reported.metric != "test_accuracy" or row is None or row.tested is None or row.tested.interval is None:
        return None
    score, (low, high), value = row.tested.score, row.tested.interval, figure.reported.value
    theirs = _Z * math.sqrt(value * (1 - value) / _TEST_IMAGES)
    if score - math.hypot(score - low, theirs) > value:
        return "better"
    return "worse" if score + math.hypot(high - score, theirs) < value else "not told apart"


def lines(evidence: Evidence) -> Iterator[str]:
    """Yield the summary, a line of Markdown for each thing that a reader should know first."""
    accuracies = [figure for figure in evidence.figures if figure.reported.metric == "test_accuracy"]
    stand = [(figure, standing(figure)) for figure in accuracies]
    counts = Counter(place for _, place in stand)
    run = sum(figure.match is not None for figure in accuracies)
    yield (
        f"- Of the {len(accuracies)} accuracies that the reports print, {run} were run with enough to say something: "
        f"{counts['better']} are better here, {counts['not told apart']} not told apart, {counts['worse']} worse."
    )
    for place in ("better", "not told apart"):
        yield f"- {place.capitalize()}: {_by_table((figure, '') for figure, found in stand if found == place)}."
    worse = [(figure, _reason(figure, evidence.ranked)) for figure, place in stand if place == "worse"]
    yield f"- Worse: {_by_table(worse)}."
    missing = Counter(figure.reported.table for figure in accuracies if figure.match is None)
    yield f"- Not run: {_listed(f'{table} ({n})' for table, n in missing.items())}."
    yield from _of_winners(evidence)
    gained = _listed(gains(evidence.searches))
    yield f"- Searches, with their gains over the task's baseline on the validation split: {gained}."
    yield _of_claims(evidence.claims)
    losses = [figure for figure in evidence.figures if figure.reported.metric != "test_accuracy"]
    n_losses = sum(figure.match is not None for figure in losses)
    yield f"- Readings of the test split so far: {_listed(_readings([study for study, _ in evidence.ranked]))}."
    yield (
        f"- Not comparable: losses ({n_losses} of {len(losses)} printed ones have a figure of ours beside them), since "
        "the reports do not say whether penalties are in them, and which epoch they are of; figures that are the "
        "highest of several runs (`best`), since ours are means; all figures on clocks, whose pictures are others "
        "([the page on clocks](clock.md))."
    )


def _of_winners(evidence: Evidence) -> Iterator[str]:
    winners = evidence.winners
    above = [
        match.row.tested.score - value
        for _, match, value in winners
        if match.row.tested is not None and value is not None
    ]
    by_hand = sum(len(match.study.searched) <= _FEW for _, match, _ in winners)
    by_search = sum(is_search(match.study) for _, match, _ in winners)
    late = sum(_began_after_a_reading(match, [study for study, _ in evidence.ranked]) for _, match, _ in winners)
    if above:
        yield (
            f"- The best of each kind: {sum(gain > 0 for gain in above)} of {len(above)} are above the reports' best, "
            f"by {min(above):+.4f} to {max(above):+.4f}. {by_search} of {len(winners)} were found by a search of "
            f"{FEWEST} configurations or more; {by_hand} are from studies of at most {_FEW}: set by hand, and not "
            f"found by a search. {late} began after the test split of their data had been read for another study: what "
            "was seen there may have helped to choose them."
        )


def _began_after_a_reading(match: Match, studies: Sequence[StudyRecord]) -> bool:
    """Return True if another study had read the test split of these data before the first trial of a winner."""
    began = min((trial.started or math.inf for trial in match.study.trials), default=math.inf)
    others = [
        study for study in studies if study.name != match.study.name and is_same_data(study.terms, match.study.terms)
    ]
    return any(reading.at < began for study in others for reading in study.readings)


def _of_claims(results: Sequence[ClaimResult]) -> str:
    words = {decision: [one.claim.words for one in results if one.decision == decision] for decision in _DECIDED}
    decided = ", ".join(f"{len(found)} {decision} ({_listed(found)})" for decision, found in words.items())
    return f"- Conclusions: {decided}, {len(results) - sum(map(len, words.values()))} not decided."


def _readings(studies: Sequence[StudyRecord]) -> Iterator[str]:
    """Yield each data set with how often all these studies have read its test split."""
    counts = Counter(study.terms.dataset for study in studies for _ in study.readings)
    yield from (f"{data} {n}" for data, n in sorted(counts.items()))


def _reason(figure: Figure, ranked: Ranked) -> str:
    """Return what the same network reached with another batch size, which no report prints, where that was more."""
    match = figure.match
    assert match is not None
    assert match.row.tested is not None
    of_network = _without_batch_size(match.row.params)
    others = [
        (row.tested.score, row.params.get("batch_size"), study)
        for study, rows in ranked
        if study.terms.dataset == match.study.terms.dataset
        for row in rows
        if row.tested is not None and row.params_id != match.row.params_id
        if _without_batch_size(row.params) == of_network and row.tested.score > match.row.tested.score
    ]
    if not others:
        return ""
    score, size, study = max(others, key=lambda other: other[0])
    return (
        f" (batches of {match.row.params.get('batch_size')} are assumed; with {size} the same network has "
        f"{score:.4f} in {study.name}, {budget(study)})"
    )


def _without_batch_size(params: Params) -> str:
    """Return the identity of a network with its optimizer; pixels in their own order go without saying."""
    left = {name: value for name, value in params.items() if name != "batch_size" and (name, value) != _ORIGINAL}
    return params_id(left)


_ORIGINAL = ("pixels", "original")


def _by_table(figures: Iterable[tuple[Figure, str]]) -> str:
    """Return the settings of figures, each with what is said of it, under their tables."""
    settings: dict[str, list[str]] = {}
    for figure, said in figures:
        table = f"{figure.reported.table} on {figure.task.dataset_name}"
        settings.setdefault(table, []).append(f"{figure.reported.setting}{said}")
    return _listed(f"{table}: {', '.join(names)}" for table, names in settings.items())


def _listed(words: Iterable[str]) -> str:
    return "; ".join(words) or "none"
