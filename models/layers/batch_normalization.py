"""Batch normalization by TensorFlow's fused op, in place of Keras' own computation."""

from typing import Any

import keras
import tensorflow as tf

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
        data_format = self._data_format(inputs, mask)
        if data_format is None:
            return super().call(inputs, training=training, mask=mask)
        shape = tf.shape(inputs)
        if len(inputs.shape) == 4:
            images = inputs
        else:
            images = tf.reshape(inputs, [-1, 1, 1, inputs.shape[-1]])
        if training and self.trainable:
            outputs = self._normalize_by_batch(images, data_format)
        else:
            outputs = self._fused(images, data_format, is_training=False).y
        if len(inputs.shape) != 4:
            outputs = tf.ensure_shape(tf.reshape(outputs, shape), inputs.shape)
        return tf.cast(outputs, self.compute_dtype)

    def _data_format(self, inputs: tf.Tensor, mask: Any) -> str | None:
        """The layout in which the fused op takes `inputs`; None if it does not."""
        if mask is not None or self.renorm or self.synchronized:
            return None
        rank = len(inputs.shape)
        if keras.backend.standardize_dtype(inputs.dtype) not in _FUSED_TYPES:
            return None
        axis = self.axis % rank
        if axis == rank - 1:
            return "NHWC"
        return "NCHW" if rank == 4 and axis == 1 else None

    def _fused(self, images: tf.Tensor, data_format: str, is_training: bool) -> Any:
        # tf.nn's wrapper of this op raises epsilon to 1.001e-5; the op takes any.
        channels = self.moving_mean.shape
        return tf.raw_ops.FusedBatchNormV3(
            x=images,
            scale=_float32(self.gamma) if self.scale else tf.ones(channels),
            offset=_float32(self.beta) if self.center else tf.zeros(channels),
            mean=tf.zeros([0]) if is_training else _float32(self.moving_mean),
            variance=tf.zeros([0]) if is_training else _float32(self.moving_variance),
            epsilon=self.epsilon,
            data_format=data_format,
            is_training=is_training,
        )

    def _normalize_by_batch(self, images: tf.Tensor, data_format: str) -> tf.Tensor:
        fused = self._fused(images, data_format, is_training=True)
        # The op gives the sample variance, with n-1 below; Keras averages that with n.
        channels = self.moving_mean.shape[0]
        count = tf.cast(tf.size(images, tf.int64) // channels, tf.float32)
        biased = fused.batch_variance * (tf.maximum(count - 1, 1) / count)
        self._update(self.moving_mean, fused.batch_mean)
        self._update(self.moving_variance, biased)
        return fused.y

    def _update(self, average: Any, value: tf.Tensor) -> None:
        kept = _float32(average) * self.momentum
        average.assign(kept + value * (1.0 - self.momentum))


def _float32(variable: Any) -> tf.Tensor:
    return tf.cast(tf.convert_to_tensor(variable), tf.float32)
