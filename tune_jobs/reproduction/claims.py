"""Claims of the reports about what is better than what, and what paired tests over shared seeds say of them.

Two pages decide claims: that of clocks about label encodings (`clock_studies.py`), and that of images about settings
(`image_claims.py`). Pure functions over parts of studies.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from tune_jobs.leaderboard import comparison, ranking
from tune_jobs.leaderboard.comparison import Pair
from tune_jobs.records.studies import StudyRecord
from tune_jobs.reproduction.reported import ABSENT, piped

Decision = Literal["confirmed", "refuted", "not decided"]
Known = Mapping[tuple[str, str], Pair]

EQUAL_WITHIN = 0.01  # of accuracy: nearer than that counts as "almost the same"

_LEVEL = 0.05


@dataclass(frozen=True)
class Claim:
    """A claim about a subject and its rivals, each of which is a name of something that was run."""

    words: str
    subject: str
    relation: Literal["better", "worse", "equal"]
    rivals: tuple[str, ...]
    source: str = ABSENT  # where it is claimed


@dataclass(frozen=True)
class ClaimResult:
    """A claim and what follows of it from a study.

    `rival` is the one that decides: the one that refutes the claim most clearly, else the one that comes closest to it.
    `difference` is the subject's score less the rival's.
    """

    claim: Claim
    decision: Decision
    why: str  # what is missing for a decision; empty if there is one
    rival: str | None = None
    difference: float | None = None
    interval: tuple[float, float] | None = None  # 95 %
    seeds: int = 0


def has_complete(part: StudyRecord) -> bool:
    """Return True if something of a study, or of a part of it, is complete."""
    return ranking.best(ranking.rank(part.trials, part.terms.objective)) is not None


def pairs_of(parts: Sequence[StudyRecord]) -> Known:
    """Return a paired test for each two parts of studies, under their names in both orders."""
    pairs = {(pair.first, pair.second): pair for pair in comparison.compare(parts).pairs}
    return pairs | {(second, first): _turned(pair) for (first, second), pair in pairs.items()}


def decide(claim: Claim, known: Known, missing: Sequence[str], *, larger_is_better: bool) -> ClaimResult:
    """Decide a claim by paired tests over the seeds that its subject shares with each rival.

    A claim about several rivals is confirmed if it holds for each. It is refuted if it is wrong for one, by tests that
    are corrected for their number (Holm). That two are equal is confirmed if the interval of their difference lies
    within `EQUAL_WITHIN`, and refuted if it lies beyond. `missing` are the names in it of what was not run.
    """
    pairs = [known[claim.subject, rival] for rival in claim.rivals if (claim.subject, rival) in known]
    tested = [pair for pair in pairs if pair.p is not None]
    lacks = [pair.why_not or "the difference is the same at every seed" for pair in pairs if pair.p is None]
    why = f"not run: {', '.join(missing)}" if missing else next(iter(lacks), "")
    if not tested:
        return ClaimResult(claim, "not decided", why)
    if claim.relation == "equal":
        return _equality(claim, tested[0])

    def support(pair: Pair) -> float:
        """Return by how much a difference supports the claim; below 0 it is against the claim."""
        difference = pair.difference or 0.0
        return difference if (claim.relation == "better") == larger_is_better else -difference

    corrected = comparison.holm([pair.p for pair in tested if pair.p is not None])
    against = [pair for pair, p in zip(tested, corrected, strict=True) if support(pair) < 0 and p < _LEVEL]
    if against:
        return _decided(claim, "refuted", "", min(against, key=support))
    doubtful = [pair for pair in tested if pair.p is None or pair.p >= _LEVEL or support(pair) < 0]
    if doubtful:
        beside = ", ".join(pair.second for pair in doubtful)
        return _decided(claim, "not decided", f"too close: {beside}", min(doubtful, key=support))
    return _decided(claim, "not decided" if why else "confirmed", why, min(tested, key=support))


def table(results: Sequence[tuple[ClaimResult, str]], decimals: int) -> Iterator[str]:
    """Yield the table of claims, each with the words for what it was decided on."""
    head = ("claim", "source", "verdict", "beside", "difference", "95 %", "seeds", "on", "why")
    yield piped(*head)
    yield piped(*[":--"] * 4, "--:", "--:", "--:", ":--", ":--")
    for result, place in results:
        yield piped(*_cells(result, place, decimals))


def _cells(result: ClaimResult, place: str, decimals: int) -> tuple[str, ...]:
    interval = result.interval
    return (
        result.claim.words,
        result.claim.source,
        f"**{result.decision}**",
        result.rival or ABSENT,
        ABSENT if result.difference is None else f"{result.difference:+.{decimals}f}",
        ABSENT if interval is None else f"{interval[0]:+.{decimals}f} to {interval[1]:+.{decimals}f}",
        str(result.seeds) if result.rival else ABSENT,
        place,
        result.why or ABSENT,
    )


def _turned(pair: Pair) -> Pair:
    difference = None if pair.difference is None else -pair.difference
    interval = None if pair.interval is None else (-pair.interval[1], -pair.interval[0])
    return replace(pair, first=pair.second, second=pair.first, difference=difference, interval=interval)


def _equality(claim: Claim, pair: Pair) -> ClaimResult:
    if pair.interval is None:
        return _decided(claim, "not decided", "the difference is the same at every seed", pair)
    low, high = pair.interval
    if low >= -EQUAL_WITHIN and high <= EQUAL_WITHIN:
        return _decided(claim, "confirmed", "", pair)
    if low > EQUAL_WITHIN or high < -EQUAL_WITHIN:
        return _decided(claim, "refuted", "", pair)
    return _decided(claim, "not decided", f"the interval reaches beyond {EQUAL_WITHIN:g}", pair)


def _decided(claim: Claim, decision: Decision, why: str, pair: Pair) -> ClaimResult:
    return ClaimResult(claim, decision, why, pair.second, pair.difference, pair.interval, len(pair.seeds))
