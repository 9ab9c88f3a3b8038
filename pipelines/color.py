"""Random changes to what values pixels have: brightness, noise, cutout, mixup.

Images are [B,H,W,C] from 0 to 255, uint8 or float32, and stay in that range.
"""

import functools
from typing import Any

import numpy as np
import tensorflow as tf

from pipelines import randomness

_MID_GREY = 128


def brighten(
    images: tf.Tensor, fraction: float, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Adds a number from -255 × `fraction` to 255 × `fraction`: float32."""
    drawn = _centred(seed, positions, "brightness")
    return _clipped(tf.cast(images, tf.float32) + drawn * (255 * fraction))


def contrast(
    images: tf.Tensor, fraction: float, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Stretches about the image's mean by 1 - `fraction` to 1 + `fraction`: float32."""
    pixels = tf.cast(images, tf.float32)
    # Summed as integers: a sum of floats depends on the size of the batch.
    total = tf.reduce_sum(tf.cast(tf.round(pixels), tf.int64), [1, 2, 3], keepdims=True)
    values = images.shape[1] * images.shape[2] * images.shape[3]
    mean = tf.cast(total, tf.float32) * np.float32(1 / values)
    factor = 1 + fraction * _centred(seed, positions, "contrast")
    return _clipped((pixels - mean) * factor + mean)


def add_noise(
    images: tf.Tensor, deviation: float, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Adds normal noise of standard deviation `deviation` to each value: float32."""
    shape = images.shape[1:]
    noise = randomness.normal(seed, positions, "noise", shape.num_elements())
    noise = tf.reshape(noise, [-1, *shape])
    return _clipped(tf.cast(images, tf.float32) + noise * deviation)


def cut_out(images: tf.Tensor, side: int, positions: tf.Tensor, seed: int) -> tf.Tensor:
    """Sets a square of `side` pixels to 128, centred anywhere; the dtype stays."""
    channels = images.shape[3]
    inside = []
    drawn = randomness.uniform(seed, positions, "cutout", 2)
    for axis, length in enumerate(images.shape[1:3]):
        start = tf.cast(drawn[:, axis, None] * length, tf.int32) - side // 2
        line = tf.range(length)[None]
        inside.append((line >= start) & (line < start + side))
    rows, columns = inside
    # Without a last dimension to broadcast along, `where` takes a third of the time.
    columns = tf.repeat(columns, channels, axis=1)
    square = rows[:, :, None] & columns[:, None, :]
    merged = tf.reshape(images, tf.shape(square))
    greyed = tf.where(square, tf.cast(_MID_GREY, images.dtype), merged)
    return tf.reshape(greyed, [-1, *images.shape[1:]])


def mix(batch: Any, alpha: float, positions: tf.Tensor, seed: int) -> Any:
    """Mixes neighbours (2k, 2k + 1) in every part of a batch: a nest of float32 [B, …].

    Both of a pair keep the share that the first one drew, so that labels add up to what
    they did before.
    """
    drawn = randomness.from_quantiles(
        seed, positions[::2], "mixup", 1, _beta_quantiles(alpha)
    )
    share = tf.repeat(drawn[:, 0], 2)
    partners = tf.bitwise.bitwise_xor(tf.range(tf.shape(positions)[0]), 1)

    def mixed(values: tf.Tensor) -> tf.Tensor:
        partner = tf.gather(values, partners)
        weight = tf.reshape(share, [-1] + [1] * (values.shape.rank - 1))
        return values * weight + partner * (1 - weight)

    return tf.nest.map_structure(mixed, batch)


@functools.cache
def _beta_quantiles(alpha: float) -> np.ndarray:
    from scipy import special

    levels = randomness.quantile_levels()
    return special.betaincinv(alpha, alpha, levels).astype(np.float32)


def _centred(seed: int, positions: tf.Tensor, draw: str) -> tf.Tensor:
    """Uniform numbers in [-1, 1): float32 [B, 1, 1, 1]."""
    drawn = randomness.uniform(seed, positions, draw, 1)
    return (2 * drawn - 1)[:, :, None, None]


def _clipped(pixels: tf.Tensor) -> tf.Tensor:
    return tf.clip_by_value(pixels, 0.0, 255.0)
