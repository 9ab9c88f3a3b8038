"""What a command costs before it does anything, against `import tensorflow`.

`python -m benchmarks.start_up [--blocks=5] [--json=FILE]` measures whole processes that
take turns: `python -c "import tensorflow"`, `--help`, an argument error, and a training
on digits up to the end of its first step. Wanted: help and error in 1/20 of the import;
the first step 1.5 s after import and compilation.
"""

import argparse
import json
import pathlib
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from benchmarks import arms

_IMPORT, _FIRST_STEP = "import tensorflow", "first step"
_QUICK = {
    "--help": (("--help",), 0),
    "train --help": (("train", "--help"), 0),
    "argument error": (("train", "--run_dir=unused", "--modell=cnn"), 2),
}
_WANTED_SECONDS = 1.5


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the arms and prints what they took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--first_step", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.first_step:
        _train_one_step()
        return
    samples = arms.run_blocks(_arms(), options.blocks)
    _report(samples)
    if options.json:
        options.json.write_text(json.dumps(arms.as_json(samples), indent=2))


def _arms() -> list[arms.Arm]:
    python = sys.executable
    quick = [
        arms.Arm(name, (python, "-m", "app.main", *given), status, has_figures=False)
        for name, (given, status) in _QUICK.items()
    ]
    imported = (python, "-c", "import tensorflow")
    return [
        arms.Arm(_IMPORT, imported, has_figures=False),
        *quick,
        arms.Arm(_FIRST_STEP, (python, "-m", "benchmarks.start_up", "--first_step")),
        arms.Arm(f"{_IMPORT} again", imported, has_figures=False),
    ]


def _train_one_step() -> None:
    """Trains by `atelier train`, and ends the process after the first step.

    Prints the seconds from the process's start to there, and what of them TensorFlow
    took for compiling: tracing the segment, and its first call.
    """
    import psutil

    from app import tf_startup

    tf_startup.import_tensorflow()
    from app.main import main as atelier
    from app.training.segments import SynchronousTrainer

    spent: list[float] = []

    def timed(method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any) -> Any:
            started = time.monotonic()
            result = method(*arguments)
            spent.append(time.monotonic() - started)
            return result

        return call

    run = timed(SynchronousTrainer.run)

    def run_first(
        trainer: SynchronousTrainer, first: int, last: int, sums: Any
    ) -> None:
        run(trainer, first, last, sums)
        since = time.time() - psutil.Process().create_time()
        print(json.dumps({"seconds": since, "compiling_seconds": sum(spent)}))
        raise SystemExit(0)

    SynchronousTrainer.start_at = timed(SynchronousTrainer.start_at)  # type: ignore
    SynchronousTrainer.run = run_first  # type: ignore
    with tempfile.TemporaryDirectory() as folder:
        atelier(["train", f"--run_dir={folder}/run", "--progress=quiet"])


def _report(samples: dict[str, list[arms.Sample]]) -> None:
    print(f"\n{arms.machine()}")
    for name, found in samples.items():
        wall, cpu = [s.wall for s in found], [s.cpu for s in found]
        print(
            f"{name:24} wall s {arms.spread(wall, 2)}  CPU s {arms.spread(cpu, 2)}"
            f"  of the import {arms.spread(_shares(samples, name), 3)}"
        )
    for name in _QUICK:
        share = statistics.median(_shares(samples, name))
        print(f"{name}: 1/{1 / share:.0f} of the import; wanted 1/20 or less")
    above = [
        step.figures["seconds"] - imported.wall - step.figures["compiling_seconds"]
        for step, imported in zip(samples[_FIRST_STEP], samples[_IMPORT], strict=True)
    ]
    print(
        f"first step: {arms.spread(above, 2)} s above import and compilation; wanted"
        f" {_WANTED_SECONDS} or less"
    )


def _shares(samples: dict[str, list[arms.Sample]], name: str) -> list[float]:
    return [
        mine.wall / imported.wall
        for mine, imported in zip(samples[name], samples[_IMPORT], strict=True)
    ]


if __name__ == "__main__":
    main()
