"""The best configuration as a file that trains again to the same score: what is in it, and how it is read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

import yaml

from tune_jobs import plain_yaml
from tune_jobs.decoding import ContentError, decode
from tune_jobs.errors import StudyError
from tune_jobs.leaderboard import fronts, ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records import objectives
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import Lineage, TrialRecord
from tune_jobs.search_spaces.protocol import Objective, Protocol
from tune_jobs.search_spaces.scalars import Value
from tune_jobs.words import printable, short

_FORMAT = 1
_PROTOCOL = ("epochs", "patience", "batch_size", "validation", "images")  # which files have always had


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
    data_given: bool = False  # `dataset` was named at the launch, in place of the task's own
    gpus: int | None = None  # that trained it together, where they were several
    numerics: Mapping[str, str] = field(default_factory=dict)  # of the machine that launched the study

    @property
    def objective(self) -> Objective:
        return Objective(self.metric, self.direction)

    @property
    def given_data(self) -> str | None:
        """The name of the data set in place of the task's own."""
        return self.dataset if self.data_given else None


@dataclass(frozen=True, kw_only=True)
class _BestFile(BestConfig):
    """All keys of the file."""

    format: int
    values: Mapping[str, float | None] = field(default_factory=dict)  # in each objective, where there are several


def best_row(study: StudyRecord) -> Row | None:
    """Return the study's best configuration, if a trial is complete."""
    return fronts.best(_rows(study))


def front_size(study: StudyRecord) -> int:
    """Return the number of configurations on the Pareto front."""
    return len(fronts.first(_rows(study)))


def _rows(study: StudyRecord) -> tuple[Row, ...]:
    terms = study.terms
    rows = ranking.rank(study.trials, terms.objective, study.constraints)
    return fronts.by_front(rows, study.trials, terms.objectives)


def best_config(study: StudyRecord) -> dict[str, Any]:
    """Return the content of `best.yaml`.

    Of a configuration with several seeds it is the first trial, not the luckiest: its score repeats and promises
    nothing that the others do not keep.

    Raises:
        StudyError: no trial is complete.
    """
    row = best_row(study)
    if row is None:
        raise StudyError(f"study {study.name!r} has no best configuration: {study.no_result}")
    return _config(study, row)


def _config(study: StudyRecord, row: Row) -> dict[str, Any]:
    trial = next(trial for trial in study.trials if trial.number == row.trials[0])
    terms = study.terms
    is_file_task = study.reference != terms.task
    return {
        "format": _FORMAT,
        "task": terms.task,
        **({"reference": study.reference} if is_file_task else {}),
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
        **({"data_given": True} if terms.data_given else {}),
        "task_digest": terms.task_digest,
        "cpus": trial.cpus,
        **({"gpus": trial.gpus} if trial.gpus else {}),
        "best_epoch": trial.best_epoch,
        "versions": dict(study.launch.versions) if study.launch else {},
        **({"numerics": dict(study.launch.numerics)} if study.launch and study.launch.numerics else {}),
        **({"course": [asdict(segment) for segment in trial.changes]} if trial.changes else {}),
    }


def best_text(study: StudyRecord) -> str:
    """Return `best.yaml` as text; floats are written so that they are read back exactly.

    Raises:
        StudyError: no trial is complete.
    """
    content = yaml.safe_dump(best_config(study), sort_keys=False)
    name = printable(study.name)
    return f"# The best configuration of study {name}. To train it again:\n#   tune-jobs train best.yaml\n{content}"


def front_text(study: StudyRecord) -> str:
    """Return `front.yaml` as text: a list of the Pareto front, each configuration as in `best.yaml`, the best in the
    first objective first."""
    configs = [_config(study, row) for row in fronts.first(_rows(study))]
    head = (
        f"# The Pareto front of study {printable(study.name)}: {printable(objectives.words(study.terms.objectives))}.\n"
        "# To train one again, by its trial:  tune-jobs train front.yaml --trial N\n"
        f"# To begin a search with all:  tune-jobs launch {printable(study.reference)} --try front.yaml\n"
    )
    return head + yaml.safe_dump(configs, sort_keys=False)


