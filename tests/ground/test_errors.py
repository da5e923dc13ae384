"""The two kinds of failure stay what they are on their way through pickles and to the user."""

from __future__ import annotations

import pickle

import pytest

from tune_jobs.errors import DataError, Reason, SettingsError, StudyError, TrialError, UserError


@pytest.mark.parametrize("kind", [SettingsError, DataError, StudyError])
def test_a_users_mistake_is_shown_as_its_message(kind: type[UserError]) -> None:
    assert issubclass(kind, UserError)
    assert str(kind("what to do")) == "what to do"


def test_a_failed_trial_is_no_mistake_of_the_user() -> None:
    assert not issubclass(TrialError, UserError)


def test_reasons_are_the_words_of_the_design() -> None:
    words = ["diverged", "out-of-memory", "crashed", "timed-out", "invalid", "collapsed", "infeasible"]
    assert [str(reason) for reason in Reason] == words


def test_a_trial_error_says_its_message_and_keeps_its_reason() -> None:
    error = TrialError("out-of-memory", "needed 9 GiB")
    assert (error.reason, error.message, str(error)) == (Reason.OUT_OF_MEMORY, "needed 9 GiB", "needed 9 GiB")


def test_a_trial_error_survives_pickling() -> None:
    error = pickle.loads(pickle.dumps(TrialError(Reason.DIVERGED, "loss was nan in epoch 3")))
    assert isinstance(error, TrialError)
    assert (error.reason, str(error)) == (Reason.DIVERGED, "loss was nan in epoch 3")


def test_an_unknown_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="bored"):
        TrialError("bored", "it stopped")
