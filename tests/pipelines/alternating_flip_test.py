"""Alternating flips: each example mirrored in one of two epochs, by position alone."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines import augmentation
from pipelines.config import DataConfig
from pipelines.dataset import Dataset
from pipelines.features import ClassLabel, ExampleSpec, Image
from pipelines.feed import Feed
from pipelines.sources.arrays import ArraySource

_EXAMPLES = 60


def _dataset(batch_size: int = 8, **flags: object) -> Dataset:
    """Images whose first pixel is their number and is bright on the left side."""
    images = np.zeros((_EXAMPLES, 6, 6, 1), np.uint8)
    images[..., 0] = 1 + np.arange(_EXAMPLES)[:, None, None]
    images[:, :, :3] += 100
    labels = np.arange(_EXAMPLES) % 2
    source = ArraySource(
        "images", ExampleSpec(Image((6, 6, 1)), ClassLabel(("a", "b"))),
        images, labels,
    )  # fmt: skip
    config = DataConfig(batch_size=batch_size, split="0.8,0.2,0", **flags)
    return Dataset(source, config)


def _feed(dataset: Dataset, augment: str, seed: int = 1) -> Feed:
    return dataset.training(dataset.order(seed), augmentation.parse(augment))


def _mirrored(feed: Feed, epochs: int) -> np.ndarray:
    """Whether each example is mirrored in each epoch: bool [epochs, examples]."""
    size = feed.order.examples
    images = [batch.inputs for batch in feed.batches(0).take(epochs * size // 8)]
    rows = np.concatenate(images)[:, 2, :, 0].astype(int)
    left, right = rows[:, 0], rows[:, -1]
    numbers = np.minimum(left, right)
    found = (right > left).reshape(epochs, size)
    by_example = np.argsort(numbers.reshape(epochs, size), axis=1)
    return np.take_along_axis(found, by_example, axis=1)


class AlternatingFlipTest(tf.test.TestCase, parameterized.TestCase):
    def test_an_example_is_mirrored_in_every_other_epoch(self) -> None:
        found = _mirrored(_feed(_dataset(), "alternating_flip"), epochs=4)
        self.assertAllEqual(found[1:], ~found[:-1])
        self.assertBetween(found[0].mean(), 0.25, 0.75)

    def test_with_plain_flips_it_is_not(self) -> None:
        found = _mirrored(_feed(_dataset(), "flip"), epochs=4)
        self.assertNotAllEqual(found[1:], ~found[:-1])

    def test_another_seed_begins_with_other_examples(self) -> None:
        first, other = (
            _mirrored(_feed(_dataset(), "alternating_flip", seed), epochs=1)
            for seed in (1, 2)
        )
        self.assertNotAllEqual(first, other)

    @parameterized.parameters(
        "alternating_flip", "alternating_flip,translate=1,reflect"
    )
    def test_held_streamed_and_sliced_batches_are_equal(self, augment: str) -> None:
        # Batches of 7 straddle epochs of 48.
        held = _feed(_dataset(7, cache="memory"), augment)
        streamed = _feed(_dataset(7, cache="none"), augment)
        compiled = tf.function(held.batch)
        for step, batch in enumerate(streamed.batches(0).take(15)):
            whole = compiled(tf.constant(step, tf.int64))
            self.assertAllEqual(batch.inputs, whole.inputs)
            part = held.batch(step, first=3, count=2)
            self.assertAllEqual(part.inputs, whole.inputs[3:5])

    def test_it_stays_out_of_crops_cut_while_reading(self) -> None:
        feed = _feed(_dataset(image_size="3"), "crop=1,alternating_flip")
        self.assertFalse(feed.resident)
        self.assertEqual(feed.augmentation.alternating_flip, 1)

    @parameterized.parameters(
        ("flip,alternating_flip", "both mirror"),
        ("alternating_flip=2", "expected alternating_flip, without a value"),
    )
    def test_mistakes_have_one_line(self, augment: str, line: str) -> None:
        with self.assertRaisesRegex(UserError, line):
            augmentation.parse(augment)


if __name__ == "__main__":
    tf.test.main()
