"""The plain side of `overhead.py`: the no-op trials of noop_task.py, as Ray Tune's documentation shows them.

It is a function trainable with ten reports, random search, Ray's defaults, and `MLflowLoggerCallback` on SQLite. It
uses nothing of this project.
"""

import argparse
from pathlib import Path

from ray import tune
from ray.air.integrations.mlflow import MLflowLoggerCallback


def train(config):
    for epoch in range(1, 11):
        tune.report({"score": config["x"] * epoch / (1 + config["y"])})


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, required=True, help="for Ray's results and MLflow's database")
    parser.add_argument("--trials", type=int, required=True)
    options = parser.parse_args()

    tuner = tune.Tuner(
        train,
        param_space={"x": tune.uniform(0, 1), "y": tune.uniform(0, 1)},
        tune_config=tune.TuneConfig(metric="score", mode="max", num_samples=options.trials),
        run_config=tune.RunConfig(
            name="plain",
            storage_path=str(options.folder / "ray_results"),
            callbacks=[
                MLflowLoggerCallback(tracking_uri=f"sqlite:///{options.folder / 'mlflow.db'}", experiment_name="plain")
            ],
        ),
    )
    print(tuner.fit().get_best_result().config)


if __name__ == "__main__":
    main()
