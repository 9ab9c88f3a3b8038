"""How much each training example counts: weights of classes, and of a table's rows."""

import dataclasses
from typing import Any

import numpy as np

from pipelines.config import DataConfig
from pipelines.features.targets import TargetWeights
from pipelines.sources.base import Source


@dataclasses.dataclass(frozen=True)
class ExampleWeights:
    """Weights of the training examples, 1 in the mean over the training split.

    So another unit of weights changes nothing, and the learning rate keeps its meaning.

    Attributes:
        of_examples: float32 [n], by index into the source; of use for training alone.
        of_classes: for labels that are shares of classes; None where the examples' own
            weights differ.
    """

    of_examples: np.ndarray
    of_classes: TargetWeights | None = None


def example_weights(
    config: DataConfig, source: Source, train: np.ndarray
) -> ExampleWeights | None:
    """What `--class_weights` and `--weights` give, or None where neither is given.

    Args:
        config: of the data.
        source: examined.
        train: indices of the training split.

    Raises:
        UserError: the flags do not suit the data.
    """
    if config.class_weights is None and source.weights is None:
        return None
    weights = np.ones(len(source)) if source.weights is None else source.weights
    weights = weights.astype(np.float64)
    by_class = None
    if config.class_weights is not None:
        by_class = source.features.target.class_weights(
            config.class_weights, source.read_targets(train), source.name
        )
        everything = np.arange(len(source))
        weights = weights * by_class.of(source.read_targets(everything))
    mean = weights[train].mean()
    of_classes = None
    if by_class is not None and source.weights is None:
        of_classes = by_class.scaled(mean)
    return ExampleWeights((weights / mean).astype(np.float32), of_classes)


def describe_weights(weights: ExampleWeights, train: np.ndarray) -> dict[str, Any]:
    """What dataset.json says of them: plain JSON values."""
    used = weights.of_examples[train]
    described: dict[str, Any] = {"least": float(used.min()), "most": float(used.max())}
    if weights.of_classes is not None:
        described["classes"] = weights.of_classes.by_name()
    return described
