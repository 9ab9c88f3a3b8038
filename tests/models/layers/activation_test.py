"""Compiled activations are Keras' own, in outputs, gradients and saved form."""

import pathlib
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from models.layers import compiled
from models.layers.activation import Activation
from tests.models.layers.training import compiled_calls, step_of

_TOLERANCE = {"float32": 2e-6, "bfloat16": 1.6e-2, "float16": 2e-3}


class ActivationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.product(
        name=("gelu", "silu", "mish"), dtype=("float32", "bfloat16", "float16")
    )
    def test_outputs_and_gradients_are_keras(self, name: str, dtype: str) -> None:
        rng = np.random.default_rng(0)
        x = tf.cast(rng.normal(0, 3, (4, 5, 6)), dtype)
        upstream = tf.cast(rng.normal(size=(4, 5, 6)), dtype)
        layer = Activation(name, dtype=dtype)
        y, (gradient,), count = step_of(layer, x, upstream)
        exact = keras.layers.Activation(name, dtype="float64")
        expected_y, (expected_gradient,), plain = step_of(
            exact, tf.cast(x, tf.float64), tf.cast(upstream, tf.float64)
        )
        self.assertEqual((y.dtype, gradient.dtype), (dtype, dtype))
        self.assertEqual(y.shape, x.shape)
        tolerance = _TOLERANCE[dtype]
        self.assertAllClose(y, expected_y, tolerance, tolerance)
        self.assertAllClose(gradient, expected_gradient, tolerance, tolerance)
        self.assertEqual((count, plain), (2, 0))

    @parameterized.parameters(
        ("relu", True, "float32"), ("gelu", False, "float32"), ("gelu", True, "float64")
    )
    def test_all_else_is_keras_own(self, name: str, training: bool, dtype: str) -> None:
        layer = Activation(name, dtype=dtype)
        x = tf.cast(np.random.default_rng(0).normal(size=(3, 4)), dtype)
        function = tf.function(lambda x: layer(x, training=training))
        graph = function.get_concrete_function(x).graph
        self.assertEmpty(compiled_calls(graph))
        self.assertAllEqual(function(x), keras.layers.Activation(name, dtype=dtype)(x))

    def test_a_gpu_computes_by_tensorflow(self) -> None:
        x = tf.zeros([2])
        self.assertTrue(compiled.pays(x, training=True))
        gpu = [tf.config.PhysicalDevice("/physical_device:GPU:0", "GPU")]
        with mock.patch.object(tf.config, "get_visible_devices", return_value=gpu):
            self.assertFalse(compiled.pays(x, training=True))

    def test_any_number_of_examples(self) -> None:
        layer = Activation("gelu")
        function = tf.function(
            lambda x: layer(x, training=True),
            input_signature=[tf.TensorSpec([None, 3])],
        )
        for count in (1, 5):
            x = tf.ones([count, 3])
            self.assertAllClose(function(x), keras.activations.gelu(x))

    def test_layers_of_a_shape_are_compiled_once(self) -> None:
        x = tf.ones([3, 7])
        layers = [Activation("gelu"), Activation("gelu"), Activation("silu")]

        def step(x: tf.Tensor) -> tf.Tensor:
            for layer in layers:
                x = layer(x, training=True)
            return x

        called = compiled_calls(tf.function(step).get_concrete_function(x).graph)
        self.assertLen(called, 3)
        self.assertLen(set(called), 2)

    def test_saved_form_is_keras(self) -> None:
        layer = Activation("gelu", name="a")
        self.assertEqual(
            layer.get_config(), keras.layers.Activation("gelu", name="a").get_config()
        )
        path = pathlib.Path(self.get_temp_dir()) / "model.keras"
        model = keras.Sequential([keras.Input([3]), layer])
        model.save(path)
        again = keras.saving.load_model(path)
        x = np.ones((2, 3), np.float32)
        self.assertAllEqual(again(x), model(x))


if __name__ == "__main__":
    tf.test.main()
