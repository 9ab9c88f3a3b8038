"""OpenCV's resize of crops: TensorFlow's pixels but for rounding, and antialiased."""

import cv2
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines.resizing import resize_crops


def _picture(height: int, width: int, channels: int = 3) -> np.ndarray:
    """Smooth, and different everywhere: uint8 [height, width, channels]."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [np.sin(5 * x + 2 * y), np.cos(6 * y), np.sin(4 * x * y)]
    return (127.5 + 120 * np.stack(waves[:channels], -1)).astype(np.uint8)


def _stripes(height: int, width: int) -> np.ndarray:
    """Black and light columns in turns, whose mean is 100."""
    stripes = np.zeros((height, width, 3), np.uint8)
    stripes[:, ::2] = 200
    return stripes


class ResizingTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.product(
        size=((48, 32), (30, 50), (60, 61), (17, 90), (96, 64)), channels=(1, 3)
    )
    def test_pixels_are_those_of_tensorflow(
        self, size: tuple[int, int], channels: int
    ) -> None:
        picture = _picture(*size, channels)
        (found,) = resize_crops([picture], np.array([False]), (48, 32, channels))
        self.assertEqual(found.dtype, np.uint8)
        expected = tf.image.resize(
            picture, (48, 32), antialias=max(size[0] / 48, size[1] / 32) > 2
        )
        difference = np.abs(found.astype(np.float32) - expected.numpy())
        self.assertLess(difference.mean(), 0.6)
        self.assertLess(difference.max(), 4)

    def test_those_that_are_mirrored_are(self) -> None:
        pictures = [_picture(20, 30), _picture(9, 40)] * 2
        mirrored = np.array([False, False, True, True])
        found = resize_crops(pictures, mirrored, (12, 10, 3))
        self.assertAllEqual(found[2:], found[:2, :, ::-1])
        self.assertNotAllEqual(found[0], found[2])

    def test_an_image_of_that_size_stays_as_it_is(self) -> None:
        picture = _picture(30, 20)
        (found,) = resize_crops([picture], np.array([False]), (30, 20, 3))
        self.assertAllEqual(found, picture)

    @parameterized.parameters((16, 39), (40, 66), (70, 80), (300, 16), (510, 508))
    def test_a_large_original_is_antialiased(self, height: int, width: int) -> None:
        picture = _stripes(height, width)
        if height > width:
            picture = _stripes(width, height).swapaxes(0, 1)
        (found,) = resize_crops([picture], np.array([False]), (16, 16, 3))
        self.assertAllInRange(found, 70, 130)
        plain = cv2.resize(picture, (16, 16))  # the control: what it is there for
        self.assertGreater(np.ptp(plain), 60)

    def test_parts_of_arrays_are_read_where_they_lie(self) -> None:
        """A crop is a view; the next may take its place, and results stay."""
        scratch = np.empty((20, 20, 3), np.uint8)

        def parts():
            for level in (10, 200):
                scratch[:] = level
                yield scratch[2:9, 5:20]

        found = resize_crops(parts(), np.array([False, True]), (8, 8, 3))
        self.assertAllEqual(found[0], np.full((8, 8, 3), 10))
        self.assertAllEqual(found[1], np.full((8, 8, 3), 200))
        # TensorFlow copies what begins elsewhere.
        self.assertEqual(found.ctypes.data % 64, 0)


if __name__ == "__main__":
    tf.test.main()
