"""Hide the passwords in the addresses of databases and servers."""

from __future__ import annotations

import re

_LOGIN = r"(\w:/{{1,2}}[^:/@\s]*):{}@"  # a scheme's end, a user or none, a password


def without_password(url: str) -> str:
    """Return a URL as it may be shown. A password may stand before the host, even without a user, or in the query. The
    user of a web address without a password is hidden as well, for it may be a token."""
    return _without_tokens(re.sub(_LOGIN.format(".*"), r"\1:***@", url, flags=re.DOTALL))


def redact(text: str, *urls: str | None) -> str:
    """Return another program's message without the passwords of these URLs, or of any that are in it."""
    for url in urls:
        text = text.replace(url, without_password(url)) if url else text
    return _without_tokens(re.sub(_LOGIN.format(r"\S*"), r"\1:***@", text))


def _without_tokens(text: str) -> str:
    text = re.sub(r"(https?://)[^/?#@:\s]+@", r"\1***@", text)
    return re.sub(r"((?:password|secret|token)=)[^&\s'\"]*", r"\1***", text)
