"""Metrics without state: sums over batches, and figures from the sums.

The sums are plain scalars, so that any loop, replica or worker can add them up, and
each example counts once whatever the batches were.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol

import tensorflow as tf

from base.errors import unknown

OF_EVERY_TASK = ("examples", "weight", "loss")


def total(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The sum of `values` [B], float64, without those whose weight [B] is 0."""
    values = float64(values)
    return tf.reduce_sum(tf.where(weights > 0, values, tf.zeros_like(values)))


def float64(values: tf.Tensor) -> tf.Tensor:
    """The same values as float64, in which all sums are taken."""
    return tf.cast(values, tf.float64)


@dataclasses.dataclass(frozen=True)
class Metric:
    """What a figure means, declared once and written into every run.

    Attributes:
        name: As metrics.jsonl names it, after the split.
        title: For people.
        direction: Whether more (`max`) or less (`min`) of it is better.
        unit: Of its values; empty for a share or a score without one.
        interval: From the sums over a split to its 95 % interval, (low, high); None
            where it has none.
    """

    name: str
    title: str
    direction: Literal["max", "min"]
    unit: str = ""
    interval: Callable[[Mapping[str, float]], tuple[float, float]] | None = None

    def to_json(self) -> dict[str, str]:
        """As it stands in results.json."""
        return {"title": self.title, "direction": self.direction, "unit": self.unit}


LOSS = Metric("loss", "Loss", "min")


class Measured(Protocol):
    """What is measured beside the loss and the count: a task, see `tasks.base`."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Every figure, the loss first."""

    @property
    def sum_names(self) -> tuple[str, ...]:
        """The names of the sums."""

    def sums(
        self, labels: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A batch's sums by name."""

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The figures from the sums."""


@dataclasses.dataclass(frozen=True)
class Metrics:
    """All that is measured of a model: the loss, the count, and the task's own figures.

    The loss is the mean by weight, as it is minimised; every other metric counts each
    example once. In an evaluation all weights are 1.

    Attributes:
        task: What is learnt.
    """

    task: Measured

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the sums."""
        return (*OF_EVERY_TASK, *self.task.sum_names)

    @property
    def declared(self) -> tuple[Metric, ...]:
        """What every figure means."""
        return self.task.metrics

    def sums(
        self,
        labels: tf.Tensor,
        predictions: tf.Tensor,
        losses: tf.Tensor,
        weights: tf.Tensor,
    ) -> dict[str, tf.Tensor]:
        """A batch's sums by name, float64 scalars; to be added up over batches.

        Args:
            labels: A batch of the target feature.
            predictions: The model's outputs, float32 [B, size].
            losses: The loss of each example, float32 [B].
            weights: float32 [B]: above 0 for an example, 0 for padding, whose other
                values may be anything, NaN included.
        """
        return {
            "examples": total(tf.ones_like(weights), weights),
            "weight": total(weights, weights),
            "loss": total(float64(losses) * float64(weights), weights),
            **self.task.sums(labels, predictions, weights),
        }

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The metrics from the sums over all batches.

        Raises:
            ValueError: No example was counted.
        """
        if not sums["examples"] > 0:
            raise ValueError(f"metrics of {sums['examples']} examples: expected some")
        loss = float(sums["loss"]) / float(sums["weight"])
        return {"loss": loss, **self.task.results(sums)}

    def intervals(self, sums: Mapping[str, float]) -> dict[str, list[float]]:
        """95 % intervals of the figures that have one: `NAME_95`, [low, high]."""
        return {
            f"{metric.name}_95": list(metric.interval(sums))
            for metric in self.declared
            if metric.interval
        }


def metric_named(metrics: Sequence[Metric], name: str) -> Metric:
    """The metric of this name.

    Raises:
        UserError: There is none.
    """
    for metric in metrics:
        if metric.name == name:
            return metric
    raise unknown("metric", name, [metric.name for metric in metrics])
