"""How often a test split was read, over studies; studies of earlier versions say the name of their data alone."""

from __future__ import annotations

import pytest

from tests.support.trials import trial_record
from tune_jobs.records.split_readings import begun_since, place_among_all, readings_of
from tune_jobs.records.studies import Evaluation, StudyRecord, StudyTerms
from tune_jobs.search_spaces import Objective, Protocol
from tune_jobs.words import ordinal

SPLIT = "0123456789abcdef"


def reader(name: str, *readings: Evaluation, dataset: str = "mnist", digest: str = "d") -> StudyRecord:
    """A study with a trial that began at 50 s and one that began at 150 s."""
    trials = (trial_record(0, {}, started=50.0), trial_record(1, {}, started=150.0))
    terms = StudyTerms(name, "t", name, dataset, digest, {}, Objective("a", "maximize"), Protocol(1), 0)
    return StudyRecord(name, name, terms, None, 0.0, trials, readings=readings)


def test_readings_of_a_split_are_counted_over_studies_in_order_of_time() -> None:
    late = reader("late", Evaluation(200.0, "me", (0,), SPLIT))
    early = reader("early", Evaluation(100.0, "me", (0,), SPLIT), Evaluation(300.0, "me", (0,), SPLIT))
    of_others = reader("others", Evaluation(150.0, "me", (0,), "f" * 16))
    found = readings_of(SPLIT, late.terms, (late, early, of_others))
    assert [(each.study, each.evaluation.at) for each in found] == [("early", 100.0), ("late", 200.0), ("early", 300.0)]


def test_an_earlier_version_is_known_by_its_data() -> None:
    here = reader("here")
    same_name = reader("same-name", Evaluation(1.0, "me", (0,)), digest="e")
    same_data = reader("same-data", Evaluation(2.0, "me", (0,)), dataset="my_mnist")
    another = reader("another", Evaluation(3.0, "me", (0,)), dataset="cifar10", digest="f")
    found = readings_of(SPLIT, here.terms, (same_data, same_name, another))
    assert [reading.study for reading in found] == ["same-name", "same-data"]


def test_trials_that_began_on_the_data_after_a_reading_are_counted() -> None:
    studies = (reader("one"), reader("two"), reader("elsewhere", dataset="cifar10", digest="e"))
    assert begun_since(100.0, studies[0].terms, studies) == 2


@pytest.mark.parametrize(
    ("place", "words"), [(1, "first"), (3, "third"), (4, "4th"), (11, "11th"), (21, "21st"), (112, "112th")]
)
def test_places_have_words(place: int, words: str) -> None:
    assert ordinal(place) == words
    assert place_among_all(Evaluation(0.0, "me", (), SPLIT, place)) == f"the {words} reading of this split by any study"


def test_a_place_that_is_not_known_has_none() -> None:
    assert place_among_all(Evaluation(0.0, "me", ())) == ""
