"""Sweeps on a real Ray cluster: every trial ends as it should, whatever its training does to the worker."""

from __future__ import annotations

import math
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import psutil
import pytest
import ray

from tests.support.sweeping import Own, data_of, own_task, terms_of, until
from tune_jobs.errors import SettingsError, UserError
from tune_jobs.execution import cluster, driver, searching, worker, worker_forks
from tune_jobs.execution import sweep as sweeps
from tune_jobs.execution.messages import Assignment
from tune_jobs.execution.packing import Packing, Slots
from tune_jobs.execution.placement import Placement
from tune_jobs.execution.rules import TrialLimits
from tune_jobs.execution.sweep import Sweep, SweepLimits
from tune_jobs.execution.task_source import TaskSource
from tune_jobs.execution.trial_ledger import TrialLedger
from tune_jobs.execution.trial_queue import SearchStrategy
from tune_jobs.leaderboard import ranking
from tune_jobs.live.activity import Activity
from tune_jobs.live.signals import Interruption
from tune_jobs.records.studies import Scheduling, Search, StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import candidates, samplers, schedulers
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.training.runs import run_trial

pytestmark = pytest.mark.usefixtures("ray")


@dataclass
class Watched:
    """Keeps what a sweep told, and does something when a trial has ended."""

    then: Callable[[], None] = lambda: None
    told: list[tuple[str, int]] = field(default_factory=list)
    epochs: list[tuple[int, int]] = field(default_factory=list)
    reasons: dict[int, str] = field(default_factory=dict)

    def trial_started(self, trial: TrialRecord) -> None:
        self.told.append(("started", trial.number))

    def epoch_ended(self, trial: TrialRecord, epoch: int, metrics: dict[str, float]) -> None:
        self.epochs.append((trial.number, epoch))

    def activity_changed(self, activity: Activity) -> None:
        self.reasons |= activity.waiting

    def trial_ended(self, trial: TrialRecord) -> None:
        self.told.append(("ended", trial.number))
        self.then()


def sweep(
    own: Own,
    settings: Settings,
    *,
    search: Search = "grid",
    trials: int | None = None,
    slots: Slots | None = None,
    time_limit_s: float | None = None,
    watcher: Watched | None = None,
    interruption: Interruption | None = None,
    before: Callable[[], None] = lambda: None,
    limits: TrialLimits | None = None,
    schedule: Scheduling | None = None,
) -> StudyRecord:
    """Run the study `own` in the home of `settings`, or continue it, one trial at a time where no slots are named.

    `before` is called when all is ready.
    """
    settings.prepare()
    task, source = own.task, TaskSource.of(own.reference)
    data = data_of(task)
    with Study.hold("own", settings) as study:
        study.begin(terms_of(task, own.reference, data))
        sampler = samplers.make_sampler(search, task.space, task.objective, 0, study.record().trials)
        slots = slots or cluster.slots(1, 0, 1)
        sweep_limits = SweepLimits(trials, time_limit_s, limits or TrialLimits())
        placement = Placement(Packing.fixed(slots))
        worker_forks.expect(worker_forks.WorkerKind.training(1.0, has_own_loop=task.train is not None))
        context = worker.SweepContext(
            source, task.protocol, (task.objective,), data, 1.0, has_own_loop=task.train is not None
        )
        judge = schedulers.make_scheduler(
            schedule or Scheduling(), task.objective, task.protocol, study.record().trials
        )
        interruption = interruption or Interruption()
        strategy = SearchStrategy(task.space, sampler, judge)
        running = Sweep(TrialLedger(study), strategy, sweep_limits, placement, watcher or Watched(), interruption)
        before()
        driver.run_sweep(running, context)
        return study.record()


def by_act(record: StudyRecord) -> dict[Any, TrialRecord]:
    return {trial.params["act"]: trial for trial in record.trials}


