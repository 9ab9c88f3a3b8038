"""Values in the targets' own units: errors squared, absolute or Huber's; R²."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import tensorflow as tf

from base.errors import UserError
from models.losses import PerExampleLoss
from models.metrics import LOSS, Metric, float64, total
from models.spec import Outputs
from models.tasks.base import Answers, AnswerSpec, Difference, Task


def as_targets(labels: tf.Tensor, size: int) -> tf.Tensor:
    """Labels [B] or [B, size] as float32 [B, size]."""
    return tf.reshape(tf.cast(labels, tf.float32), [-1, size])


def _loss_of(
    of_errors: Callable[[tf.Tensor], tf.Tensor],
) -> Callable[[Outputs], PerExampleLoss]:
    """In units of the targets' standard deviations, the mean over the targets.

    So no choice of unit changes the training.
    """

    def loss_for(outputs: Outputs) -> PerExampleLoss:
        def loss(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
            errors = tf.cast(predictions, tf.float32) - as_targets(labels, outputs.size)
            if outputs.std:
                errors = errors / tf.constant(outputs.std, tf.float32)
            return tf.reduce_mean(of_errors(errors), axis=-1)

        return loss

    return loss_for


def _huber(errors: tf.Tensor) -> tf.Tensor:
    """Huber's loss with its bend at one standard deviation."""
    size = tf.abs(errors)
    return tf.where(size <= 1.0, 0.5 * tf.square(errors), size - 0.5)


@dataclasses.dataclass(frozen=True)
class Regression(Task):
    """Outputs are values; labels float32 [B, size], or [B] for one target."""

    name = "regression"
    targets = ("values",)
    losses: ClassVar = {
        "mse": _loss_of(tf.square),
        "mae": _loss_of(tf.abs),
        "huber": _loss_of(_huber),
    }
    headline = "mae"
    quality = Metric(
        "mean absolute error, in standard deviations",
        "Mean absolute error",
        "min",
        "standard deviations of the target",
    )

    def check_outputs(self) -> None:
        """Raises UserError for no target, or one that never varies."""
        outputs = self.outputs
        if outputs.size < 1:
            raise UserError(
                f"regression with {outputs.size} outputs: expected at least 1 target"
            )
        if any(not std > 0 for std in outputs.std):
            raise UserError(
                f"standard deviations of the targets {outputs.std}: expected all > 0 "
                "(a constant target cannot be learnt)"
            )

    def head(self) -> list[Any]:
        """Standardized values, brought to the targets' units."""
        outputs = self.outputs
        dense = keras.layers.Dense(outputs.size, dtype="float32", name="standardized")
        if not outputs.mean:
            return [dense]
        scale = keras.layers.Rescaling(
            list(outputs.std), list(outputs.mean), dtype="float32", name="values"
        )
        return [dense, scale]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Loss; MAE and RMSE in the targets' units; R², averaged over the targets."""
        unit = "of the target"
        return (
            LOSS,
            Metric("mae", "Mean absolute error", "min", unit),
            Metric("rmse", "Root mean squared error", "min", unit),
            Metric("r2", "R²", "max"),
        )

    def _per_target(self, name: str) -> tuple[str, ...]:
        size = self.outputs.size
        return (name,) if size == 1 else tuple(f"{name}_{i}" for i in range(size))

    @property
    def sum_names(self) -> tuple[str, ...]:
        """The names of the sums."""
        kinds = ("squared_error", "target", "target_squared")
        targets = (name for kind in kinds for name in self._per_target(kind))
        return ("absolute_error", *targets)

    def sums(
        self, labels: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A batch's sums of errors and targets; see `Task.sums`.

        Targets are summed less their training mean, as the variance of targets far from
        zero would drown in rounding.
        """
        targets = float64(as_targets(labels, self.outputs.size))
        errors = float64(outputs) - targets
        centered = targets - tf.constant(self.outputs.mean or 0.0, tf.float64)
        absolute = tf.reduce_sum(tf.abs(errors), axis=-1)
        sums = {"absolute_error": total(absolute, weights)}
        values = {
            "squared_error": tf.square(errors),
            "target": centered,
            "target_squared": tf.square(centered),
        }
        for kind, value in values.items():
            for index, name in enumerate(self._per_target(kind)):
                sums[name] = total(value[:, index], weights)
        return sums

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """mae, rmse and r2; r2 of a constant target is 0, or 1 without error."""
        examples, size = float(sums["examples"]), self.outputs.size
        squared = [float(sums[name]) for name in self._per_target("squared_error")]
        scores = []
        for error, summed, summed_squares in zip(
            squared,
            (float(sums[name]) for name in self._per_target("target")),
            (float(sums[name]) for name in self._per_target("target_squared")),
            strict=True,
        ):
            variation = summed_squares - summed**2 / examples
            constant = 1.0 if error == 0 else 0.0
            scores.append(1 - error / variation if variation > 0 else constant)
        return {
            "mae": float(sums["absolute_error"]) / (examples * size),
            "rmse": math.sqrt(sum(squared) / (examples * size)),
            "r2": sum(scores) / size,
        }

    @property
    def answer_specs(self) -> dict[str, AnswerSpec]:
        """value [B], or [B, targets] where there are more than one."""
        size = self.outputs.size
        return {"value": AnswerSpec("float32", () if size == 1 else (size,))}

    def answers(self, outputs: tf.Tensor, temperature: float = 1.0) -> Answers:
        """The values."""
        del temperature  # there are no probabilities
        return {"value": tf.squeeze(outputs, 1) if self.outputs.size == 1 else outputs}

    def expected_answers(
        self, outputs: np.ndarray, temperature: float = 1.0
    ) -> dict[str, np.ndarray]:
        """The values."""
        del temperature
        return {"value": outputs[:, 0] if self.outputs.size == 1 else outputs}

    def difference(
        self,
        expected: Mapping[str, np.ndarray],
        found: Mapping[str, np.ndarray],
        tolerance: float,
    ) -> Difference:
        """As a share of the larger of the value and its standard deviation."""
        del tolerance
        values = expected["value"]
        scale = np.maximum(np.abs(values), self.outputs.std or 1.0)
        apart = np.abs(found["value"].astype(np.float64) - values) / scale
        return Difference(apart.reshape(len(apart), -1).max(1), "value")

    def score(self, answers: Mapping[str, np.ndarray], labels: np.ndarray) -> float:
        """The mean absolute error, in standard deviations of the targets."""
        rows = len(labels)
        errors = np.abs(answers["value"].reshape(rows, -1) - labels.reshape(rows, -1))
        return float(np.mean(errors / np.array(self.outputs.std or 1.0)))

    def baseline(self, labels: np.ndarray) -> np.ndarray:
        """The mean of each target."""
        return np.atleast_1d(labels.reshape(len(labels), -1).mean(0)).astype(np.float32)

    def expected_loss(self) -> None:
        """Depends on the loss."""
        return
