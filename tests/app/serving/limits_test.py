"""Sizes read from headers in the graph are the pictures' own; bombs are refused."""

import io
import struct
import zlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from app.serving import limits


def encoded(
    width: int, height: int, format: str, mode: str = "RGB", **options
) -> bytes:
    values = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    contents = io.BytesIO()
    Image.fromarray(values).convert(mode).save(contents, format, **options)
    return contents.getvalue()


def animation(sizes: list[tuple[int, int]]) -> bytes:
    frames = [Image.effect_noise(size, 50).convert("P") for size in sizes]
    contents = io.BytesIO()
    frames[0].save(
        contents, "GIF", save_all=True, append_images=frames[1:], comment=b"x" * 600
    )
    return contents.getvalue()


def png_bomb(side: int) -> bytes:
    """A PNG that says it has side × side pixels, and is a few bytes."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + check

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    body = zlib.compress(b"\0" * 1000)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", body)
        + chunk(b"IEND", b"")
    )


def gif_bomb(side: int) -> bytes:
    """A GIF with a small screen, and a second frame of side × side pixels."""
    small = animation([(4, 4)])
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x01\x44\x00"
    return small[:-1] + frame + b"\x3b"


class PixelCountTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.count = tf.function(
            limits.pixel_count, input_signature=[tf.TensorSpec([], tf.string)]
        )

    @parameterized.named_parameters(
        ("jpeg", "JPEG", "RGB", {}),
        ("progressive", "JPEG", "RGB", {"progressive": True}),
        ("cmyk", "JPEG", "CMYK", {}),
        ("png", "PNG", "RGB", {}),
        ("palette", "PNG", "P", {}),
        ("bmp", "BMP", "RGB", {}),
        ("gif", "GIF", "P", {}),
    )
    def test_of_a_whole_picture(self, format: str, mode: str, options: dict) -> None:
        self.assertEqual(self.count(encoded(301, 7, format, mode, **options)), 301 * 7)

    def test_all_frames_of_an_animation_count(self) -> None:
        self.assertEqual(self.count(animation([(30, 20)] * 3)), 3 * 30 * 20)

    def test_a_frame_larger_than_its_screen_counts(self) -> None:
        # Each frame is unpacked in the size of the largest.
        self.assertEqual(self.count(gif_bomb(60_000)), 2 * 60_000**2)

    def test_a_bmp_whose_rows_run_downwards(self) -> None:
        contents = bytearray(encoded(5, 7, "BMP"))
        contents[22:26] = struct.pack("<i", -7)
        self.assertEqual(self.count(bytes(contents)), 35)

    def test_what_is_no_image(self) -> None:
        for contents in (b"", b"G", b"BX", b"%PDF-1.7", b"\0" * 100):
            self.assertEqual(self.count(contents), -1)

    def test_cut_anywhere_it_ends(self) -> None:
        for contents in (animation([(30, 20)] * 3), encoded(9, 9, "PNG")):
            for length in range(2, len(contents), 97):
                self.assertGreaterEqual(self.count(contents[:length]), -1)


class RequireDecodableTest(tf.test.TestCase):
    def test_a_bomb_is_named_and_not_decoded(self) -> None:
        check = tf.function(
            lambda contents: limits.require_decodable(contents, tf.constant(3), 1000)
        )
        for bomb in (png_bomb(30_000), gif_bomb(60_000)):
            with self.assertRaisesRegex(
                tf.errors.InvalidArgumentError, r"image_bytes\[3\] has \d+ pixels"
            ):
                check(tf.constant(bomb))

    def test_the_limit_itself_passes(self) -> None:
        contents = encoded(10, 10, "PNG")
        given = tf.constant(contents)
        self.assertEqual(limits.require_decodable(given, tf.constant(0), 100), contents)
        with self.assertRaises(tf.errors.InvalidArgumentError):
            limits.require_decodable(given, tf.constant(0), 99)


if __name__ == "__main__":
    tf.test.main()
