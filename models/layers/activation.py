"""Keras' Activation, with those of many operations in one pass where that is faster."""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from models.layers import compiled


def _gelu(x: tf.Tensor) -> tf.Tensor:
    """Exact gelu of float32 by erf: TensorFlow's has erfc, XLA's of which is slower."""
    return 0.5 * x * (1.0 + tf.math.erf(x * 0.5**0.5))


# As they are compiled. The others are one operation of TensorFlow each.
_OF_MANY_OPERATIONS = {
    keras.activations.gelu: _gelu,
    keras.activations.silu: keras.activations.silu,
    keras.activations.mish: keras.activations.mish,
}


@keras.saving.register_keras_serializable(package="atelier")
class Activation(keras.layers.Activation):
    """Keras' Activation: its argument and saved form.

    In training on CPUs, gelu, silu and mish and their gradients are computed in float32
    by one compiled loop each, which keeps nothing but the inputs. Outputs and gradients
    are Keras' within rounding; in half precision they are rounded once.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """The activations of `inputs`, of their shape and dtype."""
        return activate(self.activation, inputs, training)


def activate(
    function: Callable[[tf.Tensor], tf.Tensor],
    inputs: tf.Tensor,
    training: bool | None,
) -> tf.Tensor:
    """One of Keras' activations of `inputs`, as `Activation` computes it."""
    if function not in _OF_MANY_OPERATIONS or not compiled.pays(inputs, training):
        return function(inputs)

    chain = _OF_MANY_OPERATIONS[function]

    @tf.custom_gradient
    def in_one_pass(x: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        return compiled.run(_forward, x, activation=chain), functools.partial(
            compiled.run, _backward, x, activation=chain
        )

    return in_one_pass(inputs)


def _forward(x: tf.Tensor, activation: Callable[[tf.Tensor], tf.Tensor]) -> tf.Tensor:
    return tf.cast(activation(tf.cast(x, tf.float32)), x.dtype)


def _backward(
    x: tf.Tensor, upstream: tf.Tensor, activation: Callable[[tf.Tensor], tf.Tensor]
) -> tf.Tensor:
    exact = tf.cast(x, tf.float32)
    (gradient,) = tf.gradients(activation(exact), exact, tf.cast(upstream, tf.float32))
    return tf.cast(gradient, x.dtype)
