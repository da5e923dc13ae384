"""docs/security.md and the tests that it names belong together."""

from __future__ import annotations

import re

from tests.support.house import ROOT

TEXT = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the first table under a heading, without its head."""
    section = TEXT.partition(f"## {heading}\n")[2].partition("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def test_each_local_threat_has_what_was_tried_what_came_of_it_and_a_test() -> None:
    threats = rows("Other users of the machine")
    assert len(threats) >= 15
    for tried, outcome, tested in threats:
        assert tried, tested
        assert outcome, tried
        files = re.findall(r"`(tests/[^`]+\.py)`", tested)
        assert files, tried
        assert all("def test_" in (ROOT / file).read_text(encoding="utf-8") for file in files), tried


def test_each_test_of_this_folder_is_named() -> None:
    own = {f"tests/security/{file.name}" for file in (ROOT / "tests" / "security").glob("test_*.py")}
    assert own - set(re.findall(r"tests/[\w/]+\.py", TEXT)) == set()
