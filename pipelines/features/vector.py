"""Vectors: float32 [F], numbers that mean something by their place."""

import dataclasses
import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pipelines.features.inputs import InputFeature

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Vector(InputFeature):
    """A vector.

    Attributes:
        shape: (F,).
    """

    shape: tuple[int | None, ...]

    kind: ClassVar[str] = "vector"
    field: ClassVar[str] = "vector"
    dtype: ClassVar[str] = "float32"

    @classmethod
    def of_array(cls, shape: Sequence[int], dtype: "np.dtype") -> Self | None:
        """Numbers in rows."""
        return cls(tuple(shape)) if dtype.kind in "iufb" and len(shape) == 1 else None

    def as_stored(self, rows: "np.ndarray") -> "np.ndarray":
        """Rows of an array as float32 [k,F]."""
        import numpy as np

        return np.ascontiguousarray(rows, dtype=np.float32)

    def batch_spec(self) -> "tf.TensorSpec":
        """float32 [None,F]."""
        import tensorflow as tf

        return tf.TensorSpec([None, *self.shape], tf.float32)

    @property
    def example_bytes(self) -> int:
        """Four bytes for each value."""
        return 4 * self.pixels

    @property
    def pixels(self) -> int:
        """How many numbers there are."""
        return math.prod(self.complete_shape)

    def mixed(self, values: "tf.Tensor") -> "tf.Tensor":
        """As they are."""
        return values

    def tfds_feature(self, encoded: bool) -> Any:
        """The bytes of its numbers."""
        import numpy as np
        import tensorflow_datasets as tfds

        del encoded
        return tfds.features.Tensor(
            shape=self.shape, dtype=np.float32, encoding=tfds.features.Encoding.BYTES
        )
