"""How many pixels an encoded image holds: read in the graph, before it is decoded.

The exported graph meets strangers' bytes, where no Python runs. `pipelines.headers`
reads the same headers for files at hand. Formats: ITU-T T.81 (JPEG), W3C PNG 11.2.2,
the GIF89a specification of CompuServe, Microsoft's BITMAPINFOHEADER.
"""

import tensorflow as tf

_HEADER_BYTES = 32
# Past the end of a GIF there are only trailers, so that a truncated one ends, too.
_GIF_PADDING = 16
_GIF_EXTENSION, _GIF_FRAME, _GIF_FRAME_HEAD = 0x21, 0x2C, 11


def require_decodable(
    contents: tf.Tensor, row: tf.Tensor, max_pixels: int
) -> tf.Tensor:
    """`contents`, once it is known to be an image that is not too large to decode.

    Args:
      contents: string [], the bytes of a file.
      row: int32 [], its place in the request, for the message.
      max_pixels: the most that is decoded.

    Raises:
      tf.errors.InvalidArgumentError: when run; names the input and the row.
    """
    text = tf.strings.as_string
    name = tf.strings.join(["image_bytes[", text(row), "] "])
    pixels = pixel_count(contents)
    no_image = [name, "is not a JPEG, PNG, BMP or GIF image (bytes: "]
    no_image += [text(tf.strings.length(contents)), ")"]
    too_large = [name, "has ", text(pixels), f" pixels; at most {max_pixels} allowed"]
    is_image = tf.debugging.Assert(pixels >= 0, [tf.strings.join(no_image)])
    fits = tf.debugging.Assert(pixels <= max_pixels, [tf.strings.join(too_large)])
    with tf.control_dependencies([is_image, fits]):
        return tf.identity(contents)


def require_rows(values: tf.Tensor, name: str) -> tf.Tensor:
    """`values`, [B, …], once B is known to be 1 or more.

    TensorFlow's convolutions fail on none, with a message about filters.

    Raises:
      tf.errors.InvalidArgumentError: when run; names the input.
    """
    some = tf.debugging.Assert(tf.shape(values)[0] > 0, [f"{name} holds no rows"])
    with tf.control_dependencies([some]):
        return tf.identity(values)


def pixel_count(contents: tf.Tensor) -> tf.Tensor:
    """Pixels that decoding `contents` (string []) fills: int64 []; -1 for no image.

    Those of all frames of an animated GIF count, each in the size of the largest:
    TensorFlow unpacks all for the first.
    """
    start = tf.strings.substr(contents, 0, 4)
    branches = {b"\xff\xd8": _jpeg, b"\x89P": _png, b"GI": _gif, b"BM": _bmp}
    kind = tf.strings.substr(start, 0, 2)
    return tf.case(
        [
            (tf.equal(kind, magic), lambda read=read: read(contents))
            for magic, read in branches.items()
        ],
        default=lambda: tf.constant(-1, tf.int64),
    )


def _jpeg(contents: tf.Tensor) -> tf.Tensor:
    size = tf.io.extract_jpeg_shape(contents, output_type=tf.int32)
    return _area(size[0], size[1])


def _png(contents: tf.Tensor) -> tf.Tensor:
    header = _bytes(contents, _HEADER_BYTES)
    powers = tf.constant([1 << 24, 1 << 16, 1 << 8, 1], tf.int64)
    width = tf.reduce_sum(header[16:20] * powers)
    height = tf.reduce_sum(header[20:24] * powers)
    return _area(height, width)


def _bmp(contents: tf.Tensor) -> tf.Tensor:
    header = _bytes(contents, _HEADER_BYTES)
    powers = tf.constant([1, 1 << 8, 1 << 16, 1 << 24], tf.int64)
    sides = [tf.reduce_sum(header[at : at + 4] * powers) for at in (18, 22)]
    # A height below 0, two's complement, says that the rows run downwards.
    width, height = (tf.minimum(side, (1 << 32) - side) for side in sides)
    return _area(height, width)


def _gif(contents: tf.Tensor) -> tf.Tensor:
    """The pixels of all frames; the size of the screen binds nobody."""
    length = tf.strings.length(contents) + _GIF_PADDING
    data = tf.io.decode_raw(contents[None], tf.uint8, fixed_length=length)[0]
    data = tf.cast(data, tf.int32)
    last = length - _GIF_FRAME_HEAD
    start = (
        13 + _colour_table(data[10]),
        tf.constant(False),
        tf.constant(True),
        tf.constant([0, 0, 0]),
    )
    *_, found = tf.while_loop(
        lambda at, within, going, found: tf.logical_and(going, at < last),
        lambda at, within, going, found: _pass_gif_block(data, at, within, found),
        start,
    )
    return tf.reduce_prod(tf.cast(found, tf.int64))


def _pass_gif_block(
    data: tf.Tensor, at: tf.Tensor, within: tf.Tensor, found: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor]:
    """Passes one sub-block, or the head of one block.

    Args:
      data: int32 [n], the file's bytes.
      at: where the sub-block or block begins.
      within: whether it is a sub-block.
      found: int32 [3], frames so far, their greatest width and their greatest height.

    Returns:
      The same for the next one, and before `found` whether there is a next one.
    """
    byte = data[at]
    is_frame = tf.logical_and(~within, byte == _GIF_FRAME)
    is_extension = tf.logical_and(~within, byte == _GIF_EXTENSION)
    frame_head = _GIF_FRAME_HEAD + _colour_table(data[at + 9])
    head = tf.where(is_frame, frame_head, 2)
    at_next = at + tf.where(within, byte + 1, head)
    # Where there is no frame these are any bytes, and are not used.
    width, height = (data[at + i] + 256 * data[at + i + 1] for i in (5, 7))
    larger = tf.maximum(found, tf.stack([found[0] + 1, width, height]))
    found = tf.where(is_frame, larger, found)
    opens = tf.logical_or(is_frame, is_extension)
    going = tf.logical_or(within, opens)
    return at_next, tf.where(within, byte != 0, opens), going, found


def _colour_table(flags: tf.Tensor) -> tf.Tensor:
    """Bytes of the colour table that a GIF's flags announce."""
    size = 3 * tf.bitwise.left_shift(2, tf.bitwise.bitwise_and(flags, 7))
    return tf.where(flags >= 128, size, 0)


def _bytes(contents: tf.Tensor, count: int) -> tf.Tensor:
    """The first bytes as int64 [count], zeros where there are fewer."""
    read = tf.io.decode_raw(contents[None], tf.uint8, fixed_length=count)[0]
    return tf.cast(read, tf.int64)


def _area(height: tf.Tensor, width: tf.Tensor) -> tf.Tensor:
    return tf.cast(height, tf.int64) * tf.cast(width, tf.int64)
