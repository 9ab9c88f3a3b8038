"""Keras' Conv2D, with the gradient of its filters as matrix products where faster."""

from collections.abc import Callable, Sequence
from typing import Any

import keras
import tensorflow as tf

from models.layers.devices import trains_on_cpus

# Outputs of at most so many pixels, filters and channels of at least so many: there
# products were 1.1 to 2.6 times as fast as oneDNN's gradient; elsewhere 0.6 to 1.2.
_PIXELS = 64
_FILTERS = 128
_CHANNELS = 64


@keras.saving.register_keras_serializable(package="atelier")
class Conv2D(keras.layers.Conv2D):
    """Keras' Conv2D: its arguments, weights and saved form.

    In training on CPUs in bfloat16, the filters' gradient of wide convolutions of small
    images is computed by matrix products. It is Keras' within rounding; all else, and
    what is not square, padded as "same" and without bias, is Keras' own.
    """

    def call(self, inputs: tf.Tensor, training: bool | None = None) -> tf.Tensor:
        """From [B, H, W, C] to [B, rows, columns, filters]."""
        if not (
            trains_on_cpus(training)
            and self._is_plain()
            and self._is_wide(inputs.dtype, inputs.shape)
        ):
            return super().call(inputs)
        kernel = tf.convert_to_tensor(self.kernel)
        return self.activation(_convolve(inputs, kernel, self.strides[0]))

    def _is_plain(self) -> bool:
        return (
            self.padding == "same"
            and self.data_format == "channels_last"
            and self.groups == 1
            and not self.use_bias
            and self.dilation_rate == (1, 1)
            and self.kernel_size[0] == self.kernel_size[1]
            and self.strides[0] == self.strides[1]
        )

    def _is_wide(self, dtype: tf.DType, shape: tf.TensorShape) -> bool:
        _, height, width, channels = shape
        if dtype != tf.bfloat16 or None in (height, width):
            return False
        _, rows, columns, filters = self.compute_output_shape(shape)
        return (
            rows * columns <= _PIXELS and filters >= _FILTERS and channels >= _CHANNELS
        )


def _convolve(images: tf.Tensor, kernel: tf.Tensor, stride: int) -> tf.Tensor:
    @tf.custom_gradient
    def convolve(
        images: tf.Tensor, kernel: tf.Tensor
    ) -> tuple[tf.Tensor, Callable[..., Any]]:
        def gradients(upstream: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            of_images = tf.nn.conv2d_transpose(
                upstream, kernel, tf.shape(images), stride, "SAME"
            )
            size = kernel.shape[0]
            return of_images, filter_gradient(images, upstream, size, stride)

        return tf.nn.conv2d(images, kernel, stride, "SAME"), gradients

    return convolve(images, kernel)


def filter_gradient(
    images: tf.Tensor, upstream: tf.Tensor, size: int, stride: int
) -> tf.Tensor:
    """Gradient of a convolution's filters, padded as "same": [size, size, C, F].

    For each row of the filters one product over all output pixels, in which the
    filters' columns are side by side. Rows of pixels come first in memory, so that
    those that a row of the filters meets are a slice of it.

    Args:
        images: that were convolved, [B, H, W, C]; H and W are static.
        upstream: gradient of the outputs, [B, rows, columns, F].
        size: of the square filters.
        stride: of the convolution.
    """
    _, rows, columns, filters = upstream.shape
    channels = images.shape[-1]
    pixels = _by_phase(images, (rows, columns), size, stride)
    outputs = tf.reshape(tf.transpose(upstream, [1, 0, 2, 3]), [-1, filters])
    beside = [
        tf.concat(
            [
                pixels[phase, j % stride, :, :, j // stride : j // stride + columns]
                for j in range(size)
            ],
            axis=-1,
        )
        for phase in range(min(stride, size))
    ]
    products = []
    for i in range(size):
        met = beside[i % stride][i // stride : i // stride + rows]
        inputs = tf.reshape(met, [-1, size * channels])
        products.append(tf.matmul(inputs, outputs, transpose_a=True))
    return tf.reshape(tf.stack(products), [size, size, channels, filters])


def _by_phase(
    images: tf.Tensor, outputs: Sequence[int], size: int, stride: int
) -> tf.Tensor:
    """Padded pixels by their place within a stride: [stride, stride, R, B, S, C].

    Row `stride * r + i` of the padded images is [i, :, r].
    """
    more = (size - 1) // stride
    padding = [[0, 0]]
    for length, count in zip(images.shape[1:3], outputs, strict=True):
        before = max((count - 1) * stride + size - length, 0) // 2
        padding.append([before, (count + more) * stride - before - length])
    padded = tf.pad(images, [*padding, [0, 0]])
    high, wide = (count + more for count in outputs)
    shape = [-1, high, stride, wide, stride, images.shape[-1]]
    return tf.transpose(tf.reshape(padded, shape), [2, 4, 1, 0, 3, 5])
