"""Compare search algorithms on one problem: which of them finds the better params in 24 trials?

Run it with `python examples/compare_searches.py`. It takes some 20 seconds and leaves three studies in `./sweeps`.

The problem is a task with a training loop of its own: a logistic regression of the handwritten digits in NumPy, whose
learning rate and weight decay are searched over six orders of magnitude.
"""

import numpy as np

import tune_jobs as tj


def train(params, data, *, seed, epochs):
    """Yield the metrics of each epoch, as every training loop of a task does."""
    x, labels = flat(data.train.x), data.train.labels  # (N, 64), (N,)
    targets = np.eye(10)[labels]  # (N, 10)
    weights = np.random.default_rng(seed).normal(0, 0.01, (64, 10))
    for _ in range(epochs):
        gradient = x.T @ (softmax(x @ weights) - targets) / len(x)
        weights -= params["learning_rate"] * (gradient + params["weight_decay"] * weights)
        predicted = softmax(flat(data.validation.x) @ weights)
        truth = predicted[np.arange(len(predicted)), data.validation.labels]
        yield {"val_loss": float(-np.log(truth + 1e-12).mean())}


def flat(images):
    return images.reshape(len(images), -1) / 255


def softmax(logits):
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return odds / odds.sum(axis=1, keepdims=True)


TASK = tj.Task(
    name="digits-logistic",
    summary="a logistic regression of 8 x 8 digits",
    dataset="digits",
    space=tj.Space(
        learning_rate=tj.Float(1e-4, 1e2, log=True),
        weight_decay=tj.Float(1e-6, 1.0, log=True),
    ),
    objective=tj.Objective("val_loss", "minimize"),
    protocol=tj.Protocol(epochs=60, validation=0.2),
    baseline={"learning_rate": 0.01, "weight_decay": 1e-4},
    train=train,
)


def main():
    for search in ("random", "tpe", "gp"):
        study = tj.launch(TASK, study=f"logistic-{search}", search=search, trials=24, home="sweeps")
        best = {name: f"{value:.3g}" for name, value in study.best_params.items()}
        print(f"{search:>7}: val_loss {study.best_score:.4f} with {best}")


if __name__ == "__main__":
    main()
