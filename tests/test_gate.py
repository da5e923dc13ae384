"""The checks before a commit and those of CI are the same ones."""

from __future__ import annotations

from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]


def test_the_hooks_before_a_commit_are_the_checks_of_ci() -> None:
    (local,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert local["repo"] == "local"  # nothing is downloaded
    assert {hook["language"] for hook in local["hooks"]} == {"system"}
    hooks = [hook["entry"] for hook in local["hooks"]]
    gate = [line for line in (ROOT / ".ci" / "run").read_text().splitlines() if line.startswith(".venv/bin/")]
    assert [command.removesuffix(" .").removesuffix(" --check") for command in gate] == hooks


def test_contributing_begins_with_the_fast_lane_and_ends_the_way_with_the_gate() -> None:
    rows = [line for line in (ROOT / "CONTRIBUTING.md").read_text().splitlines() if line.startswith("| ")]
    when = [[cell.strip() for cell in row.strip("|").split("|")][:2] for row in rows[1:4]]
    assert when == [
        ["at every save", '`.venv/bin/pytest -m "not slow"`'],
        ["before a commit", "`pre-commit run`"],
        ["before a merge", "`.ci/run`"],
    ]
