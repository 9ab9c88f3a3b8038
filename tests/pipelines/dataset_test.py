"""Datasets and feeds: the same batches held or streamed, each example once."""

import json
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines import augmentation
from pipelines.batch import Batch
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset
from pipelines.features import ExampleSpec, Values, Vector
from pipelines.feed import Feed
from pipelines.order import Order
from pipelines.sources.arrays import ArraySource
from tests.pipelines.folders import write_classes, write_image

_AUGMENT = "flip,translate=1,rotate=10,contrast=0.2,noise=3,cutout=3,mixup=0.3"


def _feed(dataset: Dataset, augment: str = "", seed: int = 3) -> Feed:
    order = Order(dataset.split_sizes["train"], dataset.config.batch_size, seed)
    return dataset.training(order, augmentation.parse(augment))


def _streamed(feed: Feed, first_step: int, steps: int, **part: int) -> list[Batch]:
    return list(feed.batches(first_step, **part).take(steps))


class DatasetTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir())

    def _open(self, **flags: object) -> Dataset:
        flags = {"batch_size": 6, "split": "0.5,0.25,0.25", **flags}
        return open_dataset(DataConfig(**flags))

    def _pets(self, **flags: object) -> Dataset:
        write_classes(self.folder, per_class=10)
        return self._open(dataset=str(self.folder), **flags)

    def _assert_same(self, batch: Batch, other: Batch) -> None:
        for part, other_part in zip(batch, other, strict=True):
            self.assertAllEqual(part, other_part)

    @parameterized.product(source=("digits", "pets"), augment=("", _AUGMENT))
    @pytest.mark.slow
    def test_held_and_streamed_batches_are_equal(
        self, source: str, augment: str
    ) -> None:
        make = self._pets if source == "pets" else self._open
        held = _feed(make(cache="memory"), augment)
        streamed = _feed(make(cache="none"), augment)
        self.assertTrue(held.resident)
        self.assertFalse(streamed.resident)
        compiled = tf.function(held.batch)
        for step, batch in enumerate(_streamed(streamed, 0, 5)):  # crosses epochs
            self._assert_same(batch, compiled(tf.constant(step, tf.int64)))
        self._assert_same(_streamed(held, 2, 1)[0], _streamed(streamed, 2, 1)[0])

    def test_another_step_or_seed_gives_another_batch(self) -> None:
        dataset = self._pets()
        first, second = _streamed(_feed(dataset), 0, 2)
        other = _streamed(_feed(dataset, seed=4), 0, 1)[0]
        self.assertNotAllEqual(first.inputs, second.inputs)
        self.assertNotAllEqual(first.inputs, other.inputs)

    @parameterized.parameters("memory", "none")
    def test_no_stream_has_a_thread_that_tunes_it(self, cache: str) -> None:
        """It may keep an iterator from ending for up to a minute: dataset_options."""
        dataset = self._pets(cache=cache)
        for stream in (
            _feed(dataset, "flip").batches(0),
            _feed(dataset, "crop=0.3").batches(0),
            _feed(dataset, "crop=0.3").batches(0, native=True),
            dataset.evaluation("train", 6),
            dataset.evaluation("train", 6).rebatch(3),  # as replicas have it
        ):
            self.assertIs(stream.options().autotune.enabled, False)

    @parameterized.parameters("memory", "none")
    @pytest.mark.slow
    def test_a_stream_begins_at_any_step(self, cache: str) -> None:
        feed = _feed(self._pets(cache=cache), _AUGMENT)
        whole = _streamed(feed, 0, 9)
        for batch, later in zip(whole[6:], _streamed(feed, 6, 3), strict=True):
            self._assert_same(batch, later)

    @parameterized.product(cache=("memory", "none"), replicas=(2, 3))
    @pytest.mark.slow
    def test_slices_of_replicas_are_the_global_batch(
        self, cache: str, replicas: int
    ) -> None:
        dataset = self._pets(cache=cache, batch_size=12, split="0.6,0.2,0.2")
        feed = _feed(dataset, _AUGMENT)
        share = 12 // replicas
        (whole,) = _streamed(feed, 4, 1)
        slices = [
            _streamed(feed, 4, 1, first=replica * share, count=share)[0]
            for replica in range(replicas)
        ]
        self._assert_same(
            whole, Batch(*(tf.concat(parts, 0) for parts in zip(*slices, strict=True)))
        )
        if feed.resident:
            held = [feed.batch(4, r * share, share) for r in range(replicas)]
            for batch, other in zip(slices, held, strict=True):
                self._assert_same(batch, other)
        parts = _streamed(feed, 4, replicas, batch_size=share)
        for batch, other in zip(slices, parts, strict=True):
            self._assert_same(batch, other)

    def test_an_epoch_of_batches_holds_each_example_once(self) -> None:
        dataset = self._open(batch_size=64, split="0.8,0.1,0.1")
        examples = dataset.split_sizes["train"]
        steps = -(-examples // 64)
        images = np.concatenate([b.inputs for b in _streamed(_feed(dataset), 0, steps)])
        found = np.unique(images[:examples].reshape(examples, -1), axis=0)
        self.assertLen(found, examples)

    @parameterized.parameters("memory", "none")
    def test_evaluation_counts_each_example_once_and_never_augments(
        self, cache: str
    ) -> None:
        dataset = self._pets(cache=cache)
        batches = list(dataset.evaluation("train", 4))
        self.assertTrue(all(batch.inputs.shape == (4, 8, 8, 3) for batch in batches))
        weights = np.concatenate([batch.weights for batch in batches])
        self.assertAllEqual(weights, [1] * 10 + [0] * 2)
        looked_at = dataset.examples("train", range(10))
        kept = np.concatenate([batch.inputs for batch in batches])[weights > 0]
        self.assertAllEqual(kept, looked_at.inputs)
        labels = np.concatenate([batch.labels for batch in batches])[weights > 0]
        self.assertAllEqual(labels, looked_at.labels)
        for name, label in zip(looked_at.names, looked_at.labels, strict=True):
            self.assertEqual(Path(name).parent.name, ("cat", "dog")[label])

    @parameterized.parameters(1, 2)
    def test_held_evaluation_has_the_streamed_one_s_batches(self, slices: int) -> None:
        held = self._pets(cache="memory").held_evaluation("train", 4)
        assert held is not None
        compiled = tf.function(held.batch)
        size = 4 // slices
        found = [
            compiled(tf.constant(index), tf.constant(part * size), size)
            for index in range(held.count)
            for part in range(slices)
        ]
        streamed = [*self._pets(cache="none").evaluation("train", 4)]
        for name in ("inputs", "labels", "weights"):
            self.assertAllEqual(
                np.concatenate([getattr(batch, name) for batch in found]),
                np.concatenate([getattr(batch, name) for batch in streamed]),
            )

    def test_no_held_evaluation_of_what_is_not_held(self) -> None:
        self.assertIsNone(self._pets(cache="none").held_evaluation("train", 4))

    def test_a_split_that_is_empty_cannot_be_evaluated(self) -> None:
        dataset = self._open(split="0.9,0.1,0")
        with self.assertRaisesRegex(UserError, "has no test examples"):
            dataset.evaluation("test", 4)

    def test_the_split_is_held_as_one_tensor_outside_the_graph(self) -> None:
        feed = _feed(self._open(batch_size=8))
        compiled = tf.function(feed.batch).get_concrete_function(
            tf.TensorSpec([], tf.int64)
        )
        self.assertLess(compiled.graph.as_graph_def().ByteSize(), feed.held_bytes)

    @parameterized.parameters("memory", "none")
    def test_crops_of_images_of_one_size_are_equal_held_or_streamed(
        self, cache: str
    ) -> None:
        feed = _feed(self._pets(cache=cache), "crop=0.3")
        other = _feed(self._pets(cache="none"), "crop=0.3")
        self._assert_same(_streamed(feed, 1, 1)[0], _streamed(other, 1, 1)[0])

    def test_crops_are_cut_from_larger_originals(self) -> None:
        write_classes(self.folder, size=(40, 60))
        write_image(self.folder / "cat" / "x.jpg", 0, size=(90, 30))
        dataset = self._open(dataset=str(self.folder), image_size="16")
        feed = _feed(dataset, "crop=0.1,flip")
        self.assertFalse(feed.resident)
        (batch,) = _streamed(feed, 3, 1)
        self.assertEqual(batch.inputs.shape, (6, 16, 16, 3))
        self._assert_same(batch, _streamed(feed, 0, 4)[3])
        (plain,) = _streamed(_feed(dataset), 3, 1)
        self.assertGreater(np.std(batch.inputs), 1.2 * np.std(plain.inputs))

    def test_crops_are_cut_from_larger_arrays_as_in_any_slice(self) -> None:
        images = np.random.default_rng(0).integers(0, 256, (40, 30, 20, 3), np.uint8)
        np.savez(self.folder / "a.npz", x_train=images, y_train=np.arange(40) % 2)
        dataset = self._open(dataset=str(self.folder / "a.npz"), image_size="12")
        feed = _feed(dataset, "crop=0.2,flip")
        self.assertFalse(feed.resident)
        (batch,) = _streamed(feed, 5, 1)
        self.assertEqual(batch.inputs.shape, (6, 12, 12, 3))
        self.assertEqual(batch.inputs.dtype, tf.uint8)
        slices = [_streamed(feed, 5, 1, first=f, count=2)[0] for f in (0, 2, 4)]
        self._assert_same(
            batch, Batch(*(tf.concat(parts, 0) for parts in zip(*slices, strict=True)))
        )
        small = self._open(dataset=str(self.folder / "a.npz"), image_size="40")
        self.assertTrue(_feed(small, "crop").resident)

    @parameterized.parameters("crop,flip", "crop,flip,translate=3,noise=2")
    def test_crops_of_large_images_are_equal_held_and_streamed(
        self, augment: str
    ) -> None:
        write_classes(self.folder, per_class=8, size=(70, 80))
        held = _feed(self._open(dataset=str(self.folder)), augment)
        self.assertTrue(held.resident)
        streamed = _feed(self._open(dataset=str(self.folder), cache="none"), augment)
        compiled = tf.function(held.batch)
        for step, batch in enumerate(_streamed(streamed, 0, 4)):
            found = compiled(tf.constant(step, tf.int64))
            self.assertEqual(found.inputs.dtype, tf.float32)
            self._assert_same(batch.as_floats(), found)

    def test_crops_of_originals_cannot_be_held(self) -> None:
        dataset = self._pets(image_size="4", cache="memory")
        with self.assertRaisesRegex(UserError, "crops are cut from the original"):
            _feed(dataset, "crop")

    def test_an_image_that_breaks_while_held_or_streamed_is_named(self) -> None:
        for start, split in enumerate(("train", "validation")):
            write_classes(self.folder / split, per_class=8, first_seed=100 * start)
        path = self.folder / "train" / "dog" / "005.png"
        data = bytearray(path.read_bytes())
        data[60:90] = bytes(30)  # whole by its header and its end
        path.write_bytes(data)
        with self.assertRaisesRegex(UserError, "005.png cannot be decoded"):
            _feed(self._open(dataset=str(self.folder), cache="memory"))
        feed = _feed(self._open(dataset=str(self.folder), cache="none"))
        with self.assertRaises(tf.errors.InvalidArgumentError):
            _streamed(feed, 0, 3)
        self.assertRegex(feed.find_bad_example(0, 2), "005.png cannot be decoded")

    def test_summary_is_json_and_counts_the_examples(self) -> None:
        summary = json.loads(json.dumps(self._pets().summary()))
        self.assertEqual(summary["splits"]["train"]["classes"], {"cat": 5, "dog": 5})
        self.assertEqual(
            ExampleSpec.from_json(summary["features"]), self._pets().features
        )

    def test_the_fingerprint_tells_contents_and_labels(self) -> None:
        before = self._pets().summary()["splits"]
        self.assertEqual(self._pets().summary()["splits"], before)
        path = next(self.folder.glob("cat/*.png"))
        path.rename(self.folder / "dog" / "moved.png")
        after = self._open(dataset=str(self.folder)).summary()["splits"]
        prints = [{part["sha256"] for part in s.values()} for s in (before, after)]
        self.assertNotEqual(*prints)

    def test_vectors_and_regression(self) -> None:
        generator = np.random.default_rng(0)
        examples = generator.normal(size=(40, 5)).astype(np.float32)
        targets = examples.sum(axis=1, keepdims=True)
        source = ArraySource(
            "rows", ExampleSpec(Vector((5,)), Values()), examples, targets
        )
        dataset = Dataset(source, DataConfig(batch_size=8, cache="memory"))
        batch = _feed(dataset).batch(3)
        self.assertAllClose(tf.reduce_sum(batch.inputs, 1, keepdims=True), batch.labels)
        streamed = _feed(Dataset(source, DataConfig(batch_size=8, cache="none")))
        self._assert_same(batch, _streamed(streamed, 3, 1)[0])
        with self.assertRaisesRegex(UserError, "holds no images"):
            _feed(dataset, "flip")

    def test_mixup_wants_whole_pairs(self) -> None:
        with self.assertRaisesRegex(UserError, "expected an even batch size"):
            _feed(self._open(batch_size=7), "mixup=0.2")
        with self.assertRaisesRegex(ValueError, "must be even"):
            _feed(self._open(batch_size=6), "mixup=0.2").batch(0, 0, 3)

    @parameterized.parameters(
        ({"batch_size": 0}, "batch_size=0"),
        ({"image_size": "big"}, "image_size=big: expected N or H,W"),
        ({"image_size": "0"}, "image_size=0: expected N or H,W"),
        ({"image_size": "1,2,3"}, "expected N or H,W"),
        ({"cache": "disk"}, "cache=disk: expected one of auto"),
        ({"max_pixels": 0}, "max_pixels=0"),
    )
    def test_bad_flags_are_refused(self, flags: dict, message: str) -> None:
        with self.assertRaisesRegex(UserError, message):
            DataConfig(**flags)


if __name__ == "__main__":
    tf.test.main()
