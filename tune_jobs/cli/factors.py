"""`factors`: a one-factor study as its tables and learning curves."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import home_option, json_option, print_json, print_table, say, settings


@click.command(short_help="Show a one-factor study, factor by factor.")
@click.argument("study")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Its learning curves: a .svg or .png."
)
@json_option
@home_option
def factors(study: str, output: Path | None, as_json: bool, home: Path | None) -> None:
    """Show what each factor of a one-factor study does: its levels beside the baseline and beside each other.

    \b
    Example:  tune-jobs factors mnist-mlp-factors -o curves.svg
    """
    from tune_jobs.exports import factor_tables
    from tune_jobs.exports.board import printable
    from tune_jobs.leaderboard.factors import factor_study
    from tune_jobs.study.study import Study

    found = factor_study(Study.open(study, settings(home)).record())
    if output is not None:
        from tune_jobs.exports import curves, plots

        plots.save(curves.curves_plot(found), output)
    if as_json:
        print_json(factor_tables.json_form(found))
    else:
        click.echo(printable(factor_tables.about(found)))
        for factor in found.factors:
            click.echo(f"\n{printable(factor.name)}")
            rows = [[printable(cell) for cell in row] for row in factor_tables.cells(factor)]
            print_table(factor_tables.HEADINGS, rows)
        click.echo("\n" + "\n".join(factor_tables.notes(found)))
    if output is not None:
        say(f"wrote {output}")
