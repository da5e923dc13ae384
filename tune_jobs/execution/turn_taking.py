"""Has a job that `submit` sent wait for its turn, before it asks Ray for workers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tune_jobs.execution import cluster
from tune_jobs.execution.packing import Slots
from tune_jobs.execution.plan import StudyRun
from tune_jobs.execution.turns import WAITING, Outlook, Place, Queue, Ticket
from tune_jobs.live import activity
from tune_jobs.live.activity import Activity
from tune_jobs.settings import sent_job
from tune_jobs.study.locks import user_name

_POLL_S = 2.0  # between two looks at the queue
_TELL_S = 10.0  # between two estimates of the end
_NEWS = 0.1  # of the time that is left, by which another estimate differs before it is said


@contextmanager
def turn(run: StudyRun, slots: Slots, seconds_left: Callable[[], float | None]) -> Iterator[bool]:
    """Wait for the turn of the job that this process runs, and have it for the block. What is no job does not wait.

    Yields False if the user stopped the job before. `seconds_left` estimates how long the sweep takes from now on.
    """
    job = sent_job()
    if job is None:
        yield True
        return
    name, priority = job
    needs = {"CPU": slots.cpus} | ({"GPU": slots.gpus} if slots.gpus else {})
    claim = {resource: amount * slots.count for resource, amount in needs.items()}
    ticket = Ticket(name, user_name(), priority, time.time(), needs, claim)
    with Queue(run.settings.home / "queue").joined(ticket) as place:
        if not _wait(place, run):
            yield False
            return
        with _telling(place, seconds_left):
            yield True


def _wait(place: Place, run: StudyRun) -> bool:
    """Wait until the job may start, and say why it does not. Return False if the user stops it first."""
    said: Outlook | None = None
    while not (run.interruption.is_set or run.interruption.is_draining):
        current = place.try_to_start(cluster.totals())
        if current is None:
            return True
        if said is None or is_news(current, said, time.time()):
            run.say(f"{WAITING}{current}")
            activity.write(run.settings.activity_file(run.study.name), Activity(queue=str(current)))
            said = current
        time.sleep(_POLL_S)
    return False


def is_news(current: Outlook, said: Outlook, now: float) -> bool:
    """Return True if an outlook is another than the last one, and not only by a few minutes."""
    if (current.place, current.waiting, current.why) != (said.place, said.waiting, said.why):
        return True
    if current.at is None or said.at is None:
        return current.at != said.at
    return abs(current.at - said.at) > max(60.0, _NEWS * (said.at - now))


@contextmanager
def _telling(place: Place, seconds_left: Callable[[], float | None]) -> Iterator[None]:
    """Tell the others for the block when the job expects to end."""
    over = threading.Event()

    def tell() -> None:
        while not over.wait(_TELL_S):
            left = seconds_left()
            place.expect_end(None if left is None else time.time() + left)

    thread = threading.Thread(target=tell, daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
