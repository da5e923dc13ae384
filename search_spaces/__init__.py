"""What is tried: search spaces, tasks and the catalogue. A task file imports all it needs from this package.

Importing it takes neither Keras nor any other framework along.
"""

from tune_jobs.search_spaces.data import Data
from tune_jobs.search_spaces.narrowing import narrow, open_all, open_parameters
from tune_jobs.search_spaces.one_factor import OneFactor
from tune_jobs.search_spaces.own_code import TrainingData
from tune_jobs.search_spaces.protocol import Objective, Protocol, TaskError
from tune_jobs.search_spaces.reported import Reported
from tune_jobs.search_spaces.scalars import Choice, Float, Int, Params, SpaceError, Value, params_id
from tune_jobs.search_spaces.space import Fixed, Space, Variants
from tune_jobs.search_spaces.streamed import streamed
from tune_jobs.search_spaces.task import Task

__all__ = [
    "Choice",
    "Data",
    "Fixed",
    "Float",
    "Int",
    "Objective",
    "OneFactor",
    "Params",
    "Protocol",
    "Reported",
    "Space",
    "SpaceError",
    "Task",
    "TaskError",
    "TrainingData",
    "Value",
    "Variants",
    "narrow",
    "open_all",
    "open_parameters",
    "params_id",
    "streamed",
]
