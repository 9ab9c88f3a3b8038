"""The layer table: every layer, nested ones too, and the totals."""

import keras
import tensorflow as tf

from models import registry
from models.description import layer_table, parameter_counts
from models.spec import Inputs, Outputs

_INPUTS, _OUTPUTS = Inputs("image", (32, 32, 3)), Outputs("classification", 10)


class DescriptionTest(tf.test.TestCase):
    def test_counts_of_a_frozen_backbone(self) -> None:
        args = "backbone=MobileNet,weights=none"
        model = registry.build("pretrained", args, _INPUTS, _OUTPUTS)
        trainable, total = parameter_counts(model)
        self.assertEqual(trainable, 1024 * 10 + 10)
        self.assertEqual(total, model.count_params())
        self.assertIn("10,250 of them trainable", layer_table(model))

    def test_seeds_are_no_parameters(self) -> None:
        layers = [keras.Input((4,)), keras.layers.Dropout(0.5), keras.layers.Dense(2)]
        self.assertEqual(parameter_counts(keras.Sequential(layers)), (10, 10))

    def test_layers_add_up_to_the_total(self) -> None:
        for name, args in (("cnn", ""), ("vit", "depth=2"), ("mlp", "")):
            model = registry.build(name, args, _INPUTS, _OUTPUTS)
            lines = layer_table(model).splitlines()[4:]
            outer = [line for line in lines if line and not line.startswith(" ")]
            counts = [int(line.split()[-1].replace(",", "")) for line in outer]
            self.assertEqual(sum(counts), model.count_params())

    def test_layers_within_layers_are_indented(self) -> None:
        model = registry.build("vit", "depth=1", _INPUTS, _OUTPUTS)
        self.assertRegex(layer_table(model), r"\n    qkv +Dense +111,168\n")


if __name__ == "__main__":
    tf.test.main()
