"""The training step on one replica: from its share of a batch to changed weights.

Whatever the algorithm is, its batch is worked through in slices, gradients are added up
over slices and replicas, and applied if they are finite, clipped or scaled. Read
`TrainingStep.run` first; `segments` and `asynchronous` say who calls it, and when.
"""

import contextlib
import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from app.distribution import per_replica_input
from app.distribution.cluster import ALONE, Cluster
from app.training import randomness
from app.training.algorithm import Algorithm, Player, moving_variables
from app.training.variable_access import InPlace, PerPlayer, VariableAccess
from models import keras_internals
from models.metrics import Metrics
from pipelines.batch import Batch
from pipelines.feed import Feed

# A loss scale below this has been halved far past float16's smallest number: what
# overflows is no longer the scale's doing.
_SMALLEST_SCALE = 2.0**-24


@dataclasses.dataclass(frozen=True)
class TrainerParts:
    """What is trained, on what, and how.

    Attributes:
      strategy: the devices; the model and optimizers were made in its scope.
      algorithm: who learns, and by which losses.
      metrics: what is summed up over the examples.
      feed: batches by step.
      batch_size: examples in a global batch.
      seed: of the draws.
      clip_norm: largest norm of a player's gradients taken together, or None.
      accumulate: slices that a replica's share is worked through in, one after another.
      cluster: the workers, of which this process is one.
      placed: whether the model's layers are on several devices; then the slices of
        `accumulate` are worked through at the same time, each on another device.
    """

    strategy: tf.distribute.Strategy
    algorithm: Algorithm
    metrics: Metrics
    feed: Feed
    batch_size: int
    seed: int
    clip_norm: float | None
    accumulate: int = 1
    cluster: Cluster = ALONE
    placed: bool = False

    @property
    def replicas(self) -> int:
        """How many share a batch."""
        return self.strategy.num_replicas_in_sync


