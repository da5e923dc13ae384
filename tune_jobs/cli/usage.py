"""`usage`: what studies took of the machines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from tune_jobs.cli.options import home_option, json_option, print_table, print_text, read_settings, say


def _keys(ctx: click.Context, param: click.Parameter, text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",")))
    if not set(names) <= {"study", "user", "month"}:
        raise click.BadParameter(f"needs some of study, user and month, such as user,month; got {text!r}")
    return names


@click.command(short_help="Show the CPU and GPU time that studies took.")
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
@click.option(
    "--by",
    default="study,user,month",
    show_default=True,
    callback=_keys,
    metavar="KEYS",
    help="What has a line of its own: some of study, user and month, with commas between.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(("table", "csv", "json")),
    default="table",
    show_default=True,
    help="Format of the output.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write CSV, or JSON if it is asked for, to FILE instead of the terminal.",
)
@json_option
@home_option
def usage(
    studies: tuple[str, ...], by: tuple[str, ...], form: str, output: Path | None, as_json: bool, home: Path | None
) -> None:
    """Show what the trials of these studies, or of all, took of the machines: seconds of CPUs and GPUs that they held,
    the share of these that was idle, and the energy of GPUs where their driver reports it.

    A dash is for what was not recorded, as by earlier versions. The month is in UTC.

    \b
    Example:  tune-jobs usage
              tune-jobs usage --by user,month --format csv
    """
    from tune_jobs import exports
    from tune_jobs.actions import usage
    from tune_jobs.exports import accounts

    lines, all_together = usage.usage(studies, read_settings(home), say, by)  # type: ignore[arg-type]
    is_json = as_json or form == "json"
    if is_json or form == "csv" or output is not None:
        text = accounts.json_text(lines) if is_json else accounts.csv_text(lines, by)  # type: ignore[arg-type]
        if output is None:
            print_text(text, nl=False)
        else:
            exports.write(output, text)
            say(f"wrote {output}")
    elif lines:
        _print(lines, vars(all_together), by)
    else:
        say("No trial has ended yet. Begin a study with `tune-jobs launch digits-mlp`.")


def _print(lines: Sequence[Mapping[str, Any]], all_together: Mapping[str, Any], by: Sequence[str]) -> None:
    headings = ("trials", "CPU s", "CPU idle", "GPU s", "GPU idle", "GPU Wh")
    rows = [(*(line[key] for key in by), *_cells(line)) for line in lines]
    if len(lines) > 1:
        rows.append(("total", *([""] * (len(by) - 1)), *_cells(all_together)))
    print_table((*by, *headings), rows)
    if unrecorded := all_together["unrecorded"]:
        say(f"Of {unrecorded} trials only a part was recorded; what is known of them counts")


def _cells(line: Mapping[str, Any]) -> tuple[object, ...]:
    seconds = (None if line[name] is None else round(line[name]) for name in ("cpu_seconds", "gpu_seconds"))
    idle = (None if line[name] is None else f"{line[name]:.0%}" for name in ("cpu_idle", "gpu_idle"))
    (cpu, gpu), (cpu_idle, gpu_idle) = seconds, idle
    energy = None if line["energy_wh"] is None else f"{line['energy_wh']:.1f}"
    return line["trials"], cpu, cpu_idle, gpu, gpu_idle, energy
