"""`factors`: show a one-factor study as tables and learning curves."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import home_option, json_option, print_json, print_table, print_text, read_settings, say
from tune_jobs.files import make_parent


@click.command(short_help="Show the effect of each factor of a one-factor study.")
@click.argument("study")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the learning curves to FILE, .svg or .png.",
)
@json_option
@home_option
def factors(study: str, output: Path | None, as_json: bool, home: Path | None) -> None:
    """Show the effect of each factor of a one-factor study, level by level, against the baseline.

    \b
    Example:  tune-jobs factors mnist-mlp-factors -o curves.svg
    """
    from tune_jobs.exports import factor_tables
    from tune_jobs.leaderboard.factors import factor_study
    from tune_jobs.study.study import Study

    study_factors = factor_study(Study.open(study, read_settings(home)).record())
    if output is not None:
        from tune_jobs.exports import curves, plots

        make_parent(output)
        plots.save(curves.curves_plot(study_factors), output)
    if as_json:
        print_json(factor_tables.json_form(study_factors))
    else:
        print_text(factor_tables.about(study_factors))
        for factor in study_factors.factors:
            print_text(f"\n{factor.name}")
            print_table(factor_tables.HEADINGS, factor_tables.cells(factor))
        print_text("\n" + "\n".join(factor_tables.notes(study_factors)))
    if output is not None:
        say(f"wrote {output}")
