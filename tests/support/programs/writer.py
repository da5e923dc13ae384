"""Write trial after trial into a study; the number of each is printed once the study acknowledged it."""

import sys
from pathlib import Path

from tune_jobs.records.studies import StudyTerms
from tune_jobs.records.trials import TrialResult
from tune_jobs.search_spaces import Int, Objective, Protocol, Space
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

home, storage = Path(sys.argv[1]), sys.argv[2] or None
space = Space(units=Int(0, 99_999))
terms = StudyTerms("t", "d", "t", "s", "d", space.to_json(), Objective("a", "maximize"), Protocol(1), 0)
with Study.hold("clock", Settings(home, home, storage, "")) as study:
    study.begin(terms)
    for number in range(100_000):
        trial = study.start(study.add(space, {"units": number}, 0))
        study.finish(trial, TrialResult("complete", number / 2, 1, {"a": number / 2}, ({"a": number / 2},)), 1.0)
        print(number, flush=True)
