"""Tasks: what is checked when one is made, who takes which params, what changes a digest."""

from __future__ import annotations

import functools
import math
import pickle
from dataclasses import replace

import numpy as np
import pytest

from tune_jobs.models import cnn, mlp
from tune_jobs.models.label_encodings import Classes
from tune_jobs.search_spaces import (
    Choice,
    Fixed,
    Float,
    Int,
    Objective,
    OneFactor,
    Protocol,
    Reported,
    Space,
    SpaceError,
    Task,
    TaskError,
    Variants,
    digests,
    open_all,
)
from tune_jobs.search_spaces.task import Routed

ACCURACY = Objective("val_accuracy", "maximize")
SPACE = Space(
    units=Choice(32, 64),
    optimizer=Variants(sgd=Space(momentum=Choice(0.5, 0.9)), adam=Space(learning_rate=Float(1e-4, 1e-2, log=True))),
    batch_size=Fixed(32, Choice(32, 64)),
)
BASELINE = {"units": 64, "optimizer": "adam", "learning_rate": 1e-3, "batch_size": 64}


def task(**changes):
    terms = {
        "name": "digits-small",
        "summary": "a few dense layers",
        "dataset": "digits",
        "space": SPACE,
        "objective": ACCURACY,
        "protocol": Protocol(epochs=5),
        "baseline": BASELINE,
        "build": mlp.build,
        "encoding": Classes(10),
    }
    return Task(**terms | changes)


def train(params, data, *, seed, epochs):
    yield from ({"val_accuracy": float(epoch)} for epoch in range(epochs))


def needs_width(*, input_shape, head, width, depth=1):
    raise NotImplementedError


def takes_anything(*, input_shape, head, **rest):
    raise NotImplementedError


def takes_no_head(*, input_shape, units=3):
    raise NotImplementedError


def own_outputs(*, units, y_train):
    raise NotImplementedError


OWN_OUTPUTS = {"build": own_outputs, "encoding": None}


class HeadOnly:
    """An encoding that lacks nearly all."""

    name = "head-only"

    def head(self, features):
        return features


def load_data():
    raise NotImplementedError


def test_objective_carries_its_direction():
    loss = Objective("val_loss", "minimize")
    assert ACCURACY.is_better(0.9, 0.8)
    assert not ACCURACY.is_better(0.8, 0.9)
    assert loss.is_better(0.8, 0.9)
    assert not loss.is_better(0.9, 0.8)
    assert not ACCURACY.is_better(0.9, 0.9)
    assert (ACCURACY.best([0.8, math.nan, 0.9]), loss.best([0.8, math.nan, 0.9])) == (0.9, 0.8)
    assert (ACCURACY.worst, loss.worst) == (-math.inf, math.inf)


