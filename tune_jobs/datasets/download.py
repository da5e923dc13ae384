"""Brings one published file into the data folder, whole or not at all.

Not through Keras' own `get_file`: that imports TensorFlow, and writes under /tmp, silently, where it cannot write
in the folder it was given.
"""

from __future__ import annotations

import hashlib
import http.client
import logging
import os
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

_TIMEOUT_S = 30  # of silence, not of the whole download

log = logging.getLogger(__name__)


class DownloadError(Exception):
    """A file could not be brought; the message is the rest of a sentence, in one line."""


def fetch(url: str, path: Path, *, md5: str) -> None:
    """Download `url` to `path`, making its folder; two who do so at once do not disturb each other.

    Raises:
        DownloadError: if the address cannot be reached, sends something else, or the folder cannot be written.
    """
    log.info("downloading %s", url)
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as response:
            content: bytes = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise DownloadError(f"{url} could not be downloaded ({_why(error)})") from error
    if hashlib.md5(content, usedforsecurity=False).hexdigest() != md5:
        raise DownloadError(f"what {url} sent is not the published file ({len(content)} bytes)")
    try:
        _place(content, path)
    except OSError as error:
        raise DownloadError(f"{path} could not be written ({error.strerror})") from error


def _why(error: Exception) -> object:
    return error.reason if type(error) is urllib.error.URLError else error


def _place(content: bytes, path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, part = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        Path(part).chmod(0o644)  # mkstemp's 0600 would shut out the others who share the folder
        Path(part).replace(path)
    finally:
        Path(part).unlink(missing_ok=True)
