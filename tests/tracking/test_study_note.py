"""What the page of a study's run says of it in MLflow, beside its trials."""

from __future__ import annotations

from dataclasses import replace

from tune_jobs.records import constraints
from tune_jobs.records.priors import Prior, PriorTrial
from tune_jobs.records.studies import NO_DATA, Change, Launch, StudyRecord, StudyTerms
from tune_jobs.search_spaces import Float, Objective, Protocol, Space
from tune_jobs.tracking import mlflow_form

SCORE = Objective("val_accuracy", "maximize")


def study() -> StudyRecord:
    space = Space(rate=Float(1e-4, 1.0, log=True)).to_json()
    terms = StudyTerms("rows", "0123", "rows", "digits", "4567", space, SCORE, Protocol(epochs=3), seed=7)
    return StudyRecord("first", "id", terms, Launch("tpe", 5, "host", 1.7e9, None, {}), 1.7e9, ())


def test_a_plain_study_says_nothing_of_limits_versions_and_others() -> None:
    note = mlflow_form.study_note(study(), None)
    assert [word for word in ("Limits", "ersion", "learns") if word in note] == []
    assert "version" not in mlflow_form.study_tags(study())


def test_the_list_of_experiments_says_what_each_is_about() -> None:
    terms = study().terms
    assert mlflow_form.experiment_note(terms) == "digits: maximize val_accuracy"
    assert mlflow_form.experiment_note(replace(terms, dataset=NO_DATA)) == "maximize val_accuracy"


def test_a_page_says_which_limits_there_are_and_how_the_study_changed() -> None:
    plain = study()
    assert plain.launch is not None
    limits = constraints.parse(("parameters<=10k", "latency<=2ms"))
    longer = Change(plain.terms, 1.7e9 + 86400, 12, "it was with the protocol epochs 3", "scores had not settled")
    other_space = Change(plain.terms, 1.7e9, 4, "the space of rate")
    prior = Prior("other", "id", SCORE, (PriorTrial({"rate": 0.1}, "complete", 0.5),) * 81)
    launch = replace(plain.launch, constraints=limits)
    changed = replace(plain, launch=launch, changes=(other_space, longer), prior=prior)
    note = mlflow_form.study_note(changed, None)
    assert "**Limits:** parameters<=10,000 and latency<=2ms. What breaks one is no winner." in note
    assert "The search learns from 81 trials of study other." in note
    assert "**Version 2:** what is said here is of its trials alone." in note
    expected = (
        "- version 2, from 2023-11-15 and trial 12 on (scores had not settled): it was with the protocol epochs 3"
    )
    assert expected in note
    assert "the space of rate" not in note
    assert mlflow_form.study_tags(changed)["version"] == "2"
