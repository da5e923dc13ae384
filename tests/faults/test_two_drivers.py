"""Two drivers of one study, clocks that jump, and a study that another version of the program wrote."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.auditing import audit, undisturbed
from tests.support.sweeping import SharedRay, called, ended, finished_study, own_task, refusal, until
from tune_jobs.errors import StudyError
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study
from tune_jobs.tracking import delivery

pytestmark = [
    pytest.mark.faults,
    pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning"),  # of MLflow's own tables
]

JUMPING = """
import time
from pathlib import Path
file, clock = Path({file!r}), time.time
time.time = lambda: clock() + (float(file.read_text() or 0) if file.exists() else 0.0)
"""
DAY = 86_400.0


def test_of_two_drivers_one_writes_and_no_trial_lasts_what_a_jumping_clock_says(
    tmp_path: Path, settings: Settings, ray: SharedRay
) -> None:
    own, alone = (own_task(tmp_path / name, width="Choice(*range(1, 7))") for name in ("task", "alone"))
    own.make_room(1)
    jump = tmp_path / "jump"
    words = ("launch", own.reference, "--search", "grid", "--max-concurrent", "1", "--time-limit", "1h")
    both = [ray.command_line(settings, *words, before=JUMPING.format(file=str(jump))) for _ in range(2)]
    until(lambda: any(process.poll() is not None for process in both), "one of two to be refused")
    loser, winner = sorted(both, key=lambda process: process.poll() is None)
    code, stdout, stderr = ended(loser)
    assert (code, stdout) == (2, "")
    assert f"study 'own' is being run by process {winner.pid} of " in refusal(stderr)
    for seconds, ends in ((DAY, 3), (-DAY, 5)):
        until(lambda ends=ends: len(own.noted("begin")) == ends - 1, "the next trial", winner)  # type: ignore[misc]
        jump.write_text(str(seconds))  # in the middle of a trial
        own.make_room(ends)
    until(lambda: len(own.noted("begin")) == 6, "the last trial", winner)
    own.make_room(None)
    code, _, stderr = ended(winner)
    assert code == 0, stderr
    record = Study.open("own", settings).record()
    assert all(0 < (trial.seconds or -1) < 600 for trial in record.trials)
    starts = [round(((trial.started or 0.0) - time.time()) / DAY) for trial in record.trials]
    assert {0, 1, -1} <= set(starts)  # the clock did jump
    delivery.deliver_once("own", settings)
    audit(settings, undisturbed(alone, tmp_path))


def _rewrite(change: Callable[[dict[str, object]], None], settings: Settings) -> None:
    """Changes the notes of the study as they stand in its file."""
    file = settings.studies_dir / "own.journal"
    lines = []
    for line in map(json.loads, file.read_text().splitlines()):
        change(line.get("user_attr", {}))
        lines.append(json.dumps(line))
    file.write_text("\n".join(lines) + "\n")


@pytest.mark.parametrize("name", ["terms", "launch"])
def test_a_study_of_another_version_of_the_program_is_refused_with_that_version(
    tmp_path: Path, settings: Settings, name: str
) -> None:
    own = own_task(tmp_path / "task", width="Choice(1)")
    finished_study(own, settings)

    def newer(notes: dict[str, object]) -> None:
        if name in notes:
            notes[name] |= {"colour": "red"}  # type: ignore[operator]
        if "launch" in notes:
            notes["launch"] |= {"versions": {"tune-jobs": "9.9"}}  # type: ignore[operator]

    _rewrite(newer, settings)
    with pytest.raises(StudyError, match=r"written by another version of tune-jobs \(9\.9\), or is damaged") as refused:
        Study.open("own", settings).record()
    assert "\n" not in str(refused.value)
    code, _, stderr = called(settings, "launch", own.reference, "--search", "grid")
    assert code == 2
    assert re.search(r"another version of tune-jobs \(9\.9\)", refusal(stderr))


@pytest.mark.usefixtures("ray")
def test_a_launch_says_which_packages_have_other_versions_than_before(tmp_path: Path, settings: Settings) -> None:
    own = own_task(tmp_path / "task", width="Choice(1)")
    finished_study(own, settings)
    _rewrite(lambda notes: notes.get("launch", {}).update(versions={"keras": "3.0.0"}), settings)  # type: ignore[attr-defined]
    code, _, stderr = called(settings, "launch", own.reference, "--search", "grid")
    assert code == 0, stderr
    assert re.search(r"last run with keras 3\.0\.0, which is now 3\.\d+\.\d+: ", stderr)
