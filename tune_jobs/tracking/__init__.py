"""A study as MLflow shows it: one parent run for the study, one nested run for each trial. The only home of MLflow.

MLflow is a view: everything here is computed from the study's record, and delivering the same record again changes
nothing. The study itself therefore keeps what was not delivered, and no event can be lost. `delivery.py` delivers a
study while a sweep runs.
"""

from tune_jobs.tracking.logged_model import TrainedModel, check_registered_name, log_model
from tune_jobs.tracking.store import check, prepare_file
from tune_jobs.tracking.tracker import Tracker
from tune_jobs.tracking.ui_password import check_port as check_ui_port
from tune_jobs.tracking.ui_password import make as make_ui_password
from tune_jobs.tracking.ui_password import new_folder as new_ui_folder
from tune_jobs.tracking.ui_server import run as serve_ui

__all__ = [
    "Tracker",
    "TrainedModel",
    "check",
    "check_registered_name",
    "check_ui_port",
    "log_model",
    "make_ui_password",
    "new_ui_folder",
    "prepare_file",
    "serve_ui",
]
