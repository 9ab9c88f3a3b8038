"""Crops from originals: the boxes, the pixels, and the short cuts of JPEG."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from pipelines import preprocessing
from pipelines.cropping import Cropping, Draws, box_of


def _picture(height: int, width: int) -> tf.Tensor:
    """Smooth, and different everywhere: uint8 [height, width, 3]."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    waves = [np.sin(5 * x + 2 * y), np.cos(6 * y), np.sin(4 * x * y)]
    return tf.constant((127.5 + 120 * np.stack(waves, -1)).astype(np.uint8))


def _one(drawn: Draws, index: int) -> Draws:
    return Draws(*(part[index] for part in drawn))


class CroppingTest(parameterized.TestCase, tf.test.TestCase):
    def test_boxes_lie_within_and_keep_the_area(self) -> None:
        cropping = Cropping(0.2, mirrors=False, seed=0, size=(8, 8))
        drawn = cropping.draw(tf.range(1000, dtype=tf.int64))
        size = tf.constant([100, 160])
        boxes = tf.map_fn(
            lambda one: box_of(one, size), drawn, fn_output_signature=tf.int32
        )
        top, left, height, width = boxes.numpy().T
        self.assertAllGreaterEqual(np.minimum(top, left), 0)
        self.assertAllLessEqual(top + height, 100)
        self.assertAllLessEqual(left + width, 160)
        self.assertTrue((top + height == 100).any() and (left == 0).any())
        area = height * width / 16_000
        self.assertBetween(area.mean(), 0.5, 0.65)
        self.assertAllInRange(area, 0.19, 1.001)
        self.assertAllInRange(width / height, 0.7, 1.7)

    def test_half_of_the_crops_are_mirrored_where_asked_for(self) -> None:
        images = tf.tile(_picture(40, 40)[None], [200, 1, 1, 1])
        positions = tf.range(200, dtype=tf.int64)
        plain, both = (
            Cropping(0.3, mirrors, seed=1, size=(12, 9)).cut(images, positions)
            for mirrors in (False, True)
        )
        mirrored = np.all(both.numpy() == plain.numpy()[:, :, ::-1], axis=(1, 2, 3))
        same = np.all(both == plain, axis=(1, 2, 3))
        self.assertTrue(np.all(same ^ mirrored))
        self.assertBetween(mirrored.mean(), 0.35, 0.65)

    @parameterized.product(
        kind=("jpeg", "png"), size=((50, 40), (160, 90), (420, 400), (900, 1000))
    )
    def test_encoded_images_give_the_crops_of_their_pixels(
        self, kind: str, size: tuple[int, int]
    ) -> None:
        picture = _picture(*size)
        encode = tf.io.encode_jpeg if kind == "jpeg" else tf.io.encode_png
        contents = encode(picture)
        cropping = Cropping(0.4, mirrors=True, seed=2, size=(48, 32))
        drawn = cropping.draw(tf.range(6, dtype=tf.int64))
        expected = cropping.cut(
            tf.tile(picture[None], [6, 1, 1, 1]), tf.range(6, dtype=tf.int64)
        )
        for index in range(6):
            found = cropping.cut_encoded(contents, _one(drawn, index), 3)
            # JPEG loses a little; from a reduced one the box is rounded elsewhere.
            difference = np.abs(
                tf.cast(found, tf.int32) - tf.cast(expected[index], tf.int32)
            )
            self.assertLess(difference.mean(), 0.5 if kind == "png" else 3)
            self.assertLess(difference.max(), 1 if kind == "png" else 16)

    def test_a_large_original_is_antialiased(self) -> None:
        stripes = np.zeros((512, 512, 3), np.uint8)
        stripes[:, ::2] = 200
        cropping = Cropping(0.9, mirrors=False, seed=0, size=(16, 16))
        found = cropping.cut(tf.constant(stripes[None]), tf.constant([3], tf.int64))
        self.assertAllInRange(found, 80, 120)

    def test_the_whole_of_an_image_of_that_size_stays_as_it_is(self) -> None:
        picture = _picture(30, 20)
        whole = Draws(
            tf.sqrt([1.5, 1 / 1.5]), tf.constant([0.9, 0.9]), tf.constant(False)
        )
        cropping = Cropping(1.0, mirrors=True, seed=0, size=(30, 20))
        found = cropping.cut_encoded(tf.io.encode_png(picture), whole, 3)
        self.assertAllEqual(found, picture)

    def test_grey_images_stay_grey(self) -> None:
        cropping = Cropping(0.5, mirrors=True, seed=0, size=(6, 6))
        contents = tf.io.encode_jpeg(_picture(20, 20)[..., :1])
        drawn = _one(cropping.draw(tf.constant([4], tf.int64)), 0)
        self.assertEqual(cropping.cut_encoded(contents, drawn, 1).shape, (6, 6, 1))
        self.assertEqual(preprocessing.decode_image(contents, 1).shape, (20, 20, 1))


if __name__ == "__main__":
    tf.test.main()
