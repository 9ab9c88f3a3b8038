"""Every model: its shapes, size, precision, saved form, and what it refuses."""

import pathlib

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models import registry
from models.description import parameter_counts
from models.spec import Inputs, Outputs
from models.tasks.registry import task_of

_CLASSES = Outputs("classification", 10)
_SMALL = Inputs("image", (8, 8, 1))
_COLOUR = Inputs("image", (32, 32, 3))
_VECTOR = Inputs("vector", (5,), mean=(1.0,) * 5, std=(2.0, 2.0, 2.0, 2.0, 0.0))
_MODELS = (
    ("linear", "dropout=0.1", _SMALL),
    ("linear", "", _VECTOR),
    ("mlp", "dropout=0.1,batch_normalization=true", _SMALL),
    ("mlp", "activation=selu,depth=1", _VECTOR),
    ("cnn", "dropout=0.1,width=8", _SMALL),
    ("cnn", "width=8", Inputs("image", (28, 28, 1))),
    ("resnet", "depth=8,dropout=0.1", _SMALL),
    ("resnet", "depth=18,width=8", _COLOUR),
    ("resnet", "depth=50,width=8", _COLOUR),
    ("vit", "depth=2,width=24,dropout=0.1", _SMALL),
    ("vit", "depth=1,width=24,positions=learnt", _COLOUR),
    ("pretrained", "weights=none,backbone=MobileNet,dropout=0.1", _COLOUR),
    ("airbench", "width=4,dropout=0.1", _SMALL),
    ("cnn", "width=8,identity_init=true", _SMALL),
)


def _inputs(inputs: Inputs) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.uniform(0, 255, (3, *inputs.shape)).astype("float32")


class BuildTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.addCleanup(keras.config.set_dtype_policy, keras.config.dtype_policy())
        keras.utils.set_random_seed(0)

    @parameterized.parameters(*_MODELS)
    @pytest.mark.slow
    def test_trains_saves_and_loads(self, name: str, args: str, inputs: Inputs) -> None:
        model = registry.build(name, args, inputs, _CLASSES)
        x, labels = _inputs(inputs), tf.constant([1, 2, 3])
        with tf.GradientTape() as tape:
            logits = model(x, training=True)
            losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
            loss = tf.reduce_mean(losses)
        self.assertEqual((logits.shape, logits.dtype), ((3, 10), tf.float32))
        gradients = tape.gradient(loss, model.trainable_variables)
        self.assertNotIn(None, gradients)
        # The first layer has a gradient, so it went through all layers above.
        self.assertTrue(np.all(np.isfinite(gradients[0])))
        self.assertGreater(np.max(np.abs(gradients[0])), 0)
        self._assert_loads_equal(model, x)

    @parameterized.parameters(("flip", 0.5), ("flip_translate", 0.25))
    def test_views_are_averaged_outside_of_training(self, views, share) -> None:
        model = registry.build("cnn", "width=8", _SMALL, _CLASSES, views)
        network = model.get_layer("views").network
        images = _inputs(_SMALL)
        trained = network(images, training=True)
        self.assertAllClose(model(images, training=True), trained, 1e-5, 1e-5)
        around = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="reflect")
        moved = [around[:, 2:, 2:], around[:, :-2, :-2]]
        plain, shifted = (
            sum(network(i) + network(i[:, :, ::-1]) for i in found)
            for found in ([images], moved)
        )
        expected = share * plain + (0.5 - share) / 2 * shifted
        self.assertAllClose(model(images), expected, 1e-5, 1e-5)
        self.assertNotAllClose(model(images), network(images), 1e-5, 1e-5)
        self._assert_loads_equal(model, images)

    def test_views_are_of_images(self) -> None:
        with self.assertRaisesRegex(UserError, "vector inputs: expected images"):
            registry.build("mlp", "", _VECTOR, _CLASSES, "flip")

    @parameterized.parameters("mixed_bfloat16", "mixed_float16")
    def test_mixed_precision_gives_float32_and_is_saved(self, policy: str) -> None:
        for name, args, inputs in _MODELS[2:11:4]:
            with self.subTest(name=name):
                keras.config.set_dtype_policy(policy)
                model = registry.build(name, args, inputs, _CLASSES)
                logits = model(_inputs(inputs))
                self.assertEqual(logits.dtype, tf.float32)
                self.assertEqual(
                    {variable.dtype for variable in model.trainable_variables},
                    {"float32"},
                )
                keras.config.set_dtype_policy("float32")
                exact = registry.build(name, args, inputs, _CLASSES)
                exact.set_weights(model.get_weights())
                # The negative control: float32 throughout would round nothing.
                self.assertNotAllEqual(logits, exact(_inputs(inputs)))
                self.assertAllClose(logits, exact(_inputs(inputs)), 0.1, 0.1)
                self._assert_loads_equal(model, _inputs(inputs))

    def _assert_loads_equal(self, model: keras.Model, x: np.ndarray) -> None:
        path = pathlib.Path(self.get_temp_dir()) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
        self.assertAllEqual(loaded(x), model(x))
        for weight, expected in zip(loaded.weights, model.weights, strict=True):
            self.assertAllEqual(weight, expected)
        self.assertEqual(parameter_counts(loaded), parameter_counts(model))

    @parameterized.parameters(
        ("resnet", "depth=20", _COLOUR, 10, 269_722),
        ("resnet", "depth=18", Inputs("image", (64, 64, 3)), 1000, 11_689_512),
        ("resnet", "depth=50", Inputs("image", (224, 224, 3)), 1000, 25_557_032),
        # Patches, 6 blocks, norm, logits: 48*192+192 + 6*444,864 + 384 + 1,930.
        ("vit", "", _COLOUR, 10, 2_680_906),
        # Convolutions, biases of the normalizations, logits.
        (
            "airbench",
            "",
            _COLOUR,
            10,
            9 * (192 + 64**2 + 64 * 256 + 3 * 256**2) + 3_722,
        ),
        ("mlp", "", Inputs("vector", (64,)), 10, 64 * 128 + 128 + 128**2 + 128 + 1290),
    )
    def test_parameter_counts(
        self, name: str, args: str, inputs: Inputs, classes: int, expected: int
    ) -> None:
        """Those of the papers' networks: 0.27 M, 11.69 M and 25.56 M."""
        outputs = Outputs("classification", classes)
        model = registry.build(name, args, inputs, outputs)
        self.assertEqual(parameter_counts(model)[0], expected)

    @parameterized.parameters(
        ("linear", ""), ("mlp", ""), ("cnn", ""), ("vit", "depth=1")
    )
    def test_regression_is_in_real_units(self, name: str, args: str) -> None:
        outputs = Outputs("regression", 2, mean=(1000.0, -5.0), std=(10.0, 0.01))
        model = registry.build(name, args, _SMALL, outputs)
        for variable in model.trainable_variables:
            if (
                variable.path.startswith("standardized")
                or "/standardized/" in variable.path
            ):
                variable.assign(tf.zeros_like(variable))
        self.assertAllClose(model(_inputs(_SMALL)), [outputs.mean] * 3)

    def test_vectors_are_standardized(self) -> None:
        model = registry.build("linear", "", _VECTOR, Outputs("regression", 1))
        first = model.layers[0]
        self.assertAllClose(
            first(tf.constant([[3.0, 1, -1, 5, 2]])), [[1, 0, -1, 2, 1]]
        )

    def test_pixels_are_rescaled_in_float32(self) -> None:
        keras.config.set_dtype_policy("mixed_bfloat16")
        model = registry.build("cnn", "", _SMALL, _CLASSES)
        x = tf.reshape(tf.linspace(0.0, 255.0, 64), (1, 8, 8, 1))
        self.assertAllClose(model.layers[1](x), x / 127.5 - 1, 1e-6)

    def test_zero_init_makes_blocks_the_identity(self) -> None:
        for args, equal in (("depth=8", True), ("depth=8,zero_init=false", False)):
            model = registry.build("resnet", args, _SMALL, _CLASSES)
            ends = [
                model.get_layer(f"{name}_activation").output
                for name in ("stem", "stage1_block1")
            ]
            start, end = keras.Model(model.inputs, ends)(_inputs(_SMALL))
            self.assertEqual(np.allclose(start, end), equal)

    @parameterized.parameters(
        ("resnet", "", Inputs("vector", (5,)), "expected images"),
        ("resnet", "depth=50", _SMALL, "8x8 pixels: expected at least 32x32"),
        ("airbench", "", Inputs("image", (7, 9, 1)), "expected at least 8x8"),
        ("cnn", "depth=5", _SMALL, "8x8 pixels: expected at least 16x16"),
        ("vit", "patch=3", _SMALL, "patch=3: expected patch to divide both"),
    )
    def test_refuses_inputs_that_do_not_fit(
        self, name: str, args: str, inputs: Inputs, line: str
    ) -> None:
        with self.assertRaisesRegex(UserError, line):
            registry.build(name, args, inputs, _CLASSES)


class SpecTest(tf.test.TestCase):
    def test_refuses_what_makes_no_sense(self) -> None:
        for make, line in (
            (lambda: Inputs("image", (8, 8)), "expected 3 dimensions"),
            (lambda: Inputs("table", (5,)), "0 columns"),
            (lambda: Inputs("vector", (2,), mean=(1.0,), std=(1.0,)), "one of each"),
            (lambda: task_of(Outputs("classification", 1)), "at least 2 classes"),
            (
                lambda: task_of(Outputs("regression", 1, (0.0,), (0.0,))),
                "constant target",
            ),
        ):
            with self.assertRaisesRegex(UserError, line):
                make()


if __name__ == "__main__":
    tf.test.main()
