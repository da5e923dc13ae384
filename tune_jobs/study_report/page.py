"""The report as one HTML page: sections with figures and tables, and one script that draws and sorts.

The page loads nothing. Plotly's script is in it compressed, and is unpacked by the browser when the page opens; where
scripts are forbidden or the browser is too old, the tables have the numbers.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from plotly.offline import get_plotlyjs

from tune_jobs import exports
from tune_jobs.exports import page as leaderboard_page
from tune_jobs.exports import pictures
from tune_jobs.exports.board import Board
from tune_jobs.study.optuna_view import Snapshot
from tune_jobs.study_report import curves, figures, importances, parallel, reproduction, summary, tables, timeline
from tune_jobs.study_report.figures import Figure
from tune_jobs.words import printable


@dataclass(frozen=True)
class Section:
    """A part of the report: its heading, how to read it, figures of which one at a time is chosen, and tables."""

    name: str
    heading: str
    words: str
    figures: tuple[Figure, ...] = ()
    tables: tuple[str, ...] = ()
    chooses: bool = False  # a menu shows one figure at a time; else all are shown

    @property
    def is_empty(self) -> bool:
        return not self.figures and not self.tables


def html_text(snapshot: Snapshot) -> str:
    """Return the whole page."""
    board = exports.board_of(snapshot.record, None)
    return assembled(f"Report of {board.study.name}", _head(board), _sections(snapshot, board))


def assembled(title: str, head: Iterable[str], sections: Iterable[Section]) -> str:
    """Return a whole page: its head as HTML, then the sections that have anything, with links to them."""
    shown = [section for section in sections if not section.is_empty]
    body = [*head, *_contents(shown), *(part for section in shown for part in _html(section))]
    plots = {_key(section, n): figure for section in shown for n, figure in enumerate(section.figures)}
    return _PAGE.format(
        title=_safe(title),
        style=leaderboard_page.STYLE + _resource("report.css"),
        body="\n".join(body),
        figures=_json({key: figure.plot | {"height": figure.height} for key, figure in plots.items()}),
        plotly=_packed(get_plotlyjs()) if plots else "",
        script=_resource("report.js"),
    )


def _sections(snapshot: Snapshot, board: Board) -> Iterator[Section]:
    record = snapshot.record
    assessed = importances.assess(snapshot)
    yield Section("leaderboard", "Leaderboard", _LEADERBOARD, tables=(_leaderboard(board),))
    yield Section("front", "Pareto front", _FRONT, tuple(figures.fronts(snapshot, board.rows)))
    words = _HISTORIES if record.terms.further_objectives else _HISTORY
    yield Section("history", "How the search went", words, tuple(figures.histories(snapshot)))
    yield Section(
        "importance",
        "Which parameters mattered",
        _IMPORTANCE,
        tuple(figures.importances(assessed)),
        tuple(tables.importances(assessed)),
    )
    yield Section("parallel", "All configurations at once", _PARALLEL, tuple(parallel.parallel(snapshot)))
    yield Section("slices", "One parameter", _SLICES, tuple(figures.slices(snapshot)), chooses=True)
    pairs = tuple(figures.contours(snapshot, assessed))
    yield Section("contours", "Two parameters", _CONTOURS, pairs, chooses=True)
    yield Section("curves", "Learning curves", _CURVES, tuple(curves.curves(snapshot, board.rows)))
    yield Section("pictures", "What the best model draws", _PICTURES, tables=tuple(_pictures(board)))
    drawn = tuple(timeline.timeline(record.trials))
    yield Section("timeline", "Workers", _TIMELINE, drawn, tuple(tables.workers(record.trials)))
    yield Section("failures", "Failures", _FAILURES, tables=tuple(tables.failures(record.trials)))
    yield Section("reproduce", "How to reproduce it", "", tables=tuple(_reproduction(snapshot)))


def _head(board: Board) -> Iterator[str]:
    yield f"<header><h1>{_safe(board.study.name)}</h1>"
    yield f'<p class="summary">{leaderboard_page.with_code(" ".join(summary.sentences(board)))}</p>'
    yield from leaderboard_page.facts(board)
    yield "</header>"


def _contents(sections: Sequence[Section]) -> Iterator[str]:
    links = "".join(f'<li><a href="#{section.name}">{section.heading}</a></li>' for section in sections)
    yield f'<nav aria-label="Contents"><ul>{links}</ul></nav>'


def _html(section: Section) -> Iterator[str]:
    yield f'<section id="{section.name}" aria-labelledby="{section.name}-heading">'
    yield f'<h2 id="{section.name}-heading">{section.heading}</h2>'
    if section.words:
        yield f'<p class="words">{section.words}</p>'
    if section.chooses and len(section.figures) > 1:
        yield from _menu(section)
    shown = section.figures[:1] if section.chooses else section.figures
    yield from (_figure(section, n, figure) for n, figure in enumerate(shown))
    yield from section.tables
    yield "</section>"


def _menu(section: Section) -> Iterator[str]:
    yield f'<p class="choose"><label for="{section.name}-menu">Show</label> <select id="{section.name}-menu">'
    for n, figure in enumerate(section.figures):
        yield f'<option value="{_key(section, n)}" title="{_safe(figure.alt)}">{_safe(figure.name)}</option>'
    yield "</select></p>"


def _figure(section: Section, n: int, figure: Figure) -> str:
    is_one = section.chooses or len(section.figures) == 1
    caption = "" if is_one else f"<figcaption>{_safe(figure.name)}</figcaption>"
    least = f"min-height:{figure.height}px" + (f";min-width:{figure.width}px" if figure.width else "")
    scrolls = ' tabindex="0" role="group" aria-label="Scrolls sideways"' if figure.width else ""
    return (
        f'<figure class="plot" data-figure="{_key(section, n)}">{caption}'
        f'<div class="scrolls"{scrolls}>'
        f'<div class="canvas" role="img" aria-label="{_safe(figure.alt)}" style="{least}">'
        f'<p class="pending">This figure is drawn by the script of this page. {_safe(figure.alt)}.</p>'
        "</div></div></figure>"
    )


def _key(section: Section, n: int) -> str:
    return f"{section.name}-{n}"


def _leaderboard(board: Board) -> str:
    inner = "\n".join([*leaderboard_page.table(board), *leaderboard_page.notes(board)])
    return f'<div class="board" id="board">{inner}</div>'


def _pictures(board: Board) -> Iterator[str]:
    trial = pictures.shown_trial(board)
    if trial is not None:
        yield f"<p>Trial {trial.number}, the first seed of the best configuration.</p>"
        yield from pictures.figures(trial)


def _reproduction(snapshot: Snapshot) -> Iterator[str]:
    record = snapshot.record
    yield f'<pre tabindex="0" aria-label="Command">{_safe(reproduction.command(record))}</pre>'
    yield "<dl>"
    yield from (
        f"<div><dt>{name}</dt><dd>{_safe(value)}</dd></div>" for name, value in reproduction.facts(record).items()
    )
    yield "</dl>"
    space = "\n".join(_lines(reproduction.space(record)))
    yield f'<details><summary>The space that was searched</summary><pre tabindex="0">{space}</pre></details>'
    name = _safe(record.name)
    yield (
        f"<p>The best configuration trains again with <code>tune-jobs train best.yaml</code>, a file that lies beside "
        f"this one after a launch. The whole study goes into one file with <code>tune-jobs export-study {name} "
        f"-o {name}.study</code>.</p>"
    )


def _lines(lines: Iterable[str]) -> Iterator[str]:
    return map(_safe, lines)


def _safe(text: str) -> str:
    return escape(printable(text))


def _json(value: Mapping[str, object]) -> str:
    """Return JSON that may stand in a script element. Plotly leaves a gap for null."""
    return json.dumps(_finite(value), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def _finite(value: Any) -> Any:
    """Return the value with None for each number that JSON does not have."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return [_finite(part) for part in value] if isinstance(value, list | tuple) else value


