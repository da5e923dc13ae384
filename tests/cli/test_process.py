"""A command as a process, whatever the shell: Ctrl-C at any moment, closed streams, and what Python was asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from tests.support.house import ROOT
from tune_jobs import process
from tune_jobs.environment import prepare_python
from tune_jobs.process import is_strict

# A process whose import of a module lasts until it is told to stop; the module takes every exception for another one.
WAITS = """
import sys, time
print("waits", flush=True)
try:
    time.sleep(60)
except BaseException:
    raise ImportError("half imported")
"""
CALLBACK = """
import sys
from tune_jobs import cli, process

class Late:
    def __del__(self):
        print("waits", flush=True)
        import time
        time.sleep(60)

def run(arguments):
    Late()
    print("goes on", flush=True)
    return 0

cli.run = run
cli.main()
"""
SLOW = """
import time
from tune_jobs import cli

def run(arguments):
    try:
        print("waits", flush=True)
        time.sleep(60)
    finally:
        print("is tidied", flush=True)

cli.cli.main = lambda **_: run(None)
cli.main()
"""
ENDING = """
import atexit, time
from tune_jobs import cli

def tidy():
    print("waits", flush=True)
    time.sleep(1)
    print("is tidied", flush=True)

atexit.register(tidy)
cli.run = lambda arguments: 7
cli.main()
"""

TORN_DOWN = """
import atexit, ctypes
from tune_jobs import cli

