"""Compiled layer normalization is Keras' own, in outputs, gradients and saved form."""

from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from models.layers.layer_normalization import LayerNormalization
from tests.models.layers.training import step_of

_TOLERANCE = {"float32": 5e-6, "bfloat16": 1.6e-2, "float16": 2e-3}


def _pair(
    shape: tuple[int, ...], dtype: str, **arguments: Any
) -> tuple[LayerNormalization, keras.layers.LayerNormalization]:
    """Atelier's layer and Keras' in float64, of equal weights that are not initial."""
    rng = np.random.default_rng(1)
    ours = LayerNormalization(dtype=dtype, **arguments)
    theirs = keras.layers.LayerNormalization(dtype="float64", **arguments)
    for layer in (ours, theirs):
        layer.build(shape)
    weights = [rng.uniform(0.5, 2.0, weight.shape) for weight in theirs.weights]
    for layer in (ours, theirs):
        layer.set_weights(weights)
    return ours, theirs


class LayerNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        shape=((8, 6), (4, 5, 12), (2, 3, 4, 8)),
        dtype=("float32", "mixed_bfloat16", "mixed_float16"),
    )
    @pytest.mark.slow
    def test_outputs_and_gradients_are_keras(
        self, shape: tuple[int, ...], dtype: str
    ) -> None:
        rng = np.random.default_rng(0)
        ours, theirs = _pair(shape, dtype, epsilon=1e-6)
        x = tf.cast(rng.normal(3.0, 2.0, shape), ours.compute_dtype)
        upstream = tf.cast(rng.normal(size=shape), ours.compute_dtype)
        y, gradients, count = step_of(ours, x, upstream)
        expected_y, expected, plain = step_of(
            theirs, tf.cast(x, tf.float64), tf.cast(upstream, tf.float64)
        )
        self.assertEqual((count, plain), (2, 0))
        self.assertEqual((y.dtype, y.shape), (ours.compute_dtype, x.shape))
        tolerance = _TOLERANCE[ours.compute_dtype]
        self.assertAllClose(y, expected_y, tolerance, tolerance)
        for gradient, exact in zip(gradients, expected, strict=True):
            scale = max(1.0, float(np.max(np.abs(exact))))
            self.assertAllClose(gradient, exact, tolerance, tolerance * scale)
        self.assertEqual([g.dtype for g in gradients[1:]], [tf.float32] * 2)

    @parameterized.parameters(
        {"axis": 1}, {"axis": [1, 2]}, {"scale": False}, {"center": False}
    )
    def test_all_else_is_keras_own(self, **arguments: Any) -> None:
        shape = (2, 3, 4)
        ours, theirs = _pair(shape, "float32", **arguments)
        x = tf.cast(np.random.default_rng(0).normal(size=shape), tf.float32)
        y, gradients, count = step_of(ours, x, tf.ones_like(x))
        exact, expected, _ = step_of(
            theirs, tf.cast(x, tf.float64), tf.ones(shape, tf.float64)
        )
        self.assertEqual(count, 0)
        self.assertAllClose(y, exact, 1e-5, 1e-5)
        for gradient, other in zip(gradients, expected, strict=True):
            self.assertAllClose(gradient, other, 1e-5, 1e-5)

    def test_outside_of_training_it_is_keras_to_the_bit(self) -> None:
        layer, _ = _pair((4, 6), "float32")
        theirs = keras.layers.LayerNormalization()
        theirs.build((4, 6))
        theirs.set_weights(layer.get_weights())
        x = tf.cast(np.random.default_rng(0).normal(size=(4, 6)), tf.float32)
        self.assertAllEqual(layer(x), theirs(x))
        self.assertEqual(
            {**layer.get_config(), "name": ""}, {**theirs.get_config(), "name": ""}
        )


if __name__ == "__main__":
    tf.test.main()
