"""The terms a study was begun on: how they are kept, and which of them differ from others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from tune_jobs.errors import StudyError
from tune_jobs.records import objectives
from tune_jobs.records.studies import Change, StudyTerms
from tune_jobs.search_spaces.one_factor import AnySpace, space_from_json
from tune_jobs.search_spaces.protocol import Protocol
from tune_jobs.study.contents import plain

_ADDED_LATER = ("further_objectives", "data_given", "scored_by", "declared", "narrowed", "opened")


def note_of_terms(terms: StudyTerms) -> dict[str, Any]:
    """Return the terms as they are kept, without what came later and is not used: further objectives, data in place of
    the task's, what is said of the space, and settings of the protocol."""
    note: dict[str, Any] = plain(terms) | {"protocol": plain(terms.protocol.to_dict())}
    return {name: part for name, part in note.items() if name not in _ADDED_LATER or part}


def note_of_change(change: Change) -> dict[str, Any]:
    """Return a change as it is kept."""
    note: dict[str, Any] = plain(change)
    return note | {"terms": note_of_terms(change.terms)}


def difference(begun: StudyTerms, now: StudyTerms) -> str | None:
    """Return the first thing by which a score would mean something else, or the search would be another, in words; None
    where nothing is. Another space is none of these."""
    named = {
        "task": "for task {}, and this is {}",
        "dataset": "on dataset {}, and --data is {}" if now.data_given else "on dataset {}, and this task's is {}",
        "protocol": "with the protocol {}, and it is now {}",
        "data_digest": "on data {}, and they are now {}",
        "objectives": "with the objective {}, and it is now {}",
        "task_digest": "on version {} of its task, which is now {}",
        "seed": "with --seed {}, and this asks for {}",
    }
    for name, words in named.items():
        old, new = plain(getattr(begun, name)), plain(getattr(now, name))
        if old != new and not (name == "task_digest" and _is_space_alone(begun, now)):
            return words.format(_words(getattr(begun, name)), _words(getattr(now, name)))
    return None


def change_of(name: str, begun: StudyTerms, now: StudyTerms, why: str) -> Change | None:
    """Return what changes of the study `name` with these terms, as a change from its first trial on; None where nothing
    does.

    Raises:
        StudyError: scores would mean something else, and there is no reason `why`, or no reason will do.
    """
    changed, names = difference(begun, now), changed_space(begun, now)
    if changed is None:
        return None if names is None else Change(now, time.time(), 0, f"the space of {names}")
    is_possible = (begun.task, begun.seed) == (now.task, now.seed)
    if not (why and is_possible):
        go_on = ", or launch it with --accept-change 'why'" if is_possible else ""
        raise StudyError(f"study {name!r} was begun {changed}: start another with --study NAME{go_on}")
    return Change(now, time.time(), 0, f"it was {changed}", why)


def changed_space(old: StudyTerms, new: StudyTerms) -> str | None:
    """Return the names of the parameters whose domains differ; None where the spaces are the same."""
    return None if plain(old.space) == plain(new.space) else ", ".join(_changed(old.space, new.space))


def spaces_of(begun: StudyTerms, changes: Sequence[Change]) -> tuple[AnySpace, ...]:
    """Return the spaces that a study has had, the first one first."""
    return tuple(space_from_json(terms.space) for terms in (begun, *(change.terms for change in changes)))


def _is_space_alone(begun: StudyTerms, now: StudyTerms) -> bool:
    return bool(begun.scored_by) and begun.scored_by == now.scored_by


def _changed(old: Any, new: Any) -> list[str]:
    """Return the names of the domains that differ between two spaces in JSON form."""
    before, after = (space_from_json(form) for form in (old, new))
    lines = set(before.describe()) ^ set(after.describe())
    return sorted({line.strip().split(":")[0].split(" ")[0] for line in lines}) or ["the order"]


def _words(value: Any) -> str:
    if isinstance(value, tuple):
        return objectives.words(value, " and ")
    if isinstance(value, Protocol):
        return ", ".join(f"{name} {part}" for name, part in value.to_dict().items())
    return str(value)
