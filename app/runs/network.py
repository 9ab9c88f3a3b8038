"""The model of a run with what it is measured by, and its optimizer.

The same functions serve training, evaluation, prediction and export, so that a model is
built in one way only.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import tensorflow as tf

from app.configs.commands import TrainConfig
from base import own_parts
from models import optimizers, owed, own_metrics, placement, registry
from models.layers import batch_normalization
from models.losses import PerExampleLoss
from models.metrics import Metrics
from models.spec import Column, Inputs, Outputs, Patches
from models.tasks.base import Task
from models.tasks.registry import settle, task_of
from pipelines import augmentation
from pipelines.features import ExampleSpec
from pipelines.features.targets import TargetFeature
from pipelines.order import Order


@dataclasses.dataclass(frozen=True)
class Network:
    """A model with what it is measured by.

    Attributes:
      model: built.
      task: what it learns, with the outputs that it owes.
      loss: loss of each example, as it is minimised.
      evaluation_loss: the same without label smoothing, which is no error.
      metrics: sums over examples, and what follows from them.
      notes: what the user should know of how the model computes.
    """

    model: keras.Model
    task: Task
    loss: PerExampleLoss
    evaluation_loss: PerExampleLoss
    metrics: Metrics
    notes: tuple[str, ...] = ()


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
    features = ExampleSpec.from_json(description["features"])
    statistics = description["statistics"]
    inputs = _inputs(features, statistics)
    task = task_of(_outputs(config, features, statistics))
    notes: list[str] = []
    model = registry.build(
        config.model.model,
        config.model.model_args,
        inputs,
        task.outputs,
        config.model.test_time_augmentation,
        placed,
        own_parts.is_reference(config.loss.loss),
        notes.append,
    )
    notes += _fuse_batch_normalization(model)
    plain = dataclasses.replace(config.loss, label_smoothing=0.0)
    loss, plain_loss = task.loss(config.loss), task.loss(plain)
    metrics = Metrics(task, own_metrics.load(config.loss.metrics, task))
    if metrics.own or own_parts.is_reference(config.loss.loss):
        for labels in label_specs(config, features.target):
            owed.check_measures(loss, metrics, task.outputs, labels)
    return Network(model, task, loss, plain_loss, metrics, tuple(notes))


def _inputs(features: ExampleSpec, statistics: Mapping[str, Any]) -> Inputs:
    """What a model receives."""
    return Inputs(
        kind=features.input.kind,
        shape=tuple(side or 0 for side in features.input.shape),
        columns=tuple(
            Column(**{**column, "vocabulary": tuple(column.get("vocabulary", ()))})
            for column in statistics.get("columns", ())
        ),
        patches=_patches(statistics.get("patches")),
    )


def _outputs(
    config: TrainConfig, features: ExampleSpec, statistics: Mapping[str, Any]
) -> Outputs:
    """What a model owes."""
    return Outputs(
        task=settle(config.loss.task, features.target.task),
        size=features.target.width,
        mean=tuple(statistics["target_mean"]),
        std=tuple(statistics["target_std"]),
        names=features.target.part_names,
    )


def label_specs(config: TrainConfig, target: TargetFeature) -> list[tf.TensorSpec]:
    """What batches of the targets are: as they come, and as mixup makes them."""
    plain = target.batch_spec()
    if not augmentation.parse(config.data.augment).mixup:
        return [plain]
    mixed = target.mixed(tf.zeros([1, *plain.shape[1:]], plain.dtype))
    return [plain, tf.TensorSpec([None, *mixed.shape[1:]], mixed.dtype)]


def build_optimizer(
    config: TrainConfig,
    variables: Sequence[keras.Variable],
    order: Order,
    last_step: int,
) -> keras.optimizers.Optimizer:
    """An optimizer by the flags, built, with loss scaling where float16 needs it."""
    optimizer = optimizers.build(
        config.optimizer, variables, order.steps_per_epoch, last_step
    )
    if devices_of(config):
        placement.follow_variables(optimizer)
    if config.training.precision == "mixed_float16":
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer)
    optimizer.build(variables)
    return optimizer


def devices_of(config: TrainConfig) -> tuple[str, ...]:
    """The devices that the model's layers are divided among; () if they are not.

    Raises:
      UserError: the model's arguments are not fit.
    """
    return registry.devices_of(config.model.model, config.model.model_args)


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
