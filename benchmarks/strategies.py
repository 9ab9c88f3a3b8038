"""What data parallelism costs: the same training on one device and divided in two.

`python -m benchmarks.strategies [--blocks=3] [--epochs=10] [--json=FILE]` trains one
network on the same cores and the same global batch by every strategy, and by Keras'
own `fit` under MirroredStrategy: images a second once warm, and seconds to a loss.
"""

import argparse
import json
import math
import pathlib
import sys
import tempfile
import time
from collections.abc import Sequence

from benchmarks import arms

_BATCH = 128
_EXAMPLES = 1437  # digits, 0.8 of 1,797
_LOSS = 0.3
_MODEL_ARGS = "width=32,depth=3"
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
)
_WANTED = {"mirrored x2": 10, "multi_worker x2": 20}


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the arms and prints what they cost."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--blocks", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--atelier", nargs=argparse.REMAINDER, help=argparse.SUPPRESS)
    parser.add_argument("--fit", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.atelier is not None:
        print(json.dumps(_train(options.atelier)))
    elif options.fit:
        print(json.dumps(_fit(options.epochs)))
    else:
        samples = arms.run_blocks(_arms(options.epochs), options.blocks)
        _report(samples)
        if options.json:
            options.json.write_text(json.dumps(arms.as_json(samples), indent=2))


def _arms(epochs: int) -> list[arms.Arm]:
    train = (*_TRAIN, f"--epochs={epochs}")
    mirrored = ("--strategy=mirrored", "--logical_cpus=2")
    return [
        _arm("one_device", *train),
        _arm("mirrored x2", *train, *mirrored),
        _arm("multi_worker x2", "launch", "--workers=2", "--", *train),
        _arm("Keras fit, mirrored x2", "--fit", f"--epochs={epochs}"),
        _arm("one_device again", *train),
    ]


def _arm(name: str, *arguments: str) -> arms.Arm:
    ours = () if "--fit" in arguments else ("--atelier",)
    command = (sys.executable, "-m", "benchmarks.strategies", *ours, *arguments)
    return arms.Arm(name, command)


def _train(arguments: Sequence[str]) -> dict[str, float]:
    """Trains once by `atelier`, in a folder that is thrown away."""
    from app.main import main as atelier

    with tempfile.TemporaryDirectory() as parent:
        folder = pathlib.Path(parent) / "run"
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


def _fit(epochs: int) -> dict[str, float]:
    """Trains the same network by Keras' `fit` under MirroredStrategy on two CPUs."""
    import keras
    import tensorflow as tf

    from app.distribution.config import DistributionConfig
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
    for name in ("mirrored x2", "multi_worker x2", "one_device again"):
        slower = arms.ratios(samples, "one_device", name, "images_per_second")
        costs = [100 * (ratio - 1) for ratio in slower]
        wanted = f"; wanted at most {_WANTED[name]}" if name in _WANTED else ""
        print(f"{name} over one_device: {arms.spread(costs, 1)} % more time{wanted}")


if __name__ == "__main__":
    main()
