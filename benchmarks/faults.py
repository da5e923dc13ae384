"""Sweeps that are disturbed at random moments, each against the same sweep left alone: are its trials the same ones?

One function a fault, all of them or `--only NAME`; each ends with an audit of the study, MLflow and the leaderboard.

* `kills`: the driver and all processes of its Ray cluster get SIGKILL at once, every other time the process that
  delivers to MLflow too; the same command follows each time. digits-mlp, a grid and a random search.
* `processes`: SIGKILL to one process at a time, in turn the driver, a worker and Ray's raylet; the same command follows
  whenever the driver is gone. Trials that do nothing for 0.6 s each.
* `mlflow`: the server answers 2 s late, with errors 500 in 3 of 10 calls, and not at all. digits-mlp; the time inside
  epochs is compared trial by trial with that of a sweep whose server is well.
* `disk`: the disk of the home is filled; there is room again; the same command follows. Needs root.
* `postgres`: the server is slow, is cut off and restarts, over and over. Needs PostgreSQL's programs.
* `clock`: the driver's clock jumps by days, both ways, over and over.
* `fuzz`: whatever is read from people and files, damaged in `--examples` ways each.

All but `kills` and `mlflow` have trials that do nothing; what runs in them is in tests/faults too, with a fault or two.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import psutil
from auditing import print_audit
from measuring import parser, print_machine, print_table, say, seconds_of, warm_disk, workplace
from sweeps import Sweep, kill_family

from tune_jobs.settings import Settings

GRID = (  # 24 points
    "units=32,64,128",
    "activation=relu,tanh",
    "batch_norm=false,true",
    "dropout=without",
    "optimizer=adam",
    "learning_rate=0.001,0.003",
    "schedule=constant",
    "batch_size=32",
)
_EARLY = 0.25  # of the kills come while Ray and TensorFlow are still starting


@dataclass(frozen=True)
class Result:
    """A row of the table: what was done how often, and whether the audit found everything in its place."""

    fault: str
    done: str
    is_same: bool


def main() -> None:
    options = _options()
    print_machine()
    results: list[Result] = []
    with workplace(options.keep) as folder:
        warm_disk()
        for name in options.only or FAULTS:
            results += FAULTS[name](options, folder / name)
    print_table(
        ["fault", "disturbed", "audit"],
        [[one.fault, one.done, "as undisturbed" if one.is_same else "NOT THE SAME"] for one in results],
    )
    if not all(one.is_same for one in results):
        raise SystemExit("a sweep that was disturbed has not the trials of the undisturbed one")


def _options() -> argparse.Namespace:
    made = parser(__doc__)
    made.add_argument("--only", action="append", choices=tuple(FAULTS), help="one fault; may be said again")
    made.add_argument("--trials", type=int, default=24)
    made.add_argument("--epochs", type=int, default=20)
    made.add_argument("--times", type=int, default=10, help="that each sweep is disturbed")
    made.add_argument("--examples", type=int, default=2000, help="of each way in, to be damaged")
    made.add_argument("--searches", default="grid,random", help="that are killed")
    made.add_argument("--seed", type=int, default=0, help="of the moments")
    return made.parse_args()


def kills(options: argparse.Namespace, folder: Path) -> list[Result]:
    return [_killed(search, options, folder) for search in options.searches.split(",")]


def _killed(search: str, options: argparse.Namespace, folder: Path) -> Result:
    alone = _sweep(search, folder / f"{search}-alone", options)
    killed = _sweep(search, folder / f"{search}-killed", options)
    say(f"{search}: undisturbed")
    began = time.time()
    seconds = alone.run()
    starting = min(trial.started or began for trial in alone.record().trials) - began
    a_trial = (seconds - starting) / options.trials
    moments = random.Random(f"{options.seed} {search}")
    n_kills = 0
    for left in range(options.times, 0, -1):
        within = (
            1.5 * a_trial * (options.trials - killed.n_finished()) / (left + 1)
        )  # so that work is left for them all
        is_early = moments.random() < _EARLY
        moment = moments.uniform(0, starting if is_early else within)
        n_kills += _kill(killed, moment, is_early=is_early, spares_delivery=left % 2 == 0)
    say(f"{search}: to its end")
    killed.run()
    attempts = [trial.attempts for trial in killed.record().trials]
    again = f"{sum(n > 1 for n in attempts)} trials were begun more than once, at most {max(attempts)} times"
    return Result(f"kill -9, {search} search", f"{n_kills} kills; {again}", print_audit(alone, killed))


def _sweep(search: str, home: Path, options: argparse.Namespace, tracking_uri: str | None = None) -> Sweep:
    return Sweep(
        home,
        "digits-mlp",
        options.trials,
        search=search,
        epochs=options.epochs,
        max_concurrent=2,
        data_dir=options.data_dir,
        settings=GRID if search == "grid" else (),
        tracking_uri=tracking_uri,
    )


def _kill(sweep: Sweep, moment: float, *, is_early: bool, spares_delivery: bool) -> bool:
    """Kills the sweep so many seconds after its start or, unless early, its first trial's; whether it still ran."""
    began = time.time()
    process = sweep.start()
    while not is_early and process.poll() is None and not _trains_since(sweep, began):
        time.sleep(0.2)
    try:
        process.wait(timeout=moment)
    except subprocess.TimeoutExpired:
        n_killed = kill_family(process, spare=_delivers if spares_delivery else lambda _: False)
        say(f"{n_killed} processes killed after {time.time() - began:.1f} s; {sweep.n_finished()} trials were finished")
        return True
    if process.returncode != 0:
        raise SystemExit(f"exit code {process.returncode} of a sweep that nobody disturbed; see {sweep.log}")
    say("the sweep ended before its kill")
    return False


