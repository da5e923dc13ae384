"""A study as event files of TensorBoard: the metrics of each epoch as scalars, and params for its page HParams.

They are computed from the record, like MLflow's view, so that an imported study has them too. Each trial has a folder
of its own in that of its study. The only home of tensorboardX.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from tune_jobs.errors import UserError
from tune_jobs.files import make_folder
from tune_jobs.records.studies import StudyRecord
from tune_jobs.records.trials import TrialRecord
from tune_jobs.search_spaces import scalars
from tune_jobs.search_spaces.scalars import Value

if TYPE_CHECKING:
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData
    from tensorboardX.proto.summary_pb2 import Summary

Kind = Literal["bool", "number", "text"]

_SUFFIX = ".tune-jobs"  # of our files, which are replaced; what else is there stays
_PLUGIN = "hparams"  # TensorBoard's page, the version of its data, and its status of a run by a trial's state
_VERSION = 0
_STATUS = {"complete": "STATUS_SUCCESS", "stopped": "STATUS_SUCCESS", "failed": "STATUS_FAILURE"}


@dataclass
class EventFiles:
    """The event files of one study, in a folder of its own. Writing a later record adds what is new.

    `is_alone` is False if other studies lie beside it: TensorBoard then finds out by itself which hyperparameters there
    are, since it would read the list of one study only.
    """

    folder: Path
    is_alone: bool = True
    _epochs: dict[int, int] = field(default_factory=dict)  # that are written, of trials that go on
    _ended: set[int] = field(default_factory=set)
    _kinds: dict[str, Kind] | None = None  # of the params, as far as they are known

    def write(self, study: StudyRecord) -> int:
        """Write what is new, and return the number of trials that it is of.

        Raises:
            UserError: the folder cannot be written.
        """
        try:
            return self._write(study)
        except OSError as error:
            raise UserError(f"the folder {self.folder} cannot be written: {error.strerror}") from error

    def _write(self, study: StudyRecord) -> int:
        make_folder(self.folder)
        kinds = _kinds(study.trials)
        if self._kinds is None:
            self._remove_old()
        if self.is_alone and kinds != self._kinds:
            best = f"best_{study.terms.objective.metric}"
            self._add(self.folder, [_page(_experiment(kinds, best), "experiment")], 0.0)
        self._kinds = kinds
        return sum(self._write_trial(trial, study, kinds) for trial in study.trials if self._has_news(trial))

    def _remove_old(self) -> None:
        """Remove the files of an earlier call: TensorBoard would show every point twice."""
        for file in self.folder.rglob(f"events.out.tfevents.*{_SUFFIX}"):
            file.unlink()

    def _has_news(self, trial: TrialRecord) -> bool:
        if trial.state == "waiting" or trial.number in self._ended:
            return False
        return trial.is_finished or len(trial.history) > self._epochs.get(trial.number, 0)

    def _write_trial(self, trial: TrialRecord, study: StudyRecord, kinds: Mapping[str, Kind]) -> bool:
        folder, metric = self.folder / f"{trial.number:04d}", study.terms.objective.metric
        written = self._epochs.get(trial.number, 0)
        with _writer(folder, written) as writer:
            if written == 0:
                writer.add_summary(_page(_start(trial, kinds), "session_start_info"), walltime=trial.started)
            for epoch, values in list(enumerate(_by_name(trial, metric), start=1))[written:]:
                at = _time_of(trial, epoch)
                for name, value in values.items():
                    writer.add_summary(_scalar(name, value), epoch, at)
            if trial.is_finished:
                for summary in _end(trial, metric):
                    writer.add_summary(summary, 0, trial.finished)
                self._ended.add(trial.number)
        self._epochs[trial.number] = len(trial.history)
        return True

    def _add(self, folder: Path, summaries: Sequence[Summary], at: float) -> None:
        with _writer(folder, len(self._kinds or ())) as writer:
            for summary in summaries:
                writer.add_summary(summary, walltime=at)


def _writer(folder: Path, written: int) -> closing[Any]:
    """Return the writer of a new file; tensorboardX would write over one that was made in the same second."""
    from tensorboardX import FileWriter

    return closing(FileWriter(str(folder), filename_suffix=f".{written:06d}{_SUFFIX}"))


def _by_name(trial: TrialRecord, metric: str) -> Sequence[Mapping[str, float]]:
    """Return each epoch's metrics; of a trial without a result only its scores are known."""
    if trial.result is not None and trial.result.history:
        return trial.result.history
    return [{metric: score} for score in trial.scores]


