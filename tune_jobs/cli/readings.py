"""`readings`: the readings of test splits that are known here."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tune_jobs.cli.options import home_option, json_option, print_json, print_table, read_settings, say

if TYPE_CHECKING:
    from tune_jobs.actions.readings import NotedReading

_COLUMNS = ("data", "reading", "when", "for whom", "study", "task", "trials", "begun since")
_LESS = ("task", "trials", "for whom", "begun since")  # what a narrow terminal may do without, the first first


@click.command(short_help="List the readings of test splits.")
@home_option
@json_option
def readings(home: Path | None, as_json: bool) -> None:
    """List the readings of test splits by all studies of the home folder or of TUNE_JOBS_STORAGE, also by deleted ones.

    Each line says which reading of its split it was, when, for whom and for which study, how many trials it scored, and
    how many trials of any study have begun on the same data since: those may have been chosen with its figures in mind.

    \b
    Example:  tune-jobs readings
    """
    from dataclasses import asdict

    from tune_jobs.actions.readings import all_readings

    noted = all_readings(read_settings(home), say)
    if as_json:
        print_json([asdict(reading) for reading in noted])
    elif noted:
        print_table(_COLUMNS, [_cells(reading) for reading in noted], less=_LESS)
    else:
        say("No test split was read yet. `tune-jobs evaluate STUDY` reads one.")


def _cells(reading: NotedReading) -> tuple[object, ...]:
    when = datetime.fromtimestamp(reading.at, UTC).strftime("%Y-%m-%d %H:%M")
    study = f"{reading.study} (deleted)" if reading.is_deleted else reading.study
    numbers = reading.trials, reading.begun_since
    return (reading.data, reading.place, when, reading.by, study, reading.task, *numbers)