def _trains_since(sweep: Sweep, moment: float) -> bool:
    return any((trial.started or 0.0) > moment for trial in sweep.trials_so_far())


def _delivers(process: psutil.Process) -> bool:
    try:
        return "--follow" in process.cmdline()
    except psutil.Error:
        return False


def processes(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.support.auditing import differences, undisturbed
    from tests.support.killing import Killer
    from tests.support.sweeping import command_line, own_task

    width = f"Choice(*range({12 * options.times}))"
    own, alone = (own_task(folder / "processes" / name, "doze", width=width) for name in ("task", "alone"))
    settings = _settings(folder / "processes" / "home")
    words = ("launch", own.reference, "--search", "grid", "--max-retries", "99")
    launch = partial(command_line, settings, *words)
    killer = Killer(launch, seed=options.seed, longest_s=12.0, patience_s=2.0 * 12 * options.times, tell=say)
    killer.disturb(options.times)
    alone.go()  # without a pause in its trials
    found = differences(settings, undisturbed(alone, folder / "processes"), own=own)
    for line in found:
        say(line)
    counts = ", ".join(f"{count} {victim}" for victim, count in Counter(killer.killed).most_common())
    return [Result("kill -9 of one process", f"{len(killer.killed)} kills: {counts}", not found)]


def mlflow(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.support.servers import HttpProxy, MlflowServer

    folder.mkdir(parents=True)
    server = MlflowServer(folder)
    server.start()
    results, ratios = [], []
    try:
        with HttpProxy(server.port).open() as proxy:
            alone = _sweep("random", folder / "alone", options, proxy.url)
            say("mlflow: the server is well")
            alone.run()
            for what, delay_s, errors in (("2 s late", 2.0, 0.0), ("500 in 3 of 10", 0.0, 0.3), ("silent", 60.0, 0.0)):
                say(f"mlflow: {what}")
                proxy.n_calls = proxy.n_errors = 0
                sweep = _sweep("random", folder / what.replace(" ", "-"), options, proxy.url)
                _disturbed(sweep, lambda d=delay_s, e=errors: proxy.behave(d, e), lambda: proxy.behave(0.0, 0.0))
                done = f"{proxy.n_calls} calls, {proxy.n_errors} errors"
                _sync(replace(sweep, tracking_uri=server.url))
                ratios.append([what, *_ratios(alone, sweep)])
                is_same = print_audit(alone, replace(sweep, tracking_uri=server.url))
                results.append(Result(f"MLflow {what}", done, is_same))
    finally:
        server.stop()
    print_table(["seconds inside epochs, MLflow", "well", "disturbed", "ratio", "median of ratios"], ratios)
    return results


def _disturbed(sweep: Sweep, begin: Callable[[], None], end: Callable[[], None]) -> None:
    """Runs a sweep that is disturbed from its first trial to its last, and is left alone while it delivers."""
    process = sweep.start()
    while process.poll() is None and not sweep.trials_so_far():
        time.sleep(0.1)
    begin()
    while process.poll() is None and sweep.n_finished() < sweep.trials:
        time.sleep(0.5)
    end()
    if process.wait() != 0:
        raise SystemExit(f"exit code {process.returncode} of a sweep; see {sweep.log}")


def _sync(sweep: Sweep) -> None:
    command = [sweep.command[0], "-m", "tune_jobs", "sync", sweep.record().name, "--home", str(sweep.home)]
    seconds_of(command, sweep.environment, sweep.log)


def _ratios(alone: Sweep, disturbed: Sweep) -> list[str]:
    before = {(trial.params_id, trial.seed): trial.train_seconds or 0.0 for trial in alone.record().trials}
    pairs = [(before[t.params_id, t.seed], t.train_seconds or 0.0) for t in disturbed.record().trials]
    well, late = (sum(side) for side in zip(*pairs, strict=True))
    return [f"{well:.1f}", f"{late:.1f}", f"{late / well:.3f}x", f"{median(b / a for a, b in pairs):.3f}x"]


def disk(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.faults.test_disk_full import fill

    with _mounted(folder / "disk") as place:

        def disturb(moments: random.Random) -> None:
            filler = fill(place)
            time.sleep(moments.uniform(1, 5))
            filler.unlink()

        return [_own("a full disk", options, folder, _settings(place / "home"), disturb)]


@contextmanager
def _mounted(place: Path) -> Iterator[Path]:
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "tmpfs", str(place)], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def postgres(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.support.servers import PostgresServer, Wire

    server = PostgresServer()
    server.start()
    try:
        with Wire(server.port, delay_s=0.01).open() as wire:

            def disturb(moments: random.Random) -> None:
                if moments.random() < 0.5:
                    wire.cut(keeps_server=moments.random() < 0.5)
                    return
                server.stop()
                time.sleep(moments.uniform(0, 5))
                server.start()

            settings = replace(_settings(folder / "home"), storage=server.url(wire.port))
            return [_own("PostgreSQL cut off or restarted", options, folder, settings, disturb)]
    finally:
        server.remove()


def clock(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.faults.test_two_drivers import JUMPING

    jump = folder / "jump"

    def disturb(moments: random.Random) -> None:
        jump.write_text(str(moments.uniform(-10, 10) * 86_400))

    before = JUMPING.format(file=str(jump))
    return [_own("a clock that jumps", options, folder, _settings(folder / "home"), disturb, before)]


def _settings(home: Path) -> Settings:
    return Settings(home, home / "data", None, f"sqlite:///{home / 'mlflow.db'}")


def _own(
    fault: str,
    options: argparse.Namespace,
    folder: Path,
    settings: Settings,
    disturb: Callable[[random.Random], None],
    before: str = "",
) -> Result:
    """A sweep of trials that do nothing, in which a few end between two disturbances; a command that is refused is
    given again."""
    from tests.support.auditing import differences, undisturbed
    from tests.support.sweeping import command_line, ended, own_task

    n_trials = 4 * options.times
    task, alone = (own_task(folder / name, width=f"Choice(*range(1, {n_trials + 1}))") for name in ("task", "alone"))
    moments = random.Random(f"{options.seed} {fault}")
    n_done, n_refused, room = 0, -1, 3
    task.make_room(room)
    code = 2
    while code == 2:
        n_refused += 1
        process = command_line(settings, "launch", task.reference, "--search", "grid", before=before)
        while process.poll() is None:
            ends = len(task.noted("end"))
            if ends >= room and len(task.noted("begin")) > ends:
                room = ends + 3
                task.make_room(room if n_done < options.times - 1 else None)
                if n_done < options.times:
                    disturb(moments)
                    n_done += 1
                    say(f"{fault}: {n_done} times, {ends} trials ended")
            time.sleep(moments.uniform(0.1, 0.5))
        code, stdout, stderr = ended(process)
        if code not in (0, 2):
            raise SystemExit(f"exit code {code} of a sweep: {stdout}{stderr}")
    ended(command_line(settings, "sync", "own"))
    found = differences(settings, undisturbed(alone, folder), own=None if before else task)
    print("\n".join(found))
    done = f"{n_done} times in {n_trials} trials; the command was given {n_refused} times more"
    return Result(fault, done, not found)


def fuzz(options: argparse.Namespace, folder: Path) -> list[Result]:
    import hypothesis

    from tests.faults.fuzzing import TARGETS, Target

    def survives(target: Target) -> bool:
        @hypothesis.settings(
            max_examples=options.examples,
            database=None,
            deadline=None,
            suppress_health_check=list(hypothesis.HealthCheck),
        )
        @hypothesis.seed(options.seed)
        @hypothesis.given(target.inputs)
        def try_all(given: object) -> None:
            target.try_(given)

        say(f"fuzz: {target.name}")
        try:
            try_all()
        except Exception as error:
            print(f"{target.name}: {type(error).__name__}: {error}\n{getattr(error, '__notes__', '')}")
            return False
        return True

    return [Result(f"damaged input: {one.name}", f"{options.examples} ways", survives(one)) for one in TARGETS]


FAULTS: dict[str, Callable[[argparse.Namespace, Path], list[Result]]] = {
    function.__name__: function for function in (kills, processes, mlflow, disk, postgres, clock, fuzz)
}


if __name__ == "__main__":
    main()
