"""The section on searches: which studies are any, and what each spent, found and gained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.reproduction.test_images import MACHINE, rows_of, study
from tests.support.trials import changed, trial_record
from tune_jobs.records.studies import Launch, Scheduling, StudyRecord
from tune_jobs.records.studies import Search as Algorithm
from tune_jobs.records.trials import TestResult, TrialRecord
from tune_jobs.reproduction import images, searches
from tune_jobs.search_spaces.catalog import find

MLP = find("mnist-mlp")
UNITS = {"128": 0.90, "256": 0.92, "512": 0.94}  # which decide, whatever the rate
BEST = {**MLP.baseline, "units": "512", "learning_rate": 0.00901}
ASHA = Scheduling("asha", 2)
ONCE = TestResult({"test_accuracy": 0.975, "test_loss": 0.1}, None, 0.98)


def launched(search: Algorithm = "tpe", scheduling: Scheduling = ASHA) -> Launch:
    return Launch(search, None, "host", 0.0, None, {}, scheduling)


def curve(*scores: float) -> dict[str, Any]:
    return {"score": max(scores), "history": tuple({"val_accuracy": score} for score in scores)}


def in_full(number: int, params: Mapping[str, Any], score: float, seed: int = 0, **more: Any) -> TrialRecord:
    known = curve(score - 0.2, score - 0.1, score)
    return trial_record(number, params, seed, finished=float(number), **known, **more)


def stopped(number: int, score: float, epochs: int) -> TrialRecord:
    params = {**MLP.baseline, "learning_rate": 1e-4 * number}
    known = curve(*[score] * epochs)
    return trial_record(number, params, 0, "stopped", finished=float(number), **known)


def proposed() -> Sequence[TrialRecord]:
    """The baseline, 12 configurations that ran in full, and 7 that were stopped."""
    points = [
        {**MLP.baseline, "units": units, "learning_rate": 0.001 * (2 + place + n / 1000)}
        for n, units in enumerate(UNITS)
        for place in range(4)
    ]
    scored = [(point, UNITS[str(point["units"])]) for point in points]
    full = [in_full(1 + n, point, score) for n, (point, score) in enumerate(scored)]
    return [in_full(0, MLP.baseline, 0.96), *full, *(stopped(13 + n, 0.5, 2 if n < 5 else 6) for n in range(7))]


@pytest.fixture
def found() -> StudyRecord:
    """A search whose best is the last that it proposed; it and the baseline have two more seeds each."""
    winner = [in_full(20 + seed, BEST, score, seed, tested=ONCE) for seed, score in enumerate((0.980, 0.981, 0.982))]
    again = [in_full(30 + seed, MLP.baseline, score, seed) for seed, score in ((1, 0.960), (2, 0.962))]
    return study("found", MLP.name, *proposed(), *winner, *again, launch=launched())


def section(*studies: StudyRecord, plots: Mapping[str, str] | None = None) -> str:
    return images.page(studies, MACHINE, 0.0, plots).split("## Searches")[1].split("\n## ")[0]


def test_a_search_stands_with_what_it_spent_and_found(found: StudyRecord) -> None:
    spent, gained = rows_of(section(found), "found")
    assert spent[1:3] == ["mnist, MLP", "tpe, asha stops trials early (grace 2, eta 3)"]
    assert spent[3:9] == ["21", "14", "7", "0", str(14 * 3 + 5 * 2 + 2 * 6), "0.9800"]
    assert spent[9] == "not run"
    assert (gained[1], gained[3], gained[5], gained[7], gained[8]) == ("0.9607", "0.9810", "+0.0203", "3, 3", "0.9750")
    low, high = map(float, gained[6].split(" to "))
    assert 0 < low < 0.0203 < high
    told = section(found)
    assert "learning_rate 0.001 → 0.00901" in told
    assert "Stopped early: 7 of 21 configurations, 5 after 2 epochs, 2 after 6 epochs. They took 22 of the 64" in told


def test_the_summary_has_the_gain_and_says_which_of_the_best_were_found(found: StudyRecord) -> None:
    few = study("few", "mnist-cnn", in_full(0, find("mnist-cnn").baseline, 0.9, tested=ONCE))
    summary = images.page([found, few], MACHINE, 0.0).split("## Summary")[1].split("\n## ")[0]
    assert "1 of 2 were found by a search of 20 configurations or more; 1 are from studies of at most 5" in summary
    assert "on the validation split: found +0.0203, +0." in summary


def test_a_study_that_nothing_was_proposed_for_is_no_search(found: StudyRecord) -> None:
    assert searches.is_search(found)
    handed_in = replace(found, launch=launched("reported"))
    for other in (replace(found, launch=launched("grid")), handed_in, replace(found, launch=None)):
        assert not searches.is_search(other)
    assert not searches.is_search(replace(found, trials=found.trials[:19]))
    assert searches.is_search(replace(found, trials=found.trials[:20]))
    assert "None: no study here has an algorithm that proposed 20" in section(handed_in)


def test_a_random_search_stands_beside_after_equal_epochs(found: StudyRecord) -> None:
    """It found the best of all, with more epochs than the search had; before that it was behind."""
    points = [{**MLP.baseline, "activation": "tanh", "learning_rate": 1e-4 * n} for n in range(1, 31)]
    drawn = [in_full(n, point, 0.95 if n < 25 else 0.99) for n, point in enumerate(points)]
    chance = study("chance", MLP.name, *drawn, launch=launched("random", Scheduling()))
    page = section(found, chance)
    assert rows_of(page, "found")[0][9] == "0.9500 (chance) against 0.9800, after 64 epochs"
    assert rows_of(page, "chance") == []
    short = replace(chance, trials=chance.trials[:5])
    assert rows_of(section(found, short), "found")[0][9] == "0.9500 (chance) against 0.9600, after 15 epochs"
    other_space = replace(chance, terms=replace(chance.terms, space={**chance.terms.space, "units": [1]}))
    assert rows_of(section(found, replace(other_space, trials=())), "found")[0][9] == "not run"


def test_what_mattered_is_told_of_those_in_full_and_of_all_by_their_first_epochs(found: StudyRecord) -> None:
    told = section(found)
    (in_full_line,) = (line for line in told.splitlines() if line.startswith("- What mattered most in full"))
    assert "by PED-ANOVA over 14 configurations: " in in_full_line
    assert "units" in in_full_line  # which decides
    assert "activation" not in in_full_line  # which is the same in all
    assert "What mattered most within 2 epochs, by PED-ANOVA over 21 configurations" in told
    cut = tuple(changed(one, state="stopped") for one in found.trials[6:13])
    fewer = replace(found, trials=(*found.trials[:6], *cut, *found.trials[13:]))
    assert "What mattered in full is not known of 7 configurations; 10 are needed." in section(fewer)


def test_the_history_is_drawn_beside_that_of_a_random_search(found: StudyRecord) -> None:
    drawn = images.drawings([found])
    assert list(drawn) == ["search-found"]
    (axes,) = drawn["search-found"].axes
    line = next(line for line in axes.lines if line.get_drawstyle() == "steps-post")
    xs, ys = np.asarray(line.get_xdata()), np.asarray(line.get_ydata())
    assert (xs[0], ys[0], xs[-1], ys[-1]) == (3, 0.96, 64, 0.98)
    page = section(found, plots={"search-found": "results-search-found.svg"})
    assert "![found: the best so far over the epochs spent](results-search-found.svg)" in page
