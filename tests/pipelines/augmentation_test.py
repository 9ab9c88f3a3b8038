"""Augmentation: each change does what it says, and depends on the position alone."""

from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines import augmentation, geometric
from pipelines.augmentation import Augmentation, Draws
from pipelines.features import ClassLabel, ExampleSpec, Image, Values

_EVERY = "crop=0.3,flip,translate=2,rotate=20,brightness=0.2,contrast=0.3,noise=8,"
_EVERY += "cutout=3,mixup=0.4"
_ONE_BY_ONE = (*_EVERY.split(","), "flip,translate=2,reflect", "rotate=20,reflect")
_FEATURES = ExampleSpec(Image((9, 9, 3)), ClassLabel(tuple("abcd")))


def _images(count: int = 16, size: int = 9, channels: int = 3) -> tf.Tensor:
    generator = np.random.default_rng(0)
    shape = (count, size, size, channels)
    return tf.constant(generator.integers(0, 256, shape, dtype=np.uint8))


def _apply(
    text: str, images: tf.Tensor, first: int = 0, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    positions = tf.range(first, first + images.shape[0], dtype=tf.int64)
    draws = Draws(positions, seed)
    images, labels = _FEATURES.augmented(
        augmentation.parse(text), images, positions % 4, draws
    )
    return images.numpy().astype(np.float32), labels.numpy()


class AugmentationTest(parameterized.TestCase, tf.test.TestCase):
    def test_none_leaves_pixels_alone(self) -> None:
        images = _images()
        found, labels = _apply("", images)
        self.assertAllEqual(found, images)
        self.assertAllEqual(labels, np.arange(16) % 4)

    @parameterized.parameters(_EVERY, *_ONE_BY_ONE)
    def test_slices_put_together_are_the_batch(self, text: str) -> None:
        images = _images()
        whole = _apply(text, images, first=32)
        for size in (2, 4, 8):
            parts = [
                _apply(text, images[start : start + size], first=32 + start)
                for start in range(0, 16, size)
            ]
            for all_at_once, pieces in zip(
                whole, zip(*parts, strict=True), strict=True
            ):
                self.assertAllEqual(all_at_once, np.concatenate(pieces))

    @parameterized.parameters(_EVERY, *_ONE_BY_ONE)
    @pytest.mark.slow
    def test_tf_data_and_a_compiled_function_agree_to_the_last_bit(
        self, text: str
    ) -> None:
        images = _images(64, size=11)

        def augmented(start: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            positions = start + tf.range(64, dtype=tf.int64)
            return _FEATURES.augmented(
                augmentation.parse(text), images, positions % 4, Draws(positions, 0)
            )

        compiled = tf.function(augmented)
        dataset = tf.data.Dataset.range(0, 640, 64).map(augmented)
        for start, (found, labels) in zip(range(0, 640, 64), dataset, strict=True):
            expected, expected_labels = compiled(tf.constant(start, tf.int64))
            self.assertAllEqual(found, expected)
            self.assertAllEqual(labels, expected_labels)

    @parameterized.parameters(*_EVERY.split(","))
    def test_each_changes_images_by_seed_and_position(self, text: str) -> None:
        images = _images()
        found, _ = _apply(text, images)
        self.assertNotAllEqual(found, images)
        self.assertNotAllEqual(found, _apply(text, images, first=16)[0])
        self.assertNotAllEqual(found, _apply(text, images, seed=1)[0])
        self.assertAllEqual(found, _apply(text, images)[0])
        self.assertAllInRange(found, 0, 255)

    def test_pixels_stay_bytes_until_fractions_are_needed(self) -> None:
        positions = tf.range(16, dtype=tf.int64)
        for text, dtype in (
            ("flip,translate=2,cutout=3", tf.uint8),
            ("crop,flip", tf.uint8),
            ("flip,noise=2", tf.float32),
            ("mixup=1", tf.float32),
        ):
            draws = Draws(positions, 0)
            found, _ = _FEATURES.augmented(
                augmentation.parse(text), _images(), positions % 4, draws
            )
            self.assertEqual(found.dtype, dtype, text)

    @parameterized.parameters(64, 65)  # by either way of cropping
    def test_crops_have_smooth_pixels_of_the_image(self, size: int) -> None:
        y, x = np.mgrid[0:size, 0:size]
        ramp = np.stack([y, x, x + y], -1).astype(np.uint8)
        found, _ = _apply("crop=0.3", tf.constant(np.tile(ramp[None], (32, 1, 1, 1))))
        self.assertAllClose(found[..., 0] + found[..., 1], found[..., 2], atol=1.01)
        heights = found[:, -1, 0, 0] - found[:, 0, 0, 0]
        self.assertAllInRange(heights, 0.45 * size, size)
        self.assertGreater(np.ptp(heights), 0.2 * size)

    def test_flip_mirrors_about_half_of_the_images(self) -> None:
        images = _images(400)
        found, _ = _apply("flip", images)
        same = np.all(found == images, axis=(1, 2, 3))
        mirrored = np.all(found == images[:, :, ::-1], axis=(1, 2, 3))
        self.assertTrue(np.all(same ^ mirrored))
        self.assertBetween(mirrored.mean(), 0.4, 0.6)

    @parameterized.parameters(
        ("translate=1", "constant"), ("translate=1,reflect", "reflect")
    )
    def test_translate_shifts_every_way_and_fills_what_comes_in(
        self, text: str, border: str
    ) -> None:
        images = _images(300, size=5)
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)), border)
        found, _ = _apply(text, images)
        shifts = []
        for image, source in zip(found, padded, strict=True):
            matches = [
                (y, x)
                for y in range(3)
                for x in range(3)
                if np.array_equal(image, source[y : y + 5, x : x + 5])
            ]
            self.assertLen(matches, 1)
            shifts += matches
        self.assertLen(set(shifts), 9)

    def test_cutout_greys_one_square(self) -> None:
        found, _ = _apply("cutout=3", tf.zeros((200, 8, 8, 1), tf.uint8))
        areas = (found == 128).sum(axis=(1, 2, 3))
        self.assertAllEqual((found == 0).sum(axis=(1, 2, 3)), 64 - areas)
        self.assertContainsSubset(areas, {4, 6, 9})  # corner, edge, inside
        self.assertIn(9, areas)

    def test_brightness_adds_one_number_to_an_image(self) -> None:
        grey = tf.fill((200, 4, 4, 1), tf.constant(100, tf.uint8))
        found, _ = _apply("brightness=0.2", grey)
        self.assertAllEqual(np.ptp(found, axis=(1, 2, 3)), np.zeros(200))
        self.assertAllInRange(found, 100 - 51, 100 + 51)
        self.assertGreater(np.ptp(found), 80)

    def test_contrast_keeps_the_mean(self) -> None:
        images = tf.cast(tf.clip_by_value(_images(50), 100, 150), tf.uint8)
        found, _ = _apply("contrast=0.5", images)
        mean = np.mean(images, axis=(1, 2, 3))
        self.assertAllClose(found.mean(axis=(1, 2, 3)), mean, atol=0.1)
        stretch = found.std(axis=(1, 2, 3)) / np.std(images, axis=(1, 2, 3))
        self.assertAllInRange(stretch, 0.5, 1.5)
        self.assertGreater(np.ptp(stretch), 0.7)

    def test_noise_has_its_deviation(self) -> None:
        grey = tf.fill((50, 8, 8, 3), tf.constant(128, tf.uint8))
        found, _ = _apply("noise=10", grey)
        self.assertAllClose(found.std(), 10, atol=0.3)

    def test_rotation_by_a_right_angle_is_exact(self) -> None:
        images = tf.cast(_images(4), tf.float32)
        turns = geometric._rotations(np.full(1 << 16, np.pi / 2), 9, 9)
        with mock.patch.object(geometric, "_rotation_quantiles", return_value=turns):
            found, _ = _apply("rotate=90", images)
        self.assertAllClose(found, np.rot90(images, axes=(1, 2)), atol=1e-3)

    def test_reflected_shifts_may_be_longer_than_the_image(self) -> None:
        images = _images(100, size=3)
        padded = np.pad(images, ((0, 0), (7, 7), (7, 7), (0, 0)), "reflect")
        found, _ = _apply("translate=7,reflect", images)
        for image, source in zip(found, padded, strict=True):
            windows = np.lib.stride_tricks.sliding_window_view(source, image.shape)
            self.assertTrue(np.any(np.all(windows == image, axis=(-3, -2, -1))))
        single = _images(8, size=1)
        self.assertAllEqual(_apply("translate=2,reflect", single)[0], single)

    @parameterized.parameters(("rotate=45", True), ("rotate=45,reflect", False))
    def test_rotation_brings_in_black_or_the_image(self, text: str, dark: bool) -> None:
        white = tf.fill((50, 9, 9, 3), tf.constant(255, tf.uint8))
        found, _ = _apply(text, white)
        self.assertEqual(bool((found < 1).any()), dark)
        self.assertEqual(bool((found < 254).any()), dark)

    def test_small_rotations_move_the_edge_more_than_the_centre(self) -> None:
        _, x = np.mgrid[0:21, 0:21]
        ramp = tf.constant(np.tile((x * 10)[None, :, :, None], (50, 1, 1, 1)), tf.uint8)
        found, _ = _apply("rotate=5", ramp)
        self.assertAllClose(found[:, 10, 10, 0], np.full(50, 100.0), atol=0.1)
        self.assertGreater(abs(found[:, 2, 10, 0] - 100).max(), 3)

    def test_crop_enlarges_a_part(self) -> None:
        _, x = np.mgrid[0:32, 0:32]
        ramp = tf.constant(np.tile((x * 8)[None, :, :, None], (100, 1, 1, 1)), tf.uint8)
        found, _ = _apply("crop=0.25", ramp)
        spread = found[:, 16, -1, 0] - found[:, 16, 0, 0]
        self.assertAllInRange(spread, 0.4 * 248, 248)
        self.assertGreater(np.ptp(spread), 50)

    def test_mixup_mixes_neighbours_and_their_labels_alike(self) -> None:
        images = tf.cast(_images(64), tf.float32).numpy()
        found, labels = _apply("mixup=1", tf.constant(images))
        self.assertEqual(labels.shape, (64, 4))
        self.assertAllClose(labels.sum(axis=1), np.ones(64))
        for i in range(64):
            share = labels[i, i % 4]
            expected = share * images[i] + (1 - share) * images[i ^ 1]
            self.assertAllClose(found[i], expected, atol=1e-3)
        shares = labels[np.arange(0, 64, 2), np.arange(0, 64, 2) % 4]
        self.assertGreater(np.ptp(shares), 0.5)

    def test_mixup_mixes_targets_of_regression(self) -> None:
        targets = tf.random.stateless_uniform([8, 1], [0, 1])
        positions = tf.range(8, dtype=tf.int64)
        features = ExampleSpec(Image((9, 9, 3)), Values())
        _, mixed = features.augmented(
            Augmentation(mixup=1.0), _images(8), targets, Draws(positions, 0)
        )
        self.assertAllClose(
            tf.reduce_sum(tf.reshape(mixed, [4, 2]), 1),
            tf.reduce_sum(tf.reshape(targets, [4, 2]), 1),
        )
        self.assertNotAllClose(mixed, targets)

    @parameterized.parameters(
        ("flop", "did you mean 'flip'"),
        ("flip=2", "without a value"),
        ("translate", "a whole number from 1"),
        ("translate=1.5", "a whole number from 1"),
        ("rotate=200", "from 0 to 180"),
        ("noise=much", "a number from 0 to 255"),
        ("crop=0", "from 0.01 to 1"),
        ("noise=nan", "a number from 0"),
        ("flip,flip", "given twice"),
        ("flip,reflect", "what translate and rotate bring in"),
        ("translate=1,reflect=2", "without a value"),
    )
    def test_bad_values_are_refused_in_one_line(self, text: str, message: str) -> None:
        with self.assertRaisesRegex(UserError, message) as caught:
            augmentation.parse(text)
        self.assertNotIn("\n", str(caught.exception))

    def test_parses_names_in_any_order(self) -> None:
        self.assertEqual(
            augmentation.parse(" cutout=8, crop,flip"),
            Augmentation(crop=0.08, flip=1, cutout=8),
        )


if __name__ == "__main__":
    tf.test.main()
