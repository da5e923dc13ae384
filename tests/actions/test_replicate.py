"""Further seeds: exactly those that are missing, for what was chosen, however often the command is killed."""

from __future__ import annotations

import functools
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from tests.support.sweeping import Own, SharedRay, called, finished_study, kill_family, own_task, until
from tests.support.trials import trial_record
from tune_jobs.actions import launch, replicate
from tune_jobs.actions.launch import LaunchRequest
from tune_jobs.actions.replicate import Race, ReplicateRequest
from tune_jobs.actions.session import Outcome, Session
from tune_jobs.cli import run
from tune_jobs.errors import UserError
from tune_jobs.execution.plan import Resources
from tune_jobs.leaderboard import ranking
from tune_jobs.records.per_image import pack
from tune_jobs.records.studies import Replication, StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search import samplers
from tune_jobs.search.candidates import Candidate
from tune_jobs.search_spaces import Objective
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

pytestmark = pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables

ONE = Resources(max_concurrent=1)


@dataclass
class Said:
    """What a run told, and how it ended."""

    settings: Settings
    messages: list[str]

    def replicate(self, **asked: Any) -> Outcome:
        request = ReplicateRequest(**{"study": "own", "top": 2, "seeds": 3, "resources": ONE} | asked)
        return replicate.replicate(request, self.settings, self.messages.append)


@pytest.fixture
def here(settings: Settings, ray: SharedRay) -> Said:
    return Said(settings, [])


def pairs(record: StudyRecord) -> list[tuple[Any, int]]:
    return [(trial.params["width"], trial.seed) for trial in record.trials]


def test_the_baseline_gets_the_seeds_of_the_best_if_it_is_named(tmp_path: Path, here: Said) -> None:
    own = own_task(tmp_path, "level")
    finished_study(own, here.settings)
    begun = len(own.trained)
    record = here.replicate(top=1, baseline=True).study
    assert own.trained[begun:] == [(4, 1), (1, 1), (4, 2), (1, 2)]  # the best, and the baseline, which is the worst
    assert here.replicate(top=1, baseline=True).study.trials == record.trials
    assert "study own: its best 1 and its baseline have 3 seeds each; --seeds asks for more" in here.messages


def test_a_baseline_that_was_not_trained_cannot_be_replicated(tmp_path: Path, here: Said) -> None:
    own = own_task(tmp_path, "level")
    finished_study(own, here.settings, candidates=grid_of(own)[1:])
    with pytest.raises(UserError, match=r"no complete trial of its task's baseline: .* --search baseline` trains it"):
        here.replicate(baseline=True)


def test_exactly_the_missing_pairs_are_trained_and_the_same_command_again_trains_none(
    tmp_path: Path, here: Said
) -> None:
    own = own_task(tmp_path, "level")
    finished_study(
        own, here.settings, candidates=[*grid_of(own), Candidate({"act": "level", "width": 4, "depth": 1}, 2)]
    )
    begun = len(own.trained)
    record = here.replicate().study
    assert own.trained[begun:] == [(4, 1), (3, 1), (3, 2)]  # the second seed of each, then the third of each
    assert pairs(record)[5:] == own.trained[begun:]
    assert {trial.state for trial in record.trials} == {"complete"}
    assert here.replicate().study.trials == record.trials
    assert own.trained[begun + 3 :] == []
    assert here.messages[-2:] == [
        "study own: its best 2 have 3 seeds each; --seeds asks for more",
        "delivering to MLflow …",
    ]


def test_when_it_is_done_the_same_command_takes_the_best_as_they_are_then(tmp_path: Path, here: Said) -> None:
    own = own_task(tmp_path, "lucky")  # 4 is best with the first seed, and worst with any other
    finished_study(own, here.settings)
    begun = len(own.trained)
    here.replicate(top=1, seeds=2)
    assert own.trained[begun:] == [(4, 1)]
    assert "1 configuration with fewer seeds now among the best 1: the same command replicates more" in here.messages
    here.replicate(top=1, seeds=2)
    assert own.trained[begun + 1 :] == [(3, 1)]


