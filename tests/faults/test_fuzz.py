"""Whatever comes from a user or a file is taken, or refused in one line."""

from __future__ import annotations

from typing import Any

import hypothesis
import pytest

from tests.faults.fuzzing import TARGETS, Target, prepare

pytestmark = pytest.mark.faults

N_EXAMPLES = 60  # `benchmarks/faults.py --only fuzz` tries as many as there is time for


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name.replace(" ", "-"))
def test_what_cannot_be_read_is_refused_in_one_line(target: Target) -> None:
    @hypothesis.settings(max_examples=N_EXAMPLES, suppress_health_check=list(hypothesis.HealthCheck))
    @hypothesis.given(target.inputs)
    def try_all(given: Any) -> None:
        target.try_(given)

    prepare()
    try_all()
