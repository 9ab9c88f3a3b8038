"""What data parallelism costs: the same training on one device and divided in two.

`python -m benchmarks.strategies [--blocks=3] [--epochs=18] [--json=FILE]
[--figure=FILE]` trains one network on the same cores and the same global batch by every
strategy, and by Keras' own `fit` under MirroredStrategy: images a second once warm, and
seconds to a loss. Then synchronous against asynchronous, with one of two workers
stopped three quarters of the time.
"""

import argparse
import contextlib
import json
import math
import pathlib
import statistics
import sys
import tempfile
import threading
import time
from collections.abc import Sequence

import psutil

from benchmarks import arms

_BATCH = 128
_EXAMPLES = 1437  # digits, 0.8 of 1,797
_LOSS = 0.3
_MODEL_ARGS = "width=16,depth=3"
_TRAIN = (
    "train",
    "--dataset=digits",
    "--image_size=32",
    "--model=cnn",
    f"--model_args={_MODEL_ARGS}",
    f"--batch_size={_BATCH}",
    "--learning_rate=1e-3",
    "--schedule=constant",
    "--progress=quiet",
    # An epoch is 12 steps: at every one of them evaluation would be most of the time.
    "--evaluate_every=6",
    "--checkpoint_every=6",
)
_WANTED = {"mirrored x2": 10, "multi_worker x2": 20, "parameter_server x2": 25}
_WANTED_FASTER = 1.8
# A worker that is slowed runs for so many seconds, then stands still for so many.
_RUNS, _STANDS = 0.1, 0.3


