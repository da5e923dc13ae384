"""A damaged study file is repaired, or refused in one line; what it says is never another thing without a word."""

from __future__ import annotations

import json
import re
import sqlite3
import zlib
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.study import StudyDirection

from tests.support.damage import Victim, outcomes
from tests.support.sweeping import called, finished_study, own_task
from tune_jobs import files
from tune_jobs.actions import doctor_study
from tune_jobs.cli import run
from tune_jobs.errors import StudyError
from tune_jobs.study import lines
from tune_jobs.study.journal import Journal
from tune_jobs.study.study import Study


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    return Victim(tmp_path)


def split(victim: Victim) -> list[bytes]:
    return victim.whole.splitlines(keepends=True)


def index_of(victim: Victim, text: bytes) -> int:
    return next(index for index, line in enumerate(split(victim)) if text in line)


def with_line(victim: Victim, index: int, line: bytes) -> None:
    changed = split(victim)
    changed[index] = line
    victim.file.write_bytes(b"".join(changed))


def as_before(victim: Victim) -> None:
    """Write the file as versions without checksums did."""
    records = [json.loads(line) for line in split(victim)]
    plain = [{name: value for name, value in record.items() if name not in lines.OURS} for record in records]
    victim.file.write_bytes(b"".join(json.dumps(record, separators=(",", ":")).encode() + b"\n" for record in plain))


def refusal(victim: Victim) -> str:
    """What a reader is told, which a writer is told too."""
    before = victim.file.read_bytes()
    with pytest.raises(StudyError) as read:
        Study.open("own", victim.settings).record()
    with pytest.raises(StudyError) as held, Study.hold("own", victim.settings) as study:
        study.record()
    assert str(read.value) == str(held.value)
    assert "\n" not in str(held.value)
    assert victim.file.read_bytes() == before
    return str(held.value)


@pytest.mark.slow
def test_random_damage_is_without_effect_or_repaired_or_refused_in_one_line(tmp_path: Path) -> None:
    found = list(outcomes(tmp_path, 150, seed=1))
    assert not [outcome for outcome in found if outcome.startswith("WRONG")]
    assert found.count("refused") <= 1  # of damage in one place: about one in 10,000
    assert {"repaired, nothing lost", "repaired, what is lost is named"} <= set(found)


def test_a_zero_byte_in_the_last_line_is_refused_to_readers_and_writers_alike(victim: Victim) -> None:
    last = split(victim)[-1]
    with_line(victim, -1, last[:40] + b"\0" + last[41:])
    n_lines = len(split(victim))
    assert f"is damaged (record {n_lines}, an epoch of trial 5: it is not what its checksum says): restore it" in (
        refusal(victim)
    )


def test_a_zero_byte_in_the_last_line_of_an_older_file_is_refused_too(victim: Victim) -> None:
    as_before(victim)
    content = victim.file.read_bytes()
    victim.file.write_bytes(content[:-20] + b"\0" + content[-19:])
    assert f"record {len(split(victim))}, an epoch of trial 5: it is not JSON" in refusal(victim)


def test_a_score_that_was_changed_is_refused_with_its_trial(victim: Victim) -> None:
    index = index_of(victim, b'"result"')
    line = split(victim)[index]
    with_line(victim, index, line.replace(b'"weights":null', b'"weights":1234'))
    assert f"record {index + 1}, the result of trial 0: it is not what its checksum says" in refusal(victim)


def test_a_record_that_is_missing_is_noticed(victim: Victim) -> None:
    index = index_of(victim, b'"result"')
    with_line(victim, index, b"")
    assert "what is before it is missing or damaged" in refusal(victim)
    done = doctor_study.repair("own", victim.settings)
    assert done[0].startswith(f"record {index + 1} is lost; it was of trial 0 or a note")
    assert "trial 0 has lost its result and runs again" in done


