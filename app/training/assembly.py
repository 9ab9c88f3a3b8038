"""Puts the rooms together: from a configuration to the parts of a run.

The same functions serve training, evaluation, prediction and export, so that a model is
built in one way only.
"""

import contextlib
import dataclasses
import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from app.config import TrainConfig
from app.errors import UserError
from app.experiment import RunFolder
from app.training import checkpoints, state
from models import losses, metrics, optimizers, placement, registry
from models.errors import ModelError
from models.layers import batch_normalization, bias_gradient
from models.spec import Column, Inputs, Outputs, Patches
from pipelines import patches
from pipelines.dataset import Dataset, open_dataset, open_whole
from pipelines.errors import DataError
from pipelines.features import Features
from pipelines.order import Order

# Examples that are left out and named on the screen; the rest is counted.
_NAMED = 20


@dataclasses.dataclass(frozen=True)
class Network:
    """A model with what it is measured by.

    Attributes:
      model: built.
      outputs: what the model gives.
      loss: loss of each example, as it is minimised.
      evaluation_loss: the same without label smoothing, which is no error.
      metrics: sums over examples, and what follows from them.
      notes: what the user should know of how the model computes.
    """

    model: keras.Model
    outputs: Outputs
    loss: losses.PerExampleLoss
    evaluation_loss: losses.PerExampleLoss
    metrics: metrics.Metrics
    notes: tuple[str, ...] = ()


@contextlib.contextmanager
def user_mistakes() -> Iterator[None]:
    """Turns what the rooms call a user's mistake into the program's."""
    try:
        yield
    except (ModelError, DataError) as error:
        raise UserError(str(error)) from error


def open_data(config: TrainConfig) -> Dataset:
    """Opens and examines the data.

    Raises:
      UserError: it is not there, or not fit for training.
    """
    with user_mistakes():
        return _telling_what_is_left_out(open_dataset(config.data))


def open_other_data(
    config: TrainConfig, dataset: str, description: Mapping[str, Any]
) -> Dataset:
    """Opens all of another dataset, in the shapes and classes a run was trained on.

    Raises:
      UserError: it is not there, or holds other classes or kinds of examples.
    """
    features = Features.from_json(description["features"])
    with user_mistakes():
        data = dataclasses.replace(config.data, dataset=dataset)
        return _telling_what_is_left_out(open_whole(data, features))


def _telling_what_is_left_out(dataset: Dataset) -> Dataset:
    """Names the examples of a dataset that cannot be used, on the error output."""
    for line in dataset.bad_examples[:_NAMED]:
        print(f"left out: {line}", file=sys.stderr)
    if dataset.bad_examples:
        print(
            f"{dataset.source.name}: {len(dataset.bad_examples)} examples are left out"
            f" (--max_bad_examples={dataset.config.max_bad_examples}); dataset.json"
            " names them all",
            file=sys.stderr,
        )
    return dataset


def build_optimizer(
    config: TrainConfig, network: Network, order: Order, last_step: int
) -> keras.optimizers.Optimizer:
    """The optimizer of a run, built, with loss scaling where float16 needs it."""
    optimizer = optimizers.build(
        config.optimizer, network.model, order.steps_per_epoch, last_step
    )
    if devices_of(config):
        placement.follow_variables(optimizer)
    if config.training.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(network.model.trainable_variables)
    return optimizer


def set_threads(config: TrainConfig) -> None:
    """Fixes the threads of an operation; call it before TensorFlow's first one.

    With another number a sum is split otherwise, and so rounded otherwise.

    Raises:
      UserError: TensorFlow was started with another number of them.
    """
    wanted = config.training.threads
    if wanted is None or tf.config.threading.get_intra_op_parallelism_threads() == (
        wanted
    ):
        return
    try:
        tf.config.threading.set_intra_op_parallelism_threads(wanted)
    except RuntimeError:
        raise UserError(
            f"--threads={wanted}: TensorFlow was started with another number of threads"
            " in this process; start another process"
        ) from None


def set_numerics(config: TrainConfig) -> None:
    """Fixes precision and the initial weights' seed; call it before building.

    Gradients of biases are put right where TensorFlow's are wrong. Keras' counters of
    names start afresh, so that the same model has the same names whatever was built in
    this process before.
    """
    keras.utils.clear_session()
    bias_gradient.correct()
    keras.config.set_dtype_policy(config.training.precision)
    keras.utils.set_random_seed(config.training.seed)
    tf.config.run_functions_eagerly(config.training.eager)
    if tf.config.list_physical_devices("GPU"):
        tf.config.experimental.enable_op_determinism()


def describe_data(dataset: Dataset, whitening: int = 0) -> dict[str, Any]:
    """What dataset.json holds: the data's summary, and the statistics models need.

    Args:
      dataset: of the run.
      whitening: side of the patches that are whitened; 0 where none are.

    Raises:
      UserError: the examples have no such patches.
    """
    statistics: dict[str, Any] = {"target_mean": [], "target_std": []}
    if dataset.features.kind == "table":
        from pipelines import tables  # here, as it imports Arrow

        rows = dataset.source.read(dataset.splits["train"])
        assert isinstance(rows, dict)  # as a table's are
        statistics["columns"] = tables.learn_columns(rows, dataset.features.columns)
    if dataset.features.task == "regression":
        targets = dataset.source.targets[dataset.splits["train"]].astype(np.float64)
        targets = targets.reshape(len(targets), -1)
        statistics["target_mean"] = targets.mean(0).tolist()
        statistics["target_std"] = targets.std(0).tolist()
    if whitening:
        with user_mistakes():
            statistics["patches"] = patches.patch_statistics(dataset, whitening)
    return {**dataset.summary(), "statistics": statistics}


