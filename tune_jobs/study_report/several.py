"""The report of several studies: their winners, the tests between them, how each search went, and how they differ."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Any

from tune_jobs.exports import numbers
from tune_jobs.exports import page as leaderboard_page
from tune_jobs.leaderboard import ranking
from tune_jobs.leaderboard.comparison import MEANING, Comparison, Pair, Winner
from tune_jobs.records import objectives
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.study_report import page, tables
from tune_jobs.study_report.figures import ABOVE, Figure, view
from tune_jobs.study_report.page import Section
from tune_jobs.words import printable

_COLOURS = ("#3b82c4", "#d98324", "#2f9e78", "#c9444d", "#8a63c2", "#8b95a1")


def html_text(records: Sequence[StudyRecord], compared: Comparison) -> str:
    """Return the page of studies that were compared."""
    names = [record.name for record in records]
    title = f"Comparison of {', '.join(names)}"
    return page.assembled(title, _head(title, compared), _sections(records, compared))


def _head(title: str, compared: Comparison) -> Iterator[str]:
    yield f"<header><h1>{escape(printable(title))}</h1>"
    yield f'<p class="summary">{leaderboard_page.with_code(" ".join(_sentences(compared)))}</p></header>'


def _sentences(compared: Comparison) -> Iterator[str]:
    """Yield what may be claimed: which winner is best, and which differences are more than those of seeds."""
    for objective, group in groupby(compared.winners, key=lambda winner: winner.objective):
        first = next(group)
        yield f"The best {objective.metric}, {numbers.score(first.row.score)}, is that of {first.study}."
    tested = [pair for pair in compared.pairs if pair.why_not is None]
    apart = [pair for pair in tested if pair.p_holm is not None and pair.p_holm < 0.05]
    if not tested:
        yield "No two winners can be tested against each other: `tune-jobs replicate` adds the seeds that this needs."
    else:
        yield f"Of {len(tested)} tested pairs of winners, {len(apart)} differ by more than their seeds explain."


def _sections(records: Sequence[StudyRecord], compared: Comparison) -> Iterator[Section]:
    yield Section("winners", "Winners", "The best configuration of each study.", tables=(_winners(compared.winners),))
    yield Section("tests", "Tests", f"{MEANING}.", tables=tuple(_tests(compared.pairs)))
    words = "The best score so far, over the trials in the order in which they began."
    yield Section("searches", "How the searches went", words, tuple(_figures(records, _best_so_far)))
    words = "All scores of each study; trials that were stopped or failed are left out."
    yield Section("scores", "All scores", words, tuple(_figures(records, _spread)))
    yield Section("studies", "How the studies differ", "", tables=(_facts(records),))


def _winners(winners: Sequence[Winner]) -> str:
    head = ("study", "task", "metric", "n", "mean", "std", "95 %", "test", "test 95 %", "trials")
    rows = []
    for winner in winners:
        row, tested = winner.row, winner.row.tested
        test = ("", "") if tested is None else (numbers.score(tested.score), numbers.between(tested.interval))
        known = (str(row.n), numbers.score(row.score), numbers.std(row.std), numbers.between(row.interval))
        trials = ", ".join(map(str, row.trials))
        rows.append(tuple(map(str, (winner.study, winner.task, winner.objective.metric, *known, *test, trials))))
    return tables.table(head, rows, numeric=(3, 4, 5, 6, 7, 8), prose=(9,))


def _tests(pairs: Sequence[Pair]) -> Iterator[str]:
    tested = [pair for pair in pairs if pair.why_not is None]
    rows = [
        tuple(
            map(
                str,
                (
                    f"{pair.first} - {pair.second}",
                    len(pair.seeds),
                    numbers.signed(pair.difference),
                    numbers.between_signed(pair.interval),
                    numbers.p_value(pair.p),
                    numbers.p_value(pair.p_holm),
                ),
            )
        )
        for pair in tested
    ]
    if rows:
        yield tables.table(("pair", "seeds", "difference", "95 %", "p", "Holm"), rows, numeric=(1, 2, 3, 4, 5))
    refused = [(f"{pair.first} - {pair.second}", pair.why_not) for pair in pairs if pair.why_not is not None]
    if refused:
        yield tables.table(("not tested", "why"), refused, prose=(1,))


def _figures(records: Sequence[StudyRecord], trace: Any) -> Iterator[Figure]:
    """Yield a figure for each objective, with what `trace` draws of each study."""
    groups: dict[Objective, list[StudyRecord]] = {}
    for record in records:
        groups.setdefault(record.terms.objective, []).append(record)
    for objective, group in groups.items():
        colours = {record.name: _COLOURS[index % len(_COLOURS)] for index, record in enumerate(records)}
        data = [trace(record, objective, colours[record.name]) for record in group]
        known = [score for record in group for score in _scores(record)]
        layout = {
            "xaxis": {"title": {"text": "" if trace is _spread else "trial"}},
            "yaxis": {"title": {"text": printable(objectives.words((objective,)))}} | view(known, objective),
            "legend": ABOVE,
            "showlegend": trace is not _spread,
        }
        alt = f"{objective.metric} of {', '.join(record.name for record in group)}"
        yield Figure(objective.metric, printable(alt), {"data": data, "layout": layout})


def _best_so_far(record: StudyRecord, objective: Objective, colour: str) -> dict[str, Any]:
    trials: list[int] = []
    best: list[float] = []
    for trial in _complete(record):
        assert trial.score is not None
        best.append(objective.best([*best[-1:], trial.score]))
        trials.append(trial.number)
    line = {"color": colour, "shape": "hv"}
    return {"type": "scatter", "mode": "lines", "name": printable(record.name), "x": trials, "y": best, "line": line}


def _spread(record: StudyRecord, objective: Objective, colour: str) -> dict[str, Any]:
    shown = {"type": "box", "boxpoints": "all", "jitter": 0.4, "pointpos": 0, "marker": {"color": colour, "size": 4}}
    return shown | {"name": printable(record.name), "y": _scores(record)}


def _complete(record: StudyRecord) -> list[TrialRecord]:
    return [trial for trial in record.trials if trial.state == "complete" and trial.score is not None]


def _scores(record: StudyRecord) -> list[float]:
    return [trial.score for trial in _complete(record) if trial.score is not None and math.isfinite(trial.score)]


def _facts(records: Sequence[StudyRecord]) -> str:
    """Return a column for each study; a row that is the same for all says so by its first cell."""
    facts = {
        "task": [record.terms.task for record in records],
        "data": [f"{record.terms.dataset} ({record.terms.data_digest})" for record in records],
        "objective": [objectives.words(record.terms.objectives) for record in records],
        "search": [record.launch.search if record.launch else "-" for record in records],
        "scheduler": [record.launch.scheduling.name if record.launch else "-" for record in records],
        "trials": [ranking.summary(record.trials).words() for record in records],
        "epochs": [str(record.terms.protocol.epochs) for record in records],
        "seed": [str(record.terms.seed) for record in records],
    }
    rows = [(f"{name}{' (all the same)' if len(set(cells)) == 1 else ''}", *cells) for name, cells in facts.items()]
    return tables.table(("", *(record.name for record in records)), rows)
