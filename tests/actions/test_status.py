"""What `status` says of a study."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sweeping import called
from tune_jobs.settings import Settings
from tune_jobs.study import file as study_file
from tune_jobs.study.study import Study

FOLDER = Path(__file__).parents[2] / "docs" / "studies" / "images"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("cifar10-mlp-search", "trials    1 of 1: 1 complete"),
        ("mnist-mlp-search", "trials    3: 3 complete"),  # a search of one configuration, and two further seeds
    ],
)
def test_trials_are_out_of_those_that_the_search_was_asked_for_but_for_further_ones(
    name: str, words: str, settings: Settings
) -> None:
    settings.prepare()
    with Study.hold(name, settings) as study:
        study.import_content(study_file.read(FOLDER / f"{name}.study"))
    assert words in called(settings, "status", name)[1]
