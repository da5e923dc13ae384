"""The page on generative networks is made of studies alone: baseline against best, pictures, fronts."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.support.sweeping import called
from tests.support.trials import trial_record
from tune_jobs.exports import plots
from tune_jobs.records import trial_pictures
from tune_jobs.records.per_image import pack
from tune_jobs.records.studies import Launch, Scheduling, StudyRecord, StudyTerms
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.reproduction import contests, generative, generative_studies, images, pages
from tune_jobs.search_spaces.catalog import find
from tune_jobs.settings import Settings

VAE, CAE = find("mnist-vae"), find("mnist-cae")
PACKED = trial_pictures.pack({"samples": np.arange(64, dtype=np.uint8).reshape(8, 8)})
PROGRESS = tuple(trial_pictures.EpochPictures(epoch, {"training": PACKED["samples"]}) for epoch in (1, 2))


def terms(name: str) -> StudyTerms:
    task = find(name)
    return StudyTerms(
        task=task.name,
        task_digest=task.digest(),
        reference=task.name,
        dataset=task.dataset_name,
        data_digest="5f1c",
        space=task.space.to_json(),
        objective=task.objective,
        protocol=replace(task.protocol, epochs=5, images=1000),
        seed=0,
        further_objectives=task.further_objectives,
    )


def study(name: str, *trials: TrialRecord) -> StudyRecord:
    launch = Launch("tpe", len(trials), "host", 0.0, None, {}, Scheduling("asha"))
    numbered = tuple(replace(trial, number=number) for number, trial in enumerate(trials))
    return StudyRecord(name, name, terms(name), launch, 0.0, numbered)


def trial(params: Mapping[str, Any], metric: str, score: float, seed: int = 0, **more: Any) -> TrialRecord:
    """One whose errors over 50 images have this mean."""
    per_image = score * np.random.default_rng(seed).uniform(0.9, 1.1, 50)
    metrics = {metric: score, **more.pop("metrics", {})}
    known: dict[str, Any] = {"errors": pack(per_image * score / per_image.mean()), "pictures": PACKED}
    return trial_record(0, params, seed, score=score, best_epoch=1, metrics=metrics, history=(metrics,), **known | more)


def bound(params: Mapping[str, Any], score: float, seed: int = 0, **more: Any) -> TrialRecord:
    return trial(params, "val_negative_elbo", score, seed, **more)


def error(latent_dim: int, score: float, **changes: Any) -> TrialRecord:
    params = {**CAE.baseline, "latent_dim": latent_dim, **changes}
    return trial(params, "val_reconstruction", score, metrics={"val_latent_dim": float(latent_dim)})


BETTER = {**VAE.baseline, "filters": 32}


@pytest.fixture
def searched() -> StudyRecord:
    tested = TestResult({"test_negative_elbo": 91.0, "test_importance_bound": 88.0}, None, 90.0)
    return study(
        "mnist-vae",
        bound(VAE.baseline, 100.0, metrics={"val_kid": 0.5}),
        bound(BETTER, 90.0, metrics={"val_kid": 0.75}),
        bound(VAE.baseline, 102.0, 1, metrics={"val_kid": 0.5}),
        bound(BETTER, 91.0, 1, metrics={"val_kid": 0.25}, tested=tested, progress=PROGRESS),
    )


def rows_of(page: str, first: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith(f"| {first} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def made(*studies: StudyRecord, plots: Mapping[str, str] | None = None) -> str:
    return generative.page(studies, "a machine", 0.0, plots)


def test_the_best_stands_against_the_baseline_at_the_seeds_that_both_have(searched: StudyRecord) -> None:
    row, of_study = rows_of(made(searched), "mnist-vae")
    assert (row[2], row[4], row[6], row[8]) == ("101", "90.5", "-10.5", "2, 2")
    low, high = map(float, row[7].split(" to "))
    assert low < -10.5 < high
    assert row[9] == "5 epochs of 20, 1,000 images"
    assert of_study[1:3] == ["mnist-vae", "4"]


def test_scores_are_means_over_seeds_and_changes_are_named(searched: StudyRecord) -> None:
    page = made(searched)
    assert rows_of(page, "`kid`") == [["`kid`", "0.5", "-", "0.5", "-"]]
    assert rows_of(page, "`importance_bound`") == [["`importance_bound`", "-", "-", "-", "88"]]
    assert "From the baseline to the best: filters 16 → 32." in page
    assert "`mnist`, 4 trials: 4 complete, tpe with asha, budget: 5 epochs of 20, 1,000 images." in page


def test_a_search_that_goes_on_is_said_to_be_unfinished(searched: StudyRecord) -> None:
    assert "unfinished" not in made(searched)
    assert searched.launch is not None
    more = replace(searched, launch=replace(searched.launch, trials=20))
    assert "tpe with asha, **unfinished: 4 of 20 trials**, budget" in made(more)


def test_a_study_in_which_nothing_was_better_says_so() -> None:
    page = made(study("mnist-vae", bound(VAE.baseline, 90.0), bound(BETTER, 91.0)))
    assert rows_of(page, "mnist-vae")[0][6:8] == ["nothing was better", "-"]
    assert "From the baseline" not in page
    assert "## The photographs" not in page


def test_a_study_of_the_baseline_alone_says_so() -> None:
    page = made(study("mnist-vae", bound(VAE.baseline, 90.0)))
    assert rows_of(page, "mnist-vae")[0][6:8] == ["nothing else was tried", "-"]


def test_a_page_that_shows_photographs_names_where_they_are_from() -> None:
    record = study("mnist-vae", bound(VAE.baseline, 90.0))
    page = made(replace(record, terms=replace(record.terms, dataset="butterflies@64")))
    assert "Butterfly Genetics Group" in page
    assert "CC BY 4.0" in page


def test_the_best_of_a_front_is_nowhere_worse_than_the_baseline() -> None:
    better = error(16, 0.005, filters=32, learning_rate=0.00123456)
    record = study("mnist-cae", error(32, 0.01), error(256, 0.001), better, error(8, 0.02))
    page = made(record)
    row = rows_of(page, "mnist-cae")[0]
    assert (row[2], row[4]) == ("0.01", "0.005")
    assert "latent_dim 32 → 16, filters 16 → 32, learning_rate 0.001 → 0.001235." in page
    assert "| val_reconstruction | 95 % | val_latent_dim | filters | learning_rate |" in page
    front = page.split("The front, best first")[1].split("##")[0]
    assert [line.split("|")[3].strip() for line in front.splitlines() if line.startswith("| 0.")] == ["256", "16", "8"]


def test_a_study_without_its_baseline_stands_in_the_table_of_studies_alone() -> None:
    record = study("mnist-vae", bound(BETTER, 91.0))
    assert contests.contest_of(record) is None
    assert len(rows_of(made(record), "mnist-vae")) == 1
    assert generative.drawings([record]) == {}


def test_every_figure_of_the_report_is_told_and_ours_is_linked_or_was_not_run(searched: StudyRecord) -> None:
    page = made(searched, plots={"mnist-vae": "generative-mnist-vae.svg"})
    figures = [row for number in range(8, 14) for row in rows_of(page, str(number))]
    assert [row[3] for row in figures] == [
        "the baselines of the tasks",
        "not run",
        "[mnist-vae](generative-mnist-vae.svg)",
        *["not run"] * 3,
    ]
    assert "![mnist-vae: what the baseline and the best draw](generative-mnist-vae.svg)" in page


def test_pictures_are_of_the_last_seed_which_the_search_did_not_choose_by(searched: StudyRecord) -> None:
    best = contests.contest_of(searched)
    assert best is not None
    shown = generative_studies.shown_trial(searched, best.best)
    assert shown is not None
    assert shown.number == 3
    drawn = generative.drawings([searched])
    assert list(drawn) == ["mnist-vae", "training-mnist-vae"]
    titles = [axes.get_title(loc="left") for axes in drawn["training-mnist-vae"].axes]
    assert titles == ["best, epoch 1", "best, epoch 2"]
    first = np.asarray(drawn["mnist-vae"].axes[0].get_images()[0].get_array())
    np.testing.assert_array_equal(first, np.arange(64).reshape(8, 8))


def test_an_svg_has_a_picture_as_the_file_that_the_study_keeps(searched: StudyRecord) -> None:
    drawn = generative.drawings([searched])
    svg = plots.svg_text(drawn["training-mnist-vae"])
    kept = searched.trial(3).progress
    sources = re.findall(r'href="data:image/png;base64,([^"]*)"', svg)
    assert sources == [each.pictures["training"] for each in kept]


def test_what_a_handful_of_configurations_won_is_not_called_found_by_a_search(searched: StudyRecord) -> None:
    assert "It tried 2 configurations, the baseline among them: too few to call it a search." in made(searched)
    alone = study("mnist-vae", *[trial for trial in searched.trials if trial.params == searched.trials[0].params])
    assert "too few" not in made(alone)


def test_a_front_is_drawn() -> None:
    drawn = generative.drawings([study("mnist-cae", error(32, 0.01), error(16, 0.02), error(64, 0.005))])
    assert list(drawn) == ["mnist-cae", "front-mnist-cae"]


def test_how_far_scores_agree_is_computed_over_trials_that_have_both() -> None:
    scores = [(100.0, 0.1), (90.0, 0.2), (80.0, 0.3), (70.0, 0.4), (60.0, 0.5)]
    trials = [
        bound({**BETTER, "learning_rate": 0.001 * n}, s, metrics={"val_kid": k}) for n, (s, k) in enumerate(scores)
    ]
    page = made(study("mnist-vae", *trials))
    assert "`val_negative_elbo` and `val_kid` of 5 trials have a rank correlation of -1.00" in page
    assert "rank correlation" not in made(study("mnist-vae", *trials[:4]))


def test_a_study_stands_on_one_page_only(searched: StudyRecord) -> None:
    assert pages.page_of(searched) == "generative"
    assert images.of_images([searched]) == []
    assert {task.name for task in generative_studies.GENERATIVE_TASKS} >= {"generative-quick", "butterflies-gan"}
    assert find("mnist-cnn") not in generative_studies.GENERATIVE_TASKS


def test_the_page_of_no_studies_says_that_nothing_was_run(settings: Settings) -> None:
    code, stdout, _ = called(settings, "results", "--page", "generative")
    assert (code, stdout.count("not run")) == (0, 5)