libc = ctypes.CDLL(None)
libc.__cxa_atexit(libc.abort, None, None)  # as a thread of a native library that meets what is gone already
atexit.register(print, "is tidied")
cli.run = lambda arguments: 7
cli.main()
"""


def start(*words: str, **variables: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | variables
    return subprocess.Popen(
        [sys.executable, *words], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def interrupted(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    """Send Ctrl-C once the process says that it waits: its exit code, and what it said from then on."""
    assert process.stdout is not None
    assert process.stdout.readline() == "waits\n"
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=60)
    return process.returncode, stdout, stderr


@pytest.mark.parametrize("entry", [("-c", "from tune_jobs.__main__ import main; main()"), ("-m", "tune_jobs")])
def test_ctrl_c_while_the_command_line_is_imported_is_one_line(entry: tuple[str, str], tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text(WAITS)
    process = start(*entry, PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert interrupted(process) == (130, "", "tune-jobs: interrupted\n")


def test_ctrl_c_before_the_command_begins_is_one_line() -> None:
    script = "import time\nfrom tune_jobs.__main__ import main\nprint('waits', flush=True)\ntime.sleep(60)\nmain()"
    assert interrupted(start("-c", script)) == (130, "", "tune-jobs: interrupted\n")


def test_the_process_is_prepared_before_anything_is_imported_that_takes_time() -> None:
    program = "import sys\nfrom tune_jobs import process\n"
    program += "print({'typing', 'importlib', 're', 'pathlib', 'dataclasses', 'click'} & set(sys.modules))"
    assert start("-S", "-c", program).communicate() == ("set()\n", "")


def test_ctrl_c_while_a_command_imports_what_it_needs_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text(WAITS)
    process = start("-m", "tune_jobs", "launch", "digits-mlp", PYTHONPATH=f"{tmp_path}:{ROOT}")
    assert interrupted(process) == (130, "", "tune-jobs: interrupted\n")


def test_ctrl_c_while_a_task_file_is_read_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(WAITS)
    process = start("-m", "tune_jobs", "show", str(tmp_path / "own.py"))
    assert interrupted(process) == (130, "", "tune-jobs: interrupted\n")


def test_ctrl_c_in_a_callback_of_python_ends_the_process() -> None:
    assert interrupted(start("-c", CALLBACK)) == (130, "", "tune-jobs: interrupted\n")


def test_ctrl_c_elsewhere_leaves_time_to_tidy_up() -> None:
    assert interrupted(start("-c", SLOW)) == (130, "is tidied\n", "tune-jobs: interrupted\n")


def test_ctrl_c_while_python_ends_changes_nothing() -> None:
    assert interrupted(start("-c", ENDING)) == (7, "is tidied\n", "")


def test_what_native_libraries_do_at_the_end_is_no_failure_of_a_command_that_is_done() -> None:
    process = start("-c", TORN_DOWN)
    assert (*process.communicate(timeout=60), process.returncode) == ("is tidied\n", "", 7)


def test_a_ctrl_c_that_the_shell_ignores_stays_ignored() -> None:
    program = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); from tune_jobs import process\n"
    program += "process.prepare(); assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN"
    process = start("-c", program)
    process.communicate()
    assert process.returncode == 0


@pytest.mark.slow
def test_a_reader_that_leaves_early_is_no_traceback() -> None:
    """As `tune-jobs tasks | head -1`."""
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "tune_jobs", "tasks"]
    with os.fdopen(write, "wb") as stdout:
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, cwd=ROOT, check=False, text=True)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_nothing_that_a_file_can_become(closed: str, tmp_path: Path) -> None:
    program = "import os\nfrom tune_jobs import process\nprocess.prepare()\n"
    program += f"assert os.open({str(tmp_path / 'study')!r}, os.O_CREAT | os.O_WRONLY) > 2\n"
    program += "import sys\nassert not sys.stderr.isatty() and not sys.stdout.isatty()"
    command = ["bash", "-c", f'exec "$0" -c "$1" {closed}', sys.executable, program]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    assert subprocess.run(command, check=False, capture_output=True, env=environment).returncode == 0


@pytest.mark.parametrize(
    ("asked", "kept"),
    [
        ("error", ""),
        ("e", ""),
        ("error::DeprecationWarning,default::UserWarning", "default::UserWarning"),
        ("ignore,error:some text", "ignore"),
        ("default", "default"),
        ("", ""),
    ],
)
def test_warnings_are_no_errors_in_what_we_start(asked: str, kept: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONWARNINGS", asked)
    prepare_python()
    assert os.environ["PYTHONWARNINGS"] == kept
    assert not any(is_strict(option) for option in kept.split(","))


@pytest.mark.parametrize("options", [("-W", "error"), ("-W", "error::UserWarning", "-bb"), ("-W", "e")])
def test_warnings_are_no_errors_in_a_command(options: tuple[str, ...]) -> None:
    program = "import sys, warnings\nfrom tune_jobs import process\nwarnings.filterwarnings('ignore', 'hush')\n"
    program += "process.prepare()\nwarnings.warn('heard', UserWarning)\nwarnings.warn('hush', UserWarning)\n"
    program += "str(b'') if sys.flags.bytes_warning else None\nprint(sys.warnoptions)"
    process = start(*options, "-c", program, PYTHONWARNINGS="error")
    stdout, stderr = process.communicate()
    assert process.returncode == 0, stderr
    assert ("heard" in stderr, "hush" in stderr, stdout) == (True, False, "[]\n")


@pytest.mark.slow
@pytest.mark.parametrize(("options", "variable"), [(("-OO",), ""), ((), "2"), (("-O", "-O"), "1"), (("-O",), "")])
def test_a_python_without_docstrings_is_no_matter(options: tuple[str, ...], variable: str) -> None:
    process = start(*options, "-m", "tune_jobs", "show", "--help", PYTHONOPTIMIZE=variable)
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    assert "Example:  tune-jobs show" in stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    "variables",
    [
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONHASHSEED": "7", "PYTHONDONTWRITEBYTECODE": "1"},
        {"HOME": "/proc/nowhere", "TMPDIR": "/proc/nowhere", "PYTHONWARNINGS": "error", "PYTHONDEVMODE": "1"},
    ],
)
def test_a_command_is_as_ever_whatever_the_shell_says(variables: dict[str, str]) -> None:
    process = start("-m", "tune_jobs", "tasks", **variables)
    stdout, stderr = process.communicate()
    assert (process.returncode, stderr) == (0, "")
    assert "digits-mlp" in stdout


def test_a_process_that_calls_us_keeps_its_warnings_and_its_ctrl_c() -> None:
    from tune_jobs.cli import run

    before = list(warnings.filters), signal.getsignal(signal.SIGINT)
    assert run(["--version"]) == 0
    assert (list(warnings.filters), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="processors are not shared among sessions")
def test_a_process_that_leads_a_session_gives_way_with_all_of_it() -> None:
    program = """
import os
from pathlib import Path
from tune_jobs import process

def show(): print(os.nice(0), Path("/proc/self/autogroup").read_text().split()[-1], flush=True)

if os.fork():
    os.wait()
else:
    process.give_way(3)
    show()
    os._exit(0)
process.give_way(7)
show()
"""
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True, start_new_session=True)
    own = os.nice(0)
    assert list(map(int, answer.stdout.split())) == [own + 3, 0, own + 7, 7]


@pytest.mark.skipif(not Path("/proc/self/autogroup").exists(), reason="processors are not shared among sessions")
def test_a_session_that_somebody_waits_for_gives_way_no_longer() -> None:
    program = "from tune_jobs import process; process.give_way(7); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    ) as child:
        assert child.stdout is not None
        child.stdout.readline()
        group = Path(f"/proc/{child.pid}/autogroup")
        assert group.read_text().split()[-1] == "7"
        process.end_giving_way(child.pid)
        assert group.read_text().split()[-1] == "0"
        child.communicate(b"\n")
    process.end_giving_way(child.pid)  # it has ended
