"""What a training step receives."""

from typing import Any, NamedTuple

import tensorflow as tf


class Batch(NamedTuple):
    """A batch of examples.

    Attributes:
        inputs: images [B,H,W,C] from 0 to 255, or vectors float32 [B,F]. Streamed
            images are uint8 where no augmentation made fractions of them, which takes
            a quarter of the memory; `as_floats` is what a model takes.
        labels: as the target's feature has them in a batch: int64 [B] classes, or
            float32 [B, classes] where mixup softened them; float32 [B, size] values;
            float32 [B, labels] sets of labels, 0 or 1 for each.
        weights: float32 [B]: how much each counts in the loss, 1 in the mean over a
            training split; 1 in an evaluation, and 0 for its last batch's padding.
    """

    inputs: Any
    labels: Any
    weights: tf.Tensor

    def as_floats(self) -> "Batch":
        """The same with images as float32."""
        inputs = tf.nest.map_structure(
            lambda part: tf.cast(part, tf.float32) if part.dtype == tf.uint8 else part,
            self.inputs,
        )
        return self._replace(inputs=inputs)
