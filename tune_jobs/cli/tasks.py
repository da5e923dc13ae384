"""`tasks` and `show`: what can be swept."""

from __future__ import annotations

import re

import click

from tune_jobs.cli.options import json_option, print_json, print_table


@click.command(short_help="List the tasks there are.")
@json_option
def tasks(as_json: bool) -> None:
    """List the tasks of the catalogue, by what they are about.

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

    TASK is a name of the catalogue, or FILE.py:NAME for one of your own.

    \b
    Example:  tune-jobs show fashion-mnist-mlp
    """
    from dataclasses import asdict

    from tune_jobs.search_spaces import catalog

    found = catalog.find(task)
    size = found.space.size
    if as_json:
        print_json(
            {
                "name": found.name,
                "summary": found.summary,
                "source": found.source,
                "chosen": found.assumptions,
                "dataset": found.dataset_name,
                "objective": asdict(found.objective),
                "protocol": asdict(found.protocol),
                "baseline": dict(found.baseline),
                "reported": [asdict(figure) for figure in found.reported],
                "grid_size": size,
                "space": found.space.to_json(),
                "digest": found.digest(),
            }
        )
        return
    protocol = found.protocol
    patience = "to the end" if protocol.patience is None else f"until {protocol.patience} epochs bring nothing better"
    click.echo(f"{found.name}: {found.summary}")
    click.echo(f"  source      {found.source or '-'}")
    if found.assumptions:
        click.echo(f"  chosen      {found.assumptions}")
    click.echo(f"  data        {found.dataset_name}, {_share(protocol.validation)} held out for validation")
    click.echo(f"  objective   {found.objective.direction} {found.objective.metric}")
    special = "".join(f"; {one}" for one in protocol.special)
    click.echo(f"  protocol    at most {protocol.epochs} epochs, {patience}; batch size {protocol.batch_size}{special}")
    click.echo(f"  baseline    {' '.join(f'{name}={value}' for name, value in found.baseline.items())}")
    click.echo(f"  space       {'not finite' if size is None else f'{size} configurations'}")
    for line in found.space.describe():
        click.echo(f"    {line}")
    for figure in found.reported:
        click.echo(f"  {figure.table}: {figure.metric} {figure.value:.4f} for {figure.setting}")


def _share(validation: float) -> str:
    return f"{validation:.0%}" if isinstance(validation, float) else f"{validation} images"
