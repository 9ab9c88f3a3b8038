"""Dense layers over sequences are Keras', in outputs, gradients and saved form."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from models.layers.dense import Dense
from tests.models.layers.training import step_of


def _of_equal_weights(shape: tuple[int, ...], dtype: str) -> tuple[Any, Any]:
    """Atelier's layer and Keras'."""
    layers = Dense(5, "tanh", dtype=dtype), keras.layers.Dense(5, "tanh", dtype=dtype)
    for layer in layers:
        layer.build(shape)
    layers[0].set_weights([weight + 0.1 for weight in layers[0].get_weights()])
    layers[1].set_weights(layers[0].get_weights())
    return layers


class DenseTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        shape=((6, 8), (2, 3, 8), (2, 3, 4, 8)), dtype=("mixed_bfloat16", "float32")
    )
    def test_outputs_and_gradients_are_keras(
        self, shape: tuple[int, ...], dtype: str
    ) -> None:
        ours, theirs = _of_equal_weights(shape, dtype)
        rng = np.random.default_rng(0)
        x = tf.cast(rng.normal(size=shape), ours.compute_dtype)
        upstream = tf.cast(rng.normal(size=(*shape[:-1], 5)), ours.compute_dtype)
        y, gradients, _ = step_of(ours, x, upstream)
        expected_y, expected, _ = step_of(theirs, x, upstream)
        self.assertEqual((y.dtype, y.shape), (ours.compute_dtype, upstream.shape))
        tolerance = 1e-5 if dtype == "float32" else 4e-2
        self.assertAllClose(y, expected_y, tolerance, tolerance)
        for gradient, other in zip(gradients, expected, strict=True):
            self.assertAllClose(gradient, other, tolerance, tolerance)

    def test_the_bias_is_added_in_the_product(self) -> None:
        layer = Dense(5)
        layer.build((None, 3, 8))
        graph = (
            tf.function(lambda x: layer(x, training=True))
            .get_concrete_function(tf.TensorSpec([None, 3, 8]))
            .graph
        )
        operations = {operation.name: operation for operation in graph.get_operations()}
        (sums,) = (o for o in operations.values() if o.type == "BiasAdd")
        self.assertEqual(sums.inputs[0].op.type, "MatMul")
        self.assertEqual(graph.structured_outputs.shape.as_list(), [None, 3, 5])

    def test_outside_of_training_it_is_keras_to_the_bit(self) -> None:
        ours, theirs = _of_equal_weights((4, 3, 8), "mixed_bfloat16")
        x = tf.cast(np.random.default_rng(0).normal(size=(4, 3, 8)), tf.bfloat16)
        self.assertAllEqual(ours(x), theirs(x))
        self.assertEqual(
            {**ours.get_config(), "name": ""}, {**theirs.get_config(), "name": ""}
        )


if __name__ == "__main__":
    tf.test.main()
