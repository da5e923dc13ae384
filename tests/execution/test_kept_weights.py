"""Which weights stay where a user has not said so: those of the ten best configurations, with all their seeds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sweeping import Own, own_task, terms_of
from tune_jobs.execution.kept_weights import FINALISTS, KeptWeights
from tune_jobs.execution.trial_ledger import TrialLedger
from tune_jobs.records.trials import TrialResult
from tune_jobs.search.candidates import Candidate
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.training import weights

N = 3 * FINALISTS


@pytest.fixture
def own(tmp_path: Path) -> Own:
    return own_task(tmp_path / "task", width=f"Int(1, {N})")


def result(score: float) -> TrialResult:
    return TrialResult("complete", score, 1, {"val_accuracy": score}, ({"val_accuracy": score},))


def kept(folder: Path) -> list[int]:
    return sorted(int(path.stem) for path in folder.glob("*.npz"))


def test_the_best_configurations_keep_theirs_and_no_more_than_twice_as_many_lie_there(
    own: Own, settings: Settings
) -> None:
    settings.prepare()
    with Study.hold("own", settings) as study:
        study.begin(terms_of(own.task, own.reference, None))
        folder = settings.weights_dir(study.identity)
        weights.keep(b"of an earlier launch", folder, 999)
        kept_weights = KeptWeights(study, folder)
        ledger = TrialLedger(study, kept=kept_weights)
        for width in range(1, N + 1):
            trial = ledger.start(
                ledger.add(own.task.space, Candidate({"act": "fine", "width": width, "depth": 1}, 0)), ""
            )
            weights.keep(b"weights", folder, trial.number)
            ledger.finish(trial, result(width / N))
            assert len(kept(folder)) <= 2 * FINALISTS + 1
        kept_weights.prune()
        assert kept(folder) == [*range(N - FINALISTS, N), 999]
        again = ledger.start(ledger.add(own.task.space, Candidate({"act": "fine", "width": N, "depth": 1}, 1)), "")
        weights.keep(b"weights", folder, again.number)
        ledger.finish(again, result(1.0))
        kept_weights.prune()
        assert kept(folder) == [*range(N - FINALISTS, N), N, 999]
