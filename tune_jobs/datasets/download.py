"""Download one published file into the data folder.

Keras' own `get_file` does not serve: it imports TensorFlow, and where it cannot write in the folder it was given, it
silently writes under /tmp.
"""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from tune_jobs import files
from tune_jobs.datasets.progress import silent
from tune_jobs.errors import UserError
from tune_jobs.words import Say

_TIMEOUT_S = 30  # of silence, not of the whole download


class DownloadError(Exception):
    """A download failed. The message is one line, and reads as the rest of a sentence."""


def fetch(url: str, path: Path, *, md5: str, say: Say = silent) -> None:
    """Download `url` to `path`, whole or not at all, and make its folder. Two processes may do so at once.

    Raises:
        DownloadError: the address cannot be reached, sends another file, or the folder cannot be written.
    """
    say(f"downloading {url} …")
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            content: bytes = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} could not be downloaded ({_cause(error)})") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise DownloadError(f"what {url} sent is not the published file ({len(content)} bytes)")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        files.write_bytes(path, content)
    except OSError as error:
        raise DownloadError(f"{path} cannot be written: {error.strerror}") from error
    except UserError as error:
        raise DownloadError(str(error)) from error


def _cause(error: Exception) -> object:
    return error.reason if type(error) is urllib.error.URLError else error
