"""The leaderboard as one HTML page without scripts or downloads, for light and dark screens and for paper."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from html import escape

from tune_jobs.exports import numbers, pictures
from tune_jobs.exports.board import ABSENT, Board, Column
from tune_jobs.leaderboard import fronts
from tune_jobs.records import objectives
from tune_jobs.search_spaces.protocol import ABOUT_DATA, Objective
from tune_jobs.words import printable

_MANY = 14  # columns, above which a table is set smaller


def html_text(board: Board) -> str:
    """Return a whole page: the best score, the facts of the study, the table, and notes."""
    name = _safe(board.study.name)
    body = [
        f"<h1>{name}</h1>",
        *_headline(board),
        *facts(board),
        *table(board),
        *pictures.section(board),
        *notes(board),
    ]
    return _PAGE.format(title=name, style=STYLE, body="\n".join(body))


def _headline(board: Board) -> Iterator[str]:
    best = fronts.best(board.rows)
    terms = board.study.terms
    if best is None:
        yield '<p class="best">No trial is complete yet.</p>'
        return
    form = board.score_format
    mean = "" if best.std is None else f", the mean of {best.n} seeds with std {best.std:{form}}"
    n = len(fronts.first(board.rows))
    front = f", {n} configuration{'s' * (n > 1)} on the first front" if board.objectives else ""
    yield f'<p class="best"><strong>{best.score:{form}}</strong> best {_safe(terms.objective.metric)}{mean}{front}</p>'


def facts(board: Board) -> Iterator[str]:
    """Yield what the study was begun on and how it was run."""
    terms, launch, reference = board.study.terms, board.study.launch, board.study.reference
    begun = datetime.fromtimestamp(board.study.created, UTC).strftime("%Y-%m-%d %H:%M UTC")
    hidden = () if terms.has_data else ABOUT_DATA
    settings = {name: value for name, value in terms.protocol.to_dict().items() if name not in hidden}
    protocol = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in settings.items() if value is not None)
    facts = {
        "Task": terms.task if reference == terms.task else f"{terms.task} ({reference})",
        "Data": f"{terms.dataset} ({terms.data_digest})" if terms.has_data else "",
        "Objectives" if board.objectives else "Objective": objectives.words(terms.objectives),
        "Protocol": protocol,
        "Seed": str(terms.seed),
        "Begun": begun,
    }
    if launch is not None:
        facts["Search"] = launch.search
        facts["Versions"] = ", ".join(f"{package} {version}" for package, version in launch.versions.items())
    yield "<dl>"
    yield from (f"<div><dt>{name}</dt><dd>{_safe(value)}</dd></div>" for name, value in facts.items() if value)
    yield "</dl>"


def _same(board: Board) -> Iterator[str]:
    if board.same:
        pairs = ", ".join(f"<b>{_safe(name)}</b>&nbsp;{_safe(value)}" for name, value in board.same)
        yield f'<p class="same">In all rows: {pairs}</p>'


def table(board: Board) -> Iterator[str]:
    """Yield the rows; scores, and values in other objectives, are also dots on a line."""
    yield from _same(board)
    if not board.shown:
        return
    many = " many" if len(board.columns) > _MANY else ""
    yield f'<div class="wide{many}"><table><thead><tr>'
    yield from (f'<th scope="col" class="{column.kind}">{_heading(column)}</th>' for column in board.columns)
    yield "</tr></thead><tbody>"
    scales = {printable(scale.objective.metric): scale for scale in _scales(board)}
    for index, row in enumerate(board.shown):
        marks = {heading: scale.mark(index) for heading, scale in scales.items()}
        cells = (_cell(column, index, marks.get(column.heading, "")) for column in board.columns)
        place = "broken" if row.broken else "first" if row.rank == 1 and row.state == "complete" else row.state
        is_baseline = board.baseline is not None and row.params_id == board.baseline.params_id
        marked = ' baseline" title="the task’s baseline' if is_baseline else ""
        yield f'<tr class="{place}{marked}">{"".join(cells)}</tr>'
    yield "</tbody></table></div>"


def _heading(column: Column) -> str:
    """Return a heading; that of a parameter may go on in a further line, so that many fit side by side."""
    text = _safe(column.heading)
    return text.replace("_", "_<wbr>") if column.kind in ("param", "detail") else text


def _cell(column: Column, index: int, mark: str) -> str:
    text = _safe(column.cells[index])
    kind = f"{column.kind} absent" if column.cells[index] == ABSENT else column.kind
    return f'<td class="{kind}">{text}{mark if column.kind == "score" else ""}</td>'


def notes(board: Board) -> Iterator[str]:
    """Yield how far the rows can be trusted."""
    notes = list(board.notes)
    if len(board.shown) > 1:
        notes.append("the line runs to the best, on the right; a bar is the 95 % interval, a hollow dot is further off")
    if len(board.shown) > 1 and board.baseline is not None:
        notes.append("the row with a ◆ is the task’s baseline, and the stroke across each line is its score")
    yield '<ul class="notes">'
    yield from (f"<li>{with_code(note)}</li>" for note in notes)
    yield "</ul>"


def _scales(board: Board) -> Iterator[_Scale]:
    """Yield a scale for the score, and one for each further objective, whose values have no intervals."""
    rows, objective = board.shown, board.study.terms.objective
    base = board.baseline
    values = (None,) * len(board.objectives) if base is None else base.values
    yield _Scale(
        objective, [row.score for row in rows], [row.interval for row in rows], None if base is None else base.score
    )
    for index, further in enumerate(board.objectives[1:], start=1):
        yield _Scale(further, [row.values[index] for row in rows], [None] * len(rows), values[index])


class _Scale:
    """A line on which scores are dots. Bars would mislead, since the line does not begin at zero."""

    def __init__(
        self,
        objective: Objective,
        scores: Sequence[float | None],
        intervals: Sequence[tuple[float, float] | None],
        baseline: float | None,
    ) -> None:
        self.objective, self._scores, self._intervals, self._baseline = objective, scores, intervals, baseline
        known = [score for score in scores if score is not None]
        ends = [end for interval in intervals if interval is not None for end in interval]
        self._worst = numbers.within_reach(known, objective)[-1] if known else 0.0
        self._best = objective.best([*known, *ends]) if known else 0.0

    def mark(self, index: int) -> str:
        """Return the line with a row's dot; nothing if all scores are equal."""
        score, interval = self._scores[index], self._intervals[index]
        if self._best == self._worst or score is None:
            return ""
        bar = ""
        if interval is not None:
            left, right = sorted(max(0.0, self._percent(end)) for end in interval)
            bar = f'<i style="left:{left:.2f}%;width:{right - left:.2f}%"></i>'
        place = self._percent(score)
        off = ' class="off"' if place < 0 else ""
        dot = f'<b{off} style="left:{max(0.0, place):.2f}%"></b>'
        return f'<span class="line" aria-hidden="true"><span>{bar}{self._stroke()}{dot}</span></span>'

    def _stroke(self) -> str:
        """Return the mark of the baseline's score, which every line has; nothing if it is off the line."""
        place = -1.0 if self._baseline is None else self._percent(self._baseline)
        return f'<u style="left:{place:.2f}%"></u>' if 0 <= place <= 100 else ""

    def _percent(self, score: float) -> float:
        """Return how far along the line a score is, in percent; below 0 if it is further off."""
        return 100 * (score - self._worst) / (self._best - self._worst)


