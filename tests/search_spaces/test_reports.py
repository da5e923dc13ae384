"""What the two reports print stands in the tasks, each figure once, for networks that can be built."""

from __future__ import annotations

import random
from collections import Counter

import keras
import pytest

from tune_jobs.models import cnn, mlp, optimizers
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import Float, OneFactor, open_all, params_id
from tune_jobs.search_spaces.catalog import TASKS, find
from tune_jobs.search_spaces.tasks import textbook

A, B = "report A", "report B"
# Every figure of the two reports that is no clock's, from their tables: the data and the family, where it is printed,
# for which setting (without what all rows of a table share), the figure, and what that setting is in our params: a
# whole number is the place in another task's study from which a configuration was transferred.
ROWS = [
    ("mnist", "mlp", f"{A}, Table 1", "official example mnist_mlp.py, 20 epochs", 0.9837, {"units": "512-512"}),
    ("mnist", "cnn", f"{A}, Table 1", "official example mnist_cnn.py, 12 epochs", 0.8891, {"filters": "32-64"}),
    ("fashion-mnist", "mlp", f"{A}, Table 2", "layers=2", 0.8911, {"units": "512"}),
    ("fashion-mnist", "mlp", f"{A}, Table 2", "layers=3", 0.8843, {"units": "512-512"}),
    ("fashion-mnist", "mlp", f"{A}, Table 2", "layers=4", 0.8842, {"units": "512-512-512"}),
    ("fashion-mnist", "mlp", f"{A}, Table 2", "units=128", 0.8876, {"units": "128"}),
    ("fashion-mnist", "mlp", f"{A}, Table 2", "units=256", 0.8847, {"units": "256"}),
    ("fashion-mnist", "mlp", f"{A}, Table 2", "units=512", 0.8858, {"units": "512"}),
    ("fashion-mnist", "mlp", f"{A}, Table 2", "baseline", 0.8863, {"units": "300-100"}),
    (
        "fashion-mnist",
        "mlp",
        f"{A}, Table 4",
        "top 1: units (512, 10), dropout 0.3",
        0.8919,
        {"units": "512", "dropout_rate": 0.3},
    ),
    (
        "fashion-mnist",
        "mlp",
        f"{A}, Table 4",
        "top 2: units (512, 10), no dropout",
        0.8911,
        {"units": "512", "dropout": "without"},
    ),
    (
        "fashion-mnist",
        "mlp",
        f"{A}, Table 4",
        "top 3: units (128, 10), dropout 0.1",
        0.8891,
        {"units": "128", "dropout_rate": 0.1},
    ),
    ("fashion-mnist", "cnn", f"{A}, Table 5", "conv_layers=5", 0.9109, {"filters": "32/64-64/128-128"}),
    ("fashion-mnist", "cnn", f"{A}, Table 5", "conv_layers=6", 0.9060, {"filters": "32-32/64-64/128-128"}),
    ("fashion-mnist", "cnn", f"{A}, Table 5", "conv_layers=3", 0.9101, {"filters": "32/64/128"}),
    (
        "fashion-mnist",
        "cnn",
        f"{A}, Table 5",
        "filters=(64, 128, 128, 256, 256)",
        0.9094,
        {"filters": "64/128-128/256-256"},
    ),
    (
        "fashion-mnist",
        "cnn",
        f"{A}, Table 5",
        "filters=(32, 64, 64, 128, 128)",
        0.9094,
        {"filters": "32/64-64/128-128"},
    ),
    (
        "fashion-mnist",
        "cnn",
        f"{A}, Table 5",
        "filters=(128, 256, 256, 512, 512)",
        0.9042,
        {"filters": "128/256-256/512-512"},
    ),
    ("fashion-mnist", "cnn", f"{A}, Table 5", "baseline", 0.8909, {"kernel_size": "7-3"}),
    ("fashion-mnist", "cnn", f"{A}, Table 6", "dropout=0.1", 0.9183, {"dense_dropout_rate": 0.1}),
    ("fashion-mnist", "cnn", f"{A}, Table 6", "dropout=0.3", 0.9175, {"dense_dropout_rate": 0.3}),
    ("fashion-mnist", "cnn", f"{A}, Table 6", "dropout=0.5", 0.9105, {"dense_dropout_rate": 0.5}),
    ("fashion-mnist", "cnn", f"{A}, Table 6", "optimizer=RMSprop", 0.9111, {"optimizer": "rmsprop"}),
    ("fashion-mnist", "cnn", f"{A}, Table 6", "optimizer=Adam(0.001)", 0.9116, {"learning_rate": 0.001}),
    ("fashion-mnist", "cnn", f"{A}, Table 6", "optimizer=Adam(0.01)", 0.8732, {"learning_rate": 0.01}),
    ("cifar10", "mlp", f"{A}, Table 8", "baseline", 0.4977, {"units": "300-100"}),
    ("cifar10", "mlp", f"{A}, Table 8", "top 1 in fashion-mnist", 0.4559, 1),
    ("cifar10", "mlp", f"{A}, Table 8", "top 2 in fashion-mnist", 0.4735, 2),
    ("cifar10", "mlp", f"{A}, Table 8", "top 3 in fashion-mnist", 0.4304, 3),
    (
        "cifar10",
        "mlp",
        f"{A}, Table 8",
        "best new: units (512, 128, 32, 10), dropout (0.1, 0.1, 0.1)",
        0.4985,
        {"units": "512-128-32", "dropout_rate": 0.1},
    ),
    ("cifar10", "cnn", f"{A}, Table 8", "baseline", 0.6478, {"kernel_size": "7-3"}),
    ("cifar10", "cnn", f"{A}, Table 8", "top 1 in fashion-mnist", 0.6969, 1),
    ("cifar10", "cnn", f"{A}, Table 8", "top 2 in fashion-mnist", 0.7004, 2),
    ("cifar10", "cnn", f"{A}, Table 8", "top 3 in fashion-mnist", 0.6802, 3),
    (
        "cifar10",
        "cnn",
        f"{A}, Table 8",
        "best new: filters (64, 128, 128, 256, 256), dropout (0.1, 0.1), Adam(0.001)",
        0.7024,
        {"filters": "64/128-128/256-256", "dense_dropout_rate": 0.1, "optimizer": "adam", "learning_rate": 0.001},
    ),
    ("mnist", "mlp", f"{B}, 1.1.1", "vanilla, best of three", 0.9733, {"optimizer": "sgd"}),
    ("mnist", "mlp", f"{B}, 1.1.5", "dropout 0.2", 0.9738, {"dropout_rate": 0.2}),
    ("mnist", "cnn", f"{B}, 1.2.1", "vanilla, best", 0.9924, {"kernel_size": "7-3"}),
    ("mnist", "mlp", f"{B}, Table 1", "MLP, original pixels", 0.9694, {"pixels": "original"}),
    ("mnist", "mlp", f"{B}, Table 1", "MLP, permuted pixels", 0.9382, {"pixels": "permuted"}),
    ("mnist", "cnn", f"{B}, Table 1", "CNN, original pixels", 0.9924, {"pixels": "original"}),
    ("mnist", "cnn", f"{B}, Table 1", "CNN, permuted pixels", 0.5812, {"pixels": "permuted"}),
    ("fashion-mnist", "mlp", f"{B}, Table 1", "MLP, original pixels", 0.8766, {"pixels": "original"}),
    ("fashion-mnist", "mlp", f"{B}, Table 1", "MLP, permuted pixels", 0.8256, {"pixels": "permuted"}),
    ("fashion-mnist", "cnn", f"{B}, Table 1", "CNN, original pixels", 0.9096, {"pixels": "original"}),
    ("fashion-mnist", "cnn", f"{B}, Table 1", "CNN, permuted pixels", 0.3835, {"pixels": "permuted"}),
]
LOSSES = [
    ("mnist", "mlp", f"{A}, Table 1", "official example mnist_mlp.py, 20 epochs", 0.1206, {"units": "512-512"}),
    ("mnist", "cnn", f"{A}, Table 1", "official example mnist_cnn.py, 12 epochs", 0.4189, {"filters": "32-64"}),
    *(
        (*row[:4], loss, row[5])
        for table, losses in {
            # Tables 2, 5, 6 and 8 print a loss beside each accuracy: in the order of the rows above
            "Table 2": (0.3679, 0.3622, 0.3583, 0.3659, 0.3302, 0.3539, 0.6186),
            "Table 5": (0.2642, 0.3105, 0.3360, 0.2767, 0.2916, 0.2907, 0.3330),
            "Table 6": (0.3279, 0.3613, 0.3713, 0.2768, 0.4071, 0.3658),
            "Table 8": (1.4616, 1.5321, 1.4960, 1.5921, 1.4300, 1.5516, 0.9998, 1.0246, 0.9959, 1.1895),
        }.items()
        for row, loss in zip([row for row in ROWS if row[2] == f"{A}, {table}"], losses, strict=True)
    ),
]
# Every figure of the two reports on clocks, likewise: where, for which setting, the metric, the figure, the encoding
# on the trunk that all share.
_HOURS, _MINUTES = "common_sense_error_hours", "common_sense_error_minutes"
UPRIGHT = next(task for task in TASKS if task.name == "clock-encodings-upright")
CLOCKS = [
    (f"{A}, Table 9", "regression", _HOURS, 0.7053, {"encoding": "regression"}),
    (f"{A}, Table 9", "24 classes", _HOURS, 0.6206, {"encoding": "classes", "classes": 24}),
    (f"{A}, Table 9", "72 classes", _HOURS, 0.9517, {"encoding": "classes", "classes": 72}),
    (f"{A}, Table 9", "720 classes", _HOURS, 3.0309, {"encoding": "classes", "classes": 720}),
    (f"{A}, Table 9", "multi-head", _HOURS, 0.6161, {"encoding": "multi-head"}),
    (
        f"{A}, Table 9",
        "label transformation (sin cos)",
        _HOURS,
        0.3447,
        {"encoding": "hour-hand", "output_activation": "tanh"},
    ),
    (f"{A}, Table 9", "label transformation (fine-tuned)", _HOURS, 0.1921, {"output_activation": "tanh"}),
    (f"{B}, 3.1.2", "multi-head, 1200 epochs", "hour_accuracy", 0.85, {"encoding": "multi-head"}),
    (f"{B}, 3.2.2", "regression, 600 epochs", "mean_absolute_error_hours", 0.46, {"encoding": "regression"}),
    (f"{B}, 3.3.2", "720 classes, 200 epochs", "class_accuracy", 0.20, {"encoding": "classes", "classes": 720}),
    (
        f"{B}, 3.4.2",
        "unit circle, two linear heads, 200 epochs",
        _MINUTES,
        50.0,
        {"encoding": "hour-hand", "output_activation": "linear"},
    ),
    (f"{B}, 3.4.3", "hour circle and minute circle, 300 epochs", _MINUTES, 3.0, {"encoding": "two-hands"}),
]
SHAPES = {
    "digits": (8, 8, 1),
    "mnist": (28, 28, 1),
    "fashion-mnist": (28, 28, 1),
    "cifar10": (32, 32, 3),
    "clock-faces": (75, 75, 1),
    "clock-faces-upright": (32, 32, 1),
    "clock-faces-small": (32, 32, 1),
    "butterflies@64": (64, 64, 3),
}
BUILDERS = {"mlp": mlp.build, "cnn": cnn.build}

