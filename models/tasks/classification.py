"""One of several classes: logits, cross entropy, accuracy, probabilities."""

import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import keras
import numpy as np
import scipy.special
import tensorflow as tf

from base.errors import UserError
from models.intervals import wilson_95
from models.losses import PerExampleLoss
from models.metrics import LOSS, Metric, total
from models.spec import Outputs
from models.tasks.base import Answers, AnswerSpec, Difference, Task

_TOP = 5


def cross_entropy(outputs: Outputs, smoothing: float = 0.0) -> PerExampleLoss:
    """Softmax cross entropy of logits, nats.

    Labels are classes, int [B], or shares of classes, float32 [B, classes], as mixup
    makes them.
    """
    classes = outputs.size

    def loss(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        logits = tf.cast(predictions, tf.float32)
        if labels.dtype.is_integer and not smoothing:
            return tf.nn.sparse_softmax_cross_entropy_with_logits(labels, logits)
        shares = (
            tf.one_hot(labels, classes)
            if labels.dtype.is_integer
            else tf.cast(labels, tf.float32)
        )
        # Szegedy et al. 2016, section 7, https://arxiv.org/abs/1512.00567
        shares = shares * (1.0 - smoothing) + smoothing / classes
        return tf.nn.softmax_cross_entropy_with_logits(shares, logits)

    return loss


def _accuracy_95(sums: Mapping[str, float]) -> tuple[float, float]:
    return wilson_95(round(sums["correct"]), round(sums["examples"]))


@dataclasses.dataclass(frozen=True)
class Classification(Task):
    """Outputs are logits; labels int64 [B] classes, or float32 [B, classes] shares.

    A prediction is right if its highest logit is at the label, or at the highest of the
    label's shares.
    """

    name = "classification"
    targets = ("class_label",)
    losses: ClassVar = {"cross_entropy": cross_entropy}
    monitor = headline = "accuracy"
    quality = Metric("accuracy", "Accuracy", "max")
    smooths_labels = calibrates = owes_logits = True
    outputs_are = "classes"

    def check_outputs(self) -> None:
        """Raises UserError where there is nothing to tell apart."""
        if self.outputs.size < 2:
            raise UserError(
                f"classification with {self.outputs.size} outputs: expected at least "
                "2 classes"
            )

    def head(self) -> list[Any]:
        """Logits."""
        return [keras.layers.Dense(self.outputs.size, dtype="float32", name="logits")]

    def smoothed_loss(self, name: str, smoothing: float) -> PerExampleLoss:
        """Cross entropy of smoothed labels."""
        del name  # there is one
        return cross_entropy(self.outputs, smoothing)

    @property
    def _has_top(self) -> bool:
        return self.outputs.size > _TOP

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """Loss, accuracy, and top-5 accuracy where there are more than 5 classes."""
        accuracy = Metric("accuracy", "Accuracy", "max", interval=_accuracy_95)
        top = (Metric("top5_accuracy", "Top-5 accuracy", "max"),)
        return (LOSS, accuracy, *(top if self._has_top else ()))

    @property
    def sum_names(self) -> tuple[str, ...]:
        """The names of the sums."""
        return ("correct", *(("top5_correct",) if self._has_top else ()))

    def sums(
        self, labels: tf.Tensor, outputs: tf.Tensor, weights: tf.Tensor
    ) -> dict[str, tf.Tensor]:
        """A batch's right predictions; see `Task.sums`."""
        if not labels.dtype.is_integer:
            labels = tf.argmax(labels, axis=-1)
        labels = tf.cast(labels, tf.int64)
        correct = tf.equal(tf.argmax(outputs, axis=-1), labels)
        sums = {"correct": total(correct, weights)}
        if self._has_top:
            top = tf.math.in_top_k(labels, tf.cast(outputs, tf.float32), _TOP)
            sums["top5_correct"] = total(top, weights)
        return sums

    def results(self, sums: Mapping[str, float]) -> dict[str, float]:
        """accuracy and top5_accuracy, in [0, 1]."""
        examples = float(sums["examples"])
        results = {"accuracy": float(sums["correct"]) / examples}
        if self._has_top:
            results["top5_accuracy"] = float(sums["top5_correct"]) / examples
        return results

    @property
    def answer_specs(self) -> dict[str, AnswerSpec]:
        """probabilities [B, classes], and the likeliest class: class_id [B]."""
        return {
            "probabilities": AnswerSpec("float32", (self.outputs.size,)),
            "class_id": AnswerSpec("int64"),
        }

    def answers(self, outputs: tf.Tensor, temperature: float = 1.0) -> Answers:
        """Probabilities and the likeliest class.

        The temperature is that of Guo et al. 2017, https://arxiv.org/abs/1706.04599,
        section 4.2.
        """
        return {
            "probabilities": tf.nn.softmax(outputs / temperature),
            "class_id": tf.argmax(outputs, axis=-1),
        }

    def expected_answers(
        self, outputs: np.ndarray, temperature: float = 1.0
    ) -> dict[str, np.ndarray]:
        """The same by NumPy and SciPy."""
        logits = outputs.astype(np.float64) / temperature
        return {
            "probabilities": scipy.special.softmax(logits, axis=-1).astype(np.float32),
            "class_id": outputs.argmax(-1).astype(np.int64),
        }

    def difference(
        self,
        expected: Mapping[str, np.ndarray],
        found: Mapping[str, np.ndarray],
        tolerance: float,
    ) -> Difference:
        """The largest difference of a probability."""
        probabilities = found["probabilities"].astype(np.float64)
        rows = np.abs(probabilities - expected["probabilities"]).max(-1)
        chosen = np.take_along_axis(probabilities, found["class_id"][:, None], 1)[:, 0]
        wrong = chosen < probabilities.max(1) - tolerance
        if wrong.any():
            return Difference(np.where(wrong, np.inf, rows), "class_id")
        return Difference(rows, "probabilities")

    def score(self, answers: Mapping[str, np.ndarray], labels: np.ndarray) -> float:
        """The accuracy."""
        return float(np.mean(answers["class_id"] == labels))

    def baseline(self, labels: np.ndarray) -> np.ndarray:
        """The logarithms of the classes' shares."""
        counts = np.bincount(labels, minlength=self.outputs.size) + 1.0
        return np.log(counts / counts.sum()).astype(np.float32)

    def expected_loss(self) -> float:
        """The logarithm of the number of classes: all are as likely."""
        return float(np.log(self.outputs.size))

    def named_answers(self) -> dict[str, str]:
        """`label` names the class in `class_id`."""
        return {"label": "class_id"}
