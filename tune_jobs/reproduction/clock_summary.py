"""What a reader of the page on clocks should know first, computed from the studies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tune_jobs.datasets.clocks import faces
from tune_jobs.records.studies import StudyRecord
from tune_jobs.reproduction import clock_studies
from tune_jobs.reproduction.claims import ClaimResult
from tune_jobs.reproduction.reported import Figure, Match

_Result = tuple[StudyRecord, ClaimResult]


def lines(
    studies: Sequence[StudyRecord], reported: Sequence[Figure], winners: Sequence[tuple[str, Match]]
) -> Iterator[str]:
    """Yield the summary, a line of Markdown each. `winners` are the best of each data set."""
    yield from _of_figures(reported)
    results = [
        (study, result)
        for study in studies
        if clock_studies.can_decide(study)
        for result in clock_studies.claim_results(study)
    ]
    yield from _of_claims(results)
    for data, best in winners:
        yield _of_winner(data, best)


def _of_figures(reported: Sequence[Figure]) -> Iterator[str]:
    names = dict.fromkeys(figure.name for figure in reported)
    run = {figure.name: figure.match.study.terms.dataset for figure in reported if figure.match}
    yield (
        f"- {len(run)} of the {len(names)} figures of the reports have one of ours beside them"
        f"{', on ' + ', '.join(sorted(set(run.values()))) if run else ''}. None has a verdict: theirs are of other "
        "pictures, other networks, rates and batches, and most of more epochs."
    )
    missing = [", ".join(name) for name in names if name not in run]
    yield f"- Not run: {'; '.join(missing) or 'none'}."


def _of_claims(results: Sequence[_Result]) -> Iterator[str]:
    for decision in ("confirmed", "refuted", "not decided"):
        decided = [
            f"{result.claim.words} ({study.terms.dataset})" for study, result in results if result.decision == decision
        ]
        yield f"- {decision.capitalize()}: {'; '.join(decided) or 'none'}."
    drawn = {study.terms.dataset for study, _ in results} & faces.SETS.keys()
    if any(faces.SETS[data].is_upright for data in drawn):
        yield (
            "- What is decided on upright pictures holds for these, which are small, clean and never turned. The "
            "reports' are turned and larger: nothing is decided on such."
        )


def _of_winner(data: str, best: Match) -> str:
    tested, n = best.row.tested, best.row.n
    assert tested is not None
    found = len(best.study.searched)
    return (
        f"- The best on {data}: {tested.score:.2f} minutes on the test split, {n} seed{'s' * (n > 1)}, from a study of "
        f"{found} configuration{'s' * (found > 1)}."
    )
