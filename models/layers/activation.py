"""Keras' Activation, with those of many operations in one pass where that is faster."""

import functools
from collections.abc import Callable

import keras
import tensorflow as tf

from models.layers import compiled

# The others are one operation of TensorFlow each.
_OF_MANY_OPERATIONS = (
    keras.activations.gelu,
    keras.activations.silu,
    keras.activations.mish,
)


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

    @tf.custom_gradient
    def in_one_pass(x: tf.Tensor) -> tuple[tf.Tensor, Callable[..., tf.Tensor]]:
        return compiled.run(_forward, x, activation=function), functools.partial(
            compiled.run, _backward, x, activation=function
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
