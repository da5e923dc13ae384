"""A study knows its task again by what it is, wherever its file is now, whatever it is called and however laid out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.sweeping import Own, deliver_nothing
from tune_jobs.actions import extend, portable, retry, session, train
from tune_jobs.actions.launch import LaunchRequest, launch
from tune_jobs.errors import DataError, StudyError
from tune_jobs.exports.best import best_text
from tune_jobs.prediction.saved_models import Origin
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialResult
from tune_jobs.search_spaces import TaskError, catalog, digests
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

PLAIN = '''"""The least task there can be."""
import numpy as np
from tune_jobs.search_spaces import Float, Objective, Protocol, Space, Task
from rates import best


def load_data():
    rng = np.random.default_rng(0)
    return (rng.random((60, 4)), rng.integers(0, 2, 60)), (rng.random((20, 4)), rng.integers(0, 2, 20))


def train(params, data, *, seed, epochs):
    for epoch in range(epochs):
        yield {"val_accuracy": 1 - (params["rate"] - best()) ** 2 + 0.001 * epoch}


PLAIN = Task(
    name="plain",
    summary="a loop of its own",
    dataset=load_data,
    space=Space(rate=Float(0.0, 1.0)),
    objective=Objective("val_accuracy", "maximize"),
    protocol=Protocol(epochs=2, validation=0.2),
    baseline={"rate": 0.5},
    train=train,
)
'''
RATES = "def best():\n    return 0.3\n"


class Home:
    """A study of a task file, with the actions up to the point where Ray would start."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self.folder, self.settings = folder, settings
        self.said: list[str] = []
        self.ran: list[Any] = []

    def write(self, file: str = "a/plain.py", text: str = PLAIN, rates: str = RATES) -> Path:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        path.with_name("rates.py").write_text(rates, encoding="utf-8")
        return path

    def launch(self, file: Path | str, study: str = "plain", **more: Any) -> None:
        self.said.clear()
        launch(LaunchRequest(str(file), study, 3, **more), self.settings, self.said.append)

    def do(self, action: Callable[..., Any], request: Any) -> None:
        self.said.clear()
        action(request, self.settings, self.said.append)

    @property
    def record(self) -> StudyRecord:
        return Study.open("plain", self.settings).record()

    def add_trial(self, result: TrialResult) -> None:
        with Study.hold("plain", self.settings) as study:
            space = catalog.find(self.record.reference).space
            study.finish(study.start(study.add(space, {"rate": 0.5}, 0)), result, 1.0)


FAILED = TrialResult("failed", reason="crashed", message="AttributeError: no sqr")
COMPLETE = TrialResult("complete", 0.96, 1, {"val_accuracy": 0.96}, ({"val_accuracy": 0.96},), 0.1, None)