@dataclass(frozen=True)
class Hostile:
    own: Own
    record: StudyRecord
    watched: Watched
    counted: list[Any]


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Hostile:
    """A sweep of trials that raise, diverge and kill their workers; its task's file is gone before it begins."""
    folder = tmp_path_factory.mktemp("hostile")
    settings = Settings.read(home=folder / "home")
    own = own_task(folder / "task", "fine", "raise", "die", "diverge", "die-once", width="Choice(1)")
    watched, counted, every = Watched(), list[Any](), cluster.slots(1, 0, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(settings.home.parent)
        patch.setattr("ray.air._internal.usage._count_callbacks", counted.append)
        record = sweep(
            own, settings, watcher=watched, before=own.file.unlink, slots=every, limits=TrialLimits(max_retries=1)
        )
    return Hostile(own, record, watched, counted)


def test_a_users_file_trains_on_workers_that_do_not_have_it(hostile: Hostile) -> None:
    assert not hostile.own.file.exists()
    fine = by_act(hostile.record)["fine"]
    assert (fine.state, fine.attempts, len(fine.history)) == ("complete", 1, 3)
    assert os.getpid() not in {pid for (pid,) in hostile.own.noted("begin", "pid")}


def test_a_worker_of_a_task_with_its_own_loop_imports_neither_tune_nor_pandas(hostile: Hostile) -> None:
    assert {has_tune for (has_tune,) in hostile.own.noted("begin", "has_tune")} == {False}


def test_tune_does_not_import_mlflow_to_count_callbacks(hostile: Hostile) -> None:
    assert hostile.counted == []


def test_a_trial_works_in_an_empty_folder_of_its_own(hostile: Hostile) -> None:
    folders = [Path(folder) for (folder,) in hostile.own.noted("begin", "cwd")]
    assert len(set(folders)) == len(folders)
    assert {folder.parent.name for folder in folders} == {"trials"}  # in Ray's own folder


def test_a_trial_on_a_worker_is_the_trial_that_a_plain_call_runs(hostile: Hostile, tmp_path: Path) -> None:
    fine = by_act(hostile.record)["fine"]
    task = own_task(tmp_path, "fine", "raise", "die", "diverge", "die-once", width="Choice(1)").task
    expected = run_trial(task, fine.params, data_of(task), seed=fine.seed)
    assert (fine.score, fine.best_epoch, fine.metrics, fine.history) == (
        expected.score,
        expected.best_epoch,
        expected.metrics,
        expected.history,
    )


def test_a_trial_that_raises_is_a_crash_in_one_line(hostile: Hostile) -> None:
    trial = by_act(hostile.record)["raise"]
    assert (trial.state, trial.reason, trial.score, trial.attempts) == ("failed", "crashed", None, 1)
    assert trial.message == "RuntimeError: no such thing"
    assert len(trial.history) == 1  # the epoch before


def test_a_trial_that_diverges_says_where(hostile: Hostile) -> None:
    trial = by_act(hostile.record)["diverge"]
    assert (trial.state, trial.reason, trial.attempts) == ("failed", "diverged", 1)
    assert trial.message == "val_accuracy was nan in epoch 2"


def test_a_trial_that_kills_every_worker_is_given_up(hostile: Hostile) -> None:
    trial = by_act(hostile.record)["die"]
    assert (trial.state, trial.reason, trial.attempts) == ("failed", "crashed", 2)
    assert trial.message == "its worker died 2 times: it was killed, or the machine ran out of memory"


def test_a_trial_whose_worker_dies_once_succeeds_on_another(hostile: Hostile) -> None:
    trial = by_act(hostile.record)["die-once"]
    assert (trial.state, trial.attempts, trial.reason) == ("complete", 2, None)
    pids = [pid for act, pid in hostile.own.noted("begin", "act", "pid") if act == "die-once"]
    assert len(set(pids)) == 2


def test_a_watcher_is_told_of_each_trial(hostile: Hostile) -> None:
    told = Counter(hostile.watched.told)
    attempts = {trial.number: trial.attempts for trial in hostile.record.trials}
    assert told == {("started", n): k for n, k in attempts.items()} | {("ended", n): 1 for n in attempts}
    fine = by_act(hostile.record)["fine"].number
    assert [epoch for number, epoch in hostile.watched.epochs if number == fine] == [1, 2, 3]


def test_epochs_that_were_not_scored_harm_no_sweep(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "seldom")  # of three epochs it scores the second
    watched = Watched()
    record = sweep(own, settings, watcher=watched, schedule=Scheduling("asha", 1, 2))
    assert {(trial.state, trial.best_epoch) for trial in record.trials} <= {("complete", 2), ("stopped", 2)}
    assert [(trial.number, epoch) for trial in record.trials for epoch in range(1, len(trial.history) + 1)] == (
        sorted(watched.epochs)
    )
    assert all(trial.history[1]["val_accuracy"] == trial.score for trial in record.trials)
    assert all(math.isnan(trial.scores[0]) for trial in record.trials if trial.scores)


def test_a_worn_out_worker_makes_room_and_no_trial_suffers(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "wear")  # its first trial allows this worker but two
    record = sweep(own, settings)
    assert [(trial.state, trial.attempts) for trial in record.trials] == [("complete", 1)] * 4
    assert list(Counter(pid for (pid,) in own.noted("begin", "pid")).values()) == [2, 2]


def test_what_the_trials_of_a_worker_fill_does_not_add_up(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "hoard")  # 200 MB each, which nothing but a collection frees
    sweep(own, settings)
    (_, first), *others = own.noted("held", "pid", "mb")
    assert len(others) == 3
    assert len(set(own.noted("held", "pid"))) == 1
    assert max(held for _, held in others) - first < 100


def test_a_worker_that_leaks_makes_room(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "leak")  # as above, kept for ever; 300 MB more than after the first trial are too much
    record = sweep(own, settings)
    assert [(trial.state, trial.attempts) for trial in record.trials] == [("complete", 1)] * 4
    assert list(Counter(pid for (pid,) in own.noted("begin", "pid")).values()) == [3, 1]


def test_the_networks_of_a_worker_do_not_add_up(tmp_path: Path, settings: Settings) -> None:
    own = Own.copy("heavy_task.py", tmp_path)
    record = sweep(own, settings)
    assert [trial.state for trial in record.trials] == ["complete"] * 3
    assert len(set(own.noted("held", "pid"))) == 1
    _, second, third = (mb for (mb,) in own.noted("held", "mb"))
    assert third - second < 30  # of 111 that each takes


def test_max_concurrent_is_kept(tmp_path: Path, settings: Settings) -> None:
    assert cluster.slots(1, 0, None).count > 1  # Ray would run more at once
    own = own_task(tmp_path, "wear", width="Choice(1, 2, 3)")
    watched = Watched()
    sweep(own, settings, slots=cluster.slots(1, 0, 1), watcher=watched)
    assert [what for what, _ in watched.told] == ["started", "ended"] * 3
    assert [event["what"] for event in own.events] == ["begin", "end"] * 3


def test_a_sweep_whose_time_is_up_leaves_the_rest_for_next_time(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_task(tmp_path, "wait-at-4")  # the last would train for ever
    clock, told = [0.0], Counter[str]()
    monkeypatch.setattr(sweeps, "time", SimpleNamespace(monotonic=lambda: clock[0]))

    def ended() -> None:
        told["ended"] += 1  # by the driver: a worker's own word may be ahead of it
        clock[0] = 60.0 * (told["ended"] == 3)

    two = cluster.slots(1, 0, None)
    first = sweep(own, settings, slots=two, time_limit_s=30.0, watcher=Watched(ended))
    assert Counter(trial.is_finished for trial in first.trials) == {True: 3, False: 1}
    own.go()
    second = sweep(own, settings)
    assert [trial.state for trial in second.trials] == ["complete"] * 4
    assert [trial.params for trial in second.trials] == list(own.task.space.grid())
    assert all(trial in second.trials for trial in first.trials if trial.is_finished)
    begun = own.noted("begin", "width")
    assert all(begun.count((width,)) == 1 for width in (1, 2, 3))
    assert sweep(own, settings) == second
    assert own.noted("begin", "width") == begun


def test_a_study_grows_by_what_an_undisturbed_search_would_have_tried(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, width="Float(1.0, 1e3, log=True)")
    sweep(own, settings, search="random", trials=2)
    grown = sweep(own, settings, search="random", trials=4)
    undisturbed = samplers.make_sampler("random", own.task.space, own.task.objective, 0, ())
    assert [candidates.Candidate(trial.params, trial.seed) for trial in grown.trials] == [
        undisturbed.ask() for _ in range(4)
    ]
    assert [trial.attempts for trial in grown.trials] == [1] * 4
    assert len(own.noted("begin")) == 4


def test_an_interrupted_sweep_does_not_wait_for_its_trials(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "fine", "wait", width="Choice(1)")
    interruption = Interruption()

    def ended() -> None:
        interruption.signal = 2

    record = sweep(own, settings, watcher=Watched(ended), interruption=interruption)
    assert [trial.state for trial in record.trials][:1] == ["complete"]
    assert all(not trial.is_finished for trial in record.trials[1:])
    assert own.noted("end", "act") == [("fine",)]
    until(lambda: ray.available_resources().get("CPU") == ray.cluster_resources()["CPU"], "the CPUs to be free")
    until(lambda: not [pid for (pid,) in own.noted("begin", "pid") if psutil.pid_exists(pid)], "the worker to end")


def test_a_task_that_workers_cannot_load_ends_the_sweep_and_blames_no_trial(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, before=f"import os\nif os.getpid() != {os.getpid()}: import not_on_workers\n")
    with pytest.raises(UserError, match=r"own_task.py, line 2: ModuleNotFoundError: .*not_on_workers") as caught:
        sweep(own, settings)
    assert "\n" not in str(caught.value)
    assert {trial.state for trial in Study.open("own", settings).record().trials} <= {"waiting", "running"}


def test_what_goes_wrong_in_the_driver_comes_out_of_it(tmp_path: Path, settings: Settings) -> None:
    def ended() -> None:
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        sweep(own_task(tmp_path), settings, watcher=Watched(ended))


@pytest.mark.parametrize(("cpus", "gpus"), [(4096.0, 0.0), (1.0, 4096.0)])
def test_a_trial_that_fits_on_no_node_is_refused(cpus: float, gpus: float) -> None:
    with pytest.raises(
        SettingsError, match=f"asks for {cpus:g} CPUs? and {gpus:g} GPUs?, more than any node has"
    ) as caught:
        cluster.slots(cpus, gpus, None)
    assert "\n" not in str(caught.value)


def test_a_trial_of_several_gpus_has_them_on_one_node(monkeypatch: pytest.MonkeyPatch) -> None:
    nodes = [{"Alive": True, "Resources": {"CPU": 8.0, "GPU": gpus}} for gpus in (3.0, 4.0, 1.0)]
    monkeypatch.setattr(ray, "nodes", lambda: nodes)
    assert cluster.slots(1, 2, None) == Slots(cpus=1, gpus=2, count=1 + 2, submitted=4)
    with pytest.raises(SettingsError, match="a trial asks for 1 CPU and 5 GPUs, more than any node has"):
        cluster.slots(1, 5, None)


def test_only_a_tasks_own_training_is_told_of_its_gpus() -> None:
    said: list[str] = []
    assert searching._gpus_together(2.0, said.append, has_own_loop=False) == 2
    assert [searching._gpus_together(gpus, said.append, has_own_loop=True) for gpus in (0.5, 1.0)] == [None, None]
    assert not said
    assert searching._gpus_together(2.0, said.append, has_own_loop=True) == 2
    assert said == ["each trial has 2 GPUs, and the task's own training has to divide its work among them itself"]


def test_as_many_trials_run_at_once_as_fit() -> None:
    n_cpus = psutil.cpu_count() or 1
    every, halves, one = cluster.slots(1, 0, None), cluster.slots(0.5, 0, None), cluster.slots(1, 0, 1)
    assert (every.count, halves.count, one.count) == (n_cpus, 2 * n_cpus, 1)
    assert (every.cpus, every.gpus) == (1, 0)
    assert Assignment({}, 0, 0, cpus=every.cpus, gpus=every.gpus).resources == {"CPU": 1}
    assert cluster.slots(0.25, 0, 10_000).count == 4 * n_cpus


def test_a_trial_behind_the_others_is_stopped_and_ranks_behind_them(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path, "level", width="Choice(4, 3, 1, 2)")
    record = sweep(own, settings, schedule=Scheduling("asha", grace=2))
    assert [(trial.state, len(trial.history)) for trial in record.trials] == [("complete", 3)] + [("stopped", 2)] * 3
    stopped = record.trials[1]
    assert (stopped.reason, stopped.message) == ("scheduler", "behind the others after epoch 2")
    assert stopped.score == max(metrics["val_accuracy"] for metrics in stopped.history)
    assert own.noted("end", "width") == [(4,)]
    assert [row.state for row in ranking.rank(record.trials, own.task.objective)] == ["complete"] + ["stopped"] * 3


def test_a_trial_that_is_stopped_again_after_a_restart_is_judged_by_what_was_there(
    tmp_path: Path, settings: Settings
) -> None:
    own = own_task(tmp_path, "level", width="Choice(4, 3, 1, 2)")
    schedule = Scheduling("asha", grace=2)
    interruption = Interruption()

    def ended() -> None:
        interruption.signal = 2

    sweep(own, settings, schedule=schedule, watcher=Watched(ended), interruption=interruption)
    record = sweep(own, settings, schedule=schedule)
    assert [trial.state for trial in record.trials] == ["complete"] + ["stopped"] * 3


def test_why_a_trial_waits_is_told(tmp_path: Path, settings: Settings) -> None:
    own, watched = own_task(tmp_path, "doze", width="Choice(*range(8))"), Watched()
    sweep(own, settings, slots=Slots(cpus=1.0, gpus=0.0, count=1, submitted=2), watcher=watched)
    assert set(watched.reasons.values()) <= {"its worker is starting", "no free slot: 1 at once, 1 CPU each"}
    assert watched.reasons
