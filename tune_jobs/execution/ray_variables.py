"""The variables that Ray reads at its import. This module does not import it."""

from __future__ import annotations

import os


def prepare_ray(*, is_own_cluster: bool) -> None:
    """Set the variables that Ray reads at its import, so call this before; those that the user set stay.

    - Ray takes 127.0.0.1 for this machine's address. A sweep's own cluster then listens on loopback alone, and a
      running cluster that does so is not looked for at the machine's other address.
    - A sweep's own cluster has no metrics ports, which answer everybody; -1 is a port at which nothing can listen.
    - A sweep's own cluster starts no worker before one is asked for: Tune's have variables of their own, so that those
      that Ray starts in advance, one for each CPU, would never be used.
    - Ray's messages about dead workers are dropped: they would come between the results on standard output, and the
      study says what happened to the trial.
    """
    os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    if is_own_cluster:
        os.environ.setdefault("RAY_enable_metrics_collection", "0")
        os.environ.setdefault("DASHBOARD_METRIC_PORT", "-1")
        os.environ.setdefault("AUTOSCALER_METRIC_PORT", "-1")
        os.environ.setdefault("RAY_prestart_worker_first_driver", "0")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", ".*")
