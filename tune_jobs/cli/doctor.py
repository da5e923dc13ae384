"""`doctor`: check that everything a sweep needs is in place, or all that is kept of a study."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, json_option, print_json, print_text, read_settings, say


@click.command(short_help="Check what a sweep needs, or a study; repair a study.")
@click.argument("study", required=False)
@click.option("--repair", is_flag=True, help="Repair what can be repaired in STUDY, and keep a copy of its file.")
@json_option
@home_option
@data_dir_option
def doctor(study: str | None, repair: bool, as_json: bool, home: Path | None, data_dir: Path | None) -> int:
    """Check the packages, GPUs, data sets, stores and disk space. The exit code is 1 if a sweep would not run.

    With STUDY, check all that is kept of it: each record of its file against its checksum, its trials, exports, kept
    weights and checkpoints, and MLflow. The exit code is 1 if something is damaged. With --repair, restore what can be
    restored and drop what cannot; each trial that loses something is named.

    \b
    Example:  tune-jobs doctor
              tune-jobs doctor digits-mlp --repair
    """
    from tune_jobs.actions import doctor, doctor_study

    settings = read_settings(home, data_dir)
    if study is None:
        if repair:
            raise click.UsageError("--repair needs the name of a study: tune-jobs doctor STUDY --repair")
        findings = doctor.examine(settings)
    else:
        for line in doctor_study.repair(study, settings) if repair else ():
            say(f"tune-jobs: {line}")
        findings = doctor_study.examine(study, settings)
    if as_json:
        print_json([asdict(finding) for finding in findings])
    else:
        marks = {"ok": "ok  ", "note": "note", "bad": "BAD "}
        for finding in findings:
            print_text(f"{marks[finding.state]}  {finding.what:<12} {finding.found}")
    return 1 if any(finding.state == "bad" for finding in findings) else 0
