"""`sync`: a study's view in MLflow."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import home_option, read_settings, say, say_view


@click.command(short_help="Send MLflow the trials that it does not have yet.")
@click.argument("study")
@click.option("--follow", is_flag=True, help="Deliver until standard input closes: what a launch starts beside itself.")
@home_option
def sync(study: str, follow: bool, home: Path | None) -> int:
    """Send to MLflow the trials of a study that it does not have yet.

    What MLflow refuses, such as a param that somebody logged with another value, is named and left out, and the exit
    code is 1. Everything else is delivered.

    \b
    Example:  tune-jobs sync digits-mlp
    """
    from tune_jobs import tracking
    from tune_jobs.study.study import Study
    from tune_jobs.tracking import delivery, report

    settings = read_settings(home)
    if follow:
        return delivery.follow(study, settings)
    Study.open(study, settings)  # report a wrong name before a store that is away
    tracking.check(settings)
    record, news = delivery.deliver_once(study, settings)
    place, last = settings.shown_tracking_uri, report.read(study, settings)
    for line in last.lines():
        say(line)
    refused = f", without what it refused ({len(last.left_out)})" if last.left_out else ""
    say(f"delivered {news} trials of {len(record.trials)}; MLflow at {place} has all finished trials{refused}")
    say_view(study, report.server_address(study, settings))
    return 1 if last.left_out else 0
