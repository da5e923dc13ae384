"""The command line: `tune-jobs COMMAND`. Commands parse, call one function and print.

Results go to stdout, progress and messages to stderr; exit codes are 0 done, 1 failed, 2 asked wrongly. Nothing heavy
is imported before a command needs it: `--help` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

_COMMANDS = {  # in the order of their help: a command and the module it lives in
    "tasks": "tasks",
    "show": "tasks",
    "launch": "launch",
    "replicate": "replicate",
    "transfer": "transfer",
    "evaluate": "evaluate",
    "extend": "steer",
    "retry": "retry",
    "stop": "steer",
    "drain": "steer",
    "undrain": "steer",
    "studies": "studies",
    "status": "studies",
    "leaderboard": "leaderboard",
    "compare": "compare",
    "factors": "factors",
    "export": "leaderboard",
    "export-study": "portable",
    "import-study": "portable",
    "delete": "steer",
    "results": "results_pages",
    "train": "train",
    "predict": "predict",
    "sync": "stores",
    "ui": "stores",
    "doctor": "doctor",
    "submit": "jobs",
    "jobs": "jobs",
    "logs": "jobs",
    "launch-sent": "jobs",
}


class _Commands(click.Group):
    """Imports a command's module when the command is called or its help is shown."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"tune_jobs.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tune-jobs", message="%(package)s %(version)s")
def cli() -> None:
    """Hyperparameter sweeps of Keras models that people trust.

    Name a task, get a leaderboard and the best configuration as a file that trains again to the same score. Kill it
    anywhere, run the same command again: nothing that finished is lost or run twice.

    \b
    Example:  tune-jobs launch digits-mlp --trials 12
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Runs a command line and ends the process with its exit code; a mistake of the user's is one line."""
    sys.exit(run(arguments))


def run(arguments: Sequence[str] | None = None) -> int:
    """Runs a command line; its exit code."""
    try:
        answer = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.exceptions.Exit as done:
        return done.exit_code
    except click.exceptions.NoArgsIsHelpError as asked:
        click.echo(asked.format_message())
        return 0
    except click.ClickException as error:
        return _refuse(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        click.echo("tune-jobs: interrupted", err=True)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        return _refuse(f"{error.strerror} for {error.filename or 'a file'}: make room, then run the same command again")
    except Exception as error:
        if not _is_users(error):
            raise
        return _refuse(str(error))
    return answer if isinstance(answer, int) else 0


def _refuse(message: str) -> int:
    click.echo(f"tune-jobs: {' '.join(message.split())}", err=True)
    return 2


def _is_users(error: Exception) -> bool:
    """Whether the user has to mend something, rather than we."""
    from tune_jobs.errors import UserError
    from tune_jobs.search_spaces.scalars import SpaceError
    from tune_jobs.search_spaces.task import TaskError

    return isinstance(error, UserError | TaskError | SpaceError)
