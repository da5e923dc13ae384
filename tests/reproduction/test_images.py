"""The page that puts every reported figure beside ours is made of studies alone, and leaves nothing out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.support.trials import trial_record
from tune_jobs import cli
from tune_jobs.records.studies import Evaluation, StudyRecord, StudyTerms, Transfer
from tune_jobs.records.trials import TestResult, TrialRecord, TrialResult
from tune_jobs.reproduction import images, reported
from tune_jobs.search_spaces import Objective, Protocol, params_id
from tune_jobs.search_spaces.catalog import TASKS, find
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

DROPOUT = find("fashion-mnist-mlp-dropout")
TOP = [reported.params for reported in DROPOUT.reported]
MACHINE = "a machine"


def terms(task_name: str, protocol: Protocol | None = None) -> StudyTerms:
    task = find(task_name)
    return StudyTerms(
        task=task.name,
        task_digest=task.digest(),
        reference=task.name,
        dataset=task.dataset_name,
        data_digest="5f1c",
        space=task.space.to_json(),
        objective=task.objective,
        protocol=protocol or task.protocol,
        seed=0,
    )


def trial(
    number: int, params: Mapping[str, Any], score: float, test: float | None = None, seed: int = 0
) -> TrialRecord:
    tested = None if test is None else TestResult({"test_accuracy": test, "test_loss": 1 - test}, None, score)
    return trial_record(number, params, seed, "complete", score=score, train_seconds=30.0, tested=tested)


def study(name: str, task_name: str, *trials: TrialRecord, **changes: Any) -> StudyRecord:
    record = StudyRecord(name, name, terms(task_name), None, 0.0, tuple(trials))
    return replace(record, **changes)


def rows_of(page: str, table: str) -> list[list[str]]:
    lines = [line for line in page.splitlines() if line.startswith(f"| {table} |")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_reported_figure_has_a_row_run_or_not() -> None:
    page = images.page([study("one", DROPOUT.name, trial(0, TOP[0], 0.9))], MACHINE, 0.0)
    figures = [row for row in page.splitlines() if row.startswith("| report ")]
    assert len(figures) == sum(len(task.reported) for task in TASKS if task.objective.metric != "val_error_minutes")
    assert sum(row.endswith("not run |") for row in figures) == len(figures) - 1
    assert f"1 of {len(figures)} were run" in page


def test_studies_of_clocks_are_left_to_their_own_page() -> None:
    clocks = find("clock-encodings")
    record = study("clocks", clocks.name, trial(0, clocks.reported[0].params, 40.0, 40.0))
    page = images.page([record, study("one", DROPOUT.name, trial(0, TOP[0], 0.9))], MACHINE, 0.0)
    assert "from 1 study" in page
    assert "| clocks |" not in page


def test_a_study_on_other_data_than_the_tasks_is_beside_no_figure() -> None:
    other = replace(terms(DROPOUT.name), dataset="mnist", data_given=True)
    record = study("other", DROPOUT.name, trial(0, TOP[0], 0.9, 0.9), terms=other)
    assert not any(figure.match for figure in images.figures([record]))
    assert images.winners([record]) == ()
    assert f"{DROPOUT.name} on mnist" in images.page([record], MACHINE, 0.0)


def test_a_study_of_another_objective_is_beside_no_figure() -> None:
    loss = replace(terms(DROPOUT.name), objective=Objective("val_loss", "minimize"))
    record = study("loss", DROPOUT.name, trial(0, TOP[0], 0.3, 0.3), terms=loss)
    assert not any(figure.match for figure in images.figures([record]))
    assert images.winners([record]) == ()
    assert images.winners([replace(record, terms=terms(DROPOUT.name))]) != ()


def test_a_row_has_the_mean_over_seeds_and_what_the_test_split_gave() -> None:
    seeds = [trial(0, TOP[1], 0.90, 0.88), trial(1, TOP[1], 0.92, 0.90, seed=1), trial(2, TOP[2], 0.8)]
    partly = study("partly", DROPOUT.name, trial(0, TOP[0], 0.8, 0.7), trial(1, TOP[0], 0.9, seed=1))
    assert rows_of(images.page([partly], MACHINE, 0.0), "report A, Table 4")[0][8] == "2, test 1"
    page = images.page([study("one", DROPOUT.name, *seeds)], MACHINE, 0.0)
    top, second, third = rows_of(page, "report A, Table 4")
    assert top[3:] == ["0.8919", "-", "-", "-", "-", "-", "-", "not run"]
    assert (second[3], second[4], second[6], second[8], second[10]) == ("0.8911", "0.8900", "0.9100", "2", "full")
    assert (third[4], third[6], third[8]) == ("not read", "0.8000", "1")


def test_a_loss_is_given_as_its_mean_and_range() -> None:
    task = find("mnist-mlp")
    seeds = [trial(0, task.baseline, 0.98, 0.97), trial(1, task.baseline, 0.98, 0.99, seed=1)]
    page = images.page([study("one", task.name, *seeds)], MACHINE, 0.0)
    loss = next(row for row in rows_of(page, "report A, Table 1") if row[2].endswith("test_loss"))
    assert loss[4:6] == ["0.0200", "seeds 0.0100 to 0.0300"]


def test_of_equal_budgets_the_one_that_was_tested_counts_then_the_one_with_more_seeds() -> None:
    """A search over the same task has its baseline too, whose test split is not read."""
    tested = study("tested", DROPOUT.name, trial(0, TOP[0], 0.80, 0.79))
    unread = study("a", DROPOUT.name, *(trial(seed, TOP[0], 0.81, seed=seed) for seed in range(2)))
    single = study("b", DROPOUT.name, trial(0, TOP[0], 0.82))
    for studies, said in (((unread, tested), "0.8000"), ((tested, unread), "0.8000"), ((single, unread), "0.8100")):
        assert rows_of(images.page(studies, MACHINE, 0.0), "report A, Table 4")[0][6] == said


def of_budget(name: str, epochs: int, n_images: int | None, score: float = 0.7) -> StudyRecord:
    protocol = replace(DROPOUT.protocol, epochs=epochs, images=n_images)
    return study(name, DROPOUT.name, trial(0, TOP[0], score), terms=terms(DROPOUT.name, protocol))


def test_a_smaller_budget_is_said_and_the_longest_training_counts() -> None:
    cut = of_budget("cut", 15, 12_000)
    alone = rows_of(images.page([cut], MACHINE, 0.0), "report A, Table 4")[0]
    assert alone[10] == "15 epochs of 50, 12,000 images"
    whole = study("whole", DROPOUT.name, trial(0, TOP[0], 0.6))
    for order in ([cut, whole], [whole, cut]):
        both = rows_of(images.page(order, MACHINE, 0.0), "report A, Table 4")[0]
        assert (both[6], both[10]) == ("0.6000", "full")


def test_a_budget_that_says_nothing_counts_as_not_run() -> None:
    for epochs, n_images, said in ((14, None, "14 epochs of 50"), (50, 11_999, "11,999 images")):
        page = images.page([of_budget("cut", epochs, n_images)], MACHINE, 0.0)
        row = rows_of(page, "report A, Table 4")[0]
        assert row[4:] == ["-", "-", "-", "-", "-", "-", f"not run; tried: {said}"]
        assert "0 of " in page
    enough = of_budget("enough", 15, 12_000, score=0.5)
    for order in ([enough, of_budget("cut", 3, None)], [of_budget("cut", 3, None), enough]):
        assert rows_of(images.page(order, MACHINE, 0.0), "report A, Table 4")[0][6] == "0.5000"


def test_the_budget_of_a_task_of_ones_own_is_what_its_trials_had() -> None:
    own = replace(terms(DROPOUT.name, Protocol(epochs=5, images=900)), reference="own.py:OWN")
    assert reported.budget(study("own", DROPOUT.name, terms=own)) == "5 epochs, 900 images"
    assert (
        reported.budget(study("own", DROPOUT.name, terms=replace(own, protocol=Protocol()))) == "until each trial ends"
    )
    assert reported.budget(study("ours", DROPOUT.name)) == "full"


def test_what_was_transferred_is_found_by_its_place_there() -> None:
    task = find("cifar10-mlp")
    moved = [dict(task.baseline) | {"units": units} for units in ("512", "128")]
    record = study(
        "cifar",
        task.name,
        *(trial(number, params, 0.4 + number / 10) for number, params in enumerate(moved)),
        transfers=(Transfer("other", 2, params_id(moved[0])), Transfer("other", 1, params_id(moved[1]))),
    )
    rows = rows_of(images.page([record], MACHINE, 0.0), "report A, Table 8")
    found = {(row[1], row[2]): row[6] for row in rows}
    assert found["cifar10, MLP", "top 1 in fashion-mnist"] == "0.5000"
    assert found["cifar10, MLP", "top 2 in fashion-mnist"] == "0.4000"
    assert found["cifar10, CNN", "top 1 in fashion-mnist"] == "-"


def test_the_best_of_a_kind_is_chosen_on_validation_among_those_that_were_read() -> None:
    """The study with the best test score has the worse validation score, and the best of all was never read."""
    reading = (Evaluation(0.0, "ada", (0,)), Evaluation(1.0, "ada", (0,)))
    lucky = study("lucky", DROPOUT.name, trial(0, TOP[0], 0.90, 0.95), readings=reading[:1])
    chosen = study("chosen", DROPOUT.name, trial(0, TOP[1], 0.91, 0.89), readings=reading)
    unread = study("unread", DROPOUT.name, trial(0, TOP[2], 0.99))
    ((kind, found),) = images.winners([lucky, chosen, unread])
    assert (kind, found.study.name) == ("fashion-mnist, MLP", "chosen")
    page = images.page([lucky, chosen, unread], MACHINE, 0.0)
    (row,) = rows_of(page, "fashion-mnist, MLP")
    assert (row[1], row[2], row[4]) == ("0.8919", "**0.8900**", "0.9100")
    assert row[6:] == ["1", "2 times, of 3 by 2 studies", "chosen"]


def test_one_factor_studies_have_their_tables_and_plots() -> None:
    task = find("permuted-mnist-mlp")
    points = list(task.space.grid())
    record = study("pixels", task.name, trial(0, points[0], 0.97), trial(1, points[1], 0.6))
    page = images.page([record], MACHINE, 0.0, {"pixels": "page-pixels.svg"})
    assert "### Factors of pixels" in page
    assert "| permuted | 1 | 0.6000 |" in page
    assert "![learning curves of pixels](page-pixels.svg)" in page


def test_factors_of_a_study_with_too_little_have_no_table() -> None:
    task = find("permuted-mnist-mlp")
    few = replace(task.protocol, epochs=3)
    record = study("pixels", task.name, trial(0, next(task.space.grid()), 0.9), terms=terms(task.name, few))
    page = images.page([record], MACHINE, 0.0)
    assert "### Factors" not in page
    assert "Not run with enough to say something of their factors: pixels (3 epochs of 15)." in page
    assert images.drawings([record]) == {}


def test_the_command_writes_the_page_with_its_plots(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    settings.prepare()
    task = find("permuted-mnist-mlp")
    with Study.hold("pixels", settings) as held:
        held.begin(terms(task.name))
        for score, params in zip((0.97, 0.6), task.space.grid(), strict=True):
            begun = held.start(held.add(task.space, params, 0))
            history = ({"val_accuracy": score / 2}, {"val_accuracy": score})
            held.finish(begun, TrialResult("complete", score, 2, history[1], history), cpus=1.0)
    output: Path = settings.home / "page.md"
    assert cli.run(["results", "--home", str(settings.home), "-o", str(output)]) == 0
    assert "(page-pixels.svg)" in output.read_text(encoding="utf-8")
    assert (settings.home / "page-pixels.svg").read_text(encoding="utf-8").startswith("<?xml")
    assert cli.run(["results", "--home", str(settings.home), "nothing"]) == 2
    assert "no study named 'nothing'" in capfd.readouterr().err
