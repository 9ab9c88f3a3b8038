"""Models by name: arguments, users' own builders, and the one line of each mistake."""

import pathlib
import subprocess
import sys

import keras
import pytest
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models import architectures, registry
from models.spec import Inputs, Outputs

_BUILDER = """
import keras

def one_layer(inputs, outputs, width: int, activation: str = "relu", bias: bool = True):
    layers = [keras.Input(inputs.shape), keras.layers.Dense(width, activation, bias)]
    return keras.Sequential([*layers, keras.layers.Dense(outputs.size)])

def nothing(inputs, outputs):
    return None

def lists(inputs, outputs, widths: list):
    return None
"""
_VECTORS = Inputs("vector", (4,)), Outputs("classification", 3)


class RegistryTest(tf.test.TestCase, parameterized.TestCase):
    def test_arguments_are_typed(self) -> None:
        config = registry.parse_args("resnet", "depth=32, width=8,zero_init=no")
        expected = architectures.ResNetConfig(depth=32, width=8, zero_init=False)
        self.assertEqual(config, expected)
        self.assertEqual(registry.parse_args("resnet", "width=none").width, None)
        self.assertEqual(registry.parse_args("mlp", "dropout=0.5").dropout, 0.5)

    @parameterized.parameters(
        ("resnett", "", "unknown model 'resnett' .did you mean 'resnet'"),
        ("resnet", "dept=20", "unknown resnet argument 'dept' .did you mean 'depth'"),
        ("resnet", "depth=21", r"depth=21: expected 6n\+2"),
        ("mlp", "width=wide", "width=wide: expected a whole number"),
        ("mlp", "width=0", "width=0: expected at least 1"),
        ("mlp", "width", "expected width=VALUE"),
        ("mlp", "width=1,width=2", "width is given twice"),
        ("mlp", "activation=rellu", "'rellu' .did you mean 'relu'"),
        ("mlp", "batch_normalization=perhaps", "expected true or false"),
        ("cnn", "dropout=1", "dropout=1.0: expected 0 <= value < 1"),
        ("cnn", "dropout=nan", "expected 0 <= value < 1"),
        ("vit", "width=64,heads=3", "expected heads to divide width"),
        ("vit", "width=6", "expected a multiple of 4"),
        ("pretrained", "backbone=ResNet5", "did you mean 'ResNet50'"),
        ("pretrained", "weights=imagnet", "expected imagenet, none, or the path"),
        ("no.such.module:build", "", "no module 'no.such.module'"),
        ("os.path:joi", "", "did you mean 'join'"),
        (":", "", "expected package.module:name"),
    )
    def test_mistakes_have_one_line(self, name: str, text: str, line: str) -> None:
        with self.assertRaisesRegex(UserError, line) as caught:
            registry.parse_args(name, text)
        self.assertNotIn("\n", str(caught.exception))

    @pytest.mark.process
    def test_arguments_are_checked_without_heavy_imports(self) -> None:
        code = (
            "import sys; from models import config, registry; "
            "registry.parse_args('resnet', 'depth=20'); "
            "print([m for m in ('numpy', 'keras', 'tensorflow') if m in sys.modules])"
        )
        run = [sys.executable, "-c", code]
        self.assertEqual(subprocess.check_output(run, text=True).strip(), "[]")

    def test_every_argument_is_documented(self) -> None:
        for name in registry.names():
            for field in registry.config_class(name).__dataclass_fields__.values():
                self.assertNotEmpty(field.metadata["help"], f"{name} {field.name}")

    def test_duplicates_are_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "registered already"):
            registry.register("cnn", architectures.CNNConfig, "models.cnn:build")

    def test_lists_are_what_keras_has(self) -> None:
        for name in architectures.ACTIVATIONS:
            self.assertTrue(callable(keras.activations.get(name)))
        networks = {
            name for name, value in vars(keras.applications).items() if callable(value)
        }
        self.assertEqual(set(architectures.BACKBONES), networks)


class OwnBuilderTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        folder = pathlib.Path(self.get_temp_dir())
        (folder / "my_models.py").write_text(_BUILDER)
        sys.path.insert(0, str(folder))
        self.addCleanup(sys.path.remove, str(folder))
        self.addCleanup(sys.modules.pop, "my_models", None)

    def test_builds_with_arguments_by_its_signature(self) -> None:
        text = "width=5,activation=tanh,bias=false"
        model = registry.build("my_models:one_layer", text, *_VECTORS)
        self.assertEqual([w.shape for w in model.weights], [(4, 5), (5, 3), (3,)])
        self.assertEqual(model.layers[0].activation, keras.activations.tanh)

    def test_mistakes_have_one_line(self) -> None:
        for name, text, line in (
            ("my_models:one_layer", "", "needs the arguments width"),
            ("my_models:one_layer", "widht=3", "did you mean 'width'"),
            ("my_models:one_layer", "width=x", "expected a whole number"),
            ("my_models:one_laye", "", "did you mean 'one_layer'"),
            ("my_models:nothing", "", "gave a NoneType: expected a keras.Model"),
            ("my_models:lists", "", "widths is of type"),
        ):
            with self.subTest(name=name, text=text):
                with self.assertRaisesRegex(UserError, line):
                    registry.build(name, text, *_VECTORS)


if __name__ == "__main__":
    tf.test.main()
