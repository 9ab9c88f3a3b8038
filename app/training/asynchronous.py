"""Training by parameter servers: steps are dealt to workers that wait for nobody.

Each step is one global batch, worked through by one worker with the weights as they are
when it reads them. The one loop deals the steps of a segment and waits for all of them
at its end, so that what is evaluated and saved there is a state at rest.

Keras adds to its counters by a read and a write, between which another worker's write
is lost. So here whatever is counted is a plain tf.Variable, to which a parameter server
adds in one operation; for the model's variables see `variable_access`.
"""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from app.distribution import tf_internals
from app.distribution.outstanding_steps import OutstandingSteps, Standstill
from app.training import randomness
from app.training.segments import StepResult, next_batch
from app.training.step import TrainerParts, TrainingStep
from app.training.variable_access import RemoteVariables

# Steps that are dealt at once, and rows of the ledger: chunks that are out at a time.
_LARGEST_CHUNK = 64
_ROWS = 128
# Staleness is counted one by one up to this many updates.
_STALENESS = 32
# Columns of a chunk's row in the ledger, before staleness and metrics.
_DONE, _WAITED, _STALE, _BEFORE = 0, 1, 2, 3
# Seconds between looks at whether all has ended, and at how far the workers are.
_LOOK, _COUNT = 0.002, 1.0


@dataclasses.dataclass(frozen=True)
class Chunk:
    """Consecutive steps that one worker does: `first` to `last - 1`."""

    slot: int
    first: int
    last: int


