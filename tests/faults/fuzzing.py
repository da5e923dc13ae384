"""What the program reads from people and files, with strategies that make it wrong in every way.

`TARGETS` are functions of one drawn input that end, or raise one of the errors that are shown as a line. The test runs
some hundred inputs of each, `benchmarks/faults.py` as many as one has time for.
"""

from __future__ import annotations

import atexit
import copy
import gzip
import io
import json
import math
import pickle
import shutil
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st

from tests.support.sweeping import finished_study, own_task
from tune_jobs import exports
from tune_jobs.actions import portable
from tune_jobs.datasets import idx, pickled_batch
from tune_jobs.datasets.clocks import files
from tune_jobs.errors import UserError
from tune_jobs.search import warm_starts
from tune_jobs.search_spaces import (
    Choice,
    Fixed,
    Float,
    Int,
    OneFactor,
    Space,
    SpaceError,
    TaskError,
    Variants,
    catalog,
    narrow,
    open_all,
)
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.settings import Settings
from tune_jobs.study import file as study_file
from tune_jobs.study import optuna_form
from tune_jobs.study.storage import study_names
from tune_jobs.study.study import Study

LINES = (UserError, SpaceError, TaskError)  # what the command line shows as one


@dataclass(frozen=True)
class Target:
    """One way in: its inputs, what reads them, and the errors it may raise."""

    name: str
    inputs: st.SearchStrategy[Any]
    read: Callable[[Any], None]
    errors: tuple[type[Exception], ...] = LINES

    def try_(self, given: Any) -> None:
        try:
            self.read(given)
        except self.errors as error:  # a line break in it is the input's own, and not printed
            said = str(error).strip()
        else:
            return
        assert said, "an error without a word"


# What a parameter's value, a bound or a JSON leaf may be taken for.
NUMBERS = st.one_of(
    st.integers(-5, 200),
    st.sampled_from([0, -1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**400]),
    st.floats(),
    st.sampled_from([0.0, -0.0, 1e-320, 1e-300, 1e300, 0.1, 0.30000000000000004, math.inf, math.nan]),
)
NAMES = st.one_of(
    st.sampled_from(["units", "optimizer", "adam", "a=b", "", " ", "self", "domains", "x" * 300, "é\n", "\ud800"]),
    st.text(max_size=5),
)
LEAVES = st.one_of(st.none(), st.booleans(), NUMBERS, NAMES)
JSON = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=4), max_leaves=12
)


def _draws(maker: Callable[..., Any]) -> st.SearchStrategy[Any]:
    return st.composite(maker)()


def _changed(draw: st.DrawFn, value: Any) -> Any:
    """A JSON value with one or two of its parts replaced, removed, doubled or put elsewhere."""
    value = copy.deepcopy(value)
    for _ in range(draw(st.integers(1, 2))):
        paths = list(_paths(value))
        path = draw(st.sampled_from(paths))
        if not path:
            return draw(JSON)
        parent = value
        for key in path[:-1]:
            parent = parent[key]
        match draw(st.sampled_from(["replace", "remove", "move", "add"])):
            case "remove":
                del parent[path[-1]]
            case "move":
                parent[path[-1]] = copy.deepcopy(_at(value, draw(st.sampled_from(paths))))
            case "add" if isinstance(parent, dict):
                parent[draw(NAMES)] = draw(JSON)
            case _:
                parent[path[-1]] = draw(JSON)
    return value


def _paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield here
    inside = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in inside:
        yield from _paths(part, (*here, key))


