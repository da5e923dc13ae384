"""Points that are handed to a study: kept in their order, whoever hands them in, wherever the study is stored."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.study.test_study import PARAMS, SPACE, begun, held
from tune_jobs.errors import StudyError
from tune_jobs.settings import Settings
from tune_jobs.study import enqueued, file
from tune_jobs.study.enqueued import Mailbox
from tune_jobs.study.study import Study


@pytest.fixture(params=["journal", "sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def stored(request: pytest.FixtureRequest, settings: Settings, tmp_path: Path) -> Settings:
    match request.param:
        case "journal":
            return settings
        case "sqlite":
            return replace(settings, storage=f"sqlite:///{tmp_path / 'studies.db'}")
        case _:
            return replace(settings, storage=request.getfixturevalue("postgres_url"))


def test_points_wait_in_their_order_until_a_trial_has_them(stored: Settings) -> None:
    with held(stored) as study:
        other = Study.open("clock", stored)  # nobody has to hold a study to hand it points
        other.enqueue([PARAMS[2], PARAMS[0]])
        other.enqueue([PARAMS[0], PARAMS[1]])
        assert study.enqueued() == (PARAMS[2], PARAMS[0], PARAMS[1])
        begun(study, 0)
        assert study.enqueued() == (PARAMS[2], PARAMS[1])
        begun(study, 2)
        begun(study, 1)
        assert (study.enqueued(), len(study.handed)) == ((), 4)


def test_no_call_of_several_at_once_is_lost(stored: Settings) -> None:
    with held(stored):
        pass
    identity = Study.open("clock", stored).identity

    def hand_in(n: int) -> None:
        Mailbox("clock", stored).add(identity, [{"n": n, "of": 0}, {"n": n, "of": 1}])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(hand_in, range(8)))
    points = Study.open("clock", stored).handed
    assert sorted(point["n"] for point in points) == sorted([*range(8)] * 2)
    assert all(points[i]["n"] == points[i + 1]["n"] for i in range(0, 16, 2))


def test_a_study_of_the_same_name_has_points_of_its_own(stored: Settings) -> None:
    with held(stored) as study:
        study.enqueue([PARAMS[1]])
        study.delete()
    with held(stored) as study:
        assert study.enqueued() == ()


def test_points_go_with_an_exported_study(settings: Settings, tmp_path: Path) -> None:
    with held(settings) as study:
        begun(study, 0)
        study.enqueue([PARAMS[0], PARAMS[2], PARAMS[1]])
        content = study.content()
    assert file.decoded(file.encoded(content)) == content
    elsewhere = replace(settings, home=tmp_path / "elsewhere")
    elsewhere.prepare()
    with Study.hold("clock", elsewhere) as study:
        study.import_content(content)
        assert study.enqueued() == (PARAMS[2], PARAMS[1])
        assert study.content() == content
        study.enqueue([PARAMS[3]])
        assert study.enqueued() == (PARAMS[2], PARAMS[1], PARAMS[3])


@pytest.fixture
def cut(settings: Settings) -> Callable[[int | None], Study]:
    """A study whose mailbox has a whole call and so many bytes of another."""
    with held(settings) as study:
        study.enqueue([PARAMS[0]])
    path = enqueued.file_of("clock", settings)
    whole = path.read_bytes()

    def study_with(n: int | None) -> Study:
        path.write_bytes(whole + whole.replace(b'"depth":1', b'"depth":2')[:n])
        return Study.open("clock", settings)

    return study_with


def test_a_call_that_was_killed_leaves_all_of_its_points_or_none(cut: Callable[[int | None], Study]) -> None:
    assert [point["depth"] for point in cut(None).handed] == [1, 2]
    for n in (0, 1, 40, -1):
        study = cut(n)
        assert [point["depth"] for point in study.handed] == [1]
        study.enqueue([{**PARAMS[0], "depth": 3}])
        assert [point["depth"] for point in study.handed] == [1, 3]


def test_a_damaged_mailbox_is_one_line(settings: Settings) -> None:
    with held(settings) as study:
        study.enqueue([PARAMS[0]])
    path = enqueued.file_of("clock", settings)
    path.write_bytes(path.read_bytes().replace(b'"at"', b'"xx"'))
    with pytest.raises(
        StudyError, match=r"clock\.enqueued is damaged \(line 1 .*: restore it from a backup"
    ) as refused:
        Study.open("clock", settings).enqueued()
    assert "\n" not in str(refused.value)
    path.unlink()
    path.mkdir()
    with pytest.raises(StudyError, match=r"clock\.enqueued cannot be"):
        Study.open("clock", settings).enqueue([PARAMS[0]])


def test_a_point_outside_the_space_waits_too(settings: Settings) -> None:
    outside = {**PARAMS[0], "depth": 2}
    assert SPACE.why_not(outside) is not None
    with held(settings) as study:
        study.enqueue([outside])
        study.add(SPACE, outside, seed=0)
        assert study.enqueued() == ()