def test_a_seed_that_failed_is_not_tried_again_and_nobody_is_told_it_would_be(tmp_path: Path, here: Said) -> None:
    own = own_task(tmp_path, "unlucky")
    finished_study(own, here.settings)
    begun = len(own.trained)
    record = here.replicate(top=1).study
    assert [trial.state for trial in record.trials[4:]] == ["failed", "complete"]
    assert here.replicate(top=1).study.trials == record.trials
    assert own.trained[begun:] == [(4, 1), (4, 2)]
    assert not any("replicates more" in message for message in here.messages)


@dataclass
class HardLife:
    """A replication of the best two with three seeds, killed twice."""

    own: Own
    chosen: list[Replication | None]
    finished: list[tuple[set[tuple[Any, int]], int]]  # what was complete when it was killed, and the trainings by then
    killed: list[int]
    last: tuple[int, str, str]
    record: StudyRecord


@pytest.fixture(scope="module")
def hard_life(tmp_path_factory: pytest.TempPathFactory, ray: SharedRay) -> HardLife:
    folder = tmp_path_factory.mktemp("hard-life")
    settings = Settings.read(home=folder / "home")
    own = own_task(folder / "task", "lucky")
    finished_study(own, settings)
    life = HardLife(own, [], [], [], (0, "", ""), Study.open("own", settings).record())
    words = ("replicate", "own", "--top", "2", "--seeds", "3", "--max-concurrent", "1")
    for complete in (0, 3):  # in the first trial of all, and when three of four have ended: the means have moved
        own.make_room(4 + complete)
        process = ray.command_line(settings, *words)
        try:
            is_there = functools.partial(_has, settings, 4 + complete, own)
            until(is_there, f"{complete} replicates and one more that runs", process)
        finally:
            kill_family(process)
        life.killed.append(process.returncode)
        record = Study.open("own", settings).record()
        life.chosen.append(record.replication)
        life.finished.append(
            (
                {pair for pair, trial in zip(pairs(record), record.trials, strict=True) if trial.is_finished},
                len(own.trained),
            )
        )
    own.make_room(None)
    life.last = called(settings, *words)
    life.record = Study.open("own", settings).record()
    return life


def _has(settings: Settings, complete: int, own: Own) -> bool:
    record = Study.open("own", settings).record()
    return record.count("complete") >= complete and len(record.trials) > complete and len(own.trained) > complete


def test_killed_and_run_again_it_loses_nothing_and_trains_nothing_twice(hard_life: HardLife) -> None:
    assert hard_life.killed == [-signal.SIGKILL] * 2
    code, stdout, stderr = hard_life.last
    assert (code, "Traceback" in stderr) == (0, False), stderr
    assert "8 trials: 8 complete" in stdout
    assert pairs(hard_life.record) == [*[(width, 0) for width in (1, 2, 3, 4)], (4, 1), (3, 1), (4, 2), (3, 2)]
    for finished, trainings in hard_life.finished:
        assert finished.isdisjoint(hard_life.own.trained[trainings:])
    assert [len(finished) for finished, _ in hard_life.finished] == [4, 7]


def test_killed_and_run_again_it_goes_on_with_what_it_chose_although_the_means_moved(hard_life: HardLife) -> None:
    (first, second) = hard_life.chosen
    assert first == second == hard_life.record.replication
    known = tuple(trial for trial in hard_life.record.trials[:7])
    best = ranking.rank(known, hard_life.record.terms.objective)[:2]
    assert {row.params["width"] for row in best} != {3, 4}  # what would be chosen now


