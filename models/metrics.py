"""Metrics without state: sums over batches, and figures from the sums.

The sums are plain scalars, so that any loop, replica or worker can add them up, and
each example counts once whatever the batches were.
"""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, Protocol

import numpy as np
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

    @property
    def sum_sizes(self) -> Mapping[str, int]:
        """The lengths of those that are vectors."""

    def sums(
        self, labels: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A batch's sums by name."""

    def results(self, sums: Mapping[str, Any]) -> dict[str, float]:
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
    def size(self) -> int:
        """How many numbers the sums are."""
        return sum(self._sizes.values())

    @property
    def _sizes(self) -> dict[str, int]:
        """How many numbers each sum is, in their order."""
        sizes = self.task.sum_sizes
        names = (*OF_EVERY_TASK, *self.task.sum_names)
        return {name: sizes.get(name, 1) for name in names}

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
    ) -> tf.Tensor:
        """A batch's sums, float64 [size]; to be added up over batches.

        Args:
            labels: A batch of the target feature.
            predictions: The model's outputs, float32 [B, outputs.size].
            losses: The loss of each example, float32 [B].
            weights: float32 [B]: above 0 for an example, 0 for padding, whose other
                values may be anything, NaN included.
        """
        found = {
            "examples": total(tf.ones_like(weights), weights),
            "weight": total(weights, weights),
            "loss": total(float64(losses) * float64(weights), weights),
            **self.task.sums(labels, predictions, weights),
        }
        if not self.task.sum_sizes:
            return tf.stack([found[name] for name in self._sizes])
        return tf.concat([tf.reshape(found[name], [-1]) for name in self._sizes], 0)

    def by_name(self, sums: np.ndarray) -> dict[str, Any]:
        """Sums over batches, float64 [size], by name: numbers, or arrays."""
        ends = np.cumsum([*self._sizes.values()])
        parts = np.split(np.asarray(sums, np.float64), ends[:-1])
        vectors = self.task.sum_sizes
        return {
            name: part if name in vectors else float(part[0])
            for name, part in zip(self._sizes, parts, strict=True)
        }

    def results(self, sums: np.ndarray) -> dict[str, float]:
        """The metrics from the sums over all batches, float64 [size].

        Raises:
            ValueError: No example was counted.
        """
        found = self.by_name(sums)
        if not found["examples"] > 0:
            raise ValueError(f"metrics of {found['examples']} examples: expected some")
        loss = float(found["loss"]) / float(found["weight"])
        return {"loss": loss, **self.task.results(found)}

    def intervals(self, sums: np.ndarray) -> dict[str, list[float]]:
        """95 % intervals of the figures that have one: `NAME_95`, [low, high]."""
        found = self.by_name(sums)
        return {
            f"{metric.name}_95": list(metric.interval(found))
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
