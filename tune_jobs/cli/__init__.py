"""The command line: `tune-jobs COMMAND`. A command parses its options, calls one action and prints the result.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 failed, 2 usage error. A command's module
is imported when the command is called or its help is shown, so that `--help` answers at once.
"""

from __future__ import annotations

import errno
import importlib
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from tune_jobs import environment, process, settings
from tune_jobs.training import tensorflow_start
from tune_jobs.words import printable, printable_lines

# The headings of `tune-jobs --help`; under each, its commands with the module that each one lives in.
_GROUPS = {
    "Begin and steer": {
        "launch": "launch",
        "extend": "steer",
        "enqueue": "enqueue",
        "retry": "retry",
        "stop": "steer",
        "drain": "steer",
        "undrain": "steer",
        "delete": "steer",
    },
    "Look": {
        "tasks": "tasks",
        "show": "tasks",
        "studies": "studies",
        "status": "studies",
        "leaderboard": "leaderboard",
        "readings": "readings",
        "report": "report",
        "factors": "factors",
        "ui": "ui",
        "dashboard": "dashboard",
        "tensorboard": "tensorboard",
        "usage": "usage",
        "sync": "sync",
        "doctor": "doctor",
    },
    "Claim": {
        "replicate": "replicate",
        "evaluate": "evaluate",
        "compare": "compare",
        "transfer": "transfer",
        "results": "results_pages",
    },
    "Take away": {
        "export": "leaderboard",
        "train": "train",
        "predict": "predict",
        "generate": "generate",
        "export-study": "portable",
        "import-study": "portable",
    },
    "Cluster": {
        "submit": "jobs",
        "jobs": "jobs",
        "logs": "jobs",
        "launch-sent": "jobs",
    },
}
_MODULES = {command: module for commands in _GROUPS.values() for command, module in commands.items()}
_MAKE_ROOM = "make room, then run the same command again"
_HELP = {  # against errors of the system that no program can avoid
    errno.ENOSPC: _MAKE_ROOM,
    errno.EDQUOT: _MAKE_ROOM,
    errno.EACCES: "it, or a folder above it, is closed to this user",
}


class _Commands(click.Group):
    """Import a command's module when the command is called or its help is shown; list commands under headings."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_MODULES)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _MODULES:
            return None
        module = importlib.import_module(f"tune_jobs.cli.{_MODULES[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def groups(self, ctx: click.Context) -> dict[str, list[tuple[str, click.Command]]]:
        """Return the headings of the help, each with the names and commands under it; hidden commands are left out."""
        commands = {name: self.get_command(ctx, name) for name in _MODULES}
        return {
            heading: [(name, command) for name in names if (command := commands[name]) and not command.hidden]
            for heading, names in _GROUPS.items()
        }

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        groups = self.groups(ctx)
        width = max(len(name) for commands in groups.values() for name, _ in commands)
        for heading, commands in groups.items():
            with formatter.section(heading):
                formatter.write_dl([(name.ljust(width), command.get_short_help_str()) for name, command in commands])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="tune-jobs", message="%(package)s %(version)s")
def cli() -> None:
    """Run hyperparameter sweeps of Keras models that people can trust.

    Name a task and get a leaderboard, and the best configuration as a file that trains again to the same score. If a
    sweep is killed, run the same command again: no finished trial is lost or run twice.

    \b
    Exit codes:
      0    done
      1    failed: what a command checks or waits for is not as it should be, or all its trials or finalists failed
      2    usage error, or something that you have to correct; one line says what
      130  ended by Ctrl-C
      143  ended by SIGTERM

    \b
    Example:  tune-jobs launch digits-mlp --trials 12
    """
    from tune_jobs.environment import prepare_keras
    from tune_jobs.search_spaces.spelling import near

    prepare_keras()  # before a task's file is read
    for name in settings.unread_variables():
        hint = near(name, settings.VARIABLES, most=1)
        click.echo(printable(f"{name} in the environment is no variable of ours and does nothing{hint}"), err=True)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line in a process of its own and exit with its exit code."""
    process.prepare()
    environment.prepare_python()
    tensorflow_start.hush()
    code = run(arguments)
    process.finish(code)
    _remove_what_was_left()
    sys.exit(code)


def _remove_what_was_left() -> None:
    """Remove the temporary folders of processes that were killed, once this command has said all that it has to say."""
    from tune_jobs import temporary

    temporary.clear()


def run(arguments: Sequence[str] | None = None) -> int:
    """Run a command line and return its exit code. A user's mistake is reported in one line, without a traceback."""
    try:
        code = cli.main(args=None if arguments is None else list(arguments), standalone_mode=False)
    except click.exceptions.Exit as finished:
        return finished.exit_code
    except click.exceptions.NoArgsIsHelpError as help_page:
        click.echo(printable_lines(help_page.format_message()))
        return 0
    except click.ClickException as error:
        return _refuse(error.format_message())
    except (click.Abort, KeyboardInterrupt):
        click.echo("tune-jobs: interrupted", err=True)
        return 130
    except BrokenPipeError:
        process.abandon_output()
        return 1
    except OSError as error:
        if error.errno not in _HELP:
            raise
        return _refuse(f"{error.strerror} for {error.filename or 'a file'}: {_HELP[error.errno]}")
    except Exception as error:
        if not _is_user_error(error):
            raise
        return _refuse(str(error))
    return code if isinstance(code, int) else 0


def _refuse(message: str) -> int:
    click.echo(f"tune-jobs: {printable(' '.join(message.split()))}", err=True)
    return 2


def _is_user_error(error: Exception) -> bool:
    """Return True if the user can correct the error; False for a fault of the program."""
    from tune_jobs.errors import UserError
    from tune_jobs.search_spaces.protocol import TaskError
    from tune_jobs.search_spaces.scalars import SpaceError

    return isinstance(error, UserError | TaskError | SpaceError)
