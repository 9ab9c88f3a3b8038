"""Biases learn rightly in bfloat16, in whatever layer, where TensorFlow's do not."""

from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from models.layers import bias_gradient
from tests.models.layers.training import step_of

_SHAPE = (8, 16, 16, 4)

_LAYERS: dict[str, Callable[[str], keras.layers.Layer]] = {
    "dense": lambda dtype: keras.layers.Dense(4, dtype=dtype),
    "einsum": lambda dtype: keras.layers.EinsumDense(
        "abcd,de->abce", (16, 16, 4), bias_axes="e", dtype=dtype
    ),
    "convolution": lambda dtype: keras.layers.Conv2D(4, 1, dtype=dtype),
    "depthwise": lambda dtype: keras.layers.DepthwiseConv2D(1, dtype=dtype),
    "transposed": lambda dtype: keras.layers.Conv2DTranspose(4, 1, dtype=dtype),
}


def _error(found: tf.Tensor, right: tf.Tensor) -> float:
    """Relative."""
    return float(tf.norm(tf.cast(found, tf.float64) - right) / tf.norm(right))


class BiasGradientTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        bias_gradient.correct()
        # A mean that is not 0, as a loss that falls has: the sum grows.
        rng = np.random.default_rng(0)
        self.upstream = tf.cast(rng.normal(0.5, 1.0, _SHAPE), tf.bfloat16)
        self.x = tf.cast(rng.normal(size=_SHAPE), tf.bfloat16)

    @parameterized.parameters(*_LAYERS)
    def test_it_is_right_within_rounding(self, name: str) -> None:
        half, exact = (_LAYERS[name](d) for d in ("mixed_bfloat16", "float64"))
        _, (*_, found), _ = step_of(half, self.x, self.upstream)
        _, (*_, right), _ = step_of(
            exact, tf.cast(self.x, tf.float64), tf.cast(self.upstream, tf.float64)
        )
        self.assertLess(_error(found, right), 0.01)

    def test_tensorflows_own_is_wrong(self) -> None:
        own = tf.raw_ops.BiasAddGrad(out_backprop=self.upstream)
        right = tf.reduce_sum(tf.cast(self.upstream, tf.float64), [0, 1, 2])
        self.assertGreater(_error(own, right), 0.1)

    @parameterized.product(
        dtype=("float32", "bfloat16"), data_format=("NHWC", "NCHW"), eager=(True, False)
    )
    def test_both_layouts(self, dtype: str, data_format: str, eager: bool) -> None:
        x = tf.cast(np.random.default_rng(0).integers(-3, 4, (2, 3, 4, 5)), dtype)
        channels = 5 if data_format == "NHWC" else 3

        def gradients() -> list[tf.Tensor]:
            bias = tf.zeros([channels], dtype)
            with tf.GradientTape() as tape:
                tape.watch([x, bias])
                y = tf.nn.bias_add(x, bias, data_format=data_format)
            return tape.gradient(y, [x, bias], x)

        of_x, of_bias = gradients() if eager else tf.function(gradients)()
        others = [0, 1, 2] if data_format == "NHWC" else [0, 2, 3]
        self.assertAllEqual(of_x, x)
        self.assertAllEqual(of_bias, tf.reduce_sum(x, others))


if __name__ == "__main__":
    tf.test.main()