every_task = pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
every_reported = pytest.mark.parametrize(
    ("task", "reported"),
    [pytest.param(task, row, id=f"{task.name}-{row.setting}") for task in TASKS for row in task.reported],
)


def network(task, params):
    """The network of params, as a trial builds it."""
    return task.build(
        input_shape=SHAPES[task.dataset], head=task.encoding_of(params).head, **task.route(params).builder
    )


def outputs_of(task, params):
    encoding = task.encoding_of(params)
    return encoding.n if isinstance(encoding, Classes) else encoding.outputs


def optimizer(task, params):
    return optimizers.build(steps_per_epoch=10, epochs=task.protocol.epochs, **task.route(params).optimizer)


# --- the reports' figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("metric", "rows"), [("test_accuracy", ROWS), ("test_loss", LOSSES)])
def test_every_figure_of_the_reports_stands_in_one_task(metric, rows):
    family = {build: name for name, build in BUILDERS.items()}
    found = Counter(
        (task.dataset, family[task.build], row.table, row.setting, row.value)
        for task in TASKS
        for row in task.reported
        if row.metric == metric
    )
    assert found == Counter(row[:5] for row in rows)


def test_every_metric_of_a_report_is_one_that_was_looked_for():
    on_clocks = {metric for _, _, metric, _, _ in CLOCKS}
    assert {row.metric for task in TASKS for row in task.reported} == {"test_accuracy", "test_loss"} | on_clocks
    assert (len(ROWS), len(LOSSES), len(CLOCKS)) == (46, 32, 12)


