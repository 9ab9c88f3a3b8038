"""How models are divided among devices; tests/app/distribution uses real ones."""

import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models import placement, registry
from models.spec import Inputs, Outputs

_SMALL = Inputs("image", (8, 8, 1))
_CLASSES = Outputs("classification", 10)
_TWO = ("gpu:0", "gpu:1")


class PlacementTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ("mlp", "depth=3,width=64", ("flatten", "hidden1"), ("hidden3", "logits")),
        ("cnn", "width=4,depth=2", ("block1_conv2",), ("block2_conv2", "logits")),
        ("vit", "depth=2,width=8,heads=2", ("patches", "block1"), ("block2", "logits")),
        (
            "branches",
            "width=4,depth=2",
            ("rescaling", "branch1_block2_conv2", "logits"),
            ("branch2_block1_conv1", "branch2_pool"),
        ),
    )
    def test_layers_are_divided_by_depth_or_branch(self, name, args, *parts) -> None:
        model = registry.build(name, args, _SMALL, _CLASSES)
        where = placement.divide(model, _TWO)
        for layers, device in zip(parts, _TWO, strict=True):
            self.assertEqual({where[layer] for layer in layers}, {device})

    def test_a_residual_block_is_not_cut(self) -> None:
        model = registry.build("resnet", "depth=20,width=4", _SMALL, _CLASSES)
        where = placement.divide(model, ("gpu:0", "gpu:1", "gpu:2"))
        blocks = [f"stage{stage}_block{i}" for stage in (1, 2, 3) for i in (1, 2, 3)]
        for block in blocks:
            devices = {where[n] for n in where if n.startswith(f"{block}_conv")}
            self.assertLen(devices, 1)
        counts = [list(where.values()).count(f"gpu:{i}") for i in range(3)]
        self.assertGreater(min(counts), 10)

    def test_branches_take_the_devices_in_turn(self) -> None:
        model = registry.build("branches", "branches=4,width=4", _SMALL, _CLASSES)
        where = placement.divide(model, _TWO)
        found = [where[f"branch{i}_block1_conv1"] for i in (1, 2, 3, 4)]
        self.assertEqual(found, [*_TWO, *_TWO])

    @parameterized.parameters(
        ("mlp", "devices=gpu", "between them"),
        ("mlp", "devices=cpu:0;cpu:1", "between them"),
        ("branches", "branches=1", "use --model=cnn"),
        ("branches", "devices=cpu:0+cpu:0+cpu:0", "2 branches"),
        ("linear", "devices=cpu:0", "linear argument"),
        ("mlp", "depth=1,devices=" + "+".join(["cpu:0"] * 9), "parts at most"),
    )
    def test_what_cannot_be_divided(self, name, args, named) -> None:
        with self.assertRaisesRegex(UserError, named):
            registry.build(name, args, _SMALL, _CLASSES, placed=True)

    def test_devices_alone_may_differ(self) -> None:
        same = registry.differ_in_devices_alone
        self.assertTrue(same("mlp", "width=8", "width=8,devices=gpu:0+gpu:1"))
        self.assertFalse(same("mlp", "width=8", "width=9,devices=gpu:0+gpu:1"))
        self.assertFalse(same("linear", "", "dropout=0.1"))


if __name__ == "__main__":
    tf.test.main()
