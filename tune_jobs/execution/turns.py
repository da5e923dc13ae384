"""Whose turn it is on a cluster that several people send jobs to: by priority, then fair share, then time.

Ray starts the driver of every job at once, and gives what is free to whoever asks first. So a driver that `submit` sent
waits here before it asks for workers. The queue is a folder in the home of the head, on which all these drivers run.
Each has a file there and holds its lock as long as it lives: a dead one is found by its lock and holds nobody up.
Whoever looks has the folder's own lock, decides for all in the same way, and acts for itself. Knows nothing of Ray.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import BinaryIO

from tune_jobs import files
from tune_jobs.decoding import ContentError, decode_json
from tune_jobs.errors import UserError
from tune_jobs.study.locks import taking_turns

WAITING = "Waiting for its turn: "  # how a driver's line about its place begins, which `jobs` shows

Amounts = Mapping[str, float]  # of resources, by Ray's names

_HALF_LIFE_S = 86_400.0  # of what a user is held to have used: a day ago counts half
_SILENT_S = 60.0  # without a look at the queue: a waiting driver that is stopped lets others pass
_SUFFIX = ".ticket"
_LITTLE = 1e-6  # of a resource, for shares that do not add up exactly


@dataclass(frozen=True)
class Ticket:
    """A job in the queue. `needs` is for one of its trials, `claim` for all that it may run at once."""

    job: str
    user: str
    priority: int  # a higher one goes first
    since: float  # unix seconds
    needs: Amounts
    claim: Amounts
    running_since: float | None = None
    ends: float | None = None  # when a running job expects to end, in unix seconds

    @property
    def is_running(self) -> bool:
        return self.running_since is not None

    def __str__(self) -> str:
        return f"{self.job} of {self.user}"


@dataclass(frozen=True)
class Outlook:
    """What a job waits for: its place among those that wait, why, and when its turn may come (unix seconds)."""

    place: int
    waiting: int
    why: str
    at: float | None = None

    def __str__(self) -> str:
        when = (
            "" if self.at is None else f"; expected about {time.strftime('%Y-%m-%d %H:%M', time.gmtime(self.at))} UTC"
        )
        return f"place {self.place} of {self.waiting}, {self.why}{when}"


def order(tickets: Iterable[Ticket], used: Mapping[str, float]) -> list[Ticket]:
    """Return the tickets that wait, the first one first; `used` is what each user has had lately."""
    waiting = (ticket for ticket in tickets if not ticket.is_running)
    return sorted(waiting, key=lambda one: (-one.priority, used.get(one.user, 0.0), one.since, one.job))


def admitted(ordered: Sequence[Ticket], running: Iterable[Ticket], totals: Amounts) -> list[Ticket]:
    """Return those of the waiting tickets that may start now.

    One may start if one of its trials fits beside the claims of those that run. It passes an earlier one that cannot
    start only if it takes nothing of what that one lacks. Who asks for more than there is holds nobody up.
    """
    free = _free(running, totals)
    start, blocked = [], set[str]()
    for ticket in ordered:
        lacks = lacking(ticket.needs, free)
        if not lacks and blocked.isdisjoint(name for name, amount in ticket.needs.items() if amount):
            start.append(ticket)
            free = {name: amount - ticket.claim.get(name, 0.0) for name, amount in free.items()}
        elif not lacking(ticket.needs, totals):
            blocked |= lacks or {name for name, amount in ticket.needs.items() if amount}
    return start


def _free(running: Iterable[Ticket], totals: Amounts) -> dict[str, float]:
    claims = [one.claim for one in running]
    return {name: amount - sum(claim.get(name, 0.0) for claim in claims) for name, amount in totals.items()}


def lacking(needs: Amounts, free: Amounts) -> set[str]:
    """Return the resources of which there is less than is needed."""
    return {name for name, amount in needs.items() if amount > free.get(name, 0.0) + _LITTLE}


def share(claim: Amounts, totals: Amounts) -> float:
    """Return which part of the cluster a claim is: that of the resource of which it is the largest part."""
    return max((amount / totals[name] for name, amount in claim.items() if totals.get(name)), default=0.0)


def outlook(mine: Ticket, tickets: Sequence[Ticket], used: Mapping[str, float], totals: Amounts) -> Outlook:
    """Return what a waiting job waits for."""
    ordered, running = order(tickets, used), [one for one in tickets if one.is_running]
    place = next(place for place, one in enumerate(ordered, start=1) if one.job == mine.job)
    why, at = _why(ordered[: place - 1], mine, running, totals), _when(mine, ordered, running, totals)
    return Outlook(place, len(ordered), why, at)


def _why(before: Sequence[Ticket], mine: Ticket, running: Sequence[Ticket], totals: Amounts) -> str:
    if never := lacking(mine.needs, totals):
        return f"the cluster has too few {_names(never)} now"
    parts = []
    if before:
        last = before[-1]
        priority = f" (priority {last.priority})" if last.priority != mine.priority else ""
        parts.append(f"after job {last}{priority}")
    if lacks := lacking(mine.needs, _free(running, totals)):
        holders = [one for one in running if any(one.claim.get(name) for name in lacks)]
        parts.append(f"{_names(lacks)} are with {', '.join(f'job {one}' for one in holders[:3])}")
    return "; ".join(parts) or "about to start"


def _names(resources: Iterable[str]) -> str:
    return " and ".join(f"{name}s" for name in sorted(resources))


def _when(mine: Ticket, ordered: Sequence[Ticket], running: Sequence[Ticket], totals: Amounts) -> float | None:
    """Return when a job's turn comes if those that run end as they expect. None if that is not known.

    How long a job takes that waits itself is not known, so that only ends of running ones count.
    """
    left = sorted((one for one in running if one.ends is not None), key=lambda one: one.ends or 0.0)
    others, waiting = [one for one in running if one.ends is None], list(ordered)
    while left:
        at = left.pop(0).ends
        started = admitted(waiting, [*others, *left], totals)
        if any(one.job == mine.job for one in started):
            return at
        others += started
        waiting = [one for one in waiting if one not in started]
    return None


class Queue:
    """The queue in a folder. `totals` is what the whole cluster has."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def joined(self, ticket: Ticket) -> Iterator[Place]:
        """Have a job in the queue for the block."""
        path = self._folder / f"{ticket.job}{_SUFFIX}"
        with ExitStack() as stack:
            with self.locked():  # or who looks would take it for that of a dead job, before it has its own lock
                file = stack.enter_context(files.opened(path, mode=0o600))
                fcntl.flock(file.fileno(), fcntl.LOCK_EX)
                place = Place(self, ticket, file)
                place.write(ticket)
            try:
                yield place
            finally:
                with self.locked():
                    self._charge(place.ticket, time.time(), place.share)
                    path.unlink(missing_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep all others from the queue for the block."""
        with taking_turns(self._folder / "lock"):
            yield

    def tickets(self, totals: Amounts) -> list[Ticket]:
        """Return the tickets of jobs that live, without those of waiting ones that are stopped. Call it `locked`."""
        found = []
        for path in sorted(self._folder.glob(f"*{_SUFFIX}")):
            ticket, looked = _read(path), path.stat().st_mtime
            if not _is_locked(path):
                if ticket is not None:
                    self._charge(ticket, looked, share(ticket.claim, totals))
                path.unlink()
            elif ticket is not None and (ticket.is_running or time.time() - looked < _SILENT_S):
                found.append(ticket)
        return found

    def used(self, tickets: Iterable[Ticket], totals: Amounts) -> dict[str, float]:
        """Return what each user has had of the cluster: seconds of all of it, of which older ones count less."""
        now = time.time()
        used = {user: amount * _kept(now - at) for user, (amount, at) in self._accounts().items()}
        for one in tickets:
            if one.running_since is not None:
                used[one.user] = used.get(one.user, 0.0) + share(one.claim, totals) * (now - one.running_since)
        return used

    def _charge(self, ticket: Ticket, until: float, part: float) -> None:
        """Add what a job had to its user's account."""
        if ticket.running_since is None:
            return
        accounts, now = self._accounts(), time.time()
        amount, at = accounts.get(ticket.user, (0.0, now))
        accounts[ticket.user] = amount * _kept(now - at) + part * max(0.0, until - ticket.running_since), now
        with suppress(UserError):  # a full disk: the next turn is less fair
            files.write(self._folder / "used.json", json.dumps(accounts), durable=False, mode=0o600)

    def _accounts(self) -> dict[str, tuple[float, float]]:
        try:
            return decode_json(dict[str, tuple[float, float]], (self._folder / "used.json").read_bytes(), "accounts")
        except (OSError, ContentError):
            return {}


def _kept(seconds: float) -> float:
    return float(0.5 ** (max(0.0, seconds) / _HALF_LIFE_S))


def _read(path: Path) -> Ticket | None:
    """Return a ticket; None if its job was killed while it wrote, or the disk is full."""
    try:
        return decode_json(Ticket, path.read_bytes(), "a ticket")
    except ContentError:
        return None


def _is_locked(path: Path) -> bool:
    with path.open("rb") as file:
        try:
            fcntl.flock(file.fileno(), fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


class Place:
    """A job's place in the queue."""

    def __init__(self, queue: Queue, ticket: Ticket, file: BinaryIO) -> None:
        self._queue, self.ticket, self._file = queue, ticket, file
        self.share = 0.0  # of the cluster, once it runs

    def write(self, ticket: Ticket) -> None:
        """Replace the ticket. Call it `locked`."""
        self.ticket = ticket
        with suppress(OSError):  # a full disk: the others see the ticket as it was
            os.truncate(self._file.fileno(), 0)
            os.write(self._file.fileno(), json.dumps(asdict(ticket)).encode())

    def try_to_start(self, totals: Amounts) -> Outlook | None:
        """Start the job if it is its turn. Return what it waits for if it is not."""
        with self._queue.locked():
            self.write(self.ticket)  # which also says that this driver is not stopped
            tickets = self._queue.tickets(totals)
            used = self._queue.used(tickets, totals)
            running = [one for one in tickets if one.is_running]
            if all(one.job != self.ticket.job for one in admitted(order(tickets, used), running, totals)):
                return outlook(self.ticket, tickets, used, totals)
            self.share = share(self.ticket.claim, totals)
            self.write(replace(self.ticket, running_since=time.time()))
            return None

    def expect_end(self, at: float | None) -> None:
        """Say when a running job expects to end."""
        with self._queue.locked():
            self.write(replace(self.ticket, ends=at))
