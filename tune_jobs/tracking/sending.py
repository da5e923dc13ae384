"""Sends a run its items, and leaves out what MLflow refuses: one bad item holds up nothing else.

Every call waits for its answer, whatever MLFLOW_ENABLE_ASYNC_LOGGING says: a refusal would be lost.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tune_jobs.tracking import store
from tune_jobs.words import one_line

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import FileInfo

_LONGEST_BATCH = 400_000  # characters of JSON; MLflow's limit is a million
_MOST = {"metrics": 1000, "params": 100, "tags": 100}  # MLflow's limits
_MOST_TOGETHER = 1000  # items of all kinds in one call


@dataclass
class Sender:
    """Sends items to one run. `left_out` says what MLflow refused, and why."""

    client: MlflowClient
    run_id: str
    left_out: dict[str, str] = field(default_factory=dict)

    def log(self, kind: str, items: Sequence[Any]) -> None:
        """Log metrics, params or tags."""
        for batch in _batches(items, _MOST[kind]):
            self._log(kind, batch)

    def log_together(self, params: Sequence[Any], metrics: Sequence[Any]) -> None:
        """Log params and metrics in one call where MLflow takes them so, else the params first."""
        kinds = {"params": params, "metrics": metrics}
        is_one_call = all(len(list(_batches(items, _MOST[kind]))) == 1 for kind, items in kinds.items())
        if not is_one_call or len(params) + len(metrics) > _MOST_TOGETHER or not self._logged(kinds):
            for kind, items in kinds.items():
                self.log(kind, items)

    def _logged(self, kinds: Mapping[str, Sequence[Any]]) -> bool:
        """Log items of several kinds; return False if some of them are refused."""
        try:
            self.client.log_batch(self.run_id, **kinds, synchronous=True)
        except Exception as error:
            self._refused("", error, is_one=False)
            return False
        return True

    def _log(self, kind: str, items: Sequence[Any]) -> None:
        """Log a batch; one that is refused is halved until the refused items are found."""
        try:
            self.client.log_batch(self.run_id, **{kind: items}, synchronous=True)
        except Exception as error:
            self._refused(f"{kind.removesuffix('s')} {items[0].key!r}", error, is_one=len(items) == 1)
            if len(items) > 1:
                self._log(kind, items[: len(items) // 2])
                self._log(kind, items[len(items) // 2 :])

    def call(self, what: str, action: Callable[[], object]) -> None:
        """Call what sends a single item."""
        try:
            action()
        except Exception as error:
            self._refused(what, error, is_one=True)

    def log_folder(self, folder: Path, name: str) -> None:
        """Log the files of a folder as artifacts."""
        self.call(f"the files of {name!r}", lambda: self._log_folder(folder, name))

    def log_file(self, file: Path) -> None:
        """Log a file as an artifact."""
        self.call(f"the file {file.name!r}", lambda: self._log_file(file))

    def log_picture(self, name: str, content: bytes, step: int) -> None:
        """Log the content of an image file as a picture of a step, among which MLflow's UI has a slider."""
        self.call(f"the picture {name!r}", lambda: self._log_picture(name, content, step))

    def files(self, folder: str) -> Sequence[FileInfo]:
        """Return the artifacts in a folder of the run."""
        found: Sequence[FileInfo] = self.client.list_artifacts(self.run_id, folder)
        return found

    def _log_picture(self, name: str, content: bytes, step: int) -> None:
        from PIL import Image

        self._check_place()
        with Image.open(io.BytesIO(content)) as image:
            self.client.log_image(self.run_id, image, key=name, step=step, synchronous=True)

    def _log_file(self, file: Path) -> None:
        self._check_place()
        self.client.log_artifact(self.run_id, str(file))

    def _log_folder(self, folder: Path, name: str) -> None:
        self._check_place()
        self.client.log_artifacts(self.run_id, str(folder), name)

    def _check_place(self) -> None:
        """Refuse to make the folder of artifacts anew.

        Raises:
            MissingPlaceError: it is gone.
        """
        place = store.missing_place(self.client.get_run(self.run_id).info.artifact_uri)
        if place is not None:
            raise store.MissingPlaceError(f"the folder {place}, in which MLflow keeps them, is not there any more")

    def _refused(self, what: str, error: Exception, *, is_one: bool) -> None:
        """Note what was refused.

        Raises:
            Exception: the error itself, if it says nothing about the item.
        """
        if not store.is_refusal(error) or not self._is_there():
            raise error
        if is_one:
            self.left_out.setdefault(what, one_line(error))

    def _is_there(self) -> bool:
        """Return False if somebody deleted the run, which is why it takes nothing."""
        return str(self.client.get_run(self.run_id).info.lifecycle_stage) == "active"


def _batches(items: Sequence[Any], most: int) -> Iterator[Sequence[Any]]:
    """Yield the items in batches that MLflow takes."""
    batch: list[Any] = []
    length = 0
    for item in items:
        characters = len(json.dumps([item.key, item.value])) + 100
        if batch and (len(batch) == most or length + characters > _LONGEST_BATCH):
            yield batch
            batch, length = [], 0
        batch.append(item)
        length += characters
    if batch:
        yield batch
