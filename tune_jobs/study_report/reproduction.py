"""How to run a study again: its command, data, versions and space."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from tune_jobs.records.studies import Launch, StudyRecord
from tune_jobs.search_spaces.one_factor import space_from_json


def command(record: StudyRecord) -> str:
    """Return the command that begins such a study. What narrowed the space is not kept as it was typed: see `space`."""
    return shlex.join(["tune-jobs", "launch", record.reference, "--study", record.name, *_options(record)])


def _options(record: StudyRecord) -> Iterator[str]:
    terms, launch = record.terms, record.launch
    protocol = terms.protocol
    if launch is not None:
        yield from ("--search", launch.search)
        yield from () if launch.trials is None else ("--trials", str(launch.trials))
    yield from ("--epochs", str(protocol.epochs), "--seed", str(terms.seed))
    yield from () if protocol.images is None else ("--images", str(protocol.images))
    yield from () if protocol.precision == "float32" else ("--precision", protocol.precision)
    yield from ("--deterministic",) if protocol.deterministic else ()
    yield from ("--portable",) if protocol.portable else ()
    yield from () if protocol.folds is None else ("--folds", str(protocol.folds))
    for objective in terms.objectives if terms.further_objectives else ():
        yield from ("--objective", f"{objective.direction[:3]}:{objective.metric}")
    yield from () if launch is None else _scheduling(launch)
    for path in record.with_paths:
        yield from ("--with", str(path))


def _scheduling(launch: Launch) -> Iterator[str]:
    scheduling, budget = launch.scheduling, launch.budget
    if scheduling.name != "none":
        yield from ("--scheduler", scheduling.name, "--grace", str(scheduling.grace), "--eta", str(scheduling.eta))
        yield from () if scheduling.resource == "epochs" else ("--resource", scheduling.resource)
    yield from () if budget.epochs is None else ("--total-epochs", str(budget.epochs))
    yield from () if budget.flat is None else ("--stop-when-flat", str(budget.flat))


def facts(record: StudyRecord) -> dict[str, str]:
    """Return what a score depends on beside the command."""
    terms, launch = record.terms, record.launch
    known = {
        "Task": f"{terms.task} (version {terms.task_digest})",
        **({"Data": f"{terms.dataset} (digest {terms.data_digest})"} if terms.has_data else {}),
        "Seed": str(terms.seed),
    }
    if launch is not None:
        known["Machine"] = ", ".join([launch.host, *filter(None, [launch.numerics.get("processor")])])
        known["Versions"] = ", ".join(f"{package} {version}" for package, version in launch.versions.items())
        known["Commit"] = launch.commit or "none"
    return known


def space(record: StudyRecord) -> tuple[str, ...]:
    """Return the space that was searched, a line for each domain."""
    return tuple(space_from_json(record.terms.space).describe())
