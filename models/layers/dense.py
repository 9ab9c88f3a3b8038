"""Keras' Dense, whose bias learns rightly in bfloat16 on CPUs."""

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from models.layers import compiled

_Keras = keras.layers.Dense


@keras.saving.register_keras_serializable(package="atelier")
class Dense(keras.layers.Dense):
    """Keras' Dense: its arguments, weights and saved form.

    TensorFlow's gradient of a bias in bfloat16 is added up in bfloat16 on CPUs: over
    some thousand rows it is wrong by a tenth. Here it is a matrix product, which adds
    in float32, and is quicker. In training on CPUs only; all else is Keras' own.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """From [..., C] to [..., units], in the layer's compute dtype."""
        return _call(self, inputs, training)


def correct(model: keras.Model) -> None:
    """Lets Keras' own Dense layers in a model compute as `Dense` does.

    They stay Keras', as `batch_normalization.fuse` has it, and subclasses are left.

    Args:
        model: any; changed in place, layers within layers too.
    """
    for layer in model._flatten_layers():
        if type(layer) is _Keras and "call" not in vars(layer):
            layer.call = functools.partial(_call, layer)


def _call(
    layer: keras.layers.Dense, inputs: tf.Tensor, training: bool | None = None
) -> tf.Tensor:
    biased = inputs.dtype == tf.bfloat16 and layer.bias is not None
    if not biased or not compiled.pays(inputs, training):
        return _Keras.call(layer, inputs, training=training)
    kernel, bias = map(tf.convert_to_tensor, (layer.kernel, layer.bias))
    outputs = _affine(tf.reshape(inputs, [-1, inputs.shape[-1]]), kernel, bias)
    shape = tf.concat([tf.shape(inputs)[:-1], [layer.units]], 0)
    outputs = tf.reshape(outputs, shape)
    outputs = tf.ensure_shape(outputs, [*inputs.shape[:-1], layer.units])
    return outputs if layer.activation is None else layer.activation(outputs)


@tf.custom_gradient
def _affine(
    rows: tf.Tensor, kernel: tf.Tensor, bias: tf.Tensor
) -> tuple[tf.Tensor, Callable[..., Any]]:
    """[N, C] by [C, units], and the bias [units]: the sum [N, units]."""

    def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        ones = tf.ones([1, tf.shape(upstream)[0]], upstream.dtype)
        return (
            tf.matmul(upstream, kernel, transpose_b=True),
            tf.matmul(rows, upstream, transpose_a=True),
            tf.reshape(tf.matmul(ones, upstream), [-1]),
        )

    return tf.nn.bias_add(tf.matmul(rows, kernel), bias), gradients
