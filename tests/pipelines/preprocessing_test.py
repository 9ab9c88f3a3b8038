"""Decoding and resizing: every format and channel count, the same everywhere."""

import io
import struct

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from pipelines import preprocessing
from pipelines.headers import HeaderError, read_header


def _encoded(pixels: np.ndarray, kind: str) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def _pixels(mode: str, height: int = 6, width: int = 8) -> np.ndarray:
    shape = (height, width) if mode == "L" else (height, width, len(mode))
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


class PreprocessingTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.product(kind=("png", "bmp"), mode=("L", "RGB", "RGBA"))
    def test_decodes_to_colour_and_to_grey(self, kind: str, mode: str) -> None:
        pixels = _pixels(mode)
        contents = tf.constant(_encoded(pixels, kind))
        colour = preprocessing.decode_image(contents, 3)
        if mode == "L":
            self.assertAllEqual(colour, np.repeat(pixels[..., None], 3, axis=-1))
        else:
            self.assertAllEqual(colour, pixels[..., :3])
        grey = preprocessing.decode_image(contents, 1)
        expected = np.asarray(Image.fromarray(pixels).convert("L"))
        self.assertAllClose(
            tf.cast(grey[..., 0], tf.int32), expected.astype(np.int32), atol=1
        )

    @parameterized.parameters("jpeg", "gif")
    def test_decodes_lossy_formats_to_their_shape(self, kind: str) -> None:
        for mode in ("L", "RGB"):
            contents = tf.constant(_encoded(_pixels(mode), kind))
            for channels in (1, 3):
                image = preprocessing.decode_image(contents, channels)
                self.assertEqual(image.shape, (6, 8, channels))

    def test_resizes_with_antialiasing_to_rounded_bytes(self) -> None:
        stripes = np.zeros((8, 8, 1), np.uint8)
        stripes[[0, 3, 4, 7]] = 200
        found = preprocessing.resize_images(tf.constant(stripes), (2, 2))
        self.assertDTypeEqual(found, np.uint8)
        self.assertAllClose(tf.cast(found, tf.int32), np.full((2, 2, 1), 100), atol=15)
        plain = tf.image.resize(stripes, (2, 2))  # what antialiasing is there to avoid
        self.assertNotAllClose(plain, np.full((2, 2, 1), 100), atol=15)

    def test_a_batch_is_resized_as_its_images_are(self) -> None:
        images = np.random.default_rng(0).integers(0, 256, (3, 9, 7, 3), dtype=np.uint8)
        batch = preprocessing.resize_images(tf.constant(images), (5, 12))
        for image, resized in zip(images, batch, strict=True):
            alone = preprocessing.resize_images(tf.constant(image), (5, 12))
            self.assertAllEqual(alone, resized)

    def test_an_image_of_the_right_size_stays_as_it_is(self) -> None:
        pixels = _pixels("RGB")
        found = preprocessing.prepare_image(_encoded(pixels, "png"), (6, 8, 3))
        self.assertAllEqual(found, pixels)


def _gif(screen: tuple[int, int], frames: list[tuple[int, int]]) -> bytes:
    """An animation of a screen and frames of these widths and heights."""
    contents = b"GIF89a" + struct.pack("<HHBBB", *screen, 0x80, 0, 0) + bytes(6)
    for size in frames:
        buffer = io.BytesIO()
        Image.new("P", size).save(buffer, "gif")
        single = buffer.getvalue()
        start = single.index(b"\x2c" + struct.pack("<HHHH", 0, 0, *size))
        contents += single[start:-1]
    return contents + b"\x3b"


class HeadersTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.product(
        kind=("png", "bmp", "jpeg", "gif"), mode=("L", "RGB"), width=(1, 7, 300)
    )
    def test_agrees_with_pillow(self, kind: str, mode: str, width: int) -> None:
        header = read_header(_encoded(_pixels(mode, 5, width), kind))
        channels = 3 if mode == "RGB" or kind == "gif" else 1
        self.assertEqual(header, (5, width, channels, 1))

    @parameterized.parameters(
        ((4, 4), [(8, 6)]),
        ((8, 6), [(4, 4)]),
        ((4, 4), [(4, 4), (10, 12)]),
        ((4, 4), [(10, 3), (3, 10), (1, 1)]),
    )
    def test_a_gif_is_as_large_as_its_frames(
        self, screen: tuple[int, int], frames: list[tuple[int, int]]
    ) -> None:
        contents = _gif(screen, frames)
        header = read_header(contents)
        decoded = tf.io.decode_gif(contents)
        self.assertEqual(
            (header.frames, header.height, header.width), tuple(decoded.shape[:3])
        )
        self.assertEqual(header.pixels, tf.size(decoded[..., 0]).numpy())

    def test_reads_progressive_jpeg_with_a_thumbnail(self) -> None:
        thumbnail = _encoded(_pixels("RGB"), "jpeg")
        segment = b"\xff\xe1" + (len(thumbnail) + 2).to_bytes(2, "big") + thumbnail
        buffer = io.BytesIO()
        image = Image.fromarray(_pixels("RGB", 40, 50))
        image.save(buffer, "jpeg", progressive=True)
        contents = buffer.getvalue()
        contents = contents[:2] + segment + contents[2:]
        self.assertEqual(read_header(contents), (40, 50, 3, 1))
        with self.assertRaisesRegex(HeaderError, "truncated"):
            read_header(contents[: len(thumbnail) + 400])

    @parameterized.product(kind=("png", "bmp", "jpeg", "gif"), kept=(3, 20, 0.6, -1))
    def test_notices_truncation_anywhere(self, kind: str, kept: float) -> None:
        contents = _encoded(_pixels("RGB", 30, 30), kind)
        if isinstance(kept, float):
            kept = int(kept * len(contents))
        with self.assertRaises(HeaderError):
            # The end chunk of a PNG is 12 bytes long; its checksum may be missing.
            read_header(contents[: kept if kept > 0 or kind != "png" else -8])

    def test_says_what_is_no_image(self) -> None:
        for contents, message in ((b"", "empty"), (b"hello", "not a JPEG")):
            with self.assertRaisesRegex(HeaderError, message):
                read_header(contents)


if __name__ == "__main__":
    tf.test.main()
