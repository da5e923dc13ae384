"""The tables of a report that stand beside its figures: importances, workers, failures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape

from tune_jobs.records.trials import TrialRecord
from tune_jobs.study_report import timeline
from tune_jobs.study_report.importances import Assessment
from tune_jobs.words import duration, printable

_NAMED = 12  # trials in a cell


def importances(assessments: Sequence[Assessment]) -> Iterator[str]:
    """Yield the shares with their spreads, and on how many trials they are computed."""
    rows = [
        (
            assessment.group,
            assessment.method,
            f"{assessment.n} of {assessment.n_group}" if assessment.n < assessment.n_group else str(assessment.n),
            assessment.of,
            each.name,
            f"{each.share:.1%}",
            f"{each.spread:.1%}",
        )
        for assessment in assessments
        for each in assessment.importances
    ]
    if rows:
        head = ("configurations", "method", "trials", "of", "parameter", "share", "± std")
        yield folded("The same as a table", table(head, rows, numeric=(2, 5, 6)))


def workers(trials: Sequence[TrialRecord]) -> Iterator[str]:
    """Yield what each worker did, and how long it did nothing, and why."""
    runs = timeline.spans(trials)
    rows = []
    for lane in timeline.lanes(trials):
        idle = timeline.idle(lane, runs)
        total = lane.busy_s + idle.between_s + idle.end_s
        rows.append(
            (
                lane.name,
                str(len(lane.trials)),
                duration(lane.busy_s),
                duration(idle.between_s),
                duration(idle.end_s),
                f"{(idle.between_s + idle.end_s) / total:.0%}" if total else "-",
            )
        )
    if rows:
        head = ("worker", "trials", "busy", "idle between trials", "idle at the end", "idle")
        note = (
            "Between trials a worker starts, or is told what is next. At the end no trial was left for it while others "
            "still ran."
        )
        yield table(head, rows, numeric=(1, 2, 3, 4, 5)) + f'<p class="words">{note}</p>'


def failures(trials: Sequence[TrialRecord]) -> Iterator[str]:
    """Yield the reasons of failed trials, the most frequent first, each with what the first of them said."""
    failed: dict[str, list[TrialRecord]] = {}
    for trial in trials:
        if trial.state == "failed":
            failed.setdefault(trial.reason or "unknown", []).append(trial)
    rows = [
        (reason, str(len(several)), _numbers(several), several[0].message or "")
        for reason, several in sorted(failed.items(), key=lambda item: -len(item[1]))
    ]
    if rows:
        yield table(("reason", "number", "trials", "message of the first"), rows, numeric=(1,), prose=(2, 3))


def _numbers(trials: Sequence[TrialRecord]) -> str:
    more = f" and {len(trials) - _NAMED} more" if len(trials) > _NAMED else ""
    return ", ".join(str(trial.number) for trial in trials[:_NAMED]) + more


def folded(summary: str, inner: str) -> str:
    return f"<details><summary>{escape(summary)}</summary>{inner}</details>"


def table(
    head: Sequence[str], rows: Sequence[Sequence[str]], *, numeric: Sequence[int] = (), prose: Sequence[int] = ()
) -> str:
    """Return a table; `numeric` columns are aligned to the right, and those of `prose` may take several lines."""
    kinds = ["number" if n in numeric else "prose" if n in prose else "text" for n in range(len(head))]
    headings = _row(head, kinds, 'th scope="col"')
    body = "".join(_row(row, kinds, "td") for row in rows)
    inner = f"<table><thead>{headings}</thead><tbody>{body}</tbody></table>"
    return f'<div class="wide" tabindex="0">{inner}</div>'


def _row(cells: Sequence[str], kinds: Sequence[str], tag: str) -> str:
    end = tag.split(maxsplit=1)[0]
    inner = "".join(f'<{tag} class="{kind}">{_safe(cell)}</{end}>' for cell, kind in zip(cells, kinds, strict=True))
    return f"<tr>{inner}</tr>"


def _safe(text: str) -> str:
    return escape(printable(text))
