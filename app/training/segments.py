"""Synchronous training: the compiled segment, which runs many steps in one call.

A segment goes from boundary to boundary without returning to Python. The strategy runs
each step on every replica, and what they return is added up here.
"""

import dataclasses
from typing import Any

import numpy as np
import tensorflow as tf

from app.distribution import per_replica_input
from app.distribution.outstanding_steps import Standstill
from app.training import randomness
from app.training.step import TrainerParts, TrainingStep


@dataclasses.dataclass(frozen=True)
class StepResult:
    """Where a segment ended."""

    step: int
    loss: float
    finite: bool
    input_wait: float
    sums: np.ndarray


class SynchronousTrainer:
    """Runs segments of training steps, each of which all replicas work through.

    Args:
      parts: what is trained.
    """

    segment_seconds = 1.0  # at most, so that the screen and signals are served

    def __init__(self, parts: TrainerParts) -> None:
        self._parts = parts
        self._strategy = parts.strategy
        self._replicas = parts.replicas
        self._step = TrainingStep(parts)
        self._iterator: Any = None
        self._segment = tf.function(self._segment_loop)

    def start_at(self, step: int) -> None:
        """Positions the feed: the next segment starts at `step`.

        Raises:
          UserError: the compiled step draws from a state that cannot be saved.
        """
        if not self._parts.feed.resident:
            self._iterator = iter(self._distributed_batches(step))
        if not tf.config.functions_run_eagerly():
            randomness.refuse_stateful_draws(self.compiled().graph)

    def stop(self) -> None:
        """Lets go of the stream.

        One that is ended with the interpreter may wait for Python without end.
        """
        self._iterator = None

    def run(self, first: int, last: int, sums: np.ndarray) -> StepResult:
        """Trains the steps `first` to `last - 1`, or up to one that is not finite.

        Args:
          first: the step to begin with, where `start_at` or the last segment left off.
          last: the step to stop before.
          sums: float64 [metrics.size], the sums so far.
        """
        step, loss, finite, wait, total = self._segment(
            self._iterator,
            tf.constant(first, tf.int64),
            tf.constant(last, tf.int64),
            tf.constant(sums, tf.float64),
        )
        return StepResult(
            int(step), float(loss), bool(finite), float(wait), total.numpy()
        )

    def take_staleness(self) -> None:
        """None: every step is applied to the weights that it read."""

    def standstill(self) -> Standstill | None:
        """None: a step is done where it is asked for, and owed by nobody."""
        return None

    def traces(self) -> int:
        """How often the segment was compiled: once, unless something retraces it."""
        return int(self._segment.experimental_get_tracing_count())

    def compiled(self) -> Any:
        """The segment as a concrete function; the calls that follow reuse it."""
        return self._segment.get_concrete_function(
            self._iterator,
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([self._parts.metrics.size], tf.float64),
        )

    def _segment_loop(
        self, iterator: Any, first: tf.Tensor, last: tf.Tensor, sums: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        step = first
        finite = tf.constant(True)
        loss = tf.constant(0.0, tf.float32)
        wait = tf.constant(0.0, tf.float64)
        while step < last and finite:
            batch, waited = next_batch(iterator)
            outcome = self._strategy.run(self._step.run, args=(step, batch))
            loss, finite, step_sums = self._reduce(outcome)
            sums += step_sums
            wait += waited
            if finite:
                step += 1
        return step, loss, finite, wait, sums

    def _reduce(self, outcome: tuple[Any, ...]) -> tuple[tf.Tensor, ...]:
        """Adds up what the replicas returned: the loss, whether finite, the sums."""
        loss, finite, sums = (
            self._strategy.reduce("SUM", value, axis=None) for value in outcome
        )
        return loss, finite == self._replicas, sums

    def _distributed_batches(self, step: int) -> Any:
        parts = self._parts

        def share(worker: int, workers: int) -> tf.data.Dataset:
            count = parts.batch_size // workers
            return parts.feed.batches(
                step,
                first=worker * count,
                count=count,
                batch_size=parts.batch_size // parts.replicas,
            )

        return per_replica_input.distributed(parts.strategy, parts.cluster, share)


def next_batch(iterator: Any) -> tuple[Any, tf.Tensor]:
    """The streamed batch of this step, and the seconds it was waited for.

    No batch where there is no stream, as the data is held beside the model.
    """
    if iterator is None:
        return None, tf.constant(0.0, tf.float64)
    asked = tf.timestamp()
    batch = next(iterator)
    with tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
        return batch, tf.timestamp() - asked
