"""What others wrote is shown without anything that a terminal would obey, by whatever command."""

from __future__ import annotations

import ast
import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.support import house
from tune_jobs import words
from tune_jobs.cli import run
from tune_jobs.exports import curves, plots
from tune_jobs.leaderboard.factors import Curve, Factor, FactorStudy, ScoredLevel
from tune_jobs.search_spaces import Objective
from tune_jobs.settings import Settings
from tune_jobs.study import file as study_file
from tune_jobs.study.study import Study

PUBLISHED = house.ROOT / "docs" / "studies" / "images" / "mnist-mlp-factors.study"
HOSTILE = "a\x1b]0;owned\x07\x1b[31m\x9b\u202e\ud800\rb"


def hostile_study() -> bytes:
    """A study file with a text of somebody's in each place that has one."""
    values = json.loads(gzip.decompress(PUBLISHED.read_bytes()))
    trial = values["trials"][1]
    trial["state"] = "failed"
    trial["result"] |= {"state": "failed", "score": None, "best_epoch": None, "reason": "crashed", "message": HOSTILE}
    trial["result"] |= {"metrics": {}, "weights": None, "errors": None}
    values["notes"].pop("test:1")
    values["notes"]["launch"] |= {"host": HOSTILE, "versions": {HOSTILE: HOSTILE}}
    values["notes"]["terms"] |= {"dataset": HOSTILE}
    return gzip.compress(json.dumps(values).encode())


@pytest.fixture
def home(settings: Settings) -> Settings:
    settings.prepare()
    content = study_file.decoded(hostile_study())
    with Study.hold(content.name, settings) as study:
        study.import_content(content)
    return settings


@pytest.mark.parametrize(
    "command",
    ["studies", "status", "leaderboard", "leaderboard --format csv", "leaderboard --format md", "factors"],
)
def test_no_command_sends_it_to_the_terminal(command: str, home: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    name, *options = command.split()
    study = [] if name == "studies" else ["mnist-mlp-factors"]
    assert run([name, *study, *options, "--home", str(home.home)]) == 0
    shown = capsys.readouterr()
    text = shown.out + shown.err
    assert text == words.printable_lines(text)
    assert text.strip()


def test_nor_does_a_refusal(home: Settings, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    for line in (["status", HOSTILE], ["import-study", str(tmp_path / HOSTILE.replace("\ud800", ""))], [HOSTILE]):
        assert run([*line, *(["--home", str(home.home)] if len(line) > 1 else [])]) == 2
        (text,) = capsys.readouterr().err.splitlines()
        assert text.isprintable()


@pytest.mark.parametrize("suffix", ["svg", "png"])
def test_a_plot_is_written_whatever_its_texts_have_in_them(suffix: str, tmp_path: Path) -> None:
    curve = Curve((0.1, 0.2), (0.1, 0.2), (0.1, 0.2), 3)
    level = ScoredLevel(HOSTILE, "id", False, None, None, None, (), curve)
    study = FactorStudy(
        HOSTILE, HOSTILE, HOSTILE, Objective(f"val_{HOSTILE}", "maximize"), level, (Factor(HOSTILE, (level,)),)
    )
    plots.save(curves.curves_plot(study), tmp_path / f"c.{suffix}")
    if suffix == "svg":
        ElementTree.parse(tmp_path / "c.svg")


def prints(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"print", "click.echo", "sys.stdout.write"}:
            yield node


@pytest.mark.slow
def test_nothing_is_printed_in_another_way() -> None:
    others = [
        f"{path}:{call.lineno}: {ast.unparse(call)}"
        for path in house.sources()
        for call in prints(ast.parse((house.ROOT / path).read_text(encoding="utf-8")))
        if call.args and "printable" not in ast.unparse(call.args[0]) and not isinstance(call.args[0], ast.Constant)
    ]
    assert others == []
