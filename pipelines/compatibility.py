"""Whether data and flags fit each other, and what the data is once they do."""

import dataclasses

import numpy as np

from base.errors import UserError
from pipelines import augmentation as augmentations
from pipelines.augmentation import Augmentation
from pipelines.config import OVERSAMPLE, DataConfig, parse_image_size
from pipelines.features import Features
from pipelines.sources.base import Source


def take_over_classes(source: Source, wanted: Features) -> None:
    """Numbers the classes of `source` as `wanted` does.

    Raises:
        UserError: it has other classes, or examples of another kind.
    """
    found = source.features
    if (found.kind, found.task) != (wanted.kind, wanted.task):
        raise UserError(
            f"{source.name} holds {found.kind} examples for {found.task}; expected "
            f"{wanted.kind} examples for {wanted.task}, as the run was trained on."
        )
    unknown = [name for name in found.classes if name not in wanted.classes]
    if unknown:
        raise UserError(
            f"{source.name} has the class {unknown[0]!r}, which the run was not "
            f"trained on; expected {', '.join(wanted.classes[:20])}."
        )
    if found.classes:
        number = np.array([wanted.classes.index(name) for name in found.classes])
        source.targets = number[source.targets].astype(np.int64)


def final_features(source: Source, config: DataConfig) -> Features:
    """The source's features after resizing: with a complete shape.

    Raises:
        UserError: the size is missing, too large, or asked of what are no images.
    """
    features = source.features
    size = parse_image_size(config.image_size)
    if features.kind != "image":
        if size:
            raise UserError(
                f"--image_size={config.image_size}: {source.name} holds no images; "
                "leave --image_size out."
            )
        return features
    height, width = size or features.shape[:2]
    if height is None or width is None:
        raise UserError(
            f"the images of {source.name} differ in size; give --image_size=N or H,W, "
            "such as 224."
        )
    if height * width > config.max_pixels:
        raise UserError(
            f"--image_size={height},{width} is more than --max_pixels="
            f"{config.max_pixels}; expected a smaller size."
        )
    return dataclasses.replace(features, shape=(height, width, features.shape[2]))


def check_training(config: DataConfig, source: Source, examples: int) -> None:
    """Checks the flags that concern so many training examples of `source`.

    Raises:
        UserError: a batch is of more than all, or there are no classes to balance.
    """
    if config.balance == OVERSAMPLE and not source.features.classes:
        raise UserError(
            f"--balance={config.balance}: {source.name} has no classes but values; "
            "leave it out."
        )
    if config.batch_size > examples:
        raise UserError(
            f"--batch_size={config.batch_size} is larger than the {examples} training "
            f"examples of {config.dataset}; expected at most {examples}."
        )


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
    if source.features.kind != "image":
        raise UserError(
            f"--augment={config.augment}: {source.name} holds no images; leave "
            "--augment out."
        )
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