def test_every_figure_of_the_reports_on_clocks_stands_in_one_task_of_clocks_and_perhaps_its_upright_twin():
    tasks = [task for task in TASKS if task.objective.metric == "val_error_minutes" and task is not UPRIGHT]
    assert UPRIGHT.reported == next(task for task in TASKS if task.name == "clock-encodings").reported
    found = Counter((row.table, row.metric, row.value) for task in tasks for row in task.reported)
    assert found == Counter((where, metric, value) for where, _, metric, value, _ in CLOCKS)


@pytest.mark.parametrize("row", CLOCKS, ids=lambda row: f"{row[0]}-{row[1]}")
def test_what_is_reported_on_clocks_is_its_encoding_on_the_common_trunk(row):
    where, setting, _, value, encoding = row
    ((task, reported),) = (
        (task, found)
        for task in TASKS
        for found in task.reported
        if (found.table, found.value) == (where, value) and task is not UPRIGHT
    )
    assert reported.setting == setting
    assert encoding.items() <= reported.params.items()
    if task.name == "clock-encodings":  # the tuned ones have trunks of their own
        trunk = {name: held for name, held in task.baseline.items() if name not in task.route(task.baseline).encoding}
        assert trunk.items() <= reported.params.items()


@pytest.mark.parametrize("row", ROWS + LOSSES, ids=lambda row: f"{row[2]}-{row[1]}-{row[3]}")
def test_what_is_reported_has_the_params_of_its_setting(row):
    dataset, family, table, setting, value, what = row
    (reported,) = (
        found
        for task in TASKS
        if (task.dataset, task.build) == (dataset, BUILDERS[family])
        for found in task.reported
        if (found.table, found.setting, found.value) == (table, setting, value)
    )
    if isinstance(what, int):
        assert (reported.params, reported.place) == (None, what)
    else:
        assert what.items() <= reported.params.items()


