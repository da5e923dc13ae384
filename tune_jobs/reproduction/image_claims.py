"""What the reports conclude from their networks on images, and whether it holds here.

Each claim names its subject and its rivals as configurations of the catalogue's tasks. A study whose trials had too
little to learn from decides none (`reported.says_something`). What the reports say of overfitting, of cost and of
tuning in general compares nothing, and is no claim here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from tune_jobs.records.studies import StudyRecord
from tune_jobs.reproduction.claims import Claim, ClaimResult, decide, pairs_of
from tune_jobs.reproduction.reported import Match, Ranked, budget, find, says_something
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.one_factor import OneFactor
from tune_jobs.search_spaces.scalars import Params
from tune_jobs.search_spaces.task import Task

Point = tuple[Task, Params | int]  # a configuration of a task, or the place of one that was transferred to it


@dataclass(frozen=True)
class ImageClaim:
    """A claim, and the configurations that its names stand for."""

    claim: Claim
    points: Mapping[str, Point]


def _rows(task_name: str, settings: Mapping[str, str]) -> dict[str, Point]:
    """Return configurations of a task by the names of a claim, each given by the setting of its figure."""
    task = catalog.find(task_name)
    of_setting = {figure.setting: figure.params or figure.place or 0 for figure in task.reported}
    return {name: (task, of_setting[setting]) for name, setting in settings.items()}


def _levels(task_name: str, factor: str) -> dict[str, Point]:
    """Return the levels of a factor by their names."""
    task = catalog.find(task_name)
    assert isinstance(task.space, OneFactor)
    return {level.name: (task, level.params) for level in dict(task.space.levels())[factor]}


def _grid_row(activation: str) -> Point:
    task = catalog.find("fashion-mnist-mlp")
    return task, {**task.baseline, "activation": activation}


def _claims(
    points: Mapping[str, Point], source: str, *claims: tuple[str, str, str, tuple[str, ...]]
) -> list[ImageClaim]:
    """Return claims on the same points: the words, the subject, the relation and the rivals of each."""
    return [
        ImageClaim(
            Claim(words, subject, relation, rivals, source),  # type: ignore[arg-type]
            {name: points[name] for name in (subject, *rivals)},
        )
        for words, subject, relation, rivals in claims
    ]


_LAYERS = {f"{name} layers": point for name, point in _levels("fashion-mnist-mlp-layers", "layers").items()}
_UNITS = {f"{name} units": point for name, point in _levels("fashion-mnist-mlp-layers", "units").items()}
_DROPOUT = _rows(
    "fashion-mnist-mlp-dropout",
    {"dropout 0.3": "top 1: units (512, 10), dropout 0.3", "no dropout": "top 2: units (512, 10), no dropout"},
)
_TABLE_5 = _rows(
    "fashion-mnist-cnn-layers",
    {
        **{f"{n} convolutions": f"conv_layers={n}" for n in (3, 5, 6)},
        "up to 128 filters": "filters=(32, 64, 64, 128, 128)",
        "up to 512 filters": "filters=(128, 256, 256, 512, 512)",
    },
)
_TABLE_6 = _rows(
    "fashion-mnist-cnn",
    {
        **{f"dropout {rate}": f"dropout={rate}" for rate in (0.1, 0.3, 0.5)},
        "RMSprop": "optimizer=RMSprop",
        **{f"Adam {rate}": f"optimizer=Adam({rate})" for rate in (0.001, 0.01)},
    },
)
_TOPS = ("top 1", "top 2", "top 3")


def _cifar10(family: str, best: str) -> dict[str, Point]:
    tops = {name: f"{name} in fashion-mnist" for name in _TOPS}
    return _rows(f"cifar10-{family}", {"baseline": "baseline", "new settings": best, **tops})


_CIFAR10_MLP = _cifar10("mlp", "best new: units (512, 128, 32, 10), dropout (0.1, 0.1, 0.1)")
_CIFAR10_CNN = _cifar10("cnn", "best new: filters (64, 128, 128, 256, 256), dropout (0.1, 0.1), Adam(0.001)")


def _factor(factor: str) -> dict[str, Point]:
    return _levels("mnist-mlp-factors", factor)


def _permuted(dataset: str) -> dict[str, Point]:
    points: dict[str, Point] = {}
    for family in ("MLP", "CNN"):
        settings = {f"{family}, {pixels}": f"{family}, {pixels} pixels" for pixels in ("original", "permuted")}
        points |= _rows(f"permuted-{dataset}-{family.lower()}", settings)
    return points


def _on_permuted(dataset: str, title: str) -> list[ImageClaim]:
    return _claims(
        _permuted(dataset),
        "report B, 2",
        (f"an MLP reads permuted {title} almost as well", "MLP, permuted", "equal", ("MLP, original",)),
        (f"a CNN reads permuted {title} worse", "CNN, permuted", "worse", ("CNN, original",)),
        (f"of permuted {title}, a CNN reads less than an MLP", "CNN, permuted", "worse", ("MLP, permuted",)),
    )


CLAIMS: tuple[ImageClaim, ...] = (
    *_claims(
        _LAYERS,
        "report A, Table 2",
        ("an MLP of two layers is the best", "2 layers", "better", ("3 layers", "4 layers")),
    ),
    *_claims(
        _UNITS, "report A, Table 2", ("128 units are the best", "128 units", "better", ("256 units", "512 units"))
    ),
    *_claims(
        {name: _grid_row(name) for name in ("sigmoid", "relu", "tanh")},
        "report A, 1.2.1",
        ("sigmoid is the best activation without dropout", "sigmoid", "better", ("relu", "tanh")),
    ),
    *_claims(
        _DROPOUT, "report A, Table 4", ("dropout of 0.3 helps 512 units", "dropout 0.3", "better", ("no dropout",))
    ),
    *_claims(
        _TABLE_5,
        "report A, Table 5",
        ("five convolutions are the best", "5 convolutions", "better", ("3 convolutions", "6 convolutions")),
        ("512 filters are too many", "up to 512 filters", "worse", ("up to 128 filters",)),
    ),
    *_claims(
        _TABLE_6,
        "report A, Table 6",
        ("dropout of 0.1 is the best", "dropout 0.1", "better", ("dropout 0.3", "dropout 0.5")),
        ("Adam at 0.001 is the best optimizer", "Adam 0.001", "better", ("RMSprop", "Adam 0.01")),
    ),
    *_claims(
        _CIFAR10_MLP,
        "report A, Table 8",
        ("gains of MLPs do not carry over to CIFAR-10", "baseline", "better", _TOPS),
        ("MLPs tuned for CIFAR-10 are better than those carried over", "new settings", "better", _TOPS),
    ),
    *_claims(
        _CIFAR10_CNN,
        "report A, Table 8",
        ("gains of CNNs do not carry over to CIFAR-10", "baseline", "better", _TOPS),
        ("CNNs tuned for CIFAR-10 are better than those carried over", "new settings", "better", _TOPS),
    ),
    *_claims(
        _factor("initial values"),
        "report B, 1.1.2",
        ("small and large initial values are worse", "default normal", "better", ("small normal", "large normal")),
        ("large ones are worse than small ones", "large normal", "worse", ("small normal",)),
    ),
    *_claims(
        _factor("initial distribution"),
        "report B, 1.1.2",
        ("He's initial distribution is the best", "He", "better", ("normal", "Xavier")),
    ),
    *_claims(
        _factor("activation"), "report B, 1.1.3", ("ReLU is the best activation", "ReLU", "better", ("sigmoid", "tanh"))
    ),
    *_claims(
        _factor("optimizer"),
        "report B, 1.1.4",
        ("Nesterov's momentum is better than plain SGD", "Nesterov 0.9", "better", ("SGD",)),
        ("SGD is worse than RMSprop and Adam", "SGD", "worse", ("RMSprop", "Adam")),
    ),
    *_claims(
        _factor("regularization"),
        "report B, 1.1.5",
        ("dropout improves the MLP", "dropout 0.2", "better", ("none",)),
        ("L2 is better than L1", "L2 0.01", "better", ("L1 0.01",)),
        ("L1 and L2 are worse than dropout", "dropout 0.2", "better", ("L1 0.01", "L2 0.01")),
    ),
    *_on_permuted("mnist", "MNIST"),
    *_on_permuted("fashion-mnist", "Fashion-MNIST"),
)


def claim_results(ranked: Ranked) -> tuple[tuple[ClaimResult, str], ...]:
    """Decide each claim by the studies that trained its configurations longest, given with their rows; return each
    result with the data and the budget that it stands on."""
    return tuple(_decided(claim, ranked) for claim in CLAIMS)


def _decided(image_claim: ImageClaim, ranked: Ranked) -> tuple[ClaimResult, str]:
    claim = image_claim.claim
    matches = {name: find(*point, ranked) for name, point in image_claim.points.items()}
    run = {name: match for name, match in matches.items() if match is not None and says_something(match.study)}
    result = decide(
        claim,
        pairs_of([_part(name, match) for name, match in run.items()]),
        [name for name in matches if name not in run],
        larger_is_better=True,
    )
    tried = dict.fromkeys(budget(match.study) for name, match in matches.items() if match and name not in run)
    return replace(result, why="; tried: ".join([result.why, *tried])), _place(image_claim, run)


def _part(name: str, match: Match) -> StudyRecord:
    trials = tuple(trial for trial in match.study.trials if trial.params_id == match.row.params_id)
    return replace(match.study, name=name, trials=trials)


def _place(image_claim: ImageClaim, run: Mapping[str, Match]) -> str:
    """Return the data of a claim, with the budgets that were enough."""
    data = next(task.dataset_name for task, _ in image_claim.points.values())
    return "; ".join([data, *dict.fromkeys(budget(match.study) for match in run.values())])