def load_best(path: Path, trial: int | None = None) -> BestConfig:
    """Read a `best.yaml`, or the configuration of `trial` in a `front.yaml`.

    Raises:
        StudyError: a key is missing, unknown or has a wrong value; the message names it.
    """
    values = _mapping(path, trial)
    try:
        return _config_of(values, str(path))
    except ContentError as error:
        raise StudyError(str(error)) from error


def _values(trial: TrialRecord, aims: Sequence[Objective]) -> dict[str, float | None]:
    return {aim.metric: objectives.value(trial, aim) for aim in aims}


def _mapping(path: Path, trial: int | None) -> dict[str, Any]:
    values = plain_yaml.read(path, "`tune-jobs export` writes a best.yaml")
    if isinstance(values, list):
        values = _of_trial(path, values, trial)
    elif trial is not None and isinstance(values, dict) and values.get("trial") != trial:
        raise StudyError(f"{path} holds trial {short(values.get('trial'))} alone, and --trial {trial} was asked for")
    if not isinstance(values, dict):
        raise StudyError(f"{path} needs to be a best.yaml with keys like task and params; got {short(values)}")
    return values


def _of_trial(path: Path, configs: list[object], trial: int | None) -> object:
    """Return the configuration of `trial` in a list."""
    numbers = [config.get("trial") for config in configs if isinstance(config, dict)]
    if len(numbers) != len(configs) or not all(type(number) is int for number in numbers):
        raise StudyError(f"{path} needs to be a best.yaml, or a list of such as front.yaml is; got {short(configs)}")
    if trial is None and len(configs) == 1:
        return configs[0]
    if trial not in numbers:
        listed = ", ".join(map(str, numbers)) or "none"
        raise StudyError(f"{path} holds trials {listed}: say which one with --trial N; got {trial}")
    return configs[numbers.index(trial)]


def _config_of(values: Mapping[str, Any], where: str) -> BestConfig:
    number = values.get("format")
    if number != _FORMAT or type(number) is not int:
        raise ContentError(f"{where}: format needs to be {_FORMAT}, the one this version reads; got {short(number)}")
    file = decode(_BestFile, {"reference": values.get("task"), **values}, where, by_hand=True)
    for name in _PROTOCOL:
        if name not in values["protocol"]:
            raise ContentError(f"{where}: protocol has no {name!r}")
    config = BestConfig(**{field.name: getattr(file, field.name) for field in fields(BestConfig)})
    wrong = _what_is_wrong(config)
    if wrong is not None:
        raise ContentError(f"{where}: {wrong}")
    return config


def _what_is_wrong(config: BestConfig) -> str | None:
    """Return what cannot be, though every value has the right type."""
    for name, value in vars(config).items():
        if value == "":
            return f"{name} needs a text; got ''"
    if config.trial < 0 or config.seed < 0:
        return f"trial and seed need to be 0 or more; got {config.trial} and {config.seed}"
    if config.cpus <= 0:
        return f"cpus needs a number above 0; got {config.cpus}"
    if config.gpus is not None and config.gpus < 2:
        return f"gpus needs to be 2 or more where it is given; got {config.gpus}"
    if config.best_epoch is not None and config.best_epoch < 1:
        return f"best_epoch needs to be 1 or more; got {config.best_epoch}"
    firsts = [segment.first for segment in config.course]
    if firsts != sorted(set(firsts)) or firsts[:1] not in ([], [1]):
        return f"course needs segments that begin with epoch 1, each after the one before; got epochs {firsts}"
    if any(segment.seed < 0 or segment.parent < 0 for segment in config.course):
        return "course needs a seed and a parent of 0 or more in each segment"
    return None
