"""Claims of the reports on images, decided by the numbers alone, and the summary that stands on top of the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.reproduction.test_images import MACHINE, rows_of, study, terms, trial
from tune_jobs.records.studies import Evaluation, StudyRecord
from tune_jobs.reproduction import claims, image_claims, image_summary, images
from tune_jobs.reproduction.claims import Claim, ClaimResult
from tune_jobs.reproduction.reported import ranked_rows
from tune_jobs.search_spaces.catalog import find

DROPOUT, PERMUTED = find("fashion-mnist-mlp-dropout"), find("permuted-mnist-mlp")
HELPS = "dropout of 0.3 helps 512 units"
SAME = "an MLP reads permuted MNIST almost as well"


def with_dropout(gains: Sequence[float], name: str = "one", epochs: int = 50) -> StudyRecord:
    """Networks with dropout of 0.3 and without, one pair a seed, with these gains in accuracy."""
    having, lacking = (figure.params for figure in DROPOUT.reported[:2])
    assert having is not None
    assert lacking is not None
    pairs = [(having, lacking) for _ in gains]
    trials = [
        trial(2 * seed + at, params, 0.88 + (0.0 if at else gains[seed]), seed=seed)
        for seed, pair in enumerate(pairs)
        for at, params in enumerate(pair)
    ]
    return study(name, DROPOUT.name, *trials, terms=terms(DROPOUT.name, replace(DROPOUT.protocol, epochs=epochs)))


def permuted(losses: Sequence[float]) -> StudyRecord:
    """Networks on original and on permuted pixels, with these losses in accuracy by seed."""
    original, mixed = PERMUTED.space.grid()
    trials = [
        trial(2 * seed + at, params, 0.97 - at * losses[seed], seed=seed)
        for seed in range(len(losses))
        for at, params in enumerate((original, mixed))
    ]
    return study("pixels", PERMUTED.name, *trials)


def result_of(words: str, *records: StudyRecord) -> ClaimResult:
    ranked = [(record, ranked_rows(record)) for record in records]
    (result,) = (result for result, _ in image_claims.claim_results(ranked) if result.claim.words == words)
    return result


def test_every_claim_names_configurations_of_one_data_set() -> None:
    for image_claim in image_claims.CLAIMS:
        claim = image_claim.claim
        assert set(image_claim.points) == {claim.subject, *claim.rivals}, claim.words
        assert len({task.dataset_name for task, _ in image_claim.points.values()}) == 1, claim.words
        assert len({repr(point) for _, point in image_claim.points.values()}) == 1 + len(claim.rivals), claim.words
    words = [image_claim.claim.words for image_claim in image_claims.CLAIMS]
    assert len(set(words)) == len(words)


def test_what_holds_at_every_seed_is_confirmed_and_its_opposite_refuted() -> None:
    gains = [0.010, 0.012, 0.011]
    found = result_of(HELPS, with_dropout(gains))
    assert (found.decision, found.rival, found.seeds) == ("confirmed", "no dropout", 3)
    assert found.difference == pytest.approx(0.011)
    assert found.interval is not None
    assert found.interval[0] == pytest.approx(0.011 - 4.302653 * 0.001 / 3**0.5)  # Student's t of two degrees, 97.5 %
    assert result_of(HELPS, with_dropout([-gain for gain in gains])).decision == "refuted"


def test_seeds_that_scatter_and_one_seed_decide_nothing() -> None:
    found = result_of(HELPS, with_dropout([0.02, -0.01, 0.005]))
    assert (found.decision, found.why) == ("not decided", "too close: no dropout")
    found = result_of(HELPS, with_dropout([0.05]))
    assert (found.decision, found.why[:15]) == ("not decided", "one shared seed")


def test_what_was_not_run_or_had_too_little_decides_nothing_and_is_named() -> None:
    assert result_of(HELPS).why == "not run: dropout 0.3, no dropout"
    few = result_of(HELPS, with_dropout([0.010, 0.012, 0.011], epochs=14))
    assert few.why == "not run: dropout 0.3, no dropout; tried: 14 epochs of 50"
    assert few.decision == "not decided"


@pytest.mark.parametrize(
    ("losses", "decision"),
    [
        ([0.0005, 0.001, 0.0015], "confirmed"),
        ([0.031, 0.032, 0.030], "refuted"),
        ([-0.031, -0.032, -0.030], "refuted"),  # almost as well is not better by far
        ([0.000, 0.012, 0.006], "not decided"),
    ],
)
def test_almost_as_well_is_a_small_difference_whichever_way(losses: list[float], decision: str) -> None:
    assert result_of(SAME, permuted(losses)).decision == decision


def test_a_claim_about_an_error_is_turned() -> None:
    """Of errors the smaller is the better one."""
    records = [replace(with_dropout([0.010, 0.012, 0.011]), name="all")]
    parts = [
        replace(records[0], name=name, trials=records[0].trials[at::2]) for at, name in enumerate(("more", "less"))
    ]
    known = claims.pairs_of(parts)
    claim = Claim("more is better", "more", "better", ("less",))
    assert claims.decide(claim, known, (), larger_is_better=True).decision == "confirmed"
    assert claims.decide(claim, known, (), larger_is_better=False).decision == "refuted"


# --- the summary ------------------------------------------------------------------------------------------------------


def evaluated(score: float) -> StudyRecord:
    """The first row of Table 4, 0.8919 in the report, with this accuracy on the test split at three seeds."""
    params = DROPOUT.reported[0].params
    assert params is not None
    trials = [trial(seed, params, 0.9, score + 0.0002 * (seed - 1), seed=seed) for seed in range(3)]
    return study("one", DROPOUT.name, *trials, readings=(Evaluation(0.0, "ada", (0, 1, 2)),))


@pytest.mark.parametrize(("score", "verdict"), [(0.93, "better"), (0.892, "not told apart"), (0.85, "worse")])
def test_a_figure_is_better_or_worse_if_the_interval_of_the_difference_leaves_out_none(
    score: float, verdict: str
) -> None:
    page = images.page([evaluated(score)], MACHINE, 0.0)
    assert rows_of(page, "report A, Table 4")[0][9] == verdict
    setting = "report A, Table 4 on fashion-mnist: top 1: units (512, 10), dropout 0.3"
    (line,) = (line for line in page.splitlines() if line.startswith(f"- {verdict.capitalize()}: "))
    assert setting in line
    assert page.count(setting) == 1


def test_a_loss_has_no_verdict() -> None:
    task = find("mnist-mlp")
    trials = [trial(seed, task.baseline, 0.98, 0.97, seed=seed) for seed in range(3)]
    rows = rows_of(images.page([study("one", task.name, *trials)], MACHINE, 0.0), "report A, Table 1")
    assert [row[9] for row in rows if row[2].endswith("test_loss") and row[4] != "-"] == ["-"]


def test_the_summary_has_ten_lines_and_says_what_was_not_run_and_how_winners_were_found() -> None:
    page = images.page([evaluated(0.93)], MACHINE, 0.0)
    summary = page.split("## Summary\n\n")[1].split("\n\n## ")[0].splitlines()
    assert len(summary) == 10
    assert all(line.startswith("- ") for line in summary)
    text = "\n".join(summary)
    assert "1 were run with enough to say something: 1 are better here, 0 not told apart, 0 worse." in text
    assert "report A, Table 4 (2)" in text
    assert "0 of 1 were found by a search of 20 configurations or more; 1 are from studies of at most 5" in text
    assert "on the validation split: none." in text
    assert "not found by a search. 0 began after the test split of their data had been read" in text
    assert "fashion-mnist 1" in text
    n = len(image_claims.CLAIMS)
    assert f"- Conclusions: 0 confirmed (none), 0 refuted (none), {n} not decided." in summary


def test_a_winner_that_began_after_another_study_had_read_its_test_split_is_counted() -> None:
    best = evaluated(0.93)
    for other_at, n in ((4.0, 1), (6.0, 0)):
        trials = tuple(replace(one, started=5.0) for one in best.trials)
        readings = (Evaluation(other_at, "ada", (0,)),)
        other = study("other", DROPOUT.name, trial(0, {}, 0.5), readings=readings)
        page = images.page([replace(best, trials=trials), other], MACHINE, 0.0)
        assert f"{n} began after the test split of their data had been read for another study" in page


def test_a_worse_figure_says_what_the_same_network_has_with_other_batches() -> None:
    layers, pixels = find("fashion-mnist-mlp-layers"), find("permuted-fashion-mnist-mlp")
    small = [trial(seed, layers.baseline, 0.86, 0.86 + 0.0001 * seed, seed=seed) for seed in range(3)]
    large = [trial(seed, pixels.baseline, 0.875, 0.87, seed=seed) for seed in range(3)]
    page = images.page([study("a", layers.name, *small), study("b", pixels.name, *large)], MACHINE, 0.0)
    assert (
        "on fashion-mnist: baseline (batches of 128 are assumed; with 32 the same network has 0.8700 in b, full)"
        in page
    )
    assert image_summary.standing(images.figures([study("a", layers.name, *small)])[0]) is None
