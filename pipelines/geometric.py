"""Random changes to where pixels come from: crop, flip, shift, rotate.

Images are uint8 [B,H,W,C] of a static shape; what comes in from outside is black, or,
with `reflect`, the image mirrored at its border.

A compiled loop and tf.data have to agree to the last bit, and TensorFlow's optimizer
rewrites only the former: it turns divisions by constants into products, and regroups
products of constants. So there is none of these here.
"""

import functools

import numpy as np
import tensorflow as tf

from pipelines import randomness

_LOWEST_RATIO, _HIGHEST_RATIO = 3 / 4, 4 / 3


def crop_shapes(least_area: float, positions: tf.Tensor, seed: int) -> tf.Tensor:
    """Heights and widths of random resized crops of an image of area 1: float32 [k, 2].

    Area and ratio are drawn once: a side may be longer than the image's.
    """
    table = _crop_shapes(least_area)
    return randomness.from_quantiles(seed, positions, "crop shape", 1, table)[:, 0]


def crop(
    images: tf.Tensor, least_area: float, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Random resized crops, enlarged to the images' own size, bilinear: uint8.

    A batch in one operation, which takes ten times as long for a pixel as `cropping`
    does, and for small images less than its overhead.
    """
    table = _crop_quantiles(least_area, *images.shape[1:3])
    scale, slack, start = tf.unstack(
        randomness.from_quantiles(seed, positions, "crop shape", 1, table)[:, 0], axis=1
    )
    corner = randomness.uniform(seed, positions, "crop", 2) * slack + start
    zero = tf.zeros_like(scale[:, 0])
    transforms = tf.stack(
        [
            *(scale[:, 1], zero, corner[:, 1]),
            *(zero, scale[:, 0], corner[:, 0]),
            *(zero, zero),
        ],
        axis=1,
    )
    pixels = _transformed(images, transforms, "NEAREST")
    return tf.cast(tf.round(pixels), tf.uint8)


def mirrored_at(positions: tf.Tensor, seed: int) -> tf.Tensor:
    """Whether the image at each of `positions` is mirrored, half of them: bool [k]."""
    return randomness.uniform(seed, positions, "flip", 1)[:, 0] < 0.5


def mirror(images: tf.Tensor, mirrored: tf.Tensor) -> tf.Tensor:
    """Mirrors left and right where `mirrored`, bool [B], says so; the dtype stays."""
    _, height, width, channels = images.shape
    # TensorFlow reverses the second of three dimensions ten times as fast as others.
    rows = tf.reverse(tf.reshape(images, [-1, width, channels]), [1])
    turned = tf.reshape(rows, [-1, height, width, channels])
    return tf.where(mirrored[:, None, None, None], turned, images)


def shift(
    images: tf.Tensor,
    mirrored: tf.Tensor | None,
    distance: int,
    reflect: bool,
    positions: tf.Tensor,
    seed: int,
) -> tf.Tensor:
    """Mirrors where `mirrored`, bool [B], and shifts by up to `distance`: uint8.

    One gather does both: of whole pixels, from images with a border. A reflected border
    does not repeat the outermost pixels, as in NumPy's "reflect".
    """
    height, width, channels = images.shape[1:]
    columns = tf.range(width)[None]
    if mirrored is not None:
        columns = tf.where(mirrored[:, None], width - 1 - columns, columns)
    drawn = randomness.uniform(seed, positions, "translate", 2)
    offsets = tf.cast(drawn * (2 * distance + 1), tf.int32)
    rows = tf.range(height)[None] + offsets[:, :1]
    columns = columns + offsets[:, 1:]
    if reflect:
        rows = _reflected(rows - distance, height)
        columns = _reflected(columns - distance, width)
    else:
        border = [distance, distance]
        images = tf.pad(images, [[0, 0], border, border, [0, 0]])
    padded_height, padded_width = images.shape[1:3]
    starts = tf.range(tf.shape(positions)[0])[:, None] * padded_height
    indices = ((starts + rows) * padded_width)[:, :, None] + columns[:, None, :]
    return tf.gather(tf.reshape(images, [-1, channels]), indices)


def _reflected(indices: tf.Tensor, size: int) -> tf.Tensor:
    """Of pixels in a row that goes on mirrored at both ends: those from 0 to size - 1.

    However far out they are: int32.
    """
    period = max(2 * (size - 1), 1)
    indices = tf.math.floormod(indices, period)
    return tf.minimum(indices, period - indices)


def rotate(
    images: tf.Tensor, degrees: float, reflect: bool, positions: tf.Tensor, seed: int
) -> tf.Tensor:
    """Rotates about the centre by -`degrees` to `degrees`, bilinear: float32."""
    table = _rotation_quantiles(degrees, *images.shape[1:3])
    drawn = randomness.from_quantiles(seed, positions, "rotate", 1, table)
    return _transformed(images, drawn[:, 0], "REFLECT" if reflect else "CONSTANT")


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
def _crop_shapes(least_area: float) -> np.ndarray:
    """Heights and widths of crops of an image of area 1: float32 [QUANTILES, 2].

    The area is uniform, the logarithm of the ratio of width to height too: a Hammersley
    set, whose second coordinate is the first one's index with its 16 bits reversed.
    """
    levels = randomness.quantile_levels()
    area = least_area + (1 - least_area) * levels
    bits = np.unpackbits(np.arange(len(levels), dtype=">u2").view(np.uint8))
    order = np.packbits(bits.reshape(-1, 16)[:, ::-1]).view(">u2")
    low, high = np.log(_LOWEST_RATIO), np.log(_HIGHEST_RATIO)
    ratio = np.exp(low + (high - low) * levels[order])
    return np.sqrt(np.stack([area / ratio, area * ratio], 1)).astype(np.float32)


@functools.cache
def _crop_quantiles(least_area: float, height: int, width: int) -> np.ndarray:
    """Scale, slack of the corner and first corner: float32 [QUANTILES, 3, 2].

    Each for y and x. The centre of output pixel x, at x + 1/2, comes from
    left + (x + 1/2) × scale of the image; ImageProjectiveTransform counts from 0.
    """
    size = np.array([height, width], np.float64)
    sides = np.clip(_crop_shapes(least_area) * np.sqrt(height * width), 1, size)
    scale = sides / size
    return np.stack([scale, size - sides, scale / 2 - 0.5], 1).astype(np.float32)


@functools.cache
def _rotation_quantiles(degrees: float, height: int, width: int) -> np.ndarray:
    """Transforms of rotations by uniform angles: float32 [QUANTILES, 8]."""
    angles = np.radians(degrees) * (2 * randomness.quantile_levels() - 1)
    return _rotations(angles, height, width)


def _rotations(angles: np.ndarray, height: int, width: int) -> np.ndarray:
    """Transforms about the centre, counterclockwise by radians: float32 [k, 8]."""
    cosine, sine, zero = np.cos(angles), np.sin(angles), np.zeros_like(angles)
    y, x = (height - 1) / 2, (width - 1) / 2
    rows = [
        *(cosine, -sine, x - x * cosine + y * sine),
        *(sine, cosine, y - x * sine - y * cosine),
        *(zero, zero),
    ]
    return np.stack(rows, axis=1).astype(np.float32)
