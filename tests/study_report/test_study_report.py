"""The report of a study: what it says, what it draws, and that it loads nothing."""

from __future__ import annotations

import base64
import gzip
import json
import re
import threading
import warnings
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import optuna
import pytest

from tests.support.sweeping import called, data_of, own_task, terms_of
from tests.support.trials import changed, trial_record
from tune_jobs import exports, files, process, study_report
from tune_jobs.actions import report
from tune_jobs.leaderboard import comparison
from tune_jobs.records import trial_pictures
from tune_jobs.records.studies import Evaluation, Launch, StudyRecord
from tune_jobs.records.trial_pictures import EpochPictures
from tune_jobs.records.trials import TestResult, TrialRecord, TrialResult
from tune_jobs.search_spaces import Choice, Float, Objective, Space, Variants
from tune_jobs.settings import Settings
from tune_jobs.study.locks import taking_turns
from tune_jobs.study.optuna_view import OptunaTrial, Snapshot
from tune_jobs.study.study import Study
from tune_jobs.study_report import curves, figures, importances, page, parallel, reproduction, summary, timeline, trials

OPTIMIZERS = Variants(
    sgd=Space(learning_rate=Choice(1e-3, 1e-2, 1e-1), momentum=Choice(0.0, 0.9)),
    rmsprop=Space(learning_rate=Choice(1e-3)),
    adam=Space(learning_rate=Choice(1e-3, 1e-2)),
)
SPACE = Space(optimizer=OPTIMIZERS, units=Choice(16, 32, 64), rate=Float(1e-4, 1.0, log=True))
HOSTILE = "</script><img src=x onerror=alert(1)>"


def score(params: dict[str, object], n: int) -> float:
    known = {"sgd": 0.5, "rmsprop": 0.6, "adam": 0.7}[str(params["optimizer"])]
    return known + 0.001 * float(str(params["units"])) + 0.01 * (n % 7)


def points(n: int) -> list[dict[str, object]]:
    grid = list(Space(optimizer=OPTIMIZERS, units=Choice(16, 32, 64)).grid())
    return [dict(grid[i % len(grid)]) | {"rate": 10 ** (-4 * (i % 13) / 12)} for i in range(n)]


def make_study(
    settings: Settings, folder: Path, n: int = 60, further: tuple[Objective, ...] = (), message: str = "lost"
) -> StudyRecord:
    """A study of `n` trials on two machines, of which every tenth failed and every eleventh was stopped."""
    own = own_task(folder)
    settings.prepare()
    terms = replace(terms_of(own.task, own.reference, data_of(own.task)), space=SPACE.to_json())
    with Study.hold("shown", settings) as study:
        study.begin(replace(terms, further_objectives=further))
        study.note_launch(Launch("random", n, "host", 1.7e9, None, {"keras": "3.15"}))
        for number, params in enumerate(points(n)):
            trial = study.start(study.add(SPACE, params, 0), f"node-{number % 2}")  # type: ignore[arg-type]
            study.finish(trial, result(params, number, message), cpus=1.0)
        return study.record()


def result(params: dict[str, object], number: int, message: str) -> TrialResult:
    history = tuple({"val_accuracy": score(params, number) * part} for part in (0.5, 1.0))
    if number % 10 == 9:
        return TrialResult("failed", history=history[:1], reason="crashed", message=message)
    if number % 11 == 10:
        return TrialResult("stopped", history[0]["val_accuracy"], 1, history[0], history[:1], reason="scheduler")
    return TrialResult("complete", history[1]["val_accuracy"], 2, history[1], history, 1.0, 100 + number % 5)


