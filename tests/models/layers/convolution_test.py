"""Filters' gradients by products are those of TensorFlow's convolutions."""

from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from models.layers import convolution
from models.layers.convolution import Conv2D, filter_gradient
from tests.models.layers.training import step_of

_WIDE = (2, 4, 4, 64)


def _has_filter_gradient(layer: keras.layers.Layer, shape: tuple[int, ...]) -> bool:
    """Whether TensorFlow's own gradient of filters is in a step of training."""

    @tf.function
    def step(x: tf.Tensor) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            y = layer(x, training=True)
        return tape.gradient(y, [v.value for v in layer.trainable_variables])

    x = tf.zeros(shape, layer.compute_dtype)
    nodes = step.get_concrete_function(x).graph.as_graph_def().node
    return "Conv2DBackpropFilter" in {node.op for node in nodes}


def _is_convolved_by_us(layer: Conv2D, shape: tuple[int | None, ...]) -> bool:
    """Whether a step of training goes the way that has the products."""
    layer.build(shape)
    step = tf.function(lambda x: layer(x, training=True))
    with mock.patch.object(
        convolution, "_convolve", side_effect=convolution._convolve
    ) as convolve:
        step.get_concrete_function(tf.TensorSpec(shape, layer.compute_dtype))
    return bool(convolve.called)


class ConvolutionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        sides=((7, 7), (8, 6), (5, 3)), size=(1, 2, 3, 5), stride=(1, 2, 3)
    )
    def test_gradient_is_that_of_the_convolution(
        self, sides: tuple[int, int], size: int, stride: int
    ) -> None:
        rng = np.random.default_rng(0)
        images = tf.constant(rng.normal(size=(2, *sides, 4)), tf.float32)
        kernel = tf.constant(rng.normal(size=(size, size, 4, 3)), tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(kernel)
            outputs = tf.nn.conv2d(images, kernel, stride, "SAME")
        upstream = tf.constant(rng.normal(size=outputs.shape), tf.float32)
        self.assertAllClose(
            filter_gradient(images, upstream, size, stride),
            tape.gradient(outputs, kernel, upstream),
            1e-4,
            1e-4,
        )

    @parameterized.parameters((3, 1), (3, 2), (1, 1), (1, 2))
    def test_a_step_is_keras_within_rounding(self, size: int, stride: int) -> None:
        arguments = {"padding": "same", "use_bias": False, "dtype": "mixed_bfloat16"}
        ours = Conv2D(128, size, stride, **arguments)
        theirs = keras.layers.Conv2D(128, size, stride, **arguments)
        for layer in (ours, theirs):
            layer.build(_WIDE)
        theirs.set_weights(ours.get_weights())
        rng = np.random.default_rng(0)
        x = tf.cast(rng.normal(size=_WIDE), tf.bfloat16)
        y = theirs(x)
        upstream = tf.cast(rng.normal(size=y.shape), tf.bfloat16)
        found_y, found, _ = step_of(ours, x, upstream)
        expected_y, expected, _ = step_of(theirs, x, upstream)
        self.assertAllEqual(found_y, expected_y)
        for gradient, other in zip(found, expected, strict=True):
            self.assertEqual(gradient.dtype, other.dtype)
            largest = float(tf.reduce_max(tf.abs(other)))
            self.assertAllClose(gradient, other, 2e-2, 2e-2 * largest)
        self.assertFalse(_has_filter_gradient(ours, _WIDE))

    @parameterized.parameters(
        ({}, _WIDE, True),
        ({}, (None, 8, 8, 64), True),
        ({}, (2, 4, 4, 32)),
        ({}, (2, 9, 9, 64)),
        ({}, (2, None, None, 64)),
        ({"filters": 64}, _WIDE),
        ({"dtype": "float32"}, _WIDE),
        ({"padding": "valid"}, _WIDE),
        ({"use_bias": True}, _WIDE),
        ({"groups": 2}, _WIDE),
        ({"dilation_rate": 2}, _WIDE),
        ({"kernel_size": (3, 1)}, _WIDE),
    )
    def test_all_but_wide_ones_are_keras_own(
        self,
        changed: dict[str, object],
        shape: tuple[int | None, ...],
        is_wide: bool = False,
    ) -> None:
        arguments = {
            "filters": 128,
            "kernel_size": 3,
            "padding": "same",
            "use_bias": False,
            "dtype": "mixed_bfloat16",
        }
        layer = Conv2D(**{**arguments, **changed})
        self.assertEqual(_is_convolved_by_us(layer, shape), is_wide)

    def test_outside_of_training_nothing_is_changed(self) -> None:
        layer = Conv2D(128, 3, padding="same", use_bias=False, dtype="mixed_bfloat16")
        layer.build(_WIDE)
        with mock.patch.object(convolution, "_convolve") as convolve:
            layer(tf.zeros(_WIDE, tf.bfloat16))
        convolve.assert_not_called()
        theirs = keras.layers.Conv2D.from_config(layer.get_config())
        self.assertEqual(layer.get_config(), theirs.get_config())


if __name__ == "__main__":
    tf.test.main()
