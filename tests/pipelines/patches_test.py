"""Statistics of patches: of the training split, and of nothing else."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines import patches
from pipelines.config import DataConfig
from pipelines.dataset import Dataset
from pipelines.features import ClassLabel, ExampleSpec, Image, Vector
from pipelines.sources.arrays import ArraySource


def _dataset(shape: tuple[int, ...] = (5, 4, 3), change: str = "") -> Dataset:
    """Noise in given splits, with the images of one split changed."""
    rng = np.random.default_rng(0)
    data = rng.integers(0, 256, (40, *shape)).astype(
        np.uint8 if len(shape) == 3 else np.float32
    )
    given = {name: np.arange(start, start + 10 * count) for name, start, count in (
        ("train", 0, 2), ("validation", 20, 1), ("test", 30, 1)
    )}  # fmt: skip
    if change:
        data[given[change]] = 255 - data[given[change]] // 2
    shown = Image(shape) if len(shape) == 3 else Vector(shape)
    features = ExampleSpec(shown, ClassLabel(("a", "b")))
    source = ArraySource("noise", features, data, np.arange(40) % 2, given)
    return Dataset(source, DataConfig(batch_size=4))


class PatchesTest(tf.test.TestCase, parameterized.TestCase):
    def test_mean_and_covariance_are_those_of_all_training_patches(self) -> None:
        dataset = _dataset()
        found = patches.patch_statistics(dataset, 2)
        images = dataset.examples("train", range(20)).inputs
        every = [
            image[y : y + 2, x : x + 2].ravel()
            for image in images.astype(np.float64)
            for y in range(4)
            for x in range(3)
        ]
        self.assertEqual(found["size"], 2)
        self.assertAllClose(found["mean"], np.mean(every, axis=0))
        self.assertAllClose(found["covariance"], np.cov(np.transpose(every), bias=True))

    def test_they_are_of_the_training_split_alone(self) -> None:
        plain = patches.patch_statistics(_dataset(), 2)
        for split in ("validation", "test"):
            self.assertEqual(patches.patch_statistics(_dataset(change=split), 2), plain)
        changed = patches.patch_statistics(_dataset(change="train"), 2)
        self.assertNotAllClose(changed["mean"], plain["mean"])

    @parameterized.parameters(
        ((6,), "holds no images"), ((1, 4, 3), "images are of 1x4 pixels")
    )
    def test_mistakes_have_one_line(self, shape, line: str) -> None:
        with self.assertRaisesRegex(UserError, line):
            patches.patch_statistics(_dataset(shape), 2)


if __name__ == "__main__":
    tf.test.main()
