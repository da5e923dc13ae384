"""Whose turn it is: by priority, then fair share, then time; a dead or stopped job holds nobody up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from tune_jobs.execution.turn_taking import is_news
from tune_jobs.execution.turns import Outlook, Place, Queue, Ticket, admitted, order, outlook, share

TOTALS = {"CPU": 8.0, "GPU": 2.0}
ALL = {"CPU": 8.0}


def ticket(job: str, user: str = "ada", priority: int = 0, since: float = 0.0, **more: object) -> Ticket:
    known: dict[str, object] = {"needs": {"CPU": 1.0}, "claim": ALL} | more
    return Ticket(job, user, priority, since, **known)  # type: ignore[arg-type]


def running(job: str, claim: Mapping[str, float] = ALL, ends: float | None = None) -> Ticket:
    return ticket(job, claim=claim, running_since=1.0, ends=ends)


def names(tickets: list[Ticket]) -> list[str]:
    return [one.job for one in tickets]


def test_priority_comes_first_then_who_had_less_then_who_came_first() -> None:
    mine = [ticket("late", since=9.0), ticket("early", since=1.0), ticket("urgent", priority=5, since=10.0)]
    other = ticket("hers", "grace", since=20.0)
    assert names(order([*mine, other], {"ada": 3.0})) == ["urgent", "hers", "early", "late"]
    assert names(order([*mine, other], {"ada": 3.0, "grace": 4.0})) == ["urgent", "early", "late", "hers"]
    assert names(order([running("long"), other], {})) == ["hers"]


@pytest.mark.parametrize(
    ("claims", "starts"),
    [
        ([], ["a"]),  # which claims all
        ([{"CPU": 8.0}], []),
        ([{"CPU": 7.0}], ["a"]),  # with what is left, and more once that ends
        ([{"CPU": 4.0}, {"CPU": 3.5}], []),
    ],
)
def test_a_job_starts_if_one_of_its_trials_fits_beside_the_claims_of_those_that_run(
    claims: list[dict[str, float]], starts: list[str]
) -> None:
    others = [running(str(number), claim) for number, claim in enumerate(claims)]
    assert names(admitted([ticket("a"), ticket("b")], others, TOTALS)) == starts


def test_small_claims_run_side_by_side() -> None:
    small = [ticket(name, claim={"CPU": 2.0}) for name in "abcde"]
    assert names(admitted(small, [], TOTALS)) == ["a", "b", "c", "d"]
    thirds = [ticket(name, needs={"GPU": 1 / 3}, claim={"GPU": 2 / 3}) for name in "abcd"]
    assert names(admitted(thirds, [], TOTALS)) == ["a", "b", "c"]


def test_a_job_passes_one_that_waits_only_if_it_takes_nothing_of_what_that_one_lacks() -> None:
    on_gpus = ticket("gpus", needs={"CPU": 1.0, "GPU": 1.0}, claim={"CPU": 2.0, "GPU": 2.0})
    on_cpus, large = ticket("cpus", claim={"CPU": 2.0}), ticket("large", needs={"CPU": 6.0}, claim={"CPU": 6.0})
    holder = running("long", {"CPU": 4.0, "GPU": 2.0})
    assert names(admitted([on_gpus, on_cpus], [holder], TOTALS)) == ["cpus"]
    assert names(admitted([large, on_cpus], [holder], TOTALS)) == []
    assert names(admitted([on_gpus, replace(on_gpus, job="more"), on_cpus], [holder], TOTALS)) == ["cpus"]
    no_cpus = ticket("no-cpus", needs={"GPU": 1.0}, claim={"GPU": 1.0})
    assert names(admitted([large, no_cpus], [running("long", {"CPU": 4.0})], TOTALS)) == ["no-cpus"]
    assert names(admitted([large, on_gpus, no_cpus], [running("long", {"CPU": 4.0})], TOTALS)) == []


def test_who_asks_for_more_than_there_is_holds_nobody_up_and_hears_why() -> None:
    never = ticket("never", needs={"GPU": 3.0}, claim={"GPU": 3.0})
    assert names(admitted([never, ticket("a")], [], TOTALS)) == ["a"]
    assert outlook(never, [never], {}, TOTALS).why == "the cluster has too few GPUs now"


def test_a_share_is_that_of_the_scarcest_resource() -> None:
    assert share({"CPU": 2.0, "GPU": 1.0}, TOTALS) == 0.5
    assert share({"CPU": 2.0, "GPU": 1.0}, {"CPU": 8.0, "GPU": 0.0}) == 0.25


def test_the_outlook_names_the_place_the_reason_and_the_time() -> None:
    first, mine = ticket("first", "grace", priority=2, claim={"CPU": 4.0}), ticket("mine", since=5.0)
    long, longer = running("long", {"CPU": 4.0}, ends=1000.0), running("longer", {"CPU": 4.0}, ends=9000.0)
    seen = outlook(mine, [long, longer, first, mine], {}, TOTALS)
    assert (seen.place, seen.waiting, seen.at) == (2, 2, 9000.0)
    assert str(seen) == (
        "place 2 of 2, after job first of grace (priority 2); CPUs are with job long of ada, job longer of ada; "
        "expected about 1970-01-01 02:30 UTC"
    )
    assert outlook(first, [long, longer, first, mine], {}, TOTALS).at == 1000.0
    on_gpus = ticket("gpus", since=1.0, needs={"CPU": 1.0, "GPU": 1.0})
    holder = running("hers", {"CPU": 2.0, "GPU": 2.0})
    assert outlook(on_gpus, [holder, on_gpus], {}, TOTALS).why == "GPUs are with job hers of ada"
    unknown = replace(longer, ends=None)
    assert outlook(mine, [long, unknown, first, mine], {}, TOTALS).at is None


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        (Outlook(2, 3, "x", 1050.0), False),
        (Outlook(2, 3, "x", 2000.0), True),
        (Outlook(2, 3, "x", None), True),
        (Outlook(1, 3, "x", 1000.0), True),
        (Outlook(2, 4, "x", 1000.0), True),
        (Outlook(2, 3, "y", 1000.0), True),
    ],
)
def test_an_outlook_is_said_again_if_it_is_another(later: Outlook, expected: bool) -> None:
    assert is_news(later, Outlook(2, 3, "x", 1000.0), now=600.0) == expected


# The queue in a folder


@pytest.fixture
def queue(tmp_path: Path) -> Queue:
    return Queue(tmp_path / "queue")


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_one_job_after_the_other_has_its_turn(queue: Queue, stack: ExitStack) -> None:
    first = stack.enter_context(ExitStack())
    one = first.enter_context(queue.joined(ticket("one", since=1.0)))
    two = stack.enter_context(queue.joined(ticket("two", since=2.0)))
    three = stack.enter_context(queue.joined(ticket("three", priority=1, since=3.0)))
    assert isinstance(two.try_to_start(TOTALS), Outlook)
    assert three.try_to_start(TOTALS) is None
    waits = one.try_to_start(TOTALS)
    assert waits is not None
    assert (waits.place, waits.why) == (1, "CPUs are with job three of ada")
    three.expect_end(5000.0)
    waits = two.try_to_start(TOTALS)
    assert waits is not None
    assert waits.place == 2
    first.close()  # given up
    waits = two.try_to_start(TOTALS)
    assert waits is not None
    assert (waits.place, waits.at) == (1, 5000.0)


def aged(place: Place, seconds: float) -> None:
    """Have a running job begin so much earlier."""
    assert place.ticket.running_since is not None
    with place._queue.locked():
        place.write(replace(place.ticket, running_since=place.ticket.running_since - seconds))


def test_who_had_the_cluster_lets_others_go_first(queue: Queue, stack: ExitStack) -> None:
    with queue.joined(ticket("past")) as past:
        assert past.try_to_start(TOTALS) is None
        aged(past, 3600.0)
    hers = stack.enter_context(queue.joined(ticket("hers", "grace", since=9.0)))
    mine = stack.enter_context(queue.joined(ticket("mine", since=1.0)))
    waits = mine.try_to_start(TOTALS)
    assert waits is not None
    assert waits.why == "after job hers of grace"
    assert hers.try_to_start(TOTALS) is None
    with queue.locked():
        used = queue.used(queue.tickets(TOTALS), TOTALS)
    assert used["ada"] == pytest.approx(3600.0, rel=0.01)
    assert used["grace"] < 60


def test_what_was_used_a_day_ago_counts_half(queue: Queue, tmp_path: Path) -> None:
    with queue.locked():
        (tmp_path / "queue" / "used.json").write_text(json.dumps({"ada": [100.0, time.time() - 86_400]}))
        assert queue.used([], TOTALS)["ada"] == pytest.approx(50.0, rel=0.01)


def left_behind(queue: Queue, folder: Path, one: Ticket, content: str | None = None) -> Path:
    """The file of a job that was killed: nobody holds its lock."""
    with queue.joined(one):
        text = (folder / f"{one.job}.ticket").read_text()
    file = folder / f"{one.job}.ticket"
    file.write_text(text if content is None else content)
    return file


@pytest.mark.parametrize("content", [None, "", '{"job": "dead", "us'])
def test_a_dead_job_holds_nobody_up_and_is_charged_for_what_it_had(
    queue: Queue, tmp_path: Path, content: str | None
) -> None:
    dead = replace(running("dead"), running_since=time.time() - 1000)
    file = left_behind(queue, tmp_path / "queue", dead, content)
    os.utime(file, (time.time() - 400, time.time() - 400))
    with queue.joined(ticket("mine", "grace")) as mine:
        assert mine.try_to_start(TOTALS) is None
    assert not file.exists()
    if content is None:
        with queue.locked():
            assert queue.used([], TOTALS)["ada"] == pytest.approx(600.0, rel=0.01)


def test_a_waiting_job_that_is_stopped_lets_others_pass(queue: Queue, tmp_path: Path, stack: ExitStack) -> None:
    stack.enter_context(queue.joined(ticket("stopped", since=1.0)))
    mine = stack.enter_context(queue.joined(ticket("mine", since=2.0)))
    assert mine.try_to_start(TOTALS) is not None
    long_ago = time.time() - 120
    os.utime(tmp_path / "queue" / "stopped.ticket", (long_ago, long_ago))
    assert mine.try_to_start(TOTALS) is None


HOLDER = """
import sys, time
from pathlib import Path
from tune_jobs.execution.turns import Queue, Ticket
ticket = Ticket("long", "ada", 0, 1.0, {"CPU": 1.0}, {"CPU": 8.0})
with Queue(Path(sys.argv[1])).joined(ticket) as place:
    assert place.try_to_start({"CPU": 8.0}) is None
    print("runs", flush=True)
    time.sleep(600)
"""


@pytest.mark.slow
def test_kill_9_of_the_job_that_runs_makes_room_at_once(queue: Queue, tmp_path: Path, stack: ExitStack) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / "queue")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "runs\n"
        mine = stack.enter_context(queue.joined(ticket("mine", since=2.0)))
        assert mine.try_to_start(TOTALS) is not None
        holder.kill()
        holder.wait()
        assert mine.try_to_start(TOTALS) is None
    assert not (tmp_path / "queue" / "long.ticket").exists()
