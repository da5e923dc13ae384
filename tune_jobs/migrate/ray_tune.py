"""Ray Tune's search-space dictionaries as spaces of ours, and the trainable that takes one as a function of params.

Domains are known by the names of their classes (`ray.tune.search.sample`). Upper bounds of whole numbers are exclusive
there, except with a quantum above 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from tune_jobs.migrate.domains import Options, multiples
from tune_jobs.migrate.migrated import Called, Migrated
from tune_jobs.search_spaces.scalars import Float, Int, Params, Scalar
from tune_jobs.search_spaces.space import Space

_MODULE = "ray.tune."
_GRID = "grid_search"
_Path = tuple[str | int, ...]


def from_ray_tune(param_space: Mapping[str, Any], trainable: Callable[[Any], Any] | None = None) -> Migrated:
    """Return the space of a dictionary, nested ones with `/` in their names, and a function of params that a task runs.

    The function calls `trainable(config)` with the nested dictionary; without a trainable it returns that dictionary.
    The trainable has to return its metrics or to yield them: `tune.report` needs a session of Ray Tune.

    Raises:
        SpaceError: a domain has bounds that ours cannot have.
    """
    notes: list[str] = []
    domains = {
        name: domain
        for path, value in _leaves(param_space, ())
        for name in [_name(path)]
        if (domain := _domain(name, value, notes)) is not None
    }

    def call(function: Callable[[Any], Any], params: Params) -> Any:
        return function(_resolved(param_space, params))

    return Migrated(Space.of(domains), {}, tuple(notes), run=Called(trainable or _itself, call))


def _itself(config: dict[str, Any]) -> dict[str, Any]:
    return config


def _leaves(value: Any, path: _Path) -> Iterator[tuple[_Path, Any]]:
    """Yield what is neither a dictionary nor a list of a nested dictionary, with its place."""
    if isinstance(value, Mapping) and not _is_grid(value):
        for key, part in value.items():
            yield from _leaves(part, (*path, key))
    elif isinstance(value, list | tuple):
        for place, part in enumerate(value):
            yield from _leaves(part, (*path, place))
    else:
        yield path, value


def _resolved(param_space: Any, params: Params) -> Any:
    """Return the dictionary that a trial gets: params and constants, then what is computed from them."""
    config = _filled(param_space, (), lambda name, value: _value(name, value, params))
    for path, value in _leaves(param_space, ()):
        if _kind(value) == "Function":
            part = config
            for key in path[:-1]:
                part = part[key]
            part[path[-1]] = value.func(config) if value.pass_config else value.func()
    return config


def _filled(value: Any, path: _Path, fill: Callable[[str, Any], Any]) -> Any:
    if isinstance(value, Mapping) and not _is_grid(value):
        return {key: _filled(part, (*path, key), fill) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_filled(part, (*path, place), fill) for place, part in enumerate(value)]
    return fill(_name(path), value)


def _value(name: str, value: Any, params: Params) -> Any:
    """Return what stands in a trial's dictionary for a domain or a constant."""
    if name not in params:
        return getattr(_inner(value), "mean", None) if _kind(value) else value
    options = _options(value)
    return params[name] if options is None else options.value(params[name])


def _domain(name: str, value: Any, notes: list[str]) -> Scalar | None:
    """Return our domain for one of Ray Tune's; None for a constant and for what cannot be translated."""
    options, kind = _options(value), _kind(value)
    if options is not None:
        if kind != "Categorical":
            notes.append(f"{name}: a choice; --search grid tries every value, as grid_search does")
        return options.domain
    if kind == "Function":
        notes.append(f"{name}: sample_from is no parameter; it is called for each trial, and must not draw at random")
        return None
    if kind not in ("Float", "Integer"):
        return None
    if type(_inner(value)).__name__.endswith("Normal"):
        notes.append(f"{name}: a normal distribution has no bounds; it is its mean, {_mean(value):g}")
        return None
    return _number(name, value, notes)


def _number(name: str, value: Any, notes: list[str]) -> Float | Int:
    quantum = getattr(value.sampler, "q", None)
    is_log = type(_inner(value)).__name__.endswith("LogUniform")
    if quantum is not None and is_log:
        notes.append(f"{name}: not rounded to multiples of {quantum:g}, for its scale is logarithmic")
    if _kind(value) == "Float":
        if quantum is None or is_log:
            return Float(value.lower, value.upper, log=is_log)
        return multiples(value.lower, value.upper, quantum)
    step = 1 if quantum is None or is_log else int(quantum)
    last = value.upper if quantum is not None and quantum != 1 else value.upper - 1
    return Int(-(-value.lower // step) * step, last // step * step, log=is_log, step=step)


def _mean(value: Any) -> float:
    return float(_inner(value).mean)


def _options(value: Any) -> Options | None:
    """Return the values of a choice or a grid; None for anything else."""
    if _is_grid(value):
        return Options.of(value[_GRID])
    return Options.of(value.categories) if _kind(value) == "Categorical" else None


def _inner(value: Any) -> Any:
    """Return the sampler of a domain, without its quantum."""
    sampler = getattr(value, "sampler", None)
    return getattr(sampler, "sampler", sampler)


def _kind(value: Any) -> str:
    """Return the name of the class of one of Ray Tune's domains; nothing for anything else."""
    kind = type(value)
    return kind.__name__ if kind.__module__.startswith(_MODULE) else ""


def _is_grid(value: Any) -> bool:
    return isinstance(value, Mapping) and set(value) == {_GRID}


def _name(path: _Path) -> str:
    return "/".join(map(str, path))
