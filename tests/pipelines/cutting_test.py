"""Crops of a stream: the same from every container, in any slices, from any step."""

from pathlib import Path
from typing import ClassVar
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from pipelines import augmentation, packing, serialization
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset
from pipelines.feed import Feed
from pipelines.packconfig import PackConfig
from tests.pipelines.folders import write_image

_BATCH, _SIZE = 8, 16
# In an epoch of 12 JPEGs and 4 PNGs: some chunks are decoded together, some are not,
# and one image is large enough to be decoded at half its size.
_JPEGS, _PNGS = 12, 4


def _write(folder: Path) -> str:
    for number in range(_JPEGS + _PNGS):
        size = (90, 80) if number == 3 else (20 + number, 40)
        suffix = "jpg" if number < _JPEGS else "png"
        name = ("cat", "dog")[number % 2]
        write_image(folder / "train" / name / f"{number:03}.{suffix}", number, size)
    for label, name in enumerate(("cat", "dog")):
        write_image(folder / "validation" / name / "x.png", 90 + label)
    return str(folder)


class CuttingTest(parameterized.TestCase, tf.test.TestCase):
    home: ClassVar[Path]
    containers: ClassVar[dict[str, str]]
    feeds: ClassVar[dict[tuple[str, int], Feed]] = {}
    known: ClassVar[dict[Feed, np.ndarray]] = {}

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.home = Path(cls.create_tempdir_of_class())
        folder = _write(cls.home / "pets")
        cls.containers = {"folder": folder}
        for name, flags in {
            "pets.tar": {"format": "tar"},
            "array_record": {},
            "decoded": {"decode": True, "image_size": "24", "format": "tfrecord"},
            "decoded.array_record": {"decode": True, "image_size": "24"},
            "decoded.h5": {"decode": True, "image_size": "24", "format": "hdf5"},
        }.items():
            place = str(cls.home / name)
            config = PackConfig(
                dataset=folder, pack_dir=place, examples_per_shard=5, **flags
            )
            packing.pack(config, lambda: False, lambda line: None)
            cls.containers[name] = place

    @classmethod
    def create_tempdir_of_class(cls) -> str:
        return str(Path(tf.compat.v1.test.get_temp_dir()) / "cutting_test")

    def _open(self, container: str) -> Dataset:
        return open_dataset(
            DataConfig(
                dataset=self.containers[container],
                batch_size=_BATCH,
                image_size=str(_SIZE),
                cache="none",
            )
        )

    def _feed(self, container: str, seed: int = 5) -> Feed:
        """Feeds are as they were made: all tests may use one."""
        key = container, seed
        if key not in self.feeds:
            self.feeds[key] = self._new_feed(container, seed)
        return self.feeds[key]

    def _new_feed(self, container: str, seed: int) -> Feed:
        dataset = self._open(container)
        return dataset.training(
            dataset.order(seed), augmentation.parse("crop=0.3,flip")
        )

    def _inputs(self, feed: Feed, first_step: int = 0, **part: int) -> np.ndarray:
        """The images of the steps up to the fourth: uint8 [B, …]."""
        elements = (4 - first_step) * (_BATCH // part.get("batch_size", _BATCH))
        batches = feed.batches(first_step, **part).take(elements)
        return np.concatenate([batch.inputs for batch in batches])

    def _whole(self, feed: Feed) -> np.ndarray:
        """The images of the first four steps, read once for all tests."""
        if feed not in self.known:
            self.known[feed] = self._inputs(feed)
        return self.known[feed]

    @parameterized.parameters(
        ("folder", "pets.tar", "array_record"),
        ("decoded", "decoded.array_record", "decoded.h5"),
    )
    def test_crops_are_the_same_from_every_container(self, *names: str) -> None:
        expected = self._whole(self._feed(names[0]))
        self.assertEqual(expected.shape, (4 * _BATCH, _SIZE, _SIZE, 3))
        self.assertEqual(expected.dtype, np.uint8)
        for name in names[1:]:
            self.assertAllEqual(self._whole(self._feed(name)), expected)
        other = self._inputs(self._feed(names[0], seed=6))
        self.assertNotAllEqual(other, expected)

    @parameterized.parameters(("folder", 2), ("decoded", 4))
    def test_slices_put_together_are_the_whole(
        self, container: str, replicas: int
    ) -> None:
        feed = self._feed(container)
        share = _BATCH // replicas
        slices = [
            self._inputs(feed, first=share * replica, count=share)
            for replica in range(replicas)
        ]
        together = np.stack([part.reshape(4, share, -1) for part in slices], axis=1)
        expected = self._whole(feed)
        self.assertAllEqual(together.reshape(expected.shape), expected)
        in_parts = self._inputs(feed, batch_size=share)
        self.assertAllEqual(in_parts, expected)

    @parameterized.parameters("folder", "decoded")
    @pytest.mark.slow
    def test_a_later_start_goes_on_with_the_same_images(self, container: str) -> None:
        feed = self._feed(container)
        self.assertAllEqual(self._inputs(feed, 3), self._whole(feed)[3 * _BATCH :])

    def test_workers_of_parameter_servers_need_no_python(self) -> None:
        feed = self._feed("folder")
        needs_python = [
            b"PyFunc" in _graph_of(feed.batches(0, native=native))
            for native in (True, False)
        ]
        self.assertEqual(needs_python, [False, True])

    @parameterized.parameters("folder", "decoded.h5")
    def test_tensorflow_alone_gives_nearly_the_same_pixels(
        self, container: str
    ) -> None:
        feed = self._feed(container)
        found = self._whole(feed)
        alone = self._inputs(feed, native=True)
        difference = np.abs(found.astype(np.int32) - alone).mean(axis=(1, 2, 3))
        # Of noise, whose antialiased pixels depend on the filter.
        self.assertLess(np.median(difference), 0.6)
        self.assertLess(difference.max(), 20)
        another = np.abs(found.astype(np.int32) - np.roll(alone, 1, axis=0))
        self.assertGreater(another.mean(axis=(1, 2, 3)).min(), 10)

    def test_an_image_that_has_become_unreadable_is_named(self) -> None:
        folder = Path(_write(self.home / "damaged"))
        self.containers["damaged"] = str(folder)
        feed = self._feed("damaged")
        (folder / "train" / "dog" / "005.jpg").write_bytes(b"\xff\xd8 no more")
        with self.assertRaises(tf.errors.OpError):
            self._inputs(feed)
        self.assertIn("dog/005.jpg", feed.find_bad_example(0, 2))


class RecordsTest(tf.test.TestCase):
    """Decoded images in place, in records that may have been written otherwise."""

    def test_a_record_in_another_order_is_parsed(self) -> None:
        features = _features()
        shape = features.input.shape
        image = np.random.default_rng(0).integers(0, 256, shape, np.uint8)
        for target in (0, 1, 300):
            prefix = serialization.array_prefix(features, target)
            record = serialization.serialize(features, image, target)
            name = serialization.array_of.__module__
            with mock.patch(f"{name}.parse_arrays") as parse:
                found = serialization.array_of(features, memoryview(record), prefix)
            parse.assert_not_called()
            self.assertAllEqual(found, image)
            turned = _turned(record)
            self.assertNotEqual(turned, record)
            found = serialization.array_of(features, memoryview(turned), prefix)
            self.assertAllEqual(found, image)

    def test_a_record_that_is_cut_off_is_an_error(self) -> None:
        features = _features()
        image = np.zeros(features.input.shape, np.uint8)
        record = memoryview(serialization.serialize(features, image, 1))
        prefix = serialization.array_prefix(features, 1)
        with self.assertRaises(Exception):  # noqa: B017  # protobuf's own
            serialization.array_of(features, record[:60], prefix)


def _features():
    from pipelines.features import ClassLabel, ExampleSpec, Image

    classes = tuple(f"c{number:03}" for number in range(301))
    return ExampleSpec(Image((7, 9, 3)), ClassLabel(classes))


def _turned(record: bytes) -> bytes:
    """The same Example with its features in the opposite order."""
    whole = tf.train.Example.FromString(record)
    parts = []
    for name in ("label", "image"):
        part = tf.train.Example()
        part.features.feature[name].CopyFrom(whole.features.feature[name])
        parts.append(part.SerializeToString())
    return b"".join(parts)


def _graph_of(dataset: tf.data.Dataset) -> bytes:
    graph: bytes = tf.raw_ops.DatasetToGraphV2(
        input_dataset=dataset._variant_tensor
    ).numpy()
    return graph


if __name__ == "__main__":
    tf.test.main()