@pytest.mark.parametrize("objective", [ACCURACY, Objective("val_loss", "minimize")])
def test_no_number_is_the_worst_score(objective):
    assert objective.is_better(0.5, math.nan)
    assert not objective.is_better(math.nan, 0.5)
    assert not objective.is_better(math.nan, math.nan)
    assert objective.best([]) == objective.best([math.nan]) == objective.worst


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Objective("", "maximize"), "Objective needs the name of a metric; got ''"),
        (lambda: Objective("loss", "min"), "Objective needs direction 'maximize' or 'minimize'; got 'min'"),
        (lambda: Protocol(epochs=0), "Protocol needs epochs of 1 or more; got 0"),
        (lambda: Protocol(epochs=2.0), "Protocol needs epochs of 1 or more; got 2.0"),
        (lambda: Protocol(epochs=True), "Protocol needs epochs of 1 or more; got True"),
        (lambda: Protocol(epochs=2, patience=0), "Protocol needs patience of 1 or more; got 0"),
        (lambda: Protocol(epochs=2, batch_size=-1), "Protocol needs batch_size of 1 or more; got -1"),
        (
            lambda: Reported("Table 1", "row", 0.9, None),
            "Reported needs params or a place in another task; got None and None",
        ),
        (
            lambda: Reported("Table 1", "row", 0.9, {"units": 1}, place=2),
            "Reported needs params or a place in another task; got {'units': 1} and 2",
        ),
        (lambda: Objective(None, "maximize"), "Objective needs the name of a metric; got None"),
        (
            lambda: Objective("loss", ["minimize"]),
            "Objective needs direction 'maximize' or 'minimize'; got ['minimize'",
        ),
        (lambda: Protocol(epochs="2"), "Protocol needs epochs of 1 or more; got '2'"),
        (lambda: Protocol(epochs=2, precision=["float32"]), "Protocol needs precision float32 or mixed_float16 or mix"),
        (lambda: Protocol(epochs=2, deterministic="no"), "Protocol needs deterministic True or False; got 'no'"),
        (
            lambda: Protocol(epochs=2, validation="0.2"),
            "Protocol needs validation as a number of images or a share between 0 and 1; got '0.2'",
        ),
        (lambda: Reported("Table 1", "row", "0.9", {"units": 1}), "Reported needs its value as a number; got '0.9'"),
        (lambda: Reported(1, "row", 0.9, {"units": 1}), "Reported needs its table as a text; got 1"),
        (lambda: Reported("Table 1", "row", 0.9, None, place=0), "Reported needs its place as a whole number of 1 or"),
        (lambda: Reported("Table 1", "row", 0.9, [1]), "Reported: params has to be of type Mapping; got [1]"),
        (lambda: Protocol(epochs=2, images=0), "Protocol needs images of 1 or more; got 0"),
        (lambda: Protocol(epochs=2, images=0.5), "Protocol needs images of 1 or more; got 0.5"),
        (
            lambda: Protocol(epochs=2, validation=1.0),
            "Protocol needs validation as a number of images or a share between 0 and 1; got 1.0",
        ),
        (
            lambda: Protocol(epochs=2, validation=0),
            "Protocol needs validation as a number of images or a share between 0 and 1; got 0",
        ),
    ],
)
def test_a_part_of_a_task_that_cannot_be_is_refused(make, message):
    with pytest.raises(TaskError) as caught:
        make()
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"name": "MNIST"}, "a task needs a name of a-z, 0-9 and hyphens, like 'mnist-mlp'; got 'MNIST'"),
        ({"name": "-a"}, "a task needs a name of a-z, 0-9 and hyphens, like 'mnist-mlp'; got '-a'"),
        ({"name": 3}, "a task needs a name of a-z, 0-9 and hyphens, like 'mnist-mlp'; got 3"),
        ({"dataset": ""}, "task 'digits-small': dataset needs a name or a function that loads it; got ''"),
        ({"space": {}}, "task 'digits-small': space has to be of type Space or OneFactor; got {}"),
        ({"objective": "loss"}, "task 'digits-small': objective has to be of type Objective; got 'loss'"),
        ({"protocol": 5}, "task 'digits-small': protocol has to be of type Protocol; got 5"),
        ({"baseline": None}, "task 'digits-small': baseline has to be of type Mapping; got None"),
        (
            {"build": None, "encoding": None},
            "task 'digits-small': needs build, train or run; got none of them",
        ),
        ({"train": train}, "task 'digits-small': needs build, train or run; got build and train"),
        ({"encoding": None}, "task 'digits-small': mlp.build takes head, and there is no encoding that has one"),
        ({"loss": "mse"}, "task 'digits-small': takes no loss beside an encoding, which has its own; got 'mse'"),
        ({**OWN_OUTPUTS, "loss": 3}, "task 'digits-small': loss needs a name of Keras, a function or an object of Ker"),
        ({**OWN_OUTPUTS, "metrics": ["mae"]}, "task 'digits-small': names metrics and no loss: name both, or compile"),
        (
            {"build": None, "encoding": None, "train": train, "metrics": ["mae"]},
            "task 'digits-small': takes no metrics beside a training loop of its own, which has its own; got ['mae']",
        ),
        (
            {"encoding": "x"},
            "task 'digits-small': encoding needs to be a label encoding, such as Classes(10), or a function that "
            "returns one; got 'x', which lacks name, head, targets, ",
        ),
        ({"encoding": {}}, "task 'digits-small': encoding needs an encoding for each output; got an empty mapping"),
        ({"encoding": HeadOnly()}, "task 'digits-small': encoding needs to be a label encoding, such as Classes(10)"),
        ({"summary": 3}, "task 'digits-small': summary has to be of type str; got 3"),
        ({"source": None}, "task 'digits-small': source has to be of type str; got None"),
        ({"dataset": 3}, "task 'digits-small': dataset needs a name or a function that loads it; got 3"),
        (
            {"dataset": lambda folder: None},
            "task 'digits-small': dataset needs a function without arguments: missing a required argument: 'folder'",
        ),
        ({"build": int}, "task 'digits-small': build needs a function; got <class 'int'>"),
        ({"build": "mlp"}, "task 'digits-small': build needs a function; got 'mlp'"),
        ({"build": None, "encoding": None, "train": 3}, "task 'digits-small': train needs a function; got 3"),
        ({"baseline": {1: 2}}, "task 'digits-small': baseline needs names of parameters as its keys; got 1"),
        ({"reported": "Table 1"}, "task 'digits-small': reported has to be of type tuple or list; got 'Table 1'"),
        ({"reported": [0.9]}, "task 'digits-small': reported needs values of type Reported; got 0.9"),
        (
            {"build": None, "train": train},
            "task 'digits-small': has a training loop of its own, which reads labels its",
        ),
        (
            {"build": None, "encoding": None, "train": load_data},
            "task 'digits-small': train needs to take (params, data, *, seed, epochs): too many positional arguments",
        ),
        (
            {"space": Space(unist=Choice(3))},
            "task 'digits-small': neither mlp.build nor the optimizer takes 'unist'; near it: units; "
            "the builder takes: activation, augmentation, batch_norm, dropout, dropout_rate, factor, initializer, "
            "initializer_scale, layers, pixels, regularizer, units",
        ),
        (
            {"space": Space(a=Fixed("x", Variants(x=Space(), y=Space(momentun=Choice(0.9)))))},
            "task 'digits-small': neither mlp.build nor the optimizer takes 'a'; the builder takes: activation, ",
        ),
        (
            {"space": Space(epochs=Int(1, 9))},
            "task 'digits-small': neither mlp.build nor the optimizer takes 'epochs'; the builder takes: ",
        ),
        (
            {"build": needs_width, "space": Space(depth=Int(1, 2))},
            "task 'digits-small': test_task.needs_width needs 'width' and the space does not always set it; "
            "give it a default or a place in the space",
        ),
        (
            {"build": needs_width, "space": Space(optimizer=Variants(sgd=Space(width=Int(1, 2)), adam=Space()))},
            "task 'digits-small': test_task.needs_width needs 'width' and the space does not always set it; near it: w",
        ),
        (
            {"build": takes_anything},
            "task 'digits-small': test_task.takes_anything needs named parameters alone, so that a misspelt one is "
            "noticed; it has **rest",
        ),
        (
            {"build": takes_no_head},
            "task 'digits-small': test_task.takes_no_head needs to take head, which adds the outputs of the encoding",
        ),
        (
            {"baseline": BASELINE | {"units": 65}},
            "task 'digits-small': the baseline does not belong to the space: units is 65; allowed: 32, 64",
        ),
        (
            {"reported": (Reported("Table 1", "65 units", 0.9, BASELINE | {"units": 65}),)},
            "task 'digits-small': what is reported as '65 units' does not belong to the space: units is 65; "
            "allowed: 32, 64",
        ),
        (
            {"space": OneFactor(BASELINE, {"width": {"32": {"unist": 32}}})},
            "task 'digits-small': neither mlp.build nor the optimizer takes 'unist'; near it: units; ",
        ),
        (
            {"space": OneFactor({"units": 32}, {"width": {"64": {"units": 64}}})},
            "task 'digits-small': the baseline does not belong to the space: no parameter 'optimizer' in this space",
        ),
        (
            {
                "build": needs_width,
                "space": OneFactor({"width": 3}, {"width": {"none": {"width": None}}}),
                "baseline": {"width": 3},
            },
            "task 'digits-small': test_task.needs_width needs 'width' and the space does not always set it",
        ),
        (
            {"space": Space(batch_size=Choice("many")), "baseline": {"batch_size": "many"}},
            "task 'digits-small': batch_size needs a whole number of 1 or more; got 'many'",
        ),
    ],
)
def test_a_task_that_could_only_fail_later_is_refused(changes, message):
    with pytest.raises(TaskError) as caught:
        task(**changes)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_what_is_reported_may_use_what_is_held_or_come_from_another_task():
    held = Reported("Table 1", "batches of 64", 0.9, BASELINE)
    elsewhere = Reported("Table 2", "the best of another task", 0.8, None, place=1)
    made = task(reported=(held, elsewhere))
    assert made.reported == (held, elsewhere)
    assert (held.metric, hash(made)) == ("test_accuracy", hash(task(reported=(held, elsewhere))))


