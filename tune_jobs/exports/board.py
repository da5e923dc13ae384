"""The words and cells of a leaderboard, which every format lays out in its own way.

Cells are for people: long floats are shortened, and a value that all rows share is shown once. `data.py` is exact.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Literal

from tune_jobs.leaderboard import fronts, ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records import constraints, fold_rows, objectives
from tune_jobs.records.split_readings import place_among_all
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces import fitting, scalars
from tune_jobs.search_spaces.one_factor import AnySpace, space_from_json
from tune_jobs.search_spaces.protocol import Objective
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.words import counted, printable, span

ABSENT = "-"  # a parameter that a configuration does not have

Kind = Literal["number", "score", "text", "param", "detail"]  # a detail is a number that may be left out


@dataclass(frozen=True)
class Column:
    """A heading with a cell for each row shown."""

    heading: str
    cells: tuple[str, ...]
    kind: Kind

    @cached_property
    def width(self) -> int:
        """The number of characters of its longest text."""
        return max(map(len, (self.heading, *self.cells)))


@dataclass(frozen=True)
class Board:
    """A study with its ranked rows, of which `shown` are the first."""

    study: StudyRecord
    rows: tuple[Row, ...]
    shown: tuple[Row, ...]

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The objectives if there are several; none if one decides."""
        return self.study.terms.objectives if self.study.terms.further_objectives else ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """All parameters, in the order in which rows first have them."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.params))

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """The parameters with several values, in any of the rows; those below `top` count too."""
        return tuple(name for name in self.names if len({_identity(row, name) for row in self.rows}) > 1)

    @property
    def same(self) -> tuple[tuple[str, str], ...]:
        """The other parameters, each with its one value."""
        return tuple((name, value_text(self.rows[0].params[name])) for name in self.names if name not in self.varied)

    @cached_property
    def baseline(self) -> Row | None:
        """The row of the task's own configuration, if it has a score and the study knows which one that is."""
        launch = self.study.launch
        known = None if launch is None else launch.baseline
        return next((row for row in self.rows if row.params_id == known), None)

    @property
    def about(self) -> str:
        terms, launch = self.study.terms, self.study.launch
        unit = f" ({launch.unit})" if launch is not None and launch.unit else ""
        return (
            f"study {self.study.name}: {terms.subject}, {objectives.words(terms.objectives)}{printable(unit)}, "
            f"seed {terms.seed}{''.join(f', {setting}' for setting in terms.protocol.special)}"
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Notes on the rows: how many there are, and how far their order can be trusted."""
        notes = [ranking.summary(self.study.trials).words()]
        if len(self.shown) < len(self.rows):
            notes.append(f"the first {len(self.shown)} of {len(self.rows)} configurations")
        if any(row.tied for row in self.shown):
            same = "has the very same values as another" if self.objectives else "shares its rank with an equal score"
            notes.append(f"= {same}")
        notes += self._notes_on_the_front() if self.objectives else self._notes_on_the_order()
        notes += self._note_on_the_baseline()
        if any(row.state == "stopped" for row in self.shown):
            notes.append("stopped configurations come last: how they would have ended is not known")
        notes += self._notes_on_the_limits() + self._notes_on_changes()
        notes += [self._note_on_the_test_split()] if self.study.terms.has_data else []
        notes += self._note_on_models_trained_anew()
        return tuple(notes)

    def _notes_on_the_order(self) -> list[str]:
        if not self.rows:
            return []
        if not any(row.has_seed_part for row in self.rows):
            alone = ": the 95 % interval is of the validation images alone" if self.rows[0].interval else ""
            return [f"one seed each, small differences may be chance{alone} (`tune-jobs replicate` adds seeds)"]
        tied = sum(row.may_be_best for row in self.rows if row.state == "complete" and row.places is not None)
        notes = ["best: the probability of being the best; places: between which it may be, at 95 %"]
        notes.append("no other is tied with the first" if tied < 2 else f"{tied} are tied: each may be the best")
        return notes

    def _note_on_the_baseline(self) -> list[str]:
        """Return how the winner compares with the task's own configuration, which a search is to beat."""
        row, best = self.baseline, fronts.best(self.rows)
        if row is None or best is None or self.objectives:
            return []
        score = format(row.score, self.score_format)
        about = f"baseline: trial {row.trials[0]}, rank {row.rank}, {score}"
        if row is best:
            return [f"{about}: nothing tried is better"]
        gain = abs(best.score - row.score)
        unsure = "; it may be the best, too" if row.places is not None and row.may_be_best else ""
        return [f"{about}; the best is {format(gain, self.score_format)} better{unsure}"]

    def _notes_on_the_front(self) -> list[str]:
        """Return how large the front is, and how far its numbers can be trusted."""
        n = len(fronts.first(self.rows))
        if not n:
            return []
        on = "1 configuration is" if n == 1 else f"{n} configurations are"
        notes = [f"{on} on the first front: nothing tried is better in one objective and nowhere worse"]
        notes.append(f"within a front by {self.objectives[0].metric}")
        if any(row.n > 1 for row in self.rows):
            return [*notes, "values are means over seeds, where there are several"]
        return [*notes, "one seed each, small differences may be chance (`tune-jobs replicate` adds seeds)"]

    def _notes_on_the_limits(self) -> list[str]:
        limits = self.study.constraints
        if not limits:
            return []
        n, total = sum(bool(row.broken) for row in self.rows), len(self.rows)
        which = f"{n} of {total} configurations break" if n else f"all {total} configurations keep to"
        last = ", have no rank and come last" if n else ""
        return [f"limits: {printable(constraints.words(limits))}; {which} them{last}"]

    def _notes_on_changes(self) -> list[str]:
        """Return what has changed of the study: its space within this version, and the versions beside it."""
        notes = []
        if self.study.spaces:
            last, n = self.study.spaces[-1], sum(map(self.is_outside, self.rows))
            outside = f"{n} of {len(self.rows)} configurations are outside of it now"
            notes.append(f"{printable(last.what)} changed on {_day(last.at)}; {outside}")
        versions = [change for change in self.study.changes if change.is_version]
        for number, change in enumerate(versions, start=2):
            why, what = printable(change.why), printable(change.what)
            notes.append(f"version {number}, since {_day(change.at)} ({why}): {what}")
        if versions:
            notes.append(f"this is version {self.study.version} alone; others' scores mean something else (--version)")
        return notes

    def is_outside(self, row: Row) -> bool:
        """Return True if a row has values that the study's space does not have any more."""
        return bool(self.study.spaces) and not fitting.is_inside(self._space, row.params)

    @cached_property
    def _space(self) -> AnySpace:
        return space_from_json(self.study.terms.space)

    def _note_on_the_test_split(self) -> str:
        """Return how often it was read, and when last: each further time makes its best figure a little luckier."""
        evaluations = self.study.readings
        if not evaluations:
            return "the test split was never read"
        last = evaluations[-1]
        day = _day(last.at)
        how_often = "once," if len(evaluations) == 1 else f"{len(evaluations)} times, last"
        n = len(last.trials)
        read = f"the test split was read {how_often} on {day} for {last.by}, {counted(n, 'trial')}"
        n_since = sum(trial.started is not None and trial.started > last.at for trial in self.study.trials)
        since = f"{counted(n_since, 'trial')} of this study began after it" if n_since else ""
        return "; ".join(filter(None, (read, place_among_all(last), since)))

    def _note_on_models_trained_anew(self) -> list[str]:
        """Return which models that were tested are others than those that were ranked, by their validation scores."""
        tested = [(trial, trial.tested) for trial in self.study.trials if trial.tested is not None]
        form = self.score_format
        others = [
            f"trial {trial.number} ({format(result.val_score, form)} for {format(score, form)})"
            for trial, result in tested
            if result.is_retrained and result.val_score is not None
            if (score := trial.score) is not None and score != result.val_score
        ]
        if not others:
            return []
        return [f"tested with models that were trained anew, to other validation scores: {', '.join(others)}"]

    @cached_property
    def columns(self) -> tuple[Column, ...]:
        """Rank, score, the parameters that vary, and the trials behind them; empty columns are left out."""
        folds = [self._column("std of folds", "number", self._fold_spread)] if self._has_folds else []
        is_repeated = any(row.n > 1 for row in self.shown)
        apart = " " if any(row.tied for row in self.shown) else ""  # so that numbers stay in line with `1=`
        score = self.score_format
        columns = [
            self._column("front" if self.objectives else "rank", "number", lambda row: _place(row, apart)),
            self._column(self.study.terms.objective.metric, "score", lambda row: format(row.score, score)),
            *folds,
        ]
        if is_repeated:
            spread = self._column("std", "number", lambda row: ABSENT if row.std is None else format(row.std, score))
            columns += [spread, self._column("n", "number", lambda row: str(row.n))]
        columns.append(self._column("95 %", "number", lambda row: _range(row.interval, score)))
        columns += [
            self._column(further.metric, "score", self._value(index))
            for index, further in enumerate(self.objectives[1:], start=1)
        ]
        columns.append(self._column("best", "number", _p_best))
        columns.append(self._column("places", "number", _places))
        tests = [row.tested for row in self.shown if row.tested is not None]
        if tests:
            columns.append(self._column(tests[0].metric, "number", lambda row: _test(row, score)))
        if any(row.state == "stopped" for row in self.shown):
            columns.append(self._column("state", "text", lambda row: row.state))
        columns.append(self._column("breaks", "text", lambda row: ", ".join(row.broken) or ABSENT))
        columns.append(self._column("space", "text", lambda row: "outside" if self.is_outside(row) else ABSENT))
        columns += [self._column(name, "param", _param(name)) for name in self.varied]
        columns.append(self._column("epoch", "detail", _epochs))
        if objectives.TRAIN_SECONDS not in {objective.metric for objective in self.objectives}:
            columns.append(self._column("train_s", "detail", _seconds))
        columns.append(self._column("trials" if is_repeated else "trial", "number", _trials))
        return tuple(column for column in columns if set(column.cells) != {ABSENT})

    @property
    def _has_folds(self) -> bool:
        return self.study.terms.protocol.folds is not None

    def _fold_spread(self, row: Row) -> str:
        """Return the standard deviation over the folds, the mean of those of several seeds."""
        name = fold_rows.spread_name(self.study.terms.objective.metric)
        spreads = [self.study.trial(number).metrics.get(name) for number in row.trials]
        known = [spread for spread in spreads if spread is not None]
        return format(statistics.fmean(known), self.score_format) if known else ABSENT

    @cached_property
    def score_format(self) -> str:
        """The format of scores: four decimals, or up to six if scores differ only there."""
        return _form([row.score for row in self.shown])

    def _value(self, index: int) -> Callable[[Row], str]:
        """Return a function that writes a row's value in the objective at this place, to about four digits."""
        known = [value for row in self.shown if (value := row.values[index]) is not None]
        largest = max(map(abs, known), default=0.0)
        if largest >= 1000 or all(value.is_integer() for value in known):
            form = ".0f"
        else:
            form = ".2f" if largest >= 10 else _form(known)
        return lambda row: ABSENT if (value := row.values[index]) is None else format(value, form)

    def _column(self, heading: str, kind: Kind, cell: Callable[[Row], str]) -> Column:
        return Column(printable(heading), tuple(cell(row) for row in self.shown), kind)


def _day(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d")


def _form(values: Collection[float]) -> str:
    different = set(values)
    if any(value and abs(value) < 1e-3 for value in different):
        return ".5g"
    for form in (".4f", ".5f"):
        if len({format(value, form) for value in different}) == len(different):
            return form
    return ".6f"


def value_text(value: Value) -> str:
    """Return a parameter's value in one line; a long float to four digits."""
    if isinstance(value, float) and len(repr(value)) > 8:
        return f"{value:.4g}"
    return printable(value if isinstance(value, str) else scalars.text(value))


def _identity(row: Row, name: str) -> tuple[object, ...]:
    """Return a parameter's value with its type, since 1, 1.0 and True are equal; `()` if the row has none."""
    return (type(row.params[name]), row.params[name]) if name in row.params else ()


def _place(row: Row, apart: str) -> str:
    """Return `1`, or `1=` for a tie; what breaks a limit has no place, and what was stopped is on no front."""
    if row.broken or (row.values and row.state == "stopped"):
        return ABSENT + apart
    return f"{row.rank}{'=' if row.tied else apart}"


def _param(name: str) -> Callable[[Row], str]:
    return lambda row: value_text(row.params[name]) if name in row.params else ABSENT


def _range(interval: tuple[float, float] | None, form: str) -> str:
    return ABSENT if interval is None else span(format(interval[0], form), format(interval[1], form))


def _p_best(row: Row) -> str:
    if row.p_best is None:
        return ABSENT
    return "<1 %" if 0 < row.p_best < 0.005 else f"{row.p_best:.0%}".replace("%", " %")


def _places(row: Row) -> str:
    if row.places is None:
        return ABSENT
    return str(row.places[0]) if row.places[0] == row.places[1] else f"{row.places[0]}-{row.places[1]}"


def _test(row: Row, form: str) -> str:
    return ABSENT if row.tested is None else format(row.tested.score, form)


def _epochs(row: Row) -> str:
    """Return `12`, or `9-14` over several trials."""
    known = [epoch for epoch in row.best_epochs if epoch is not None]
    if not known:
        return ABSENT
    return str(known[0]) if min(known) == max(known) else f"{min(known)}-{max(known)}"


def _seconds(row: Row) -> str:
    return ABSENT if row.train_seconds is None else f"{row.train_seconds:.1f}"


def _trials(row: Row) -> str:
    more = f" +{row.n - 3}" if row.n > 3 else ""
    return ",".join(map(str, row.trials[:3])) + more
