"""`best.yaml` comes back as it went, and what is wrong with one is said in one line."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from tests.support.small_studies import HOSTILE, SMALL, hostile, study, trial
from tests.support.trials import changed
from tune_jobs import exports
from tune_jobs.errors import StudyError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.search_spaces import Protocol, Value


def saved(folder: Path, record: StudyRecord) -> exports.BestConfig:
    path = folder / "best.yaml"
    exports.write(path, exports.best_text(record))
    return exports.load_best(path)


def test_the_best_comes_back_as_it_went(tmp_path: Path) -> None:
    assert saved(tmp_path, SMALL) == exports.BestConfig(
        task="digits-mlp",
        reference="digits-mlp",
        study="first",
        trial=1,
        params={"optimizer": "sgd", "units": 128},
        seed=4,
        score=0.9,
        metric="val_accuracy",
        direction="maximize",
        protocol=Protocol(epochs=20, patience=5, validation=0.2),
        dataset="digits",
        data_digest="1234567890123456",
        task_digest="0123456789ab",
        cpus=1.0,
        best_epoch=9,
        versions={"keras": "3.15", "tune-jobs": "0.1.0"},
    )


def test_a_file_tasks_reference_is_kept(tmp_path: Path) -> None:
    assert (
        saved(tmp_path, replace(SMALL, terms=replace(SMALL.terms, reference="my/task.py:T"))).reference
        == "my/task.py:T"
    )
    assert "reference" not in exports.best_config(SMALL)


def test_hostile_texts_come_back_from_best(tmp_path: Path) -> None:
    found = saved(tmp_path, hostile())
    assert found.params == {HOSTILE: HOSTILE, "units": 1}
    assert (found.study, found.reference) == (HOSTILE, f"{HOSTILE}.py")


def test_best_begins_with_how_to_train_it_again() -> None:
    first, second, third = exports.best_text(SMALL).splitlines()[:3]
    assert first.startswith("# ")
    assert second == "#   tune-jobs train best.yaml"
    assert third == "format: 1"


def test_of_several_seeds_the_first_is_kept_with_its_own_score() -> None:
    seeds = study(*(replace(trial(n, score, units=1), seed=n) for n, score in enumerate([0.5, 0.9, 0.7])))
    best = exports.best_config(seeds)
    assert (best["trial"], best["seed"], best["score"]) == (0, 0, 0.5)


VALUES = (
    st.none()
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text()
)


@pytest.mark.slow
@given(st.floats(allow_nan=False, allow_infinity=False), st.dictionaries(st.text(min_size=1), VALUES, max_size=4))
def test_scores_and_params_come_back_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, score: float, params: dict[str, Value]
) -> None:
    record = study(changed(trial(0, score), params=params))
    found = saved(tmp_path_factory.getbasetemp(), record)
    assert found.score.hex() == score.hex()
    assert repr(found.params) == repr(params)


def test_a_best_says_how_many_gpus_trained_it_where_they_were_several(tmp_path: Path) -> None:
    def on(gpus: int) -> StudyRecord:
        trials = (replace(t, result=t.result and replace(t.result, gpus=gpus)) for t in SMALL.trials)
        return replace(SMALL, trials=tuple(trials))

    assert saved(tmp_path, SMALL).gpus is None
    assert saved(tmp_path, on(2)).gpus == 2
    with pytest.raises(StudyError, match="gpus needs to be 2 or more where it is given; got 1"):
        saved(tmp_path, on(1))


def test_a_best_that_was_edited_by_hand_is_read_as_it_is_meant(tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    exports.write(path, exports.best_text(SMALL))
    text = path.read_text()
    for written, by_hand in (("seed: 4", "seed: 4.0"), ("score: 0.9", "score: 9e-1"), ("epochs: 20", "epochs: 2e1")):
        assert written in text
        text = text.replace(written, by_hand)
    path.write_text(text.replace("validation: 0.2", "validation: 2e-1"))
    assert exports.load_best(path) == saved(tmp_path, SMALL)


def _without(key: str) -> dict[str, Any]:
    return {name: value for name, value in exports.best_config(SMALL).items() if name != key}


@pytest.mark.parametrize("key", sorted(exports.best_config(SMALL)))
def test_a_missing_key_is_named(key: str, tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(_without(key)))
    with pytest.raises(StudyError, match=rf"best\.yaml.*\b{key}\b") as raised:
        exports.load_best(tmp_path / "best.yaml")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("format", 2),
        ("format", True),
        ("format", 1.0),
        ("task", 3),
        ("task", ""),
        ("trial", -1),
        ("trial", True),
        ("seed", "0"),
        ("score", "high"),
        ("score", float("nan")),
        ("score", True),
        ("score", 10**400),
        ("metric", None),
        ("direction", "up"),
        ("direction", ["maximize"]),
        ("params", ["units"]),
        ("params", {1: 2}),
        ("params", {"units": [1]}),
        ("params", {"units": float("inf")}),
        ("protocol", 5),
        ("protocol", {"epochs": 5}),
        ("protocol", asdict(SMALL.terms.protocol) | {"epochs": 0}),
        ("protocol", asdict(SMALL.terms.protocol) | {"epocs": 1}),
        ("protocol", asdict(SMALL.terms.protocol) | {"epochs": "many"}),
        ("data_digest", 1234),
        ("cpus", 0),
        ("cpus", None),
        ("cpus", "two"),
        ("best_epoch", 0),
        ("versions", {"keras": 3.15}),
        ("reference", None),
        ("scores", 0.5),
    ],
)
def test_a_wrong_value_is_named_in_one_line(key: str, value: Any, tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text(yaml.safe_dump(exports.best_config(SMALL) | {key: value}))
    with pytest.raises(StudyError, match=rf"best\.yaml.*\b{key}\b") as raised:
        exports.load_best(path)
    assert "\n" not in str(raised.value)


def test_a_misspelt_key_is_told_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text(yaml.safe_dump(_without("params") | {"parms": {}}))
    with pytest.raises(StudyError, match=r"best\.yaml has 'parms', which nothing here knows; near it: params"):
        exports.load_best(tmp_path / "best.yaml")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "just words",
        "- a\n- list",
        "a: b: c",
        "format: 1\nformat: 1",
        "format: 1\nparams: {units: 1, units: 2}",
        "format: !!python/object/apply:os.system ['true']",
        'format: !!int ""',
        "format: !!timestamp soon",
        "format: !!bool perhaps",
        "format: !!map [a]",
        "format: &a [*a]",
        "? [1]\n: 2",
        "&a [*a]",
        "[" * 5000,
        "format: 2026-13-45",
        f"format: {'9' * 5000}",
        f"format: 0x{'f' * 5000}",
        "\x00",
    ],
    ids=repr,
)
def test_what_is_no_best_yaml_is_said_in_one_line(text: str, tmp_path: Path) -> None:
    path = tmp_path / "best.yaml"
    path.write_text(text)
    with pytest.raises(StudyError, match=r"best\.yaml") as raised:
        exports.load_best(path)
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 300 + len(str(path))


def test_a_key_written_twice_is_named_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text("format: 1\nseed: 1\nseed: 2\n")
    with pytest.raises(StudyError, match="the key 'seed' is there twice in line 3"):
        exports.load_best(tmp_path / "best.yaml")


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_bytes(b"format: \xff\xfe")
    with pytest.raises(StudyError, match="is no YAML"):
        exports.load_best(tmp_path / "best.yaml")


def test_a_file_that_is_not_there_or_is_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StudyError, match="there is no file"):
        exports.load_best(tmp_path / "best.yaml")
    with pytest.raises(StudyError, match="cannot be read"):
        exports.load_best(tmp_path)
