"""How often workers report."""

from __future__ import annotations

import pytest

from tune_jobs.execution.messages import seconds_between_reports


def test_the_reports_of_many_workers_together_come_no_faster_than_those_of_few() -> None:
    assert seconds_between_reports(1) == seconds_between_reports(8) == 0.5
    assert [n / seconds_between_reports(n) for n in (64, 1000)] == pytest.approx([50, 50])
