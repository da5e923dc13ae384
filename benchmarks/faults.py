"""Disturb sweeps at random moments, and compare the trials of each with those of the same sweep left alone.

    python benchmarks/faults.py --only kills --times 10

There is one function for each fault. Each ends with an audit of the study, MLflow and the leaderboard.

* `kills`: the driver and all processes of its Ray cluster are killed (SIGKILL) at once, every other time also the
  process that delivers to MLflow; the same command follows each time. digits-mlp, a grid and a random search.
* `processes`: one process at a time is killed, in turn the driver, a worker and Ray's raylet; the same command follows
  whenever the driver is gone. Trials do nothing for 0.6 s each.
* `commands`: launch, extend, replicate, retry, evaluate, import-study and delete are killed, in turn the driver, a
  worker, the raylet, the GCS and the process that delivers to MLflow, `--times` in all; the same command follows.
* `mlflow`: the server answers 2 s late, answers 3 of 10 calls with error 500, or does not answer. digits-mlp; the time
  inside epochs is compared trial by trial with that of a sweep whose server is well.
* `disk`: the disk of the home is filled and has room again; the same command follows. Needs root.
* `postgres`: the server is slow, is cut off and restarts, over and over. Needs PostgreSQL's programs.
* `clock`: the driver's clock jumps by days, both ways, over and over.
* `fuzz`: all that is read from people and files, damaged in `--examples` ways each.

In all but `kills`, `mlflow` and evaluations trials do nothing. tests/faults has the same faults, once or twice each.
"""

from __future__ import annotations

import argparse
import random
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

from auditing import print_audit
from disturbed_sweeps import IdleSweep, Result, digits_sweep, disturb_training, kill_sweep, settings_of
from measuring import make_sweep_parser, print_machine, print_table, say, time_command, warm_disk, work_folder
from sweeps import Sweep

_EARLY = 0.25  # of the kills come while Ray and TensorFlow are still starting


def main() -> None:
    options = _options()
    print_machine()
    results: list[Result] = []
    with work_folder(options.keep) as folder:
        if options.only != ["commands"]:
            warm_disk()
        for name in options.only or FAULTS:
            results += FAULTS[name](options, folder / name)
    print_table(
        ["fault", "disturbed", "audit"],
        [[result.fault, result.count, "as undisturbed" if result.is_same else "NOT THE SAME"] for result in results],
    )
    if not all(result.is_same for result in results):
        raise SystemExit("a disturbed sweep has other trials than the undisturbed one")


def _options() -> argparse.Namespace:
    parser = make_sweep_parser(__doc__)
    parser.add_argument("--only", action="append", choices=tuple(FAULTS), help="one fault; may be given several times")
    parser.add_argument("--trials", type=int, default=24)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--times", type=int, default=10, help="that each sweep is disturbed (default: 10)")
    parser.add_argument("--examples", type=int, default=2000, help="of each damaged input (default: 2000)")
    parser.add_argument("--searches", default="grid,random", help="that are killed (default: grid,random)")
    parser.add_argument("--seed", type=int, default=0, help="of the random moments")
    return parser.parse_args()


def kills(options: argparse.Namespace, folder: Path) -> list[Result]:
    return [_kills(search, options, folder) for search in options.searches.split(",")]


def _kills(search: str, options: argparse.Namespace, folder: Path) -> Result:
    alone = digits_sweep(search, folder / f"{search}-alone", options)
    killed = digits_sweep(search, folder / f"{search}-killed", options)
    say(f"{search}: undisturbed")
    began = time.time()
    seconds = alone.run()
    start_s = min(trial.started or began for trial in alone.record().trials) - began
    trial_s = (seconds - start_s) / options.trials
    moments = random.Random(f"{options.seed} {search}")
    n_kills = 0
    for n_left in range(options.times, 0, -1):
        is_early = moments.random() < _EARLY
        latest_s = 1.5 * trial_s * (options.trials - killed.n_finished()) / (n_left + 1)  # leaves work for later kills
        after_s = moments.uniform(0, start_s if is_early else latest_s)
        n_kills += kill_sweep(killed, after_s, is_early=is_early, spares_delivery=n_left % 2 == 0)
    say(f"{search}: to its end")
    killed.run()
    attempts = [trial.attempts for trial in killed.record().trials]
    repeats = f"{sum(n > 1 for n in attempts)} trials were begun more than once, at most {max(attempts)} times"
    return Result(f"kill -9, {search} search", f"{n_kills} kills; {repeats}", print_audit(alone, killed))


