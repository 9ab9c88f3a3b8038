"""What a training step receives."""

from typing import NamedTuple

import tensorflow as tf


class Batch(NamedTuple):
    """A batch of examples.

    Attributes:
        inputs: images float32 [B,H,W,C] from 0 to 255, or vectors float32 [B,F].
        labels: int64 [B] classes; float32 [B, classes] where mixup softened them;
            float32 [B, targets] for regression.
        weights: float32 [B]; 0 for the padding of an evaluation's last batch.
    """

    inputs: tf.Tensor
    labels: tf.Tensor
    weights: tf.Tensor