def require_same_data(
    folder: RunFolder, config: TrainConfig, now: Mapping[str, Any]
) -> None:
    """Compares the data's fingerprints with those the run began with.

    Args:
      folder: of the run.
      config: of the run.
      now: the `splits` of the data's summary.

    Raises:
      UserError: the data has changed, so the run could not be the same.
    """
    if not folder.dataset.exists():
        return
    before = json.loads(folder.dataset.read_text())["splits"]
    for name in now:
        if before[name]["sha256"] != now[name]["sha256"]:
            raise UserError(
                f"--dataset={config.data.dataset}: the {name} split has changed since"
                f" {folder.path} was started ({before[name]['examples']} examples then,"
                f" {now[name]['examples']} now); restore the data, or train on it in"
                " another --run_dir"
            )


def devices_of(config: TrainConfig) -> tuple[str, ...]:
    """The devices that the model's layers are divided among; () if they are not.

    Raises:
      UserError: the model's arguments are not fit.
    """
    with user_mistakes():
        return registry.devices_of(config.model.model, config.model.model_args)


def build_network(
    config: TrainConfig, description: Mapping[str, Any], placed: bool = False
) -> Network:
    """Builds the model for the examples that dataset.json describes.

    Args:
      config: the flags.
      description: as in dataset.json.
      placed: whether its layers are put on the devices that its arguments name. What
        is evaluated, exported or predicted with later may have other devices.

    Raises:
      UserError: the model does not fit the examples.
    """
    features = Features.from_json(description["features"])
    statistics = description["statistics"]
    with user_mistakes():
        inputs = Inputs(
            kind=features.kind,
            shape=tuple(side or 0 for side in features.shape),
            columns=tuple(
                Column(**{**column, "vocabulary": tuple(column.get("vocabulary", ()))})
                for column in statistics.get("columns", ())
            ),
            patches=_patches(statistics.get("patches")),
        )
        outputs = Outputs(
            task=features.task,
            size=len(features.classes) or features.targets,
            mean=tuple(statistics["target_mean"]),
            std=tuple(statistics["target_std"]),
        )
        model = registry.build(
            config.model.model,
            config.model.model_args,
            inputs,
            outputs,
            config.model.test_time_augmentation,
            placed,
        )
        notes = _fuse_batch_normalization(model)
        loss = losses.per_example_loss(config.loss, outputs)
        plain = dataclasses.replace(config.loss, label_smoothing=0.0)
        plain_loss = losses.per_example_loss(plain, outputs)
    measured = metrics.metrics_for(outputs)
    return Network(model, outputs, loss, plain_loss, measured, notes)


def _patches(found: Mapping[str, Any] | None) -> Patches | None:
    """What dataset.json says of the patches to whiten, as a model takes it."""
    if found is None:
        return None
    covariance = tuple(map(tuple, found["covariance"]))
    return Patches(found["size"], tuple(found["mean"]), covariance)


def _fuse_batch_normalization(model: keras.Model) -> tuple[str, ...]:
    """Speeds Keras' own layers up; says which were left as they are."""
    left = batch_normalization.fuse(model)
    if not left:
        return ()
    more = f" and {len(left) - 1} more" if len(left) > 1 else ""
    return (
        f"batch normalization {left[0]}{more} computes in its own way, which may be"
        " slower than TensorFlow's fused op: it is no plain"
        " keras.layers.BatchNormalization",
    )


def load_network(folder: RunFolder, checkpoint: str) -> tuple[Network, int]:
    """The network of a run with the weights of a checkpoint, and the weights' step.

    Args:
      folder: of the run.
      checkpoint: `best` or `last`.

    Raises:
      UserError: there is no such checkpoint, or it is not whole.
    """
    config = folder.read_config()
    set_numerics(config)
    network = build_network(config, read_description(folder))
    step = _step_of(folder, checkpoint)
    try:
        snapshot = checkpoints.load(checkpoints.path_of(folder.checkpoints, step))
    except checkpoints.DamagedCheckpoint as damage:
        raise UserError(
            f"--run_dir={folder.path}: the {checkpoint} checkpoint is damaged:"
            f" {damage}; train again, which goes back to a whole one"
        ) from damage
    _assign(network.model, snapshot.arrays)
    return network, step


def read_description(folder: RunFolder) -> dict[str, Any]:
    """What dataset.json says of the data the run was trained on.

    Raises:
      UserError: the run has not come so far as to write it.
    """
    if not folder.dataset.exists():
        raise UserError(
            f"--run_dir={folder.path}: the run has not started yet (there is no"
            " dataset.json); train first"
        )
    description: dict[str, Any] = json.loads(folder.dataset.read_text())
    return description


def _step_of(folder: RunFolder, checkpoint: str) -> int:
    steps = checkpoints.steps_of(folder.checkpoints)
    if not steps:
        raise UserError(
            f"--run_dir={folder.path}: there is no checkpoint yet; train first"
        )
    if checkpoint == "last":
        return steps[-1]
    best = folder.read_results().get("best")
    return int(best["step"]) if best else steps[-1]


def _assign(model: keras.Model, arrays: Mapping[str, np.ndarray]) -> None:
    """Gives the model the checkpoint's weights, averaged where an average was kept."""
    variables = state.named("model", model.weights)
    shapes = {name: tuple(v.shape) for name, v in variables.items()}
    chosen = {
        name: arrays[average if (average := f"average/{name}") in arrays else name]
        for name in shapes
        if name in arrays
    }
    state.check_arrays(chosen, shapes)
    for name, variable in variables.items():
        variable.assign(chosen[name])
