"""A launch from its request to its end: what is refused, what is kept, and what a hard life leaves of a study."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.support.servers import MlflowServer, Wire
from tests.support.sweeping import (
    Logged,
    Own,
    SharedRay,
    called,
    command_line,
    data_of,
    deliver_nothing,
    ended,
    finished_study,
    kill_family,
    logged,
    own_task,
    until,
)
from tests.support.warm import Command, WarmServer
from tune_jobs.actions import launch as launch_action
from tune_jobs.actions import search_plan
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.errors import StudyError, UserError
from tune_jobs.execution.plan import Resources
from tune_jobs.live.signals import interruptible
from tune_jobs.records.studies import Budget, Launch, Scheduling, StudyRecord
from tune_jobs.search import samplers
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces import SpaceError, catalog
from tune_jobs.search_spaces.catalog import find
from tune_jobs.settings import Settings
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study
from tune_jobs.training.runs import run_trial

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

ENDLESS = "Float(1.0, 100.0, log=True)"


def test_what_is_not_said_has_its_default(tmp_path: Path, resolved: Callable[[LaunchRequest], Any]) -> None:
    own = own_task(tmp_path)
    sweep = resolved(LaunchRequest(own.reference))
    assert (sweep.search, sweep.trials, sweep.seed) == ("tpe", 20, 0)
    assert (sweep.space, sweep.task.protocol) == (own.task.space, own.task.protocol)
    assert resolved(LaunchRequest(own.reference, study="all", search="grid")).trials is None


def test_a_study_keeps_what_it_was_begun_with(tmp_path: Path, resolved: Callable[[LaunchRequest], Any]) -> None:
    own = own_task(tmp_path)
    said = LaunchRequest(
        own.reference, trials=3, search="random", epochs=2, seed=5, narrowed={"width": "1,2"}, opened=("depth",)
    )
    first = resolved(said)
    assert (first.space.names(), first.space.size) == (("act", "width", "depth"), 6)
    assert (first.task.protocol.epochs, first.search, first.trials, first.seed) == (2, "random", 3, 5)
    for again in (LaunchRequest(own.reference), said):
        same = vars(resolved(again)) | {"data": first.data, "plan": first.plan}  # which do not compare
        assert same == vars(first)
    assert resolved(LaunchRequest(own.reference, trials=9)).trials == 9
    assert resolved(LaunchRequest(own.reference)).trials == 9  # what was said last


@pytest.mark.parametrize("search", ["tpe", "random", "grid"])
def test_a_search_counts_down_no_more_trials_than_its_space_has(
    search: Any, tmp_path: Path, resolved: Callable[[LaunchRequest], Any]
) -> None:
    few = own_task(tmp_path / "few").reference
    assert resolved(LaunchRequest(few, study="few", search=search)).plan.total == 4
    assert resolved(LaunchRequest(few, study="fewer", search=search, trials=3)).plan.total == 3
    huge = own_task(tmp_path / "huge", width="Int(1, 10**15)", name="huge").reference
    assert resolved(LaunchRequest(huge, study="huge", search=search)).plan.total == (None if search == "grid" else 20)


def test_a_factors_study_counts_its_points_and_what_it_has_beside_them() -> None:
    space = find("mnist-mlp-factors").space
    (first, *_) = points = list(space.grid())
    asked = Launch("tpe", 100, "host", 0.0, None, {})
    assert search_plan._total(space, asked, points) == len(points)
    assert search_plan._total(space, asked, [first, {"units": "elsewhere"}]) == len(points) + 1
    assert search_plan._total(space, replace(asked, trials=5), points) == 5


def test_a_study_keeps_its_scheduler_and_its_budgets(
    tmp_path: Path, settings: Settings, resolved: Callable[[LaunchRequest], Any]
) -> None:
    own = own_task(tmp_path).reference

    def noted(**asked: Any) -> tuple[Scheduling, Budget]:
        resolved(LaunchRequest(own, search="random", **asked))
        launch = Study.open("own", settings).record().launch
        assert launch is not None
        return launch.scheduling, launch.budget

    assert noted() == (Scheduling(), Budget())
    assert noted(scheduler="asha", total_epochs=50) == (Scheduling("asha", 1, 3), Budget(epochs=50))
    assert noted(eta=2, stop_when_flat=7) == (Scheduling("asha", 1, 2), Budget(epochs=50, flat=7))
    assert noted(scheduler="median", grace=2) == (Scheduling("median", 2, 2), Budget(epochs=50, flat=7))
    assert noted(scheduler="none") == (Scheduling(), Budget(epochs=50, flat=7))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        (
            {"grace": 2},
            r"--grace, --eta and --resource are a scheduler's: say which with --scheduler \(asha, hyperband, ",
        ),
        ({"scheduler": "asha", "grace": 3}, "--scheduler asha has nothing to decide: --grace 3 is all of the 3 epochs"),
        ({"scheduler": "asha", "search": "baseline"}, "--search baseline runs every trial to its end"),
    ],
)
def test_a_scheduler_without_anything_to_decide_is_refused(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any], asked: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        resolved(LaunchRequest(own_task(tmp_path).reference, **asked))


def test_a_spent_budget_is_a_word_and_nothing_runs(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    deliver_nothing(monkeypatch)
    own, said = own_task(tmp_path), list[str]()
    finished_study(own, settings, search="random", trials=3, candidates=[Candidate(own.task.baseline, 0)])
    outcome = launch_action.launch(LaunchRequest(own.reference, search="random", total_epochs=3), settings, said.append)
    assert "study own: 3 epochs were trained and --total-epochs is 3" in said
    assert len(outcome.study.trials) == 1


def test_what_a_training_loop_of_its_own_cannot_do_is_refused(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path)
    cannot = "task 'own' has a training loop of its own, which cannot be taken up in the middle: leave out "
    with pytest.raises(UserError, match=cannot + "--checkpoint-every"):
        launch_action.launch(LaunchRequest(own.reference, resources=Resources(checkpoint_every=1)), settings, print)
    with pytest.raises(UserError, match=cannot + "--scheduler pbt"):
        launch_action.launch(LaunchRequest(own.reference, scheduler="pbt", search="random"), settings, print)
    assert study_names(settings) == ()


def test_the_baseline_alone_is_run_once_and_is_no_search_of_the_studys(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any], settings: Settings
) -> None:
    own = own_task(tmp_path)
    alone = LaunchRequest(own.reference, search="baseline")
    baseline = Candidate(own.task.baseline, 0)
    plan = resolved(alone).plan
    assert [plan.sampler.ask(), plan.sampler.ask()] == [baseline, None]
    assert (plan.trials, plan.total) == (None, 1)
    later = resolved(LaunchRequest(own.reference))
    assert (later.search, later.trials) == ("tpe", 20)
    finished_study(own, settings, candidates=[baseline])
    assert resolved(alone).plan is None


def test_a_trial_that_a_crash_left_with_its_result_is_told_to_the_search(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_task(tmp_path, width=ENDLESS)
    search = samplers.make_sampler("tpe", own.task.space, own.task.objective, 0, ())
    searched = [one for _ in range(14) if (one := search.ask())]  # TPE looks at scores after ten
    finished_study(own, settings, "whole", search="tpe", candidates=searched)
    with monkeypatch.context() as patch:
        patch.setattr(Study, "_settle", lambda *_: None)
        finished_study(own, settings, "crashed", search="tpe", candidates=searched)
    whole, crashed = (resolved(LaunchRequest(own.reference, study=name)).plan.sampler for name in ("whole", "crashed"))
    assert [whole.ask() for _ in range(3)] == [crashed.ask() for _ in range(3)]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": 6}, "with --seed 5, and this asks for 6"),
        ({"epochs": 9}, "with the protocol epochs 3"),
    ],
)
def test_a_study_does_not_change_its_terms(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any], change: dict[str, Any], words: str
) -> None:
    request = LaunchRequest(own_task(tmp_path).reference, seed=5)
    resolved(request)
    with pytest.raises(StudyError, match=f"study 'own' was begun {words}.*: start another with --study NAME") as caught:
        resolved(replace(request, **change))
    assert "\n" not in str(caught.value)


def test_a_study_does_not_change_its_task(tmp_path: Path, resolved: Callable[[LaunchRequest], Any]) -> None:
    own = own_task(tmp_path)
    resolved(LaunchRequest(own.reference))
    own.file.write_text(own.file.read_text().replace("Protocol(epochs=3", "Protocol(epochs=4"))
    with pytest.raises(StudyError, match="study 'own' was begun on version"):
        resolved(LaunchRequest(own.reference))


def test_a_file_is_found_again_from_any_folder(
    tmp_path: Path, resolved: Callable[[LaunchRequest], Any], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_task(tmp_path)
    monkeypatch.chdir(tmp_path)
    resolved(LaunchRequest("own_task.py:OWN"))
    assert Study.open("own", settings).record().terms.reference == own.reference


@pytest.mark.parametrize(
    ("request_changes", "words"),
    [
        ({"search": "grid"}, "width"),
        ({"narrowed": {"width": "1000"}}, "width"),
        ({"narrowed": {"wdith": "1"}}, "width"),
        ({"opened": ("width",)}, "width"),
        ({"opened": ("dpeth",)}, "depth"),
    ],
    ids=["grid-without-end", "set-outside", "set-unknown", "open-open", "open-unknown"],
)
def test_what_does_not_fit_the_space_is_refused_and_leaves_nothing(
    tmp_path: Path,
    resolved: Callable[[LaunchRequest], Any],
    settings: Settings,
    request_changes: dict[str, Any],
    words: str,
) -> None:
    own = own_task(tmp_path, width=ENDLESS)
    with pytest.raises(SpaceError, match=words) as caught:
        resolved(LaunchRequest(own.reference, **request_changes))
    assert "\n" not in str(caught.value)
    assert study_names(settings) == ()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_for_a_clean_end(number: signal.Signals) -> None:
    before, said = signal.getsignal(number), []
    with interruptible(said.append) as interruption:
        assert not interruption.is_set
        os.kill(os.getpid(), number)
        assert interruption.signal == number
    assert "finished trials are kept" in said[0]
    assert signal.getsignal(number) == before


def test_a_second_signal_ends_at_once() -> None:
    program = (
        "import os, signal\nfrom tune_jobs.live.signals import interruptible\n"
        "with interruptible(print):\n    for number in (signal.SIGINT, signal.SIGTERM):\n"
        "        os.kill(os.getpid(), number)\n    print('still here')"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 128 + signal.SIGTERM
    assert "still here" not in ended.stdout


LAUNCH = ("--search", "grid", "--max-concurrent", "1")


@pytest.mark.slow
def test_a_ray_that_cannot_start_is_one_line(tmp_path: Path) -> None:
    settings = Settings.read(home=tmp_path / "home")
    own = own_task(tmp_path / "task")
    process = command_line(settings, "launch", own.reference, "--trials", "1", RAY_TMPDIR=str(own.file))
    code, _, errors = ended(process)
    assert code == 2
    assert "Ray did not start on this machine: " in errors.splitlines()[-1]
    assert "Traceback" not in errors


@dataclass
class HardLife:
    """What was seen of a study that was interrupted, killed and cut off from MLflow."""

    settings: Settings
    own: Own
    ray: SharedRay
    warm: WarmServer
    second_driver: tuple[int, str, str] = (0, "", "")
    first_pid: int = 0
    listening: set[str] = field(default_factory=set)
    after_interrupt: StudyRecord | None = None
    interrupted: tuple[int, str, str] = (0, "", "")
    left_over: list[str] = field(default_factory=list)
    killed: int = 0
    finished: tuple[int, str, str] = (0, "", "")
    synced: tuple[int, str, str] = (0, "", "")
    record: StudyRecord | None = None
    logged: Logged | None = None


@pytest.fixture(scope="module")
def hard_life(
    tmp_path_factory: pytest.TempPathFactory, mlflow_server: MlflowServer, shared_ray: SharedRay, warm: WarmServer
) -> HardLife:
    """A grid of four of which the last trial waits: Ctrl-C, then SIGKILL to all, then MLflow gone before the end."""
    folder = tmp_path_factory.mktemp("hard-life")
    wire = Wire(mlflow_server.port)
    with wire.open():
        settings = replace(Settings.read(home=folder / "home"), tracking_uri=f"http://127.0.0.1:{wire.port}")
        life = HardLife(settings, own_task(folder / "task", "wait-at-4"), shared_ray, warm)
        _interrupt(life)
        _kill(life)
    _lose_mlflow(life, wire)
    with wire.open():
        life.synced = called(settings, "sync", "own")
        life.record = Study.open("own", settings).record()
        life.logged = logged(settings, life.record)
    return life


def _waits_for_the(nth: int, own: Own) -> Callable[[], bool]:
    """Whether the three others have ended and the last trial was begun so often."""
    return lambda: len(own.noted("end")) == 3 and own.noted("begin", "width").count((4,)) == nth


@contextmanager
def launched(life: HardLife) -> Iterator[Command]:
    """The launch, on the Ray that tests share."""
    words = ("launch", life.own.reference, *LAUNCH, *life.ray.words)
    process = life.warm.command_line(life.settings, *words, **life.ray.client)
    try:
        yield process
    finally:
        kill_family(process)


def _interrupt(life: HardLife) -> None:
    process = command_line(life.settings, "launch", life.own.reference, *LAUNCH)  # from the start, with its own Ray
    try:
        until(_waits_for_the(1, life.own), "the last trial to wait", process)
        life.second_driver = called(life.settings, "launch", life.own.reference, "--search", "grid")
        life.first_pid = process.pid
        family = psutil.Process(process.pid).children(recursive=True)
        for member in [psutil.Process(process.pid), *family]:
            with suppress(psutil.NoSuchProcess):  # some of Ray's end after its start
                connections = member.net_connections()
                life.listening |= {found.laddr.ip for found in connections if found.status == psutil.CONN_LISTEN}
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does
        life.interrupted = ended(process)
        _, alive = psutil.wait_procs(family, timeout=20)
        life.left_over = [str(member) for member in alive]
    finally:
        kill_family(process)
    life.after_interrupt = Study.open("own", life.settings).record()


def _kill(life: HardLife) -> None:
    with launched(life) as process:
        until(_waits_for_the(2, life.own), "the last trial to wait again", process)
        kill_family(process)
        life.killed = process.returncode


def _lose_mlflow(life: HardLife, wire: Wire) -> None:
    with launched(life) as process:
        with wire.open():
            until(_waits_for_the(3, life.own), "the last trial to wait once more", process)
        life.own.go()
        life.finished = ended(process)


def test_ctrl_c_ends_cleanly_with_what_is_finished(hard_life: HardLife) -> None:
    code, stdout, stderr = hard_life.interrupted
    assert code == 130, stderr
    assert "Traceback" not in stderr
    assert "3 complete" in stdout
    assert hard_life.after_interrupt is not None
    assert sorted(trial.state for trial in hard_life.after_interrupt.trials) == ["complete"] * 3 + ["running"]
    assert (hard_life.settings.exports_dir("own") / "best.yaml").exists()


def test_ctrl_c_leaves_no_process_behind(hard_life: HardLife) -> None:
    assert hard_life.left_over == []


def test_a_second_driver_is_told_who_holds_the_study(hard_life: HardLife) -> None:
    code, stdout, stderr = hard_life.second_driver
    assert (code, stdout) == (2, "")
    assert stderr.count("\n") == 1
    assert f"study 'own' is being run by process {hard_life.first_pid} of " in stderr


def test_nothing_listens_beyond_loopback(hard_life: HardLife) -> None:
    assert {address.removeprefix("::ffff:") for address in hard_life.listening} == {"127.0.0.1"}


def test_a_study_that_was_killed_has_exactly_the_undisturbed_trials(hard_life: HardLife) -> None:
    assert hard_life.killed == -signal.SIGKILL
    assert hard_life.record is not None
    task = hard_life.own.task
    data = data_of(task)
    expected = []
    for params in task.space.grid():
        result = run_trial(task, params, data, seed=0)
        expected.append((params, 0, "complete", result.score, result.best_epoch, result.history))
    found = [(t.params, t.seed, t.state, t.score, t.best_epoch, t.history) for t in hard_life.record.trials]
    assert found == expected


def test_what_was_finished_ran_once_and_the_rest_as_often_as_it_was_disturbed(hard_life: HardLife) -> None:
    assert hard_life.record is not None
    assert [trial.attempts for trial in hard_life.record.trials] == [1, 1, 1, 3]


def test_without_mlflow_a_launch_ends_well_and_says_what_to_do(hard_life: HardLife) -> None:
    code, stdout, stderr = hard_life.finished
    assert code == 0, stderr
    assert "4 complete" in stdout
    assert "Some trials are not in MLflow yet; nothing is lost. Run `tune-jobs sync own`." in stderr
    assert "Traceback" not in stderr


def test_what_mlflow_missed_is_delivered_once(hard_life: HardLife) -> None:
    code, _, stderr = hard_life.synced
    assert code == 0, stderr
    assert re.search(r"delivered \d trials of 4", stderr)
    assert hard_life.record is not None
    assert hard_life.logged is not None
    assert [run.info.status for run in hard_life.logged.parents] == ["FINISHED"]
    assert len(hard_life.logged.trials) == 4
    for trial in hard_life.record.trials:
        run = hard_life.logged.run(trial.number)
        assert run.data.params == {"act": "wait-at-4", "width": str(trial.params["width"])}
        assert (run.info.status, run.data.metrics["best_val_accuracy"]) == ("FINISHED", trial.score)
        for name in ("val_accuracy", "val_loss", "images"):
            points = [(epoch, metrics[name]) for epoch, metrics in enumerate(trial.history, start=1)]
            assert hard_life.logged.curve(trial.number, name) == points


def test_no_scheduler_stops_a_trial_before_the_grace_that_its_task_declares(
    settings: Settings, resolved: Callable[[LaunchRequest], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    digits = replace(catalog.find("digits-mlp"), grace=8)  # of 20 epochs, a 27th of which is one at least
    monkeypatch.setattr(catalog, "TASKS", tuple(digits if task.name == digits.name else task for task in catalog.TASKS))

    def grace(**asked: Any) -> int:
        launched = resolved(LaunchRequest("digits-mlp", search="random", **asked))
        said[:] = launched.said
        launch = Study.open(asked["study"], settings).record().launch
        assert launch is not None
        return launch.scheduling.grace

    said: list[str] = []
    assert grace(study="one", scheduler="asha") == 8
    assert grace(study="two", scheduler="asha", grace=2) == 2
    assert any("--grace 2 judges trials of task digits-mlp before they have learned anything" in line for line in said)
    assert grace(study="three", scheduler="asha", folds=20) == 1
    with pytest.raises(UserError, match="--grace 8 is all of the 5 epochs"):
        grace(study="four", scheduler="asha", epochs=5)