def divide(first: int, last: int, workers: int) -> list[Chunk]:
    """The steps `first` to `last - 1` in chunks that get smaller towards the end.

    Each is half of an even share of what is left: few, and nobody waits long for the
    one who took the last. Guided self-scheduling: Polychronopoulos and Kuck 1987,
    https://doi.org/10.1109/TC.1987.5009495.
    """
    chunks: list[Chunk] = []
    while first < last:
        share = -(-(last - first) // (2 * workers))
        chunks.append(Chunk(len(chunks), first, first + min(share, _LARGEST_CHUNK)))
        first = chunks[-1].last
    return chunks


class AsynchronousTrainer:
    """Deals steps to the workers of a ParameterServerStrategy, and keeps the books.

    A worker adds each step to its chunk's row of a ledger on a parameter server, after
    the step's update and in one operation. A chunk that is dealt again, as its worker
    was lost, goes on after the steps in its row, so each is counted once.

    Args:
      parts: what is trained, on a ParameterServerStrategy.
      workers: how many there are.
    """

    segment_seconds = 4.0  # at the end of each all workers rest

    def __init__(self, parts: TrainerParts, workers: int) -> None:
        self._feed = parts.feed
        self._strategy = parts.strategy
        self._players = parts.algorithm.players
        self._variables = RemoteVariables(parts.algorithm)
        self._step = TrainingStep(parts, self._variables)
        self._workers = workers
        # It warns of what is not scheduled, tracing included, which is no mistake here.
        tf_internals.allow_unscheduled_runs(parts.strategy)
        self._coordinator = tf.distribute.coordinator.ClusterCoordinator(parts.strategy)
        self._outstanding = OutstandingSteps(self._coordinator)
        columns = _BEFORE + _STALENESS + parts.metrics.size
        with parts.strategy.scope():
            self._ledger = tf.Variable(
                tf.zeros([_ROWS, columns], tf.float64), trainable=False, name="ledger"
            )
            self._updates = tf.Variable(
                0, dtype=tf.int64, trainable=False, name="updates"
            )
        self._segment = tf.function(self._chunk_loop)
        self._staleness = np.zeros(_STALENESS)

    def start_at(self, step: int) -> None:
        """The next segment starts at `step`, and so does the count of updates.

        Raises:
          UserError: the compiled step draws from a state that cannot be saved.
        """
        self._count_from(step)
        number = tf.TensorSpec([], tf.int64)
        traced = self._segment.get_concrete_function(number, number, number)
        randomness.refuse_stateful_draws(traced.graph)

    def stop(self) -> None:
        """Nothing is held here: streams are the workers'."""

    def run(self, first: int, last: int, sums: np.ndarray) -> StepResult:
        """Trains the steps `first` to `last - 1`, each by one worker; see `Trainer`.

        Raises:
          RuntimeError: a step was counted twice, or not at all.
          tf.errors.OpError: a parameter server is gone.
        """
        total = np.zeros(self._ledger.shape[1])
        losses: list[tuple[float, bool, int]] = []
        chunks = divide(first, last, self._workers)
        for start in range(0, len(chunks), _ROWS):
            dealt = [
                dataclasses.replace(chunk, slot=slot)
                for slot, chunk in enumerate(chunks[start : start + _ROWS])
            ]
            found, ends = self._deal(dealt)
            total += found
            losses += ends
        wrong = [step for _, finite, step in losses if not finite]
        done = int(total[_DONE])
        if not wrong and done != last - first:
            raise RuntimeError(f"{done} steps were done of {last - first} scheduled")
        self._settle_updates(first + done)
        self._staleness += total[_BEFORE : _BEFORE + _STALENESS]
        loss = losses[-1][0]
        if wrong:
            loss = next(end[0] for end in losses if end[2] == min(wrong))
        return StepResult(
            step=min(wrong, default=last),
            loss=loss,
            finite=not wrong,
            input_wait=float(total[_WAITED]) / self._workers,
            sums=sums + total[_BEFORE + _STALENESS :],
        )

    def take_staleness(self) -> np.ndarray:
        """Steps since the last call by their staleness, 0 to 31 and more: float64 [32].

        The staleness of a step is the number of updates that other workers applied
        between its reading of the weights and its own update.
        """
        taken, self._staleness = self._staleness, np.zeros(_STALENESS)
        return taken

    def standstill(self) -> Standstill | None:
        """Steps that workers owe; None while they owe none."""
        return self._outstanding.standstill()

    def _count_from(self, step: int) -> None:
        """Has the books, and every optimizer, say that `step` steps are done."""
        self._updates.assign(step)
        for player in self._players:
            player.optimizer.iterations.assign(step)

    def _deal(
        self, chunks: Sequence[Chunk]
    ) -> tuple[np.ndarray, list[tuple[float, bool, int]]]:
        """Has the chunks done; the ledger's sums, and where each chunk ended."""
        self._ledger.assign(tf.zeros_like(self._ledger))
        with self._outstanding.dealing():
            results = [
                self._coordinator.schedule(
                    self._segment,
                    args=tuple(
                        tf.constant(value, tf.int64)
                        for value in (chunk.slot, chunk.first, chunk.last)
                    ),
                )
                for chunk in chunks
            ]
            self._await_all()
        ledger = self._ledger.numpy()
        ends = []
        for result in results:
            loss, finite, step = result.fetch()
            ends.append((float(loss), bool(finite), int(step)))
        return ledger.sum(axis=0), ends

    def _await_all(self) -> None:
        """Returns when all that was dealt has ended; counts the steps meanwhile.

        Raises:
          tf.errors.OpError: a task that cannot be done without is gone.
        """
        counted = time.monotonic()
        while not self._coordinator.done():
            time.sleep(_LOOK)
            if time.monotonic() - counted > _COUNT:
                done = self._ledger.numpy()[:, _DONE]
                self._outstanding.seen(tuple(int(steps) for steps in done))
                counted = time.monotonic()

    def _settle_updates(self, step: int) -> None:
        """Compares the updates that were applied with the steps that were done.

        They differ by the steps that a lost worker had applied and not yet counted.
        """
        applied = int(self._updates.numpy())
        if applied != step:
            print(
                f"{applied - step} updates of a worker that was lost were applied a"
                f" second time; {step} steps are counted",
                flush=True,
            )
        self._count_from(step)

    def _chunk_loop(
        self, slot: tf.Tensor, first: tf.Tensor, last: tf.Tensor
    ) -> tuple[tf.Tensor, ...]:
        """Runs on a worker; the last loss, whether all were finite, and the step."""
        done = tf.gather(self._ledger, slot)[_DONE]
        step = first + tf.cast(done, tf.int64)
        iterator = self._stream(step, last)
        finite = tf.constant(True)
        loss = tf.constant(0.0, tf.float32)
        while step < last and finite:
            batch, waited = next_batch(iterator)
            # The strategy runs the step in a thread, and its updates in this one.
            with self._variables.at(step):
                loss, finite = self._strategy.run(
                    self._counted_step, args=(slot, step, batch, waited)
                )
            if finite:
                step += 1
        return loss, finite, step

    def _stream(self, step: tf.Tensor, last: tf.Tensor) -> Any:
        """Batches of a chunk's steps, read on the worker; None where data is held."""
        if self._feed.resident:
            return None
        return iter(self._feed.batches(step, native=True).take(last - step))

    @tf.autograph.experimental.do_not_convert
    def _counted_step(
        self, slot: tf.Tensor, step: tf.Tensor, batch: Any, waited: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """One step and, after its update, its line in the books."""
        graph = tf.compat.v1.get_default_graph()
        seen = self._updates.read_value()
        before = len(graph.get_operations())
        with tf.control_dependencies([seen]):
            loss, finite, sums = self._step.run(step, batch)
        effects = [
            operation
            for operation in graph.get_operations()[before:]
            if operation.op_def is not None and operation.op_def.is_stateful
        ]
        with tf.control_dependencies(effects):
            counted = tf.cast(finite, tf.int64)
            stale = self._updates.assign_add(counted, read_value=True) - counted - seen
        bucket = tf.one_hot(tf.minimum(stale, _STALENESS - 1), _STALENESS)
        numbers = [tf.ones([], tf.float64), waited, tf.cast(stale, tf.float64)]
        row = tf.concat([tf.stack(numbers), tf.cast(bucket, tf.float64), sums], axis=0)
        kept = tf.where(finite > 0, row, tf.zeros_like(row))
        self._ledger.scatter_nd_add([[slot]], [kept])
        return loss, finite > 0
