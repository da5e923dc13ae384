"""The tables of a one-factor study, a table a factor: their cells, and all of them in Markdown and as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

from tune_jobs.exports import data, numbers
from tune_jobs.exports.board import ABSENT
from tune_jobs.exports.tables import escaped
from tune_jobs.leaderboard.factors import Factor, FactorStudy, ScoredLevel
from tune_jobs.search_spaces.task import NO_DATA
from tune_jobs.words import counted

HEADINGS = ("level", "n", "mean", "std", "95 %", "from baseline", "judged")
_STANDINGS = {"best": "the best", "tied": "tied with the best", "worse": "worse", None: ABSENT}


def cells(factor: Factor) -> list[tuple[str, ...]]:
    """Return a row for each level, in declared order; a cell without a value is `-`."""
    return [_cells(level) for level in factor.levels]


def about(study: FactorStudy) -> str:
    """Return one line on what the tables show."""
    row = study.baseline.row
    known = ABSENT if row is None else f"{numbers.score(row.score)}, {counted(row.n, 'seed')}"
    objective = f"{study.objective.direction} {study.objective.metric}"
    subject = study.task if study.dataset == NO_DATA else f"{study.task} on {study.dataset}"
    return f"study {study.study}: {subject}, {objective}; baseline {known}"


def notes(study: FactorStudy) -> tuple[str, ...]:
    """Return notes on how to read the tables."""
    rows = [level.row for factor in study.factors for level in factor.levels if level.row is not None]
    lines = ["from baseline: a level's mean less the baseline's"]
    if any(row.has_seed_part for row in rows):
        lines.append("judged: at 95 %, beside the other levels of its factor alone")
    else:
        lines.append("one seed each, small differences may be chance (`tune-jobs replicate` adds seeds)")
    return tuple(lines)


def markdown(study: FactorStudy, *, level: int = 1) -> str:
    """Return a section with a section for each factor below it, which has a table in GitHub's Markdown."""
    lines = [f"{'#' * level} Factors of {escaped(study.study)}", "", escaped(about(study))]
    for factor in study.factors:
        lines += ["", f"{'#' * (level + 1)} {escaped(factor.name)}", "", *_table(factor)]
    return "\n".join([*lines, "", *(f"- {escaped(note)}" for note in notes(study))]) + "\n"


def json_form(study: FactorStudy) -> dict[str, Any]:
    """Return everything, exact; a level's row has the names that the leaderboard's JSON has."""
    return {
        "study": study.study,
        "task": study.task,
        "dataset": study.dataset,
        "objective": asdict(study.objective),
        "baseline": _level_form(study.baseline),
        "factors": [
            {"name": factor.name, "levels": [_level_form(level) for level in factor.levels]} for factor in study.factors
        ],
    }


def _level_form(level: ScoredLevel) -> dict[str, Any]:
    form = asdict(level) | {"row": None if level.row is None else data.row_fields(level.row)}
    return {"verdict" if name == "standing" else name: value for name, value in form.items()}


def _table(factor: Factor) -> Iterator[str]:
    yield _piped(HEADINGS)
    yield _piped([":--", *["--:"] * 5, ":--"])
    for row in cells(factor):
        yield _piped([escaped(cell) for cell in row])


def _piped(row: Sequence[str]) -> str:
    return f"| {' | '.join(row)} |"


def _cells(level: ScoredLevel) -> tuple[str, ...]:
    row = level.row
    if row is None:
        known = [ABSENT] * 4
    else:
        known = [str(row.n), numbers.score(row.score), numbers.std(row.std), numbers.between(row.interval)]
    return level.name, *known, "baseline" if level.is_baseline else numbers.signed(level.difference), _standing(level)


def _standing(level: ScoredLevel) -> str:
    standing = "stopped" if level.row is not None and level.row.state == "stopped" else _STANDINGS[level.standing]
    if not level.failed:
        return standing
    failed = f"failed ({', '.join(level.failed)})"
    return failed if level.row is None else f"{standing}, others {failed}"
