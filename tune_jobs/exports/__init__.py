"""Files of a study: its leaderboard as text, Markdown, HTML, CSV and JSON, its best configuration, and its plots.

Pure functions turn a study's record into text (`render`, `best_text`); `write_all` and `write_test` only write. Each
format escapes what could break it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Literal

from tune_jobs import later_imports
from tune_jobs.errors import UserError
from tune_jobs.exports import data, page, tables, trial_data
from tune_jobs.exports.best import BestConfig, best_config, best_row, best_text, front_size, front_text, load_best
from tune_jobs.exports.board import Board
from tune_jobs.files import make_folder, write
from tune_jobs.leaderboard import fronts, ranking
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord

__all__ = [
    "FORMATS",
    "BestConfig",
    "Format",
    "best_config",
    "best_row",
    "best_text",
    "brief_table",
    "front_size",
    "front_text",
    "load_best",
    "render",
    "write",
    "write_all",
    "write_test",
]

Format = Literal["table", "csv", "json", "md", "html"]

_FORMATS: dict[Format, Callable[[Board], str]] = {
    "table": tables.text,
    "csv": data.csv_text,
    "json": data.json_text,
    "md": tables.markdown,
    "html": page.html_text,
}
FORMATS: tuple[Format, ...] = tuple(_FORMATS)


def render(study: StudyRecord, format: Format, top: int | None = None) -> str:  # noqa: A002 - its usual name
    """Return the leaderboard of `study` in a format, ending with a newline; the best `top` configurations, or all.

    Raises:
        UserError: `top` is below 1.
    """
    if top is not None and top < 1:
        raise UserError(f"top needs to be 1 or more; got {top}")
    return _FORMATS[format](board_of(study, top))


def table(study: StudyRecord, top: int | None, width: int) -> str:
    """Return the format `table` for a terminal of `width` columns."""
    return tables.text(board_of(study, top), width)


def brief_table(study: StudyRecord, top: int) -> str:
    """Return the best `top` configurations for a terminal of 80 columns, in one line each."""
    return tables.brief(board_of(study, top))


def board_of(study: StudyRecord, top: int | None) -> Board:
    terms = study.terms
    with later_imports.without_collections():
        rows = ranking.rank(study.trials, terms.objective, study.constraints)
        rows = ranking.with_uncertainty(rows, study.trials, terms.objective)
        rows = fronts.by_front(rows, study.trials, terms.objectives)
    return Board(study, rows, rows[:top])


def write_all(study: StudyRecord, folder: Path) -> tuple[Path, ...]:
    """Write the files of a study and return their paths.

    These are `leaderboard.*` in every format, `trials.csv` and `epochs.csv` with the numbers of each trial and epoch
    and, once a trial is complete, `best.yaml`. Some studies have more:

    * with several objectives, once a trial is complete: `front.yaml`, `front.svg`
    * with one factor at a time: `factors.md` and, once a trial is complete, `curves.svg`
    * with params of the label encoding, once a trial is complete: `encodings.svg`
    * with a label encoding that has a scale, once the best was evaluated: `test-errors.svg`, `test-worst.svg`

    Raises:
        UserError: the folder cannot be written.
    """
    suffixes = {"table": "txt"}
    board = board_of(study, None)
    texts = {f"leaderboard.{suffixes.get(name, name)}": _FORMATS[name](board) for name in FORMATS}
    texts |= {"trials.csv": trial_data.trials_csv(study), "epochs.csv": trial_data.epochs_csv(study)}
    if best_row(study) is not None:
        texts["best.yaml"] = best_text(study)
    texts |= _front_texts(board) | _factor_texts(study) | _encoding_texts(study) | _best_texts(study)
    return _write_texts(texts, folder)


def write_test(study: StudyRecord, trial: TrialRecord, folder: Path) -> tuple[Path, ...]:
    """Write `errors.svg` and `worst.svg` of an evaluated trial whose encoding has a scale; return their paths.

    Raises:
        UserError: the folder cannot be written.
    """
    return _write_texts(_test_texts(study, trial), folder)


def _write_texts(texts: Mapping[str, str], folder: Path) -> tuple[Path, ...]:
    try:
        make_folder(folder)
    except OSError as error:
        raise UserError(f"the folder {folder} cannot be made: {error.strerror}") from error
    for name, text in texts.items():
        write(folder / name, text)
    return tuple(folder / name for name in texts)


def _front_texts(board: Board) -> dict[str, str]:
    """Return the files of the Pareto front; nothing for a study with one objective."""
    terms = board.study.terms
    if not terms.further_objectives or not fronts.first(board.rows):
        return {}
    from tune_jobs.exports import front_plot, plots

    figure = front_plot.front_plot(board.study.name, board.rows, terms.objectives)
    return {"front.yaml": front_text(board.study), "front.svg": plots.svg_text(figure)}


def _factor_texts(study: StudyRecord) -> dict[str, str]:
    """Return the files of a one-factor study; nothing for another."""
    from tune_jobs.exports import factor_tables
    from tune_jobs.leaderboard.factors import factor_study, is_one_factor

    if not is_one_factor(study):
        return {}
    factors = factor_study(study)
    texts = {"factors.md": factor_tables.markdown(factors)}
    if factors.has_curves:
        from tune_jobs.exports import curves, plots  # matplotlib takes half a second

        texts["curves.svg"] = plots.svg_text(curves.curves_plot(factors))
    return texts


def _encoding_texts(study: StudyRecord) -> dict[str, str]:
    """Return the plot of the label encodings; nothing for a study without params of its encoding."""
    from tune_jobs.exports.encodings import encoding_params, error_scale
    from tune_jobs.leaderboard.encodings import entries

    names = encoding_params(study)
    if not any(name in trial.params for trial in study.trials for name in names):
        return {}
    compared = entries(study, names)
    if not any(entry.curve is not None for entry in compared):
        return {}
    from tune_jobs.exports import encodings_plot, plots

    scale = error_scale(study, compared[0].row.params)
    return {
        "encodings.svg": plots.svg_text(
            encodings_plot.encodings_plot(study.name, compared, study.terms.objective, scale)
        )
    }


def _best_texts(study: StudyRecord) -> dict[str, str]:
    """Return the plots of what the best configuration read on the test split; nothing before it was evaluated."""
    best = best_row(study)
    if best is None:
        return {}
    from tune_jobs.leaderboard.encodings import evaluated

    trial = evaluated(study, best)
    return {} if trial is None else {f"test-{name}": text for name, text in _test_texts(study, trial).items()}


def _test_texts(study: StudyRecord, trial: TrialRecord) -> dict[str, str]:
    if trial.tested is None or trial.tested.readings is None:
        return {}
    from tune_jobs.exports import plots, reading_plots

    figures = reading_plots.plots_of_test(study.name, trial)
    return {f"{name}.svg": plots.svg_text(figure) for name, figure in figures.items()}
