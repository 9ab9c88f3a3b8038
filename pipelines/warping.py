"""Random changes to where pixels come from: crop, flip, shift, rotate.

Images are uint8 [B,H,W,C] of a static shape; what comes in from outside is black.
"""

import functools

import numpy as np
import tensorflow as tf

from pipelines import randomness

_LOWEST_RATIO, _HIGHEST_RATIO = 3 / 4, 4 / 3


def crop_box(
    least_area: float,
    positions: tf.Tensor,
    seed: int,
    height: tf.Tensor | int,
    width: tf.Tensor | int,
) -> tf.Tensor:
    """Boxes of random resized crops: float32 [k, 4], top, left, height, width.

    In pixels of an image of `height` × `width`, not rounded. Area and ratio are drawn
    once; a side longer than the image's is cut to it.
    """
    height, width = tf.cast(height, tf.float32), tf.cast(width, tf.float32)
    drawn = randomness.uniform(seed, positions, "crop", 3)
    area = (least_area + (1 - least_area) * drawn[:, 0]) * height * width
    # The square root of the ratio of width to height.
    stretch = randomness.from_quantiles(
        seed, positions, "crop ratio", 1, _stretch_quantiles()
    )[:, 0]
    side = tf.sqrt(area)
    box_height = tf.clip_by_value(side / stretch, 1.0, height)
    box_width = tf.clip_by_value(side * stretch, 1.0, width)
    top = drawn[:, 1] * (height - box_height)
    left = drawn[:, 2] * (width - box_width)
    return tf.stack([top, left, box_height, box_width], axis=1)


def crop(
    images: tf.Tensor, least_area: float, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Random resized crops, enlarged to the images' own size, bilinear: uint8."""
    height, width = images.shape[1:3]
    boxes = crop_box(least_area, positions, seed, height, width)
    top, left, box_height, box_width = tf.unstack(boxes, axis=1)
    y_scale, x_scale = box_height / height, box_width / width
    zero = tf.zeros_like(top)
    # Output pixel x, at x + 1/2, comes from left + (x + 1/2) × scale of the input.
    transforms = tf.stack(
        [
            *(x_scale, zero, left + 0.5 * x_scale - 0.5),
            *(zero, y_scale, top + 0.5 * y_scale - 0.5),
            *(zero, zero),
        ],
        axis=1,
    )
    pixels = _transformed(images, transforms, "NEAREST")
    return tf.cast(tf.round(pixels), tf.uint8)


def shift(
    images: tf.Tensor, flips: bool, distance: int, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Mirrors with probability 1/2 if `flips`, and shifts by up to `distance`: uint8.

    One gather does both: of whole pixels, from images with a black border.
    """
    height, width, channels = images.shape[1:]
    columns = tf.range(width)[None]
    if flips:
        mirrored = randomness.uniform(seed, positions, "flip", 1) < 0.5
        columns = tf.where(mirrored, width - 1 - columns, columns)
    columns = tf.broadcast_to(columns, [tf.shape(positions)[0], width])
    rows = tf.range(height)[None]
    if distance:
        drawn = randomness.uniform(seed, positions, "translate", 2)
        offsets = tf.cast(drawn * (2 * distance + 1), tf.int32)
        rows, columns = rows + offsets[:, :1], columns + offsets[:, 1:]
        border = [distance, distance]
        images = tf.pad(images, [[0, 0], border, border, [0, 0]])
    padded_height, padded_width = images.shape[1:3]
    starts = tf.range(tf.shape(positions)[0])[:, None] * padded_height
    indices = ((starts + rows) * padded_width)[:, :, None] + columns[:, None, :]
    return tf.gather(tf.reshape(images, [-1, channels]), indices)


def rotate(
    images: tf.Tensor, degrees: float, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Rotates about the centre by -`degrees` to `degrees`, bilinear: float32."""
    height, width = images.shape[1:3]
    drawn = randomness.from_quantiles(
        seed, positions, "rotate", 1, _rotation_quantiles(degrees)
    )
    cosine, sine = drawn[:, 0, 0], drawn[:, 0, 1]
    y, x = (height - 1) / 2, (width - 1) / 2
    zero = tf.zeros_like(cosine)
    transforms = tf.stack(
        [
            *(cosine, -sine, x - x * cosine + y * sine),
            *(sine, cosine, y - x * sine - y * cosine),
            *(zero, zero),
        ],
        axis=1,
    )
    return _transformed(images, transforms, "CONSTANT")


def _transformed(images: tf.Tensor, transforms: tf.Tensor, fill: str) -> tf.Tensor:
    """Bilinear look-up at transformed coordinates: float32 [B,H,W,C]."""
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=tf.cast(images, tf.float32),
        transforms=transforms,
        output_shape=images.shape[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode=fill,
    )


@functools.cache
def _stretch_quantiles() -> np.ndarray:
    """Square roots of ratios whose logarithm is uniform: float32 [QUANTILES]."""
    low, high = np.log(_LOWEST_RATIO), np.log(_HIGHEST_RATIO)
    ratios = np.exp(low + (high - low) * randomness.quantile_levels())
    return np.sqrt(ratios).astype(np.float32)


@functools.cache
def _rotation_quantiles(degrees: float) -> np.ndarray:
    """Cosine and sine of uniform angles: float32 [QUANTILES, 2]."""
    angles = np.radians(degrees) * (2 * randomness.quantile_levels() - 1)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
