"""A data set that is a folder or a zip of class folders of image files, for a task or by a name in the data folder."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tune_jobs.datasets.dataset import Original, Pairs, Split
from tune_jobs.datasets.image_folders import listing, reading
from tune_jobs.datasets.image_folders.listing import LabelOf, Listing
from tune_jobs.datasets.image_folders.reading import Form
from tune_jobs.datasets.progress import silent
from tune_jobs.datasets.splitting import divided
from tune_jobs.models.plain_values import plain
from tune_jobs.settings import Settings
from tune_jobs.words import Say


@dataclass(frozen=True)
class ImageFolder:
    """Class folders of image files as the data set of a task: `image_folder` makes one.

    Called without arguments, it returns `((x, labels), (x_test, labels_test))`, as the functions of `keras.datasets`.
    """

    path: Path
    form: Form
    label: LabelOf | None = None

    @property
    def data_name(self) -> str:
        """The folder's name, and the size of the images where it is said: `butterflies@64`. In another place, the
        folder is the same data set."""
        name = self.path.stem if self.path.suffix.lower() == ".zip" else self.path.name
        return f"{name}@{self.form.text}" if self.form.text else name

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the class folders, in the order of the labels 0, 1, 2, …

        Raises:
            DataError: the folder is missing or has no class folders.
        """
        return listing.read(self.path, self.label).classes

    def load(self, data_dir: Path, say: Say = silent) -> Original:
        """Return images `(N, H, W, C)`, uint8, and labels `(N,)`, int64, from the resized images in `data_dir`, or from
        the files, to be kept there.

        Raises:
            DataError: in one line, with the first bad file.
        """
        return load(listing.read(self.path, self.label), self.form, self.data_name, data_dir, say)

    def __call__(self) -> Pairs:
        return self.load(Settings.read().data_dir).pairs


def image_folder(
    path: Path | str,
    size: int | tuple[int, int] | None = None,
    channels: int | None = None,
    *,
    label: LabelOf | None = None,
) -> ImageFolder:
    """Return the data set of a folder or zip with a folder for each class, full of image files of any format and size.

    The names of the class folders, in alphabetical order, are the labels 0, 1, 2, …; `Classes(n)` fits. Images are cut
    to their middle and resized to `size`, a side or (height, width) in pixels, once: the arrays are kept in the data
    folder. Without `size`, all have to have one. `channels` is 1, grey, or 3, colours; without it, images are grey if
    all of them are. If the class folders lie in folders `train` and `test`, and perhaps `valid`, these are the
    parts; else 20 % of each class are to test on.

    With `label`, a function of a file's place below the top, such as `erato/0001.jpg`, the label of a file is what that
    returns: a number or several. Folders then mean nothing, but for those of the parts.

    A relative path starts at the working folder: `Path(__file__).parent / "butterflies.zip"` lies
    beside the task's file.

    Raises:
        DataError: a size or number of channels that cannot be. The folder is read when the data are loaded.
    """
    side = plain(size)
    form = Form((side, side) if isinstance(side, int) else side, channels)
    return ImageFolder(Path(path).expanduser().absolute(), form, label)


def load(listed: Listing, form: Form, name: str, data_dir: Path, say: Say) -> Original:
    """Return the images of a listing with their labels; a fifth of each class is to test on if the makers did not
    divide them.

    Raises:
        DataError: as `ImageFolder.load`.
    """
    images = reading.read(listed.tree, listed.files, form, name, data_dir, say)
    ends = np.cumsum([len(part) for part in listed.parts])[:-1]
    train, *others = map(Split, np.split(images, ends), np.split(listed.labels, ends))
    if not others:
        return divided(train, name, listed.classes)
    return Original(train, others[-1], listed.classes, others[0] if len(others) > 1 else None)
