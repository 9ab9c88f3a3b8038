"""From encoded image to pixels: graph code that training, predict and export share."""

import tensorflow as tf


def prepare_image(contents: tf.Tensor, shape: tuple[int, int, int]) -> tf.Tensor:
    """Decodes an image (string []) and resizes it: uint8 [height, width, channels]."""
    height, width, channels = shape
    image = resize_images(decode_image(contents, channels), (height, width))
    return tf.ensure_shape(image, shape)


def decode_image(contents: tf.Tensor, channels: int) -> tf.Tensor:
    """Decodes a JPEG, PNG, BMP or GIF (first frame): uint8 [H, W, channels].

    Colour is averaged to grey by luminance, grey is repeated to colour, and an alpha
    channel is dropped. EXIF orientation is not applied.

    Args:
        contents: string [], the bytes of a file.
        channels: 1 for grey, 3 for colour.
    """
    # TensorFlow's decoders of BMP and GIF do not convert between grey and colour.
    start = tf.strings.substr(contents, 0, 2)
    converts = tf.logical_and(start != b"BM", start != b"GI")
    image = tf.cond(
        converts,
        lambda: tf.io.decode_image(contents, channels, expand_animations=False),
        lambda: _with_channels(
            tf.io.decode_image(contents, 0, expand_animations=False), channels
        ),
    )
    return tf.ensure_shape(image, (None, None, channels))


def resize_images(images: tf.Tensor, size: tuple[int, int]) -> tf.Tensor:
    """Resizes uint8 [H, W, C] or [B, H, W, C] to `size`: bilinear, antialiased, uint8.

    The result is rounded to uint8 so that a cached and a streamed example are the
    same bytes. Images that have the size already stay as they are.
    """
    height_width = images.shape[-3:-1]
    if height_width == size:
        return images

    def resized() -> tf.Tensor:
        pixels = tf.image.resize(images, size, method="bilinear", antialias=True)
        return tf.cast(tf.clip_by_value(tf.round(pixels), 0, 255), tf.uint8)

    if height_width.is_fully_defined():
        return resized()
    fits = tf.reduce_all(tf.shape(images)[-3:-1] == size)
    return tf.cond(fits, lambda: images, resized)


def _with_channels(image: tf.Tensor, channels: int) -> tf.Tensor:
    given = tf.shape(image)[-1]
    if channels == 1:
        return tf.cond(
            given == 1,
            lambda: image,
            lambda: tf.image.rgb_to_grayscale(image[..., :3]),
        )
    return tf.cond(
        given == 1, lambda: tf.repeat(image, 3, axis=-1), lambda: image[..., :3]
    )
