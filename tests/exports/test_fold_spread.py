"""The spread over folds, as a leaderboard shows it."""

from __future__ import annotations

from tests.support.small_studies import study, trial
from tests.support.trials import changed
from tune_jobs import exports
from tune_jobs.search_spaces import Protocol


def test_the_trials_of_a_later_version_keep_their_own_spread() -> None:
    """A record of a later version lacks the trials before it, so that a trial's number is not its place."""
    trials = [changed(trial(n, 0.9, units=n), metrics={"val_accuracy_std": n / 1000}) for n in (7, 8)]
    page = exports.render(study(*trials, protocol=Protocol(folds=4)), "table")
    assert "0.0070" in page
    assert "0.0080" in page
