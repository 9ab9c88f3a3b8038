"""Several labels: losses against Keras', thresholds, answers that do not sum to 1."""

import keras
import numpy as np
import sklearn.metrics
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models.config import LossConfig
from models.spec import Outputs
from models.tasks.multilabel import MultiLabel

_LABELS = np.array([[1, 0, 1], [0, 0, 0], [1, 1, 1], [0, 1, 0]], np.uint8)


class MultiLabelTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.task = MultiLabel(Outputs("multilabel", 3))
        noise = np.random.default_rng(0).normal(size=(4, 3))
        self.logits = (noise + 2.0 * _LABELS - 1).astype(np.float32)

    @parameterized.parameters(0.0, 0.2)
    def test_cross_entropy_is_keras(self, smoothing: float) -> None:
        loss = self.task.loss(LossConfig(label_smoothing=smoothing))
        expected = keras.losses.BinaryCrossentropy(
            from_logits=True, label_smoothing=smoothing, reduction=None
        )
        found = loss(tf.constant(_LABELS), tf.constant(self.logits))
        self.assertEqual(found.dtype, tf.float32)
        self.assertAllClose(found, expected(_LABELS, self.logits))

    def test_focal_loss_is_keras(self) -> None:
        loss = self.task.loss(LossConfig(loss="binary_focal"))
        expected = keras.losses.BinaryFocalCrossentropy(
            from_logits=True, gamma=2.0, apply_class_balancing=False, reduction=None
        )
        found = loss(tf.constant(_LABELS), tf.constant(self.logits))
        self.assertAllClose(found, expected(_LABELS, self.logits))

    def test_the_focal_loss_refuses_smoothed_labels(self) -> None:
        config = LossConfig(loss="binary_focal", label_smoothing=0.1)
        with self.assertRaisesRegex(UserError, "takes labels as they are"):
            self.task.loss(config)

    def test_probabilities_are_independent(self) -> None:
        answers = self.task.answers(tf.fill([1, 3], 4.0))
        self.assertGreater(float(tf.reduce_sum(answers["probabilities"])), 2.9)
        self.assertAllEqual(answers["predicted"], [[True] * 3])

    def test_thresholds_are_the_best_of_each_label(self) -> None:
        rng = np.random.default_rng(1)
        labels = (rng.random((300, 3)) < [0.5, 0.1, 0.02]).astype(np.uint8)
        logits = (rng.normal(size=(300, 3)) + 2 * labels - 3).astype(np.float32)
        tuned = self.task.tuned(logits, labels)
        said = tuned.expected_answers(logits)["predicted"]
        for label in range(3):
            best = max(
                sklearn.metrics.f1_score(
                    labels[:, label], logits[:, label] >= cut, zero_division=0
                )
                for cut in logits[:, label]
            )
            found = sklearn.metrics.f1_score(labels[:, label], said[:, label])
            self.assertAllClose(found, best)
        self.assertGreater(
            tuned.score(tuned.expected_answers(logits), labels),
            self.task.score(self.task.expected_answers(logits), labels),
        )

    def test_a_softmax_is_not_the_answer(self) -> None:
        expected = self.task.expected_answers(self.logits)
        wrong = {
            "probabilities": tf.nn.softmax(self.logits).numpy(),
            "predicted": expected["predicted"],
        }
        self.assertGreater(self.task.difference(expected, wrong, 1e-5).rows.max(), 0.1)


if __name__ == "__main__":
    tf.test.main()
