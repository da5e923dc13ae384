"""From other tuners to ours: the search space of a KerasTuner model, a Ray Tune dictionary or an Optuna objective.

None of these packages is imported. What cannot be translated is said in `notes`, a line each.
"""

from tune_jobs.migrate.keras_tuner import from_keras_tuner
from tune_jobs.migrate.migrated import Migrated
from tune_jobs.migrate.optuna_trial import from_optuna
from tune_jobs.migrate.ray_tune import from_ray_tune

__all__ = ["Migrated", "from_keras_tuner", "from_optuna", "from_ray_tune"]
