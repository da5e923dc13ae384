"""Pictures of a trial in the leaderboard's page and in an exported study."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.tracking.test_tracker import ended, study
from tune_jobs.decoding import ContentError
from tune_jobs.exports import render
from tune_jobs.records import trial_pictures
from tune_jobs.records.trial_pictures import EpochPictures
from tune_jobs.study import checking

PACKED = trial_pictures.pack({"samples": np.arange(16, dtype=np.uint8).reshape(4, 4)})


def test_the_page_has_the_pictures_of_the_best_trial_alone() -> None:
    page = render(study(ended(0, 0.5), ended(1, 0.9, pictures=PACKED)), "html")
    assert "<h2>Pictures of trial 1</h2>" in page
    assert f'src="data:image/png;base64,{PACKED["samples"]}"' in page
    assert "Pictures" not in render(study(ended(0, 0.9), ended(1, 0.5, pictures=PACKED)), "html")


def test_the_page_has_the_pictures_of_the_training_in_their_order() -> None:
    progress = tuple(EpochPictures(epoch, {"training": PACKED["samples"]}) for epoch in (1, 2))
    page = render(study(ended(0, 0.5, 0.9, pictures=PACKED, progress=progress)), "html")
    captions = re.findall("<figcaption>(.*?)</figcaption>", page)
    assert captions == ["samples, epoch 2, the best", "training, epoch 1", "training, epoch 2"]


def test_a_photograph_says_what_kind_of_file_it_is() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    page = render(study(ended(0, 0.5, pictures=trial_pictures.pack({"samples": noise}))), "html")
    assert 'src="data:image/jpeg;base64,/9j/' in page


def test_pictures_of_epochs_that_can_be_none_are_refused() -> None:
    trial = ended(0, 0.5, progress=(EpochPictures(0, PACKED),))
    with pytest.raises(ContentError, match=r"trial 0: result\.progress: pictures of at most 16 epochs"):
        checking.check_trial(trial, study(trial).terms.objectives)


def test_a_trial_with_what_is_no_picture_is_refused() -> None:
    trial = ended(0, 0.5, pictures={"samples": "PHNjcmlwdD4="})
    with pytest.raises(ContentError, match=r"trial 0: result\.pictures: no packed picture: it begins with"):
        checking.check_trial(trial, study(trial).terms)
