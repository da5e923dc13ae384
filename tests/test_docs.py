"""What the documents show is what the program has."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from docs import make_cli_reference
from tune_jobs import datasets
from tune_jobs.cli import cli, run
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.catalog import TASKS
from tune_jobs.study import file as study_file

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_task_file_that_is_shown_is_a_task_with_data(tmp_path: Path) -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "docs" / "adding_a_task.md").read_text(), re.S)
    assert block is not None
    file = tmp_path / "spirals.py"
    file.write_text(block[1])
    task = catalog.find(f"{file}:SPIRALS")
    data = datasets.load(task.dataset, data_dir=tmp_path, validation=task.protocol.validation)
    assert data.train.x.shape == (1920, 16, 16, 1)
    assert len(data.validation) == 480
    assert set(data.train.labels) == {0, 1, 2}


def test_every_command_option_and_task_that_is_shown_exists() -> None:
    context = click.Context(cli)
    names = {task.name for task in TASKS} | {"my_task.py:MY_TASK", "spirals.py", "spirals.py:SPIRALS", "TASK"}
    shown = [line for file in DOCUMENTS for line in re.findall(r"tune-jobs ([^`\n]*)", file.read_text())]
    commands = {command: cli.get_command(context, command) for command in cli.list_commands(context)}
    used = [line.split("#")[0].replace("[OPTIONS]", "").split() for line in shown]
    used = [words for words in used if words and words[0] in commands]
    assert len(used) > 10
    for words in used:
        command = commands[words[0]]
        assert command is not None
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)} <= known, words
        if words[0] in ("launch", "show") and len(words) > 1:
            assert words[1] in names, words


def test_the_reference_of_the_command_line_is_what_the_commands_say() -> None:
    assert make_cli_reference.PAGE.read_text() == make_cli_reference.page(), "run python docs/make_cli_reference.py"


def test_the_first_screen_has_the_two_commands_that_do_all_the_set_up() -> None:
    block = re.search(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    run, test = block[1].strip().split("\n")
    assert run.endswith("tune-jobs launch digits-mlp")
    assert test.endswith("pytest")
    assert all(line.startswith("python3 -m venv .venv && .venv/bin/pip install") for line in (run, test))


@pytest.mark.parametrize(
    ("folder", "page", "more"), [("clock", "clock.md", ("--page", "clock")), ("images", "results.md", ())]
)
def test_a_page_is_what_its_studies_make(tmp_path: Path, folder: str, page: str, more: tuple[str, ...]) -> None:
    files = sorted(map(str, (ROOT / "docs" / "studies" / folder).glob("*.study")))
    made = tmp_path / page
    assert run(["results", *files, *more, "-o", str(made), "--home", str(tmp_path / "home")]) == 0

    def without_its_day_and_machine(page: Path) -> list[str]:
        return [line for line in page.read_text().splitlines() if not line.startswith("Made by ")]

    assert without_its_day_and_machine(made) == without_its_day_and_machine(ROOT / "docs" / page)
    pictures = {path.name for path in tmp_path.glob("*.svg")}
    assert pictures == {path.name for path in (ROOT / "docs").glob(f"{made.stem}-*.svg")}


def test_every_study_that_is_kept_can_be_imported() -> None:
    files = sorted((ROOT / "docs" / "studies").rglob("*.study"))
    assert len(files) > 2
    for file in files:
        record = study_file.read(file).record
        assert record.name == file.stem
        assert record.count("complete") > 0