def test_a_required_parameter_may_be_set_under_every_option():
    options = Variants(sgd=Space(width=Int(1, 2)), adam=Space(width=Int(3, 4)))
    made = task(build=needs_width, space=Space(optimizer=options), baseline={"optimizer": "sgd", "width": 1})
    assert made.route(made.baseline).builder == {"width": 1}


def test_values_of_numpy_are_plain_ones():
    made = task(
        baseline={name: np.array(value) if isinstance(value, int) else value for name, value in BASELINE.items()},
        protocol=Protocol(epochs=np.int64(5), validation=np.float32(0.2), batch_size=np.int32(16)),
        reported=[Reported("Table 1", "row", np.float64(0.9), {**BASELINE, "units": np.int64(32)})],
        grace=np.int64(2),
    )
    plain = task(
        protocol=Protocol(epochs=5, validation=0.2, batch_size=16),
        reported=(Reported("Table 1", "row", 0.9, {**BASELINE, "units": 32}),),
        grace=2,
    )
    assert repr(made) == repr(plain)
    assert made.digest() == plain.digest()


def test_a_function_that_returns_no_encoding_is_named():
    made = task(encoding=lambda: "x")
    with pytest.raises(TaskError, match=r"encoding: test_task\..* needs to be a label encoding, .* got 'x'"):
        made.encoding_of(made.baseline)


