"""The best configuration as a file that trains again to the same score: what is in it, and how it is read back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from tune_jobs import plain_yaml
from tune_jobs.errors import StudyError
from tune_jobs.exports.board import printable
from tune_jobs.leaderboard import fronts, ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.plain_yaml import is_number, is_value, shown
from tune_jobs.records import objectives
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import Lineage, Segment, TrialRecord
from tune_jobs.search_spaces.protocol import Objective, Protocol, TaskError
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.search_spaces.spelling import near

_FORMAT = 1


@dataclass(frozen=True)
class BestConfig:
    """A configuration with what its score depends on."""

    task: str
    reference: str  # where the task is found: its name in the catalogue, or FILE.py:NAME
    study: str
    trial: int
    params: Mapping[str, Value]
    seed: int
    score: float  # of this trial, with this seed
    metric: str
    direction: Literal["maximize", "minimize"]
    protocol: Protocol
    dataset: str
    data_digest: str
    task_digest: str
    cpus: float
    best_epoch: int | None
    versions: Mapping[str, str]
    course: Lineage = ()  # how the params changed in flight, in a population

    @property
    def objective(self) -> Objective:
        return Objective(self.metric, self.direction)


def best_row(study: StudyRecord) -> Row | None:
    """The study's best configuration, if a trial is complete."""
    return fronts.best(_rows(study))


def front_size(study: StudyRecord) -> int:
    """How many configurations are on the Pareto front."""
    return len(fronts.first(_rows(study)))


def _rows(study: StudyRecord) -> tuple[Row, ...]:
    terms = study.terms
    return fronts.by_front(ranking.rank(study.trials, terms.objective), study.trials, terms.objectives)


def best_config(study: StudyRecord) -> dict[str, Any]:
    """The content of `best.yaml`.

    Of a configuration with several seeds it is the first trial, not the luckiest: its score repeats and promises
    nothing that the others do not keep.

    Raises:
        StudyError: if no trial is complete.
    """
    row = best_row(study)
    if row is None:
        raise StudyError(f"study {study.name!r} has no best configuration: none of its trials is complete")
    return _config(study, row)


def _config(study: StudyRecord, row: Row) -> dict[str, Any]:
    trial = next(trial for trial in study.trials if trial.number == row.trials[0])
    terms = study.terms
    is_file_task = terms.reference != terms.task
    return {
        "format": _FORMAT,
        "task": terms.task,
        **({"reference": terms.reference} if is_file_task else {}),
        "study": study.name,
        "trial": trial.number,
        "params": dict(trial.params),
        "seed": trial.seed,
        "score": trial.score,
        "metric": terms.objective.metric,
        "direction": terms.objective.direction,
        **({"values": _values(trial, terms.objectives)} if terms.further_objectives else {}),
        "protocol": terms.protocol.to_dict(),
        "dataset": terms.dataset,
        "data_digest": terms.data_digest,
        "task_digest": terms.task_digest,
        "cpus": trial.cpus,
        "best_epoch": trial.best_epoch,
        "versions": dict(study.launch.versions) if study.launch else {},
        **({"course": [asdict(stretch) for stretch in trial.changes]} if trial.changes else {}),
    }


def best_text(study: StudyRecord) -> str:
    """`best.yaml` as text; floats are written so that they are read back exactly.

    Raises:
        StudyError: if no trial is complete.
    """
    content = yaml.safe_dump(best_config(study), sort_keys=False)
    name = printable(study.name)
    return f"# The best configuration of study {name}. To train it again:\n#   tune-jobs train best.yaml\n{content}"


def front_text(study: StudyRecord) -> str:
    """`front.yaml` as text: a list of all on the Pareto front, each as in `best.yaml`, the best in the first objective
    first."""
    configs = [_config(study, row) for row in fronts.first(_rows(study))]
    head = (
        f"# The Pareto front of study {printable(study.name)}: {printable(objectives.words(study.terms.objectives))}.\n"
        "# To train one again, by its trial:  tune-jobs train front.yaml --trial N\n"
        f"# To begin a search with all:  tune-jobs launch {printable(study.terms.reference)} --try front.yaml\n"
    )
    return head + yaml.safe_dump(configs, sort_keys=False)


def load_best(path: Path, trial: int | None = None) -> BestConfig:
    """Reads a `best.yaml`, or what a `front.yaml` has of `trial`.

    Raises:
        StudyError: anything in it that is missing, unknown or not what it must be; the message names the key.
    """
    values = _mapping(path, trial)
    _check(path, values)
    return BestConfig(
        protocol=_protocol(path, values["protocol"]),
        reference=values.get("reference", values["task"]),
        score=float(values["score"]),
        cpus=float(values["cpus"]),
        course=_course(path, values.get("course", [])),
        **{name: values[name] for name in _KEYS if name in _KEPT},
    )


def _values(trial: TrialRecord, aims: Sequence[Objective]) -> dict[str, float | None]:
    return {aim.metric: objectives.value(trial, aim) for aim in aims}


def _mapping(path: Path, trial: int | None) -> dict[str, Any]:
    values = plain_yaml.read(path, "`tune-jobs export` writes a best.yaml")
    if isinstance(values, list):
        values = _of_trial(path, values, trial)
    elif trial is not None and isinstance(values, dict) and values.get("trial") != trial:
        raise StudyError(f"{path} holds trial {shown(values.get('trial'))} alone, and --trial {trial} was asked for")
    if not isinstance(values, dict):
        raise StudyError(f"{path} needs to be a best.yaml with keys like task and params; got {shown(values)}")
    return values


