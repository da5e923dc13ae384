"""Addresses of databases and servers as they may be shown: without the passwords in them."""

from __future__ import annotations

import re

_LOGIN = r"(\w:/{{1,2}}[^:/@\s]*):{}@"  # a scheme's end, a user or none, a password


def without_password(url: str) -> str:
    """A URL as it may be shown; a password may stand before the host, without a user too, or in the query. The user of
    a web address that has no password is hidden as well, for it may be a token."""
    return _rest(re.sub(_LOGIN.format(".*"), r"\1:***@", url, flags=re.DOTALL))


def redact(text: str, *urls: str | None) -> str:
    """What somebody else said, without the passwords of these URLs and of those that look like one in it."""
    for url in urls:
        text = text.replace(url, without_password(url)) if url else text
    return _rest(re.sub(_LOGIN.format(r"\S*"), r"\1:***@", text))


def _rest(text: str) -> str:
    text = re.sub(r"(https?://)[^/?#@:\s]+@", r"\1***@", text)
    return re.sub(r"((?:password|secret|token)=)[^&\s'\"]*", r"\1***", text)
