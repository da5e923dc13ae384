"""MLflow's tables in a new SQLite file: made once by its migrations, which take seconds, and copied from then on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest


@dataclass(frozen=True)
class Tables:
    """A file with the tables and nothing in them, which is made when it is first needed."""

    file: Path

    def copy_to(self, target: Path) -> None:
        """Write the tables to a file that is new or empty."""
        if not self.file.exists():
            from mlflow.store.db import utils

            engine = utils.create_sqlalchemy_engine(f"sqlite:///{self.file}")
            utils.InitialBase.metadata.create_all(engine)
            utils._upgrade_db(engine)
            engine.dispose()
        with closing(sqlite3.connect(self.file)) as source, closing(sqlite3.connect(target)) as copy:
            source.backup(copy)

    def use(self, patch: pytest.MonkeyPatch) -> None:
        """Let MLflow in this process copy them to each new file."""
        from mlflow.store.db import utils

        make = utils._initialize_tables

        def initialize(engine: Any) -> None:
            file = engine.url.database if engine.dialect.name == "sqlite" else None
            if file and Path(file).stat().st_size == 0:
                self.copy_to(Path(file))
            else:
                make(engine)

        patch.setattr(utils, "_initialize_tables", initialize)
