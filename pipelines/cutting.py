"""Random resized crops for a stream that Python may take part in: OpenCV resizes them.

Boxes are those of `Cropping`, and TensorFlow decodes. What an image becomes does not
depend on the chunk that it is in.
"""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pipelines.cropping import Cropping, box_of, is_jpeg
from pipelines.resizing import resize_crops
from pipelines.sources.base import Source

# Decoded parts of a chunk are held together if each has at most so many pixels for
# every one of the result.
_LARGEST_PART = 16


def cut_arrays(
    cropping: Cropping, source: Source, positions: tf.Tensor, indices: tf.Tensor
) -> tf.Tensor:
    """Crops of a source's arrays: uint8 [k, height, width, channels].

    Args:
        cropping: what to cut.
        source: of uint8 images of one size.
        positions: int64 [k].
        indices: of the examples there, int64 [k].
    """
    height, width, channels = source.features.input.shape
    shape = (*cropping.size, channels or 0)

    def cut(indices: np.ndarray, boxes: np.ndarray, mirrored: np.ndarray) -> np.ndarray:
        parts = (
            image[top : top + height, left : left + width]
            for image, (top, left, height, width) in zip(
                source.each(indices), boxes.tolist(), strict=True
            )
        )
        return resize_crops(parts, mirrored, shape)

    drawn = cropping.draw(positions)
    boxes = box_of(drawn, tf.constant([height, width]))
    found = tf.numpy_function(
        cut, [indices, boxes, drawn.mirrored], tf.uint8, stateful=False
    )
    return tf.ensure_shape(found, [*indices.shape, *shape])


def cut_images(
    cropping: Cropping,
    contents: Sequence[tf.Tensor],
    positions: tf.Tensor,
    channels: int,
) -> tf.Tensor:
    """Crops of encoded images: uint8 [k, height, width, channels].

    Args:
        cropping: what to cut.
        contents: k images, string [].
        positions: int64 [k].
        channels: 1 for grey, 3 for colour.
    """
    drawn = cropping.draw(positions)
    shape = (*cropping.size, channels)

    are_jpegs = tf.reduce_all([is_jpeg(one) for one in contents])
    sizes = tf.cond(
        are_jpegs,
        lambda: tf.stack([tf.io.extract_jpeg_shape(one)[:2] for one in contents]),
        lambda: tf.ones([len(contents), 2], tf.int32),
    )
    boxes = box_of(drawn, sizes)

    def cut_together() -> tf.Tensor:
        parts = [
            tf.image.decode_and_crop_jpeg(one, box, channels)
            for one, box in zip(contents, tf.unstack(boxes), strict=True)
        ]
        return _resized(parts, drawn.mirrored, shape)

    def cut_one_by_one() -> tf.Tensor:
        return tf.map_fn(
            lambda one: _resized(
                [cropping.part_of(one[0], one[1], channels)],
                one[1].mirrored[None],
                shape,
            )[0],
            (tf.stack(contents), drawn),
            fn_output_signature=tf.TensorSpec(shape, tf.uint8),
        )

    together = are_jpegs & _fit_together(cropping, boxes[:, 2:])
    return tf.cond(together, cut_together, cut_one_by_one)


def _fit_together(cropping: Cropping, sides: tf.Tensor) -> tf.Tensor:
    """Whether k parts may be in memory at once, decoded in full: bool [].

    Args:
        cropping: what they are resized to.
        sides: int32 [k, 2], of the parts.
    """
    pixels = tf.reduce_prod(sides, axis=1)
    are_small = pixels <= _LARGEST_PART * cropping.size[0] * cropping.size[1]
    halved = cropping.halvings_of(sides) > 0
    return tf.reduce_all(are_small & ~halved)


def _resized(
    parts: Sequence[tf.Tensor], mirrored: tf.Tensor, shape: tuple[int, int, int]
) -> tf.Tensor:
    """What `resize_crops` makes of k parts, inside a graph: uint8 [k, *shape]."""
    found = tf.numpy_function(
        lambda mirrored, *parts: resize_crops(parts, mirrored, shape),
        [mirrored, *parts],
        tf.uint8,
        stateful=False,
    )
    return tf.ensure_shape(found, [len(parts), *shape])
