"""The fused BatchNormalization is Keras' own, in every figure that it gives."""

from typing import Any

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from models.layers.batch_normalization import BatchNormalization, fuse


def _pair(shape: tuple[int, ...], **arguments: Any) -> tuple[Any, Any]:
    """Atelier's layer and Keras', with equal weights that are not the initial ones."""
    rng = np.random.default_rng(1)
    layers = (
        BatchNormalization(**arguments),
        keras.layers.BatchNormalization(**arguments),
    )
    for layer in layers:
        layer.build((None, *shape[1:]))
    weights = [rng.uniform(0.5, 2.0, weight.shape) for weight in layers[1].weights]
    for layer in layers:
        layer.set_weights(weights)
    return layers


@tf.function
def _step(layer: Any, x: tf.Tensor, upstream: tf.Tensor, training: bool) -> Any:
    with tf.GradientTape() as tape:
        tape.watch(x)
        y = layer(x, training=training)
        loss = tf.reduce_sum(tf.cast(y, tf.float32) * upstream)
    return y, tape.gradient(loss, [x, *[v.value for v in layer.trainable_variables]])


class BatchNormalizationTest(tf.test.TestCase, parameterized.TestCase):
    def _assert_equal_to_keras(
        self, shape: tuple[int, ...], training: bool, tolerance: float, **arguments: Any
    ) -> None:
        rng = np.random.default_rng(0)
        ours, theirs = _pair(shape, **arguments)
        x = tf.cast(rng.normal(3.0, 2.0, shape), ours.compute_dtype)
        upstream = tf.constant(rng.normal(size=shape), tf.float32)
        y, gradients = _step(ours, x, upstream, training)
        expected_y, expected_gradients = _step(theirs, x, upstream, training)
        self.assertEqual(y.dtype, expected_y.dtype)
        self.assertEqual(y.shape, expected_y.shape)
        self.assertAllClose(y, expected_y, tolerance, tolerance)
        for gradient, expected in zip(gradients, expected_gradients, strict=True):
            # Sums over the batch cancel: their rounding is that of their terms.
            scale = max(1.0, float(np.max(np.abs(tf.cast(expected, tf.float32)))))
            self.assertAllClose(gradient, expected, tolerance, tolerance * scale)
        for ours_weight, weight in zip(ours.weights, theirs.weights, strict=True):
            self.assertEqual(ours_weight.name, weight.name)
            self.assertAllClose(ours_weight, weight, 1e-5, 1e-5)

    @parameterized.product(
        shape=((4, 5, 6, 3), (16, 3), (4, 7, 3), (1, 1, 1, 3)), training=(True, False)
    )
    def test_equals_keras(self, shape: tuple[int, ...], training: bool) -> None:
        self._assert_equal_to_keras(shape, training, 1e-4, epsilon=1e-5, momentum=0.9)

    @parameterized.product(
        policy=("mixed_bfloat16", "mixed_float16"), training=(True, False)
    )
    def test_equals_keras_in_half_precision(self, policy: str, training: bool) -> None:
        tolerance = 3e-2 if policy == "mixed_bfloat16" else 4e-3
        self._assert_equal_to_keras((8, 5, 6, 3), training, tolerance, dtype=policy)

    @parameterized.parameters(
        {"axis": 1},
        {"axis": 2},
        {"scale": False},
        {"center": False},
        {"renorm": True},
        {"synchronized": True},
        {"trainable": False},
    )
    def test_equals_keras_with_arguments(self, **arguments: Any) -> None:
        self._assert_equal_to_keras((4, 3, 6, 5), True, 1e-4, **arguments)

    def test_masked_examples_do_not_count(self) -> None:
        ours, theirs = _pair((4, 5, 3))
        x = np.random.default_rng(0).normal(size=(4, 5, 3)).astype("float32")
        mask = np.arange(5)[None] < np.array([[1], [2], [5], [3]])
        self.assertAllClose(
            ours(x, training=True, mask=mask), theirs(x, training=True, mask=mask)
        )
        self.assertAllClose(ours.moving_mean, theirs.moving_mean)

    def test_computed_by_the_fused_op(self) -> None:
        layer = _pair((4, 5, 6, 3))[0]
        call = tf.function(lambda x: layer(x, training=True))
        graph = call.get_concrete_function(tf.TensorSpec((None, 5, 6, 3))).graph
        self.assertIn("FusedBatchNormV3", {op.type for op in graph.get_operations()})

    def test_a_step_moves_the_averages_by_the_biased_variance(self) -> None:
        layer = BatchNormalization(momentum=0.5)
        x = np.array([[[[1.0]]], [[[3.0]]]], "float32")
        tf.function(layer)(x, training=True)
        self.assertAllClose(layer.moving_mean, [0.5 * 0 + 0.5 * 2])
        self.assertAllClose(layer.moving_variance, [0.5 * 1 + 0.5 * 1])

    def test_averages_move_in_a_functional_model(self) -> None:
        inputs = keras.Input((4, 4, 3))
        model = keras.Model(inputs, BatchNormalization(momentum=0.0)(inputs))
        x = np.random.default_rng(0).normal(5.0, size=(8, 4, 4, 3)).astype("float32")
        tf.function(model)(x, training=True)
        self.assertAllClose(model.layers[1].moving_mean, x.mean((0, 1, 2)), rtol=1e-5)
        tf.function(model)(x + 1, training=False)
        self.assertAllClose(model.layers[1].moving_mean, x.mean((0, 1, 2)), rtol=1e-5)

    def test_saved_form_is_keras_own(self) -> None:
        ours, theirs = _pair((4, 5, 6, 3), momentum=0.8)
        config, expected = ours.get_config(), theirs.get_config()
        self.assertEqual({**config, "name": ""}, {**expected, "name": ""})
        restored = BatchNormalization.from_config(expected)
        restored.build((None, 5, 6, 3))
        restored.set_weights(theirs.get_weights())
        x = np.ones((2, 5, 6, 3), "float32")
        self.assertAllClose(restored(x), theirs(x))


