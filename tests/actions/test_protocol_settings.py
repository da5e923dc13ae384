"""Precision and determinism are settings of a study: said at its launch, recorded, shown, and in its best.yaml. Where
they are not used nothing says so, and what was there before them stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from tests.support.sweeping import finished_study, own_task
from tune_jobs import exports
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.cli import launch as launch_command
from tune_jobs.cli.studies import status
from tune_jobs.cli.tasks import show
from tune_jobs.errors import StudyError
from tune_jobs.records.studies import StudyRecord
from tune_jobs.reproduction.reported import budget
from tune_jobs.search_spaces import Protocol, TaskError
from tune_jobs.search_spaces.catalog import find
from tune_jobs.settings import Settings
from tune_jobs.study import file as study_file
from tune_jobs.study.study import Study
from tune_jobs.study.terms import note_of_terms
from tune_jobs.tracking import mlflow_form

STUDIES = sorted((Path(__file__).parents[2] / "docs" / "studies").rglob("*.study"))
OLD = {"epochs": 3, "patience": None, "batch_size": 128, "validation": 0.2, "images": None}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_kept_studies_open_and_are_written_as_they_were(path: Path) -> None:
    content = study_file.read(path)
    terms = content.record.terms
    assert (terms.protocol.precision, terms.protocol.deterministic) == ("float32", False)
    assert note_of_terms(terms)["protocol"] == content.notes["terms"]["protocol"]
    task = find(terms.reference)
    assert terms.task_digest in (task.digest(), *task.earlier)


def test_defaults_are_not_said() -> None:
    assert Protocol(epochs=3, validation=0.2).to_dict() == OLD
    assert Protocol(epochs=3).special == ()
    both = Protocol(epochs=3, validation=0.2, precision="mixed_float16", deterministic=True)
    assert both.to_dict() == {**OLD, "precision": "mixed_float16", "deterministic": True}
    assert both.special == ("mixed_float16", "deterministic")
    last = Protocol(epochs=3, validation=0.2, scored_epoch="last")
    assert last.to_dict() == {**OLD, "scored_epoch": "last"}
    assert (last.special, last.numerics) == (("the last epoch counts",), ())
    digits = find("digits-mlp")
    digests = {
        replace(digits, protocol=replace(digits.protocol, **change)).digest()
        for change in ({}, {"precision": "mixed_bfloat16"}, {"deterministic": True}, {"precision": "float32"})
    }
    assert len(digests) == 3
    assert (
        replace(digits, protocol=last).digest() != replace(digits, protocol=replace(last, scored_epoch="best")).digest()
    )


@pytest.mark.parametrize(
    ("change", "needed"),
    [
        ({"precision": "float16"}, "needs precision float32 or mixed_float16 or mixed_bfloat16; got 'float16'"),
        ({"precision": None}, "got None"),
        ({"deterministic": 1}, "needs deterministic True or False; got 1"),
        ({"scored_epoch": "first"}, "needs scored_epoch 'best' or 'last'; got 'first'"),
        ({"scored_epoch": "last", "patience": 2}, "'last' or patience, which waits for a better epoch, not both; got"),
    ],
)
def test_another_value_is_refused_where_it_enters(change: dict[str, Any], needed: str) -> None:
    with pytest.raises(TaskError, match=needed):
        Protocol(epochs=3, **change)


def test_a_task_that_trains_itself_has_neither(tmp_path: Path, resolved: Callable[[LaunchRequest], Any]) -> None:
    own = own_task(tmp_path)
    with pytest.raises(TaskError, match=r"training loop of its own.*cannot be mixed_float16 and deterministic"):
        resolved(LaunchRequest(own.reference, precision="mixed_float16", deterministic=True))


def test_a_study_is_begun_with_them_and_keeps_them(
    resolved: Callable[[LaunchRequest], Any], settings: Settings
) -> None:
    said = LaunchRequest("digits-mlp", precision="mixed_bfloat16", deterministic=True)
    expected = replace(find("digits-mlp").protocol, precision="mixed_bfloat16", deterministic=True)
    assert resolved(said).task.protocol == expected
    assert resolved(LaunchRequest("digits-mlp")).task.protocol == expected  # as `replicate` and `evaluate` take it up
    assert Study.open("digits-mlp", settings).record().terms.protocol == expected
    with pytest.raises(StudyError, match="precision mixed_bfloat16, deterministic True, and it is now"):
        resolved(replace(said, precision="float32", deterministic=False))
    assert resolved(LaunchRequest("digits-mlp", study="plain")).task.protocol.special == ()
    with pytest.raises(StudyError, match=r"it is now .*deterministic True"):
        resolved(LaunchRequest("digits-mlp", study="plain", deterministic=True))


def test_launch_takes_them_from_the_command_line(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from tune_jobs.actions import launch as launch_action

    class AskedError(Exception):
        pass

    asked: list[LaunchRequest] = []

    def launch(request: LaunchRequest, *others: object) -> None:
        asked.append(request)
        raise AskedError

    monkeypatch.setattr(launch_action, "launch", launch)
    for more in ([], ["--precision", "mixed_float16", "--no-deterministic"], ["--deterministic"]):
        answer = CliRunner().invoke(launch_command.launch, ["digits-mlp", "--home", str(tmp_path), *more])
        assert isinstance(answer.exception, AskedError)
    found = [(request.precision, request.deterministic) for request in asked]
    assert found == [(None, None), ("mixed_float16", False), (None, True)]


@pytest.fixture
def mixed(tmp_path: Path, settings: Settings) -> StudyRecord:
    """A study that says it was trained in mixed precision."""
    record = finished_study(own_task(tmp_path), settings)
    protocol = replace(record.terms.protocol, precision="mixed_bfloat16", deterministic=True)
    return replace(record, terms=replace(record.terms, protocol=protocol))


def test_they_are_shown_where_they_are_used(mixed: StudyRecord, tmp_path: Path, settings: Settings) -> None:
    plain = replace(mixed, terms=replace(mixed.terms, protocol=Protocol(epochs=3, validation=0.2)))
    for form in ("table", "md", "html"):
        assert "mixed_bfloat16" in exports.render(mixed, form)
        assert "float" not in exports.render(plain, form).replace("font", "")
        assert "deterministic" not in exports.render(plain, form)
    assert "seed 0, mixed_bfloat16, deterministic" in exports.render(mixed, "table")
    tags = mlflow_form.system_tags(mixed)
    assert (tags["precision"], tags["deterministic"]) == ("mixed_bfloat16", "True")
    assert mlflow_form.system_tags(plain).keys() & {"precision", "deterministic"} == set()
    assert "seed 0, mixed_bfloat16, deterministic" in mlflow_form.study_note(mixed, None)
    assert "precision" not in CliRunner().invoke(show, ["digits-mlp"]).output


def test_they_are_in_the_studys_status(resolved: Callable[[LaunchRequest], Any], settings: Settings) -> None:
    resolved(LaunchRequest("digits-mlp", precision="mixed_bfloat16"))
    resolved(LaunchRequest("digits-mlp", study="plain"))
    lines = {
        name: CliRunner().invoke(status, [name, "--home", str(settings.home)]).output
        for name in ("digits-mlp", "plain")
    }
    assert "  protocol  mixed_bfloat16\n" in lines["digits-mlp"]
    assert "protocol" not in lines["plain"]


def test_results_say_that_a_study_was_trained_otherwise(mixed: StudyRecord) -> None:
    terms = replace(mixed.terms, task="digits-mlp", reference="digits-mlp", protocol=find("digits-mlp").protocol)
    assert mixed.launch is not None
    mixed = replace(mixed, launch=replace(mixed.launch, reference=None))
    assert budget(replace(mixed, terms=terms)) == "full"
    terms = replace(terms, protocol=replace(terms.protocol, precision="mixed_float16"))
    assert budget(replace(mixed, terms=terms)) == "mixed_float16"


def test_best_yaml_brings_them_back_and_old_files_are_read(mixed: StudyRecord, tmp_path: Path) -> None:
    file = tmp_path / "best.yaml"
    file.write_text(exports.best_text(mixed))
    assert exports.load_best(file).protocol == mixed.terms.protocol
    content = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump({**content, "protocol": OLD}))
    assert exports.load_best(file).protocol == Protocol(epochs=3, validation=0.2)
    for wrong in ({"precision": "float8"}, {"precision": ["float32"]}, {"deterministic": "yes"}):
        file.write_text(yaml.safe_dump({**content, "protocol": {**OLD, **wrong}}))
        with pytest.raises(StudyError, match=r"protocol\.(precision|deterministic) needs"):
            exports.load_best(file)
    assert asdict(mixed.terms.protocol)["precision"] == "mixed_bfloat16"


def test_a_study_file_brings_them_back(mixed: StudyRecord, settings: Settings) -> None:
    content = Study.open("own", settings).content()
    notes = {**content.notes, "terms": note_of_terms(mixed.terms)}
    again = study_file.decoded(study_file.encoded(replace(content, notes=notes)))
    assert again.record.terms.protocol == mixed.terms.protocol