@every_reported
def test_what_is_reported_belongs_is_routed_and_can_be_built(task, reported):
    if reported.params is None:
        return
    assert open_all(task.space).why_not(reported.params) is None
    routed = task.route(reported.params)
    taken = routed.builder | routed.encoding | routed.optimizer | {"batch_size": routed.batch_size}
    assert taken == reported.params
    assert network(task, reported.params).output_shape == (None, outputs_of(task, reported.params))
    assert isinstance(optimizer(task, reported.params), keras.optimizers.Optimizer)


# --- the networks -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "n_weights"),
    [
        ("mnist-mlp", 669_706),  # printed in Keras' mnist_mlp.py
        ("mnist-cnn", 1_199_882),  # printed in Keras' mnist_cnn.py
        ("mnist-mlp-factors", 266_610),  # printed in the book, chapter 10
        # The book's network of chapter 14, by hand: five convolutions, 3 x 3 x 256 features, 128, 64 and 10 units.
        (
            "mnist-cnn-factors",
            (49 * 64 + 64)
            + (9 * 64 * 128 + 128)
            + (9 * 128 * 128 + 128)
            + (9 * 128 * 256 + 256)
            + (9 * 256 * 256 + 256)
            + (3 * 3 * 256 * 128 + 128)
            + (128 * 64 + 64)
            + (64 * 10 + 10),
        ),
    ],
)
def test_a_baseline_has_the_weights_of_the_network_it_is_named_after(name, n_weights):
    task = find(name)
    assert network(task, task.baseline).count_params() == n_weights


def test_the_book_drops_half_after_each_dense_layer_and_nothing_before():
    model = cnn.build(
        input_shape=(28, 28, 1), head=lambda x: x, **{name: textbook.CNN[name] for name in _taken(textbook.CNN)}
    )
    dropped = {layer.name: layer.rate for layer in model.layers if isinstance(layer, keras.layers.Dropout)}
    assert dropped == {"dense_1_dropout": 0.5, "dense_2_dropout": 0.5}


def _taken(params):
    return [name for name in params if name not in ("optimizer", "learning_rate", "batch_size")]


@pytest.mark.slow
@every_task
def test_what_a_space_proposes_can_be_built(task):
    """All points of a table; of other spaces a few, drawn at random."""
    if isinstance(task.space, OneFactor):
        points = list(task.space.grid())
    else:
        rng = random.Random(task.name)
        points = [task.space.walk(lambda name, domain, under: _drawn(rng, domain)) for _ in range(4)]
    points.append(task.baseline)
    assert all(isinstance(optimizer(task, params), keras.optimizers.Optimizer) for params in points)
    if task.encoding is None:
        for params in points[-2:]:
            model = task.build(input_shape=SHAPES[task.dataset], **task.route(params).builder)
            assert isinstance(model, keras.Model)
        return
    networks = {params_id(task.route(params).builder | task.route(params).encoding): params for params in points}
    for params in networks.values():
        assert network(task, params).output_shape == (None, outputs_of(task, params))


def _drawn(rng, domain):
    if isinstance(domain, Float) and domain.size is None:
        return rng.uniform(domain.low, domain.high)
    return rng.choice(list(domain.values()))
