"""The order of examples: a permutation each epoch, a function of the step alone."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pipelines.order import Order


def _epoch(order: Order, epoch: int) -> np.ndarray:
    start = epoch * order.examples
    positions = tf.range(start, start + order.examples, dtype=tf.int64)
    return order.examples_at(positions).numpy()


def _epochs_differ(epoch_of: Callable[[int], np.ndarray]) -> bool:
    return not np.array_equal(epoch_of(0), epoch_of(1))


class OrderTest(tf.test.TestCase):
    def test_each_epoch_is_a_permutation(self) -> None:
        for examples in (1, 2, 7, 100, 1437):
            order = Order(examples, batch_size=8, seed=3)
            for epoch in (0, 1, 5):
                self.assertAllEqual(sorted(_epoch(order, epoch)), range(examples))

    def test_epochs_and_seeds_differ(self) -> None:
        order = Order(100, 8, seed=3)
        self.assertTrue(_epochs_differ(lambda epoch: _epoch(order, epoch)))
        other = _epoch(Order(100, 8, seed=4), 0)
        self.assertNotAllEqual(_epoch(order, 0), other)

    def test_the_check_notices_a_shuffle_that_ignores_the_epoch(self) -> None:
        order = Order(100, 8, seed=3)
        self.assertFalse(_epochs_differ(lambda epoch: _epoch(order, 0)))

    def test_is_the_public_index_shuffle_of_seed_and_epoch(self) -> None:
        order = Order(10, 4, seed=7)
        positions = np.arange(30)
        expected = [
            tf.random.experimental.index_shuffle(
                tf.constant(p % 10, tf.int64),
                tf.constant([7, p // 10], tf.int64),
                tf.constant(9, tf.int64),
            ).numpy()
            for p in positions
        ]
        self.assertAllEqual(order.examples_at(tf.constant(positions)), expected)

    def test_batches_put_together_are_the_epochs_in_turn(self) -> None:
        order = Order(10, 4, seed=1)  # batches straddle epochs
        examples = np.concatenate([order.examples_of(step) for step in range(5)])
        self.assertAllEqual(
            examples, np.concatenate([_epoch(order, 0), _epoch(order, 1)])
        )

    def test_slices_of_replicas_put_together_are_the_global_batch(self) -> None:
        order = Order(50, 8, seed=1)
        for replicas in (2, 4):
            share = 8 // replicas
            for step in (0, 5, 6, 1000):
                slices = [
                    order.examples_of(step, first=replica * share, count=share)
                    for replica in range(replicas)
                ]
                self.assertAllEqual(np.concatenate(slices), order.examples_of(step))

    def test_holds_inside_a_graph(self) -> None:
        order = Order(50, 8, seed=1)
        compiled = tf.function(order.examples_of)
        self.assertAllEqual(compiled(tf.constant(6, tf.int64)), order.examples_of(6))

    def test_examples_move_about(self) -> None:
        order = Order(1000, 10, seed=0)
        correlation = np.corrcoef(_epoch(order, 0), _epoch(order, 1))[0, 1]
        self.assertLess(abs(correlation), 0.15)


if __name__ == "__main__":
    tf.test.main()
