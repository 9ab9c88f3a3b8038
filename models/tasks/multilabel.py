"""Several labels at once, each of which is there or not: sigmoids, F1, precision."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import scipy.special
import tensorflow as tf

from models.intervals import wilson_95
from models.losses import PerExampleLoss
from models.metrics import LOSS, Metric, total
from models.spec import Outputs
from models.tasks.base import Answers, AnswerSpec, Difference, Task

# Thresholds of the probability at which precision and recall are counted.
_BINS = 256


def binary_cross_entropy(outputs: Outputs, smoothing: float = 0.0) -> PerExampleLoss:
    """Binary cross entropy of logits, nats, the mean over the labels.

    Labels are 0 or 1, or shares as mixup makes them: [B, labels]. Smoothing moves each
    towards one half.
    """
    del outputs  # as many as there are

    def loss(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        shares = tf.cast(labels, tf.float32) * (1.0 - smoothing) + smoothing / 2
        logits = tf.cast(predictions, tf.float32)
        each = tf.nn.sigmoid_cross_entropy_with_logits(shares, logits)
        return tf.reduce_mean(each, axis=-1)

    return loss


def binary_focal(outputs: Outputs) -> PerExampleLoss:
    """Binary cross entropy, weighted by the square of how wrong a label is.

    Lin et al. 2017, https://arxiv.org/abs/1708.02002, equation 4 with gamma 2.
    """
    del outputs

    def loss(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        shares = tf.cast(labels, tf.float32)
        logits = tf.cast(predictions, tf.float32)
        each = tf.nn.sigmoid_cross_entropy_with_logits(shares, logits)
        wrong = tf.abs(shares - tf.sigmoid(logits))
        return tf.reduce_mean(tf.square(wrong) * each, axis=-1)

    return loss


def _exact_match_95(sums: Mapping[str, Any]) -> tuple[float, float]:
    return wilson_95(round(float(sums["exact"])), round(float(sums["examples"])))


@dataclasses.dataclass(frozen=True)
class MultiLabel(Task):
    """Outputs are logits of independent labels; labels [B, size] of 0 and 1.

    A label is predicted where its probability is at least its threshold: one half in
    the training's figures, and what `thresholds` chose on the validation split in
    answers.
    """

    name = "multilabel"
    targets = ("label_set",)
    losses: ClassVar = {
        "binary_cross_entropy": binary_cross_entropy,
        "binary_focal": binary_focal,
    }
    monitor = headline = "f1_micro"
    quality = Metric("f1_micro", "Micro-averaged F1", "max")
    smooths_labels = owes_logits = tunes = True
    outputs_are = "labels"

    def head(self) -> list[Any]:
        """Logits."""
        return [keras.layers.Dense(self.outputs.size, dtype="float32", name="logits")]

    def smoothed_loss(self, name: str, smoothing: float) -> PerExampleLoss:
        """Cross entropy of smoothed labels; the focal loss has no such form."""
        if name == "binary_cross_entropy":
            return binary_cross_entropy(self.outputs, smoothing)
        return super().smoothed_loss(name, smoothing)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Loss, F1 by label (macro) and over all (micro), precision, exact matches."""
        return (
            LOSS,
            Metric("f1_micro", "Micro-averaged F1", "max"),
            Metric("f1_macro", "Macro-averaged F1", "max"),
            Metric(
                "mean_average_precision",
                f"Mean average precision over {_BINS} thresholds",
                "max",
            ),
            Metric("exact_match", "Exact matches", "max", interval=_exact_match_95),
        )

    @property
    def sum_names(self) -> tuple[str, ...]:
        """Right and wrong labels, and how probabilities are distributed."""
        return ("exact", *self.sum_sizes)

    @property
    def sum_sizes(self) -> dict[str, int]:
        """A number a label, or a number for each label and probability."""
        labels = self.outputs.size
        return {
            "true_positives": labels,
            "predicted": labels,
            "present": labels,
            "present_by_probability": labels * _BINS,
            "absent_by_probability": labels * _BINS,
        }

    def sums(
        self, labels: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A batch's right and wrong labels; see `Task.sums`.

        Shares of labels, as mixup makes them, count as there from one half on.
        """
        real = weights > 0
        is_there = tf.cast(labels, tf.float32) >= 0.5
        is_said = outputs >= 0.0
        right = tf.reduce_all(tf.equal(is_there, is_said), axis=-1)
        counted = {
            "true_positives": is_there & is_said,
            "predicted": is_said,
            "present": is_there,
        }
        return {
            "exact": total(right, weights),
            **{name: _by_label(values, real) for name, values in counted.items()},
            "present_by_probability": _histogram(outputs, is_there, real),
            "absent_by_probability": _histogram(outputs, ~is_there, real),
        }

    def results(self, sums: Mapping[str, Any]) -> dict[str, float]:
        """f1_micro, f1_macro, mean_average_precision, exact_match: all in [0, 1].

        A label that is in no example is left out of the means over labels.
        """
        right, said, there = (
            np.asarray(sums[name], np.float64)
            for name in ("true_positives", "predicted", "present")
        )
        occurs = there > 0
        by_label = _f1(right, said, there)
        precision = _average_precision(
            np.reshape(sums["present_by_probability"], (-1, _BINS)),
            np.reshape(sums["absent_by_probability"], (-1, _BINS)),
        )
        return {
            "f1_micro": float(_f1(right.sum(), said.sum(), there.sum())),
            "f1_macro": float(by_label[occurs].mean()) if occurs.any() else 0.0,
            "mean_average_precision": (
                float(precision[occurs].mean()) if occurs.any() else 0.0
            ),
            "exact_match": float(sums["exact"]) / float(sums["examples"]),
        }

    @property
    def answer_specs(self) -> dict[str, AnswerSpec]:
        """probabilities [B, labels], which do not sum to 1, and which are predicted."""
        size = (self.outputs.size,)
        return {
            "probabilities": AnswerSpec("float32", size),
            "predicted": AnswerSpec("bool", size),
        }

    def answers(self, outputs: tf.Tensor, temperature: float = 1.0) -> Answers:
        """The probability of each label, and whether it reaches its threshold."""
        probabilities = tf.sigmoid(outputs / temperature)
        thresholds = tf.constant(self._thresholds, tf.float32)
        return {
            "probabilities": probabilities,
            "predicted": probabilities >= thresholds,
        }

    def expected_answers(
        self, outputs: np.ndarray, temperature: float = 1.0
    ) -> dict[str, np.ndarray]:
        """The same by NumPy and SciPy."""
        probabilities = scipy.special.expit(outputs.astype(np.float64) / temperature)
        return {
            "probabilities": probabilities.astype(np.float32),
            "predicted": probabilities.astype(np.float32)
            >= np.array(self._thresholds, np.float32),
        }

    @property
    def _thresholds(self) -> tuple[float, ...]:
        return self.outputs.thresholds or (0.5,) * self.outputs.size

    def difference(
        self,
        expected: Mapping[str, np.ndarray],
        found: Mapping[str, np.ndarray],
        tolerance: float,
    ) -> Difference:
        """The largest difference of a probability."""
        probabilities = found["probabilities"].astype(np.float64)
        rows = np.abs(probabilities - expected["probabilities"]).max(-1)
        # Within the tolerance of its threshold a label may be said or not.
        beyond = np.abs(probabilities - np.array(self._thresholds)) > tolerance
        said = probabilities >= np.array(self._thresholds)
        wrong = (beyond & (found["predicted"] != said)).any(-1)
        if wrong.any():
            return Difference(np.where(wrong, np.inf, rows), "predicted")
        return Difference(rows, "probabilities")

    def score(self, answers: Mapping[str, np.ndarray], labels: np.ndarray) -> float:
        """The micro-averaged F1 of the labels that are predicted."""
        said, there = answers["predicted"], labels >= 0.5
        return float(_f1((said & there).sum(), said.sum(), there.sum()))

    def tuned(self, outputs: np.ndarray, labels: np.ndarray) -> "MultiLabel":
        """The task with the threshold of each label that gives it the best F1.

        Args:
            outputs: float32 [n, labels] logits, of examples not trained on.
            labels: [n, labels] of 0 and 1.
        """
        probabilities = scipy.special.expit(outputs.astype(np.float64))
        chosen = tuple(
            _best_threshold(probabilities[:, label], labels[:, label] >= 0.5)
            for label in range(self.outputs.size)
        )
        return MultiLabel(dataclasses.replace(self.outputs, thresholds=chosen))

    def baseline(self, labels: np.ndarray) -> np.ndarray:
        """The log odds of each label."""
        share = (labels.sum(0) + 0.5) / (len(labels) + 1.0)
        return np.log(share / (1 - share)).astype(np.float32)

    def expected_loss(self) -> float:
        """The logarithm of 2: each label is there or not."""
        return float(np.log(2.0))


def _by_label(values: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """How many of the real examples have each label: float64 [labels]."""
    return tf.reduce_sum(tf.cast(values & real[:, None], tf.float64), axis=0)


def _histogram(outputs: tf.Tensor, chosen: tf.Tensor, real: tf.Tensor) -> tf.Tensor:
    """How often a label's probability is in each bin: float64 [labels * _BINS].

    Args:
        outputs: Logits [B, labels].
        chosen: bool [B, labels]: those that are counted.
        real: bool [B]: False for padding, which may be NaN.
    """
    labels = outputs.shape[-1]
    counted = chosen & real[:, None]
    probabilities = tf.sigmoid(tf.where(counted, outputs, tf.zeros_like(outputs)))
    bins = tf.cast(tf.minimum(probabilities * _BINS, _BINS - 1), tf.int32)
    places = bins + tf.range(labels)[None] * _BINS
    return tf.math.unsorted_segment_sum(
        tf.reshape(tf.cast(counted, tf.float64), [-1]),
        tf.reshape(places, [-1]),
        labels * _BINS,
    )


def _f1(right: Any, said: Any, there: Any) -> Any:
    """F1 of counts: 2 * right / (said + there); 0 where nothing is said or there."""
    both = np.asarray(said + there, np.float64)
    return np.divide(2.0 * right, both, out=np.zeros_like(both), where=both > 0)


def _average_precision(present: np.ndarray, absent: np.ndarray) -> np.ndarray:
    """Precision averaged over recall, of counts by rising probability: [labels].

    As scikit-learn's average_precision_score, with thresholds at the bins' edges.
    """
    right = present[:, ::-1].cumsum(1)
    said = right + absent[:, ::-1].cumsum(1)
    precision = np.divide(right, said, out=np.zeros_like(right), where=said > 0)
    gained = present[:, ::-1]
    there = present.sum(1)
    return np.divide(
        (precision * gained).sum(1), there, out=np.zeros(len(there)), where=there > 0
    )


def _best_threshold(probabilities: np.ndarray, is_there: np.ndarray) -> float:
    """Halfway below the probability from which on saying the label has the best F1.

    One half where the label is in no example.
    """
    if not is_there.any():
        return 0.5
    order = np.argsort(-probabilities, kind="stable")
    ranked, right = probabilities[order], is_there[order].cumsum()
    scores = 2.0 * right / (np.arange(1, len(ranked) + 1) + is_there.sum())
    # Equal probabilities are said together.
    last = np.append(ranked[1:] < ranked[:-1], True)
    best = int(np.where(last, scores, -1.0).argmax())
    below = ranked[best + 1] if best + 1 < len(ranked) else 0.0
    return float(np.float32((ranked[best] + below) / 2))
