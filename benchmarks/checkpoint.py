"""What exact resume costs: training time lost to checkpoints, and time to resume.

`python -m benchmarks.checkpoint [--blocks=5] [--steps=240] [--json=FILE]` trains a
model of 25 million parameters (its state with AdamW's is 300 MB) with ten checkpoints
and with none but the last, and starts it fresh and from a checkpoint. Ten, so that what
one costs stands out of the noise; it is given as a share of a minute.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
from collections.abc import Sequence

from benchmarks import arms

_BATCH = 128
_EXAMPLES = 1438  # digits, training split
_CHECKPOINTS = 10
_OFTEN, _ONCE, _AGAIN = "ten checkpoints", "the last alone", "the last alone, again"
_MODEL = (
    "--dataset=digits",
    "--model=mlp",
    "--model_args=width=3500,depth=3",
    f"--batch_size={_BATCH}",
    "--learning_rate=1e-4",
    "--progress=quiet",
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the arms and prints what they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--steps", type=int, default=240)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--train", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.train is not None:
        _train_arm(options.train)
        return
    with tempfile.TemporaryDirectory() as folder:
        samples = _measure(pathlib.Path(folder), options.blocks, options.steps)
    _report(samples)
    if options.json:
        options.json.write_text(json.dumps(arms.as_json(samples), indent=2))


def _measure(
    folder: pathlib.Path, blocks: int, steps: int
) -> dict[str, list[arms.Sample]]:
    epochs = steps * _BATCH / _EXAMPLES
    long = (f"--epochs={epochs}", f"--evaluate_every={epochs}")
    every = f"--checkpoint_every={steps // _CHECKPOINTS}s"
    often = _arm(_OFTEN, folder / "a", *long, every)
    once = _arm(_ONCE, folder / "b", *long, f"--checkpoint_every={steps}s")
    again = _arm(_AGAIN, folder / "c", *long, f"--checkpoint_every={steps}s")
    paused = folder / "paused"
    one_step = (*long, "--checkpoint_every=9999m", "--stop_after=1e-9")
    arms.run_once(_arm("to resume from", paused, *one_step))
    two_steps = (
        *long,
        "--checkpoint_every=9999m",
        f"--stop_after={1.5 * _BATCH / _EXAMPLES}",
    )
    fresh = _arm("fresh start", folder / "d", *one_step)
    resumed = _arm("resumed start", folder / "e", *two_steps, "--from", str(paused))
    return arms.run_blocks([often, once, again, fresh, resumed], blocks)


def _arm(name: str, run_dir: pathlib.Path, *flags: str) -> arms.Arm:
    command = (sys.executable, "-m", "benchmarks.checkpoint", "--train")
    return arms.Arm(name, (*command, f"--run_dir={run_dir}", *_MODEL, *flags))


def _train_arm(flags: Sequence[str]) -> None:
    """Trains once and prints the seconds that it took; leaves no folder behind."""
    from app.main import main as atelier

    run_dir = pathlib.Path(flags[0].removeprefix("--run_dir="))
    if "--from" in flags:
        place = flags.index("--from")
        # Links, so that copying 300 MB is no part of what is measured.
        shutil.copytree(flags[place + 1], run_dir, copy_function=os.link)
        flags = [*flags[:place], *flags[place + 2 :]]
    status = atelier(["train", *flags])
    results = json.loads((run_dir / "results.json").read_text())
    if run_dir.name != "paused":
        shutil.rmtree(run_dir)
    if status not in (0, 75):
        raise SystemExit(status)
    print(json.dumps({"seconds": results["seconds"], "steps": results["steps"]}))


def _report(samples: dict[str, list[arms.Sample]]) -> None:
    print(f"\n{arms.machine()}")
    for name, found in samples.items():
        print(f"{name:22} wall s {arms.spread([s.wall for s in found], 1)}")
    for name in (_OFTEN, _AGAIN):
        lost = [
            (more.figures["seconds"] - fewer.figures["seconds"]) / (_CHECKPOINTS - 1)
            for more, fewer in zip(samples[name], samples[_ONCE], strict=True)
        ]
        share = [100 * seconds / 60 for seconds in lost]
        print(f"{name}: {arms.spread(lost)} s a checkpoint more than {_ONCE!r},")
        print(f"  with one a minute {arms.spread(share, 2)} % of the time")
    later = [
        resumed.wall - fresh.wall
        for resumed, fresh in zip(
            samples["resumed start"], samples["fresh start"], strict=True
        )
    ]
    print(f"resumed start after fresh start: {statistics.median(later):.2f} s later")


if __name__ == "__main__":
    main()