_COMMAND = "--atelier"
_TWO = ("launch", "--workers=2")
_SLOW_SYNC, _SLOW_ASYNC = "multi_worker, one slow", "parameter_server, one slow"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the arms and prints what they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=18)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--figure", type=pathlib.Path)
    parser.add_argument("--slow", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--fit", action="store_true", help=argparse.SUPPRESS)
    given = list(sys.argv[1:] if arguments is None else arguments)
    # What follows is a command line of its own, which argparse would take apart.
    end = given.index(_COMMAND) if _COMMAND in given else len(given)
    options = parser.parse_args(given[:end])
    if end < len(given):
        print(json.dumps(_train(given[end + 1 :], options.slow)))
    elif options.fit:
        print(json.dumps(_fit(options.epochs)))
    else:
        samples = arms.run_blocks(_arms(options.epochs), options.blocks)
        _report(samples)
        if options.figure:
            _draw(samples, options.figure)
        if options.json:
            options.json.write_text(json.dumps(arms.as_json(samples), indent=2))


def _arms(epochs: int) -> list[arms.Arm]:
    train = (*_TRAIN, f"--epochs={epochs}")
    mirrored = ("--strategy=mirrored", "--logical_cpus=2")
    return [
        _arm("one_device", *train),
        _arm("mirrored x2", *train, *mirrored),
        _arm("multi_worker x2", *_TWO, "--", *train),
        _arm("parameter_server x2", *_TWO, "--parameter_servers=1", "--", *train),
        _arm("Keras fit, mirrored x2", "--fit", f"--epochs={epochs}"),
        _arm("one_device again", *train),
        _arm(_SLOW_SYNC, *_TWO, "--", *train, slow=True),
        _arm(_SLOW_ASYNC, *_TWO, "--parameter_servers=1", "--", *train, slow=True),
    ]


def _arm(name: str, *arguments: str, slow: bool = False) -> arms.Arm:
    ours: tuple[str, ...] = () if "--fit" in arguments else (_COMMAND,)
    if slow:
        ours = ("--slow", *ours)
    command = (sys.executable, "-m", "benchmarks.strategies", *ours, *arguments)
    return arms.Arm(name, command)


def _train(arguments: Sequence[str], slow: bool) -> dict[str, float]:
    """Trains once by `atelier`, in a folder that is thrown away."""
    from app.main import main as atelier

    with tempfile.TemporaryDirectory() as parent:
        folder = pathlib.Path(parent) / "run"
        if slow:
            threading.Thread(target=_slow_down, args=(folder,), daemon=True).start()
        status = atelier([*arguments, f"--run_dir={folder}"])
        if status:
            raise SystemExit(status)
        text = (folder / "metrics.jsonl").read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    reached = [n["seconds"] for n in lines if n["validation/loss"] <= _LOSS]
    return {
        "images_per_second": lines[-1]["examples_per_second"],
        "seconds_to_loss": reached[0] if reached else math.inf,
    }


def _slow_down(folder: pathlib.Path) -> None:
    """Stops and continues worker 1, once it has trained for an epoch."""
    while not (folder / "metrics.jsonl").exists():
        time.sleep(0.1)
    (worker,) = (
        child
        for child in psutil.Process().children()
        if json.loads(child.environ().get("TF_CONFIG", "{}")).get("task")
        == {"type": "worker", "index": 1}
    )
    with contextlib.suppress(psutil.NoSuchProcess):
        while True:
            worker.suspend()
            time.sleep(_STANDS)
            worker.resume()
            time.sleep(_RUNS)


def _fit(epochs: int) -> dict[str, float]:
    """Trains the same network by Keras' `fit` under MirroredStrategy on two CPUs."""
    import keras
    import tensorflow as tf

    from app.configs.distribution import DistributionConfig
    from app.distribution.strategies import make_strategy
    from models import registry
    from models.spec import Inputs, Outputs
    from pipelines.config import DataConfig
    from pipelines.dataset import open_dataset

    strategy = make_strategy(DistributionConfig(strategy="mirrored", logical_cpus=2))
    data = open_dataset(DataConfig(dataset="digits", image_size="32"))
    arrays = {}
    for split in ("train", "validation"):
        found = data.examples(split, range(data.split_sizes[split]))
        arrays[split] = (found.inputs.astype("float32"), found.labels)
    with strategy.scope():
        inputs = Inputs(kind="image", shape=arrays["train"][0].shape[1:])
        outputs = Outputs(task="classification", size=10)
        model = registry.build("cnn", _MODEL_ARGS, inputs, outputs)
        model.compile(
            optimizer=keras.optimizers.AdamW(1e-3, weight_decay=0.0),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        )
    batches = tf.data.Dataset.from_tensor_slices(arrays["train"]).shuffle(_EXAMPLES)
    batches = batches.batch(_BATCH, drop_remainder=True).prefetch(tf.data.AUTOTUNE)
    checked = tf.data.Dataset.from_tensor_slices(arrays["validation"]).batch(_BATCH)
    seconds, reached, speed = 0.0, math.inf, 0.0
    for _ in range(epochs):
        started = time.monotonic()
        model.fit(batches, epochs=1, verbose=0)
        taken = time.monotonic() - started
        seconds += taken
        speed = max(speed, len(batches) * _BATCH / taken)
        loss = model.evaluate(checked, verbose=0)
        if loss <= _LOSS:
            reached = min(reached, seconds)
    return {"images_per_second": speed, "seconds_to_loss": reached}


def _report(samples: dict[str, list[arms.Sample]]) -> None:
    print(f"\n{arms.machine()}")
    for name, found in samples.items():
        speeds = [s.figures["images_per_second"] for s in found]
        times = [s.figures["seconds_to_loss"] for s in found]
        print(
            f"{name:24} images/s {arms.spread(speeds, 0)}"
            f"  s to loss {_LOSS}: {arms.spread(times, 1)}"
        )
    for name in (*_WANTED, "one_device again"):
        slower = arms.ratios(samples, "one_device", name, "images_per_second")
        costs = [100 * (ratio - 1) for ratio in slower]
        wanted = f"; wanted at most {_WANTED[name]}" if name in _WANTED else ""
        print(f"{name} over one_device: {arms.spread(costs, 1)} % more time{wanted}")
    faster = arms.ratios(samples, _SLOW_ASYNC, _SLOW_SYNC, "images_per_second")
    print(
        f"asynchronous over synchronous, one of two workers slowed 4 times:"
        f" {arms.spread(faster, 2)} times the images/s; wanted {_WANTED_FASTER} or more"
    )


def _draw(samples: dict[str, list[arms.Sample]], path: pathlib.Path) -> None:
    """A bar for each arm: the median of its images a second, with the range."""
    from matplotlib.figure import Figure

    speeds = {
        name: [sample.figures["images_per_second"] for sample in found]
        for name, found in samples.items()
    }
    middles = [statistics.median(values) for values in speeds.values()]
    ranges = [
        [m - min(v) for m, v in zip(middles, speeds.values(), strict=True)],
        [max(v) - m for m, v in zip(middles, speeds.values(), strict=True)],
    ]
    figure = Figure(figsize=(8, 4), layout="constrained")
    axes = figure.add_subplot()
    axes.barh(list(speeds), middles, xerr=ranges, color="tab:blue", capsize=3)
    axes.invert_yaxis()
    axes.set_xlabel("images a second")
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
