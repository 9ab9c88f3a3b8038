"""CIFAR-10 to a test accuracy: seconds of whole processes, data and compiling included.

`python -m benchmarks.time_to_accuracy --dataset=FOLDER [--seeds=3]
[--targets=0.88,0.9] [--arms=atelier,airbench] [--torch_python=PYTHON]
[--torch_mode=compile] [--torch_precision=bfloat16] [--json=FILE] [--figure=FILE]`,
where FOLDER holds train/CLASS/*.jpg and test/CLASS/*.jpg. The arms:

- atelier: recipes/cifar10-speedrun.flags for the epochs that a target takes, then
  `atelier evaluate --split=test`; both commands count. Nothing is known of the files
  before: the cache of their hashes begins empty.
- atelier_again: the same, as the noise floor.
- keras: a plain Keras 3 program of its documentation's kind (time_to_accuracy_keras):
  Adam, `fit`, with the test split as its validation data. That is a look at the test
  split in every epoch, to the peer's advantage: its time is that of the first epoch
  that reaches the target, less those evaluations, or of its best one within --limit.
- airbench: airbench94_muon's network and recipe in PyTorch (time_to_accuracy_torch),
  for the epochs that a target takes; its JPEGs are decoded by Pillow on all cores.
- airbench_500: the same in batches of 500 and at half of Muon's rate, as in Atelier's
  recipe, where the source has 2,000 and twice the rate: faster on CPUs.

The epochs of a target are fixed beforehand (`EPOCHS`, or --epochs), as a falling
learning rate needs them to be; a target counts as reached where the median accuracy
over the seeds is not below it. --json=FILE is added to: what it has of an arm, target,
seed and number of epochs is not run again, so a sitting can be cut short.
"""

import argparse
import dataclasses
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from benchmarks import arms

ATELIER, AGAIN, KERAS = "atelier", "atelier_again", "keras"
AIRBENCH, AIRBENCH_500 = "airbench", "airbench_500"
ARMS = (ATELIER, KERAS, AIRBENCH, AIRBENCH_500, AGAIN)
RECIPE = pathlib.Path(__file__).parents[1] / "recipes" / "cifar10-speedrun.flags"
# For a target, in every arm but Keras', which stops by itself.
_RECIPE_EPOCHS = {0.88: 3.25, 0.9: 5.5}
EPOCHS = {
    **dict.fromkeys((ATELIER, AGAIN, AIRBENCH_500), _RECIPE_EPOCHS),
    AIRBENCH: {0.88: 4.0, 0.9: 6.5},
}
TARGETS = tuple(_RECIPE_EPOCHS)
# --batch_size, --muon_rate of time_to_accuracy_torch.
BATCHES = {AIRBENCH: (2000, 0.24), AIRBENCH_500: (500, 0.12)}
_WANTED = {KERAS: 8.0, AIRBENCH: 1.2, AIRBENCH_500: 1.2}


