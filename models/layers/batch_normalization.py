"""Batch normalization by TensorFlow's fused op, in place of Keras' own computation."""

import functools
from typing import Any

import keras
import tensorflow as tf

from models import keras_internals

_FUSED_TYPES = ("float32", "bfloat16", "float16")


@keras.saving.register_keras_serializable(package="atelier")
class BatchNormalization(keras.layers.BatchNormalization):
    """Keras' BatchNormalization: its arguments, weights and saved form, but faster.

    Keras computes moments and normalization by several elementwise ops; TensorFlow has
    one op for both, and one for their gradients (FusedBatchNormV3). It keeps statistics
    and weights in float32 where activations are bfloat16 or float16, so that half
    precision pays. Outputs, gradients and moving averages are Keras' within rounding.

    Keras' own computation is used for whatever the op cannot do: a mask, renorm,
    statistics synchronized across replicas, float64, and an axis in the middle.

    Source: Ioffe and Szegedy, Batch Normalization, 2015, https://arxiv.org/abs/1502.03167
    """

    def call(
        self, inputs: tf.Tensor, training: bool | None = None, mask: Any = None
    ) -> tf.Tensor:
        """Normalized inputs, of their shape, in the layer's compute dtype."""
        return _call(self, inputs, training, mask)


def fuse(model: keras.Model) -> tuple[str, ...]:
    """Lets Keras' own batch normalization in a model be computed by the fused op.

    The layers stay Keras': their class, variables and saved form are as they were, and
    a model that is loaded elsewhere computes as Keras does. Subclasses may compute
    something else, so they are left as they are.

    Args:
        model: any; changed in place, layers within layers too.

    Returns:
        The names of the layers that were left.
    """
    left = []
    for layer in keras_internals.all_layers(model):
        if isinstance(layer, BatchNormalization) or not isinstance(layer, _Keras):
            continue
        if type(layer) is _Keras and "call" not in vars(layer):
            keras_internals.replace_call(layer, functools.partial(_call, layer))
        else:
            left.append(layer.name)
    return tuple(left)


_Keras = keras.layers.BatchNormalization


def _call(
    layer: keras.layers.BatchNormalization,
    inputs: tf.Tensor,
    training: bool | None = None,
    mask: Any = None,
) -> tf.Tensor:
    data_format = _data_format(layer, inputs, mask)
    if data_format is None:
        return _Keras.call(layer, inputs, training=training, mask=mask)
    shape = tf.shape(inputs)
    if len(inputs.shape) == 4:
        images = inputs
    else:
        images = tf.reshape(inputs, [-1, 1, 1, inputs.shape[-1]])
    if training and layer.trainable:
        outputs = _normalize_by_batch(layer, images, data_format)
    else:
        outputs = _fused(layer, images, data_format, is_training=False).y
    if len(inputs.shape) != 4:
        outputs = tf.ensure_shape(tf.reshape(outputs, shape), inputs.shape)
    return tf.cast(outputs, layer.compute_dtype)


def _data_format(
    layer: keras.layers.BatchNormalization, inputs: tf.Tensor, mask: Any
) -> str | None:
    """The layout in which the fused op takes `inputs`; None if it does not."""
    if mask is not None or layer.renorm or layer.synchronized:
        return None
    rank = len(inputs.shape)
    if keras.backend.standardize_dtype(inputs.dtype) not in _FUSED_TYPES:
        return None
    axis = layer.axis % rank
    if axis == rank - 1:
        return "NHWC"
    return "NCHW" if rank == 4 and axis == 1 else None


def _fused(
    layer: keras.layers.BatchNormalization,
    images: tf.Tensor,
    data_format: str,
    is_training: bool,
) -> Any:
    # tf.nn's wrapper of this op raises epsilon to 1.001e-5; the op takes any.
    channels = layer.moving_mean.shape
    return tf.raw_ops.FusedBatchNormV3(
        x=images,
        scale=_float32(layer.gamma) if layer.scale else tf.ones(channels),
        offset=_float32(layer.beta) if layer.center else tf.zeros(channels),
        mean=tf.zeros([0]) if is_training else _float32(layer.moving_mean),
        variance=tf.zeros([0]) if is_training else _float32(layer.moving_variance),
        epsilon=layer.epsilon,
        data_format=data_format,
        is_training=is_training,
    )


def _normalize_by_batch(
    layer: keras.layers.BatchNormalization, images: tf.Tensor, data_format: str
) -> tf.Tensor:
    fused = _fused(layer, images, data_format, is_training=True)
    # The op gives the sample variance, with n-1 below; Keras averages that with n.
    channels = layer.moving_mean.shape[0]
    count = tf.cast(tf.size(images, tf.int64) // channels, tf.float32)
    biased = fused.batch_variance * (tf.maximum(count - 1, 1) / count)
    _update(layer.moving_mean, fused.batch_mean, layer.momentum)
    _update(layer.moving_variance, biased, layer.momentum)
    return fused.y


def _update(average: Any, value: tf.Tensor, momentum: float) -> None:
    average.assign(_float32(average) * momentum + value * (1.0 - momentum))


def _float32(variable: Any) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)
