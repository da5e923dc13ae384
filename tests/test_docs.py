"""What the documents show is what the program has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import tune_jobs
from benchmarks import search_page
from docs import make_cli_reference
from tests.support import house
from tune_jobs import datasets
from tune_jobs.cli import cli, run
from tune_jobs.search_spaces import catalog
from tune_jobs.search_spaces.catalog import TASKS
from tune_jobs.study import file as study_file

ROOT = Path(__file__).parent.parent
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PAGES = [*DOCUMENTS, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]


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


def test_the_python_of_the_readme_calls_what_there_is() -> None:
    block = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    calls = {(ast.unparse(n.value), n.attr) for n in ast.walk(ast.parse(block[1])) if isinstance(n, ast.Attribute)}
    assert len(calls) > 3
    for name, attribute in calls:
        assert hasattr({"tj": tune_jobs, "study": tune_jobs.Study}[name], attribute), attribute


def test_the_readme_is_short() -> None:
    assert len((ROOT / "README.md").read_text().split()) < 1200


def test_the_index_has_every_page() -> None:
    index = (ROOT / "docs" / "README.md").read_text()
    listed = re.findall(r"^\* \[([\w./]+)\]\(\1\): \S", index, re.M)
    pages = {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"}
    assert sorted(name for name in listed if name.endswith(".md")) == sorted(pages)


def headings(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.S), re.M)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.S)
    links = [link for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
    for link in links:
        place, _, anchor = link.partition("#")
        target = page if not place else (page.parent / place).resolve()
        assert target.exists(), link
        assert not anchor or anchor in headings(target), link


FOLDERS = "tune_jobs|models|search_spaces|tests|docs|benchmarks|docker|examples"
NOT_KEPT = {"docker/.env"}  # made on each machine
OF_USERS = {"my_task.py", "spirals.py", "keras.py", "mlflow.py", "models.py"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_path_that_is_named_exists(page: Path) -> None:
    named = re.findall(rf"(?<![\w./~-])((?:{FOLDERS})/[\w./-]*[\w/])", page.read_text())
    missing = {path for path in named if path not in NOT_KEPT and not (ROOT / path).exists()}
    assert missing == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_script_and_test_that_is_named_exists(page: Path) -> None:
    known = {
        path.name for folder in (*house.STOREYS, "tests", "benchmarks", "docs") for path in (ROOT / folder).rglob("*")
    }
    named = set(re.findall(r"`(?:python )?(\w+\.py)\b", page.read_text()))
    assert named - known - OF_USERS == set()


def test_the_page_on_architecture_has_the_rooms_of_the_plan() -> None:
    rows = re.findall(r"^\| (\d+) \| `(\w+)` \|", (ROOT / "docs" / "architecture.md").read_text(), re.M)
    floors = len(house.FLOORS)
    assert rows == [(str(floors - 1 - n), room) for n, rooms in enumerate(house.FLOORS) for room in rooms]


def test_the_page_on_searches_has_the_words_of_its_benchmark() -> None:
    words = re.split(r"\{\w+\}", search_page.TEXT)
    page = (ROOT / "docs" / "search.md").read_text()
    assert re.fullmatch(".+?".join(map(re.escape, words)), page, re.S)


@pytest.mark.slow
def test_the_messages_on_the_page_of_faults_are_those_of_the_program() -> None:
    """A message there leaves out what varies, with an ellipsis."""
    said = "\n".join(
        " ".join(text.split()) for source in house.texts().values() for text in texts_of(ast.parse(source))
    )
    rows = re.findall(r"^\|[^|]+\|[^|]+\| ([^|]+) \|", (ROOT / "docs" / "faults.md").read_text(), re.M)
    messages = [message for seen in rows for message in re.findall(r"`([^`]*[ …][^`]*)`", seen)]
    assert len(messages) > 10
    for message in messages:
        for part in filter(None, message.split("…")):
            assert part.strip() in said, message


def texts_of(tree: ast.AST) -> Iterator[str]:
    """The texts of a source; of one with values in it, the parts between them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def test_the_first_screen_has_the_two_commands_that_do_all_the_set_up() -> None:
    block = re.search(r"```bash\n(.*?)```", (ROOT / "README.md").read_text(), re.S)
    assert block is not None
    run, test = block[1].strip().split("\n")
    assert run.endswith("tune-jobs launch digits-mlp")
    assert test.endswith("pytest")
    assert all(line.startswith("python3 -m venv .venv && .venv/bin/pip install") for line in (run, test))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "page", "more"),
    [
        ("clock", "clock.md", ("--page", "clock")),
        ("images", "results.md", ()),
        ("generative", "generative.md", ("--page", "generative")),
    ],
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