def test_a_trial_that_still_has_to_run_keeps_the_choice(tmp_path: Path, here: Said) -> None:
    """Killed in its very last trial, nothing is missing in the study; it is not done all the same."""
    own = own_task(tmp_path, "lucky")
    finished_study(own, here.settings)
    here.replicate(top=1, seeds=2)
    with Study.hold("own", here.settings) as study:
        chosen = study.record().replication
        assert chosen is not None
        study.note_replication(replace(chosen, seeds=3))
        study.start(study.add(own.task.space, {"act": "lucky", "width": 4, "depth": 1}, 2))
    record = here.replicate(top=1, seeds=3).study
    assert record.replication == replace(chosen, seeds=3)
    assert pairs(record)[4:] == [(4, 1), (4, 2)]


def grid_of(own: Own) -> list[Candidate]:
    return [Candidate(params, 0) for params in own.task.space.grid()]


@pytest.mark.slow
def test_replicates_are_no_trials_of_the_search_and_do_not_change_what_it_proposes(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_task(tmp_path, width="Float(1.0, 1e3, log=True)")
    task = own.task
    search = samplers.make_sampler("tpe", task.space, task.objective, 0, ())
    searched = [one for _ in range(14) if (one := search.ask())]  # TPE looks at scores after ten
    replicates = [replace(one, seed=seed) for one in searched[-3:] for seed in (1, 2)]
    finished_study(own, settings, "alone", search="tpe", trials=16, candidates=searched)
    finished_study(own, settings, search="tpe", trials=16, candidates=searched + replicates)
    plans: list[Any] = []
    monkeypatch.setattr(Session, "run", lambda held, inputs, plan, resources: plans.append(plan))
    for study in ("alone", "own"):
        launch.launch(LaunchRequest(own.reference, study=study), settings, lambda message: None)
    alone, replicated = plans
    assert [alone.sampler.ask() for _ in range(3)] == [replicated.sampler.ask() for _ in range(3)]
    assert (alone.trials, replicated.trials) == (16, 16)
    assert (alone.total, replicated.total) == (16, 22)


def test_a_search_runs_as_many_trials_as_were_asked_for_beside_replicates(tmp_path: Path, here: Said) -> None:
    own = own_task(tmp_path, "level")
    finished_study(own, here.settings, search="random", trials=2, candidates=grid_of(own)[:2])
    here.replicate()
    request = LaunchRequest(own.reference, trials=3, resources=ONE)
    record = launch.launch(request, here.settings, here.messages.append).study
    assert (len(record.searched), len(record.trials)) == (3, 7)
    again = launch.launch(request, here.settings, here.messages.append).study
    assert again.trials == record.trials
    assert "study own has its 3 trials; --trials asks for more" in here.messages


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--budget", "3"], "--budget is for --until-separated"),
        (["--top", "0"], "--top"),
        (["--seeds", "1"], "--seeds"),
        ([], "study 'own' has nothing to replicate: none of its trials is complete"),
    ],
)
def test_what_cannot_be_replicated_is_one_line(
    tmp_path: Path, settings: Settings, words: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    finished_study(own_task(tmp_path, "raise"), settings)
    before = Study.open("own", settings).record()
    assert run(["replicate", "own", *words, "--home", str(settings.home)]) == 2
    out, err = capfd.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert says in err
    assert Study.open("own", settings).record() == before


def test_a_study_that_is_not_there_is_one_line(settings: Settings, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["replicate", "own", "--home", str(settings.home)]) == 2
    assert capfd.readouterr().err == "tune-jobs: no study named 'own'. `tune-jobs studies` lists all\n"
    assert list(settings.studies_dir.glob("*.journal")) == []


IMAGES = 2000
HIGHER = Objective("val_accuracy", "maximize")


def trained(number: int, name: str, error_rate: float, seed: int) -> TrialRecord:
    """A trial with errors drawn image by image."""
    params = {"name": name}
    wrong = np.random.default_rng((seed, number % 7, ord(name))).random(IMAGES) < error_rate
    score = float(1 - wrong.mean())
    return trial_record(number, params, seed, "complete", score=score, errors=pack(wrong.astype(np.uint8)))


@dataclass
class World:
    """Configurations by their names, with the errors they make, and the trials there are."""

    error_rates: dict[str, float]
    trials: list[TrialRecord]

    @classmethod
    def searched(cls, **error_rates: float) -> World:
        trials = [trained(number, name, rate, 0) for number, (name, rate) in enumerate(error_rates.items())]
        return cls(error_rates, trials)

    def replication(self, seeds: int, budget: int | None) -> Replication:
        ids = tuple(trial.params_id for trial in self.trials[: len(self.error_rates)])
        return Replication(len(ids), seeds, True, budget, ids, begun_at=len(self.trials))

    def train(self, candidate: Candidate) -> TrialRecord:
        name = str(candidate.params["name"])
        trial = trained(len(self.trials), name, self.error_rates[name], candidate.seed)
        self.trials.append(trial)
        return trial

    def drive(self, race: Race, at_once: int = 2, stop_after: float = float("inf")) -> list[Candidate]:
        """Asks and trains, so many at a time, until the race has nothing more to ask for; what it asked for."""
        asked: list[Candidate] = []
        running: list[Candidate] = []
        while len(asked) < stop_after:
            while len(running) < at_once and len(asked) < stop_after and (one := race.ask()) is not None:
                asked.append(one)
                running.append(one)
            if not running:
                break
            race.tell(self.train(running.pop(0)))
        for one in running:
            self.train(one)
        return asked

    def in_doubt(self) -> set[Any]:
        rows = ranking.with_uncertainty(ranking.rank(self.trials, HIGHER), self.trials, HIGHER)
        return {row.params["name"] for row in rows if row.may_be_best}


def names(asked: Sequence[Candidate]) -> list[Any]:
    return [one.params["name"] for one in asked]


def test_a_race_gives_each_its_first_seeds_and_stops_where_nothing_is_in_doubt() -> None:
    world = World.searched(a=0.05, b=0.3, c=0.5)
    asked = world.drive(Race(world.replication(2, 50), tuple(world.trials), 0, HIGHER))
    assert [(one.params["name"], one.seed) for one in asked] == [("a", 1), ("b", 1), ("c", 1)]
    assert world.in_doubt() == {"a"}


def test_a_race_between_equals_spends_its_whole_budget_on_those_in_doubt() -> None:
    world = World.searched(a=0.1, b=0.1, c=0.5)
    asked = world.drive(Race(world.replication(2, 6), tuple(world.trials), 0, HIGHER))
    assert len(asked) == 3 + 6  # what comes before the race is not its budget's
    assert sorted(names(asked[3:])) == ["a"] * 3 + ["b"] * 3
    assert len(set(map(str, asked))) == 9
    assert world.in_doubt() == {"a", "b"}


def test_a_race_says_how_it_ended() -> None:
    clear = World.searched(a=0.05, b=0.3)
    before = Race(clear.replication(2, 6), tuple(clear.trials), 0, HIGHER)
    assert before.how_it_ended() is None
    clear.drive(before)
    assert before.how_it_ended() == "the best of them is separated from the others"
    equal = World.searched(a=0.1, b=0.1)
    plan = equal.replication(2, 4)
    equal.drive(Race(plan, tuple(equal.trials), 0, HIGHER))
    again = Race(plan, tuple(equal.trials), 0, HIGHER)
    assert again.how_it_ended() == "the budget is spent and 2 of them may still be the best"


def test_without_a_budget_a_race_between_equals_ends() -> None:
    world = World.searched(a=0.1, b=0.1)
    asked = world.drive(Race(world.replication(2, None), tuple(world.trials), 0, HIGHER))
    assert len(asked) == 2 + replicate.DEFAULT_BUDGET


@pytest.mark.parametrize(("ended", "widths"), [(None, {1, 2}), ("the budget is spent", {3, 4})])
def test_a_race_that_is_over_takes_the_best_as_they_are_then(
    ended: str | None, widths: set[int], tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = own_task(tmp_path, "level")
    record = finished_study(own, settings)
    first = tuple(trial.params_id for trial in record.trials if trial.params["width"] in (1, 2))
    earlier = Replication(2, 2, True, 3, first, begun_at=2)
    monkeypatch.setattr(Race, "how_it_ended", lambda race: ended)
    request = ReplicateRequest("own", 2, 2, until_separated=True, budget=3)
    chosen = replicate._chosen(replace(record, replication=earlier), request)
    assert {trial.params["width"] for trial in record.trials if trial.params_id in chosen.params_ids} == widths
    again = replicate._chosen(replace(record, replication=chosen), request)
    assert again is chosen  # its budget is not given twice


def test_a_race_is_judged_when_all_that_was_asked_for_is_known() -> None:
    world = World.searched(a=0.1, b=0.1)
    race = Race(world.replication(2, 6), tuple(world.trials), 0, HIGHER)
    first, second = race.ask(), race.ask()
    assert first is not None
    assert second is not None
    assert race.ask() is None
    race.tell(world.train(first))
    assert race.ask() is None
    race.tell(world.train(second))
    assert race.ask() is not None


def test_a_race_that_was_killed_waits_for_what_runs_again() -> None:
    world = World.searched(a=0.1, b=0.1)
    chosen = world.replication(2, 6)
    world.drive(Race(chosen, tuple(world.trials), 0, HIGHER), stop_after=2)
    running = TrialRecord(4, {"name": "a"}, 2, "running")
    race = Race(chosen, (*world.trials, running), 0, HIGHER)
    assert race.ask() is None
    race.tell(world.train(Candidate({"name": "a"}, 2)))
    asked = world.drive(race)
    assert len(asked) == 5
    assert ("a", 2) not in [(one.params["name"], one.seed) for one in asked]


def test_seeds_from_before_the_race_do_not_add_to_its_budget_nor_later_searches_take_from_it() -> None:
    world = World.searched(a=0.1, b=0.1)
    for name in ("a", "b"):
        world.train(Candidate({"name": name}, 1))
    chosen = world.replication(2, 5)
    for seed in (0, 2):
        world.trials.append(trained(len(world.trials), "z", 0.9, seed))
    asked = world.drive(Race(chosen, tuple(world.trials), 0, HIGHER))
    assert len(asked) == 5
    assert set(names(asked)) == {"a", "b"}


@pytest.mark.slow
@given(
    st.lists(st.sampled_from([0.05, 0.06, 0.1, 0.3]), min_size=2, max_size=4),
    st.integers(1, 12),
    st.lists(st.integers(1, 6), max_size=3),
    st.integers(1, 3),
)
@hypothesis_settings(max_examples=25)
def test_a_race_however_often_it_is_cut_keeps_its_budget_and_goes_on_while_two_may_be_best(
    error_rates: list[float], budget: int, cuts: list[int], at_once: int
) -> None:
    world = World.searched(**dict(zip("abcd", error_rates, strict=False)))
    chosen = world.replication(2, budget)
    asked: list[Candidate] = []
    for stop_after in [*cuts, float("inf")]:
        asked += world.drive(Race(chosen, tuple(world.trials), 0, HIGHER), at_once, stop_after)
    assert len({(str(one.params["name"]), one.seed) for one in asked}) == len(asked)
    further = len(asked) - len(error_rates)
    assert further <= budget
    assert further == budget or len(world.in_doubt()) < 2


def test_a_race_on_ray_trains_those_in_doubt_until_its_budget_is_spent_and_no_more(tmp_path: Path, here: Said) -> None:
    own = own_task(tmp_path, "fine", width="Choice(1, 3)")  # noise, in which neither stands out
    finished_study(own, here.settings)
    begun = len(own.trained)
    race: Callable[[], Outcome] = functools.partial(here.replicate, seeds=2, until_separated=True, budget=3)
    record = race().study
    asked = own.trained[begun:]
    assert pairs(record)[2:] == asked
    assert sorted(asked[:2]) == [(1, 1), (3, 1)]
    assert len(asked) == len(set(asked)) == 2 + 3
    assert race().study.trials == record.trials
    assert own.trained[begun + 5 :] == []
