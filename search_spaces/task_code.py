"""The code of a task: a digest that comments, docstrings, layout and the name of its file do not change."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from typing import Any

from tune_jobs.search_spaces.task_files import TaskFiles


def digest(files: TaskFiles) -> str:
    """Return 16 hex digits that change with the code of the task file and of each module that it imports."""
    modules = {name: _form_of(files.contents[path]) for name, path in files.modules.items()}
    parts = [_form_of(files.contents[files.name]), modules]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def _form_of(content: bytes) -> Any:
    try:
        return _form(ast.parse(content))
    except (SyntaxError, ValueError, RecursionError):  # importing the file reports it, with its line
        return content.hex()


def _form(value: Any) -> Any:
    """Return a part of a syntax tree as JSON values. What is empty is left out: other versions of Python have more of
    it."""
    if isinstance(value, ast.AST):
        fields = {name: form for name, part in ast.iter_fields(value) if (form := _form(part)) not in (None, [])}
        return [type(value).__name__, fields]
    if isinstance(value, list):
        return [_form(part) for part in _without_prose(value)]
    return None if value is None else repr(value)


def _without_prose(parts: list[Any]) -> Iterator[Any]:
    """Yield the parts without docstrings and other texts that nothing takes, and without the `pass` beside them."""
    for part in parts:
        is_text = (
            isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant) and isinstance(part.value.value, str)
        )
        if not is_text and not isinstance(part, ast.Pass):
            yield part