def with_code(text: str) -> str:
    """Return text as HTML, in which what stands between backticks is code."""
    return re.sub(r"`([^`]*)`", r"<code>\1</code>", _safe(text))


def _safe(text: str) -> str:
    return escape(printable(text))


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""

STYLE = """figure.picture { display: inline-block; margin: 0 1.5rem 1.5rem 0; vertical-align: top; }
figure.picture img { min-width: 14rem; max-width: 100%; image-rendering: pixelated; }
.progress figure.picture img { min-width: 10rem; }
figcaption { color: var(--quiet); font-size: .8rem; }
:root { color-scheme: light dark; --ink: #1d2126; --paper: #fff; --quiet: #636b75; --rule: #e2e5e9;
  --mark: #2563a8; --tint: #f5f7f9; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e4e6e9; --paper: #16191d; --quiet: #969da6;
  --rule: #2d3239; --mark: #79b1ec; --tint: #1d2126; } }
body { margin: 0; background: var(--paper); color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
main { max-width: 96rem; margin: 0 auto; padding: 2.5rem 1.5rem; }
h1 { font-size: 1.5rem; font-weight: 600; margin: 0; overflow-wrap: anywhere; }
.best { margin: .25rem 0 1.5rem; color: var(--quiet); }
.best strong { color: var(--ink); font-size: 1.15rem; font-variant-numeric: tabular-nums; }
dl { display: grid; grid-template-columns: repeat(auto-fill, minmax(16rem, 1fr)); gap: .6rem 2rem;
  margin: 0 0 1.25rem; }
dt { color: var(--quiet); font-size: .8rem; }
dd { margin: 0; overflow-wrap: anywhere; }
.same { margin: 0 0 1.25rem; color: var(--quiet); overflow-wrap: anywhere; }
.same b { color: var(--ink); font-weight: 500; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: .925rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .45rem; text-align: left; white-space: pre; border-bottom: 1px solid var(--rule); }
th { font-size: .8rem; font-weight: 500; color: var(--quiet); vertical-align: bottom; }
th.param, th.detail { white-space: normal; }
.many table { font-size: .8rem; }
.many th, .many td { padding: .35rem .3rem; }
.many .line { width: 5rem; margin-left: .4rem; }
.number, .detail, td.score { text-align: right; }
tbody tr:hover { background: var(--tint); }
tr.first td { font-weight: 600; }
tr.stopped td, tr.broken td, td.absent { color: var(--quiet); }
.line { display: inline-block; width: 7rem; height: .5rem; margin-left: .75rem; padding: 0 4px; vertical-align: middle;
  background: linear-gradient(var(--rule), var(--rule)) center / 100% 1px no-repeat; }
.line > span { display: block; position: relative; height: 100%; }
.line b.off { background: none; box-shadow: inset 0 0 0 1.5px var(--mark); }
.line i { position: absolute; top: calc(50% - 1px); height: 2px; background: var(--mark); opacity: .55; }
.line b { position: absolute; top: calc(50% - 4px); width: 8px; height: 8px; margin-left: -4px; border-radius: 50%;
  background: var(--mark); }
.line u { position: absolute; top: -3px; bottom: -3px; width: 1px; background: var(--quiet); }
tr.baseline td:first-child::before { content: "◆ "; color: var(--mark); }
tr.stopped .line b, tr.broken .line b { background: var(--paper); box-shadow: inset 0 0 0 2px var(--quiet); }
.notes { margin: 1.25rem 0 0; padding-left: 1.1rem; color: var(--quiet); font-size: .9rem; }
@media print { main { max-width: none; padding: 0; } .wide { overflow: visible; } }
"""
