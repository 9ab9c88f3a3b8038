"""What the patches of training images are like: their mean and covariance."""

from typing import Any

import numpy as np

from base.errors import UserError
from pipelines.dataset import Dataset
from pipelines.features import Image

# Pixels looked at, of images evenly spread over the training split.
_PIXELS = 5_000_000
_IMAGES_AT_ONCE = 500


def patch_statistics(dataset: Dataset, size: int) -> dict[str, Any]:
    """Mean and covariance of `size` x `size` patches of the training split.

    Of raw pixel values, in the order (row, column, channel). Sums are of whole numbers
    below 2**53, so exact: no number of threads changes a bit.

    Returns:
        `size`, `mean` [d] and `covariance` [d, d], plain JSON values.

    Raises:
        UserError: the examples are no images, or smaller than a patch.
    """
    if not isinstance(dataset.features.input, Image):
        raise UserError(
            f"--whitening={size}: {dataset.source.name} holds no images; leave "
            "--whitening out."
        )
    height, width = dataset.features.input.size
    if min(height, width) < size:
        raise UserError(
            f"--whitening={size}: the images are of {height}x{width} pixels; expected "
            "patches no larger."
        )
    examples = len(dataset.splits["train"])
    count = min(examples, max(1, _PIXELS // (height * width)))
    chosen = np.arange(count) * examples // count
    products, patches = np.zeros((1, 1)), 0
    for first in range(0, count, _IMAGES_AT_ONCE):
        at_once = chosen[first : first + _IMAGES_AT_ONCE]
        rows = _patches(dataset.examples("train", at_once).inputs, size)
        # A column of ones, so that the products hold the sums too.
        rows = np.concatenate([rows, np.ones((len(rows), 1))], axis=1)
        products, patches = products + rows.T @ rows, patches + len(rows)
    mean = products[-1, :-1] / patches
    covariance = products[:-1, :-1] / patches - np.outer(mean, mean)
    return {"size": size, "mean": mean.tolist(), "covariance": covariance.tolist()}


def _patches(images: np.ndarray, size: int) -> np.ndarray:
    """All patches of uint8 [k,H,W,C]: float64 [patches, size * size * C]."""
    windows = np.lib.stride_tricks.sliding_window_view(images, (size, size), (1, 2))
    ordered = np.moveaxis(windows, 3, 5)  # to k, y, x, row, column, channel
    return ordered.reshape(-1, size * size * images.shape[3]).astype(np.float64)
