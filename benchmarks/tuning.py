"""Searches side by side: best validation accuracy against wall seconds, and memory.

`python -m benchmarks.tuning [--seeds=3] [--trials=12] [--epochs=81] [--json=FILE]
[--figure=FILE]` runs, in turn and each in a process of its own, KerasTuner's
RandomSearch and Hyperband in its tutorial's form, Optuna's TPE with its median pruner
around a Keras `fit`, and Atelier's tuners, on the same data, space and seeds:
scikit-learn's digits, each training image also shifted by one pixel to all eight sides.
KerasTuner's random search has so many trials and is run to its end; the others go on
until they have reached its best accuracy, or for one and a half times as long. The time
is from the command, imports included, to the evaluation that reached that best, and to
the first that was within one standard error of it.

`--only=atelier_random --trials=40 --epochs=3` runs searches to their ends: memory.
"""

import argparse
import dataclasses
import functools
import json
import math
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import psutil

from benchmarks import arms, tuning_peers

REFERENCE = "keras_tuner_random"
TUNERS = ("random", "bayesian", "hyperband", "asha")
VALIDATION = 700
_TEST = 200
_LOOK_EVERY = 0.05
# What a search may take of the reference's trials and seconds.
_MORE_TRIALS, _MORE_SECONDS = 10, 1.5


@dataclasses.dataclass
class Search:
    """One search as seen from outside.

    Attributes:
      points: (seconds, best validation accuracy so far).
      seconds: of the whole command.
      memory: bytes of the search itself, without its trials, at each trial's end.
    """

    points: list[tuple[float, float]]
    seconds: float
    memory: list[int]

    def seconds_to(self, accuracy: float) -> float | None:
        """When an accuracy was reached; None if it never was."""
        return next((s for s, best in self.points if best >= accuracy - 1e-9), None)


