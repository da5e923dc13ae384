"""`tasks` and `show`: list the tasks; show one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click

from tune_jobs.cli.options import json_option, print_json, print_table, print_text

if TYPE_CHECKING:
    from tune_jobs.search_spaces.protocol import Protocol
    from tune_jobs.search_spaces.task import Task


@click.command(short_help="List the tasks.")
@json_option
def tasks(as_json: bool) -> None:
    """List the tasks of the catalogue, grouped by subject.

    \b
    Example:  tune-jobs tasks
    """
    from tune_jobs.search_spaces.catalog import GROUPS

    if as_json:
        print_json(
            [
                {
                    "name": task.name,
                    "group": group,
                    "dataset": task.dataset_name,
                    "grid_size": task.space.size,
                    "summary": task.summary,
                    "source": task.source,
                }
                for group, tasks in GROUPS.items()
                for task in tasks
            ]
        )
        return
    rows: list[tuple[str, ...]] = []
    for group, tasks in GROUPS.items():
        rows += [*([("",) * 5] if rows else []), (group, *("",) * 4)]
        for task in tasks:
            size = "infinite" if task.space.size is None else str(task.space.size)
            table = re.match(r"report [^;:]*", task.source)
            rows.append((f"  {task.name}", task.dataset_name, size, table[0] if table else "", task.summary))
    print_table(("task", "data", "grid", "from", "summary"), rows)


@click.command(short_help="Show a task and its search space.")
@click.argument("task")
@json_option
def show(task: str, as_json: bool) -> None:
    """Show a task: its data, objective, protocol, baseline and search space.

    TASK is the name of a task (`tune-jobs tasks` lists them), or FILE.py:NAME for one of your own.

    \b
    Example:  tune-jobs show fashion-mnist-mlp
    """
    from tune_jobs.search_spaces import catalog

    chosen = catalog.find(task)
    if as_json:
        print_json(_as_json(chosen))
    else:
        for line in _lines(chosen):
            print_text(line)


def _as_json(task: Task) -> dict[str, object]:
    from dataclasses import asdict

    return {
        "name": task.name,
        "summary": task.summary,
        "source": task.source,
        "chosen": task.assumptions,
        "dataset": task.dataset_name,
        "objective": asdict(task.objective),
        "further_objectives": [asdict(objective) for objective in task.further_objectives],
        "protocol": asdict(task.protocol),
        "baseline": dict(task.baseline),
        "reported": [asdict(figure) for figure in task.reported],
        "grid_size": task.space.size,
        "space": task.space.to_json(),
        "digest": task.digest(),
    }


def _lines(task: Task) -> Iterator[str]:
    """Yield the lines that `show` prints."""
    from tune_jobs.records import objectives

    yield ": ".join(filter(None, (task.name, task.summary)))
    yield f"  source      {task.source or '-'}"
    if task.assumptions:
        yield f"  chosen      {task.assumptions}"
    if task.dataset is not None:
        yield f"  data        {task.dataset_name}, {_held_out(task.protocol)}"
    yield f"  objective   {objectives.words(task.objectives)}"
    yield f"  protocol    {_protocol(task)}"
    if task.grace > 1:
        yield f"  grace       {task.grace} epochs before a score says anything"
    yield f"  baseline    {' '.join(f'{name}={value}' for name, value in task.baseline.items())}"
    yield f"  space       {'not finite' if task.space.size is None else f'{task.space.size} configurations'}"
    yield from (f"    {line}" for line in task.space.describe())
    yield from (
        f"  {figure.table}: {figure.metric} {figure.value:.4f} for {figure.setting}" for figure in task.reported
    )


def _protocol(task: Task) -> str:
    protocol, patience = task.protocol, task.protocol.patience
    end = "no early stopping" if patience is None else f"early stopping after {patience} epochs without improvement"
    special = "".join(f"; {setting}" for setting in protocol.special)
    length = "as many steps as the function has" if protocol.epochs is None else f"at most {protocol.epochs} epochs"
    batches = "" if task.dataset is None else f"; batch size {protocol.batch_size}"
    return f"{length}, {end}{batches}{special}"


def _held_out(protocol: Protocol) -> str:
    if protocol.folds is not None:
        return f"in {protocol.folds} folds, each held out in its turn"
    return f"{_share(protocol.validation)} held out for validation"


def _share(validation: float) -> str:
    return f"{validation:.0%}" if isinstance(validation, float) else f"{validation} images"
