"""MLflow's server for one user, in this process: `run(["ui", …])` is `mlflow ui …`.

MLflow's command prepares the store and then starts uvicorn in another process, which imports all of MLflow once more:
2.8 s of CPU (MLflow 3.17).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tune_jobs.environment import prepare_mlflow_server


class _Ended:
    """Stands in for the process of a server that has ended."""

    def poll(self) -> int:
        return 0

    def wait(self) -> int:
        return 0


def run(arguments: Sequence[str]) -> None:
    """Run MLflow's command until a signal ends its server."""
    import mlflow.server
    from mlflow.cli import cli

    mlflow.server._exec_cmd = _serve
    cli(list(arguments), prog_name="mlflow", standalone_mode=False)


def _serve(command: Sequence[str], *, extra_env: Mapping[str, str], **options: Any) -> _Ended:
    """Run the server of a command `python -m uvicorn …` here."""
    import uvicorn

    prepare_mlflow_server(extra_env)
    uvicorn.main(list(command[command.index("uvicorn") + 1 :]), standalone_mode=False)
    return _Ended()
