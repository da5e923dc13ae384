"""What stays at home though it lies beside a task: what is hidden, made by programs or secret, and what a list names.

The user's list is the file `.tunejobsignore` in the folder, in the form of a `.gitignore`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from tune_jobs.search_spaces.protocol import TaskError

FILE = ".tunejobsignore"

_MADE = {"__pycache__", "node_modules", "site-packages", "mlruns", "mlartifacts", "wandb", "mlflow.db"}
_MADE_PATTERNS = ("*.pyc", "*.pyo", "*.egg-info", "*~")
_SECRETS = (
    *("*.pem", "*.key", "*.p12", "*.pfx", "*.jks", "*.keystore", "*.kdbx", "*.ppk", "*.gpg", "*.ovpn"),
    *("id_rsa*", "id_dsa*", "id_ecdsa*", "id_ed25519*", "*.env", "netrc", "_netrc", "htpasswd", "pgpass"),
    *(
        "*credentials*",
        "*secret*",
        "*password*",
        "*passwd*",
        "auth_token*",
        "token",
        "token.txt",
        "*_token",
        "*_token.txt",
    ),
    *("kaggle.json", "*service-account*.json", "*service_account*.json"),
)


@dataclass(frozen=True)
class _Line:
    pattern: re.Pattern[str]
    is_of_folders: bool  # it ends on `/`
    takes_back: bool  # it begins with `!`

    def fits(self, path: str, *, is_folder: bool) -> bool:
        return (is_folder or not self.is_of_folders) and self.pattern.fullmatch(path) is not None


@dataclass(frozen=True)
class Rules:
    """What of a folder is left out. Paths are below that folder, with `/` between their parts."""

    lines: tuple[_Line, ...] = ()

    @classmethod
    def of(cls, folder: Path) -> Rules:
        """Read the user's list in this folder, if there is one.

        Raises:
            TaskError: it cannot be read.
        """
        try:
            text = (folder / FILE).read_text(encoding="utf-8")
        except FileNotFoundError:
            return cls()
        except (OSError, UnicodeDecodeError) as error:
            raise TaskError(f"{folder / FILE} cannot be read: {error}") from error
        try:
            return cls(tuple(parsed(text)))
        except re.error as error:
            raise TaskError(f"{folder / FILE} has a line that is no pattern: {error}") from error

    def is_listed(self, path: str, *, is_folder: bool) -> bool | None:
        """Return whether the user's list leaves a path out; None if it does not say. The last line that fits counts."""
        fitting = (line for line in reversed(self.lines) if line.fits(path, is_folder=is_folder))
        last = next(fitting, None)
        return None if last is None else not last.takes_back


def is_made(path: Path) -> bool:
    """Return True for what is hidden or what programs make: caches, environments, logs of experiments, our own home."""
    if path.name.startswith(".") or path.name in _MADE or any(fnmatchcase(path.name, it) for it in _MADE_PATTERNS):
        return True
    if not path.is_dir():
        return False
    is_home = (path / "studies").is_dir() and (path / "mlartifacts").is_dir()
    return is_home or (path / "pyvenv.cfg").exists() or (path / "conda-meta").exists()


def is_secret(name: str) -> bool:
    """Return True for the name of a file that probably holds a key or a password. A module may be called so."""
    return not name.endswith(".py") and any(fnmatchcase(name.lower(), pattern) for pattern in _SECRETS)


def parsed(text: str) -> Iterator[_Line]:
    """Yield the lines of a list."""
    for line in map(str.strip, text.splitlines()):
        pattern = line.removeprefix("!").removeprefix("\\")
        if pattern and not line.startswith("#"):
            yield _Line(re.compile(_expression(pattern)), pattern.endswith("/"), line.startswith("!"))


def _expression(pattern: str) -> str:
    """Return a regular expression for the paths that a line of the list fits."""
    body = "".join(map(_part, re.findall(r"\*\*/|\*\*|\*|\?|\[!?[^]]+\]|.", pattern.strip("/"))))
    is_anchored = "/" in pattern.rstrip("/")
    return body if is_anchored else f"(?:.*/)?{body}"


def _part(token: str) -> str:
    known = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if token in known:
        return known[token]
    return token.replace("[!", "[^", 1) if len(token) > 2 and token.startswith("[") else re.escape(token)
