"""`launch`: the main job."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, say, settings
from tune_jobs.cli.resources import resource_options, taken, tell
from tune_jobs.records.studies import SCHEDULERS, SEARCHES
from tune_jobs.search_spaces.task import PRECISIONS


def _assignments(ctx: click.Context, param: click.Parameter, given: tuple[str, ...]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals and value):
            raise click.BadParameter(f"needs NAME=VALUE, NAME=A,B or NAME=LOW..HIGH; got {text!r}")
        if name in found:
            raise click.BadParameter(f"{name} is set twice; say all its values at once: {name}={found[name]},{value}")
        found[name] = value
    return found


@click.command(short_help="Begin a study, or continue it.")
@click.argument("task")
@click.option("--study", help="Name of the study; the task's name where not given.")
@click.option("--trials", type=click.IntRange(min=1), help="Trials in the study in all; a grid runs to its end.")
@click.option(
    "--search",
    type=click.Choice((*SEARCHES, "auto")),
    help="How params are found (tpe where not given; auto picks by the space and says why); the task's baseline alone, "
    "or all that was reported for it.",
)
@click.option("--epochs", type=click.IntRange(min=1), help="Epochs at most, in place of the task's.")
@click.option("--images", type=click.IntRange(min=1), help="Train on so many images only, each class in its share.")
@click.option(
    "--precision",
    type=click.Choice(PRECISIONS),
    help="What layers compute in, in place of the task's; weights and scores are float32 in each.",
)
@click.option(
    "--deterministic/--no-deterministic",
    default=None,
    help="Scores that repeat to the last digit on a GPU too, which is slower.",
)
@click.option("--seed", type=click.IntRange(min=0), help="Of the search and of every trial (0 where not given).")
@click.option(
    "--set",
    "narrowed",
    multiple=True,
    callback=_assignments,
    metavar="NAME=VALUE",
    help="Narrow the space: optimizer=adam, units=128,512, learning_rate=1e-4..1e-2.",
)
@click.option(
    "--open", "opened", multiple=True, metavar="NAME", help="Search a parameter that the task holds at a value."
)
@click.option("--no-baseline", is_flag=True, help="Do not begin the study with the task's baseline.")
@click.option(
    "--objective",
    "objectives",
    multiple=True,
    metavar="NAME",
    help="In place of the task's; several are weighed against each other: val_accuracy, parameters, latency, "
    "train_seconds, max:NAME or min:NAME of any metric.",
)
@click.option(
    "--try",
    "tried",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Begin with the configurations in a YAML file: params, a list of them, or a best.yaml.",
)
@click.option("--seed-from", metavar="STUDY", help="Begin with the five best configurations of another study.")
@click.option(
    "--scheduler", type=click.Choice(SCHEDULERS), help="Who stops trials early, or trains all as a population (pbt)."
)
@click.option(
    "--grace",
    type=click.IntRange(min=1),
    metavar="EPOCHS",
    help="What a scheduler grants every trial; of a population, from one comparison to the next.",
)
@click.option("--eta", type=click.IntRange(min=2), help="About one trial in so many goes on at each look (3).")
@click.option(
    "--total-epochs", type=click.IntRange(min=1), help="Begin no further trial after so many epochs in all trials."
)
@click.option(
    "--stop-when-flat",
    type=click.IntRange(min=1),
    metavar="N",
    help="Begin no further trial after N without a better score.",
)
@resource_options
@home_option
@data_dir_option
def launch(home: Path | None, data_dir: Path | None, **options: object) -> int:
    """Begin a study, or continue it: the same command again runs only what is missing.

    TASK is a name of the catalogue (`tune-jobs tasks`), or FILE.py:NAME for one of your own. Ctrl-C ends it cleanly,
    twice at once; what is finished is kept.

    \b
    Example:  tune-jobs launch fashion-mnist-mlp --search grid
              tune-jobs launch digits-mlp --set optimizer=adam --trials 30 --time-limit 10m
              tune-jobs launch digits-mlp --objective val_accuracy --objective parameters
    """
    from tune_jobs.actions import launch

    where = settings(home, data_dir)
    request = launch.LaunchRequest(resources=taken(options), **options)  # type: ignore[arg-type]
    return tell(launch.launch(request, where, say))
