"""`tensorboard`: event files of studies, and TensorBoard on them."""

from __future__ import annotations

from pathlib import Path

import click

from tune_jobs.cli import local_pages
from tune_jobs.cli.options import home_option, print_text, read_settings, say
from tune_jobs.errors import UserError


@click.command(short_help="Open TensorBoard on studies, or write event files for it.")
@click.argument("studies", nargs=-1, metavar="[STUDY]...")
@click.option("--all", "all_studies", is_flag=True, help="All studies.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the event files to DIR and start nothing.",
)
@click.option("--live", is_flag=True, help="Add what is new while studies run, until Ctrl-C.")
@local_pages.page_options(6006, "Ask for no password: then every user of this machine can read the page while it runs.")
@home_option
def tensorboard(
    studies: tuple[str, ...],
    all_studies: bool,
    output: Path | None,
    live: bool,
    port: int,
    opens: bool,
    no_auth: bool,
    home: Path | None,
) -> None:
    """Start TensorBoard on 127.0.0.1 on event files of studies, which are written first. Press Ctrl-C to end it.

    Any study has them, an imported one too: they are computed from it. The metrics of each epoch are scalars, a run is
    a trial, and the page HParams has the params with the best score. TensorBoard asks for a password that is made for
    this one time; the address has it. It needs the extra `tensorboard`; -o does not.

    \b
    Example:  tune-jobs tensorboard digits-mlp --open
    """
    from tune_jobs import temporary
    from tune_jobs.actions import tensorboard
    from tune_jobs.actions.local_page import LocalPage
    from tune_jobs.study.storage import study_names

    settings = read_settings(home)
    names = study_names(settings) if all_studies else tuple(dict.fromkeys(studies))
    if not names or (all_studies and studies):
        raise UserError("tensorboard needs one or more studies, or --all; `tune-jobs studies` lists them")
    if output is not None:
        logs = tensorboard.Logs.of(names, output, settings)
        say(f"event files of {logs.write()} trials are in the folder that is printed")
        print_text(str(output))
        if live:
            logs.follow()
        return
    tensorboard.check()
    page = LocalPage.at(port, no_auth=no_auth)
    with temporary.folder() as folder:
        logs = tensorboard.Logs.of(names, folder, settings)
        say(f"TensorBoard is starting, on {logs.write()} trials …")
        tensorboard.serve(logs, page, lambda: local_pages.say_page("TensorBoard", page, "/", opens=opens), live=live)
