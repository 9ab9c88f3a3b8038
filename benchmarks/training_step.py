"""Examples a second in the steady state: Atelier, Keras' `fit`, PyTorch's best setting.

`python -m benchmarks.training_step [--workloads=mlp,cnn] [--blocks=5] [--seconds=3]
[--torch_python=PYTHON] [--json=FILE] [--figure=FILE]` trains the workloads of
benchmarks/workloads.py, each arm in processes of its own that take turns; the settings
of PyTorch are tried once each, and the best of them takes part. Atelier stands twice:
its ratio to itself is the noise. PyTorch is left out where PYTHON (this one unless it
is given) has none: see benchmarks/requirements.txt.
"""

import argparse
import dataclasses
import itertools
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks import arms
from benchmarks.workloads import CLASSES, WORKLOADS, Figures, Workload

_ATELIER, _AGAIN, _FIT = "Atelier", "Atelier again", "Keras fit"
_SPEED = "examples_per_second"
_FLAGS = (
    "--run_dir=unused",
    "--optimizer=adam",
    "--learning_rate=1e-3",
    "--schedule=constant",
    "--epochs=100000",
)
Found = dict[str, list[arms.Sample]]


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the arms and prints what they reached."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workloads", default=",".join(WORKLOADS))
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--torch_python", default=sys.executable)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--figure", type=pathlib.Path)
    parser.add_argument("--atelier", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.atelier:
        name, data = options.atelier
        figures = _train(WORKLOADS[name], data, options.seconds, options.precision)
        print(json.dumps(dataclasses.asdict(figures)))
        return
    names = options.workloads.split(",")
    if unknown := [name for name in names if name not in WORKLOADS]:
        parser.error(f"--workloads={unknown[0]}: expected some of {list(WORKLOADS)}")
    print(arms.machine())
    found = {name: _measure(name, options) for name in names}
    for name, samples in found.items():
        print("\n" + "\n".join(_table(WORKLOADS[name], samples)))
    if options.json:
        content = {name: arms.as_json(samples) for name, samples in found.items()}
        options.json.write_text(json.dumps(content, indent=2))
    if options.figure:
        _draw(found, options.figure)


def _measure(name: str, options: argparse.Namespace) -> Found:
    """Samples of one workload by arm."""
    print(f"\n{WORKLOADS[name].title}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        data = pathlib.Path(folder) / "data.npz"
        _write_data(WORKLOADS[name], data)
        own = (
            *(sys.executable, "-m", "benchmarks.training_step"),
            *(f"--seconds={options.seconds}", f"--precision={options.precision}"),
            *("--atelier", name, str(data)),
        )
        keras = (sys.executable, "-m", "benchmarks.training_step_keras")
        taking_turns = [
            arms.Arm(_ATELIER, own),
            arms.Arm(_FIT, (*keras, name, str(options.seconds))),
            *_best_torch(name, options),
            arms.Arm(_AGAIN, own),
        ]
        return arms.run_blocks(taking_turns, options.blocks)


def _best_torch(name: str, options: argparse.Namespace) -> list[arms.Arm]:
    """PyTorch in its best setting for a workload; nothing where there is none."""
    there = subprocess.run(
        [options.torch_python, "-c", "import torch"], capture_output=True, check=False
    )
    if there.returncode:
        print(f"  no PyTorch in {options.torch_python}: left out")
        return []
    speeds: dict[arms.Arm, float] = {}
    for mode, precision in itertools.product(
        ("eager", "compile"), ("float32", "bfloat16")
    ):
        program = (options.torch_python, "-m", "benchmarks.training_step_torch")
        command = (*program, name, str(options.seconds), mode, precision)
        arm = arms.Arm(f"PyTorch {mode} {precision}", command)
        try:
            speeds[arm] = arms.run_once(arm).figures[_SPEED]
        except RuntimeError as error:
            print(f"  {arm.name}: {str(error).strip().splitlines()[-1]}")
            continue
        print(f"  {arm.name}: {speeds[arm]:,.0f} examples/s", flush=True)
    return [max(speeds, key=speeds.__getitem__)] if speeds else []


def _write_data(workload: Workload, path: pathlib.Path) -> None:
    """Random examples as Atelier reads them: pixels as bytes, features as floats."""
    import numpy as np

    rng = np.random.default_rng(0)
    arrays = {}
    for split, count in (
        ("train", workload.examples),
        ("validation", workload.batch),
        ("test", CLASSES),
    ):
        shape = (count, *workload.shape)
        arrays[f"x_{split}"] = (
            rng.integers(0, 256, shape, np.uint8)
            if len(shape) == 4
            else rng.normal(size=shape).astype(np.float32)
        )
        arrays[f"y_{split}"] = np.arange(count) % CLASSES
    np.savez(path, **arrays)


def _train(workload: Workload, data: str, seconds: float, precision: str) -> Figures:
    """Atelier's loop: the parts and the compiled segments of `atelier train`."""
    from app import tf_startup

    tf_startup.import_tensorflow()
    import numpy as np

    from app.configs import flags
    from app.configs.commands import TrainConfig
    from app.runs.assembly import build_parts, make_trainer

    given = (f"--dataset={data}", f"--batch_size={workload.batch}")
    config = flags.parse(
        TrainConfig, [*_FLAGS, *workload.flags, *given, f"--precision={precision}"]
    )
    parts = build_parts(config)
    print(*parts.notes, sep="\n")
    trainer = make_trainer(parts)
    sums = np.zeros(parts.network.metrics.size)
    started = time.monotonic()
    trainer.start_at(0)
    trainer.run(0, 1, sums)
    compiled = time.monotonic() - started
    # As the loop does: segments of about a second, by what the last ones took.
    step, length = 1, 1
    trainer.run(step, step + length, sums)
    step += length
    wall, cpu, first = time.monotonic(), time.process_time(), step
    while (taken := time.monotonic() - wall) < seconds:
        if step > first:
            measured = (step - first) / taken
            length = max(1, min(8 * length, int(measured), int(measured * seconds / 2)))
        sums = trainer.run(step, step + length, sums).sums
        step += length
    wall, cpu = time.monotonic() - wall, time.process_time() - cpu
    examples = (step - first) * workload.batch
    return Figures(examples / wall, 1e3 * cpu / examples, compiled, step - first)


def _table(workload: Workload, samples: Found) -> list[str]:
    """What came out for one workload, as lines of text."""
    lines = [workload.title]
    for name, found in samples.items():
        speeds, costs, firsts = (
            [sample.figures[figure] for sample in found]
            for figure in (_SPEED, "cpu_ms_per_example", "first_step_seconds")
        )
        lines.append(
            f"  {name:25} examples/s {arms.spread(speeds, 0)}, CPU ms per example"
            f" {arms.spread(costs, 4)}, first step after {arms.spread(firsts, 1)} s"
        )
    wanted = {_FIT: workload.wanted_over_fit, _AGAIN: 1.0}
    for name in samples:
        if name != _ATELIER:
            ratios = arms.ratios(samples, _ATELIER, name, _SPEED)
            least = wanted.get(name, workload.wanted_over_torch)
            note = "noise" if name == _AGAIN else f"wanted: {least:g}"
            lines.append(f"  Atelier / {name}: {arms.spread(ratios, 2)} ({note})")
    return lines


def _draw(found: dict[str, Found], path: pathlib.Path) -> None:
    """Atelier's speed over each peer's, with the range over the blocks."""
    import statistics

    from app.reporting import canvas

    figure = canvas.new_figure(8.0, 1.2 + 0.45 * len(found) * 3)
    axes = figure.subplots()
    labels = []
    for workload, samples in found.items():
        for name in samples:
            if name == _ATELIER:
                continue
            ratios = arms.ratios(samples, _ATELIER, name, _SPEED)
            place, middle = len(labels), statistics.median(ratios)
            colour = canvas.GREY if name == _AGAIN else canvas.BLUE
            axes.barh(place, middle, color=colour)
            axes.hlines(place, min(ratios), max(ratios), color=canvas.BLACK)
            axes.text(max(ratios), place, f" {middle:.2f}", va="center")
            labels.append(f"{workload}: {name}")
    axes.set_yticks(range(len(labels)), labels)
    axes.invert_yaxis()
    axes.axvline(1.0, color=canvas.BLACK, linewidth=0.8)
    canvas.plain_axes(axes, "Speed of a training step", "Atelier's over the peer's", "")
    canvas.save(figure, path)


if __name__ == "__main__":
    main()
