"""--recompute: the same training in less memory."""

import json
import pathlib
from unittest import mock

import keras
import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.configs import flags
from app.configs.commands import TrainConfig
from app.main import main
from app.runs import assembly
from app.training import randomness, recomputation
from app.training.inspection import Inspector
from base.errors import UserError
from tests.processes import Command

pytestmark = pytest.mark.slow

MODELS = {
    "resnet": ("--model=resnet", "--model_args=depth=20,width=4"),
    "vit": ("--model=vit", "--model_args=patch=2,depth=3,width=8,heads=2,dropout=0.2"),
    "cnn": ("--model=cnn", "--model_args=width=4,dropout=0.3"),
    "backbone": (
        "--model=pretrained",
        "--model_args=backbone=MobileNetV2,weights=none,trainable=all",
        "--image_size=32",
    ),
}
# Long sequences: what is kept of each block is far more than the weights.
DEEP = (
    "--model=vit",
    "--model_args=patch=1,depth=8,width=64,heads=4",
    "--batch_size=256",
    "--epochs=0.3",
    "--progress=quiet",
)


def build(*arguments: str) -> assembly.Parts:
    return assembly.build_parts(
        flags.parse(TrainConfig, ["--run_dir=unused", "--batch_size=16", *arguments])
    )


def gradients_of(built: assembly.Parts) -> tuple[list[tf.Tensor], int]:
    """Of a step; and how many convolutions and matrix products its graph holds."""
    inspector = Inspector(assembly.trainer_parts(built))
    batch = inspector.batch_of(5)
    step = tf.constant(5, tf.int64)
    graph = inspector._gradients.get_concrete_function(batch, step).graph
    kinds = [op.type for op in graph.get_operations()]
    return inspector.gradients(batch, 5), sum(k in ("Conv2D", "MatMul") for k in kinds)


class RecomputationTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.named_parameters(*MODELS.items())
    def test_gradients_and_moving_averages_are_the_same(self, arguments):
        plain, again = build(*arguments), build(*arguments, "--recompute")
        expected, before = gradients_of(plain)
        found, after = gradients_of(again)
        # Dropout that drew anew in the second run would differ by far more.
        for ours, theirs in zip(found, expected, strict=True):
            scale = max(1e-3, float(tf.reduce_max(tf.abs(theirs))))
            self.assertAllClose(ours, theirs, rtol=1e-3, atol=1e-3 * scale)
        for ours, theirs in zip(
            again.network.model.weights, plain.network.model.weights, strict=True
        ):
            self.assertAllClose(ours, theirs, rtol=1e-5, atol=1e-6)
        # Half as many more at least: the forward pass is there twice.
        self.assertGreater(after, 1.2 * before)

    def test_draws_that_are_not_repeated_are_noticed(self):
        """The negative control: dropout must draw the same in the second run."""
        arguments = MODELS["cnn"]
        expected, _ = gradients_of(build(*arguments))
        keyed_as = randomness.keyed_as

        def others(keys):
            keys.drawn += 7
            return keyed_as(keys)

        with mock.patch.object(randomness, "keyed_as", others):
            found, _ = gradients_of(build(*arguments, "--recompute"))
        differences = [
            float(tf.norm(a - b)) for a, b in zip(found, expected, strict=True)
        ]
        self.assertGreater(max(differences), 0.01)

    @pytest.mark.process
    def test_less_memory(self):
        root = pathlib.Path(self.get_temp_dir())
        peaks = []
        for name, more in (("plain", ()), ("recomputed", ("--recompute",))):
            given = (*DEEP, f"--run_dir={root / name}", *more)
            command = Command(["train", *given], root / f"{name}.log")
            self.assertEqual(command.wait(), 0, command.output())
            (line,) = (root / name / "metrics.jsonl").read_text().splitlines()
            peaks.append(json.loads(line)["peak_memory_bytes"])
        plain, recomputed = peaks
        self.assertLess(recomputed, 0.8 * plain)

    def test_a_model_without_parts_is_refused(self):
        class Flat(keras.Model):
            def call(self, inputs):
                return inputs

        with self.assertRaisesRegex(UserError, "found nothing to recompute"):
            recomputation.recompute(Flat())

    def test_a_layer_that_adds_a_loss_is_refused(self):
        with self.assertRaisesRegex(UserError, "adds a loss"):
            gradients_of(build(f"--model={__name__}:penalised", "--recompute"))

    def test_a_pause_goes_on_to_the_same_weights(self):
        root = pathlib.Path(self.get_temp_dir())
        arguments = (*MODELS["vit"], "--epochs=0.4", "--batch_size=64")
        arguments = (*arguments, "--progress=quiet", "--recompute", "--ema=0.9")
        for name, stop, status in (
            ("whole", [], 0),
            ("paused", ["--stop_after=0.2"], 75),
            ("paused", [], 0),
        ):
            given = ["train", f"--run_dir={root / name}", *arguments, *stop]
            self.assertEqual(main(given), status)
        whole, paused = (
            [
                line
                for line in (root / name / "results.json").read_text().splitlines()
                if "weights_sha256" in line
            ]
            for name in ("whole", "paused")
        )
        self.assertEqual(whole, paused)


def penalised(inputs, outputs) -> keras.Model:
    """A user's model with an activity regularizer."""
    images = keras.Input(inputs.shape)
    x = keras.layers.Flatten()(images)
    x = keras.layers.Dense(8, activity_regularizer="l2")(x)
    return keras.Model(images, keras.layers.Dense(outputs.size)(x))


if __name__ == "__main__":
    tf.test.main()
