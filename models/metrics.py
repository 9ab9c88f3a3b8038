"""Metrics without state: sums over batches, and figures from the sums.

The sums are plain scalars, so that any loop, replica or worker can add them up, and
each example counts once whatever the batches were.
"""

import abc
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal, Protocol

import numpy as np
import tensorflow as tf

from models.spec import Outputs

OF_EVERY_TASK = ("examples", "weight", "loss")


def total(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The sum of `values` [B], float64, without those whose weight [B] is 0."""
    values = float64(values)
    return tf.reduce_sum(tf.where(weights > 0, values, tf.zeros_like(values)))


def total_by_column(values: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """The sums of the columns of `values` [B, k], float64, as `total` takes them."""
    values = float64(values)
    counted = (weights > 0)[:, tf.newaxis]
    return tf.reduce_sum(tf.where(counted, values, tf.zeros_like(values)), axis=0)


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


class SummedMetric(abc.ABC):
    """A figure that follows from sums over the examples; to be subclassed by users.

    Atelier adds the sums up over batches, replicas and workers, each example once and
    none of the padding. A subclass is made with the `Outputs` that the model owes.

    Attributes:
        direction: `max` if more of it is better, `min` if less.
        sum_sizes: Of each sum its length: 1 for a number, k for a vector.
        title: For people; by default made from the name.
        unit: Of its values.
    """

    direction: ClassVar[Literal["max", "min"]]
    sum_sizes: ClassVar[Mapping[str, int]]
    title: ClassVar[str] = ""
    unit: ClassVar[str] = ""

    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs

    @abc.abstractmethod
    def sums(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        """What each example adds to each sum: [B], or [B, k] for a vector."""

    @abc.abstractmethod
    def result(self, sums: Mapping[str, Any]) -> float:
        """The figure, from the sums over all examples and `examples`, their number."""


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
        own: Metrics of the user's own beside the task's.
    """

    task: Measured
    own: Mapping[Metric, SummedMetric] = dataclasses.field(default_factory=dict)

    @property
    def size(self) -> int:
        """How many numbers the sums are."""
        return sum(self._sizes.values())

    @property
    def _sizes(self) -> dict[str, int]:
        """How many numbers each sum is, in their order."""
        sizes = self.task.sum_sizes
        names = (*OF_EVERY_TASK, *self.task.sum_names)
        return {name: sizes.get(name, 1) for name in names} | {
            f"{metric.name}/{name}": size
            for metric, summed in self.own.items()
            for name, size in summed.sum_sizes.items()
        }

    @property
    def declared(self) -> tuple[Metric, ...]:
        """What every figure means."""
        return (*self.task.metrics, *self.own)

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
            **self._own_sums(labels, predictions, weights),
        }
        if all(size == 1 for size in self._sizes.values()):
            return tf.stack([found[name] for name in self._sizes])
        return tf.concat([tf.reshape(found[name], [-1]) for name in self._sizes], 0)

    def by_name(self, sums: np.ndarray) -> dict[str, Any]:
        """Sums over batches, float64 [size], by name: numbers, or arrays."""
        ends = np.cumsum([*self._sizes.values()])
        parts = np.split(np.asarray(sums, np.float64), ends[:-1])
        vectors = self.task.sum_sizes
        return {
            name: part if name in vectors or len(part) > 1 else float(part[0])
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
        own = {
            metric.name: float(
                summed.result(
                    {name: found[f"{metric.name}/{name}"] for name in summed.sum_sizes}
                    | {"examples": found["examples"]}
                )
            )
            for metric, summed in self.own.items()
        }
        return {"loss": loss, **self.task.results(found), **own}

    def _own_sums(
        self, labels: tf.Tensor, predictions: tf.Tensor, weights: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A batch's sums of the user's own metrics."""
        sums: dict[str, tf.Tensor] = {}
        for metric, summed in self.own.items():
            for name, values in summed.sums(labels, predictions).items():
                add_up = total if summed.sum_sizes[name] == 1 else total_by_column
                sums[f"{metric.name}/{name}"] = add_up(values, weights)
        return sums

    def intervals(self, sums: np.ndarray) -> dict[str, list[float]]:
        """95 % intervals of the figures that have one: `NAME_95`, [low, high]."""
        found = self.by_name(sums)
        return {
            f"{metric.name}_95": list(metric.interval(found))
            for metric in self.declared
            if metric.interval
        }
