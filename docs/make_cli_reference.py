"""Write docs/cli.md from the commands themselves: `python docs/make_cli_reference.py`. A test says when that is due."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path

import click

from tune_jobs.cli import cli

PAGE = Path(__file__).with_name("cli.md")

_HEAD = """\
# Command line

`tune-jobs COMMAND --help` shows the same texts in the terminal. This page is generated from the commands by
`python docs/make_cli_reference.py`; do not edit it by hand.

Results go to stdout, progress and messages to stderr. `--json`, where a command has it, prints JSON for programs.

| exit code | meaning |
|---|---|
| 0 | done |
| 1 | failed: the command ran, and what it checked or waited for is not so, or all its trials or finalists failed |
| 2 | usage error, or something that you have to correct; one line says what |
| 130 | ended by Ctrl-C |
| 143 | ended by SIGTERM |

A duration is written as `90s`, `30m`, `2h` or `1h30m`; a number alone is in seconds.
"""


def page() -> str:
    """Return the whole page."""
    context = click.Context(cli, info_name="tune-jobs")
    parts = [_HEAD]
    for heading, commands in cli.groups(context).items():
        parts.append(f"## {heading}\n")
        parts += ["\n".join(_section(command, name, context)) for name, command in commands]
    return "\n".join(parts)


def _section(command: click.Command, name: str, parent: click.Context) -> Iterator[str]:
    """Yield the lines of one command: purpose, usage, example, options."""
    context = click.Context(command, parent=parent, info_name=name)
    purpose, example = _purpose_and_example(command)
    yield f"### {name}\n"
    yield f"{purpose}\n"
    yield f"```bash\n{context.command_path} {' '.join(command.collect_usage_pieces(context))}\n```\n"
    yield f"For example:\n\n```bash\n{example}\n```\n"
    yield "| option | meaning |\n|---|---|"
    for option, meaning in _options(command, context):
        yield f"| `{_cell(option)}` | {_cell(meaning)} |"
    yield ""


def _purpose_and_example(command: click.Command) -> tuple[str, str]:
    text = inspect.cleandoc(command.help or "")
    purpose, _, examples = text.partition("\b\n")
    lines = [line.removeprefix("Example:").strip() for line in examples.splitlines()]
    return purpose.strip(), "\n".join(lines)


def _options(command: click.Command, context: click.Context) -> Iterator[tuple[str, str]]:
    for param in command.params:
        record = param.get_help_record(context) if isinstance(param, click.Option) else None
        if record is not None:
            yield record


def _cell(text: str) -> str:
    """Return a text that does not end a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
