"""How much each training example counts: weights of classes, and of a table's rows."""

import dataclasses
from typing import Any

import numpy as np

from base.errors import UserError, did_you_mean
from pipelines.config import BALANCED, DataConfig, parse_class_weights
from pipelines.sources.base import Source


@dataclasses.dataclass(frozen=True)
class ExampleWeights:
    """Weights of the training examples, 1 in the mean over the training split.

    So another unit of weights changes nothing, and the learning rate keeps its meaning.

    Attributes:
        of_examples: float32 [n], by index into the source; of use for training alone.
        of_classes: float32 [classes], for labels that are shares of classes; None
            where the examples' own weights differ.
    """

    of_examples: np.ndarray
    of_classes: np.ndarray | None = None


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
        by_class = _class_weights(config, source, train)
        weights = weights * by_class[source.targets]
    mean = weights[train].mean()
    of_classes = None
    if by_class is not None and source.weights is None:
        of_classes = (by_class / mean).astype(np.float32)
    return ExampleWeights((weights / mean).astype(np.float32), of_classes)


def describe_weights(
    weights: ExampleWeights, source: Source, train: np.ndarray
) -> dict[str, Any]:
    """What dataset.json says of them: plain JSON values."""
    used = weights.of_examples[train]
    described: dict[str, Any] = {"least": float(used.min()), "most": float(used.max())}
    if weights.of_classes is not None:
        names = source.features.classes
        values = [float(value) for value in weights.of_classes]
        described["classes"] = dict(zip(names, values, strict=True))
    return described


def _class_weights(config: DataConfig, source: Source, train: np.ndarray) -> np.ndarray:
    """The weight of each class: float64 [classes].

    `balanced` is the mean number of examples of a class over the class's own, as in
    scikit-learn (King and Zeng 2001): all classes together weigh the same.
    """
    assert config.class_weights is not None
    names = source.features.classes
    if not names:
        raise UserError(
            f"--class_weights={config.class_weights}: {source.name} has no classes but "
            "values; leave it out."
        )
    if config.class_weights == BALANCED:
        counts = np.bincount(source.targets[train], minlength=len(names))
        return len(train) / (len(names) * np.maximum(counts, 1.0))
    weights = np.ones(len(names))
    for name, weight in parse_class_weights(config.class_weights).items():
        if name not in names:
            raise UserError(
                f"--class_weights={config.class_weights}: {source.name} has no class "
                f"{name!r}{did_you_mean(name, names)}. It has {', '.join(names[:20])}."
            )
        weights[names.index(name)] = weight
    return weights