def test_params_go_to_who_takes_them():
    params = {"units": 32, "optimizer": "sgd", "momentum": 0.9, "batch_size": 16}
    assert task().route(params) == Routed({"units": 32}, {}, {"optimizer": "sgd", "momentum": 0.9}, 16)
    assert task(protocol=Protocol(epochs=1, batch_size=7)).route({"units": 32}).batch_size == 7


def encoding_with(*, classes=10):
    return Classes(classes)


def test_an_encoding_is_a_hyperparameter_like_any_other():
    made = task(
        encoding=encoding_with,
        space=Space(units=Choice(16, 32), classes=Choice(2, 10)),
        baseline={"units": 16, "classes": 2},
    )
    assert made.route({"units": 32, "classes": 10}).encoding == {"classes": 10}
    assert [made.encoding_of({"units": 16, "classes": n}).name for n in (2, 10)] == ["classes-2", "classes-10"]
    assert made.digest() != task(space=made.space, encoding=lambda *, classes: None, baseline=made.baseline).digest()


def test_an_encoding_may_not_take_what_the_network_takes():
    with pytest.raises(TaskError, match="the encoding takes 'units' and so does the network or its optimizer"):
        task(encoding=lambda *, units=3: Classes(units))


def test_what_an_encoding_needs_has_a_place_in_the_space():
    with pytest.raises(TaskError, match="needs 'classes' and the space does not always set it"):
        task(encoding=lambda *, classes: Classes(classes))


def test_what_nobody_takes_is_not_routed():
    with pytest.raises(SpaceError, match="nobody takes 'unit'; near it: units"):
        task().route({"unit": 3})


def test_a_task_with_a_loop_of_its_own_takes_params_whole():
    own = task(build=None, encoding=None, train=train, space=Space(anything=Int(1, 3)), baseline={"anything": 2})
    assert [dict(metrics) for metrics in own.train({}, None, seed=0, epochs=2)] == [
        {"val_accuracy": 0.0},
        {"val_accuracy": 1.0},
    ]
    with pytest.raises(TaskError, match="has a training loop of its own, which takes params whole"):
        own.route({})


def test_the_baseline_may_use_what_is_held():
    assert task().space.why_not(BASELINE) == "batch_size is 64 and held at 32; --set batch_size=64 opens it"


def test_the_digest_heeds_what_a_study_depends_on():
    digests = [
        made.digest()
        for made in (
            task(),
            task(name="other"),
            task(space=open_all(SPACE)),
            task(objective=Objective("val_loss", "minimize")),
            task(protocol=Protocol(epochs=6)),
            task(protocol=Protocol(epochs=5, images=1000)),
            task(space=OneFactor(BASELINE, {"units": {"32": {"units": 32}}})),
            task(space=OneFactor(BASELINE, {"width": {"32": {"units": 32}}})),
            task(dataset="mnist"),
            task(dataset=load_data),
            task(encoding=Classes(11)),
            task(build=cnn.build),
        )
    ]
    assert len(set(digests)) == len(digests)
    assert all(len(digest) == 12 and int(digest, 16) >= 0 for digest in digests)


