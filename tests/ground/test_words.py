"""Numbers with their nouns."""

from __future__ import annotations

import pytest

from tune_jobs.words import counted


@pytest.mark.parametrize(("n", "words"), [(0, "0 trials"), (1, "1 trial"), (2, "2 trials"), (0.5, "0.5 trials")])
def test_a_noun_is_plural_unless_there_is_one(n: float, words: str) -> None:
    assert counted(n, "trial") == words
