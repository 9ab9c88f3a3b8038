"""Decoded examples of a source, by index: streamed by tf.data, or read into memory."""

from typing import Any

import numpy as np
import tensorflow as tf

from base.cores import available_cores
from base.errors import UserError
from pipelines import cutting, memory
from pipelines.cropping import Cropping
from pipelines.dataset_options import untuned
from pipelines.features import ExampleSpec
from pipelines.sources.base import Source
from pipelines.tf_messages import first_sentence

_CHUNK = 256
_LARGEST_CHUNK = 64
_LARGEST_GRAPH = 32
_CHUNK_PIXELS = 1 << 20


class Reader:
    """Reads examples of a source as the model gets them, but for augmentation.

    Attributes:
        source: where they come from.
        features: what they are once decoded and resized.
    """

    def __init__(self, source: Source, features: ExampleSpec) -> None:
        self.source = source
        self.features = features

    def stream(
        self,
        chunks: tf.data.Dataset,
        size: int,
        cropping: Cropping | None = None,
        native: bool = False,
    ) -> tf.data.Dataset:
        """Reads and decodes in parallel, in order.

        Args:
            chunks: of (positions, indices), both int64 [k].
            size: examples in an element of the result.
            cropping: of inputs, at their positions; by default the whole is resized.
            native: whether it is read on another machine, whose cores TensorFlow counts
                there, up to 16.

        Returns:
            A dataset of (positions [size], inputs [size, …], labels [size, …], indices
            [size]); the last element is smaller where the chunks do not add up.
        """
        if self.source.encoded or cropping is not None:
            chunks = chunks.rebatch(self._chunk_size)
        return chunks.map(
            lambda positions, indices: (
                positions,
                self._inputs_at(positions, indices, cropping),
                self._labels_at(indices),
                indices,
            ),
            num_parallel_calls=tf.data.AUTOTUNE if native else len(available_cores()),
        ).rebatch(size)

    def crops(
        self, chunks: tf.data.Dataset, size: int, cropping: Cropping
    ) -> tf.data.Dataset:
        """As `stream`, of endless chunks; several times as fast, with Python's help."""
        memory.keep_freed_blocks()
        chunk = min(size, self._crops_at_once)
        return (
            chunks.rebatch(chunk, drop_remainder=True)
            .map(
                lambda positions, indices: (
                    positions,
                    self._crops_at(positions, indices, cropping),
                    self._labels_at(indices),
                    indices,
                ),
                num_parallel_calls=len(available_cores()),
            )
            .rebatch(size)
        )

    @tf.autograph.experimental.do_not_convert  # it has nothing to convert, slowly
    def read(self, indices: np.ndarray) -> tuple[Any, Any]:
        """Inputs and labels of the examples at `indices`: NumPy arrays [k, …].

        Raises:
            UserError: one cannot be read; named.
        """
        chosen = tf.constant(indices, tf.int64)
        starts = tf.data.Dataset.range(0, len(indices), _CHUNK)
        chunks = starts.map(lambda start: (chosen[start : start + _CHUNK],) * 2)
        read: list[Any] = []
        try:
            stream = untuned(self.stream(chunks, _CHUNK))
            read += [one[1:3] for one in stream.as_numpy_iterator()]
        except (tf.errors.OpError, OSError) as error:
            raise UserError(self.find_bad_example(indices) or str(error)) from error
        both = tf.nest.map_structure(lambda *parts: np.concatenate(parts), *read)
        inputs, labels = both
        return inputs, labels

    def find_bad_example(self, indices: np.ndarray) -> str | None:
        """The first example at `indices` that cannot be read, and why, in one line."""
        for index in np.asarray(indices, np.int64):
            try:
                found = self.source.read(np.array([index]))
                if self.source.encoded:
                    (contents,) = found
                    self._decode(contents)
                self.source.read_targets(np.array([index]))
            except (tf.errors.OpError, OSError, ValueError) as error:
                reason = getattr(error, "message", None) or str(error)
                return (
                    f"{self.source.describe(int(index))} cannot be decoded "
                    f"({first_sentence(reason)}); replace or remove it."
                )
        return None

    @property
    def example_bytes(self) -> int:
        """Bytes of a decoded example's input in memory."""
        return self.features.input.example_bytes

    @property
    def _chunk_size(self) -> int:
        """Inputs that one call decodes: many small ones, but few large ones.

        An element of a tf.data.Dataset costs some 100 µs, a JPEG of 32×32 pixels 20;
        large images in small chunks keep all cores at work on one batch.
        """
        pixels = self.features.input.pixels
        return max(1, min(_LARGEST_CHUNK, _CHUNK_PIXELS // pixels))

    @property
    def _crops_at_once(self) -> int:
        """Crops that one call makes: of encoded images fewer, which make a graph."""
        fitting = max(1, 4 * _CHUNK_PIXELS // self.features.input.pixels)
        return min(fitting, _LARGEST_GRAPH if self.source.encoded else _LARGEST_CHUNK)

    def _labels_at(self, indices: tf.Tensor) -> Any:
        return self.features.target.prepare(self.source.lookup_targets(indices))

    def _inputs_at(
        self, positions: tf.Tensor, indices: tf.Tensor, cropping: Cropping | None
    ) -> Any:
        source = self.source
        if not source.encoded:
            found = source.lookup(indices)
            if cropping is not None:
                return cropping.cut(found, positions)
            return self.features.input.prepare(found)
        channels = self.features.input.complete_shape[-1]
        drawn = positions if cropping is None else cropping.draw(positions)

        def decoded(one: Any) -> tf.Tensor:
            contents = one[0] if source.batched else source.lookup(one[0])
            if cropping is None:
                return self._decode(contents)
            return cropping.cut_encoded(contents, one[1], channels)

        return tf.map_fn(
            decoded,
            (source.lookup(indices) if source.batched else indices, drawn),
            fn_output_signature=tf.nest.map_structure(
                lambda spec: tf.TensorSpec(spec.shape[1:], spec.dtype),
                self.features.input.batch_spec(),
            ),
        )

    def _crops_at(
        self, positions: tf.Tensor, indices: tf.Tensor, cropping: Cropping
    ) -> tf.Tensor:
        source = self.source
        if not source.encoded:
            return cutting.cut_arrays(cropping, source, positions, indices)
        if source.batched:
            contents = tf.unstack(source.lookup(indices))
        else:
            contents = [source.lookup(index) for index in tf.unstack(indices)]
        channels = self.features.input.complete_shape[-1]
        return cutting.cut_images(cropping, contents, positions, channels)

    def _decode(self, contents: tf.Tensor) -> Any:
        return self.features.input.decode(contents, self.source.features.input)