def _packed(script: str) -> str:
    return base64.b64encode(gzip.compress(script.encode(), 9, mtime=0)).decode()


def _resource(name: str) -> str:
    return files(__package__).joinpath(name).read_text(encoding="utf-8")


_LEADERBOARD = (
    "The configurations, best first. A heading sorts; what is written in the field below leaves only the rows that "
    "have it."
)
_FRONT = (
    "Each point is a configuration, the mean over its seeds. On the front, no other is as good in every objective and "
    "better in one."
)
_FAR_OFF = "The view leaves out what is far off, such as a trial that diverged; a double click shows all."
_HISTORY = f"Each point is a configuration, in the order in which they began; the line is the best so far. {_FAR_OFF}"
_HISTORIES = f"Each point is a configuration, in the order in which they began. {_FAR_OFF}"
_IMPORTANCE = (
    "Shares of the importance. fANOVA: the share of the variance of the score, over all of the space, that a "
    "parameter explains alone (Hutter et al. 2014). PED-ANOVA: how much it decides on being among the best tenth "
    "(Watanabe et al. 2023). Both are Optuna’s. A whisker is one standard deviation, over the trees of the forest "
    "or over 50 bootstrap samples of the trials; where it is as long as its bar, the order is not known. A "
    "parameter that exists only under an option is compared in the group of configurations that have it. One "
    "trial of each configuration counts."
)
_PARALLEL = (
    "Each line is a configuration. Drag along an axis to keep only the lines that cross it there, drag a name to move "
    "its axis. A dash marks what a configuration does not have."
)
_SLICES = f"Each point is a configuration, from blue for those tried first to orange for the last. {_FAR_OFF}"
_CONTOURS = (
    "The score over two of the parameters that mattered most, interpolated between the points; on long axes a point "
    "is the best of those close to it."
)
_CURVES = f"The objective after each epoch. {_FAR_OFF}"
_TIMELINE = "When and where trials ran. Times in which nothing ran for over a minute do not count as idle."
_PICTURES = (
    "Pictures that the task makes of a model: with the weights of the best epoch, and in the course of training, after "
    "epochs 1, 2, 4, 8 and so on. Images and noise are the same in all of them."
)
_FAILURES = "Why trials failed. A configuration that failed and was run again counts once for each try."

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
<script type="application/json" id="figures">{figures}</script>
<script type="text/plain" id="plotly">{plotly}</script>
<script>
{script}</script>
</body>
</html>
"""
