"""Records of small studies, one of them with texts that are hostile to every format."""

from __future__ import annotations

from typing import Any

from tests.support.trials import changed, trial_record
from tune_jobs.records.studies import Launch, StudyRecord, StudyTerms
from tune_jobs.records.trials import State, TrialRecord
from tune_jobs.search_spaces import Objective, Protocol, Value

HOSTILE = "=1+1|`x`\n<script>alert('\"&')</script>_\x1b[31m**b**"


def trial(number: int, score: float | None, state: State = "complete", **params: Value) -> TrialRecord:
    return trial_record(
        number, params, seed=4, state=state, score=score, best_epoch=9, train_seconds=1.25, weights=10, cpus=1.0
    )


def study(*trials: TrialRecord, name: str = "first", **terms: Any) -> StudyRecord:
    known: dict[str, Any] = {
        "task": "digits-mlp",
        "task_digest": "0123456789ab",
        "reference": "digits-mlp",
        "dataset": "digits",
        "data_digest": "1234567890123456",  # all digits, which YAML takes for a number unless it is quoted
        "space": {},
        "objective": Objective("val_accuracy", "maximize"),
        "protocol": Protocol(epochs=20, patience=5, validation=0.2),
        "seed": 4,
    }
    launch = Launch("grid", 4, "host", 1.7e9, None, {"keras": "3.15", "tune-jobs": "0.1.0"})
    return StudyRecord(name, "identity", StudyTerms(**known | terms), launch, 1.7e9, trials)


SMALL = study(
    trial(0, 0.5, optimizer="adam", learning_rate=0.001, units=128),
    trial(1, 0.9, optimizer="sgd", units=128),
    trial(2, 0.9, optimizer="adam", learning_rate=0.01, units=128),
    trial(3, 0.95, "stopped", optimizer="rmsprop", units=128),
    changed(trial(4, None, "failed", optimizer="lion", units=128), reason="diverged"),
)


def hostile() -> StudyRecord:
    trials = (trial(0, 0.5, **{HOSTILE: HOSTILE, "units": 1}), trial(1, 0.4, **{HOSTILE: "plain", "units": 1}))
    failed = changed(trial(2, None, "failed", **{HOSTILE: "x", "units": 1}), reason=HOSTILE)
    return study(*trials, failed, name=HOSTILE, task=HOSTILE, dataset=HOSTILE, reference=f"{HOSTILE}.py")