def test_an_older_file_is_read_and_covered_by_the_next_record(victim: Victim) -> None:
    as_before(victim)
    assert Study.open("own", victim.settings).record() == victim.record
    with Study.hold("own", victim.settings) as study:
        study.note_transfers(())
    content = victim.file.read_bytes()
    assert Study.open("own", victim.settings).record() == victim.record
    victim.file.write_bytes(content.replace(b'"host":"host"', b'"host":"hosT"'))
    assert "what is before it is missing or damaged" in refusal(victim)


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        (b'"score":0.', b'"score":1.', "which is not that of its epoch"),
        (b'"cpus":1.0', b'"cpus":-1.0', "result.cpus needs a number from 0 to 1000000000; got -1.0"),
        (b'"epochs":', b'"epochs":99999999999', "terms.protocol.epochs needs a number from 0 to"),
        (b'"seed":0', b'"seed":-7', "seed needs to be 0 or more; got -7"),
    ],
)
def test_the_values_of_an_older_file_are_checked_as_those_of_an_import(
    victim: Victim, old: bytes, new: bytes, says: str
) -> None:
    as_before(victim)
    content = victim.file.read_bytes()
    assert old in content
    victim.file.write_bytes(content.replace(old, new, 1))
    with pytest.raises(StudyError, match="is damaged") as error:
        Study.open("own", victim.settings).record()
    assert says in str(error.value)


def test_the_values_of_a_database_are_checked_too(victim: Victim, tmp_path: Path) -> None:
    """A database has no checksums of ours."""
    settings = replace(victim.settings, storage=f"sqlite:///{tmp_path / 'studies.db'}")
    finished_study(own_task(tmp_path / "another"), settings)
    with closing(sqlite3.connect(tmp_path / "studies.db")) as database, database:
        changed = """UPDATE trial_user_attributes SET value_json = replace(value_json, '"cpus": 1.0', '"cpus": -1.0')
                     WHERE trial_id = 2"""
        assert database.execute(changed).rowcount
    with pytest.raises(StudyError, match=r"result\.cpus needs a number from 0 to 1000000000; got -1\.0") as error:
        Study.open("own", settings).record()
    assert "\n" not in str(error.value)


def test_optuna_reads_a_file_with_checksums(victim: Victim) -> None:
    storage = JournalStorage(JournalFileBackend(str(victim.file)))
    trials = storage.get_all_trials(storage.get_study_id_from_name("own"))
    assert [trial.value for trial in trials] == [trial.score for trial in victim.record.trials]


def test_half_of_a_surrogate_pair_in_a_message_is_read(victim: Victim) -> None:
    line = lines.sealed({"op_code": 2, "user_attr": {"x": "\ud800"}}, lines.START)
    assert lines.read(line, lines.START)[0]["user_attr"] == {"x": "\ud800"}


def test_the_doctor_restores_a_wrong_bit(victim: Victim, capsys: pytest.CaptureFixture[str]) -> None:
    index = index_of(victim, b'"result"')
    line = bytearray(split(victim)[index])
    line[60] ^= 4
    with_line(victim, index, bytes(line))
    arguments = ["doctor", "own", "--home", str(victim.settings.home)]
    assert run(arguments) == 1
    assert f"BAD   file         {victim.file}: record {index + 1}, the result of trial 0, is restored" in (
        capsys.readouterr().out
    )
    assert run([*arguments, "--repair"]) == 0
    assert Study.open("own", victim.settings).record() == victim.record
    (copy,) = victim.file.parent.glob("own.journal.damaged-*")
    assert copy.read_bytes().splitlines(keepends=True)[index] == line


def test_the_doctor_restores_a_wrong_byte(victim: Victim) -> None:
    index = index_of(victim, b'"op_code":4')
    line = bytearray(split(victim)[index])
    line[60] ^= 0b1011
    with_line(victim, index, bytes(line))
    assert doctor_study.repair("own", victim.settings)[0].endswith("is restored to the bit")
    assert Study.open("own", victim.settings).record() == victim.record


def test_a_hole_from_one_checksum_to_another_is_mended(victim: Victim) -> None:
    index = index_of(victim, b'"result"')
    begin, end = (len(b"".join(split(victim)[:last])) - 8 for last in (index, index + 2))
    victim.file.write_bytes(victim.whole[:begin] + victim.whole[end:])
    done = doctor_study.repair("own", victim.settings)
    assert "trial 0 has lost its result and runs again" not in done  # its state is lost with it
    trials = Study.open("own", victim.settings).record().trials
    assert trials[0].state == "running"
    assert trials[1:] == victim.record.trials[1:]


