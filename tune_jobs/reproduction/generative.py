"""The page on generative networks: the baseline of each family against the best that a search found, with pictures.

The reports print no figure for them. Their Figures 8 to 13 are told in words beside ours (`REPORTED`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tune_jobs.leaderboard import fronts
from tune_jobs.leaderboard.ranking import Row
from tune_jobs.records.studies import StudyRecord
from tune_jobs.reproduction.contests import Contest, changes, contest_of, how, value_text
from tune_jobs.reproduction.generative_studies import agreements, is_generative, scores, shown_trial
from tune_jobs.reproduction.page import Origin, Section, rendered
from tune_jobs.reproduction.reported import ABSENT, budget, piped, studies_table
from tune_jobs.reproduction.searches import is_search
from tune_jobs.search_spaces.scalars import text
from tune_jobs.words import counted

if TYPE_CHECKING:
    from matplotlib.figure import Figure as Drawing


@dataclass(frozen=True)
class ReportedFigure:
    """A figure of the report: what it shows, what the report reads from it, and the task whose pictures show it."""

    number: int
    shows: str
    reading: str
    task: str | None  # None: it is of networks, and not of what they draw


REPORTED = (
    ReportedFigure(
        8, "the networks: four Conv2D layers, one Conv2DTranspose layer", "they match MNIST, and are simpler", None
    ),
    ReportedFigure(9, "reconstructions of an autoencoder", "it has captured the main features", "mnist-cae"),
    ReportedFigure(
        10, "VAE on MNIST, coordinates 10 and 27", "they are related to the shape of the digit", "mnist-vae"
    ),
    ReportedFigure(
        11,
        "VAE on butterflies, coordinates 6 and 29",
        "the one is the colour of the wings, the other their width",
        "butterflies-vae",
    ),
    ReportedFigure(12, "GAN on MNIST, coordinates 1, 120 and 126", "they lead to different digits", "mnist-gan"),
    ReportedFigure(13, "GAN on butterflies, coordinate 40", "it is related to colour and posture", "butterflies-gan"),
)
SCORES = (
    *("negative_elbo", "distortion", "rate", "importance_bound", "reconstruction", "latent_dim"),
    *("kid", "kid_error", "frechet", "precision", "recall", "classes", "diversity"),
)
_WORSE_WHERE_LARGER = ("val_negative_elbo", "val_kid", "val_frechet", "val_reconstruction")


def of_generative(studies: Sequence[StudyRecord]) -> list[StudyRecord]:
    """Return the studies of networks that make pictures, in the order of their names."""
    return sorted((study for study in studies if is_generative(study)), key=lambda study: study.name)


def drawings(studies: Sequence[StudyRecord]) -> dict[str, Drawing]:
    """Draw what the baseline and the best of each study draw (`STUDY`), how their training went (`training-STUDY`) and
    the front of a study of several objectives (`front-STUDY`)."""
    from tune_jobs.exports import front_plot, picture_plots

    drawn: dict[str, Drawing] = {}
    for study in of_generative(studies):
        contest = contest_of(study)
        if contest is None:
            continue
        shown = [(heading, shown_trial(study, row)) for heading, row in _columns(contest)]
        drawing = [(heading, trial) for heading, trial in shown if trial is not None]
        if drawing:
            columns = [(f"{heading} (trial {trial.number})", trial.pictures) for heading, trial in drawing]
            drawn[study.name] = picture_plots.pictures_plot(study.name, columns)
        if training := [(heading, trial.progress) for heading, trial in drawing if trial.progress]:
            drawn[f"training-{study.name}"] = picture_plots.progress_plot(f"{study.name}: training", training)
        if study.terms.further_objectives:
            drawn[f"front-{study.name}"] = front_plot.front_plot(study.name, contest.rows, study.terms.objectives)
    return drawn


def page(studies: Sequence[StudyRecord], machine: str, made_at: float, plots: Mapping[str, str] | None = None) -> str:
    """Return the page in Markdown; `machine` is where it is made, `plots` has the files of the drawings."""
    own, files = of_generative(studies), plots or {}
    contests = [contest for study in own if (contest := contest_of(study)) is not None]
    sections = (
        Section("Baseline against best", (*_ABOUT_CONTESTS, *_contests_table(contests))),
        *(Section(contest.study.name, _study(contest, files)) for contest in contests),
        Section("The figures of the report", (*_ABOUT_FIGURES, *_figures_table(contests, files))),
        Section("What the numbers do not say", (*_LIMITS, *_agreements(own))),
        *([Section("The photographs", _PHOTOGRAPHS)] if any(map(_has_photographs, own)) else []),
        Section("The studies", studies_table(own)),
    )
    origin = Origin(len(own), machine, made_at)
    return rendered("Generative networks", "tune-jobs results --page generative", origin, _ABOUT, sections)


_ABOUT = (
    "Report A shows pictures of these networks and prints no number. Here a number decides, and pictures show what it",
    "means. What the scores are is told in [generative networks](generative_networks.md).",
    "Everything is chosen on the validation split; test figures are those that `tune-jobs evaluate` read.",
)
_ABOUT_CONTESTS = (
    "The baseline has the settings of the report, as far as it names them. `best` is the best that was tried with the",
    "same budget; of several objectives, the best of those configurations that are nowhere worse than the baseline.",
    "`difference` is the best's score less the baseline's, by a paired test over the seeds that both have.",
    "Intervals are at 95 %, over seeds and images ([how](leaderboard.md)); with one seed, over the images alone.",
    "Those of KID are over seeds alone.",
    "",
)
_PHOTOGRAPHS = (
    "The butterflies are *Heliconius* from the collection records of the Butterfly Genetics Group, University of",
    "Cambridge, published on Zenodo under CC BY 4.0 and made smaller here. They are wings on green or grey boards, and",
    "stand in for the report's pictures of live butterflies and moths. The records are 3082688, 4288311, 4291095,",
    "2714333, 2707828, 5526257, 2686762, 4153502, 2555086, 5561246, 2702457, 2735056, 2677821, 2684906, 2813153,",
    "4289223, 2550097, 1748277, 2548678, 2549524 and 2682458.",
)
_ABOUT_FIGURES = (
    "The report's pictures are not copied: what they show is told in words. A walk moves the same coordinates, but the",
    "latents of two trainings are not the same: coordinate 10 of one is not that of another.",
    "",
)
_LIMITS = (
    "* The budget of a row is what this machine had time for. It says how configurations compare at that budget.",
    "* A search chooses the best of several noisy scores. So the score that it chose by is too good on average;",
    "  further seeds and the test split, which it has not seen, are not.",
    "* Nats of a Bernoulli likelihood are no density of grey values, and compare with nothing but each other.",
    "* KID and Frechet distance are by features of a small classifier of ours. They compare with no published figure,",
    "  and see what tells classes apart and little else: the evenness of a stroke or the veins of a wing hardly count.",
    "* A walk along one coordinate shows what that coordinate does at four samples, and not what it means.",
)


def _columns(contest: Contest) -> list[tuple[str, Row]]:
    if contest.best is contest.baseline:
        return [("baseline", contest.baseline)]
    return [("baseline", contest.baseline), ("best", contest.best)]


def _contests_table(contests: Sequence[Contest]) -> Iterator[str]:
    yield piped("study", "decides", "baseline", "95 %", "best", "95 %", "difference", "95 %", "seeds", "budget")
    yield piped(":--", ":--", *["--:"] * 7, ":--")
    for contest in contests:
        study, baseline, best = contest.study, contest.baseline, contest.best
        yield piped(
            study.name,
            study.terms.objective.metric,
            _number(baseline.score),
            _interval(baseline.interval),
            _number(best.score),
            _interval(best.interval),
            *_difference(contest),
            f"{baseline.n}, {best.n}",
            budget(study),
        )


def _has_photographs(study: StudyRecord) -> bool:
    return study.terms.dataset.startswith("butterflies")


def _difference(contest: Contest) -> tuple[str, str]:
    pair = contest.difference
    if pair is None:
        return "nothing was better" if len(contest.rows) > 1 else "nothing else was tried", ABSENT
    if pair.difference is None:
        return _number(contest.best.score - contest.baseline.score), ABSENT
    return f"{pair.difference:+.4g}", _interval(pair.interval)


def _study(contest: Contest, files: Mapping[str, str]) -> Iterator[str]:
    study = contest.study
    yield f"{how(study)}."
    if contest.best is not contest.baseline and not is_search(study):
        yield (
            f"It tried {counted(len(study.searched), 'configuration')}, the baseline among them: too few to call it a "
            "search."
        )
    yield ""
    yield from _scores_table(contest)
    yield ""
    if contest.changes:
        yield from (changes(contest), "")
    if study.terms.further_objectives:
        yield from _front_table(contest)
    for name, words in (
        (f"front-{study.name}", "the front"),
        (study.name, "what the baseline and the best draw"),
        (f"training-{study.name}", "how their training went"),
    ):
        if name in files:
            yield from (f"![{study.name}: {words}]({files[name]})", "")


def _scores_table(contest: Contest) -> Iterator[str]:
    columns = [part for _, row in _columns(contest) for part in scores(contest.study, row)]
    heads = [f"{heading}, {split}" for heading, _ in _columns(contest) for split in ("validation", "test")]
    yield piped("score", *heads)
    yield piped(":--", *["--:"] * len(heads))
    for name in SCORES:
        if any(name in column for column in columns):
            yield piped(f"`{name}`", *(_number(column[name]) if name in column else ABSENT for column in columns))


def _front_table(contest: Contest) -> Iterator[str]:
    study, front = contest.study, fronts.first(contest.rows)
    further = [objective.metric for objective in study.terms.further_objectives]
    differing = [name for name in front[0].params if len({text(row.params.get(name, "")) for row in front}) > 1]
    names = [name for name in differing if f"val_{name}" not in further]
    yield "The front, best first by the first objective:"
    yield ""
    yield piped(study.terms.objective.metric, "95 %", *further, *names)
    yield piped(*["--:"] * (2 + len(further) + len(names)))
    for row in front:
        values = (_number(value) for value in row.values[1:])
        params = (value_text(row.params.get(name)) for name in names)
        yield piped(_number(row.score), _interval(row.interval), *values, *params)
    yield ""


def _figures_table(contests: Sequence[Contest], files: Mapping[str, str]) -> Iterator[str]:
    yield piped("figure", "what it shows", "what the report reads from it", "ours")
    yield piped("--:", ":--", ":--", ":--")
    for figure in REPORTED:
        shown = [contest.study.name for contest in contests if contest.study.terms.task == figure.task]
        drawn = ", ".join(f"[{name}]({files[name]})" for name in shown if name in files)
        ours = "the baselines of the tasks" if figure.task is None else drawn or "not run"
        yield piped(str(figure.number), figure.shows, figure.reading, ours)


def _agreements(studies: Sequence[StudyRecord]) -> Iterator[str]:
    """Say how far the order by one score is the order by another."""
    for study in studies:
        metric = study.terms.objective.metric
        others = [name for name in _WORSE_WHERE_LARGER if name != metric]
        for other, rho, n in agreements(study, metric, others):
            yield (
                f"* In {study.name}, `{metric}` and `{other}` of {n} trials have a rank correlation of {rho:.2f}: "
                f"1 would be the same order, 0 none."
            )


def _number(value: float | None) -> str:
    return ABSENT if value is None else f"{value:.4g}"


def _interval(interval: tuple[float, float] | None) -> str:
    return ABSENT if interval is None else f"{interval[0]:.4g} to {interval[1]:.4g}"