def processes(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.support.auditing import differences, undisturbed
    from tests.support.killing import Killer
    from tests.support.sweeping import command_line, own_task

    width = f"Choice(*range({12 * options.times}))"
    own, alone = (own_task(folder / "processes" / name, "doze", width=width) for name in ("task", "alone"))
    settings = settings_of(folder / "processes" / "home")
    launch = partial(command_line, settings, "launch", own.reference, "--search", "grid", "--max-retries", "99")
    killer = Killer(launch, seed=options.seed, longest_s=12.0, patience_s=2.0 * 12 * options.times, tell=say)
    killer.disturb(options.times)
    alone.go()  # without a pause in its trials
    lines = differences(settings, undisturbed(alone, folder / "processes"), own=own)
    for line in lines:
        say(line)
    counts = ", ".join(f"{count} {victim}" for victim, count in Counter(killer.killed).most_common())
    return [Result("kill -9 of one process", f"{len(killer.killed)} kills: {counts}", not lines)]


def commands(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.support.commands import GROUPS, CommandKiller, Course, Ground, Runner, Undisturbed
    from tests.support.killing import VICTIMS
    from tests.support.sweeping import shared_ray
    from tests.support.warm import WarmServer

    folder.mkdir(parents=True)
    warm, n_courses, n_trials = WarmServer(folder), 0, 24
    with closing(warm), shared_ray(warm) as ray:
        say("commands: undisturbed")
        ground = Ground.make(folder / "ground", Runner(warm, ray))
        undisturbed = Undisturbed(Course(folder / "alone", ground, n_trials))
        undisturbed.run(list(GROUPS))
        killer = CommandKiller(undisturbed, random.Random(options.seed), say)
        while killer.killed.total() < options.times:
            n_courses += 1
            killer.run(Course(folder / f"home-{n_courses}", ground, n_trials), GROUPS)
    victims = (*VICTIMS, "deliverer")
    print_table(["kills", *victims], [[name, *(killer.killed[name, one] for one in victims)] for name in GROUPS])
    for line in killer.faults:
        print(line)
    count = f"{killer.killed.total()} kills in {n_courses} homes"
    return [Result("kill -9 of a process of each command", count, not killer.faults)]


def mlflow(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.support.servers import HttpProxy, MlflowServer

    folder.mkdir(parents=True)
    server = MlflowServer(folder)
    server.start()
    results, ratios = [], []
    try:
        with HttpProxy(server.port).open() as proxy:
            alone = digits_sweep("random", folder / "alone", options, proxy.url)
            say("mlflow: the server is well")
            alone.run()
            for fault, delay_s, errors in (("2 s late", 2.0, 0.0), ("500 in 3 of 10", 0.0, 0.3), ("silent", 60.0, 0.0)):
                say(f"mlflow: {fault}")
                proxy.n_calls = proxy.n_errors = 0
                sweep = digits_sweep("random", folder / fault.replace(" ", "-"), options, proxy.url)
                disturb_training(sweep, partial(proxy.behave, delay_s, errors), partial(proxy.behave, 0.0, 0.0))
                count = f"{proxy.n_calls} calls, {proxy.n_errors} errors"
                direct = replace(sweep, tracking_uri=server.url)
                _sync(direct)
                ratios.append([fault, *_ratios(alone, sweep)])
                results.append(Result(f"MLflow {fault}", count, print_audit(alone, direct)))
    finally:
        server.stop()
    print_table(["seconds inside epochs, MLflow", "well", "disturbed", "ratio", "median of ratios"], ratios)
    return results


def _sync(sweep: Sweep) -> None:
    command = [sweep.command[0], "-m", "tune_jobs", "sync", sweep.record().name, "--home", str(sweep.home)]
    time_command(command, sweep.env, sweep.log)


def _ratios(alone: Sweep, disturbed: Sweep) -> list[str]:
    before = {(trial.params_id, trial.seed): trial.train_seconds or 0.0 for trial in alone.record().trials}
    trials = disturbed.record().trials
    pairs = [(before[trial.params_id, trial.seed], trial.train_seconds or 0.0) for trial in trials]
    well, late = (sum(side) for side in zip(*pairs, strict=True))
    return [f"{well:.1f}", f"{late:.1f}", f"{late / well:.3f}x", f"{median(b / a for a, b in pairs):.3f}x"]


def disk(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.faults.test_disk_full import fill

    with _mounted(folder / "disk") as place:

        def disturb(moments: random.Random) -> None:
            filler = fill(place)
            time.sleep(moments.uniform(1, 5))
            filler.unlink()

        sweep = IdleSweep("a full disk", folder, settings_of(place / "home"), options.times, options.seed)
        return [sweep.run(disturb)]


@contextmanager
def _mounted(place: Path) -> Iterator[Path]:
    """Mount a small file system for the block."""
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

            settings = replace(settings_of(folder / "home"), storage=server.url(wire.port))
            sweep = IdleSweep("PostgreSQL cut off or restarted", folder, settings, options.times, options.seed)
            return [sweep.run(disturb)]
    finally:
        server.remove()


def clock(options: argparse.Namespace, folder: Path) -> list[Result]:
    from tests.faults.test_two_drivers import JUMPING

    jump = folder / "jump"

    def disturb(moments: random.Random) -> None:
        jump.write_text(str(moments.uniform(-10, 10) * 86_400))

    script = JUMPING.format(file=str(jump))
    settings = settings_of(folder / "home")
    return [IdleSweep("a clock that jumps", folder, settings, options.times, options.seed, script).run(disturb)]


def fuzz(options: argparse.Namespace, folder: Path) -> list[Result]:
    import hypothesis

    from tests.faults.fuzzing import TARGETS, Target, prepare

    prepare()

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

    return [Result(f"damaged input: {target.name}", f"{options.examples} ways", survives(target)) for target in TARGETS]


FAULTS: dict[str, Callable[[argparse.Namespace, Path], list[Result]]] = {
    function.__name__: function for function in (kills, processes, commands, mlflow, disk, postgres, clock, fuzz)
}


if __name__ == "__main__":
    main()
