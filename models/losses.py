"""What is minimised: a loss of each example, so that padding can weigh nothing."""

from collections.abc import Callable

import tensorflow as tf

from base.errors import UserError
from models.config import LossConfig
from models.spec import Outputs

PerExampleLoss = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]


def per_example_loss(config: LossConfig, outputs: Outputs) -> PerExampleLoss:
    """A function from (labels, predictions) to the loss of each example, float32 [B].

    Labels are classes, int [B], or shares of classes, float32 [B, classes], as mixup
    makes them; for regression, values, float32 [B, size], or [B] for one target.
    Predictions are a model's outputs, float32 [B, size].

    Regression losses are taken in units of the targets' standard deviations, so that
    no choice of unit changes the training, and averaged over the targets.

    Raises:
        UserError: A loss that does not fit the task.
    """
    name = resolved_loss(config, outputs)
    if name == "cross_entropy":
        return _cross_entropy(outputs.size, config.label_smoothing)
    return _regression(_OF_ERRORS[name], outputs)


def resolved_loss(config: LossConfig, outputs: Outputs) -> str:
    """The loss's name, with auto decided by the task."""
    is_classification = outputs.task == "classification"
    if config.loss == "auto":
        if config.label_smoothing and not is_classification:
            raise UserError(
                f"--label_smoothing={config.label_smoothing} for regression: expected "
                "classes; leave it out"
            )
        return "cross_entropy" if is_classification else "mse"
    if is_classification != (config.loss == "cross_entropy"):
        expected = "cross_entropy" if is_classification else "mae, mse or huber"
        raise UserError(
            f"--loss={config.loss} for {outputs.task}: expected {expected}, or auto"
        )
    return config.loss


def as_targets(labels: tf.Tensor, size: int) -> tf.Tensor:
    """Regression labels [B] or [B, size] as float32 [B, size]."""
    return tf.reshape(tf.cast(labels, tf.float32), [-1, size])


def _cross_entropy(classes: int, smoothing: float) -> PerExampleLoss:
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


def _regression(
    of_errors: Callable[[tf.Tensor], tf.Tensor], outputs: Outputs
) -> PerExampleLoss:
    def loss(labels: tf.Tensor, predictions: tf.Tensor) -> tf.Tensor:
        errors = tf.cast(predictions, tf.float32) - as_targets(labels, outputs.size)
        if outputs.std:
            errors = errors / tf.constant(outputs.std, tf.float32)
        return tf.reduce_mean(of_errors(errors), axis=-1)

    return loss


def _huber(errors: tf.Tensor) -> tf.Tensor:
    """Huber's loss with its bend at one standard deviation."""
    size = tf.abs(errors)
    return tf.where(size <= 1.0, 0.5 * tf.square(errors), size - 0.5)


_OF_ERRORS = {"mae": tf.abs, "mse": tf.square, "huber": _huber}