def test_a_record_that_was_replaced_is_refused(victim: Victim) -> None:
    index = index_of(victim, b'"result"')
    line = split(victim)[index].replace(b'"weights":null', b'"weights":1234')
    own = b"%08x" % zlib.crc32(line[: -lines.TAIL])
    with_line(victim, index, line[:-19] + own + line[-11:])
    with pytest.raises(StudyError, match=r"something before record \d+ was changed, and nothing says what"):
        doctor_study.repair("own", victim.settings)


def test_the_doctor_says_which_trial_runs_again(victim: Victim) -> None:
    index = index_of(victim, b'"result"')
    with_line(victim, index, split(victim)[index][:200] + b"\n")
    done = doctor_study.repair("own", victim.settings)
    assert done[:2] == (
        f"record {index + 1}, the result of trial 0, is lost",
        "trial 0 has lost its result and runs again",
    )
    trials = Study.open("own", victim.settings).record().trials
    assert trials[0].state == "running"
    assert trials[1:] == victim.record.trials[1:]


def lose_beginning(victim: Victim, trial: int) -> None:
    begins = [index for index, line in enumerate(split(victim)) if b'"op_code":4' in line]
    with_line(victim, begins[trial], split(victim)[begins[trial]][:60] + b"\n")


def test_a_failed_trial_stands_for_one_that_is_lost(victim: Victim) -> None:
    lose_beginning(victim, 1)
    done = doctor_study.repair("own", victim.settings)
    assert "trial 1 is lost; a failed trial without params stands in its place" in done
    assert "trial 1 has no result on the test split any more" in done
    record = Study.open("own", victim.settings).record()
    lost = record.trials[1]
    assert (lost.state, lost.reason, lost.params) == ("failed", "lost", {})
    assert (record.trials[0], *record.trials[2:]) == (victim.record.trials[0], *victim.record.trials[2:])
    assert record.readings == victim.record.readings  # the test split has been read all the same
    assert record.replication is not None
    assert record.replication.params_ids == (victim.record.trials[0].params_id,)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::sqlalchemy.exc.SADeprecationWarning")  # of MLflow's own tables
@pytest.mark.usefixtures("mlflow_tables")
def test_commands_take_a_study_with_a_lost_trial(victim: Victim) -> None:
    lose_beginning(victim, 1)
    doctor_study.repair("own", victim.settings)
    folder = victim.file.parent
    for words in (
        ("doctor", "own"),
        ("status", "own"),
        ("leaderboard", "own"),
        ("export", "own", "-o", str(folder / "exported")),
        ("report", "own", "-o", str(folder / "report.html")),
        ("sync", "own"),
        ("export-study", "own", "-o", str(folder / "own.study")),
    ):
        code, _, stderr = called(victim.settings, *words)
        assert code == 0, (words, stderr)
    elsewhere = replace(victim.settings, home=folder / "elsewhere")
    assert called(elsewhere, "import-study", str(folder / "own.study"))[0] == 0
    assert Study.open("own", elsewhere).record().trials == Study.open("own", victim.settings).record().trials


def test_a_lost_trial_is_not_retried(victim: Victim) -> None:
    lose_beginning(victim, 5)  # the one that runs
    doctor_study.repair("own", victim.settings)
    code, _, stderr = called(victim.settings, "retry", "own")
    assert code == 2
    assert "has nothing to retry: none of its trials failed, and the params of trial 5 are lost" in stderr


def test_a_study_without_its_beginning_gets_it_from_the_copy(victim: Victim) -> None:
    victim.file.write_bytes(b"\n" + b"".join(split(victim)[5:]))  # the study, its time, identity, terms and launch
    done = doctor_study.repair("own", victim.settings)
    assert [line for line in done if "copy" in line] == [
        f"the note {name} is restored from its copy" for name in ("created", "identity", "terms")
    ]
    assert Study.open("own", victim.settings).record() == replace(victim.record, launch=None)


