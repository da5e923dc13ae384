"""The handwritten digits that come with scikit-learn: 1,797 grey images, 8x8, ten classes; nothing to download.

Source: E. Alpaydin, C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998
(scikit-learn ships its test part).
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from tune_jobs.datasets.dataset import Original, Split
from tune_jobs.datasets.source import Source
from tune_jobs.datasets.splitting import hold_out

_N_TEST = 360  # a fifth; the source does not divide these images


def load() -> Original:
    """Return images `(N, 8, 8, 1)`, uint8, 1,437 to train on and 360 to test on; labels `(N,)`, int64, 0 to 9."""
    rows = np.loadtxt(_file(), delimiter=",")  # (1797, 65), whole numbers: 64 from 0 to 16, and the label
    x = np.rint(rows[:, :-1] * (255 / 16)).astype(np.uint8).reshape(-1, 8, 8, 1)
    train, test = hold_out(Split(x, rows[:, -1].astype(np.int64)), _N_TEST)
    return Original(train, test)


def _file() -> Path:
    """Return scikit-learn's file of them. Its own function would import scikit-learn: more than a second of CPU."""
    spec = find_spec("sklearn")
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz"


SOURCE = Source("digits", load=lambda data_dir, say: load(), locate=lambda data_dir: "comes with scikit-learn")
