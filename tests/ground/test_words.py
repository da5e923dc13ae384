"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from tune_jobs.words import counted


@pytest.mark.parametrize(
    ("n", "words"),
    [(0, "0 trials"), (1, "1 trial"), (2, "2 trials"), (0.5, "0.5 trials"), (2_000_001, "2000001 trials")],
)
def test_a_noun_is_plural_unless_there_is_one(n: float, words: str) -> None:
    assert counted(n, "trial") == words


@pytest.mark.parametrize(("noun", "plural"), [("study", "studies"), ("day", "days"), ("entry", "entries")])
def test_a_noun_that_ends_in_y_has_its_own_plural(noun: str, plural: str) -> None:
    assert (counted(1, noun), counted(2, noun)) == (f"1 {noun}", f"2 {plural}")
