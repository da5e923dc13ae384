"""Every format shows the same study, and holds whatever its texts are."""

from __future__ import annotations

import csv
import io
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import stats

from tests.support import small_tasks
from tests.support.small_studies import HOSTILE, SMALL, hostile, study, trial
from tests.support.sweeping import finished_study
from tests.support.trials import changed
from tune_jobs import exports
from tune_jobs.errors import StudyError, UserError
from tune_jobs.exports import trial_data
from tune_jobs.models.label_encodings import Binary, Classes
from tune_jobs.models.regression import Regression
from tune_jobs.records.studies import Evaluation, StudyRecord
from tune_jobs.records.trials import TestResult
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces import Choice, Objective, Protocol, Space, Task
from tune_jobs.settings import Settings


def test_a_leaderboard_shows_the_unit_of_its_scores() -> None:
    assert SMALL.launch is not None
    in_euros = replace(SMALL, launch=replace(SMALL.launch, unit="euros"))
    first = exports.render(in_euros, "table").splitlines()[0]
    assert first == "study first: digits-mlp on digits, maximize val_accuracy (euros), seed 4"


def test_an_interval_below_zero_is_told_from_its_dashes() -> None:
    lower = study(*(changed(trial(n, -9.7 - n / 100, units=8), seed=n) for n in range(3)))
    for form in ("table", "html"):
        assert re.search(r"-9\.\d{4} to -9\.\d{4}", exports.render(lower, form)), form


def test_the_table_as_a_whole() -> None:
    assert exports.render(SMALL, "table").splitlines() == [
        "study first: digits-mlp on digits, maximize val_accuracy, seed 4",
        "in all rows: units=128",
        "",
        "rank  val_accuracy  state     optimizer  learning_rate  epoch  train_s  trial",
        "  1=        0.9000  complete  sgd        -                  9      1.2      1",
        "  1=        0.9000  complete  adam       0.01               9      1.2      2",
        "  3         0.5000  complete  adam       0.001              9      1.2      0",
        "  4         0.9500  stopped   rmsprop    -                  9      1.2      3",
        "",
        "5 trials: 3 complete, 1 stopped, 1 failed (1 diverged)",
        "= shares its rank with an equal score",
        "one seed each, small differences may be chance (`tune-jobs replicate` adds seeds)",
        "stopped configurations come last: how they would have ended is not known",
        "the test split was never read",
    ]


def with_baseline(number: int, base: StudyRecord = SMALL) -> StudyRecord:
    """The study, whose task's own configuration is that of a trial."""
    assert base.launch is not None
    return replace(base, launch=replace(base.launch, baseline=base.trials[number].params_id))


def test_the_baseline_is_marked_and_compared_with_the_best() -> None:
    text = exports.render(with_baseline(0), "table")
    assert "\nbaseline: trial 0, rank 3, 0.5000; the best is 0.4000 better\n" in text
    assert "baseline: trial 1, rank 1, 0.9000: nothing tried is better" in exports.render(with_baseline(1), "md")
    page = exports.render(with_baseline(0), "html")
    rows = re.findall(r'<tr class="([^"]*)"', page)
    assert rows == ["first", "first", "complete baseline", "stopped"]
    assert "<u style" not in page  # it is far off, as its hollow dot says
    strokes = re.findall(r'<u style="left:([0-9.]+)%">', exports.render(with_baseline(2), "html"))
    assert len(strokes) == 4
    assert len(set(strokes)) == 1
    for unknown in (SMALL, with_baseline(4)):  # the last one failed, and has no row
        assert "baseline" not in exports.render(unknown, "table")
        assert "<u style" not in exports.render(unknown, "html")


def test_many_columns_fit_a_screen() -> None:
    wide = study(*(trial(n, n / 10, **{f"a_name_{k}": n + k for k in range(14)}) for n in range(3)))
    page = exports.render(wide, "html")
    assert '<div class="wide many">' in page
    assert "a_<wbr>name_<wbr>3</th>" in page
    assert '<div class="wide">' in exports.render(SMALL, "html")


def test_top_leaves_the_rest_out_and_says_so() -> None:
    text = exports.render(SMALL, "table", 2)
    assert "the first 2 of 4 configurations" in text
    assert "rmsprop" not in text
    assert len(json.loads(exports.render(SMALL, "json", 2))) == 2
    assert len(exports.render(SMALL, "csv", 2).splitlines()) == 3


