"""Dense layers are Keras' but for the bias's gradient, right in bfloat16 too."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from models.layers import dense
from models.layers.dense import Dense
from tests.models.layers.training import step_of

_ROWS = 4096


def _of_equal_weights(
    shape: tuple[int, ...], dtype: str
) -> tuple[Dense, keras.layers.Dense, keras.layers.Dense]:
    """Atelier's layer, Keras' own, and Keras' in float64."""
    layers = (
        Dense(5, activation="tanh", dtype=dtype),
        keras.layers.Dense(5, activation="tanh", dtype=dtype),
        keras.layers.Dense(5, activation="tanh", dtype="float64"),
    )
    rng = np.random.default_rng(1)
    weights = [rng.normal(size=(shape[-1], 5)) / 4, rng.normal(size=5)]
    for layer in layers:
        layer.build(shape)
        layer.set_weights(weights)
    return layers


class DenseTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        shape=((6, 8), (2, 3, 8), (2, 3, 4, 8)),
        dtype=("mixed_bfloat16", "mixed_float16", "float32"),
    )
    def test_outputs_and_gradients_are_keras(
        self, shape: tuple[int, ...], dtype: str
    ) -> None:
        ours, _, exact = _of_equal_weights(shape, dtype)
        rng = np.random.default_rng(0)
        x = tf.cast(rng.normal(size=shape), ours.compute_dtype)
        upstream = tf.cast(rng.normal(size=(*shape[:-1], 5)), ours.compute_dtype)
        y, gradients, _ = step_of(ours, x, upstream)
        expected_y, expected, _ = step_of(
            exact, tf.cast(x, tf.float64), tf.cast(upstream, tf.float64)
        )
        self.assertEqual((y.dtype, y.shape), (ours.compute_dtype, upstream.shape))
        tolerance = 1e-5 if dtype == "float32" else 4e-2
        self.assertAllClose(y, expected_y, tolerance, tolerance)
        for gradient, other in zip(gradients, expected, strict=True):
            self.assertAllClose(gradient, other, tolerance, tolerance)

    def test_the_bias_learns_rightly(self) -> None:
        ours, theirs, exact = _of_equal_weights((_ROWS, 8), "mixed_bfloat16")
        rng = np.random.default_rng(0)
        x = tf.cast(rng.normal(size=(_ROWS, 8)), ours.compute_dtype)
        upstream = tf.cast(rng.normal(0.5, 1.0, (_ROWS, 5)), ours.compute_dtype)

        def error(layer: keras.layers.Dense) -> float:
            _, (*_, found), _ = step_of(layer, x, upstream)
            difference = tf.norm(tf.cast(found, tf.float64) - right)
            return float(difference / tf.norm(right))

        _, (*_, right), _ = step_of(
            exact, tf.cast(x, tf.float64), tf.cast(upstream, tf.float64)
        )
        self.assertLess(error(ours), 0.01)
        self.assertGreater(error(theirs), 0.03)

    def test_keras_layers_in_a_model_are_corrected(self) -> None:
        inner = keras.Sequential([keras.Input((8,)), keras.layers.Dense(4)])
        model = keras.Sequential([keras.Input((8,)), inner, _Subclass(3)])
        before = model.to_json()
        self.assertNotIn("call", vars(inner.layers[0]))
        dense.correct(model)
        self.assertIn("call", vars(inner.layers[0]))
        self.assertNotIn("call", vars(model.layers[-1]))
        self.assertEqual(model.to_json(), before)

    def test_outside_of_training_it_is_keras_to_the_bit(self) -> None:
        ours, theirs, _ = _of_equal_weights((16, 8), "mixed_bfloat16")
        x = tf.cast(np.random.default_rng(0).normal(size=(16, 8)), tf.bfloat16)
        self.assertAllEqual(ours(x), theirs(x))
        self.assertEqual(
            {**ours.get_config(), "name": ""}, {**theirs.get_config(), "name": ""}
        )


class _Subclass(keras.layers.Dense):
    """Might compute something else."""


if __name__ == "__main__":
    tf.test.main()
