"""The terms a study was begun on: how they are kept, and which of them differ from others."""

from __future__ import annotations

from typing import Any

from tune_jobs.records import objectives
from tune_jobs.records.studies import StudyTerms
from tune_jobs.search_spaces.one_factor import space_from_json
from tune_jobs.search_spaces.protocol import Protocol
from tune_jobs.study.contents import plain

_ADDED_LATER = ("further_objectives", "data_given")


def note_of_terms(terms: StudyTerms) -> dict[str, Any]:
    """Return the terms as they are kept, without what came later and is not used: further objectives, data in place of
    the task's, and settings of the protocol."""
    note: dict[str, Any] = plain(terms) | {"protocol": plain(terms.protocol.to_dict())}
    return {name: part for name, part in note.items() if name not in _ADDED_LATER or part}


def difference(begun: StudyTerms, now: StudyTerms) -> str | None:
    """Return the first thing that is not what a study was begun on, in words; None where nothing is."""
    named = {
        "task": "for task {}, and this is {}",
        "dataset": "on dataset {}, and --data is {}" if now.data_given else "on dataset {}, and this task's is {}",
        "protocol": "with the protocol {}, and it is now {}",
        "data_digest": "on data {}, and they are now {}",
        "objectives": "with the objective {}, and it is now {}",
        "space": "with another search space than {} (see `tune-jobs show`); what differs: {}",
        "task_digest": "on version {} of its task, which is now {}",
        "seed": "with --seed {}, and this asks for {}",
    }
    for name, words in named.items():
        old, new = plain(getattr(begun, name)), plain(getattr(now, name))
        if old != new:
            if name == "space":
                return words.format("this", ", ".join(_changed(old, new)))
            return words.format(_words(getattr(begun, name)), _words(getattr(now, name)))
    return None


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
