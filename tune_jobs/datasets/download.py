"""Download one published file into the data folder, with retries; pooch does it and checks the file.

Keras' own `get_file` does not serve: it imports TensorFlow, and where it cannot write in the folder it was given, it
silently writes under /tmp.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tune_jobs import files
from tune_jobs.datasets.progress import Progress, silent
from tune_jobs.errors import UserError
from tune_jobs.words import Say, one_line

_TIMEOUT_S = 30  # of silence, not of the whole download
_RETRIES = 3  # after 1, 2 and 3 seconds


class DownloadError(Exception):
    """A download failed. The message is one line, and reads as the rest of a sentence."""


def fetch(url: str, path: Path, *, md5: str, say: Say = silent) -> None:
    """Download `url` to `path`, whole or not at all, and make its folder. Two processes may do so at once.

    Raises:
        DownloadError: the address cannot be reached, sends another file, or the folder cannot be written.
    """
    say(f"downloading {url} …")
    try:
        files.make_folder(path.parent)
        with files.replacement(path) as part:
            part.touch(files.rights(path), exist_ok=False)
            mode = part.stat().st_mode  # as the folder and the umask want it; pooch's file is for its owner alone
            _download(url, part, md5, say)
            part.chmod(mode)
    except OSError as error:
        raise DownloadError(f"{path} cannot be written: {error.strerror}") from error
    except UserError as error:
        raise DownloadError(str(error)) from error


def _download(url: str, path: Path, md5: str, say: Say) -> None:
    """Replace `path` by the file, in several attempts if need be."""
    import pooch
    from requests import RequestException

    pooch.get_logger().setLevel("WARNING")
    attempts = 0

    def attempt(url: str, file: str, of: pooch.Pooch) -> None:
        nonlocal attempts
        attempts += 1
        if attempts > 1:
            say(f"downloading {url} again (attempt {attempts} of {1 + _RETRIES}) …")
        bar = _Bar(Progress(say, f"downloading {url}", None, "bytes"))
        pooch.HTTPDownloader(timeout=_TIMEOUT_S, progressbar=bar)(url, file, of)

    registry = {path.name: f"md5:{md5}"}
    known = pooch.create(path.parent, "", registry=registry, urls={path.name: url}, retry_if_failed=_RETRIES)
    try:
        known.fetch(path.name, downloader=attempt)
    except RequestException as error:
        raise DownloadError(f"{url} could not be downloaded ({one_line(error)})") from error
    except ValueError as error:
        raise DownloadError(f"what {url} sent is not the published file: its MD5 is not {md5}") from error


class _Bar:
    """A progress bar as pooch needs it. At the end it is reset and filled at once, which nobody has to see."""

    def __init__(self, progress: Progress) -> None:
        self._progress, self._is_whole = progress, False

    @property
    def total(self) -> int | None:
        return self._progress.total

    @total.setter
    def total(self, n: int) -> None:
        self._progress.total = n or None  # 0 where the server does not say

    def update(self, n: int) -> None:
        if not self._is_whole:
            self._progress.add(n)

    def reset(self, *_: Any) -> None:
        self._is_whole = True

    def close(self) -> None:
        """There is nothing to close."""
