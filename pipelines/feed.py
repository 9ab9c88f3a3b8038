"""The batches of training: gathered in the compiled loop, or streamed by tf.data."""

from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import resident
from pipelines.augmentation import NONE, Augmentation, Draws
from pipelines.batch import Batch
from pipelines.cropping import Cropping
from pipelines.dataset_options import untuned
from pipelines.order import Order
from pipelines.reading import Reader
from pipelines.sample_weights import ExampleWeights

_LAST_STEP = 2**62


class Feed:
    """Training batches as a function of the step: `batch` and `batches` agree exactly.

    Attributes:
        order: which examples form a batch; its seed keys the augmentation too.
        augmentation: what is done to them.
        resident: whether the data is held as tensors, so that `batch` works.
    """

    def __init__(
        self,
        reader: Reader,
        indices: np.ndarray,
        order: Order,
        augmentation: Augmentation,
        held: Any = None,
        cropping: Cropping | None = None,
        weights: ExampleWeights | None = None,
    ) -> None:
        """Feeds the examples at `indices` of the reader's source.

        Args:
            reader: of the source.
            indices: int64 [order.examples], of the training split.
            order: over positions in `indices`.
            augmentation: applied to whole batches.
            held: inputs and labels at `indices`, where they are in memory.
            cropping: cut from the originals, before the augmentation.
            weights: of the examples; by default 1.
        """
        self.order = order
        self.augmentation = augmentation
        self.resident = held is not None
        self._reader = reader
        self._cropping = cropping
        self._indices = tf.constant(indices, tf.int64)
        self._weights = None if weights is None else tf.constant(weights.of_examples)
        self._class_weights = None if weights is None else weights.of_classes
        self._held = None if held is None else resident.hold(held)

    @property
    def held_bytes(self) -> int:
        """Bytes of training data held in memory."""
        tensors = [] if self._held is None else tf.nest.flatten(self._held)
        return sum(int(tf.size(tensor)) * tensor.dtype.size for tensor in tensors)

    @tf.autograph.experimental.do_not_convert  # it has nothing to convert, slowly
    def batch(
        self,
        step: tf.Tensor | int,
        first: tf.Tensor | int = 0,
        count: int | None = None,
    ) -> Batch:
        """The global batch of `step`, or its slice [first, first + count).

        For use inside a tf.function; only where the feed is `resident`.
        """
        if self._held is None:
            raise ValueError("the data is streamed, not resident: use Feed.batches")
        count = self._checked(first, count)
        positions = self.order.positions_of(step, first, count)
        examples = self.order.examples_at(positions)
        inputs, labels = resident.gather(self._held, examples, count)
        indices = tf.gather(self._indices, examples)
        return self._finish(positions, inputs, labels, indices).as_floats()

    @tf.autograph.experimental.do_not_convert
    def batches(
        self,
        first_step: int,
        first: int = 0,
        count: int | None = None,
        batch_size: int | None = None,
        native: bool = False,
    ) -> tf.data.Dataset:
        """Endless batches from `first_step` on, read ahead in parallel.

        Args:
            first_step: any; starting late costs nothing.
            first: start of the slice of every global batch.
            count: size of the slice; by default the global batch.
            batch_size: examples in an element, a divisor of `count`; by default
                `count`.
            native: whether only TensorFlow's own operations may be used, as on a worker
                of parameter servers.

        Returns:
            A dataset of `Batch`; images may be uint8, see there.
        """
        count = self._checked(first, count)
        size = self._checked(0, batch_size or count)
        if count % size:
            raise ValueError(f"batch_size={size} does not divide the slice of {count}")
        steps = tf.data.Dataset.range(first_step, _LAST_STEP)
        if self._held is not None:
            found = steps.flat_map(
                lambda step: tf.data.Dataset.range(first, first + count, size).map(
                    lambda start: self.batch(step, start, size)
                )
            )
        else:
            chunks = steps.map(
                lambda step: self._positions_and_indices(step, first, count)
            )
            found = self._streamed(chunks, size, native)
        return untuned(found.prefetch(tf.data.AUTOTUNE))

    def _streamed(
        self, chunks: tf.data.Dataset, size: int, native: bool
    ) -> tf.data.Dataset:
        """Batches of `size` examples, read at chunks of (positions, indices)."""
        if self._cropping is None or native:
            read = self._reader.stream(chunks, size, self._cropping, native)
        else:
            read = self._reader.crops(chunks, size, self._cropping)
        return read.map(
            lambda *read: self._finish(*_sized(size, read)),
            num_parallel_calls=tf.data.AUTOTUNE,
        )

    def find_bad_example(self, first_step: int, last_step: int) -> str | None:
        """Names the first unreadable example of these steps, after a stream failed.

        A stream reads ahead: look some steps further than the one that was asked for.
        """
        for step in range(first_step, last_step + 1):
            indices = tf.gather(self._indices, self.order.examples_of(step))
            found = self._reader.find_bad_example(indices.numpy())
            if found:
                return found
        return None

    def _positions_and_indices(
        self, step: tf.Tensor, first: int, count: int
    ) -> tuple[tf.Tensor, tf.Tensor]:
        positions = self.order.positions_of(step, first, count)
        return positions, tf.gather(self._indices, self.order.examples_at(positions))

    def _finish(
        self, positions: tf.Tensor, inputs: Any, labels: Any, indices: tf.Tensor
    ) -> Batch:
        if self.augmentation != NONE:
            epochs = self.order.epoch_of(positions)
            draws = Draws(positions, self.order.seed, indices, epochs)
            inputs, labels = self._reader.features.augmented(
                self.augmentation, inputs, labels, draws
            )
        return Batch(inputs, labels, self._weights_of(indices, labels))

    def _weights_of(self, indices: tf.Tensor, labels: Any) -> tf.Tensor:
        """Weights of a batch: float32 [B]."""
        if self._weights is None:
            return tf.ones_like(indices, tf.float32)
        if self.augmentation.mixup and self._class_weights is not None:
            # Of a mixed example: mixed as its labels are.
            return self._class_weights.of_mixed(labels)
        return tf.gather(self._weights, indices)

    def _checked(self, first: tf.Tensor | int, count: int | None) -> int:
        count = self.order.batch_size if count is None else count
        if self.augmentation.mixup and (
            count % 2 or (isinstance(first, int) and first % 2)
        ):
            raise ValueError(
                f"mixup pairs neighbours: a slice of {count} examples from {first} "
                "must be even in both"
            )
        return count


def _sized(size: int, read: Any) -> Any:
    """Tells TensorFlow the batch size, which is static, of each part."""
    return tf.nest.map_structure(
        lambda part: tf.ensure_shape(part, [size, *part.shape[1:]]), read
    )