@pytest.fixture(scope="module")
def snapshot(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("shown")
    settings = Settings(folder / "home", folder, storage=None, tracking_uri="sqlite://")
    return Snapshot.of(make_study(settings, folder, message=HOSTILE), settings)


@pytest.fixture(scope="module")
def text(snapshot: Snapshot) -> str:
    return page.html_text(snapshot)


class Page(HTMLParser):
    """The attributes of a page's tags, its texts by tag, and whether each tag closes what was opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "input", "img", "wbr"):
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.setdefault(self._open[-1] if self._open else "", []).append(data)


def test_the_page_is_whole_and_loads_nothing(text: str) -> None:
    shown = Page(text)
    named = {(tag, name) for tag, attributes in shown.tags for name in attributes}
    assert not named & {(tag, name) for tag, _ in shown.tags for name in ("src", "data", "srcset", "action")}
    links = [attributes["href"] for tag, attributes in shown.tags if tag == "a"]
    assert links
    assert all(link is not None and link.startswith("#") for link in links)
    assert {link[1:] for link in links if link} == {str(a["id"]) for tag, a in shown.tags if tag == "section"}
    assert not {tag for tag, _ in shown.tags} & {"link", "img", "iframe", "object"}
    assert not re.search(r"url\(|@import", text.split("</style>", maxsplit=1)[0])
    assert shown.tags[0] == ("html", {"lang": "en"})
    ids = [attributes["id"] for _, attributes in shown.tags if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_each_figure_has_its_data_and_a_text_and_plotly_is_there_once(text: str) -> None:
    shown = Page(text)
    by_id = {str(attributes.get("id")): attributes for tag, attributes in shown.tags if tag == "script"}
    plots, packed, script = shown.texts["script"]
    assert list(by_id) == ["figures", "plotly", "None"]
    assert gzip.decompress(base64.b64decode(packed)).startswith(b"/**\n* plotly.js")
    assert "plotly.js" not in script
    known = json.loads(plots)
    drawn = [str(attributes["data-figure"]) for tag, attributes in shown.tags if tag == "figure"]
    options = [str(attributes["value"]) for tag, attributes in shown.tags if tag == "option"]
    assert set(drawn) | set(options) == known.keys()
    images = [attributes for _, attributes in shown.tags if attributes.get("role") == "img"]
    assert len(images) == len(drawn)
    assert all(attributes["aria-label"] for attributes in images)


@pytest.mark.slow
def test_the_pictures_of_the_best_trial_are_in_the_page_and_in_its_contents(snapshot: Snapshot) -> None:
    packed = trial_pictures.pack({"samples": np.eye(4, dtype=np.uint8)})
    best = exports.best_row(snapshot.record)
    assert best is not None
    trials = list(snapshot.record.trials)
    first = best.trials[0]
    trials[first] = changed(trials[first], pictures=packed, progress=(EpochPictures(1, packed),))
    shown = page.html_text(replace(snapshot, record=replace(snapshot.record, trials=tuple(trials))))
    images = [attributes for tag, attributes in Page(shown).tags if tag == "img"]
    assert [image["alt"] for image in images] == ["samples, epoch 2, the best", "samples, epoch 1"]
    assert {image["src"] for image in images} == {f"data:image/png;base64,{packed['samples']}"}
    assert '<a href="#pictures">What the best model draws</a>' in shown


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_study_of_hardly_any_trials_has_a_report(settings: Settings, tmp_path: Path, n: int) -> None:
    text = page.html_text(Snapshot.of(make_study(settings, tmp_path, n), settings))
    assert ("nothing can be claimed" in text) == (n == 0)
    Page(text)


def own_study(trials: Sequence[OptunaTrial], direction: str = "maximize") -> optuna.Study:
    """An Optuna study of these trials in Optuna's own storage."""
    study = optuna.create_study(direction=direction)
    for trial in trials:
        study.add_trial(trial)
    return study


@pytest.mark.slow
def test_importances_are_those_that_optuna_computes_on_the_same_trials(snapshot: Snapshot) -> None:
    chosen = trials.searched(snapshot)
    by_label = {group.label: group.trials for group in trials.groups(chosen)} | {"all configurations": chosen}
    assessed = importances.assess(snapshot)
    assert {(each.method, each.group) for each in assessed} >= {
        ("PED-ANOVA", "all configurations"),
        ("fANOVA", "optimizer = sgd"),
        ("PED-ANOVA", "optimizer = adam"),
    }
    for each in assessed:
        same = own_study(by_label[each.group])
        evaluators = {
            "fANOVA": optuna.importance.FanovaImportanceEvaluator(seed=0),
            "PED-ANOVA": optuna.importance.PedAnovaImportanceEvaluator(),
        }
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            expected = optuna.importance.get_param_importances(same, evaluator=evaluators[each.method])
        assert {entry.name: entry.share for entry in each.importances} == pytest.approx(
            {entry.name: expected[entry.name] for entry in each.importances}
        )
        assert each.n == len(by_label[each.group])


def test_groups_share_their_params_and_say_which() -> None:
    def trial(number: int, **params: object) -> OptunaTrial:
        domains = {name: optuna.distributions.CategoricalDistribution(["a", "b", 1, 2]) for name in params}
        return optuna.trial.create_trial(value=number, params=params, distributions=domains)  # type: ignore[arg-type]

    groups = trials.groups([trial(n, kind="a", x=1 + n % 2) for n in range(3)] + [trial(9, kind="b")])
    assert [(group.label, len(group.trials), group.names) for group in groups] == [
        ("kind = a", 3, ("x",)),
        ("kind = b", 1, ()),
    ]


def test_fanova_of_a_large_group_takes_an_even_sample() -> None:
    numbers = list(range(1000))
    assert importances.thinned(numbers, 5) == (0, 249, 499, 749, 999)  # type: ignore[arg-type, comparison-overlap]


@pytest.mark.slow
def test_importances_of_a_record_without_its_storage_are_the_same(snapshot: Snapshot) -> None:
    of_record = importances.overall(Snapshot.of_record(snapshot.record))
    assert of_record is not None
    assert of_record == importances.overall(snapshot)
    assert of_record in importances.assess(snapshot)


def luminance(colour: str) -> float:
    """The relative luminance of #rrggbb, as the accessibility guidelines WCAG 2 define it."""
    parts = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [part / 12.92 if part <= 0.03928 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.slow
def test_figures_are_of_the_trials_that_they_say(snapshot: Snapshot) -> None:
    complete = sum(trial.state == "complete" for trial in snapshot.record.trials)
    (history,) = figures.histories(snapshot)
    assert f"{complete} configurations" in history.alt
    slices = {figure.name: figure for figure in figures.slices(snapshot)}
    assert set(slices) >= {"optimizer", "units", "rate", "optimizer=sgd/learning_rate"}
    assert slices["rate"].plot["layout"]["xaxis"]["type"] == "log"
    for _, colour in slices["rate"].plot["data"][0]["marker"]["colorscale"]:  # no point fades into the page
        assert 0.15 < luminance(colour) < 0.5
    pairs = [figure.name for figure in figures.contours(snapshot, importances.assess(snapshot))]
    assert len(pairs) == len(set(pairs))
    assert not any("sgd/" in pair and "adam/" in pair for pair in pairs)  # which never occur together


def test_long_axes_of_a_contour_are_cut_into_steps_and_keep_the_best() -> None:
    steps = figures._steps([10 ** (-i / 50) for i in range(200)])
    assert len(set(steps.values())) == 24
    assert figures._steps([1, 2, 3]) == {}
    assert figures._steps(["a", "b"]) == {}


def test_lines_cross_an_axis_at_its_foot_where_a_param_is_absent(snapshot: Snapshot) -> None:
    (figure,) = parallel.parallel(snapshot)
    axes = {axis["label"]: axis for axis in figure.plot["data"][0]["dimensions"]}
    momentum = axes["momentum (sgd)"]
    assert momentum["ticktext"][0] == "–"
    absent = [trial.params["optimizer"] != "sgd" for trial in trials.searched(snapshot)]
    assert [value == 0 for value in momentum["values"]] == absent


def test_curves_are_told_apart_by_how_they_ended(snapshot: Snapshot) -> None:
    board = exports.board_of(snapshot.record, None)
    (figure,) = curves.curves(snapshot, board.rows)
    names = [trace["name"] for trace in figure.plot["data"]]
    assert sum(name.startswith("best: trial ") for name in names) == 5
    assert names[0].startswith("complete (")


def at(number: int, place: str | None, start: float, end: float) -> TrialRecord:
    return trial_record(number, {"x": number}, started=start, finished=end, place=place)


def test_trials_of_a_place_that_overlap_have_lanes_and_idle_times_have_reasons() -> None:
    known = [at(0, "a", 0, 10), at(1, "a", 0, 4), at(2, "a", 6, 10), at(3, "b", 0, 7), at(4, "b", 500, 510)]
    lanes = {lane.name: [trial.number for trial in lane.trials] for lane in timeline.lanes(known)}
    assert lanes == {"a · 1": [0], "a · 2": [1, 2], "b": [3, 4]}
    runs = timeline.spans(known)
    assert runs == ((0, 10), (500, 510))
    idle = {lane.name: timeline.idle(lane, runs) for lane in timeline.lanes(known)}
    assert (idle["a · 2"].between_s, idle["a · 2"].end_s) == (2, 0)
    assert (idle["b"].between_s, idle["b"].end_s) == (0, 3)


def claims(record: StudyRecord) -> tuple[str, str, str]:
    return summary.sentences(exports.board_of(record, None))


def test_the_summary_claims_no_more_than_seeds_and_the_test_split_allow(snapshot: Snapshot) -> None:
    record = snapshot.record
    ran, first, new = claims(record)
    assert "60 trials" in ran
    assert "by random" in ran
    assert "no order may be claimed" in first
    assert "was never read" in new
    best = exports.best_row(record)
    assert best is not None
    tested = [
        replace(trial, tested=TestResult({"test_accuracy": 0.7})) if trial.number == best.trials[0] else trial
        for trial in record.trials
    ]
    read = replace(record, trials=tuple(tested), readings=(Evaluation(1.7e9, "me", best.trials),))
    assert "it reached test_accuracy 0.7000" in claims(read)[2]


def test_the_summary_says_whether_the_first_may_be_called_the_best(snapshot: Snapshot) -> None:
    def study(*means: float) -> StudyRecord:
        seeds = [
            trial_record(10 * i + seed, {"x": i}, seed, score=mean + 0.001 * seed)
            for i, mean in enumerate(means)
            for seed in range(4)
        ]
        return replace(snapshot.record, trials=tuple(seeds))

    assert "it may be called the best" in claims(study(0.9, 0.5))[1]
    assert "2 configurations cannot be told from the best" in claims(study(0.9, 0.9001, 0.5))[1]


def test_two_objectives_have_a_front(settings: Settings, tmp_path: Path) -> None:
    record = make_study(settings, tmp_path, further=(Objective("parameters", "minimize"),))
    snapshot = Snapshot.of(record, settings)
    board = exports.board_of(record, None)
    (figure,) = figures.fronts(snapshot, board.rows)
    dominated, front = figure.plot["data"]
    best = [row for row in board.rows if row.rank == 1]
    assert front["name"] == f"on the front ({len(best)})"
    assert list(zip(front["x"], front["y"], strict=True)) == [row.values for row in best]
    assert len(dominated["x"]) + len(best) == sum(row.is_result for row in board.rows)
    assert front["marker"]["color"] != dominated["marker"]["color"]
    assert len(list(figures.histories(snapshot))) == 2


def test_a_front_of_three_objectives_is_in_space_with_long_axes_logarithmic(settings: Settings, tmp_path: Path) -> None:
    more = (Objective("parameters", "minimize"), Objective("train_seconds", "minimize"))
    record = make_study(settings, tmp_path, further=more)
    first, *others = exports.board_of(record, None).rows
    rows = (replace(first, values=(0.5, 1e6, 1.0)), *others)
    (figure,) = figures.fronts(Snapshot.of(record, settings), rows)
    assert {trace["type"] for trace in figure.plot["data"]} == {"scatter3d"}
    scene = figure.plot["layout"]["scene"]
    assert (scene["xaxis"].get("type"), scene["yaxis"].get("type")) == (None, "log")


def test_names_of_colour_bars_stand_beside_them_and_axes_apart(snapshot: Snapshot) -> None:
    (lines,) = parallel.parallel(snapshot)
    trace = lines.plot["data"][0]
    assert {len(text) > 14 for axis in trace["dimensions"] for text in (axis["label"],)} == {True, False}
    assert lines.width == 100 * len(trace["dimensions"])
    assert lines.width <= 1400
    bars = [trace["line"]["colorbar"]]
    bars += [trace["colorbar"] for each in figures.contours(snapshot, ()) for trace in each.plot["data"][:1]]
    assert len(bars) > 1
    assert {(bar["title"]["text"], bar["title"]["side"]) for bar in bars} == {("val_accuracy", "right")}


def test_the_command_begins_such_a_study(snapshot: Snapshot) -> None:
    from tune_jobs.cli.launch import launch

    *_, reference = (words := reproduction.command(snapshot.record).split())[:3]
    assert reference == snapshot.record.reference
    context = launch.make_context("launch", words[2:])
    assert (context.params["trials"], context.params["search"], context.params["seed"]) == (60, "random", 0)


@pytest.mark.slow
def test_the_command_line_writes_it_and_prints_where(settings: Settings, tmp_path: Path) -> None:
    make_study(settings, tmp_path, 12)
    code, out, _ = called(settings, "report", "shown", "-o", str(tmp_path / "own.html"))
    assert (code, out.strip()) == (0, str(tmp_path / "own.html"))
    code, out, _ = called(settings, "report", "shown")
    assert Path(out.strip()).read_text() == (tmp_path / "own.html").read_text()
    assert called(settings, "report", "missing")[0] == 2
    assert called(settings, "report", "shown", "-o", str(tmp_path / "new" / "folder.html"))[0] == 0
    assert called(settings, "report", "shown", "-o", str(tmp_path / "own.html" / "file.html"))[0] == 2


@pytest.fixture
def launched(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the report of a study goes that a launch has left."""
    monkeypatch.setattr(process, "give_way", lambda _: None)  # this process has more tests to run
    make_study(settings, tmp_path, 3)
    file = settings.exports_dir("shown") / "report.html"
    file.parent.mkdir(parents=True)
    return file


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables
def test_what_a_launch_starts_leaves_a_deleted_study_alone(launched: Path, settings: Settings) -> None:
    assert called(settings, "report", "shown", "--after-launch")[0] == 0  # MLflow has never heard of it
    assert launched.exists()
    assert called(settings, "delete", "shown", "--yes")[0] == 0
    assert called(settings, "report", "shown", "--after-launch")[0] == 0
    assert not launched.parent.exists()


@pytest.mark.slow
@pytest.mark.usefixtures("launched")
def test_what_a_launch_starts_leaves_a_moved_home_moved(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files_write = files.write

    def write_then_move(path: Path, text: str) -> None:
        files_write(path, text)
        settings.home.rename(tmp_path / "moved")

    monkeypatch.setattr(files, "write", write_then_move)
    report.write_after_launch("shown", settings)
    assert not settings.home.exists()
    report.write_after_launch("shown", settings)  # begun after it was moved
    assert not settings.home.exists()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables
def test_reports_after_launches_are_written_one_after_the_other(
    launched: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(study_report, "text", lambda *_: "written at once, unless it waits")
    writer = threading.Thread(target=report.write_after_launch, args=("shown", settings))
    with taking_turns(report.turns_file(settings)):
        writer.start()
        writer.join(1)
        assert writer.is_alive()
        assert not launched.exists()
        report.write_after_launch("shown", settings)  # one that waits is enough
        assert not launched.exists()
    writer.join()
    assert launched.exists()


def test_several_studies_have_one_report(snapshot: Snapshot, settings: Settings) -> None:
    first = snapshot.record
    second = replace(first, name=f"b{HOSTILE}", trials=tuple(replace(trial, seed=1) for trial in first.trials))
    other = replace(
        first,
        name="c",
        terms=replace(first.terms, objective=Objective("val_loss", "minimize")),
        trials=first.trials[:5],
    )
    records = (first, second, other)
    text = study_report.comparison_text(records, comparison.compare(records))
    shown = Page(text)
    assert HOSTILE not in text
    headings = [heading for heading in shown.texts["h2"] if heading.strip()]
    assert headings == ["Winners", "Tests", "How the searches went", "All scores", "How the studies differ"]
    plots = json.loads(text.split('id="figures">')[1].split("</script>")[0])
    assert [len(plots[key]["data"]) for key in ("searches-0", "searches-1", "scores-0", "scores-1")] == [2, 1, 2, 1]
    best = plots["searches-0"]["data"][0]["y"]
    assert best == sorted(best)
    assert best[-1] == max(trial.score for trial in first.trials if trial.state == "complete" and trial.score)
    falling = plots["searches-1"]["data"][0]["y"]
    assert falling == sorted(falling, reverse=True)
    assert "No two winners can be tested against each other" in text


def test_compare_writes_a_report(settings: Settings, tmp_path: Path) -> None:
    make_study(settings, tmp_path, n=3)
    code, _, told = called(settings, "compare", "shown", "-o", str(tmp_path / "out.html"))
    assert code == 0, told
    Page((tmp_path / "out.html").read_text(encoding="utf-8"))
