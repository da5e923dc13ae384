"""How the API speaks to its user: messages on standard error, and errors where a command would have an exit code."""

from __future__ import annotations

import signal
import sys

from tune_jobs.actions.session import Outcome
from tune_jobs.errors import UserError
from tune_jobs.words import printable_lines


def say(message: str) -> None:
    """Print a message to standard error, which a notebook shows below the cell."""
    print(printable_lines(message), file=sys.stderr, flush=True)


def raise_early_end(outcome: Outcome) -> None:
    """Raise what ended a run early, after all that is finished was written.

    Raises:
        KeyboardInterrupt: Ctrl-C ended it, or the interrupt button of a notebook. Any other signal that ended it is
            sent to the process again, which then ends as it would have.
        UserError: failures of the task's own code ended it, or all trials or finalists failed; a traceback is a note of
            the error.
    """
    if not outcome.is_delivered:
        say(f"Some trials are not in MLflow yet; nothing is lost. Run `tune-jobs sync {outcome.study.name}`.")
    if outcome.unheard is not None:
        say(outcome.unheard)
    failure = outcome.task_failure
    if failure is not None:
        retry = "evaluate(again=True)" if failure.is_of_evaluation else f"retry(['{failure.reason}'])"
        error = UserError(f"{failure.message}. Once it is mended, call {retry}")
        if failure.traceback is not None:
            error.add_note(failure.traceback.rstrip())
        raise error
    if outcome.signal is not None:
        signal.raise_signal(outcome.signal)
