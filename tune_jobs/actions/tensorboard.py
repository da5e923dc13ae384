"""Event files of studies for TensorBoard, and TensorBoard on them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tune_jobs.actions.local_page import LocalPage, port_taken
from tune_jobs.errors import SettingsError
from tune_jobs.exports.event_files import EventFiles
from tune_jobs.settings import Settings
from tune_jobs.study.study import Study

_LOOK_S = 5.0  # between two looks at studies that go on; TensorBoard itself looks at its files as often


@dataclass(frozen=True)
class Logs:
    """The event files of studies below one folder."""

    folder: Path
    studies: tuple[tuple[Study, EventFiles], ...]

    @classmethod
    def of(cls, names: Sequence[str], folder: Path, settings: Settings) -> Logs:
        """Return the files of these studies: in the folder itself if there is one study, else each in one of its own.

        Raises:
            StudyError: there is no such study.
        """
        if len(names) == 1:
            return cls(folder, ((Study.open(names[0], settings), EventFiles(folder)),))
        files = (EventFiles(folder / name, is_alone=False) for name in names)
        return cls(folder, tuple((Study.open(name, settings), file) for name, file in zip(names, files, strict=True)))

    def write(self) -> int:
        """Write what is new of the studies, and return the number of trials that it is of.

        Raises:
            UserError: the folder cannot be written.
        """
        return sum(files.write(study.record()) for study, files in self.studies)

    def follow(self) -> None:
        """Write what is new again and again, until Ctrl-C."""
        while True:
            time.sleep(_LOOK_S)
            self.write()


def check() -> None:
    """Check that TensorBoard can be started.

    Raises:
        SettingsError: it is not installed.
    """
    try:
        import tensorboard.program  # noqa: F401
    except ImportError as error:
        raise SettingsError(
            f"TensorBoard is not installed ({error}): run `pip install 'tune-jobs[tensorboard]'`, or have the event "
            "files written to a folder by -o"
        ) from error


def serve(logs: Logs, page: LocalPage, ready: Callable[[], object], *, live: bool) -> None:
    """Serve TensorBoard on the files until Ctrl-C; `ready` is called once it can be asked.

    Raises:
        SettingsError: the port is taken.
    """
    from tensorboard import program

    def server(app: Any, flags: Any) -> Any:
        return program.WerkzeugServer(page.guard(app, only_reading=False), flags)

    board = program.TensorBoard(server_class=server)
    board.configure(
        argv=[None, "--logdir", str(logs.folder), "--host", "127.0.0.1", "--port", str(page.port), "--load_fast=false"]
    )
    try:
        board.launch()
    except program.TensorBoardServerException as error:
        raise port_taken(page.port, OSError(0, str(error))) from error
    ready()
    if live:
        logs.follow()
    while True:
        time.sleep(_LOOK_S)
