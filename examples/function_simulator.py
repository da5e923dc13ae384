"""A simulator as a task: it yields a number for each step, keeps its state, and reports a file.

Run it with `tune-jobs launch examples/function_simulator.py --trials 30 --scheduler asha`. Servers cost money, as does
waiting in their queue. Steps are days; a trial whose worker is lost goes on from the last day that was kept.
"""

import json
import random

from tune_jobs.search_spaces import Float, Int, Objective, Protocol, Space, Task

CUSTOMERS = 200  # a day


def run(params, *, seed, checkpoint, artifacts):
    """Yield the mean cost of a customer up to each day."""
    state = checkpoint / "state.json"
    first, costs = json.loads(state.read_text()) if state.exists() else (1, [])
    for day in range(first, 28):
        rng, free_at, now, waited = random.Random(f"{seed}-{day}"), [0.0] * params["servers"], 0.0, 0.0
        for _ in range(CUSTOMERS):
            now += rng.expovariate(1.0)
            begin = max(now, min(free_at))
            free_at[free_at.index(min(free_at))] = begin + rng.expovariate(params["rate"])
            waited += begin - now
        costs.append(waited / CUSTOMERS + params["servers"] * params["rate"] ** 2)
        state.write_text(json.dumps([day + 1, costs]))
        (artifacts / "costs.csv").write_text("\n".join(map(str, costs)))
        yield {"cost": sum(costs) / len(costs), "cost_of_day": costs[-1]}


TASK = Task(
    "queue",
    Space(servers=Int(1, 4), rate=Float(0.3, 3.0, log=True)),
    Objective("cost", "minimize"),
    protocol=Protocol(epochs=27, scored_epoch="last"),
    run=run,
)