class TrainingStep:
    """One replica's part in a training step, for the strategy to run.

    Args:
      parts: what is trained.
      access: how variables are read and changed; in place where none is given.
    """

    def __init__(
        self, parts: TrainerParts, access: VariableAccess | None = None
    ) -> None:
        self._algorithm = parts.algorithm
        self._players = parts.algorithm.players
        self._metrics = parts.metrics
        self._feed = parts.feed
        self._batch_size = parts.batch_size
        self._seed = parts.seed
        self._clip_norm = parts.clip_norm
        self._replicas = parts.replicas
        self._accumulate = parts.accumulate
        self._placed = parts.placed and not tf.config.functions_run_eagerly()
        self._slices = parts.replicas * parts.accumulate
        self._slice = parts.batch_size // self._slices
        self._access = access or InPlace(parts.algorithm)
        for player in self._players:
            # It would add the replicas' gradients up after clipping them; the step does
            # so before, since the norm of a sum is no sum of norms.
            keras_internals.leave_reduction_to_the_caller(player.optimizer)

    # No control flow on tensors here: as in Keras' own trainer, AutoGraph would only
    # spend seconds on translating Keras.
    @tf.autograph.experimental.do_not_convert
    def run(
        self, step: tf.Tensor, batch: Batch | None
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Trains one step on this replica's share of its batch.

        Args:
          step: of the training, int64.
          batch: the share, streamed; None where the feed is resident.

        Returns:
          The first player's loss, float32; whether all was finite, int32, 1 or 0; the
          metrics' sums, float64 [names].
        """
        first = per_replica_input.replica_id() * self._accumulate
        gradients, losses, sums = self._slice_gradients(step, batch, first, 0)
        variables = [
            [v for g, v in zip(found, player.variables, strict=True) if g is not None]
            for found, player in zip(gradients, self._players, strict=True)
        ]
        added = [*_present(gradients), *losses, sums]

        def add_next(part: Any, *so_far: Any) -> list[Any]:
            more, part_losses, part_sums = self._slice_gradients(
                step, batch, first + part, part
            )
            found = [*_present(more), *part_losses, part_sums]
            total = []
            for a, b in zip(so_far, found, strict=True):
                with self._beside(a):
                    total.append(a + b)
            return [part + 1, *total]

        if self._placed:
            # Nothing makes one part wait for another, but for the device it needs.
            for part in range(1, self._accumulate):
                _, *added = add_next(part, *added)
        elif self._accumulate > 1:
            # One after another, so that the memory of one part is enough.
            _, *added = tf.while_loop(
                lambda part, *_: part < self._accumulate,
                add_next,
                [tf.constant(1), *added],
                parallel_iterations=1,
            )
        *added, sums = added
        losses = added[-len(self._players) :]
        loss, finite = self._apply(_split(added, variables), variables, losses, step)
        return loss, tf.cast(finite, tf.int32), sums

    def _slice_gradients(
        self, step: tf.Tensor, batch: Batch | None, index: Any, part: Any
    ) -> tuple[PerPlayer, list[tf.Tensor], tf.Tensor]:
        """Each player's gradients and loss, and the sums, of a slice of the batch.

        Args:
          step: of the training.
          batch: the replica's streamed share, or None where the feed is resident.
          index: of the slice in the global batch; the draws are keyed by it.
          part: of the slice in the replica's share.
        """
        batch = self._slice_of(step, batch, index, part)
        several = len(self._players) > 1
        with (
            tf.GradientTape(persistent=several) as tape,
            self._access.forward_pass(tape) as sources,
        ):
            with randomness.keyed_draws(self._seed, step, index):
                played = self._algorithm.play(batch)
            losses = [
                played.objective(player, batch, self._batch_size, self._slices)
                for player in self._players
            ]
            scaled = [
                player.optimizer.scale_loss(loss)
                for player, loss in zip(self._players, losses, strict=True)
            ]
        shown = played.losses[self._players[0].name]
        sums = self._metrics.sums(batch.labels, played.outputs, shown, batch.weights)
        if self._placed:  # the tape would not put each gradient beside its operation
            gradients = [
                tf.gradients(loss, [v.value for v in of])
                for loss, of in zip(scaled, sources, strict=True)
            ]
        else:
            gradients = [
                tape.gradient(loss, of)
                for loss, of in zip(scaled, sources, strict=True)
            ]
        return gradients, losses, sums

    def _slice_of(
        self, step: tf.Tensor, batch: Batch | None, index: Any, part: Any
    ) -> Batch:
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
        return batch.as_floats()

    def _beside(self, tensor: tf.Tensor) -> contextlib.AbstractContextManager[None]:
        return tf.device(tensor.device) if self._placed else contextlib.nullcontext()

    def _apply(
        self,
        gradients: PerPlayer,
        variables: PerPlayer,
        losses: list[tf.Tensor],
        step: tf.Tensor,
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Adds the replicas' gradients up and applies them if they are finite.

        Returns the first player's loss on this replica, and whether all players' losses
        and gradients were finite, which is the same on every replica. Gradients that
        are not are replaced by zeros, so that the weights stay fit for finding the
        layer that went wrong.
        """
        shown = losses[0]
        if self._replicas > 1:
            gradients, losses = self._add_up(gradients, losses)
        norms = [
            None if _is_scaled(player) else tf.linalg.global_norm(found)
            for player, found in zip(self._players, gradients, strict=True)
        ]
        checked = [value for value in (*norms, *losses) if value is not None]
        finite = tf.math.is_finite(checked[0])
        for value in checked[1:]:
            finite &= tf.math.is_finite(value)
        for player, norm, found, of in zip(
            self._players, norms, gradients, variables, strict=True
        ):
            if norm is None:
                finite &= self._apply_scaled(player, found, of)
            else:
                safe = self._clipped(found, norm, finite)
                self._access.update(player, safe, of, step)
        return shown, finite

    def _add_up(
        self, gradients: PerPlayer, losses: list[tf.Tensor]
    ) -> tuple[PerPlayer, list[tf.Tensor]]:
        """Sums of the replicas' gradients and losses, the same on every replica.

        What the forward pass changed beside the weights, such as moving averages, is
        replaced by the replicas' mean: otherwise a checkpoint, which holds one value of
        each variable, would hold the first replica's and forget the others'.
        """
        moving = moving_variables(self._algorithm.model)
        values = [tf.convert_to_tensor(v.value) / self._replicas for v in moving]
        flat = [gradient for found in gradients for gradient in found]
        context = tf.distribute.get_replica_context()
        summed = context.all_reduce("SUM", [*flat, *losses, *values])
        means = summed[len(flat) + len(losses) :]
        for variable, mean in zip(moving, means, strict=True):
            variable.assign(mean)
        total = list(summed[len(flat) : len(flat) + len(losses)])
        return _split(summed, gradients), total

    def _clipped(
        self, gradients: list[tf.Tensor], norm: tf.Tensor, finite: tf.Tensor
    ) -> list[tf.Tensor]:
        """Gradients of this norm, no longer than is wished; zeros if not finite."""
        factor = None
        if self._clip_norm is not None:
            factor = self._clip_norm / tf.maximum(norm, self._clip_norm)
        safe = []
        for g in gradients:
            with self._beside(g):
                kept = g if factor is None else g * factor
                safe.append(tf.where(finite, kept, tf.zeros_like(g)))
        return safe

    def _apply_scaled(
        self, player: Player, gradients: list[tf.Tensor], variables: list[Any]
    ) -> tf.Tensor:
        """float16: the optimizer skips steps whose scaled gradients overflow.

        Returns whether the scale is still one at which gradients may not overflow.
        """
        optimizer = player.optimizer
        if self._clip_norm is not None:
            limit = optimizer.scale_loss(tf.constant(self._clip_norm))
            norm = tf.linalg.global_norm(gradients)
            gradients = [g * (limit / tf.maximum(norm, limit)) for g in gradients]
        optimizer.apply(gradients, variables)
        return tf.convert_to_tensor(optimizer.dynamic_scale) > _SMALLEST_SCALE


def _present(gradients: PerPlayer) -> list[tf.Tensor]:
    """All players' gradients, but for those of variables that a loss leaves alone."""
    return [
        tf.convert_to_tensor(g) for found in gradients for g in found if g is not None
    ]


def _split(values: Sequence[Any], like: PerPlayer) -> PerPlayer:
    """The first of `values`, player by player, as many as there are in `like`."""
    remaining = iter(values)
    return [[next(remaining) for _ in found] for found in like]


def _is_scaled(player: Player) -> bool:
    return isinstance(player.optimizer, keras.optimizers.LossScaleOptimizer)
