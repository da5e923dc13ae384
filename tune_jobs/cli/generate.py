"""`generate`: draw images with a saved model."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli.options import data_dir_option, home_option, moved_task_option, print_text, read_settings
from tune_jobs.errors import UserError


@click.command(short_help="Draw images with a saved model.")
@click.argument("model", type=click.Path(path_type=Path))
@click.option("--n", type=click.IntRange(1, 4096), default=64, show_default=True, help="Draw N images.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of the noise.")
@click.option(
    "--walk", metavar="I,J", help="Change these coordinates of the latents together, from left to right; from 1."
)
@click.option(
    "--between",
    type=click.Path(path_type=Path),
    nargs=2,
    metavar="IMAGE IMAGE",
    help="Draw the way from one image to another, in up to 8 steps.",
)
@click.option("--map", "with_map", is_flag=True, help="Draw where the validation images lie among the latents.")
@moved_task_option
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    metavar="FILE",
    help="Write the picture to FILE, such as samples.png.",
)
@home_option
@data_dir_option
def generate(
    model: Path,
    n: int,
    seed: int,
    walk: str | None,
    between: tuple[Path, Path] | None,
    with_map: bool,
    task: str | None,
    output: Path,
    home: Path | None,
    data_dir: Path | None,
) -> int:
    """Draw images with a generative model that `train -o model.keras` saved.

    Without --walk, --between and --map these are samples. In each row of a walk one sample changes in some coordinates
    only, from -3 to 3. The way between two images is spherical. A map shows the plane in which the latents vary most,
    with a colour for each class. Autoencoders have no samples and walks, and adversarial networks no way between
    images and no map.

    \b
    Example:  tune-jobs generate model.keras --walk 10,27 -o walk.png
    """
    from tune_jobs.actions import generate as action

    request = action.GenerateRequest(n, seed, _coordinates(walk), between or None, with_map)
    action.generate(model, output, request, read_settings(home, data_dir), task=task)
    print_text(f"picture saved to {click.format_filename(output)}")
    return 0


def _coordinates(walk: str | None) -> tuple[int, ...]:
    if walk is None:
        return ()
    parts = walk.split(",")
    if not all(part.strip().isascii() and part.strip().isdigit() for part in parts):
        raise UserError(f"--walk needs coordinates from 1 on, such as 10,27; got {walk!r}")
    return tuple(int(part) for part in parts)
