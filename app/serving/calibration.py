"""A temperature, so that probabilities mean what they say.

C. Guo et al., "On calibration of modern neural networks", ICML 2017,
https://arxiv.org/abs/1706.04599: logits are divided by one number, which minimises the
likelihood loss of a split that the model was not trained on.
"""

import dataclasses

import numpy as np
import scipy.optimize
import scipy.special

from app.reporting import reliability

_BOUNDS = (np.log(0.05), np.log(20.0))


@dataclasses.dataclass(frozen=True)
class Calibration:
    """A temperature and what it does to the expected calibration error.

    Attributes:
      temperature: logits are divided by it; above 1 for a model too sure of itself.
      error_before: the calibration error with a temperature of 1, 0 to 1.
      error_after: that of the temperature, on the split that it was fitted on.
      loss_before: cross entropy with a temperature of 1, nats an example.
      loss_after: with the temperature.
      examples: of the split.
    """

    temperature: float
    error_before: float
    error_after: float
    loss_before: float
    loss_after: float
    examples: int


def fit(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Fits a temperature.

    Args:
      logits: float32 [n, classes], of examples not trained on.
      labels: int64 [n] classes.
    """
    logits = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return cross_entropy(logits / np.exp(log_temperature), labels)

    found = scipy.optimize.minimize_scalar(loss, bounds=_BOUNDS, method="bounded")
    # One that is no better than none would only be noise.
    temperature = float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0
    return Calibration(
        temperature=temperature,
        error_before=calibration_error(logits, labels),
        error_after=calibration_error(logits / temperature, labels),
        loss_before=loss(0.0),
        loss_after=loss(float(np.log(temperature))),
        examples=len(labels),
    )


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross entropy, nats: logits [n, classes], labels int64 [n]."""
    chosen = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return float(np.mean(scipy.special.logsumexp(logits, axis=1) - chosen))


def calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error, 0 to 1: logits [n, classes], labels int64 [n]."""
    return reliability.measure(labels, scipy.special.softmax(logits, axis=1)).error
