"""Keras' LayerNormalization, in one pass each way where that is faster."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.layers import compiled


@keras.saving.register_keras_serializable(package="atelier")
class LayerNormalization(keras.layers.LayerNormalization):
    """Keras' LayerNormalization: its arguments, weights and saved form.

    In training on CPUs, outputs and gradients are computed in float32 by one compiled
    function each. They are Keras' within rounding. Keras' own computation is used for
    other axes than the last, and without scale or offset.

    Source: Ba et al., Layer Normalization, 2016, https://arxiv.org/abs/1607.06450
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """Normalized inputs, of their shape, in the layer's compute dtype."""
        if not (self._is_plain(inputs) and compiled.pays(inputs, training)):
            return super().call(inputs)
        scale, offset = map(tf.convert_to_tensor, (self.gamma, self.beta))
        outputs = _normalize(inputs, scale, offset, self.epsilon)
        return tf.cast(outputs, self.compute_dtype)

    def _is_plain(self, inputs: tf.Tensor) -> bool:
        axes = self.axis if isinstance(self.axis, list) else [self.axis]
        last = len(inputs.shape) - 1
        return (
            [axis % len(inputs.shape) for axis in axes] == [last]
            and self.scale
            and self.center
            and not self.rms_scaling
        )


def _normalize(
    inputs: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float
) -> tf.Tensor:
    """[..., W] with scale and offset, float32 [W]."""

    @tf.custom_gradient
    def normalize(
        x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., Any]]:
        outputs = compiled.run(_forward, x, scale, offset, epsilon=epsilon)
        return outputs, functools.partial(
            compiled.run, _backward, x, scale, epsilon=epsilon
        )

    return normalize(inputs, scale, offset)


def _forward(
    x: tf.Tensor, scale: tf.Tensor, offset: tf.Tensor, epsilon: float
) -> tf.Tensor:
    normalized, _ = _standardize(_rows(x), epsilon)
    return tf.cast(tf.reshape(normalized * scale + offset, tf.shape(x)), x.dtype)


def _backward(
    x: tf.Tensor, scale: tf.Tensor, upstream: tf.Tensor, epsilon: float
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Gradients of inputs, scale and offset."""
    normalized, inverse = _standardize(_rows(x), epsilon)
    upstream = _rows(upstream)
    scaled = upstream * scale
    along = normalized * _mean(scaled * normalized)
    gradient = inverse * (scaled - _mean(scaled) - along)
    return (
        tf.cast(tf.reshape(gradient, tf.shape(x)), x.dtype),
        _sum(upstream * normalized),
        _sum(upstream),
    )


def _rows(x: tf.Tensor) -> tf.Tensor:
    return tf.reshape(tf.cast(x, tf.float32), [-1, x.shape[-1]])


def _standardize(rows: tf.Tensor, epsilon: float) -> tuple[tf.Tensor, tf.Tensor]:
    """Rows of mean 0 and variance 1, and what they were multiplied by, [N, 1]."""
    centred = rows - _mean(rows)
    inverse = tf.math.rsqrt(_mean(tf.square(centred)) + epsilon)
    return centred * inverse, inverse


# Sums as products with ones: XLA does not vectorize a reduction on CPUs, since that
# changes the order of its terms.
def _mean(rows: tf.Tensor) -> tf.Tensor:
    """Of each row: [N, W] to [N, 1]."""
    width = rows.shape[-1]
    return tf.matmul(rows, tf.fill([width, 1], 1.0 / width))


def _sum(rows: tf.Tensor) -> tf.Tensor:
    """Of the rows: [N, W] to [W]."""
    ones = tf.ones([1, tf.shape(rows)[0]])
    return tf.reshape(tf.matmul(ones, rows), [-1])
