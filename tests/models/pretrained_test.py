"""Networks of keras.applications: weights, freezing, preprocessing, and no network."""

import pathlib
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models import registry
from models.pretrained import BackbonePreprocessing
from models.spec import Inputs, Outputs

_INPUTS, _OUTPUTS = Inputs("image", (32, 32, 3)), Outputs("classification", 4)


def _build(args: str, inputs: Inputs = _INPUTS) -> keras.Model:
    return registry.build("pretrained", f"backbone=MobileNet,{args}", inputs, _OUTPUTS)


def _backbone(model: keras.Model) -> keras.Model:
    return next(layer for layer in model.layers if isinstance(layer, keras.Model))


class PretrainedTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())

    @parameterized.parameters(".weights.h5", ".h5")
    def test_weights_come_from_a_file(self, ending: str) -> None:
        path = self.folder / f"backbone{ending}"
        backbone = keras.applications.MobileNet(
            include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg"
        )
        if ending == ".h5":
            backbone.save(path)
        else:
            backbone.save_weights(path)
        loaded = _backbone(_build(f"weights={path}"))
        for weight, expected in zip(loaded.weights, backbone.weights, strict=True):
            self.assertAllEqual(weight, expected)

    @parameterized.parameters(("head", True), ("all", False))
    def test_a_frozen_backbone_does_not_move(self, trainable: str, still: bool) -> None:
        model = _build(f"weights=none,trainable={trainable}")
        before = [weight.numpy() for weight in _backbone(model).weights]
        x = np.random.default_rng(0).uniform(0, 255, (4, 32, 32, 3)).astype("float32")
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(model(x, training=True)[:, 0])
        gradients = tape.gradient(loss, model.trainable_variables)
        keras.optimizers.SGD(1.0).apply(gradients, model.trainable_variables)
        after = [weight.numpy() for weight in _backbone(model).weights]
        self.assertEqual(all(map(np.array_equal, before, after)), still)
        self.assertEqual(len(model.trainable_variables) == 2, still)

    @parameterized.parameters(
        "MobileNetV2", "ResNet50", "DenseNet121", "EfficientNetB0"
    )
    def test_preprocessing_is_the_backbones_own(self, backbone: str) -> None:
        pixels = (
            np.random.default_rng(0).uniform(0, 255, (2, 4, 4, 3)).astype("float32")
        )
        module = {
            "MobileNetV2": keras.applications.mobilenet_v2,
            "ResNet50": keras.applications.resnet50,
            "DenseNet121": keras.applications.densenet,
            "EfficientNetB0": keras.applications.efficientnet,
        }[backbone]
        expected = module.preprocess_input(pixels.copy())
        self.assertAllClose(
            BackbonePreprocessing(backbone)(pixels), expected, 1e-5, 1e-4
        )

    def test_grey_images_become_colour(self) -> None:
        model = _build("weights=none", Inputs("image", (32, 32, 1)))
        rng = np.random.default_rng(0)
        grey = rng.uniform(0, 255, (2, 32, 32, 1)).astype("float32")
        self.assertEqual(model(grey).shape, (2, 4))
        layer = BackbonePreprocessing("ResNet50")
        self.assertAllClose(layer(grey), layer(np.repeat(grey, 3, axis=-1)))

    def test_without_network_it_says_what_to_download(self) -> None:
        # As keras.utils.get_file words it, for a machine without network.
        failure = Exception(
            "URL fetch failure on https://example.org/a/net_no_top.h5: None -- "
            "[Errno -2] Name or service not known"
        )
        network = keras.applications.MobileNet

        def offline(**arguments: object) -> keras.Model:
            if arguments["weights"] == "imagenet":
                raise failure
            return network(**arguments)

        with mock.patch.object(keras.applications, "MobileNet", offline):
            with self.assertRaises(UserError) as caught:
                _build("weights=imagenet")
        line = str(caught.exception)
        self.assertIn("([Errno -2] Name or service not known)", line)
        self.assertIn("download https://example.org/a/net_no_top.h5 elsewhere", line)
        self.assertIn("weights=PATH", line)
        self.assertNotIn("\n", line)

    def test_mistakes_have_one_line(self) -> None:
        damaged = self.folder / "damaged.weights.h5"
        damaged.write_bytes(b"not HDF5")
        other = self.folder / "other.weights.h5"
        keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]).save_weights(other)
        for args, inputs, line in (
            ("weights=/no/such.h5", _INPUTS, "no such file"),
            (f"weights={damaged}", _INPUTS, "not the weights of MobileNet"),
            (f"weights={other}", _INPUTS, "not the weights of MobileNet"),
            ("weights=none", Inputs("image", (8, 8, 3)), "8x8 pixels .*32x32"),
            (
                "weights=none",
                Inputs("image", (32, 32, 4)),
                "4 channels: expected 1 or 3",
            ),
        ):
            with self.subTest(args=args):
                with self.assertRaisesRegex(UserError, line) as caught:
                    _build(args, inputs)
                self.assertNotIn("\n", str(caught.exception))


if __name__ == "__main__":
    tf.test.main()
