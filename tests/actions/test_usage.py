"""`usage`: what a sweep recorded of its trials, in the forms that people and programs read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.sweeping import SharedRay, called, finished_study, own_task
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study


def test_a_study_without_figures_has_dashes_and_says_so(tmp_path: Path, settings: Settings) -> None:
    finished_study(own_task(tmp_path, width="Choice(1, 2)"), settings)
    code, out, err = called(settings, "usage", "own", "--by", "study", TUNE_JOBS_USER="ada")
    assert code == 0
    heading, line = out.splitlines()
    assert heading.split("  ") == ["study", "trials", "CPU s", "CPU idle", "GPU s", "GPU idle", "GPU Wh"]
    assert line.split() == ["own", "2", "0", "-", "-", "-", "-"]
    assert "Of 2 trials only a part was recorded" in err


def test_accounts_are_written_to_a_file(tmp_path: Path, settings: Settings) -> None:
    finished_study(own_task(tmp_path, width="Choice(1, 2)"), settings)
    file = tmp_path / "accounts.csv"
    code, out, err = called(settings, "usage", "--by", "study", "-o", str(file))
    assert (code, out, err) == (0, "", f"wrote {file}\n")
    heading, line = file.read_text().splitlines()
    assert heading == "study,trials,cpu_seconds,cpu_idle,gpu_seconds,gpu_idle,energy_wh,unrecorded"
    assert line.startswith("own,2,")


def test_nothing_to_show_and_a_wrong_key_are_said_in_a_line(settings: Settings) -> None:
    assert called(settings, "usage")[2].startswith("No trial has ended yet.")
    code, _, err = called(settings, "usage", "--by", "year")
    assert code == 2
    assert "needs some of study, user and month" in err
    assert called(settings, "usage", "nothing")[0] == 2


@pytest.mark.slow
def test_a_sweep_records_what_its_trials_took_and_whose_it_was(
    ray: SharedRay, tmp_path: Path, settings: Settings
) -> None:
    own = own_task(tmp_path, "fine", "raise", width="Choice(1, 2)")
    called(settings, "launch", own.reference, "--search", "grid", TUNE_JOBS_USER="ada")
    trials = Study.open("own", settings).record().trials
    assert [trial.state for trial in trials].count("failed") == 2
    for trial in trials:
        assert trial.user == "ada"
        assert trial.spent is not None
        assert 0 < trial.spent.cpu_held <= (trial.seconds or 0) + 1
        assert trial.spent.cpu_used is not None
        assert trial.spent.gpu_held == 0.0
    code, out, _ = called(settings, "usage", "--json")
    (line,) = json.loads(out)
    assert code == 0
    assert (line["study"], line["user"], line["trials"], line["unrecorded"]) == ("own", "ada", 4, 0)
    assert 0 <= line["cpu_idle"] <= 1
    assert line["gpu_seconds"] == 0.0
    assert line["energy_wh"] is None