def test_the_digest_ignores_prose_and_the_baseline():
    reported = (Reported("Table 1", "baseline", 0.9, BASELINE),)
    assert task().digest() == task(summary="x", source="y", baseline=BASELINE | {"units": 32}).digest()
    assert task().digest() == task(reported=reported).digest()
    assert task(build=functools.partial(mlp.build, layers=2)).digest() == task().digest()


class Smoothed:
    """An encoding with a parameter that its name does not tell."""

    name = "smoothed"
    head = targets = loss = metrics = decode = errors = Classes(10).targets

    def __init__(self, smoothing, weights=None, note=print):
        self.smoothing, self._weights, self.note = smoothing, weights, note


def test_the_digest_changes_with_the_settings_of_a_fixed_encoding():
    made = [Smoothed(0.1), Smoothed(0.3), Smoothed(0.1, [1, 2]), Smoothed(0.1, np.array([1, 3])), Classes(10)]
    digests = [task(encoding=encoding).digest() for encoding in made]
    assert len(set(digests)) == len(digests)
    same = Smoothed(np.float64(0.1), note=len)  # a function has no value to compare
    assert task(encoding=same).digest() == digests[0]
    used = Smoothed(0.1)
    used.seen = 100  # what it learns later is no setting
    assert task(encoding=used).digest() == digests[0]


def test_a_study_from_before_settings_counted_is_known_and_encodings_of_ours_are_as_they_were():
    before = [digests.earlier(task(encoding=Smoothed(smoothing)), None)[1] for smoothing in (0.1, 0.3)]
    assert before[0] == before[1] != task(encoding=Smoothed(0.1)).digest()
    assert task().digest() == digests.earlier(task(), None)[1]


def test_tasks_are_values():
    made = task()
    assert replace(made) == made
    assert pickle.loads(pickle.dumps(made)) == made
    assert hash(made) == hash(task())
    assert made.dataset_name == "digits"
    assert task(dataset=load_data).dataset_name == "load_data"


def test_a_task_may_name_its_loss_and_its_metrics_in_place_of_an_encoding():
    named = task(**OWN_OUTPUTS, loss="mse", metrics=["mae"])
    encoding = named.encoding_of(BASELINE)
    assert (encoding.name, encoding.loss(), encoding.metrics()) == ("none", "mse", ["mae"])
    assert named.given_names == {"y_train"}
    assert "x_train" in task(build=lambda *, x_train, head, units: None).given_names
    np.testing.assert_array_equal(
        encoding.errors(np.array([[1.0, 5.0], [2.0, 2.0]]), np.array([[1, 2], [2, 2]])), [3, 0]
    )


def test_what_is_compiled_counts_in_the_digest():
    tasks = [
        task(**OWN_OUTPUTS),
        task(**OWN_OUTPUTS, loss="mse"),
        task(**OWN_OUTPUTS, loss={"a": "mse"}),
        task(**OWN_OUTPUTS, loss="mse", metrics=["mae"]),
        task(**OWN_OUTPUTS, loss=[load_data, train]),
        task(**OWN_OUTPUTS, loss=Huber(1.0)),
        task(**OWN_OUTPUTS, loss=Huber(2.0)),
    ]
    assert len({made.digest() for made in tasks}) == len(tasks)
    assert task(**OWN_OUTPUTS, loss=Huber(1.0)).digest() == tasks[5].digest()


class Huber:
    """A loss that says what it was made with, under a name that Keras made up."""

    def __init__(self, delta):
        self.delta = delta

    def get_config(self):
        return {"name": f"huber_{id(self)}", "delta": self.delta}


def test_the_loss_may_be_a_parameter_of_the_space():
    chosen = task(
        **OWN_OUTPUTS, space=Space(units=Choice(3), loss=Choice("mse", "mae")), baseline={"units": 3, "loss": "mae"}
    )
    assert chosen.encoding_of({"units": 3, "loss": "mae"}).loss() == "mae"
    assert chosen.route({"units": 3, "loss": "mae"}).loss == "mae"
    with pytest.raises(TaskError, match=r"neither mlp\.build nor the optimizer takes 'loss'"):
        task(space=Space(units=Choice(3), loss=Choice("mse", "mae")), baseline={"units": 3, "loss": "mae"})
