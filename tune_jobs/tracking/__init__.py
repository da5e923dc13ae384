"""A study as MLflow shows it: one parent run a study, one nested run a trial. The only home of MLflow.

MLflow is a view: everything here is computed from the study's record, and delivering the same record again changes
nothing. Whatever was not delivered therefore waits in the study itself, and no event can be lost. Who delivers, and
when, is `delivery.py`'s.
"""

from tune_jobs.tracking.store import check, is_refusal, refused
from tune_jobs.tracking.tracker import Tracker

__all__ = ["Tracker", "check", "is_refusal", "refused"]