@dataclasses.dataclass(frozen=True)
class Goal:
    """When a search need not go on.

    Attributes:
      accuracy: of validation, that it is to reach.
      seconds: that it may take.
    """

    accuracy: float
    seconds: float

    def is_over(self, points: Sequence[tuple[float, float]], seconds: float) -> bool:
        """Whether a search with these points has got there, or has had its time."""
        return seconds > self.seconds or (
            bool(points) and points[-1][1] >= self.accuracy - 1e-9
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the searches and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=81)
    parser.add_argument("--only", help="arms, separated by commas")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--figure", type=pathlib.Path)
    options = parser.parse_args(arguments)
    names = _names() if options.only is None else options.only.split(",")
    found: dict[str, list[Search]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "digits.npz"
        write_data(data)
        for seed in range(options.seeds):
            goal: Goal | None = None
            for name in _in_turn(names, seed):
                search = _run(name, data, seed, options, goal)
                found[name].append(search)
                if name == REFERENCE:
                    goal = Goal(search.points[-1][1], _MORE_SECONDS * search.seconds)
                best = search.points[-1][1] if search.points else float("nan")
                print(
                    f"  seed {seed}: {name} {best:.4f} in {search.seconds:.1f} s",
                    flush=True,
                )
    _report(found)
    if options.json:
        content = {n: [dataclasses.asdict(s) for s in v] for n, v in found.items()}
        options.json.write_text(
            json.dumps({"machine": arms.machine(), "searches": content}, indent=2)
        )
    if options.figure:
        _draw(found, options.figure)


def _in_turn(names: Sequence[str], seed: int) -> list[str]:
    """The reference first, since the others go by it; these in alternating order."""
    others = [name for name in names if name != REFERENCE]
    first = [REFERENCE] if REFERENCE in names else []
    return first + (others if seed % 2 == 0 else others[::-1])


def _names() -> list[str]:
    return [*tuning_peers.PEERS, *(f"atelier_{tuner}" for tuner in TUNERS)]


def write_data(path: pathlib.Path) -> None:
    """Digits as Atelier and the peers read them; shifted ones in the training only."""
    import numpy as np
    from sklearn import datasets

    bunch = datasets.load_digits()
    images = np.round(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    order = np.random.default_rng(0).permutation(len(images))
    first, second = VALIDATION, VALIDATION + _TEST
    arrays: dict[str, Any] = {}
    for split, chosen in (
        ("validation", order[:first]),
        ("test", order[first:second]),
        ("train", order[second:]),
    ):
        shifts = [(0, 0)]
        if split == "train":
            shifts = [(down, right) for down in range(3) for right in range(3)]
            padded = np.pad(images[chosen], ((0, 0), (1, 1), (1, 1), (0, 0)))
            parts = [padded[:, d : d + 8, r : r + 8] for d, r in shifts]
        else:
            parts = [images[chosen]]
        arrays[f"x_{split}"] = np.concatenate(parts)
        arrays[f"y_{split}"] = np.tile(bunch.target[chosen], len(shifts))
    np.savez(path, **arrays)


def _run(
    name: str,
    data: pathlib.Path,
    seed: int,
    options: argparse.Namespace,
    goal: "Goal | None",
) -> Search:
    """Runs one search in a process of its own, watching its evaluations."""
    trials, epochs = options.trials, options.epochs
    if goal is not None:
        trials *= _MORE_TRIALS
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        log = root / "points.jsonl"
        if name.startswith("atelier_"):
            command = _atelier(name, root / "search", data, seed, trials, epochs)
            read = functools.partial(_accuracies, root / "search")
        else:
            command = [sys.executable, "-m", "benchmarks.tuning_peers", name]
            command += [
                str(data),
                str(log),
                str(root),
                str(seed),
                str(trials),
                str(epochs),
            ]
            read = functools.partial(_peer_accuracies, log)
        return _watch(command, read, root / "output.txt", goal)


def _atelier(
    name: str,
    run_dir: pathlib.Path,
    data: pathlib.Path,
    seed: int,
    trials: int,
    epochs: int,
) -> list[str]:
    tuner = name.removeprefix("atelier_")
    command = [
        *(sys.executable, "-m", "app.main", "tune"),
        f"--run_dir={run_dir}",
        f"--dataset={data}",
        f"--tuner={tuner}",
        f"--seed={seed}",
        f"--epochs={epochs}",
        "--workers=2",
        "--model=mlp",
        "--model_args=depth=2",
        "--schedule=constant",
        "--search=learning_rate=1e-4..1e-1:log",
        "--search=batch_size=32|64|128",
        "--search=model_args.width=16|32|64|128",
        "--search=optimizer=sgd|adam",
    ]
    return command if tuner == "hyperband" else [*command, f"--trials={trials}"]


def _watch(
    command: Sequence[str],
    read: Callable[[], list[float]],
    output: pathlib.Path,
    goal: Goal | None,
) -> Search:
    started = time.monotonic()
    points: list[tuple[float, float]] = []
    memory: list[int] = []
    with open(output, "w") as file:
        process = subprocess.Popen(command, stdout=file, stderr=file)
        seen = 0
        while process.poll() is None:
            accuracies = read()
            if len(accuracies) > seen:
                seen = len(accuracies)
                best = max(accuracies)
                memory.append(_memory_of(process.pid))
                if not points or best > points[-1][1]:
                    points.append((time.monotonic() - started, best))
            taken = time.monotonic() - started
            if goal is not None and goal.is_over(points, taken):
                process.terminate()
                process.wait()
                return Search(points, taken, memory)
            time.sleep(_LOOK_EVERY)
    if process.returncode:
        raise RuntimeError(f"{command} failed:\n{output.read_text()[-2000:]}")
    return Search(points, time.monotonic() - started, memory)


def _memory_of(pid: int) -> int:
    """Resident bytes of a process."""
    try:
        return int(psutil.Process(pid).memory_info().rss)
    except psutil.NoSuchProcess:
        return 0


def _accuracies(run_dir: pathlib.Path) -> list[float]:
    """Validation accuracies that the trials have logged so far."""
    return [
        json.loads(line)["validation/accuracy"]
        for path in sorted(run_dir.glob("trials/*/metrics.jsonl"))
        for line in path.read_text().splitlines()
        if line.endswith("}")
    ]


def _peer_accuracies(log: pathlib.Path) -> list[float]:
    if not log.exists():
        return []
    return [float(line) for line in log.read_text().splitlines() if line]


def _report(found: dict[str, list[Search]]) -> None:
    """The table: time to the reference's final best, and how memory grew."""
    references = found.get(REFERENCE)
    print(f"\n{'search':22} {'best':>8} {'seconds':>9}  to the reference's best")
    for name, searches in found.items():
        best = statistics.median(s.points[-1][1] for s in searches)
        seconds = statistics.median(s.seconds for s in searches)
        print(f"{name:22} {best:8.4f} {seconds:9.1f}{_growth(searches)}")
        if references:
            print(f"{'':22} exactly: {_against(searches, references, 0)}")
            print(f"{'':22} within one error: {_against(searches, references, 1)}")


def _against(
    searches: Sequence[Search], references: Sequence[Search], errors: float
) -> str:
    """Time to the reference's best, less so many standard errors, and the ratio."""
    times, ratios = [], []
    for search, reference in zip(searches, references, strict=True):
        target = reference.points[-1][1]
        target -= errors * math.sqrt(target * (1 - target) / VALIDATION)
        needed = search.seconds_to(target)
        if needed is not None:
            times.append(needed)
            ratios.append((reference.seconds_to(target) or 0.0) / needed)
    if not times:
        return "never"
    reached = f"{len(times)} of {len(searches)} seeds"
    return (
        f"{statistics.median(times):.1f} s, {arms.spread(ratios, 2)}× sooner than the"
        f" reference ({reached})"
    )


def _growth(searches: Sequence[Search]) -> str:
    """Memory at the end over memory after a quarter of the search."""
    ratios = [
        s.memory[-1] / s.memory[len(s.memory) // 4] for s in searches if s.memory[-1:]
    ]
    return f" · memory ×{statistics.median(ratios):.3f}" if ratios else ""


def _draw(found: dict[str, list[Search]], path: pathlib.Path) -> None:
    """Best accuracy so far over wall seconds, a line for each seed."""
    from app.reporting import canvas

    figure = canvas.new_figure(9, 5)
    axes: Any = figure.add_subplot()
    canvas.plain_axes(
        axes,
        "Best validation accuracy over time",
        "Seconds from the command",
        "Validation accuracy",
    )
    for index, (name, searches) in enumerate(found.items()):
        for seed, search in enumerate(searches):
            times, bests = zip(*search.points, strict=True)
            axes.step(
                [*times, search.seconds],
                [*bests, bests[-1]],
                where="post",
                color=canvas.SERIES[index % len(canvas.SERIES)],
                linestyle="--" if index >= len(canvas.SERIES) else "-",
                label=name if seed == 0 else None,
            )
    axes.legend(frameon=False)
    canvas.save(figure, path)


if __name__ == "__main__":
    main()
