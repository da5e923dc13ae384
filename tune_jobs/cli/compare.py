"""`compare`: compare the best configurations of several studies."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tune_jobs.cli.options import home_option, json_option, print_json, print_table, print_text, read_settings, say
from tune_jobs.files import make_parent

if TYPE_CHECKING:
    from tune_jobs.leaderboard.comparison import Comparison, Pair, Winner
    from tune_jobs.records.studies import StudyRecord


@click.command(short_help="Compare the best configurations of several studies.")
@click.argument("studies", metavar="STUDY...", nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write a plot to FILE, .svg or .png, or a report with figures, .html.",
)
@json_option
@home_option
def compare(studies: tuple[str, ...], output: Path | None, as_json: bool, home: Path | None) -> None:
    """Compare the winners of several studies. Two that were trained with the same seeds on the same data are tested
    against each other. With -o FILE.html there is a report: winners, tests, how each search went, how studies differ.

    \b
    Example:  tune-jobs compare fashion-mnist-mlp fashion-mnist-mlp-open -o winners.svg
    """
    from dataclasses import asdict

    from tune_jobs.exports import data
    from tune_jobs.leaderboard import comparison
    from tune_jobs.study.study import Study

    settings = read_settings(home)
    records = [Study.open(name, settings).record() for name in studies]
    compared = comparison.compare(records)
    if output is not None:
        _write(records, compared, output)
    if as_json:
        winners = [asdict(winner) | {"row": data.row_fields(winner.row)} for winner in compared.winners]
        print_json({"winners": winners, "pairs": [asdict(pair) for pair in compared.pairs]})
    else:
        _print(compared)
    if output is not None:
        say(f"wrote {output}")


def _write(records: Sequence[StudyRecord], compared: Comparison, output: Path) -> None:
    make_parent(output)
    if output.suffix == ".html":
        from tune_jobs import exports, study_report

        exports.write(output, study_report.comparison_text(records, compared))
        return
    from tune_jobs.exports import plots

    plots.save(plots.winners_plot(compared), output)


def _print(compared: Comparison) -> None:
    from tune_jobs.leaderboard import comparison

    columns = ("study", "task", "metric", "n", "mean", "std", "95 %", "test", "test 95 %")
    less = ("task", "test 95 %", "std", "metric", "test")
    print_table(columns, [_winner(winner) for winner in compared.winners], less)
    tested = [pair for pair in compared.pairs if pair.why_not is None]
    if tested:
        print_text()
        print_table(("pair", "seeds", "difference", "95 %", "p", "Holm"), [_pair(pair) for pair in tested])
        print_text(f"\n{comparison.MEANING}")
    refused = [pair for pair in compared.pairs if pair.why_not is not None]
    if refused:
        print_text("\nnot tested:")
    for pair in refused:
        print_text(f"  {_named(pair)}: {pair.why_not}")


def _winner(winner: Winner) -> tuple[object, ...]:
    from tune_jobs.exports import numbers

    row, tested = winner.row, winner.row.tested
    test = (None, None) if tested is None else (numbers.score(tested.score), numbers.between(tested.interval))
    known = (row.n, numbers.score(row.score), numbers.std(row.std), numbers.between(row.interval))
    return (winner.study, winner.task, winner.objective.metric, *known, *test)


def _pair(pair: Pair) -> tuple[object, ...]:
    from tune_jobs.exports import numbers

    figures = (numbers.signed(pair.difference), numbers.between_signed(pair.interval))
    return (_named(pair), len(pair.seeds), *figures, numbers.p_value(pair.p), numbers.p_value(pair.p_holm))


def _named(pair: Pair) -> str:
    return f"{pair.first} - {pair.second}"