def test_top_below_one_is_refused() -> None:
    with pytest.raises(UserError, match="top needs to be 1 or more; got 0"):
        exports.render(SMALL, "table", 0)


def test_replicates_show_their_spread_and_all_their_trials() -> None:
    repeated = study(*(replace(trial(n, 0.5 + n / 100, units=1), seed=n) for n in range(5)))
    heading, row = exports.render(repeated, "table").splitlines()[3:5]
    columns = ["rank", "val_accuracy", "std", "n", "95 %", "best", "places", "epoch", "train_s", "trials"]
    assert re.split(r" {2,}", heading.strip()) == columns
    low, high = stats.t.interval(0.95, 4, 0.52, np.std([0.5, 0.51, 0.52, 0.53, 0.54], ddof=1) / 5**0.5)
    cells = ["1", "0.5200", "0.0158", "5", f"{low:.4f}-{high:.4f}", "100 %", "1", "9", "1.2", "0,1,2 +2"]
    assert re.split(r" {2,}", row.strip()) == cells
    assert "one seed each" not in exports.render(repeated, "table")


def test_what_finalists_came_to_on_the_test_split_is_shown_with_how_often_it_was_read() -> None:
    tested = TestResult({"test_accuracy": 0.7, "test_loss": 1.0}, None, 0.9)
    finalist = replace(trial(0, 0.9, units=1), tested=tested)
    day = 1.7e9  # 2023-11-14 in UTC
    record = replace(study(finalist, trial(1, 0.8, units=2)), readings=(Evaluation(day, "me", (0,)),))
    heading, first, second = exports.render(record, "table").splitlines()[2:5]
    assert heading.split()[:4] == ["rank", "val_accuracy", "test_accuracy", "units"]
    assert (first.split()[:3], second.split()[:3]) == (["1", "0.9000", "0.7000"], ["2", "0.8000", "-"])
    assert "the test split was read once, on 2023-11-14 for me, 1 trial" in exports.render(record, "md")
    again = replace(record, readings=(*record.readings, Evaluation(day + 86400, "you", (1,))))
    assert "read 2 times, last on 2023-11-15 for you" in exports.render(again, "table")
    rows = json.loads(exports.render(record, "json"))
    assert [(row["test_score"], row["test_n"]) for row in rows] == [(0.7, 1), (None, None)]


@pytest.mark.parametrize("width", [None, 80, 60])
def test_a_wide_study_stays_within_its_columns_and_keeps_all_its_parameters(width: int | None) -> None:
    wide = study(
        *(trial(n, n / 10, **{f"parameter_number_{k}": f"value-{n}-{k}" for k in range(30)}) for n in range(3))
    )
    text = exports.render(wide, "table") if width is None else exports.table(wide, None, width)
    assert max(len(line) for line in text.splitlines()) <= (width or 120)
    assert all(f"value-2-{k}" in text for k in range(30))