@dataclasses.dataclass(frozen=True)
class Run:
    """One run of an arm.

    Attributes:
      arm: one of `ARMS`.
      target: test accuracy that it was to reach.
      seed: of weights, order and augmentation.
      epochs: that it trained.
      seconds: of its processes, from their start to their end.
      accuracy: on the test split.
    """

    arm: str
    target: float
    seed: int
    epochs: float
    seconds: float
    accuracy: float


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs what is not there yet, and prints what came out."""
    options = _parse(arguments)
    print(arms.machine())
    runs = _read(options.json)
    for seed in range(options.seeds):
        for arm in options.arms if seed % 2 == 0 else reversed(options.arms):
            for run in _missing(runs, arm, seed, options):
                print(f"  {_line(run)}", flush=True)
                runs.append(run)
                if options.json:
                    content: dict[str, Any] = {"machine": arms.machine()}
                    content["runs"] = [dataclasses.asdict(run) for run in runs]
                    options.json.write_text(json.dumps(content, indent=2))
    print("\n" + "\n".join(table(runs)))
    if options.figure:
        _draw(runs, options.figure)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dataset", required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--arms", type=lambda text: text.split(","), default=[*ARMS])
    parser.add_argument(
        "--targets",
        type=lambda text: [float(part) for part in text.split(",")],
        default=[*TARGETS],
    )
    parser.add_argument("--epochs", type=float, help="in place of the arms' own")
    parser.add_argument("--limit", type=float, default=5400.0, help="seconds of keras")
    parser.add_argument("--torch_python", default=sys.executable)
    parser.add_argument("--torch_mode", choices=("eager", "compile"), default="eager")
    parser.add_argument(
        "--torch_precision", choices=("float32", "bfloat16"), default="float32"
    )
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--figure", type=pathlib.Path)
    options = parser.parse_args(arguments)
    if unknown := [arm for arm in options.arms if arm not in ARMS]:
        parser.error(f"--arms={unknown[0]}: expected some of {', '.join(ARMS)}")
    if options.epochs is None and (odd := {*options.targets} - {*TARGETS}):
        parser.error(
            f"--targets={odd.pop()}: expected some of {[*TARGETS]}, or --epochs"
        )
    return options


def _read(path: pathlib.Path | None) -> list[Run]:
    """What former sittings left."""
    if path is None or not path.exists():
        return []
    return [Run(**run) for run in json.loads(path.read_text())["runs"]]


def _missing(
    runs: Sequence[Run], arm: str, seed: int, options: argparse.Namespace
) -> list[Run]:
    """Runs an arm for the targets that are not there; one run of Keras is for all."""
    done = {
        (run.target, run.epochs) for run in runs if (run.arm, run.seed) == (arm, seed)
    }
    if arm == KERAS:
        targets = [
            t for t in options.targets if t not in {target for target, _ in done}
        ]
        return _run_keras(targets, seed, options) if targets else []
    found = []
    for target in options.targets:
        epochs = options.epochs or EPOCHS[arm][target]
        if (target, epochs) not in done:
            started = time.monotonic()
            train = _run_torch if arm in BATCHES else _run_atelier
            accuracy = train(arm, epochs, seed, options)
            seconds = time.monotonic() - started
            found.append(Run(arm, target, seed, epochs, seconds, accuracy))
    return found


def _run_atelier(
    arm: str, epochs: float, seed: int, options: argparse.Namespace
) -> float:
    """Trains by the recipe and evaluates: the test accuracy."""
    del arm
    with tempfile.TemporaryDirectory() as folder:
        run_dir = pathlib.Path(folder) / "run"
        program = (sys.executable, "-m", "app.main")
        environment = {**os.environ, "XDG_CACHE_HOME": folder}
        for command in (
            (
                *("train", f"--flagfile={RECIPE}", f"--dataset={options.dataset}"),
                *(f"--epochs={epochs}", f"--evaluate_every={epochs}"),
                *(f"--seed={seed}", f"--run_dir={run_dir}"),
            ),
            ("evaluate", "--split=test", f"--run_dir={run_dir}"),
        ):
            _output_of((*program, *command), environment)
        results = json.loads((run_dir / "results.json").read_text())
        return float(results["test"]["accuracy"])


def _run_torch(
    arm: str, epochs: float, seed: int, options: argparse.Namespace
) -> float:
    """Decodes the images, trains and evaluates: the test accuracy."""
    batch_size, muon_rate = BATCHES[arm]
    with tempfile.TemporaryDirectory() as folder:
        decode = (sys.executable, "-m", "benchmarks.decode_images")
        _output_of((*decode, options.dataset, folder))
        train = (options.torch_python, "-m", "benchmarks.time_to_accuracy_torch")
        printed = _output_of(
            (
                *(*train, f"--data={folder}", f"--epochs={epochs}", f"--seed={seed}"),
                *(f"--batch_size={batch_size}", f"--muon_rate={muon_rate}"),
                f"--mode={options.torch_mode}",
                f"--precision={options.torch_precision}",
            )
        )
    return float(json.loads(printed.splitlines()[-1])["accuracy"])


def _run_keras(
    targets: Sequence[float], seed: int, options: argparse.Namespace
) -> list[Run]:
    """For each target, the epoch that reached it first, or the best one."""
    command = (
        *(sys.executable, "-m", "benchmarks.time_to_accuracy_keras"),
        *(f"--dataset={options.dataset}", f"--seed={seed}"),
        *(f"--until={max(targets)}", f"--limit={options.limit}"),
    )
    points = [
        json.loads(line)
        for line in _output_of(command).splitlines()
        if line.startswith("{")
    ]
    best = max(points, key=lambda point: point["accuracy"])
    reached = {
        target: next((p for p in points if p["accuracy"] >= target), best)
        for target in targets
    }
    return [Run(KERAS, target, seed, **point) for target, point in reached.items()]


def _output_of(
    command: Sequence[str], environment: dict[str, str] | None = None
) -> str:
    """What a command printed.

    Raises:
      RuntimeError: it failed; with what it printed.
    """
    ran = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment
    )
    if ran.returncode:
        raise RuntimeError(f"{' '.join(command)} failed:\n{ran.stdout}\n{ran.stderr}")
    return ran.stdout


def _line(run: Run) -> str:
    return (
        f"{run.arm} to {run.target:g}, seed {run.seed}: {run.accuracy:.4f} after"
        f" {run.epochs:g} epochs, {run.seconds:.1f} s"
    )


def table(runs: Sequence[Run]) -> list[str]:
    """What came out, by target and arm, as lines of text."""
    lines = []
    for target in sorted({run.target for run in runs}):
        lines.append(f"to {target:g} test accuracy")
        own = _latest(runs, ATELIER, target)
        for arm in ARMS:
            found = _latest(runs, arm, target)
            if not found:
                continue
            accuracies = [run.accuracy for run in found]
            seconds = [run.seconds for run in found]
            reached = _is_reached(found, target)
            epochs = ", ".join(f"{n:g}" for n in sorted({run.epochs for run in found}))
            line = (
                f"  {arm:16} {arms.spread(seconds, 1)} s, {epochs} epochs,"
                f" accuracy {arms.spread(accuracies, 4)}, {len(found)} seeds"
            )
            if own and arm != ATELIER:
                ratio = statistics.median(seconds) / statistics.median(
                    run.seconds for run in own
                )
                is_bound = _is_reached(own, target) and not reached
                least = "more than " if is_bound else ""
                line += f", Atelier {least}{ratio:.2f} times as fast"
                wanted = _WANTED.get(arm)
                line += f" (wanted: {wanted:g})" if wanted else " (noise)"
            lines.append(line if reached else f"{line}: NOT REACHED")
    return lines


def _latest(runs: Sequence[Run], arm: str, target: float) -> list[Run]:
    """An arm's runs to a target, with the number of epochs that was run last."""
    found = [run for run in runs if (run.arm, run.target) == (arm, target)]
    if arm == KERAS:
        return found
    return [run for run in found if run.epochs == found[-1].epochs]


def _is_reached(runs: Sequence[Run], target: float) -> bool:
    return statistics.median(run.accuracy for run in runs) >= target


def _draw(runs: Sequence[Run], path: pathlib.Path) -> None:
    """Every run: its test accuracy over its seconds."""
    from app.reporting import canvas

    figure = canvas.new_figure()
    axes = figure.subplots()
    for arm, colour in zip(ARMS, canvas.SERIES, strict=False):
        found = [run for run in runs if run.arm == arm]
        if found:
            axes.scatter(
                [run.seconds for run in found],
                [run.accuracy for run in found],
                color=colour,
                label=arm,
            )
    for target in {run.target for run in runs}:
        axes.axhline(target, color=canvas.GREY, linewidth=0.8)
    axes.set_xscale("log")
    axes.legend(frameon=False)
    canvas.plain_axes(axes, "CIFAR-10", "seconds, whole processes", "test accuracy")
    canvas.save(figure, path)


if __name__ == "__main__":
    main()
