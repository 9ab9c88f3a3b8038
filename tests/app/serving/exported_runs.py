"""Runs to export, made without training: small real data, weights drawn at random."""

import functools
import json
import pathlib
import tempfile
from unittest import mock

import keras
import numpy as np

from app.configs import flags
from app.configs.commands import ExportConfig, TrainConfig
from app.runs.data import describe_data, open_data
from app.runs.folder import RunFolder
from app.runs.network import build_network
from app.runs.numerics import set_numerics
from app.serving import calibration, exporting, golden_runner, runtimes
from app.serving.exported_run import ExportedRun
from app.training import checkpoints, state
from base import files
from pipelines.dataset import Dataset
from pipelines.features import ClassLabel, ExampleSpec, Image, Values, Vector
from pipelines.sources.arrays import ArraySource
from pipelines.sources.base import Source
from tests.pipelines import folders

_temporary = tempfile.TemporaryDirectory()
SEED = 7
TEMPERATURE = 2.0


def source(task: str, shape: tuple[int, ...], examples: int = 60) -> Source:
    """Noise with classes `a`, `b` and `ä c`, or two targets far from 0."""
    random = np.random.default_rng(SEED)
    if len(shape) == 3:
        data = random.integers(0, 256, (examples, *shape), np.uint8)
    else:
        data = random.normal(3, 2, (examples, *shape)).astype(np.float32)
    given = Image(shape) if len(shape) == 3 else Vector(shape)
    if task == "classification":
        features = ExampleSpec(given, ClassLabel(("a", "b", "ä c")))
        return ArraySource("noise", features, data, np.arange(examples) % 3)
    targets = random.normal((100, -5), (20, 2), (examples, 2)).astype(np.float32)
    return ArraySource("noise", ExampleSpec(given, Values(2)), data, targets)


def write_npz(path: pathlib.Path, given: Source) -> None:
    """Writes a source's vectors as a file that `--dataset` takes."""
    every = np.arange(len(given))
    np.savez(path, x_train=given.read(every), y_train=given.read_targets(every))


def exported_run(
    run_dir: pathlib.Path, given: Source | None, *arguments: str
) -> ExportedRun:
    """A run that has never been trained.

    Args:
      run_dir: where it says that it lies.
      given: its data, or None for what the flags name.
      *arguments: flags of `atelier train`.
    """
    named = [f"--run_dir={run_dir}", "--batch_size=16", "--cache=memory", *arguments]
    config = flags.parse(TrainConfig, named)
    dataset = Dataset(given, config.data) if given else open_data(config)
    description = describe_data(dataset, config.model.whitening)
    set_numerics(config)
    network = build_network(config, description)
    disturb(network.model)
    return ExportedRun(config, RunFolder(run_dir), network, 1, dataset, description)


def disturb(model: keras.Model) -> None:
    """Moves all weights, so that statistics and scales that begin as 0 or 1 count."""
    random = np.random.default_rng(SEED)
    for weight in model.weights:
        noise = random.uniform(0, 0.3, weight.shape).astype(np.float32)
        weight.assign(weight + noise * random.choice((-1, 1), weight.shape).clip(-0.3))


def write_run(made: ExportedRun) -> None:
    """Writes the folder of a run that stands at step 1."""
    folder = made.folder
    folder.path.mkdir(parents=True, exist_ok=True)
    folder.write_config(made.config)
    files.write_json(folder.dataset, made.description)
    weights = state.named("model", made.network.model.weights)
    arrays = {name: weight.numpy() for name, weight in weights.items()}
    snapshot = checkpoints.Snapshot(arrays, state.Progress(step=1))
    checkpoints.save(folder.checkpoints, snapshot)


def export_config(run_dir: pathlib.Path, *arguments: str) -> ExportConfig:
    """What `atelier export` is told."""
    return flags.parse(ExportConfig, [f"--run_dir={run_dir}", *arguments])


def folder() -> pathlib.Path:
    """A folder that is there as long as this process."""
    return pathlib.Path(_temporary.name)


@functools.cache
def pictures() -> pathlib.Path:
    """A folder of JPEG files of two classes, none of the model's size."""
    return folders.write_classes(
        folder() / "pictures", per_class=30, suffix="jpg", size=(13, 17)
    )


@functools.cache
def run() -> pathlib.Path:
    """A run on `pictures`, a CNN on 8×8 pixels."""
    path = folder() / "run"
    arguments = ("--model=cnn", "--model_args=depth=1,width=4", "--image_size=8")
    write_run(exported_run(path, None, f"--dataset={pictures()}", *arguments))
    return path


@functools.cache
def export() -> pathlib.Path:
    """The first export of `run`, in both formats, with a temperature.

    It is given one, as the mistakes of a model that has learnt nothing tell none.
    """
    options = ("--format=saved_model,litert", "--calibrate", "--max_pixels=20000000")
    found = calibration.Calibration(TEMPERATURE, 0.2, 0.1, 0.7, 0.6, examples=6)
    with mock.patch.object(calibration, "fit", lambda logits, labels: found):
        exporting.export(export_config(run(), *options))
    return run() / "export" / "1"


@functools.cache
def table() -> pathlib.Path:
    """A CSV file of every kind of column, with values missing in most.

    `outcome` makes three classes, `price` is a value.
    """
    random = np.random.default_rng(SEED)
    lines = ["age,Größe (m),alone,ever,port,day,price,outcome"]
    for i in range(60):
        cells = (
            "" if i % 7 == 0 else int(random.integers(1, 80)),
            "" if i % 11 == 0 else f"{random.normal(1.7, 0.2):.3f}",
            ("false", "true")[i % 2],
            "" if i % 5 == 0 else ("false", "true")[i // 2 % 2],
            ("S", "C", "", "Köln, Deutz", f"once {i}")[random.integers(5)],
            f"2020-{i % 12 + 1:02}-{i % 28 + 1:02}",
            f"{random.normal(100, 20):.2f}",
            ("a", "b", "ä c")[i % 3],
        )
        quoted = (f'"{cell}"' if "," in str(cell) else str(cell) for cell in cells)
        lines.append(",".join(quoted))
    path = folder() / "table.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def table_arguments(task: str) -> tuple[str, ...]:
    """Flags that name the table and what is predicted of it."""
    target = "outcome" if task == "classification" else "price"
    return (f"--dataset={table()}", f"--target={target}")


@functools.cache
def table_run() -> pathlib.Path:
    """A run on `table`, an MLP."""
    path = folder() / "table_run"
    arguments = ("--model=mlp", "--model_args=depth=1,width=8")
    write_run(exported_run(path, None, *table_arguments("classification"), *arguments))
    return path


@functools.cache
def table_export() -> pathlib.Path:
    """The first export of `table_run`, in both formats, gated in this process."""
    with runtimes_in_this_process():
        exporting.export(export_config(table_run(), "--format=saved_model,litert"))
    return table_run() / "export" / "1"


def runtimes_in_this_process() -> "mock._patch":
    """The gate's runner without the seconds that a fresh TensorFlow takes to start."""

    def run(runtime: str, jobs: pathlib.Path, work: pathlib.Path) -> None:
        for job in json.loads(jobs.read_text()):
            golden_runner.run(job | {"seconds": job["seconds"] and 1e-3})

    return mock.patch.object(runtimes, "_run", run)
