"""The training step, and the compiled segment that runs many of them in one call.

A segment goes from boundary to boundary without returning to Python. The step is
written for one replica; the strategy runs it on each and adds up what they return.
"""

import contextlib
import dataclasses
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from app.distribution import per_replica_input
from app.distribution.cluster import ALONE, Cluster
from app.training import randomness
from models.losses import PerExampleLoss
from models.metrics import Metrics
from pipelines.batch import Batch
from pipelines.feed import Feed

# A loss scale below this has been halved far past float16's smallest number: what
# overflows is no longer the scale's doing.
_SMALLEST_SCALE = 2.0**-24


@dataclasses.dataclass(frozen=True)
class StepResult:
    """Where a segment ended."""

    step: int
    loss: float
    finite: bool
    input_wait: float
    sums: np.ndarray


class Trainer:
    """Runs segments of training steps of one model on one feed.

    Args:
      strategy: the devices; the model and optimizer were made in its scope.
      model: the Keras model.
      optimizer: built on the model's trainable variables.
      loss: loss of each example.
      metrics: what is summed up over the examples.
      feed: batches by step.
      batch_size: examples in a global batch.
      seed: of the layers' draws.
      clip_norm: largest norm of the gradients taken together, or None.
      accumulate: parts that a replica's share is worked through in, one after another.
      cluster: the workers, of which this process is one.
      placed: whether the model's layers are on several devices; then the parts of
        `accumulate` are worked through at the same time, each on another device.
    """

    segment_seconds = 1.0  # at most, so that the screen and signals are served

    def __init__(
        self,
        *,
        strategy: tf.distribute.Strategy,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        loss: PerExampleLoss,
        metrics: Metrics,
        feed: Feed,
        batch_size: int,
        seed: int,
        clip_norm: float | None,
        accumulate: int = 1,
        cluster: Cluster = ALONE,
        placed: bool = False,
    ) -> None:
        self._strategy = strategy
        self._model = model
        self._optimizer = optimizer
        self._loss = loss
        self._metrics = metrics
        self._feed = feed
        self._batch_size = batch_size
        self._seed = seed
        self._clip_norm = clip_norm
        self._replicas = strategy.num_replicas_in_sync
        self._accumulate = accumulate
        self._cluster = cluster
        self._placed = placed and not tf.config.functions_run_eagerly()
        self._slice = batch_size // (self._replicas * accumulate)
        self._iterator: Any = None
        self._segment = tf.function(self._segment_loop)
        self._gradients = tf.function(self._gradient_function)
        _leave_reduction_to_the_step(optimizer)

    def start_at(self, step: int) -> None:
        """Positions the feed: the next segment starts at `step`.

        Raises:
          UserError: the compiled step draws from a state that cannot be saved.
        """
        if not self._feed.resident:
            self._iterator = iter(self._distributed_batches(step))
        if not tf.config.functions_run_eagerly():
            randomness.refuse_stateful_draws(self._compiled().graph)

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

    def batch_of(self, step: int) -> Batch:
        """The global batch of a step, again."""
        if self._feed.resident:
            return self._feed.batch(step)
        return next(iter(self._feed.batches(step))).as_floats()

    def forward_graph(self) -> Any:
        """The model's forward pass as a concrete function, for TensorBoard."""
        inputs = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype), self.batch_of(0).inputs
        )
        forward = tf.function(lambda x: self._model(x, training=False), autograph=False)
        return forward.get_concrete_function(inputs)

    def traces(self) -> int:
        """How often the segment was compiled: once, unless something retraces it."""
        return int(self._segment.experimental_get_tracing_count())

    def norms(self, step: int) -> dict[str, float]:
        """Norms of weights, and of their gradients on the batch of `step`, by variable.

        What the forward pass changes beside the weights, such as moving averages, is
        put back: looking must not alter the run.
        """
        moving = self._model.non_trainable_variables
        before = [variable.numpy() for variable in moving]
        gradients = self._gradients(self.batch_of(step), tf.constant(step, tf.int64))
        for variable, value in zip(moving, before, strict=True):
            variable.assign(value)
        found: dict[str, float] = {}
        for variable, gradient in zip(
            self._model.trainable_variables, gradients, strict=True
        ):
            found[f"norms/weights/{variable.path}"] = float(tf.norm(variable))
            found[f"norms/gradients/{variable.path}"] = float(tf.norm(gradient))
        return found

    def _gradient_function(self, batch: Batch, step: tf.Tensor) -> list[tf.Tensor]:
        variables = self._model.trainable_variables
        with tf.GradientTape() as tape:
            with randomness.keyed_draws(self._seed, step):
                predictions = self._model(batch.inputs, training=True)
            losses = self._loss(batch.labels, predictions)
            loss = self._objective(losses, batch.weights)
        return tape.gradient(loss, variables, unconnected_gradients="zero")

    def _compiled(self) -> Any:
        """The segment as a concrete function; the calls that follow reuse it."""
        return self._segment.get_concrete_function(
            self._iterator,
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([], tf.int64),
            tf.TensorSpec([self._metrics.size], tf.float64),
        )

    def _segment_loop(
        self, iterator: Any, first: tf.Tensor, last: tf.Tensor, sums: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        step = first
        finite = tf.constant(True)
        loss = tf.constant(0.0, tf.float32)
        wait = tf.constant(0.0, tf.float64)
        while step < last and finite:
            batch, waited = self._next_batch(iterator)
            outcome = self._strategy.run(self._replica_step, args=(step, batch))
            loss, finite, step_sums = self._reduce(outcome)
            sums += step_sums
            wait += waited
            if finite:
                step += 1
        return step, loss, finite, wait, sums

    def _next_batch(self, iterator: Any) -> tuple[Any, tf.Tensor]:
        """The streamed batch of this step, and the seconds it was waited for."""
        if self._feed.resident:
            return None, tf.constant(0.0, tf.float64)
        asked = tf.timestamp()
        batch = next(iterator)
        with tf.control_dependencies(tf.nest.flatten(batch, expand_composites=True)):
            return batch, tf.timestamp() - asked

    # No control flow on tensors here: as in Keras' own trainer, AutoGraph would only
    # spend seconds on translating Keras.
    @tf.autograph.experimental.do_not_convert
    def _replica_step(self, step: tf.Tensor, batch: Batch | None) -> tuple[Any, ...]:
        first = per_replica_input.replica_id() * self._accumulate
        gradients, loss, sums = self._slice_gradients(step, batch, first, 0)
        variables = self._model.trainable_variables
        pairs = zip(gradients, variables, strict=True)
        trained = [v for g, v in pairs if g is not None]
        total = [tf.convert_to_tensor(g) for g in gradients if g is not None]

        def add_next(part: Any, *so_far: Any) -> list[Any]:
            more, part_loss, part_sums = self._slice_gradients(
                step, batch, first + part, part
            )
            parts = [*(g for g in more if g is not None), part_loss, part_sums]
            added = []
            for a, b in zip(so_far, parts, strict=True):
                with self._beside(a):
                    added.append(a + b)
            return [part + 1, *added]

        if self._placed:
            # Nothing makes one part wait for another, but for the device it needs.
            for part in range(1, self._accumulate):
                _, *total, loss, sums = add_next(part, *total, loss, sums)
        elif self._accumulate > 1:
            # One after another, so that the memory of one part is enough.
            _, *total, loss, sums = tf.while_loop(
                lambda part, *_: part < self._accumulate,
                add_next,
                [tf.constant(1), *total, loss, sums],
                parallel_iterations=1,
            )
        finite = self._apply(total, trained, loss, step)
        return loss, tf.cast(finite, tf.int32), sums

    def _slice_gradients(
        self, step: tf.Tensor, batch: Batch | None, index: Any, part: Any
    ) -> tuple[list[Any], tf.Tensor, tf.Tensor]:
        """Gradients, loss and sums of one slice of the global batch.

        Args:
          step: of the training.
          batch: the replica's streamed share, or None where the feed is resident.
          index: of the slice in the global batch; the draws are keyed by it.
          part: of the slice in the replica's share.
        """
        size = self._slice
        if batch is None:
            batch = self._feed.batch(step, first=index * size, count=size)
        elif self._accumulate > 1:
            batch = tf.nest.map_structure(
                lambda t: tf.ensure_shape(
                    t[part * size : (part + 1) * size], [size, *t.shape[1:]]
                ),
                batch,
            )
        batch = batch.as_floats()
        with tf.GradientTape() as tape, self._forward_pass(tape) as sources:
            with randomness.keyed_draws(self._seed, step, index):
                predictions = self._model(batch.inputs, training=True)
            losses = self._loss(batch.labels, predictions)
            loss = self._objective(losses, batch.weights)
            scaled = self._optimizer.scale_loss(loss)
        sums = self._metrics.sums(batch.labels, predictions, losses, batch.weights)
        if self._placed:  # the tape would not put each gradient beside its operation
            return tf.gradients(scaled, [v.value for v in sources]), loss, sums
        return tape.gradient(scaled, sources), loss, sums

    def _beside(self, tensor: tf.Tensor) -> contextlib.AbstractContextManager[None]:
        return tf.device(tensor.device) if self._placed else contextlib.nullcontext()

    def _objective(self, losses: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """A slice's share of the global batch's mean loss: float32 scalar."""
        loss = tf.reduce_sum(losses * weights) / self._batch_size
        if self._model.losses:
            slices = self._replicas * self._accumulate
            loss += tf.add_n(self._model.losses) / slices
        return loss

    def _apply(
        self,
        gradients: list[tf.Tensor],
        variables: list[Any],
        loss: tf.Tensor,
        step: tf.Tensor,
    ) -> tf.Tensor:
        """Adds the replicas' gradients up and applies them if they are finite.

        Returns whether loss and gradients were finite: bool scalar, the same on every
        replica. Gradients that are not are replaced by zeros, so that the weights stay
        fit for finding the layer that went wrong.
        """
        reduced = gradients
        if self._replicas > 1:
            reduced, loss = self._add_up(gradients, loss)
        if isinstance(self._optimizer, keras.optimizers.LossScaleOptimizer):
            return self._apply_scaled(reduced, variables, loss)
        norm = tf.linalg.global_norm(reduced)
        finite = tf.math.is_finite(norm) & tf.math.is_finite(loss)
        factor = self._clip_factor(norm)
        safe = []
        for g in reduced:
            with self._beside(g):
                kept = g if factor is None else g * factor
                safe.append(tf.where(finite, kept, tf.zeros_like(g)))
        self._update(safe, variables, step)
        return finite

    def _forward_pass(
        self, tape: tf.GradientTape
    ) -> contextlib.AbstractContextManager[list[Any]]:
        del tape  # gives what gradients are of; entered for every forward pass
        return contextlib.nullcontext(self._model.trainable_variables)

    def _update(
        self, gradients: list[tf.Tensor], variables: list[Any], step: tf.Tensor
    ) -> None:
        del step  # the optimizer counts them itself
        self._optimizer.apply(gradients, variables)

    def _add_up(
        self, gradients: list[tf.Tensor], loss: tf.Tensor
    ) -> tuple[list[tf.Tensor], tf.Tensor]:
        """Sums of the replicas' gradients and losses, the same on every replica.

        What the forward pass changed beside the weights, such as moving averages, is
        replaced by the replicas' mean: otherwise a checkpoint, which holds one value of
        each variable, would hold the first replica's and forget the others'.
        """
        moving = [
            variable
            for variable in self._model.non_trainable_variables
            if tf.as_dtype(variable.dtype).is_floating
        ]
        values = [tf.convert_to_tensor(v.value) / self._replicas for v in moving]
        context = tf.distribute.get_replica_context()
        summed = context.all_reduce("SUM", [*gradients, loss, *values])
        for variable, mean in zip(moving, summed[len(gradients) + 1 :], strict=True):
            variable.assign(mean)
        return list(summed[: len(gradients)]), summed[len(gradients)]

    def _clip_factor(self, norm: tf.Tensor) -> tf.Tensor | None:
        """What gradients of this norm are multiplied by; None without clipping."""
        if self._clip_norm is None:
            return None
        return self._clip_norm / tf.maximum(norm, self._clip_norm)

    def _apply_scaled(
        self, gradients: list[tf.Tensor], variables: list[Any], loss: tf.Tensor
    ) -> tf.Tensor:
        """float16: the optimizer skips steps whose scaled gradients overflow."""
        if self._clip_norm is not None:
            limit = self._optimizer.scale_loss(tf.constant(self._clip_norm))
            norm = tf.linalg.global_norm(gradients)
            gradients = [g * (limit / tf.maximum(norm, limit)) for g in gradients]
        self._optimizer.apply(gradients, variables)
        scale = tf.convert_to_tensor(self._optimizer.dynamic_scale)
        return tf.math.is_finite(loss) & (scale > _SMALLEST_SCALE)

    def _reduce(self, outcome: tuple[Any, ...]) -> tuple[tf.Tensor, ...]:
        """Adds up what the replicas returned: the loss, whether finite, the sums."""
        loss, finite, sums = (
            self._strategy.reduce("SUM", value, axis=None) for value in outcome
        )
        return loss, finite == self._replicas, sums

    def _distributed_batches(self, step: int) -> Any:
        def share(worker: int, workers: int) -> tf.data.Dataset:
            count = self._batch_size // workers
            return self._feed.batches(
                step,
                first=worker * count,
                count=count,
                batch_size=self._batch_size // self._replicas,
            )

        return per_replica_input.distributed(self._strategy, self._cluster, share)


def _leave_reduction_to_the_step(optimizer: keras.optimizers.Optimizer) -> None:
    """Keras' optimizer would add the replicas' gradients up after clipping them.

    The step adds them up first, since the norm of a sum is no sum of norms.
    """
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    inner._all_reduce_sum_gradients = list