class Squared(keras.layers.BatchNormalization):
    """A subclass that computes something else."""

    def call(self, inputs, training=None, mask=None):
        return tf.square(super().call(inputs, training=training, mask=mask))


class FuseTest(tf.test.TestCase, parameterized.TestCase):
    """A user's model before and after its normalization was fused."""

    def setUp(self) -> None:
        super().setUp()
        keras.utils.set_random_seed(3)
        inner = keras.Sequential(
            [keras.Input((6, 6, 4)), keras.layers.BatchNormalization(momentum=0.8)]
        )
        inputs = keras.Input((6, 6, 3))
        x = keras.layers.Conv2D(4, 3, padding="same", use_bias=False)(inputs)
        outputs = keras.layers.Dense(2)(keras.layers.Flatten()(inner(x)))
        self.model = keras.Model(inputs, outputs)
        self.images = keras.random.normal((8, 6, 6, 3), mean=2.0, seed=1)

    def _step(self, training: bool) -> list[np.ndarray]:
        """Outputs, gradients and all variables after a step, from the same weights."""
        model, before = self.model, self.model.get_weights()

        @tf.function
        def step() -> tuple[tf.Tensor, list[tf.Tensor]]:
            with tf.GradientTape() as tape:
                outputs = model(self.images, training=training)
                loss = tf.reduce_sum(outputs**3)
            variables = model.trainable_variables
            return outputs, tape.gradient(loss, variables)

        outputs, gradients = step()
        self.ops = {
            op.type for op in step.get_concrete_function().graph.get_operations()
        }
        found = [outputs.numpy(), *(g.numpy() for g in gradients), *model.get_weights()]
        model.set_weights(before)
        return found

    @parameterized.parameters(True, False)
    def test_outputs_gradients_and_averages_are_keras_own(self, training) -> None:
        before = self._step(training)
        self.assertNotIn("FusedBatchNormV3", self.ops)
        self.assertEmpty(fuse(self.model))
        after = self._step(training)
        self.assertIn("FusedBatchNormV3", self.ops)
        for ours, theirs in zip(after, before, strict=True):
            scale = max(1.0, float(np.max(np.abs(theirs))))
            self.assertAllClose(ours, theirs, 1e-4, 1e-5 * scale)

    def test_the_saved_form_is_that_of_keras_and_loads_as_such(self) -> None:
        config, names = self.model.get_config(), [w.path for w in self.model.weights]
        fuse(self.model)
        self.assertEqual(self.model.get_config(), config)
        self.assertEqual([w.path for w in self.model.weights], names)
        path = f"{self.get_temp_dir()}/model.keras"
        self.model.save(path)
        loaded = keras.saving.load_model(path)
        kinds = [type(layer) for layer in loaded._flatten_layers()]
        self.assertIn(keras.layers.BatchNormalization, kinds)
        self.assertAllClose(loaded(self.images), self.model(self.images), 1e-4, 1e-4)

    def test_what_computes_otherwise_is_left_and_named(self) -> None:
        squared = Squared(name="squared")
        model = keras.Sequential([keras.Input((6, 6, 3)), squared])
        expected = model(self.images, training=False)
        self.assertEqual(fuse(model), ("squared",))
        self.assertAllEqual(model(self.images, training=False), expected)

    def test_a_frozen_layer_keeps_its_averages(self) -> None:
        self.model.trainable = False
        before = self._step(training=True)
        fuse(self.model)
        after = self._step(training=True)
        self.assertAllClose(after[0], before[0], 1e-4, 1e-4)
        for ours, theirs in zip(after[1:], self.model.get_weights(), strict=True):
            self.assertAllEqual(ours, theirs)


if __name__ == "__main__":
    tf.test.main()
