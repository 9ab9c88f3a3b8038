"""Whether data and flags fit each other, and what the data is once they do."""

import dataclasses

import numpy as np

from base.errors import UserError
from pipelines import augmentation as augmentations
from pipelines.augmentation import Augmentation
from pipelines.config import OVERSAMPLE, DataConfig
from pipelines.features import ExampleSpec
from pipelines.sources.base import Source


def final_features(source: Source, config: DataConfig) -> ExampleSpec:
    """The source's features after resizing: with a complete shape.

    Raises:
        UserError: the size is missing, too large, or asked of what are no images.
    """
    features = source.features
    resized = features.input.resized(config.image_size, source.name, config.max_pixels)
    return dataclasses.replace(features, input=resized)


def check_training(config: DataConfig, source: Source, train: np.ndarray) -> None:
    """Checks the training examples of `source`, and the flags that concern them.

    Args:
        config: of the data.
        source: examined.
        train: indices of the training split.

    Raises:
        UserError: a batch is of more than all, there are no classes to balance, or
            nothing can be learnt of an input.
    """
    examples = len(train)
    features = source.features
    if config.balance == OVERSAMPLE:
        flag = f"--balance={config.balance}"
        features.target.balance(source.read_targets(train), flag, source.name)
    if config.batch_size > examples:
        raise UserError(
            f"--batch_size={config.batch_size} is larger than the {examples} training "
            f"examples of {config.dataset}; expected at most {examples}."
        )
    features.input.check_training(lambda: source.read(train), source.name)


def check_augmentation(
    augmentation: Augmentation, config: DataConfig, source: Source, *, originals: bool
) -> None:
    """Checks that the examples can be augmented as asked.

    Args:
        augmentation: what is asked for.
        config: of the data.
        source: of the examples.
        originals: whether crops are cut from images before they are resized.

    Raises:
        UserError: they cannot.
    """
    if augmentation == augmentations.NONE:
        return
    source.features.input.check_augmentation(f"--augment={config.augment}", source.name)
    if augmentation.mixup and config.batch_size % 2:
        raise UserError(
            f"--batch_size={config.batch_size}: mixup pairs the examples of a batch; "
            "expected an even batch size."
        )
    if augmentation.crop and originals and config.cache == "memory":
        raise UserError(
            "--cache=memory with --augment=crop: crops are cut from the original "
            "images, which are not kept in memory; use --cache=auto, or images of one "
            "size without --image_size."
        )