def test_a_study_is_nothing_without_its_terms_and_their_copy(victim: Victim) -> None:
    victim.file.write_bytes(b"".join(line for line in split(victim) if b'"terms"' not in line))
    with pytest.raises(StudyError, match="the study's note terms is lost, and it is nothing without: restore the file"):
        doctor_study.repair("own", victim.settings)


def test_a_change_of_the_study_is_restored_from_its_copy(victim: Victim) -> None:
    with Study.hold("own", victim.settings) as study:
        terms = study.terms
        longer = replace(terms, protocol=replace(terms.protocol, epochs=terms.protocol.epochs + 1))
        assert study.begin(longer, "more epochs") is not None
    record = Study.open("own", victim.settings).record()
    lines_now = victim.file.read_bytes().splitlines(keepends=True)
    victim.file.write_bytes(b"".join(line for line in lines_now if b'{"changes":' not in line))
    assert "the note changes is restored from its copy" in doctor_study.repair("own", victim.settings)
    assert Study.open("own", victim.settings).record() == record


def test_how_often_the_test_split_was_read_stays_known(victim: Victim) -> None:
    victim.file.write_bytes(b"".join(line for line in split(victim) if b'{"readings":' not in line))
    done = doctor_study.repair("own", victim.settings)
    assert any("how often the test split was read" in line for line in done)
    (reading,) = Study.open("own", victim.settings).record().readings
    assert (reading.trials, reading.by) == ((1,), "not known any more")


def test_a_trial_of_an_older_file_whose_number_is_not_certain_is_refused(victim: Victim) -> None:
    older = next(line for line in split(victim) if b'"op_code":4' in line)
    content, place = b"", lines.START
    for line in split(victim):
        record = {name: value for name, value in json.loads(line).items() if name not in lines.OURS}
        sealed = lines.sealed(record, place)
        body = re.sub(rb',"trial":\d+$', b"", sealed[: -lines.TAIL])
        sealed = body + lines.tail(body, place.checksum)
        place = lines.read(sealed, place)[1]
        content += sealed
    victim.file.write_bytes(content)
    assert Study.open("own", victim.settings).record() == victim.record
    begins = content.index(b'{"op_code":4')
    victim.file.write_bytes(content[:begins] + content[begins + len(older) + 40 :])
    with pytest.raises(StudyError, match=r"which trial record \d+ begins is lost with records before it: restore"):
        doctor_study.repair("own", victim.settings)


def test_a_study_that_follows_one_that_was_deleted_is_mended(victim: Victim) -> None:
    victim.file.unlink()
    storage = JournalStorage(Journal(victim.file))
    half = storage.create_new_study([StudyDirection.MAXIMIZE], "own")
    storage.set_study_user_attr(half, "importing", "0" * 32)
    storage.create_new_trial(half)
    storage.create_new_trial(half)
    victim.make()  # drops what was half there
    record = Study.open("own", victim.settings).record()
    victim.whole = victim.file.read_bytes()
    lose_beginning(victim, 4)
    done = doctor_study.repair("own", victim.settings)
    assert "trial 2 is lost; a failed trial without params stands in its place" in done
    trials = Study.open("own", victim.settings).record().trials
    assert (*trials[:2], *trials[3:]) == (*record.trials[:2], *record.trials[3:])


def test_a_study_in_order_is_left_as_it_is(victim: Victim, capsys: pytest.CaptureFixture[str]) -> None:
    doctor_study.repair("own", victim.settings)
    assert victim.file.read_bytes() == victim.whole
    assert run(["doctor", "own", "--home", str(victim.settings.home)]) == 0
    assert "6: 5 complete, 1 running" in capsys.readouterr().out
    assert doctor_study.repair("own", victim.settings) == ()


def test_the_doctor_repairs_no_study_that_is_being_run(victim: Victim) -> None:
    with Study.hold("own", victim.settings), pytest.raises(StudyError, match="is being run by process"):
        doctor_study.repair("own", victim.settings)


def test_repair_needs_a_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["doctor", "--repair"]) == 2
    assert "--repair needs the name of a study" in capsys.readouterr().err


def test_the_folder_of_a_new_file_is_synced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(files, "sync", synced.append)
    victim = Victim(tmp_path)
    assert synced == [victim.settings.studies_dir]
