"""`launch`: begin or continue a study."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import (
    assignments,
    data_dir_option,
    epochs_option,
    home_option,
    images_option,
    read_settings,
    say,
)
from tune_jobs.cli.resources import print_outcome, resource_options, take_resources
from tune_jobs.records.studies import RESOURCES, SCHEDULERS, SEARCHES
from tune_jobs.search_spaces.protocol import PRECISIONS


@click.command(short_help="Begin or continue a study.")
@click.argument("task")
@click.option(
    "--data",
    metavar="NAME",
    help="Data set in place of the task's own: a name, or a folder of images (NAME@64) or table (NAME@TARGET) in the "
    "data folder.",
)
@click.option("--study", metavar="NAME", help="Name of the study (default: the task's name).")
@click.option(
    "--trials",
    type=click.IntRange(min=1),
    metavar="N",
    help="Total number of trials in the study (default: 20; a grid runs to its end).",
)
@click.option(
    "--search",
    type=click.Choice((*SEARCHES, "auto")),
    help="Search algorithm (default: tpe). 'auto' chooses one; 'baseline' runs the task's baseline, 'reported' the "
    "published configurations.",
)
@epochs_option
@images_option
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="Number format in which layers compute (default: the task's). Weights and scores are float32 in each.",
)
@click.option(
    "--deterministic/--no-deterministic",
    default=None,
    help="Use deterministic GPU kernels, which are slower: scores repeat to the last digit (default: the task's).",
)
@click.option(
    "--portable/--no-portable",
    default=None,
    help="Compute on a CPU with instructions that other processors have too, which is slower: scores repeat on another "
    "machine (default: the task's).",
)
@click.option(
    "--folds",
    type=click.IntRange(min=2),
    metavar="K",
    help="Score trials by K-fold cross-validation: the mean over K models, each on the rows outside its fold.",
)
@click.option(
    "--seed", type=click.IntRange(min=0), metavar="N", help="Seed of the search and of every trial (default: 0)."
)
@click.option(
    "--set",
    "narrowed",
    multiple=True,
    callback=assignments,
    metavar="NAME=VALUE",
    help="Narrow the space: optimizer=adam, units=128,512, learning_rate=1e-4..1e-2. Repeatable.",
)
@click.option(
    "--open",
    "opened",
    multiple=True,
    metavar="NAME",
    help="Search a parameter that the task holds at one value. Repeatable.",
)
@click.option("--no-baseline", is_flag=True, help="Do not run the task's baseline as the study's first trial.")
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    metavar="NAME",
    help="Objective (default: the task's): val_accuracy, parameters, latency, train_seconds, or max:NAME or min:NAME "
    "of any metric. Repeat it to search for the Pareto front of several.",
)
@click.option(
    "--accept-change",
    metavar="WHY",
    help="Continue a study whose data, objective, protocol or task have changed as a new version, for this reason.",
)
@click.option(
    "--constraint",
    "constraints",
    multiple=True,
    metavar="LIMIT",
    help="Limit on a metric or measure: 'parameters<=100k', 'latency<=2ms', 'val_loss<=0.3'; 'none' drops all. "
    "Repeatable.",
)
@click.option(
    "--try",
    "tried",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Begin with the configurations of a YAML file: params, a list of them, or a best.yaml.",
)
@click.option(
    "--with",
    "with_paths",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="PATH",
    help="Take a file or folder along to all workers, beside what lies in the folder of a task file. Repeatable.",
)
@click.option(
    "--seed-from",
    metavar="STUDY",
    help="Let the search learn from all trials of another study, of the same or another task; 'none' drops that again.",
)
@click.option(
    "--seed-from-best",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin with the N best configurations of that study instead.",
)
@click.option(
    "--scheduler",
    type=click.Choice(SCHEDULERS),
    help="Scheduler that stops trials early (default: none). 'pbt' trains all trials as one population.",
)
@click.option(
    "--grace",
    type=click.IntRange(min=1),
    metavar="N",
    help="Epochs before a trial may be stopped, or folds with --folds, or images with --resource images; with pbt, "
    "epochs between comparisons (default: 1/27 of the epochs; or images; with pbt, 1/8).",
)
@click.option(
    "--resource",
    type=click.Choice(RESOURCES),
    help="What asha gives a trial more and more of (default: epochs). With images, each rung is a training of its own.",
)
@click.option(
    "--eta",
    type=click.IntRange(min=2),
    metavar="ETA",
    help="Keep about one in ETA trials at each rung (default: 3).",
)
@click.option(
    "--total-epochs",
    type=click.IntRange(min=1),
    metavar="N",
    help="Start no further trial after N epochs in all trials together (default: no limit).",
)
@click.option(
    "--stop-when-flat",
    type=click.IntRange(min=1),
    metavar="N",
    help="Start no further trial after N trials without a better score (default: no limit).",
)
@resource_options
@home_option
@data_dir_option
def launch(home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Begin a study, or continue one: the same command again runs only the trials that are missing.

    TASK is the name of a task (`tune-jobs tasks` lists them), or FILE.py:NAME for one of your own. Press Ctrl-C once
    to stop: finished trials are kept, the rest run next time. Press it twice to quit at once. A study remembers its
    options, so that they need not be repeated to continue it. The exit code is 1 if all its trials failed.

    \b
    Example:  tune-jobs launch fashion-mnist-mlp --search grid
              tune-jobs launch digits-mlp --set optimizer=adam --trials 30 --time-limit 10m
              tune-jobs launch digits-mlp --objective val_accuracy --objective parameters
              tune-jobs launch digits-mlp --constraint 'parameters<=10k' --constraint 'latency<=2ms'
    """
    from tune_jobs.actions import launch

    settings = read_settings(home, data_dir)
    request = launch.LaunchRequest(resources=take_resources(options), **options)  # type: ignore[arg-type]
    return print_outcome(launch.launch(request, settings, say))
