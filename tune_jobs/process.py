"""What a command does first as a process, whatever shell started it: standard streams, Ctrl-C and warnings.

It imports nothing that takes time, for Ctrl-C may come at any moment. A test or a notebook that calls us keeps all of
this as it is.
"""

from __future__ import annotations

import atexit
import os
import signal
import sys
import warnings

from tune_jobs import neutral_matplotlib

TYPE_CHECKING = False  # as in `typing`, which takes a moment to import
if TYPE_CHECKING:
    from types import FrameType
    from typing import NoReturn

INTERRUPTED = 128 + signal.SIGINT  # exit code, as of a shell
_LINE = b"tune-jobs: interrupted\n"

_is_command = False  # this process was prepared for one
_code: int | None = None  # exit code, once the command is done
_stderr = 2  # a copy of it, once the process is prepared: it is held back while TensorFlow is imported


def prepare() -> None:
    """Make this process ready for a command. A second call does nothing."""
    global _is_command
    _is_command = True
    _open_standard_streams()
    _take_ctrl_c()
    _keep_warnings_from_failing()
    neutral_matplotlib.install()


def is_command() -> bool:
    """Return True if this process runs a command, and no program of a user's."""
    return _is_command


def _open_standard_streams() -> None:
    """Open the standard streams that the shell closed: else the next file, a study's perhaps, would be one of them."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest free number
    if sys.stdout is None:
        sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)  # noqa: SIM115


def _take_ctrl_c() -> None:
    global _stderr
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not one that is ignored, as under nohup
        _stderr = os.dup(2)
        signal.signal(signal.SIGINT, _interrupt)
        sys.unraisablehook = _end_if_interrupted


def _interrupt(number: int, frame: FrameType | None) -> None:
    """Raise KeyboardInterrupt; end the process at once at the second Ctrl-C, or while something is imported.

    What is half imported may print the exception, swallow it or take it for a missing module. The script that pip makes
    of an entry point has lines of its own between the import and the call of us, and nobody would catch it there.
    """
    signal.signal(number, _end)
    if _is_importing(frame) or not _is_in_a_command(frame):
        _end(number, frame)
    raise KeyboardInterrupt


def _is_in_a_command(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_globals.get("__name__", "").startswith("tune_jobs."):
            return True
        frame = frame.f_back
    return False


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None:
        if frame.f_code.co_filename.startswith("<frozen importlib."):
            return True
        frame = frame.f_back
    return False


def _end_if_interrupted(unraisable: sys.UnraisableHookArgs) -> None:
    """End the process where Ctrl-C came in a callback, such as a destructor, from which no exception gets out."""
    if issubclass(unraisable.exc_type, KeyboardInterrupt):
        _end(signal.SIGINT, None)
    sys.__unraisablehook__(unraisable)


def _end(number: int, frame: FrameType | None) -> NoReturn:
    try:
        os.write(_stderr, _LINE)
    finally:
        os._exit(INTERRUPTED)


def give_way(niceness: int) -> None:
    """Let other processes go first, by a niceness of 1 to 19.

    Linux may share the processors among sessions before it looks at niceness (sched(7), "autogroup"), so that a session
    that this process leads gives way as a whole.
    """
    os.nice(niceness)
    if os.getsid(0) == os.getpid():
        _share_processors("self", niceness)


def end_giving_way(pid: int) -> None:
    """Let the session that a process of ours leads have its full share again: somebody waits for it."""
    _share_processors(str(pid), 0)


def _share_processors(leader: str, niceness: int) -> None:
    try:
        with open(f"/proc/{leader}/autogroup", "w", encoding="ascii") as group:  # noqa: PTH123
            group.write(str(niceness))
    except OSError:  # it has ended, or the system does not share so
        return


def finish(code: int) -> None:
    """Let Ctrl-C do nothing more: the command is done, and only Python itself has to end, with this exit code."""
    global _code
    _code = code
    if signal.getsignal(signal.SIGINT) in (_interrupt, _end):
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _leave() -> None:
    """End the process of a command that is done, before Python and native libraries are torn down.

    Threads of Ray and TensorFlow run on while that happens. Rarely, one of them meets what is gone already, and a
    command that had done all its work ends with a segmentation fault.
    """
    if _code is None:
        return
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        return  # Python tries once more, complains and gives the exit code for it
    os._exit(_code)


atexit.register(_leave)  # before all others, to be called after them


def abandon_output() -> None:
    """Write nothing more where nobody reads: Python would try once more when it ends, and complain."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _keep_warnings_from_failing() -> None:
    """Drop the filters of `-W error` and PYTHONWARNINGS that make warnings errors: those of packages are not ours."""
    sys.warnoptions[:] = [option for option in sys.warnoptions if not is_strict(option)]
    kept = [entry for entry in warnings.filters if entry[0] != "error"]
    warnings.resetwarnings()  # or what was looked up before would stay in force
    warnings.filters.extend(kept)  # type: ignore[attr-defined]


def is_strict(option: str) -> bool:
    """Return True if this option of `-W` makes warnings errors; like Python's, its action may be shortened."""
    action = option.partition(":")[0].strip()
    return bool(action) and "error".startswith(action)
