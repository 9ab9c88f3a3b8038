"""Decoded examples of a source, by index: streamed by tf.data, or read into memory."""

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import preprocessing
from pipelines.errors import DataError
from pipelines.features import Features
from pipelines.sources.base import Source

# Decodes an image (string []) at a position (int64 []) to uint8 of the dataset's shape.
Decode = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]

_CHUNK = 256


class Reader:
    """Reads examples of a source as the model gets them, but for augmentation.

    Attributes:
        source: where they come from.
        features: what they are once decoded and resized.
    """

    def __init__(self, source: Source, features: Features) -> None:
        self.source = source
        self.features = features
        self._targets: tf.Tensor | None = None

    def targets_at(self, indices: tf.Tensor) -> tf.Tensor:
        """Labels of the examples at `indices` [k]: as in `Batch`, but for mixup."""
        if self._targets is None:
            # Eager, so that every graph captures one tensor and embeds no copy.
            with tf.init_scope():
                self._targets = tf.constant(self.source.targets)
        return tf.gather(self._targets, indices)

    def stream(
        self,
        chunks: tf.data.Dataset,
        size: int,
        decode: Decode | None = None,
    ) -> tf.data.Dataset:
        """Reads and decodes in parallel, in order.

        Args:
            chunks: of (positions, indices), both int64 [k].
            size: examples in an element of the result.
            decode: for encoded images; by default `preprocessing.prepare_image`.

        Returns:
            A dataset of (positions [size], examples [size, …], indices [size]); the
            last element is smaller where the chunks do not add up.
        """
        source = self.source
        if source.encoding != "image":
            chunks = chunks.map(
                lambda positions, indices: (
                    positions,
                    self._resized(source.lookup(indices)),
                    indices,
                ),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            return chunks.unbatch().batch(size)
        if source.batched:
            chunks = chunks.map(
                lambda positions, indices: (positions, source.lookup(indices), indices),
                num_parallel_calls=tf.data.AUTOTUNE,
            )
            singles = chunks.unbatch()
        else:
            singles = chunks.unbatch().map(lambda position, i: (position, i, i))

        decode_one = decode or self._decode

        def decoded(
            position: tf.Tensor, found: tf.Tensor, index: tf.Tensor
        ) -> tuple[tf.Tensor, ...]:
            contents = found if source.batched else source.lookup(found)
            return position, decode_one(contents, position), index

        return singles.map(decoded, num_parallel_calls=tf.data.AUTOTUNE).batch(
            size, num_parallel_calls=tf.data.AUTOTUNE
        )

    def read(self, indices: np.ndarray) -> Any:
        """The examples at `indices`, decoded: NumPy arrays [k, …].

        Raises:
            DataError: one cannot be read; named.
        """
        chunks = tf.data.Dataset.from_tensor_slices((indices, indices)).batch(_CHUNK)
        read: list[Any] = []
        try:
            for _, examples, _ in self.stream(chunks, _CHUNK).as_numpy_iterator():
                read.append(examples)
        except (tf.errors.OpError, OSError) as error:
            raise DataError(self.find_bad_example(indices) or str(error)) from error
        return tf.nest.map_structure(lambda *parts: np.concatenate(parts), *read)

    def find_bad_example(self, indices: np.ndarray) -> str | None:
        """The first example at `indices` that cannot be read, and why, in one line."""
        for index in np.asarray(indices, np.int64):
            try:
                found = self.source.read(np.array([index]))
                if self.source.encoding == "image":
                    (contents,) = found
                    preprocessing.prepare_image(contents, self._image_shape)
            except (tf.errors.OpError, OSError, ValueError) as error:
                reason = getattr(error, "message", None) or str(error)
                return (
                    f"{self.source.describe(int(index))} cannot be decoded "
                    f"({_first_sentence(reason)}); replace or remove it."
                )
        return None

    @property
    def example_bytes(self) -> int:
        """Bytes of a decoded example in memory."""
        pixels = int(np.prod([side or 0 for side in self.features.shape]))
        return pixels if self.features.kind == "image" else 4 * pixels

    def _decode(self, contents: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
        del position
        return preprocessing.prepare_image(contents, self._image_shape)

    def _resized(self, examples: Any) -> Any:
        if self.features.kind != "image":
            return examples
        height, width, _ = self._image_shape
        return preprocessing.resize_images(examples, (height, width))

    @property
    def _image_shape(self) -> tuple[int, int, int]:
        height, width, channels = self.features.shape
        assert height and width and channels  # complete once a dataset is open
        return height, width, channels


def _first_sentence(reason: str) -> str:
    """What TensorFlow says of an error, without its operation names."""
    line = reason.strip().splitlines()[0].rpartition("}} ")[2]
    return line.partition(" [Op:")[0][:120].rstrip(". ")
