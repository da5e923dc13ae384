"""The studies of docs/studies stay alive: the tasks of today continue, replicate and evaluate them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.sweeping import SharedRay, deliver_nothing
from tune_jobs import datasets
from tune_jobs.actions import evaluate, launch, replicate, session
from tune_jobs.actions.evaluate import EvaluateRequest
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.actions.replicate import ReplicateRequest
from tune_jobs.datasets import TrainingData
from tune_jobs.datasets.dataset import Original, Split
from tune_jobs.datasets.source import Source
from tune_jobs.execution.plan import Resources
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.narrowing import open_all
from tune_jobs.settings import Settings
from tune_jobs.study import file as study_file
from tune_jobs.study.study import Study
from tune_jobs.study.terms import change_of

FOLDER = Path(__file__).parents[2] / "docs" / "studies"
STUDIES = sorted(FOLDER.rglob("*.study"))
ONE = Resources(max_concurrent=1)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_task_of_today_continues_a_published_study(
    path: Path, settings: Settings, tiny_data: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the data that it was begun on, which are not loaded here."""
    record = study_file.read(path).record
    data = replace(tiny_data, name=record.terms.dataset, digest=record.terms.data_digest)
    monkeypatch.setattr(session, "_load", lambda *_, **__: data)
    task = catalog.find(record.reference)
    inputs = launch.resolve(task, LaunchRequest(record.reference, study=record.name), record, settings)
    assert change_of(record.name, record.terms, inputs.terms, "") is None
    space = open_all(task.space)
    assert [why for trial in record.trials if (why := space.why_not(trial.params))] == []


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_published_study_is_imported_whole(path: Path, settings: Settings) -> None:
    content = study_file.read(path)
    settings.prepare()
    with Study.hold(content.name, settings) as study:
        study.import_content(content)
    assert Study.open(content.name, settings).history() == content.record


def noise() -> Original:
    """Pictures `(N, 28, 28, 1)` and labels that have nothing to do with them: no network is better there than those of
    the study. As many are to be held out and to test on as of MNIST."""
    rng = np.random.default_rng(0)
    train, test = (
        Split(rng.integers(0, 256, (n, 28, 28, 1), dtype=np.uint8), np.arange(n, dtype=np.int64) % 10)
        for n in (5128, 10_000)
    )
    return Original(train, test)


def of_other_data(content: Any, digest: str) -> Any:
    terms: Mapping[str, Any] = {**content.notes["terms"], "data_digest": digest}
    return replace(content, notes={**content.notes, "terms": terms})


@pytest.mark.slow
def test_a_published_study_is_continued_replicated_and_evaluated(
    settings: Settings, ray: SharedRay, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On noise, as if it had been begun on that: MNIST itself would have to be downloaded."""
    original = noise()
    monkeypatch.setattr(datasets, "SOURCES", (Source("mnist", lambda *_: original, lambda _: "made here"),))
    deliver_nothing(monkeypatch)
    digest = datasets.load("mnist", data_dir=settings.data_dir, validation=5000).training.digest
    settings.prepare()
    with Study.hold("mnist-mlp", settings) as study:
        study.import_content(of_other_data(study_file.read(FOLDER / "images" / "mnist-mlp.study"), digest))
        before = study.record()
    said: list[str] = []

    launched = launch.launch(LaunchRequest("mnist-mlp", trials=2, resources=ONE), settings, said.append).study
    assert launched.trials[: len(before.trials)] == before.trials
    assert [trial.state for trial in launched.trials[len(before.trials) :]] == ["complete"]

    asked = ReplicateRequest(study="mnist-mlp", top=1, seeds=4, resources=ONE)
    replicated = replicate.replicate(asked, settings, said.append).study
    best = [trial for trial in replicated.trials if trial.params_id == before.trials[0].params_id]
    assert [trial.seed for trial in best] == [0, 1, 2, 3]

    request = EvaluateRequest("mnist-mlp", top=1, by="me", again=True, resources=ONE)
    evaluated = evaluate.evaluate(request, settings, said.append).study
    assert [reading.by for reading in evaluated.readings] == [*(reading.by for reading in before.readings), "me"]
    assert evaluated.trials[: len(before.trials)] == before.trials  # they were scored before
    added = evaluated.trials[-1]
    assert added.tested is not None
    assert (added.seed, added.tested.val_score, added.tested.is_retrained) == (3, added.score, False)
