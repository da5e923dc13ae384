"""A scikit-learn model as a task: any function of params that returns a score.

Run it with `tune-jobs launch examples/function_sklearn.py --trials 20`, or try one configuration in Python with
`tj.run_trial(TASK, {"max_depth": 3})`.
"""

from sklearn.datasets import load_diabetes
from sklearn.ensemble import RandomForestRegressor
from sklearn.model_selection import KFold, cross_validate

from tune_jobs.search_spaces import Choice, Float, Int, Objective, Space, Task


def run(params, *, seed):
    """Return the mean errors of a forest over three folds."""
    x, y = load_diabetes(return_X_y=True)
    forest = RandomForestRegressor(**params, random_state=seed)
    scoring = ("neg_mean_absolute_error", "neg_root_mean_squared_error")
    scores = cross_validate(forest, x, y, cv=KFold(3, shuffle=True, random_state=0), scoring=scoring)
    return {name: -scores[f"test_neg_{name}"].mean() for name in ("mean_absolute_error", "root_mean_squared_error")}


TASK = Task(
    "diabetes-forest",
    Space(
        n_estimators=Int(10, 200, log=True),
        max_depth=Int(2, 12),
        max_features=Choice("sqrt", "log2", None),
        min_impurity_decrease=Float(1e-3, 10.0, log=True),
    ),
    Objective("mean_absolute_error", "minimize"),
    run=run,
)
