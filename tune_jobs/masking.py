"""Hide the passwords in the addresses of databases and servers."""

from __future__ import annotations

import re

_SECRETS = "pass(?:word|wd|phrase)?|pwd|secret|token|credentials?|(?:api|access)_?key"  # in a query
_SCHEME = re.compile(r"[A-Za-z][\w+.-]*:/")
_LOGIN = r"(\w:/{{1,2}}[^:/@\s]*):{}@"  # a scheme's end, a user or none, a password


def without_password(url: str) -> str:
    """Return a URL as it may be shown. A password may stand before the host, even without a user, or in the query. The
    user of a web address without a password is hidden as well, for it may be a token."""
    if not _SCHEME.match(url):
        return _without_tokens(re.sub("^([^:@]*:)?.*@", r"\1***@", url, flags=re.DOTALL))
    return _without_tokens(re.sub(_LOGIN.format(".*"), r"\1:***@", url, flags=re.DOTALL))


def is_misread(url: str) -> bool:
    """Return True if whoever parses the URL would take a part of its password for something else, and show it: one
    without a scheme, or with a `/`, `?` or `#` in its password."""
    if not _SCHEME.match(url):
        return "@" in url
    authority, *rest = re.split("[/?#]", url.partition("://")[2], maxsplit=1)
    port = authority.rpartition(":")[2]
    return ":" in authority and "@" not in authority and "@" in "".join(rest) and not re.fullmatch(r"\d*|.*\]", port)


def redact(text: str, *urls: str | None) -> str:
    """Return another program's message without the passwords of these URLs, or of any that are in it."""
    for url in urls:
        text = text.replace(url, without_password(url)) if url else text
    return _without_tokens(re.sub(_LOGIN.format(r"\S*"), r"\1:***@", text))


def _without_tokens(text: str) -> str:
    text = re.sub(r"(https?://)[^/?#@:\s]+@", r"\1***@", text)
    return re.sub(rf"((?:{_SECRETS})=)[^&\s'\"]*", r"\1***", text, flags=re.IGNORECASE)