def test_scores_with_long_names_stay_within_the_terminal_and_what_has_no_room_is_told_below() -> None:
    name = "mean_absolute_percentage_error"
    tested = TestResult({f"test_{name}": 0.7}, None, 0.9)
    trials = [replace(trial(n, 0.9, width=n // 2), seed=n, tested=tested) for n in range(4)]
    text = exports.table(study(*trials, objective=Objective(f"val_{name}", "minimize")), None, 80)
    assert max(len(line) for line in text.splitlines()) <= 80
    assert "test_mean_absolute_percentage_error=0.7000" in text
    assert "width=1" in text


@pytest.mark.parametrize(
    ("scores", "shown"),
    [
        ([0.5], ["0.5000"]),
        ([0.98764, 0.98762], ["0.98764", "0.98762"]),
        ([0.5 + 1e-9, 0.5], ["0.500000", "0.500000"]),
        ([1e-7], ["1e-07"]),
    ],
)
def test_different_scores_look_different(scores: list[float], shown: list[str]) -> None:
    many = study(*(trial(number, score, units=number) for number, score in enumerate(scores)))
    rows = exports.render(many, "table").split("\n\n")[1].splitlines()[1:]
    assert [row.split()[1] for row in rows] == shown


def test_values_that_python_holds_equal_are_still_different_parameters() -> None:
    assert "flag" in exports.render(study(trial(0, 0.5, flag=True), trial(1, 0.4, flag=1)), "table").split("\n\n")[1]


@pytest.mark.parametrize("name", exports.FORMATS)
def test_a_study_without_a_score_is_shown_all_the_same(name: exports.Format) -> None:
    for empty in (study(), study(trial(0, None, "running", units=1))):
        assert exports.render(empty, name).endswith("\n")


def test_json_has_the_exact_numbers() -> None:
    exact = study(trial(0, 0.1 + 0.2, learning_rate=1 / 3, momentum=None))
    (row,) = json.loads(exports.render(exact, "json"))
    assert row == {
        "rank": 1,
        "score": 0.1 + 0.2,
        "std": None,
        "n": 1,
        "tied": False,
        "interval_low": None,
        "interval_high": None,
        "p_best": None,
        "first_place": None,
        "last_place": None,
        "test_score": None,
        "test_n": None,
        "test_interval_low": None,
        "test_interval_high": None,
        "state": "complete",
        "best_epochs": [9],
        "train_seconds": 1.25,
        "weights": 10,
        "trials": [0],
        "seeds": [4],
        "params_id": exact.trials[0].params_id,
        "params": {"learning_rate": 1 / 3, "momentum": None},
    }


def test_csv_has_a_column_for_each_parameter_and_the_exact_numbers() -> None:
    rows = list(csv.DictReader(io.StringIO(exports.render(SMALL, "csv"))))
    assert [row["learning_rate"] for row in rows] == ["", "0.01", "0.001", ""]
    assert [(row["rank"], row["score"], row["tied"], row["units"]) for row in rows][:2] == [
        ("1", "0.9", "true", "128")
    ] * 2


def test_csv_tells_a_parameter_from_a_column_of_the_same_name() -> None:
    (row,) = csv.DictReader(io.StringIO(exports.render(study(trial(0, 0.5, rank=8, units=None)), "csv")))
    assert (row["rank"], row["params.rank"], row["units"]) == ("1", "8", "none")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1"])
def test_csv_text_is_never_a_formula_and_numbers_stay_numbers(text: str) -> None:
    (row,) = csv.DictReader(
        io.StringIO(exports.render(study(trial(0, -0.5, label=text, shift=-1.5)), "csv", 1), newline="")
    )
    assert row["label"] == f"'{text}".replace("\r", "\n")
    assert (row["score"], row["shift"]) == ("-0.5", "-1.5")


def test_hostile_texts_do_not_break_csv() -> None:
    rows = list(csv.reader(io.StringIO(exports.render(hostile(), "csv"), newline="")))
    assert {len(row) for row in rows} == {23}
    assert rows[1][21:] == [f"'{HOSTILE}", "1"]


def test_hostile_texts_do_not_break_the_table() -> None:
    text = exports.render(hostile(), "table")
    assert "\x1b" not in text
    assert max(len(line) for line in text.splitlines()) <= 120


def test_hostile_texts_do_not_break_markdown() -> None:
    text = exports.render(hostile(), "md")
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 4
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7}
    assert not re.search(r"(?<!\\)[<`*]", text)


class Page(HTMLParser):
    """The tags of a page, in order, and whether each closes what was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        if tag not in ("meta", "wbr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.mark.parametrize("record", [SMALL, hostile(), study()], ids=["small", "hostile", "empty"])
def test_html_is_whole_and_fetches_nothing(record: StudyRecord) -> None:
    text = exports.render(record, "html")
    tags = set(Page(text).tags)
    assert not tags & {"script", "link", "img", "iframe"}
    assert "http" not in text
    assert "url(" not in text


def test_html_places_the_best_score_at_the_right_in_either_direction() -> None:
    for direction, best in (("maximize", "0.9000"), ("minimize", "0.1000")):
        record = study(
            trial(0, 0.1, u=0),
            trial(1, 0.9, u=1),
            trial(2, 0.5, u=2),
            objective=Objective("loss", direction),  # type: ignore[arg-type]
        )
        places = re.findall(r'<td class="score">([0-9.]+)<span.*?left:([0-9.]+)%', exports.render(record, "html"))
        assert [place for _, place in places] == ["100.00", "50.00", "0.00"]
        assert places[0][0] == best


def test_write_all_writes_every_format_and_the_best(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "folder"
    paths = exports.write_all(SMALL, folder)
    suffixes = ("txt", "csv", "json", "md", "html")
    tables = {"trials.csv", "epochs.csv", "best.yaml"}
    assert {path.name for path in paths} == {*(f"leaderboard.{suffix}" for suffix in suffixes)} | tables
    assert set(folder.iterdir()) == set(paths)
    assert (folder / "leaderboard.csv").read_text() == exports.render(SMALL, "csv")


def test_without_a_complete_trial_there_is_no_best(tmp_path: Path) -> None:
    stopped = study(trial(0, 0.5, "stopped", units=1))
    assert not any(path.name == "best.yaml" for path in exports.write_all(stopped, tmp_path))
    assert exports.best_row(stopped) is None
    with pytest.raises(StudyError, match="study 'first' has no best configuration"):
        exports.best_config(stopped)


def test_write_replaces_a_file_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text("old and longer")
    exports.write(path, "new\n")
    assert path.read_bytes() == b"new\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "best.yaml"
    path.write_text("old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match=r"best\.yaml cannot be written: No space left on device"):
        exports.write(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_made_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be made"):
        exports.write_all(SMALL, tmp_path / "file")
    with pytest.raises(UserError, match="cannot be written"):
        exports.write(tmp_path / "missing" / "file", "text")


def test_the_brief_table_has_a_line_a_row_within_80_columns_and_keeps_what_differs_most() -> None:
    wide = study(
        *(trial(n, n / 20, **{f"name_{k}": f"value-{n % 2}" for k in range(9)}, rate=0.1 * n) for n in range(9))
    )
    head, rows, notes = exports.brief_table(wide, 5).split("\n\n")
    assert max(len(line) for line in exports.brief_table(wide, 5).splitlines()) <= 80
    assert len(rows.splitlines()) == 6
    assert "rate" in rows
    assert "name_8" not in rows
    assert "`tune-jobs leaderboard first`" in notes
    assert "first" in head


def test_trials_and_epochs_are_tables_of_exact_numbers() -> None:
    epochs = ({"val_accuracy": 0.25, "loss": 2.0}, {"val_accuracy": 1 / 3})
    known = study(changed(trial(0, 1 / 3, units=None), history=epochs, metrics=epochs[1]), trial(1, 0.5, rate=2))
    first, second = csv.DictReader(io.StringIO(trial_data.trials_csv(known)))
    assert (first["score"], first["params.units"], first["params.rate"]) == (str(1 / 3), "none", "")
    assert (second["params.units"], second["params.rate"], second["metrics.val_accuracy"]) == ("", "2", "")
    rows = list(csv.DictReader(io.StringIO(trial_data.epochs_csv(known))))
    assert rows == [
        {"trial": "0", "epoch": "1", "val_accuracy": "0.25", "loss": "2.0"},
        {"trial": "0", "epoch": "2", "val_accuracy": str(1 / 3), "loss": ""},
    ]


def test_a_score_far_off_does_not_flatten_the_others_on_the_line() -> None:
    text = exports.render(study(*(trial(n, s, u=n) for n, s in enumerate((0.9, 0.88, 0.86, 0.84, 0.1)))), "html")
    places = [float(place) for place in re.findall(r'<b[^>]* style="left:([0-9.]+)%', text)]
    assert places == pytest.approx([100, 200 / 3, 100 / 3, 0, 0], abs=0.01)
    assert text.count('<b class="off"') == 1


LABELS = np.zeros(12, np.int64)


@pytest.mark.slow
@pytest.mark.parametrize("n", [1, 12])
@pytest.mark.parametrize(
    ("encoding", "metric"), [(Classes(2), "val_accuracy"), (Binary(), "val_accuracy"), (Regression(), "val_mae")]
)
def test_a_validation_part_of_one_row_or_one_class_is_judged_and_shown(
    encoding: Any, metric: str, n: int, tmp_path: Path, settings: Settings
) -> None:
    x, labels = small_tasks.points()[0]

    def load() -> Any:
        return (x, labels), (x[:n], LABELS[:n]), (x[:4], LABELS[:4])

    task = Task(
        "rows",
        Space(width=Choice(2, 4), dropout=Choice(0.0), norm=Choice(False)),
        Objective(metric, "minimize" if metric == "val_mae" else "maximize"),
        dataset=load,
        protocol=Protocol(epochs=1, batch_size=16),
        build=small_tasks.build,
        encoding=encoding,
    )
    candidates = [Candidate(params, seed) for params in task.space.grid() for seed in (0, 1)]
    own: Any = SimpleNamespace(task=task, reference="rows")
    record = finished_study(own, settings, candidates=candidates)
    assert [trial.state for trial in record.trials] == ["complete"] * 4, [trial.message for trial in record.trials]
    assert {"leaderboard.html", "best.yaml"} <= {path.name for path in exports.write_all(record, tmp_path / "exports")}
    assert "4 complete" in exports.render(record, "table")
