"""Scales that a study keeps by a letter. A study outlives a version: a letter is never given to another scale."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from tune_jobs.models import clock_encodings
from tune_jobs.models.scales import Scale

LETTERS: Final[Mapping[str, Scale]] = {"t": clock_encodings.SCALE}
