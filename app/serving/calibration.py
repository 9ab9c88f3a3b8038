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

_LOWEST, _HIGHEST = 0.05, 20.0
# Of the logarithm: an optimum so near to a bound is the bound.
_AT_BOUND = 0.01


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
      unfitted: why no temperature was fitted and it is 1; empty where one was.
    """

    temperature: float
    error_before: float
    error_after: float
    loss_before: float
    loss_after: float
    examples: int
    unfitted: str = ""


def fit(logits: np.ndarray, labels: np.ndarray) -> Calibration:
    """Fits a temperature, if the examples tell one.

    Without a single mistake they do not: the likelihood grows for ever as the
    temperature falls to 0, which would turn every probability into 1 on the word of so
    many examples. The same is true of any other optimum at a bound.

    Args:
      logits: float32 [n, classes], of examples not trained on.
      labels: int64 [n] classes.
    """
    logits = logits.astype(np.float64)

    def loss(log_temperature: float) -> float:
        return cross_entropy(logits / np.exp(log_temperature), labels)

    bounds = (np.log(_LOWEST), np.log(_HIGHEST))
    found = scipy.optimize.minimize_scalar(loss, bounds=bounds, method="bounded")
    temperature, unfitted = float(np.exp(found.x)), ""
    if np.all(logits.argmax(1) == labels):
        unfitted = f"there is no mistake among the {len(labels)} validation examples"
    elif min(found.x - bounds[0], bounds[1] - found.x) < _AT_BOUND:
        unfitted = (
            f"the best one is not between {_LOWEST:g} and {_HIGHEST:g} for the"
            f" {len(labels)} validation examples"
        )
    elif found.fun >= loss(0.0):
        unfitted = "none lowers the loss of the validation examples"
    temperature = 1.0 if unfitted else temperature
    return Calibration(
        temperature=temperature,
        error_before=calibration_error(logits, labels),
        error_after=calibration_error(logits / temperature, labels),
        loss_before=loss(0.0),
        loss_after=loss(float(np.log(temperature))),
        examples=len(labels),
        unfitted=unfitted,
    )


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> float:
    """Mean cross entropy, nats: logits [n, classes], labels int64 [n]."""
    chosen = np.take_along_axis(logits, labels[:, None], axis=1)[:, 0]
    return float(np.mean(scipy.special.logsumexp(logits, axis=1) - chosen))


def calibration_error(logits: np.ndarray, labels: np.ndarray) -> float:
    """Expected calibration error, 0 to 1: logits [n, classes], labels int64 [n]."""
    return reliability.measure(labels, scipy.special.softmax(logits, axis=1)).error
