#!/usr/bin/env python3
"""Makes MLflow's user in whose name studies are delivered: no admin, and with all rights in the tasks' experiments.

The server is MLFLOW_TRACKING_URI, the admin MLFLOW_TRACKING_USERNAME with MLFLOW_TRACKING_PASSWORD, and the user
MLFLOW_DELIVERY_NAME with MLFLOW_DELIVERY_PASSWORD. Every start of the services runs this. It changes nothing that is so
already. Experiments that the user creates are its own; those that the admin created before are given to it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.exceptions import RestException
from mlflow.server import get_app_client

from tune_jobs.tracking.marks import TASK


def main() -> None:
    uri, user = os.environ["MLFLOW_TRACKING_URI"], os.environ["MLFLOW_DELIVERY_NAME"]
    if user == os.environ["MLFLOW_TRACKING_USERNAME"]:
        sys.exit("MLFLOW_DELIVERY_NAME and MLFLOW_ADMIN_NAME are one user: deliveries need one that is no admin")
    users, password = get_app_client("basic-auth", uri), os.environ["MLFLOW_DELIVERY_PASSWORD"]
    if not _succeeds(lambda: users.create_user(user, password)):
        users.update_user_password(user, password)
        users.update_user_admin(user, False)
    for experiment in MlflowClient(uri).search_experiments(view_type=ViewType.ALL, max_results=50_000):
        if TASK in experiment.tags:
            _succeeds(partial(users.grant_user_permission, user, "experiment", experiment.experiment_id, "MANAGE"))


def _succeeds(create: Callable[[], object]) -> bool:
    """Create something. Return False if it is there already."""
    try:
        create()
    except RestException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
        return False
    return True


if __name__ == "__main__":
    main()
