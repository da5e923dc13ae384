"""A saved model reads rows of tables, of arrays and of texts: each has the label that its encoding makes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tune_jobs.datasets import nests
from tune_jobs.errors import DataError
from tune_jobs.models.presentation import Presentation
from tune_jobs.models.several_outputs import PerOutput
from tune_jobs.prediction import input_forms
from tune_jobs.prediction.opened_models import SavedModel, class_name
from tune_jobs.words import one_line


@dataclass(frozen=True)
class RowReading:
    """What a model reads from one row, counted from 1: as people write it, and the same for programs."""

    row: int
    text: str
    facts: Mapping[str, Any]

    def to_dict(self) -> dict[str, Any]:
        return {"row": self.row, **self.facts}

    def words(self) -> str:
        return f"row {self.row}  {self.text}"


class RowReader:
    """A saved model that reads files of rows (`input_forms.py`).

    The model is loaded after the first file was read. `reference` and `also` are as those of `SavedModel`.

    Raises:
        DataError: as `SavedModel`, or the model does not say what its inputs are, as those from before.
    """

    def __init__(self, path: Path, reference: str | None = None, also: Sequence[Path] = ()) -> None:
        self._saved = SavedModel(path, reference, also)
        if not self._saved.origin.inputs:
            raise DataError(
                f"{path} does not say what its inputs are: `tune-jobs train` with its best.yaml saves it anew"
            )

    def read(self, file: Path) -> Iterator[RowReading]:
        """Yield what the model reads from each row of a file.

        Raises:
            RowsError: the file cannot be read, or does not fit the model.
            DataError: the model cannot be loaded, or its outputs do not fit.
        """
        origin = self._saved.origin
        x = input_forms.read(file, origin.inputs, origin.columns)
        model = self._saved.model  # its devices are prepared before TensorFlow is imported
        from tune_jobs.training import compiled

        try:
            labels = self._saved.encoding.decode(compiled.predict(model, x))
            shown = [self._shown(labels, row) for row in range(nests.size(x))]
        except Exception as error:  # of Keras, and of an encoding that gets other outputs than its own
            raise DataError(
                f"the outputs of {self._saved.path} for {file} do not fit its label encoding "
                f"{self._saved.encoding.name}: {one_line(error)}"
            ) from error
        yield from (RowReading(row, *parts) for row, parts in enumerate(shown, start=1))

    def _shown(self, labels: Any, row: int) -> tuple[str, Mapping[str, Any]]:
        encoding = self._saved.encoding
        if isinstance(encoding, PerOutput):
            each = {name: self._of_one(own, labels[name][row]) for name, own in encoding.encodings}
        elif nests.is_nested(labels):  # of a model with several outputs and no encoding
            named = dict(enumerate(labels)) if isinstance(labels, tuple) else labels
            each = {str(name): self._of_one(encoding, part[row]) for name, part in named.items()}
        else:
            return self._of_one(encoding, labels[row])
        return "  ".join(f"{name} {text}" for name, (text, _) in each.items()), {n: f for n, (_, f) in each.items()}

    def _of_one(self, encoding: Any, label: Any) -> tuple[str, Mapping[str, Any]]:
        shown = Presentation(encoding)
        name = class_name(label, self._saved.origin.classes)
        unit = {"unit": shown.error_unit} if shown.error_unit else {}
        facts = {**shown.facts(np.asarray(label)), **({"class": name} if name else {}), **unit}
        return name or shown.label_text(label), facts