def _of_trial(path: Path, configs: list[object], trial: int | None) -> object:
    """The one configuration of a list that is meant."""
    numbers = [config.get("trial") for config in configs if isinstance(config, dict)]
    if len(numbers) != len(configs) or not all(map(_is_whole, numbers)):
        raise StudyError(f"{path} needs to be a best.yaml, or a list of such as front.yaml is; got {shown(configs)}")
    if trial is None and len(configs) == 1:
        return configs[0]
    if trial not in numbers:
        listed = ", ".join(map(str, numbers)) or "none"
        raise StudyError(f"{path} holds trials {listed}: say which one with --trial N; got {trial}")
    return configs[numbers.index(trial)]


def _check(path: Path, values: Mapping[str, Any]) -> None:
    if values.get("format") != _FORMAT or isinstance(values["format"], bool):
        came = shown(values["format"]) if "format" in values else "none"
        raise StudyError(f"{path}: format needs to be {_FORMAT}, the one this version reads; got {came}")
    for key in values:
        if key not in _KEYS:
            raise StudyError(f"{path}: there is no key {shown(key)}{near(key, _KEYS) if isinstance(key, str) else ''}")
    for key, (is_right, needed) in _KEYS.items():
        if key not in values and key not in _OPTIONAL:
            raise StudyError(f"{path}: the key {key} is missing; it needs {needed}")
        if key in values and not is_right(values[key]):
            raise StudyError(f"{path}: {key} needs {needed}; got {shown(values[key])}")
    for name, value in values["params"].items():
        if not is_value(value):
            raise StudyError(
                f"{path}: params.{printable(name)} needs a number, a text, true, false or null; got {shown(value)}"
            )


def _protocol(path: Path, values: Mapping[str, Any]) -> Protocol:
    known = [field.name for field in fields(Protocol)]
    for name in values:
        if name not in known:
            raise StudyError(f"{path}: there is no key protocol.{printable(name)}{near(name, known)}")
    for name in _PROTOCOL:
        if name not in values:
            raise StudyError(f"{path}: the key protocol.{name} is missing")
    try:
        return Protocol(**values)
    except TaskError as error:
        raise StudyError(f"{path}: protocol: {error}") from error


def _course(path: Path, stretches: list[dict[str, Any]]) -> Lineage:
    try:
        course = tuple(Segment(**stretch) for stretch in stretches)
        firsts = [stretch.first for stretch in course]
        if firsts != sorted(set(firsts)) or firsts[:1] not in ([], [1]):
            raise ValueError("its stretches need to begin with epoch 1, each after the one before")
    except (TypeError, ValueError) as error:
        raise StudyError(f"{path}: course: {error}") from error
    return course


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)


def _is_whole(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63


def _is_epoch(value: object) -> bool:
    return value is None or (_is_whole(value) and value != 0)


def _is_cpus(value: object) -> bool:
    return is_number(value) and isinstance(value, int | float) and value > 0


def _is_mapping(value: object) -> bool:
    return isinstance(value, dict) and all(_is_text(name) for name in value)


def _is_versions(value: object) -> bool:
    return isinstance(value, dict) and all(_is_text(part) for item in value.items() for part in item)


def _is_course(value: object) -> bool:
    if not isinstance(value, list) or not all(isinstance(stretch, dict) for stretch in value):
        return False
    return all(
        _is_mapping(stretch.get("params"))
        and all(is_value(one) for one in stretch["params"].values())
        and all(_is_whole(stretch.get(name)) for name in ("first", "seed", "parent"))
        for stretch in value
    )


_KEYS: Mapping[str, tuple[Callable[[object], bool], str]] = {
    "format": (_is_whole, f"{_FORMAT}"),
    "task": (_is_text, "a task's name"),
    "reference": (_is_text, "a task's file, as FILE.py:NAME"),
    "study": (_is_text, "a study's name"),
    "trial": (_is_whole, "a trial's number"),
    "params": (_is_mapping, "a mapping from names to values"),
    "seed": (_is_whole, "a whole number of 0 or more"),
    "score": (is_number, "a finite number"),
    "metric": (_is_text, "a metric's name"),
    "direction": (lambda value: value in ("maximize", "minimize"), "maximize or minimize"),
    "values": (_is_mapping, "a mapping from objectives to values"),
    "protocol": (_is_mapping, "a mapping with epochs, patience, batch_size and validation"),
    "dataset": (_is_text, "a dataset's name"),
    "data_digest": (_is_text, "hex digits in quotes"),
    "task_digest": (_is_text, "hex digits in quotes"),
    "cpus": (_is_cpus, "a number above 0"),
    "best_epoch": (_is_epoch, "a whole number of 1 or more, or null"),
    "versions": (_is_versions, "a mapping from packages to versions in quotes"),
    "course": (_is_course, "a list of stretches with first, params, seed and parent"),
}
_PROTOCOL = ("epochs", "patience", "batch_size", "validation", "images")  # which files have always had
_OPTIONAL = ("reference", "values", "course")
_MADE = {"reference", "score", "cpus", "protocol", "course"}  # of what a file says; the others are taken as they are
_KEPT = {field.name for field in fields(BestConfig)} - _MADE
