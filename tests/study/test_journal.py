"""The file of a study is on the disk when a write returns, but for epochs, which are with the next record."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tune_jobs.study import lines
from tune_jobs.study.journal import Journal

EPOCH = {"op_code": lines.EPOCH, "worker_id": "", "trial_id": 0, "step": 1, "intermediate_value": 0.5}
NOTE = {"op_code": lines.NOTE, "worker_id": "", "study_id": 0, "user_attr": {"created": 0.0}}


def test_an_epoch_is_on_the_disk_with_the_next_record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, synced = tmp_path / "study.journal", []
    journal = Journal(file)
    monkeypatch.setattr(os, "fsync", lambda descriptor: synced.append(os.fstat(descriptor).st_size))
    journal.append_logs([EPOCH])
    assert synced == []
    assert list(journal._read()) != []
    journal.append_logs([NOTE])
    assert synced == [file.stat().st_size]
