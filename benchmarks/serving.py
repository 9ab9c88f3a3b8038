"""Latency of one model by four ways of calling it, side by side in one run.

`python -m benchmarks.serving [--rounds=20] [--seconds=0.2]`. The arms take turns in
every round, so that whatever else the machine does falls on all alike; the figure is
the median over all rounds. Weights are random: latency does not depend on them.
"""

import argparse
import dataclasses
import pathlib
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from ai_edge_litert.interpreter import Interpreter

from app.serving import litert
from app.serving.signatures import Contract, Server
from models import registry
from models.spec import Inputs, Outputs
from models.tasks.registry import task_of
from pipelines.features import ClassLabel, ExampleSpec, Image, Vector

CLASSES = 10
Call = Callable[[], object]


@dataclasses.dataclass(frozen=True)
class Case:
    """A model and the ratios that are wanted of it.

    Attributes:
      name: for the table.
      model: of the registry.
      arguments: `--model_args`.
      shape: of one example: an image, or a vector.
    """

    name: str
    model: str
    arguments: str
    shape: tuple[int, ...]


CASES = (
    Case("MLP 64-128-128-10", "mlp", "depth=2,width=128", (64,)),
    Case("ResNet-20", "resnet", "depth=20", (32, 32, 3)),
)
# (case, rows, arm, peer, how many times faster)
WANTED = (
    ("MLP 64-128-128-10", 1, "LiteRT", "model.predict", 1000.0),
    ("MLP 64-128-128-10", 1, "SavedModel", "model.predict", 80.0),
    ("ResNet-20", 32, "SavedModel", "model(x)", 1.3),
)


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures every case and prints a table of it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=0.2, help="an arm, a round")
    given = parser.parse_args(arguments)
    medians: dict[tuple[str, int, str], float] = {}
    for case in CASES:
        with tempfile.TemporaryDirectory() as folder:
            arms_of = prepare(case, pathlib.Path(folder))
            for rows in (1, 32):
                times = measure(arms_of(rows), given.rounds, given.seconds)
                print(f"\n{case.name}, {rows} row{'s' if rows > 1 else ''}")
                for line in table(times):
                    print(line)
                for arm, taken in times.items():
                    medians[case.name, rows, arm] = float(np.median(taken))
    print()
    for name, rows, arm, peer, wanted in WANTED:
        ratio = medians[name, rows, peer] / medians[name, rows, arm]
        print(
            f"{name}, {rows} row{'s' if rows > 1 else ''}: {arm} is {ratio:,.1f} times"
            f" faster than {peer} (wanted: {wanted:g})"
        )


def prepare(case: Case, folder: pathlib.Path) -> Callable[[int], dict[str, Call]]:
    """Builds and exports a model; returns what gives its arms for a number of rows."""
    is_image = len(case.shape) == 3
    kind = "image" if is_image else "vector"
    names = tuple(map(str, range(CLASSES)))
    outputs = Outputs("classification", CLASSES)
    model = registry.build(
        case.model, case.arguments, Inputs(kind, case.shape), outputs
    )
    given = Image(case.shape) if is_image else Vector(case.shape)
    features = ExampleSpec(given, ClassLabel(names))
    contract = Contract(features, task_of(outputs), max_pixels=10**8)
    ((name, raw),) = contract.input.raw_inputs.items()
    Server(model, contract).save(folder / "saved_model", None)
    loaded = tf.saved_model.load(str(folder / "saved_model"))
    interpreter = Interpreter(model_content=litert.convert(model, contract))
    runner = interpreter.get_signature_runner(contract.input.raw_signature)

    def arms(rows: int) -> dict[str, Call]:
        examples = np.random.default_rng(0).integers(0, 256, (rows, *case.shape))
        given = examples.astype(raw.dtype.as_numpy_dtype)
        tensor, inputs = tf.constant(given), examples.astype(np.float32)
        signature = loaded.signatures[contract.input.raw_signature]
        return {
            "model.predict": lambda: model.predict(inputs, verbose=0),
            "model(x)": lambda: model(inputs, training=False).numpy(),
            "SavedModel": lambda: signature(**{name: tensor})["class_id"].numpy(),
            "LiteRT": lambda: runner(**{name: given}),
        }

    return arms


def measure(
    arms: dict[str, Call], rounds: int, seconds: float
) -> dict[str, list[float]]:
    """Milliseconds of every call by arm; the arms take turns."""
    for call in arms.values():
        call()
        call()
    times: dict[str, list[float]] = {name: [] for name in arms}
    for _ in range(rounds):
        for name, call in arms.items():
            end = time.perf_counter() + seconds
            while True:
                start = time.perf_counter()
                call()
                now = time.perf_counter()
                times[name].append(1000 * (now - start))
                if now >= end:
                    break
    return times


def table(times: dict[str, list[float]]) -> Iterator[str]:
    """Lines of median, 99th percentile and ratio to the first arm."""
    first = float(np.median(next(iter(times.values()))))
    yield f"  {'':14} {'median ms':>10} {'p99 ms':>10} {'calls':>7} {'faster':>9}"
    for name, taken in times.items():
        median, high = np.percentile(taken, (50, 99))
        yield (
            f"  {name:14} {median:10.4f} {high:10.4f} {len(taken):7,}"
            f" {first / median:8,.1f}×"
        )


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    main()
