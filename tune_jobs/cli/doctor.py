"""`doctor`: check that everything a sweep needs is in place."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, json_option, print_json, print_text, read_settings


@click.command(short_help="Check that everything a sweep needs is in place.")
@json_option
@home_option
@data_dir_option
def doctor(as_json: bool, home: Path | None, data_dir: Path | None) -> int:
    """Check the packages, GPUs, data sets, stores and disk space. The exit code is 1 if a sweep would not run.

    \b
    Example:  tune-jobs doctor
    """
    from tune_jobs.actions import doctor

    findings = doctor.examine(read_settings(home, data_dir))
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        marks = {"ok": "ok  ", "note": "note", "bad": "BAD "}
        for finding in findings:
            print_text(f"{marks[finding.state]}  {finding.what:<12} {finding.found}")
    return 1 if any(finding.state == "bad" for finding in findings) else 0
