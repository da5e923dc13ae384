"""What may be claimed of a study, in three sentences: what was run, what came first and how surely, and what of it is
an estimate for new data."""

from __future__ import annotations

from tune_jobs.exports import numbers
from tune_jobs.exports.board import Board
from tune_jobs.leaderboard import fronts, ranking
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.words import counted


def sentences(board: Board) -> tuple[str, str, str]:
    """Return the three sentences."""
    best = fronts.best(board.rows)
    return _run(board), _first(board, best), _new_data(board, best)


def _run(board: Board) -> str:
    study, terms = board.study, board.study.terms
    by = f" by {study.launch.search}" if study.launch else ""
    replicated = sum(row.n > 1 for row in board.rows)
    seeds = f", {replicated} of them with several seeds" if replicated else ", with one seed each"
    aims = " and ".join(f"{objective.direction} {objective.metric}" for objective in terms.objectives)
    total = ranking.summary(study.trials).words()
    having = f"{counted(len(board.rows), 'configuration')} {'has' if len(board.rows) == 1 else 'have'} a score"
    return f"A search{by} to {aims} of {terms.subject} ran {total}; {having}{seeds}."


def _first(board: Board, best: Row | None) -> str:
    if best is None:
        return "No trial is complete, so that nothing can be claimed."
    if board.objectives:
        n = len(fronts.first(board.rows))
        on = "One configuration is" if n == 1 else f"{n} configurations are"
        return (
            f"{on} on the Pareto front: no other that was tried is as good in every objective and better in one"
            f"{_caution(board)}."
        )
    metric = board.study.terms.objective.metric
    score = f"The best {metric} is {numbers.score(best.score)}{_how_sure(best)}"
    return f"{score}: {_standing(board, best)}."


def _how_sure(best: Row) -> str:
    mean = f", the mean of {best.n} seeds" if best.n > 1 else ""
    if best.interval is None:
        return mean
    low, high = map(numbers.score, best.interval)
    over = "seeds and images" if best.has_seed_part else "the validation images alone"
    return f"{mean} (95 % interval over {over}: {low} to {high})"


def _standing(board: Board, best: Row) -> str:
    """Return whether the first may be called the best."""
    complete = [row for row in board.rows if row.is_result]
    if len(complete) == 1:
        return "it is the only configuration that completed"
    if not any(row.has_seed_part for row in complete):
        return "with one seed each, its lead over the next may be chance, and no order may be claimed"
    tied = sum(row.may_be_best for row in complete if row.places is not None)
    if best.may_be_best and tied < 2:
        return "it may be called the best of those tried, at 95 %"
    return f"{tied} configurations cannot be told from the best at 95 %, so that none may be called the best alone"


def _caution(board: Board) -> str:
    return "" if any(row.n > 1 for row in board.rows) else "; with one seed each, small differences may be chance"


def _new_data(board: Board, best: Row | None) -> str:
    """Return what is known of data that no decision was made on."""
    if not board.study.terms.has_data:
        return "All figures are what the function gave. The best was chosen by them, and may do worse another time."
    tested = None if best is None else best.tested
    if tested is not None:
        interval = (
            "" if tested.interval is None else f" (95 % interval: {' to '.join(map(numbers.score, tested.interval))})"
        )
        times = len(board.study.readings)
        often = "read once" if times == 1 else f"read {times} times, which makes the best a little luckier each time"
        return (
            f"On the test split, {often}, it reached {tested.metric} {numbers.score(tested.score)}{interval}: that is "
            "the figure to quote for new data, not the one above, on which it was chosen."
        )
    read = "was never read" if not board.study.readings else "was not read for it"
    return (
        f"All figures are of the validation split, on which the best was chosen, and are too good for new data by an "
        f"unknown amount; the test split {read} (`tune-jobs evaluate {board.study.name}` reads it once)."
    )
