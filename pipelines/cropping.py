"""Random resized crops, cut from originals while they are decoded.

What is random is drawn for many positions in one go; what is left to do for each image
is to find its box, to decode that part, and one bilinear resize. Here all of it is done
by TensorFlow's own operations; `cutting` lets OpenCV resize, where Python may run.
"""

import dataclasses
from typing import NamedTuple

import tensorflow as tf

from pipelines import geometric, preprocessing, randomness

# Beyond this scale a bilinear resize would leave out pixels: an antialiased one takes
# five times as long, and is not needed below.
_LARGEST_SCALE = 2
# What a JPEG's own transform can divide by, for less than decoding the whole.
_JPEG_RATIOS = (1, 2, 4, 8)


class Draws(NamedTuple):
    """What is drawn for k positions, or for one where the first dimension is missing.

    Attributes:
        shape: float32 [k, 2], height and width in an image of area 1.
        corner: float32 [k, 2], in [0, 1): where the box lies in the room it has.
        mirrored: bool [k].
    """

    shape: tf.Tensor
    corner: tf.Tensor
    mirrored: tf.Tensor


@dataclasses.dataclass(frozen=True)
class Cropping:
    """Crops to one shape, as a function of the position.

    Attributes:
        least_area: share of the area that is kept at least; see `Augmentation.crop`.
        mirrors: whether half of the crops are mirrored left and right, too.
        seed: of the order.
        size: height and width of the result.
    """

    least_area: float
    mirrors: bool
    seed: int
    size: tuple[int, int]

    def draw(self, positions: tf.Tensor) -> Draws:
        """What is drawn for `positions`, int64 [k]."""
        mirrored = tf.zeros(tf.shape(positions), tf.bool)
        if self.mirrors:
            mirrored = geometric.mirrored_at(positions, self.seed)
        return Draws(
            geometric.crop_shapes(self.least_area, positions, self.seed),
            randomness.uniform(self.seed, positions, "crop", 2),
            mirrored,
        )

    def cut_encoded(
        self, contents: tf.Tensor, drawn: Draws, channels: int
    ) -> tf.Tensor:
        """The crop of an encoded image (string []): uint8 [height, width, channels]."""
        return self._finish(self.part_of(contents, drawn, channels), drawn, channels)

    def part_of(self, contents: tf.Tensor, drawn: Draws, channels: int) -> tf.Tensor:
        """The box of an encoded image (string []), not resized: uint8 [h, w, channels].

        Of a JPEG only the part is decoded, and at half, a quarter or an eighth of its
        size where that is enough.
        """
        part = tf.cond(
            is_jpeg(contents),
            lambda: self._jpeg_part(contents, drawn, channels),
            lambda: _part(preprocessing.decode_image(contents, channels), drawn),
        )
        return tf.ensure_shape(part, (None, None, channels))

    def halvings_of(self, sides: tf.Tensor) -> tf.Tensor:
        """How often boxes of `sides`, int32 [..., 2], may be halved: int32 [...]."""
        spare = tf.reduce_min(sides // tf.constant(self.size), axis=-1)
        ratios = tf.constant(_JPEG_RATIOS[1:])
        return tf.reduce_sum(tf.cast(spare[..., None] >= ratios, tf.int32), axis=-1)

    def cut(self, images: tf.Tensor, positions: tf.Tensor) -> tf.Tensor:
        """The crops of uint8 [k,H,W,C] at `positions`: uint8 [k, height, width, C]."""
        channels = images.shape[3]
        return tf.map_fn(
            lambda one: self._finish(_part(one[0], one[1]), one[1], channels),
            (images, self.draw(positions)),
            fn_output_signature=tf.TensorSpec((*self.size, channels), tf.uint8),
        )

    def _jpeg_part(self, contents: tf.Tensor, drawn: Draws, channels: int) -> tf.Tensor:
        size = tf.io.extract_jpeg_shape(contents)[:2]
        halvings = self.halvings_of(box_of(drawn, size)[2:])

        def decoded(ratio: int) -> tf.Tensor:
            # As libjpeg counts the pixels of a reduced image: rounded up.
            box = box_of(drawn, (size + (ratio - 1)) // ratio)
            return tf.image.decode_and_crop_jpeg(contents, box, channels, ratio)

        return tf.switch_case(
            halvings, [lambda ratio=ratio: decoded(ratio) for ratio in _JPEG_RATIOS]
        )

    def _finish(self, part: tf.Tensor, drawn: Draws, channels: int) -> tf.Tensor:
        limit = tf.constant(self.size) * _LARGEST_SCALE
        # Truncated by the cast below, so that it rounds: one pass fewer over it all.
        pixels = tf.cast(part, tf.float32) + 0.5

        def resized(antialias: bool) -> tf.Tensor:
            return tf.image.resize(pixels, self.size, antialias=antialias)

        found = tf.cond(
            tf.reduce_all(tf.shape(part)[:2] <= limit),
            lambda: resized(antialias=False),
            lambda: resized(antialias=True),
        )
        image = tf.cast(found, tf.uint8)
        if self.mirrors:
            image = tf.cond(
                drawn.mirrored, lambda: tf.reverse(image, [1]), lambda: image
            )
        return tf.ensure_shape(image, (*self.size, channels))


def is_jpeg(contents: tf.Tensor) -> tf.Tensor:
    """Whether an encoded image, string [], is a JPEG: bool []."""
    return tf.strings.substr(contents, 0, 2) == b"\xff\xd8"


def box_of(drawn: Draws, size: tf.Tensor) -> tf.Tensor:
    """The box in an image of `size` (int32 [2]): int32 [4], top, left, height, width.

    Or boxes [k, 4] of k draws, in images of one size or of `size` [k, 2]. A side longer
    than the image's is cut to it.
    """
    pixels = tf.cast(size, tf.float32)
    wanted = tf.round(drawn.shape * tf.sqrt(pixels[..., :1] * pixels[..., 1:]))
    sides = tf.clip_by_value(tf.cast(wanted, tf.int32), 1, size)
    room = size - sides
    corner = tf.cast(drawn.corner * tf.cast(room + 1, tf.float32), tf.int32)
    return tf.concat([tf.minimum(corner, room), sides], axis=-1)


def _part(image: tf.Tensor, drawn: Draws) -> tf.Tensor:
    box = box_of(drawn, tf.shape(image)[:2])
    begin = tf.concat([box[:2], [0]], axis=0)
    return tf.slice(image, begin, tf.concat([box[2:], [image.shape[2]]], axis=0))
