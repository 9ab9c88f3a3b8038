"""Losses against Keras' and by hand; what does not fit a task is refused."""

import keras
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models.config import LossConfig
from models.losses import PerExampleLoss
from models.spec import Outputs
from models.tasks.registry import task_of

_CLASSES = Outputs("classification", 4)


def per_example_loss(config: LossConfig, outputs: Outputs) -> PerExampleLoss:
    return task_of(outputs).loss(config)


class LossesTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(0.0, 0.2)
    def test_cross_entropy_of_classes_and_of_shares(self, smoothing: float) -> None:
        logits = tf.constant(np.random.default_rng(0).normal(size=(3, 4)), tf.float32)
        loss = per_example_loss(LossConfig(label_smoothing=smoothing), _CLASSES)
        classes = tf.constant([0, 3, 1], tf.int64)
        expected = keras.losses.CategoricalCrossentropy(
            from_logits=True, label_smoothing=smoothing, reduction=None
        )
        result = loss(classes, logits)
        self.assertEqual((result.shape, result.dtype), ((3,), tf.float32))
        self.assertAllClose(result, expected(tf.one_hot(classes, 4), logits))
        self.assertAllClose(loss(tf.one_hot(classes, 4), logits), result)
        mixed = tf.constant([[0.3, 0.7, 0, 0], [0, 0, 1.0, 0], [0.5, 0, 0, 0.5]])
        self.assertAllClose(loss(mixed, logits), expected(mixed, logits))

    @parameterized.parameters(
        ("mae", [2.0, 0.25]), ("mse", [4.0, 0.0625]), ("huber", [1.5, 0.03125])
    )
    def test_regression_is_in_standard_deviations(
        self, name: str, expected: list[float]
    ) -> None:
        outputs = Outputs("regression", 1, mean=(50.0,), std=(10.0,))
        loss = per_example_loss(LossConfig(loss=name), outputs)
        predictions = tf.constant([[70.0], [47.5]])
        self.assertAllClose(loss(tf.constant([50.0, 50.0]), predictions), expected)
        self.assertAllClose(loss(tf.constant([[50.0], [50.0]]), predictions), expected)

    def test_auto_is_mse_averaged_over_targets(self) -> None:
        loss = per_example_loss(LossConfig(), Outputs("regression", 2))
        self.assertAllClose(loss(tf.zeros((1, 2)), tf.constant([[1.0, 3.0]])), [5.0])

    @parameterized.parameters(
        (LossConfig(loss="mse"), _CLASSES, "expected cross_entropy, or auto"),
        (
            LossConfig(loss="cross_entropy"),
            Outputs("regression", 1),
            "expected mse or mae",
        ),
        (LossConfig(label_smoothing=0.1), Outputs("regression", 1), "expected classes"),
    )
    def test_refuses_a_loss_of_the_other_task(
        self, config: LossConfig, outputs: Outputs, line: str
    ) -> None:
        with self.assertRaisesRegex(UserError, line):
            per_example_loss(config, outputs)


if __name__ == "__main__":
    tf.test.main()
