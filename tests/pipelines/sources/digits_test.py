"""The embedded digits."""

import numpy as np
import tensorflow as tf
from sklearn import datasets

from pipelines.sources.digits import open_digits


class DigitsTest(tf.test.TestCase):
    def test_are_scikit_learns_spread_over_bytes(self) -> None:
        source = open_digits()
        bunch = datasets.load_digits()
        self.assertLen(source, 1797)
        self.assertEqual(source.features.input.shape, (8, 8, 1))
        images = source.read(np.arange(1797))
        self.assertEqual(images.dtype, np.uint8)
        self.assertAllClose(
            images[..., 0] * np.float32(16 / 255), bunch.images, atol=0.04
        )
        self.assertAllEqual(source.read_targets(np.arange(1797)), bunch.target)
        self.assertAllEqual(source.lookup(tf.constant([5, 0])), images[[5, 0]])

    def test_hashes_tell_examples_apart(self) -> None:
        hashes = open_digits().content_hashes()
        self.assertEqual(hashes.shape, (1797, 32))
        self.assertLen(np.unique(hashes, axis=0), 1797)


if __name__ == "__main__":
    tf.test.main()
