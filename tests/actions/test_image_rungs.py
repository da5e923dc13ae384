"""A sweep that gives trials more and more images: who goes on, what the study keeps of it, and a kill in a rung."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.sweeping import SharedRay, called, kill_family, own_task, refusal, until
from tune_jobs.leaderboard import ranking
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

HALVING = ("--scheduler", "asha", "--resource", "images", "--eta", "2", "--grace", "300")
LAUNCH = ("--search", "grid", "--no-baseline", *HALVING, "--max-concurrent", "1")


@pytest.mark.slow
def test_a_trial_goes_on_with_more_images_if_it_is_good_and_begins_anew_after_a_kill(
    tmp_path: Path, ray: SharedRay
) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task", "level", width="Choice(2, 3, 1, 4)", more_baseline={"depth": 2})
    words = ("launch", own.reference, *LAUNCH)
    own.make_room(4)
    process = ray.command_line(settings, *words)
    try:
        until(lambda: len(own.trained) == 5, "the second trial to be in its second rung", process)
        rung = "trial 1 in the rung of 600 images"
        until(lambda: rung in called(settings, "status", "own")[1], "status to name its rung", process)
    finally:
        kill_family(process)
    own.make_room(None)
    code, _, stderr = called(settings, *words)
    assert code == 0, stderr
    assert [width for width, _ in own.trained] == [2, 2, 2, 3, 3, 3, 3, 3, 1, 4, 4, 4]  # 3 twice on 300, then once each
    record = Study.open("own", settings).record()
    second, third, first, fourth = (trial for trial in record.trials)
    full = second.history[0]["images"]
    assert [[rung.images for rung in trial.rungs] for trial in (second, third, first, fourth)] == [
        [300, 600],
        [300, 600],
        [300],
        [300, 600],
    ]
    assert [trial.history[0]["images"] for trial in record.trials] == [full, full, 300, full]
    assert (first.state, first.message) == ("stopped", "behind the others on 300 images")
    rows = ranking.rank(record.trials, record.terms.objective)
    assert [row.params["width"] for row in rows] == [4, 3, 2, 1]
    assert [row.state for row in rows] == ["complete", "complete", "complete", "stopped"]
    assert "asha stops trials on fewer images (the first 300, eta 2)" in called(settings, "status", "own")[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--resource", "images"), "--grace, --eta and --resource are a scheduler's"),
        (("--scheduler", "median", "--resource", "images"), "--resource images is for --scheduler asha; got median"),
        ((*HALVING, "--checkpoint-every", "1"), "begins anew: leave out --checkpoint-every"),
        ((*HALVING, "--images", "200"), "--grace 300 is all of the 200 images that there are to train on"),
    ],
)
def test_what_does_not_go_with_images_is_refused(words: tuple[str, ...], message: str, tmp_path: Path) -> None:
    settings, own = Settings.read(home=tmp_path / "home"), own_task(tmp_path / "task")
    code, _, stderr = called(settings, "launch", own.reference, *words)
    assert code == 2
    assert message in refusal(stderr)
