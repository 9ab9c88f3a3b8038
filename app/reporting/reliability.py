"""Whether probabilities mean what they say: the reliability diagram, and its error."""

import dataclasses
import pathlib

import numpy as np

from app.reporting import canvas
from app.reporting.predictions import SplitPredictions
from models.intervals import wilson_95

BINS = 15


@dataclasses.dataclass(frozen=True)
class Reliability:
    """Confidence against accuracy, in bins of equal width over [0, 1].

    Attributes:
      examples: int64 [bins].
      correct: int64 [bins].
      confidence: float64 [bins], the mean in each bin; 0 where a bin is empty.
      error: the expected calibration error, 0 to 1.
    """

    examples: np.ndarray
    correct: np.ndarray
    confidence: np.ndarray
    error: float


def measure(
    labels: np.ndarray, probabilities: np.ndarray, bins: int = BINS
) -> Reliability:
    """Reliability of the predicted class's probability.

    C. Guo et al., "On calibration of modern neural networks", ICML 2017: the
    calibration error is the mean over examples of |accuracy - confidence| of their bin.

    Args:
      labels: int64 [n] classes.
      probabilities: float [n, classes].
      bins: how many.
    """
    confidence = probabilities.max(1).astype(np.float64)
    right = probabilities.argmax(1) == labels
    # Bins are open on the left, so that a probability of 1 falls into the last.
    which = np.clip(np.ceil(confidence * bins).astype(np.int64) - 1, 0, bins - 1)
    examples = np.bincount(which, minlength=bins)
    correct = np.bincount(which, weights=right, minlength=bins).astype(np.int64)
    sums = np.bincount(which, weights=confidence, minlength=bins)
    error = float(np.abs(correct - sums).sum() / max(len(labels), 1))
    return Reliability(examples, correct, sums / np.maximum(examples, 1), error)


def draw(
    predictions: SplitPredictions, split: str, folder: pathlib.Path
) -> pathlib.Path:
    """Draws accuracy over confidence, and below it how many examples stand behind."""
    found = measure(predictions.labels, predictions.outputs)
    figure = canvas.new_figure(6.0, 6.5)
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    title = f"Reliability, {split}: calibration error {found.error:.1%}"
    canvas.plain_axes(upper, title, "", "Accuracy")
    upper.plot([0, 1], [0, 1], color=canvas.GREY, linestyle="--", label="calibrated")
    filled = np.flatnonzero(found.examples)
    accuracy = found.correct[filled] / found.examples[filled]
    intervals = np.array(
        [wilson_95(found.correct[i], found.examples[i]) for i in filled]
    ).reshape(-1, 2)
    spread = np.abs(intervals.T - accuracy)
    upper.errorbar(
        found.confidence[filled],
        accuracy,
        yerr=spread,
        fmt="o-",
        color=canvas.BLUE,
        capsize=2,
        label="accuracy, with its 95 % interval",
    )
    upper.set_ylim(-0.02, 1.02)
    figure.legend(loc="outside lower center", ncols=2, frameon=False)
    canvas.plain_axes(lower, "", "Confidence: the predicted class's probability", "")
    lower.set_ylabel("Examples")
    edges = (np.arange(len(found.examples)) + 0.5) / len(found.examples)
    lower.bar(edges, found.examples, 0.9 / len(edges), color=canvas.BLUE)
    # Most examples lie in the last bin; the others should be seen as well.
    lower.set_yscale("symlog", linthresh=10)
    lower.set_ylim(bottom=0)
    lower.set_xlim(0, 1.02)
    return canvas.save(figure, folder / f"{split}_reliability.png")
