"""Whitening: decorrelates what it was learnt from, stays frozen, is saved."""

import pathlib

import keras
import numpy as np
import sklearn.datasets
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models import registry
from models.layers.whitening import Whitening
from models.spec import Inputs, Outputs, Patches

_CLASSES = Outputs("classification", 10)


def _digits() -> np.ndarray:
    """Real images in two channels, float32 [1797, 8, 8, 2]."""
    images = sklearn.datasets.load_digits().images.astype("float32")
    return np.stack([images * 15, images[:, :, ::-1] * 7 + 20], axis=-1)


def _flat_patches(images: np.ndarray, size: int) -> np.ndarray:
    windows = tf.image.extract_patches(
        images, (1, size, size, 1), (1, 1, 1, 1), (1, 1, 1, 1), "VALID"
    )
    return np.reshape(windows, (-1, windows.shape[-1])).astype(np.float64)


def _patches(images: np.ndarray, size: int) -> Patches:
    flat = _flat_patches(images, size)
    covariance = np.cov(flat.T, bias=True)
    return Patches(size, tuple(flat.mean(0)), tuple(map(tuple, covariance)))


class WhiteningTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        keras.utils.set_random_seed(0)
        self.images = _digits()

    def _whitened(self, learnt_from: np.ndarray) -> np.ndarray:
        layer = Whitening(2, activation="linear", patches=_patches(learnt_from, 2))
        features = layer(self.images)
        self.assertEqual(features.shape, (len(self.images), 7, 7, 16))
        self.assertEqual(features.shape, layer.compute_output_shape(self.images.shape))
        return np.reshape(features, (-1, 16))

    def test_features_of_what_it_was_learnt_from_are_white(self) -> None:
        features = self._whitened(self.images)
        self.assertAllClose(features.mean(0), np.zeros(16), atol=1e-3)
        covariance = np.cov(features[:, :8].T)
        self.assertAllClose(covariance, np.eye(8), atol=0.02)
        self.assertAllClose(features[:, 8:], -features[:, :8], atol=1e-4)

    def test_features_of_something_else_are_not(self) -> None:
        covariance = np.cov(self._whitened(self.images[:, :, ::-1] ** 2).T)
        self.assertNotAllClose(covariance[:8, :8], np.eye(8), atol=0.3)

    def test_pixels_that_never_vary_are_not_blown_up(self) -> None:
        images = self.images.copy()
        images[..., 1] = 7
        layer = Whitening(2, "linear", patches=_patches(images, 2))
        self.assertLess(np.abs(layer(images)).max(), 50)
        flat = Whitening(2, "linear", patches=_patches(np.ones_like(images), 2))
        self.assertTrue(np.all(np.isfinite(flat(images))))

    @parameterized.parameters(("cnn", "depth=2,width=4"), ("airbench", "width=4"))
    def test_it_is_frozen_but_for_its_bias_and_saved(self, name, args) -> None:
        images = np.repeat(np.repeat(self.images[:64], 2, 1), 2, 2)
        inputs = Inputs("image", (16, 16, 2), patches=_patches(images, 2))
        model = registry.build(name, args, inputs, _CLASSES)
        layer = model.get_layer("whitening")
        kernel, bias = layer.kernel.numpy(), layer.bias.numpy()
        self._train_a_step(model, images)
        self.assertAllEqual(layer.kernel, kernel)
        self.assertNotAllEqual(layer.bias, bias)
        path = pathlib.Path(self.get_temp_dir()) / "model.keras"
        model.save(path)
        loaded = keras.saving.load_model(path)
        self.assertAllEqual(loaded(images), model(images))
        # Without its weights the layer would whiten nothing.
        fresh = Whitening.from_config(layer.get_config())
        self.assertNotAllClose(fresh(images), layer(images))

    def _train_a_step(self, model: keras.Model, images: np.ndarray) -> None:
        with tf.GradientTape() as tape:
            logits = model(images, training=True)
            loss = tf.reduce_mean(
                tf.nn.sparse_softmax_cross_entropy_with_logits(
                    np.arange(len(images)) % 10, logits
                )
            )
        variables = model.trainable_variables
        optimizer = keras.optimizers.SGD(0.1)
        optimizer.apply(tape.gradient(loss, variables), variables)

    @parameterized.parameters("linear", "mlp", "vit")
    def test_a_model_that_would_ignore_it_is_refused(self, name: str) -> None:
        inputs = Inputs("image", (8, 8, 2), patches=_patches(self.images, 2))
        with self.assertRaisesRegex(UserError, f"--whitening=2 with --model={name}"):
            registry.build(name, "", inputs, _CLASSES)
        registry.build(name, "", Inputs("image", (8, 8, 2)), _CLASSES)

    def test_images_too_small_for_what_follows_are_refused(self) -> None:
        inputs = Inputs("image", (8, 8, 2), patches=_patches(self.images, 2))
        with self.assertRaisesRegex(UserError, "expected at least 9x9"):
            registry.build("airbench", "", inputs, _CLASSES)

    def test_statistics_that_do_not_fit_are_refused(self) -> None:
        with self.assertRaisesRegex(UserError, "one of each for every value"):
            Patches(2, (0.0,) * 4, ((0.0,) * 4,) * 3)


if __name__ == "__main__":
    tf.test.main()
