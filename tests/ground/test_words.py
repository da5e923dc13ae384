"""Numbers with their nouns, and errors in a line."""

from __future__ import annotations

import pytest

from tune_jobs.words import counted, one_line


@pytest.mark.parametrize(
    ("n", "words"),
    [(0, "0 trials"), (1, "1 trial"), (2, "2 trials"), (0.5, "0.5 trials"), (2_000_001, "2000001 trials")],
)
def test_a_noun_is_plural_unless_there_is_one(n: float, words: str) -> None:
    assert counted(n, "trial") == words


@pytest.mark.parametrize(("noun", "plural"), [("study", "studies"), ("day", "days"), ("entry", "entries")])
def test_a_noun_that_ends_in_y_has_its_own_plural(noun: str, plural: str) -> None:
    assert (counted(1, noun), counted(2, noun)) == (f"1 {noun}", f"2 {plural}")


def test_an_error_of_a_graph_says_what_happened_and_not_where() -> None:
    message = """Graph execution error:

Detected at node while/compile_loss/loss/GatherV2 defined at (most recent call last):
  File "<frozen runpy>", line 198, in _run_module_as_main

  File "/home/me/task.py", line 88, in train

indices[0] = 3 is not in [0, 3)
\t [[{{node while/compile_loss/loss/GatherV2}}]] [Op:__inference_train_batches_672]"""
    assert one_line(ValueError(message)) == "ValueError: Graph execution error: indices[0] = 3 is not in [0, 3)"


def test_an_error_without_a_message_is_its_name() -> None:
    assert one_line(ValueError()) == "ValueError"
    assert len(one_line(ValueError("x" * 400))) == 300