def _at(value: Any, path: tuple[Any, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


def _damaged(draw: st.DrawFn, data: bytes) -> bytes:
    """Bytes cut, flipped, doubled or with others put in."""
    for _ in range(draw(st.integers(1, 3))):
        at, to = sorted((draw(st.integers(0, len(data))), draw(st.integers(0, len(data)))))
        match draw(st.sampled_from(["cut", "drop", "flip", "put", "double"])):
            case "cut":
                data = data[:at]
            case "drop":
                data = data[:at] + data[min(to, at + 40) :]
            case "flip" if at < len(data):
                data = data[:at] + bytes([data[at] ^ draw(st.integers(1, 255))]) + data[at + 1 :]
            case "double":
                data = data[:to] + data[at:to][:200] + data[to:]
            case _:
                data = data[:at] + draw(st.binary(max_size=20)) + data[at:]
    return data


# Spaces: as declared in Python, in JSON form, and narrowed by `--set`.


@st.composite
def _spaces(draw: st.DrawFn, depth: int = 2) -> Any:
    kind = draw(st.sampled_from(["float", "int", "choice", "fixed", "variants", "one-factor", "junk"]))
    if kind == "one-factor" and depth == 2:
        params = st.dictionaries(NAMES, LEAVES, max_size=3)
        factors = st.dictionaries(NAMES, st.dictionaries(NAMES, params, max_size=3), max_size=3)
        return lambda: OneFactor(draw(params), draw(factors), draw(st.none() | st.lists(NAMES, max_size=2)))
    names = draw(st.lists(NAMES, min_size=1, max_size=3))
    domains = [draw(_domains(depth)) for _ in names]
    return lambda: Space.of({name: make() for name, make in zip(names, domains, strict=True)})


@st.composite
def _domains(draw: st.DrawFn, depth: int) -> Any:
    low, high, log, step = draw(LEAVES), draw(LEAVES), draw(st.booleans()), draw(st.none() | LEAVES)
    match draw(st.sampled_from(["float", "float", "int", "int", "choice", "fixed", "variants", "junk"])):
        case "float":
            return lambda: Float(low, high, log=log, step=step)
        case "int":
            return lambda: Int(low, high, log=log, step=1 if step is None else step)
        case "choice":
            options = draw(st.lists(LEAVES, max_size=4))
            return lambda: Choice(*options)
        case "fixed" if depth:
            inner = draw(_domains(depth - 1))
            return lambda: Fixed(low, inner())
        case "variants" if depth:
            options = {name: draw(_spaces(depth - 1)) for name in draw(st.lists(NAMES, max_size=3))}
            return lambda: Variants({name: make() for name, make in options.items()})
        case _:
            return lambda: low


def _use(space: Any) -> None:
    """What a sweep asks of a space."""
    assert space_from_json(json.loads(json.dumps(space.to_json()))) == space
    space.describe(), space.names(), space.varied(), open_all(space)
    if space.size is not None:
        for params in islice(space.grid(), 3):
            assert space.why_not(params) is None
            optuna_form.optuna_form(space, params)


def _read_declared(make: Callable[[], Any]) -> None:
    _use(make())


def _read_json(form: Any) -> None:
    _use(space_from_json(form))


@cache
def _forms() -> tuple[Any, ...]:
    return tuple(task.space.to_json() for task in catalog.TASKS)


_PIECES = ["..", ",", "=", "-", ".", "e", "1", "0", "1e400", "1e300", "9" * 5000, "nan", "inf", "none", "true", "adam"]
_ASKED = st.tuples(
    st.sampled_from(range(len(catalog.TASKS))),
    st.dictionaries(
        st.integers(0, 50) | NAMES,
        st.lists(st.sampled_from(_PIECES), max_size=5).map("".join) | st.text(max_size=8),
        min_size=1,
        max_size=3,
    ),
)


def _read_set(asked: tuple[int, dict[int | str, str]]) -> None:
    """`--set`, on a space of the catalogue; a number is the place of a name in it."""
    space = catalog.TASKS[asked[0]].space
    names = open_all(space).names()
    _use(narrow(space, {names[n % len(names)] if isinstance(n, int) else n: text for n, text in asked[1].items()}))


# Files that a user writes or is sent.


@contextmanager
def _file(name: str, content: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        yield path


@cache
def _study() -> tuple[Path, Settings]:
    """A small study of a task file, with a trial that failed and one of each other kind; its folder."""
    folder = Path(tempfile.mkdtemp(prefix="tune-jobs-fuzz-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    settings = Settings(folder / "home", folder / "home" / "data", None, f"sqlite:///{folder / 'mlflow.db'}")
    finished_study(own_task(folder / "task", "fine", "raise", width="Choice(1, 2)"), settings)
    return folder, settings


def prepare() -> None:
    """Make the study that strategies draw from. What it imports draws random numbers, which a strategy must not."""
    _study()


@cache
def _task_text() -> bytes:
    return (_study()[0] / "task" / "own_task.py").read_bytes()


def _read_task(content: bytes) -> None:
    with _file("own_task.py", content) as path:
        _use(catalog.find(str(path)).space)


@cache
def _best() -> str:
    return exports.best_text(Study.open("own", _study()[1]).record())


@st.composite
def _yaml(draw: st.DrawFn) -> bytes:
    if draw(st.booleans()):
        return _damaged(draw, _best().encode())
    import yaml

    tree = _changed(draw, yaml.safe_load(_best()))
    tags = draw(st.sampled_from(["", "!!int ", "!!float ", "!!python/object:os.system ", "&a [*a] ", "{? [a]: ", "\t"]))
    try:
        return (tags + yaml.safe_dump(tree, allow_unicode=True)).encode("utf-8", "surrogatepass")
    except ValueError:  # a whole number too long to be written
        return b"params: " + b"9" * 5000


def _read_best(content: bytes) -> None:
    with _file("best.yaml", content) as path:
        exports.load_best(path)


def _read_tried(content: bytes) -> None:
    with _file("tried.yaml", content) as path:
        warm_starts.from_file(path, catalog.TASKS[0])


@cache
def _exported() -> dict[str, Any]:
    folder, settings = _study()
    portable.export_study("own", folder / "own.study", settings, lambda _: None)
    form: dict[str, Any] = json.loads(gzip.decompress((folder / "own.study").read_bytes()))
    return form


@st.composite
def _study_files(draw: st.DrawFn) -> bytes:
    whole = gzip.compress(json.dumps(_exported()).encode())
    if draw(st.integers(0, 3)) == 0:
        return _damaged(draw, whole)
    try:
        text = json.dumps(_changed(draw, _exported()))
    except ValueError:
        text = '{"format": ' + "9" * 5000 + "}"
    return gzip.compress(text.encode("utf-8", "surrogatepass"))


def _read_study_file(content: bytes) -> None:
    """What passes is a study that can be kept, shown and exported."""
    with _file("own.study", content) as path:
        found = study_file.read(path)
        home = path.parent / "home"
        settings = Settings(home, home, None, "")
        settings.prepare()
        with Study.hold("imported", settings) as study:
            study.import_content(found)
            exports.render(study.record(), "table")


@st.composite
def _journals(draw: st.DrawFn) -> bytes:
    whole = (_study()[1].studies_dir / "own.journal").read_bytes()
    if draw(st.booleans()):
        return _damaged(draw, whole)
    lines = [json.loads(line) for line in whole.splitlines()]
    try:
        return b"".join(json.dumps(line).encode() + b"\n" for line in _as_list(_changed(draw, lines)))
    except ValueError:
        return whole + b"9" * 5000 + b"\n"


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _read_journal(content: bytes) -> None:
    with _file("unused", b"") as path:
        settings = Settings(path.parent, path.parent, None, "")
        settings.prepare()
        (settings.studies_dir / "own.journal").write_bytes(content)
        for name in study_names(settings):
            exports.render(Study.open(name, settings).record(), "table")
        with Study.hold("own", settings) as study:
            if study.has_begun:
                study.unfinished()
                study.record()


# Data.


@st.composite
def _idx(draw: st.DrawFn) -> bytes:
    shape = draw(st.lists(st.integers(0, 5), min_size=3, max_size=3))
    head = struct.pack(">4B3I", 0, 0, 8, 3, *shape)
    data = head + bytes(math.prod(shape))
    if draw(st.booleans()):
        return gzip.compress(_damaged(draw, data))
    return _damaged(draw, gzip.compress(data))


def _read_idx(content: bytes) -> None:
    idx.parse(content, n_axes=3)


@st.composite
def _npys(draw: st.DrawFn) -> tuple[bytes, bytes, int]:
    """The heads of both, and how many bytes of numbers follow; the numbers themselves cannot be wrong."""
    heads = []
    for array in (np.zeros((4, 75, 75), np.uint8), np.zeros((4, 2), np.int64)):
        file = io.BytesIO()
        np.save(file, array)
        heads.append(_damaged(draw, file.getvalue()[:128]) if draw(st.booleans()) else file.getvalue()[:128])
    return heads[0], heads[1], draw(st.sampled_from([0, 7, 64, 22_500]))


def _read_npys(given: tuple[bytes, bytes, int]) -> None:
    content = [head + bytes(given[2]) for head in given[:2]]
    with _file(files.IMAGES, content[0]) as path:
        path.with_name(files.LABELS).write_bytes(content[1])
        files.load(path.parent)


@st.composite
def _batches(draw: st.DrawFn) -> bytes:
    content = {b"data": np.zeros((2, 3072), np.uint8), b"labels": [0, 1]}
    key = draw(st.sampled_from([b"data", b"labels", b"other"]))
    if draw(st.booleans()):
        content[key] = draw(st.one_of(JSON, st.just(np.zeros((2, 3, 4), np.int64)), st.just(np.array([], np.uint8))))
    return _damaged(draw, pickle.dumps(content, protocol=draw(st.integers(0, 5))))


def _read_batch(content: bytes) -> None:
    pickled_batch.parse(content)


TARGETS = (
    Target("a space as it is declared", _spaces(), _read_declared),
    Target("a space in JSON form", _draws(lambda draw: _changed(draw, draw(st.sampled_from(_forms())))), _read_json),
    Target("any JSON as a space", JSON, _read_json),
    Target("--set", _ASKED, _read_set),
    Target("a task file", _draws(lambda draw: _damaged(draw, _task_text())), _read_task),
    Target("best.yaml", _yaml(), _read_best),
    Target("--try", _yaml(), _read_tried),
    Target("a study file", _study_files(), _read_study_file),
    Target("a journal", _journals(), _read_journal),
    Target("an idx file", _idx(), _read_idx, (ValueError,)),
    Target("npy files", _npys(), _read_npys),
    Target("a CIFAR batch", _batches(), _read_batch, (ValueError,)),
)
