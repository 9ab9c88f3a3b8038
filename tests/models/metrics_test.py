"""Metrics against scikit-learn, however the examples were batched and padded."""

import numpy as np
import sklearn.metrics
import tensorflow as tf
from absl.testing import parameterized

from models.metrics import Metrics
from models.spec import Outputs
from models.tasks.registry import task_of


def _metrics_for(outputs: Outputs) -> Metrics:
    return Metrics(task_of(outputs))


def _results(metrics: Metrics, labels: np.ndarray, predictions: np.ndarray) -> dict:
    """Metrics over batches of 8, the last one padded with NaN of weight 0."""
    sums = np.zeros(metrics.size)
    compiled = tf.function(metrics.sums)
    for start in range(0, len(labels), 8):
        part, guess = labels[start : start + 8], predictions[start : start + 8]
        padding = 8 - len(part)
        weights = np.array([1.0] * len(part) + [0.0] * padding, np.float32)
        part = np.pad(part, [(0, padding)] + [(0, 0)] * (labels.ndim - 1))
        guess = np.pad(guess, ((0, padding), (0, 0)), constant_values=np.nan)
        losses = np.where(weights > 0, 0.5, np.nan).astype(np.float32)
        batch = compiled(*map(tf.constant, (part, guess, losses, weights)))
        assert (batch.dtype, batch.shape) == (tf.float64, (metrics.size,))
        sums += batch.numpy()
    return metrics.results(sums)


class MetricsTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(3, 5, 6, 10)
    def test_classification(self, classes: int) -> None:
        rng = np.random.default_rng(classes)
        labels = rng.integers(0, classes, 53)
        logits = rng.normal(size=(53, classes)).astype("float32")
        logits[np.arange(53), labels] += 0.5
        results = _results(
            _metrics_for(Outputs("classification", classes)), labels, logits
        )
        expected = {
            "loss": 0.5,
            "accuracy": sklearn.metrics.accuracy_score(labels, logits.argmax(1)),
        }
        if classes > 5:
            expected["top5_accuracy"] = sklearn.metrics.top_k_accuracy_score(
                labels, logits, k=5, labels=range(classes)
            )
        self.assertEqual(results.keys(), expected.keys())
        self.assertAllClose(results, expected)

    def test_shares_count_as_their_largest_class(self) -> None:
        metrics = _metrics_for(Outputs("classification", 3))
        shares = np.array([[0.6, 0.4, 0], [0.4, 0, 0.6]], "float32")
        logits = np.array([[9, 1, 0], [9, 0, 1]], "float32")
        self.assertEqual(_results(metrics, shares, logits)["accuracy"], 0.5)

    @parameterized.parameters(1, 3)
    def test_regression(self, size: int) -> None:
        rng = np.random.default_rng(size)
        # Far from zero: a sum of squares in float32 would lose the variance.
        targets = (20_000 + rng.normal(size=(53, size))).astype("float32")
        predictions = (targets + rng.normal(size=(53, size))).astype("float32")
        outputs = Outputs("regression", size, (20_000.0,) * size, (1.0,) * size)
        results = _results(_metrics_for(outputs), targets, predictions)
        truth = targets.astype("float64"), predictions.astype("float64")
        self.assertAllClose(
            results,
            {
                "loss": 0.5,
                "mae": sklearn.metrics.mean_absolute_error(*truth),
                "rmse": sklearn.metrics.mean_squared_error(*truth) ** 0.5,
                "r2": sklearn.metrics.r2_score(*truth),
            },
            1e-9,
            1e-9,
        )

    def test_several_labels(self) -> None:
        rng = np.random.default_rng(0)
        labels = (rng.random((53, 4)) < [0.5, 0.3, 0.1, 0.0]).astype("uint8")
        logits = rng.normal(size=(53, 4)).astype("float32") + 2 * labels - 1
        results = _results(_metrics_for(Outputs("multilabel", 4)), labels, logits)
        said = logits >= 0
        average = sklearn.metrics.average_precision_score
        expected = {
            "loss": 0.5,
            "f1_micro": sklearn.metrics.f1_score(labels, said, average="micro"),
            # Without the label that no example has.
            "f1_macro": sklearn.metrics.f1_score(
                labels[:, :3], said[:, :3], average="macro"
            ),
            "mean_average_precision": average(labels[:, :3], logits[:, :3]),
            "exact_match": sklearn.metrics.accuracy_score(labels, said),
        }
        # Of thresholds at 1/256 of the probability.
        self.assertAllClose(results, expected, 0.01, 0.01)
        for name in ("f1_micro", "f1_macro", "exact_match"):
            self.assertAllClose(results[name], expected[name], 1e-12, 1e-12)

    def test_r2_of_a_constant_target_is_sklearns(self) -> None:
        metrics = _metrics_for(Outputs("regression", 1))
        targets = np.ones((9, 1), "float32")
        self.assertEqual(_results(metrics, targets, targets)["r2"], 1.0)
        self.assertEqual(_results(metrics, targets, targets + 1)["r2"], 0.0)

    def test_no_examples_have_no_metrics(self) -> None:
        metrics = _metrics_for(Outputs("classification", 3))
        with self.assertRaisesRegex(ValueError, "0.0 examples"):
            metrics.results(np.zeros(metrics.size))


if __name__ == "__main__":
    tf.test.main()
