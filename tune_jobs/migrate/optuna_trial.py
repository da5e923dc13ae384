"""Optuna's define-by-run objectives as functions of ours: `suggest_…` on a trial of our own.

Akiba et al., Optuna, KDD 2019. A trial that is traced ends where it reports a value: training takes its time, and what
is suggested after it is not found.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tune_jobs.migrate.domains import Options, float_steps, int_steps
from tune_jobs.migrate.migrated import Called, Migrated
from tune_jobs.migrate.tracing import Answers, trace
from tune_jobs.search_spaces.scalars import Float, Int, Params, Scalar, Value

_REPORTS = "report: steps are not seen, for the function returns once; let it yield them, and schedulers judge them"


def from_optuna(objective: Callable[[Any], Any]) -> Migrated:
    """Return the space of a function of a trial, and a function of params that a task runs.

    It is called once for each value that others may depend on, up to its first `report`. Give the part of the objective
    that suggests, where the whole takes long.

    Raises:
        TaskError: it suggests nothing, or branches without end.
    """

    def until_report(answers: Answers) -> None:
        try:
            objective(Trial(answers))
        except _EnoughError:
            answers.notes.append(_REPORTS)

    found = trace(until_report, objective.__qualname__)

    def call(objective: Callable[[Any], Any], params: Params) -> Any:
        return objective(Trial(Answers(params, found.left_out)))

    return Migrated(found.space, found.baseline, found.notes, run=Called(objective, call))


class _EnoughError(BaseException):
    """Ends a trial that is traced. No `except Exception` of the objective catches it."""


class Trial:
    """What an objective takes. Its methods have the arguments of Optuna's trial."""

    number = 0

    def __init__(self, answers: Answers) -> None:
        self._answers = answers
        self.params: dict[str, Any] = {}
        self.user_attrs: dict[str, Any] = {}

    def suggest_float(
        self, name: str, low: float, high: float, *, step: float | None = None, log: bool = False
    ) -> float:
        domain = Float(low, high, log=log) if step is None else float_steps(low, high, step)
        return float(self._ask(name, domain, domain.at(0.5)))

    def suggest_int(self, name: str, low: int, high: int, *, step: int = 1, log: bool = False) -> int:
        domain = Int(low, high, log=True) if log else int_steps(low, high, step)
        return int(self._ask(name, domain, domain.at(0.5)))

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        options = Options.of(choices)
        self.params[name] = options.value(self._ask(name, options.domain, options.domain.options[0]))
        return self.params[name]

    def report(self, value: float, step: int) -> None:
        if self._answers.is_traced:
            raise _EnoughError

    def should_prune(self) -> bool:
        return False

    def set_user_attr(self, key: str, value: Any) -> None:
        self.user_attrs[key] = value

    def _ask(self, name: str, domain: Scalar, default: Value) -> Any:
        self.params[name] = self._answers.answer(name, domain, default)
        return self.params[name]
