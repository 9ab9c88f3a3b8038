"""The batches of a split that is held in memory, for an evaluation in compiled code."""

from typing import Any

import tensorflow as tf

from pipelines import resident
from pipelines.batch import Batch


class HeldBatches:
    """A split's examples in its order, each once; the last batch is padded.

    Args:
        examples: the decoded examples, of n each.
        labels: of the examples, of n each.
        size: n.
        batch_size: examples in a batch.

    Attributes:
        count: how many batches there are.
    """

    def __init__(self, examples: Any, labels: Any, size: int, batch_size: int) -> None:
        self._held = resident.hold((examples, labels))
        self._size = size
        self._batch_size = batch_size
        self.count = -(-self._size // batch_size)

    @tf.autograph.experimental.do_not_convert  # it has nothing to convert, slowly
    def batch(
        self,
        index: tf.Tensor | int,
        first: tf.Tensor | int = 0,
        count: int | None = None,
    ) -> Batch:
        """The slice [first, first + count) of batch `index`; by default all of it.

        For use inside a tf.function. What pads the last batch has the weight 0.
        """
        count = self._batch_size if count is None else count
        begin = tf.cast(index, tf.int64) * self._batch_size + tf.cast(first, tf.int64)
        slots = begin + tf.range(count, dtype=tf.int64)
        is_real = slots < self._size
        chosen = tf.where(is_real, slots, 0)
        examples, labels = resident.gather(self._held, chosen, count)
        return Batch(examples, labels, tf.cast(is_real, tf.float32)).as_floats()
