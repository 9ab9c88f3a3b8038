"""Metrics without state: sums over batches, and figures from the sums.

The sums are plain scalars, so that any loop, replica or worker can add them up, and
each example counts once whatever the batches were.
"""

import dataclasses
import math
from collections.abc import Mapping

import tensorflow as tf

from models.losses import as_targets
from models.spec import Outputs

_TOP = 5


def metrics_for(outputs: Outputs) -> "Metrics":
    """The metrics of a model with these outputs."""
    if outputs.task == "classification":
        return ClassificationMetrics(outputs)
    return RegressionMetrics(outputs)


@dataclasses.dataclass(frozen=True)
class Metrics:
    """What the metrics of both tasks share: the loss, and the count of examples.

    The loss is the mean by weight, as it is minimised; every other metric counts each
    example once. In an evaluation all weights are 1.
    """

    outputs: Outputs

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sums."""
        return ("examples", "weight", "loss")

    def sums(
        self,
        labels: tf.Tensor,
        predictions: tf.Tensor,
        losses: tf.Tensor,
        weights: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """A batch's sums by name, float64 scalars; to be added up over batches.

        Args:
            labels: As `models.losses.per_example_loss` takes them.
            predictions: The model's outputs, float32 [B, size].
            losses: The loss of each example, float32 [B].
            weights: float32 [B]: above 0 for an example, 0 for padding, whose other
                values may be anything, NaN included.
        """
        return {
            "examples": _sum(tf.ones_like(weights), weights),
            "weight": _sum(weights, weights),
            "loss": _sum(_float64(losses) * _float64(weights), weights),
        }

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The metrics from the sums over all batches.

        Raises:
            ValueError: No example was counted.
        """
        if not sums["examples"] > 0:
            raise ValueError(f"metrics of {sums['examples']} examples: expected some")
        return {"loss": float(sums["loss"]) / float(sums["weight"])}


class ClassificationMetrics(Metrics):
    """Loss, accuracy, and top-5 accuracy where there are more than 5 classes.

    A prediction is right if its highest logit is at the label, or at the highest of the
    label's shares.
    """

    @property
    def _has_top(self) -> bool:
        return self.outputs.size > _TOP

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sums."""
        top = ("top5_correct",) if self._has_top else ()
        return (*super().names, "correct", *top)

    def sums(
        self,
        labels: tf.Tensor,
        predictions: tf.Tensor,
        losses: tf.Tensor,
        weights: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """A batch's sums by name, float64 scalars; see `Metrics.sums`."""
        sums = super().sums(labels, predictions, losses, weights)
        if not labels.dtype.is_integer:
            labels = tf.argmax(labels, axis=-1)
        labels = tf.cast(labels, tf.int64)
        correct = tf.equal(tf.argmax(predictions, axis=-1), labels)
        sums["correct"] = _sum(correct, weights)
        if self._has_top:
            top = tf.math.in_top_k(labels, tf.cast(predictions, tf.float32), _TOP)
            sums["top5_correct"] = _sum(top, weights)
        return sums

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """loss, accuracy and top5_accuracy, the last two in [0, 1]."""
        results = super().results(sums)
        results["accuracy"] = float(sums["correct"]) / float(sums["examples"])
        if self._has_top:
            results["top5_accuracy"] = float(sums["top5_correct"]) / float(
                sums["examples"]
            )
        return results


class RegressionMetrics(Metrics):
    """Loss; MAE and RMSE in the targets' units; R², averaged over the targets."""

    def _per_target(self, name: str) -> tuple[str, ...]:
        size = self.outputs.size
        return (name,) if size == 1 else tuple(f"{name}_{i}" for i in range(size))

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sums."""
        kinds = ("squared_error", "target", "target_squared")
        targets = (name for kind in kinds for name in self._per_target(kind))
        return (*super().names, "absolute_error", *targets)

    def sums(
        self,
        labels: tf.Tensor,
        predictions: tf.Tensor,
        losses: tf.Tensor,
        weights: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """A batch's sums by name, float64 scalars; see `Metrics.sums`.

        Targets are summed less their training mean, as the variance of targets far from
        zero would drown in rounding.
        """
        sums = super().sums(labels, predictions, losses, weights)
        targets = tf.cast(as_targets(labels, self.outputs.size), tf.float64)
        errors = tf.cast(predictions, tf.float64) - targets
        centred = targets - tf.constant(self.outputs.mean or 0.0, tf.float64)
        absolute = tf.reduce_sum(tf.abs(errors), axis=-1)
        sums["absolute_error"] = _sum(absolute, weights)
        values = {
            "squared_error": tf.square(errors),
            "target": centred,
            "target_squared": tf.square(centred),
        }
        for kind, value in values.items():
            for index, name in enumerate(self._per_target(kind)):
                sums[name] = _sum(value[:, index], weights)
        return sums

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """loss, mae, rmse and r2; r2 of a constant target is 0, or 1 without error."""
        results = super().results(sums)
        examples, size = float(sums["examples"]), self.outputs.size
        squared = [float(sums[name]) for name in self._per_target("squared_error")]
        results["mae"] = float(sums["absolute_error"]) / (examples * size)
        results["rmse"] = math.sqrt(sum(squared) / (examples * size))
        scores = []
        for error, total, total_squared in zip(
            squared,
            (float(sums[name]) for name in self._per_target("target")),
            (float(sums[name]) for name in self._per_target("target_squared")),
            strict=True,
        ):
            variation = total_squared - total**2 / examples
            constant = 1.0 if error == 0 else 0.0
            scores.append(1 - error / variation if variation > 0 else constant)
        results["r2"] = sum(scores) / size
        return results


def _sum(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The sum of `values` [B], float64, without those whose weight [B] is 0."""
    values = _float64(values)
    return tf.reduce_sum(tf.where(weights > 0, values, tf.zeros_like(values)))


def _float64(values: tf.Tensor) -> tf.Tensor:
    return tf.cast(values, tf.float64)