@pytest.fixture
def home(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Home:
    made = Home(tmp_path, settings)
    monkeypatch.setattr(session.Session, "run", lambda held, inputs, plan, resources: made.ran.append(inputs))
    return made


@pytest.mark.parametrize("place", ["b/plain.py", "a/renamed.py", "c/d/other-name.py"])
def test_a_file_that_was_moved_or_renamed_continues_its_study_and_is_found_there_from_now_on(
    home: Home, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = home.write()
    home.launch(f"{first}:PLAIN")
    first.unlink()
    second = home.write(place)
    with pytest.raises(
        TaskError, match=r"^study 'plain' names the task file .*/a/plain\.py, which is not there: "
    ) as no:
        home.do(extend.extend, extend.ExtendRequest("plain", 1, is_more=True))
    assert "\n" not in str(no.value)
    assert "tune-jobs launch FILE.py --study NAME" in str(no.value)
    monkeypatch.chdir(second.parent)
    home.launch(second.name)  # a relative reference, from its folder
    assert not home.said
    assert home.record.reference == str(second)
    assert home.record.terms.reference == f"{first}:PLAIN"  # a study's terms stay
    monkeypatch.chdir(home.folder)
    home.do(extend.extend, extend.ExtendRequest("plain", 1, is_more=True))
    assert home.ran[-1].reference == str(second)


def test_a_data_set_is_called_as_its_function(home: Home) -> None:
    home.launch(home.write())
    assert home.record.terms.dataset == "load_data"


def test_a_study_of_an_earlier_version_goes_on_with_its_file_where_it_was_and_elsewhere(home: Home) -> None:
    first = home.write()
    home.launch(first)
    terms = home.record.terms
    earlier, _ = digests.earlier(catalog.find(str(first)), "plain")
    assert earlier not in (terms.task_digest, *digests.earlier(catalog.find(str(first)), "renamed"))
    old = replace(terms, task_digest=earlier, dataset="task_file_8651de3b01234567.load_data")
    with Study.hold("earlier", home.settings) as study:
        study.begin(old)
    home.launch(first, "earlier")
    first.unlink()
    home.launch(home.write("b/renamed.py"), "earlier")
    assert Study.open("earlier", home.settings).record().terms == old
    with pytest.raises(StudyError, match=f"study 'earlier' was begun on data {terms.data_digest}, and they are now "):
        home.launch(home.write("b/renamed.py", PLAIN.replace("default_rng(0)", "default_rng(1)")), "earlier")


@pytest.mark.parametrize(
    ("text", "rates", "is_said"),
    [
        (PLAIN.replace("least task", "smallest task") + "\n\n# a comment\n", f'"""Rates."""\n\n{RATES}', False),
        (
            PLAIN.replace("epochs):\n    for", 'epochs):\n    """Train."""\n\n    for'),
            RATES.replace("    ", " "),
            False,
        ),
        (PLAIN.replace("0.001 * epoch}", "0.001 * epoch - 0.5}"), RATES, True),
        (PLAIN.replace("0.001 * epoch}", "'0.001' * epoch}"), RATES, True),
        (PLAIN, RATES.replace("0.3", "0.4"), True),
    ],
)
def test_code_that_changed_between_launches_is_said_and_its_layout_is_not(
    home: Home, text: str, rates: str, is_said: bool
) -> None:
    home.launch(home.write())
    home.launch(home.write("b/moved.py", text, rates))
    changes = [line for line in home.said if "the code of its task file, or of what that imports, has changed" in line]
    assert len(changes) == is_said
    home.launch(home.write("b/moved.py", text, rates))
    assert not home.said


def test_a_task_of_the_catalogue_keeps_no_more_than_it_did(home: Home) -> None:
    home.launch("digits-mlp", "plain")
    kept = Study.open("plain", home.settings).content().notes["launch"]
    assert not {"reference", "code", "with_paths"} & set(kept)
    assert home.record.reference == "digits-mlp"


def test_a_colleague_who_imports_a_study_goes_on_with_the_same_file_elsewhere(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = home.write()
    home.launch(file)
    home.add_trial(COMPLETE)
    portable.export_study("plain", home.folder / "plain.study", home.settings, home.said.append)
    file.unlink()
    colleague = Home(home.folder / "colleague", replace(home.settings, home=home.folder / "their home"))
    colleague.settings.prepare()
    deliver_nothing(monkeypatch)
    portable.import_study(home.folder / "plain.study", None, colleague.settings, colleague.said.append)
    with pytest.raises(TaskError, match=r"^study 'plain' names the task file .*/a/plain\.py, which is not there: "):
        colleague.do(extend.extend, extend.ExtendRequest("plain", 1, is_more=True))
    theirs = colleague.write("theirs/other_name.py")
    colleague.launch(theirs)
    assert not colleague.said
    assert colleague.record.trials == home.record.trials
    colleague.do(extend.extend, extend.ExtendRequest("plain", 1, is_more=True))
    assert colleague.record.reference == str(theirs)


def test_what_failed_is_retried_once_its_code_is_mended(home: Home) -> None:
    broken = home.write(
        text=PLAIN.replace("import numpy", "import math\nimport numpy").replace("best()", "math.sqr(1)")
    )
    home.launch(broken)
    home.add_trial(FAILED)
    home.write()
    home.do(retry.retry, retry.RetryRequest("plain"))
    assert any("has changed since the last launch" in line for line in home.said)
    assert home.said[-1] == "study plain: 1 failed trial runs again"


def test_what_resumes_a_study_finds_the_file_at_its_new_place(home: Home) -> None:
    first = home.write()
    home.launch(first)
    first.unlink()
    second = home.write("b/renamed.py")
    home.launch(second)
    with session.hold("plain", home.settings, home.said.append) as held:
        assert held.resume().reference == str(second)


def test_train_finds_the_task_of_a_best_yaml_where_the_study_was_last_launched(home: Home) -> None:
    first = home.write()
    home.launch(first)
    home.add_trial(COMPLETE)
    best = home.folder / "best.yaml"
    best.write_text(best_text(home.record), encoding="utf-8")
    first.unlink()

    def score() -> float:
        return train.train(best, home.settings, output=None, with_mlflow=False, say=home.said.append).score

    with pytest.raises(TaskError, match=r"^.*best\.yaml names the task file .*/a/plain\.py, which is not there: "):
        score()
    home.launch(home.write("b/renamed.py"))
    assert score() == pytest.approx(0.961)
    assert "b/renamed.py" in best_text(home.record)


def test_data_that_are_others_at_each_call_are_refused_at_the_first_launch(home: Home) -> None:
    file = home.write(text=PLAIN.replace("default_rng(0)", "default_rng()"))
    with pytest.raises(DataError, match=r"^the data set load_data has other data each time it is called.* a seed"):
        home.launch(file)


def test_slow_data_that_are_others_at_each_call_are_refused_at_the_next_launch(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "_QUICK_S", 0.0)
    file = home.write(text=PLAIN.replace("default_rng(0)", "default_rng()"))
    home.launch(file)
    with pytest.raises(
        DataError, match=r"^the data set load_data has other data each time it is called.* a seed"
    ) as no:
        home.launch(file)
    assert "\n" not in str(no.value)


def test_what_goes_with_a_file_is_remembered_and_can_be_somewhere_else_later(home: Home) -> None:
    text = PLAIN.replace("from rates import best", "from rates import best\nimport named_words")
    (home.folder / "lib").mkdir()
    (home.folder / "lib" / "named_words.py").write_text("A = 1")
    file = home.write(text=text)
    with pytest.raises(TaskError, match="No module named 'named_words'"):
        home.launch(file)
    home.launch(file, with_paths=(home.folder / "lib",))
    home.do(extend.extend, extend.ExtendRequest("plain", 1, is_more=True))
    assert home.ran[-1].with_paths == home.record.with_paths == (home.folder / "lib",)
    (home.folder / "lib").rename(home.folder / "moved")
    with pytest.raises(
        TaskError, match=r"^there is no file or folder .*/lib, which --with names: name where it is now"
    ):
        home.do(extend.extend, extend.ExtendRequest("plain", 1, is_more=True))
    home.launch(file, with_paths=(home.folder / "moved",))
    assert home.record.with_paths == (home.folder / "moved",)
    assert not home.said


def test_what_goes_with_a_catalogue_task_is_refused(home: Home) -> None:
    with pytest.raises(TaskError, match=r"can go with a task file, FILE\.py:NAME, and not with digits-mlp") as no:
        home.launch("digits-mlp", with_paths=(home.folder,))
    assert "\n" not in str(no.value)


SMOOTHED = """
class Smoothed(Classes):
    def __init__(self, smoothing):
        super().__init__(3)
        object.__setattr__(self, "smoothing", smoothing)


OWN = replace(OWN, encoding=Smoothed(0.1))
"""


def test_a_fixed_encoding_whose_parameter_was_changed_begins_another_study(home: Home) -> None:
    own = Own.copy("dense_task.py", home.folder)
    text = "from dataclasses import replace\n" + own.file.read_text(encoding="utf-8") + SMOOTHED
    own.file.write_text(text, encoding="utf-8")
    home.launch(own.reference, "own")
    home.launch(own.reference, "own")
    own.file.write_text(text.replace("Smoothed(0.1)", "Smoothed(0.3)"), encoding="utf-8")
    with pytest.raises(StudyError, match=r"^study 'own' was begun on version .* of its task, which is now .* --study"):
        home.launch(own.reference, "own")


def test_a_model_that_is_saved_knows_its_study_and_where_its_task_is_now(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = Own.copy("dense_task.py", home.folder / "a")
    home.launch(own.reference)
    with Study.hold("plain", home.settings) as study:
        study.finish(study.start(study.add(own.task.space, own.task.baseline, 0)), COMPLETE, 1.0)
    best = home.folder / "best.yaml"
    best.write_text(best_text(home.record), encoding="utf-8")
    now = f"{own.file.rename(home.folder / 'renamed.py')}:OWN"
    home.launch(now)
    saved: list[Origin] = []
    monkeypatch.setattr(train.tensorflow_start, "start", lambda cpus, **_: None)
    monkeypatch.setattr(train, "_can_be_saved", lambda *_: False)
    monkeypatch.setattr(train, "rerun", lambda *_: SimpleNamespace(model=object(), artifacts=None))
    monkeypatch.setattr(train, "_train_again", lambda *_: (0.96, 1))
    monkeypatch.setattr(train.model_files, "save", lambda model, path, origin, *_: saved.append(origin))
    train.train(best, home.settings, output=Path("model.keras"), with_mlflow=False, say=home.said.append)
    assert [(origin.reference, origin.study) for origin in saved] == [(now, "plain")]