def _time_of(trial: TrialRecord, epoch: int) -> float | None:
    """Return about when an epoch ended, in unix seconds: a study keeps the times of whole trials."""
    if trial.started is None or trial.seconds is None:
        return trial.started
    return trial.started + trial.seconds * epoch / len(trial.history)


def _scalar(name: str, value: float) -> Summary:
    from tensorboardX.summary import scalar

    return scalar(name, value)


def _kinds(trials: Sequence[TrialRecord]) -> dict[str, Kind]:
    """Return what each param of the trials is: one with values of several kinds is shown as text."""
    kinds: dict[str, Kind] = {}
    for trial in trials:
        for name, value in trial.params.items():
            kind = _kind(value)
            kinds[name] = kind if kinds.get(name, kind) == kind else "text"
    return kinds


def _kind(value: Value) -> Kind:
    if isinstance(value, bool):
        return "bool"
    return "number" if isinstance(value, int | float) else "text"


def _page(content: HParamsPluginData, tag: str) -> Summary:
    """Return a summary that the page of hyperparameters reads."""
    from tensorboardX.proto.summary_pb2 import Summary, SummaryMetadata

    data = SummaryMetadata.PluginData(plugin_name=_PLUGIN, content=content.SerializeToString())
    return Summary(value=[Summary.Value(tag=f"_{_PLUGIN}_/{tag}", metadata=SummaryMetadata(plugin_data=data))])


def _experiment(kinds: Mapping[str, Kind], metric: str) -> HParamsPluginData:
    """Return what there is to compare: all params, also those that some trials do not have, and the best score."""
    from tensorboardX.proto import api_pb2, plugin_hparams_pb2

    types = {"bool": "DATA_TYPE_BOOL", "number": "DATA_TYPE_FLOAT64", "text": "DATA_TYPE_STRING"}
    params = [api_pb2.HParamInfo(name=name, type=api_pb2.DataType.Value(types[kind])) for name, kind in kinds.items()]
    metrics = [api_pb2.MetricInfo(name=api_pb2.MetricName(tag=tag)) for tag in (metric, "best_epoch")]
    experiment = api_pb2.Experiment(hparam_infos=params, metric_infos=metrics)
    return plugin_hparams_pb2.HParamsPluginData(experiment=experiment, version=_VERSION)


def _start(trial: TrialRecord, kinds: Mapping[str, Kind]) -> HParamsPluginData:
    from tensorboardX.proto import plugin_hparams_pb2

    start = plugin_hparams_pb2.SessionStartInfo(start_time_secs=trial.started or 0.0)
    for name, value in trial.params.items():
        if kinds[name] == "text":
            start.hparams[name].string_value = value if isinstance(value, str) else scalars.text(value)
        elif kinds[name] == "bool":
            start.hparams[name].bool_value = value
        else:
            start.hparams[name].number_value = value
    return plugin_hparams_pb2.HParamsPluginData(session_start_info=start, version=_VERSION)


def _end(trial: TrialRecord, metric: str) -> Iterator[Summary]:
    """Yield how a trial ended: its score, its best epoch, and whether it failed."""
    from tensorboardX.proto import api_pb2, plugin_hparams_pb2

    if trial.score is not None:
        yield _scalar(f"best_{metric}", trial.score)
    if trial.best_epoch is not None:
        yield _scalar("best_epoch", trial.best_epoch)
    status = api_pb2.Status.Value(_STATUS[trial.state])
    end = plugin_hparams_pb2.SessionEndInfo(status=status, end_time_secs=trial.finished)
    yield _page(plugin_hparams_pb2.HParamsPluginData(session_end_info=end, version=_VERSION), "session_end_info")
