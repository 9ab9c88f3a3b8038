"""Evaluation that counts each example once, on any number of replicas.

The last batch is padded with examples of weight 0, so every replica sees whole batches,
and the count of what was evaluated stands beside the metrics.
"""

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from app.distribution import per_replica_input
from app.distribution.cluster import ALONE, Cluster
from models.losses import PerExampleLoss
from models.metrics import Metrics
from pipelines.batch import Batch
from pipelines.resident_evaluation import HeldBatches

# Batches between two looks at whether a pause was asked for.
_CHUNK = 16


# Takes a batch's labels [B, …] and the model's outputs [B, …], without padding.
Observe = Callable[[np.ndarray, np.ndarray], None]


class EvaluationAbandoned(Exception):
    """A pause was asked for during an evaluation; it starts again on resume."""


@dataclasses.dataclass(frozen=True)
class Predictions:
    """What a model said of every example of a split, in the split's order.

    Attributes:
      labels: int64 [n] classes, or float32 [n, values].
      outputs: float32 [n, classes] logits, or float32 [n, values].
    """

    labels: np.ndarray
    outputs: np.ndarray


class Evaluator:
    """Evaluates a model on one split.

    Args:
      strategy: the devices the model was made on.
      model: the Keras model.
      loss: loss of each example.
      metrics: what is summed up over the examples.
      batches: padded `Batch`es of the split: a dataset, or held in memory.
      examples: how many examples the split has.
      batch_size: of the batches.
      cluster: the workers, of which this process is one.
      source: a model of the same kind, whose weights `model` takes over each time.
    """

    def __init__(
        self,
        *,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        loss: PerExampleLoss,
        metrics: Metrics,
        batches: tf.data.Dataset | HeldBatches,
        examples: int,
        batch_size: int,
        cluster: Cluster = ALONE,
        source: keras.Model | None = None,
    ) -> None:
        self._strategy = strategy
        self._model = model
        self._source = source
        self._loss = loss
        self._metrics = metrics
        self._examples = examples
        self._batch_count = -(-examples // batch_size)
        self._slice = batch_size // strategy.num_replicas_in_sync
        self._held = batches if isinstance(batches, HeldBatches) else None
        self._batches: Any = None
        if not isinstance(batches, HeldBatches):
            share = functools.partial(_share, strategy, batches, batch_size)
            self._batches = per_replica_input.distributed(strategy, cluster, share)
        self._chunk = tf.function(self._chunk_loop, reduce_retracing=True)
        self._step = tf.function(self._evaluated, reduce_retracing=True)

    def evaluate(self, paused: Callable[[], bool] = lambda: False) -> dict[str, float]:
        """The split's metrics by name, and `examples`, their count.

        Raises:
          EvaluationAbandoned: `paused` became true.
          RuntimeError: an example was counted twice or left out.
        """
        results = self._metrics.results(self.sums(paused))
        return {"examples": self._examples, **results}

    def sums(
        self,
        paused: Callable[[], bool] = lambda: False,
        observe: Observe | None = None,
    ) -> np.ndarray:
        """The split's sums, float64 [metrics.size], for `Metrics.results`.

        Args:
          paused: whether the evaluation is to be given up.
          observe: told each batch, in the split's order; for one replica. The sums
            are the same to the last bit with it and without.

        Raises:
          EvaluationAbandoned: `paused` became true.
          RuntimeError: an example was counted twice or left out.
          ValueError: there are more replicas than the one that can be observed.
        """
        if observe is not None and self._strategy.num_replicas_in_sync > 1:
            replicas = self._strategy.num_replicas_in_sync
            raise ValueError(f"{replicas} replicas: expected one, to be observed")
        if self._source is not None:
            pairs = zip(self._model.weights, self._source.weights, strict=True)
            for mine, theirs in pairs:
                mine.assign(theirs.numpy())
        iterator = None if self._batches is None else iter(self._batches)
        sums = tf.zeros(self._metrics.size, tf.float64)
        for first in range(0, self._batch_count, _CHUNK):
            if paused():
                raise EvaluationAbandoned
            last = min(first + _CHUNK, self._batch_count)
            if observe is None:
                sums = self._chunk(
                    iterator, tf.constant(first), tf.constant(last), sums
                )
            else:
                sums = self._observed(iterator, range(first, last), sums, observe)
        counted = self._metrics.by_name(sums.numpy())["examples"]
        if round(counted) != self._examples:
            raise RuntimeError(
                f"evaluation counted {counted:g} examples of a split of"
                f" {self._examples}"
            )
        return np.asarray(sums)

    def _observed(
        self, iterator: Any, indices: range, sums: tf.Tensor, observe: Observe
    ) -> tf.Tensor:
        """What `_chunk_loop` does, batch by batch, each of which is handed over."""
        for index in indices:
            given = tf.constant(index) if self._held is not None else next(iterator)
            step_sums, batch, outputs = self._step(given)
            sums += step_sums
            real = batch.weights.numpy() > 0
            observe(batch.labels.numpy()[real], outputs.numpy()[real])
        return sums

    def _chunk_loop(
        self, iterator: Any, first: tf.Tensor, last: tf.Tensor, sums: tf.Tensor
    ) -> tf.Tensor:
        for index in tf.range(first, last):
            batch = index if self._held is not None else next(iterator)
            step_sums = self._strategy.run(self._replica_step, args=(batch,))
            sums += self._strategy.reduce("SUM", step_sums, axis=None)
        return sums

    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, batch: Batch | tf.Tensor) -> tf.Tensor:
        return self._evaluated(batch)[0]

    @tf.autograph.experimental.do_not_convert
    def _evaluated(
        self, batch: Batch | tf.Tensor
    ) -> tuple[tf.Tensor, Batch, tf.Tensor]:
        """A replica's sums, the batch that they are of, and the model's outputs."""
        if self._held is not None:
            first = per_replica_input.replica_id() * self._slice
            batch = self._held.batch(batch, first, self._slice)
        predictions = self._model(batch.inputs, training=False)
        losses = self._loss(batch.labels, predictions)
        sums = self._metrics.sums(batch.labels, predictions, losses, batch.weights)
        return sums, batch, predictions


def predict(model: keras.Model, batches: tf.data.Dataset) -> Predictions:
    """Labels and outputs of every example of a dataset of padded `Batch`es."""
    forward = tf.function(lambda inputs: model(inputs, training=False))
    labels, outputs = [], []
    for batch in batches:
        real = batch.weights.numpy() > 0
        labels.append(batch.labels.numpy()[real])
        outputs.append(forward(batch.inputs).numpy()[real])
    return Predictions(np.concatenate(labels), np.concatenate(outputs))


def _share(
    strategy: tf.distribute.Strategy,
    batches: tf.data.Dataset,
    batch_size: int,
    worker: int,
    workers: int,
) -> tf.data.Dataset:
    """A worker's rows of every batch, cut into its replicas' batches."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return batches
    rows = batch_size // workers
    first = worker * rows
    mine = batches.map(
        lambda batch: tf.nest.map_structure(
            lambda part: part[first : first + rows], batch
        )
    )
    return mine.rebatch(batch_size // replicas, drop_remainder=True)
