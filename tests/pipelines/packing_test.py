"""Packing: what comes out is what went in, whole or not there, and TFDS opens it."""

import contextlib
import json
import os
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized

from base.errors import UserError
from pipelines import packing
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset
from pipelines.order import Order
from pipelines.packconfig import PackConfig
from pipelines.packed_format import MANIFEST
from tests.pipelines.folders import write_classes, write_image

_SPLIT = "0.6,0.2,0.2"


def _never() -> bool:
    return False


def _records(builder: tfds.core.DatasetBuilder, split: str) -> list[dict]:
    """The examples of a split, decoded by TFDS."""
    if builder.info.file_format.value == "array_record":
        return list(builder.as_data_source(split=split))
    return list(builder.as_dataset(split=split).as_numpy_iterator())


class PackingTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.home = Path(self.get_temp_dir())
        self.folder = write_classes(self.home / "pets", per_class=15)

    def _config(self, name: str, **flags: object) -> PackConfig:
        flags = {
            "dataset": str(self.folder),
            "split": _SPLIT,
            "examples_per_shard": 5,
            **flags,
        }
        return PackConfig(pack_dir=str(self.home / name), **flags)

    def _pack(self, name: str, **flags: object) -> str:
        packing.pack(self._config(name, **flags), _never, lambda line: None)
        return str(self.home / name)

    def _open(self, path: str, **flags: object) -> Dataset:
        flags = {"batch_size": 4, "split": _SPLIT, "cache": "none", **flags}
        return open_dataset(DataConfig(dataset=path, **flags))

    def _epochs(self, dataset: Dataset, replicas: int = 1) -> list[np.ndarray]:
        """Two epochs of batches, put together from the slices of the replicas."""
        order = Order(dataset.split_sizes["train"], 4, seed=11)
        feed = dataset.training(order)
        share = 4 // replicas
        slices = [
            feed.batches(0, first=share * replica, count=share).take(9)
            for replica in range(replicas)
        ]
        return [
            np.concatenate([part.inputs for part in parts])
            for parts in zip(*map(iter, slices), strict=True)
        ]

    @pytest.mark.slow
    def test_the_order_is_the_same_from_every_container(self) -> None:
        expected = self._epochs(self._open(str(self.folder)))
        first = np.concatenate(expected)[:18].reshape(18, -1)
        self.assertLen(np.unique(first, axis=0), 18)  # an epoch is a permutation
        containers = {
            "array_record": self._pack("a"),
            "tfrecord": self._pack("b", format="tfrecord"),
            "decoded": self._pack("c", decode=True),
            "hdf5": self._pack("d.h5", format="hdf5", decode=True),
            "tar": self._pack("e.tar", format="tar"),
        }
        for name, path in containers.items():
            for replicas in (1, 2, 4):
                with self.subTest(name, replicas=replicas):
                    found = self._epochs(self._open(path), replicas)
                    self.assertAllEqual(found, expected)

    @parameterized.parameters("array_record", "tfrecord")
    @pytest.mark.slow
    def test_tensorflow_datasets_opens_it(self, file_format: str) -> None:
        dataset = self._open(str(self.folder))
        for decode in (False, True):
            path = self._pack(
                f"{file_format}-{decode}", format=file_format, decode=decode
            )
            builder = tfds.builder_from_directory(path)
            self.assertEqual(builder.info.features["label"].names, ["cat", "dog"])
            sizes = {k: v.num_examples for k, v in builder.info.splits.items()}
            self.assertEqual(sizes, dataset.split_sizes)
            found = _records(builder, "train")
            train = dataset.examples("train", range(len(found)))
            self.assertAllEqual([row["image"] for row in found], train.inputs)
            self.assertAllEqual([row["label"] for row in found], train.labels)

    def test_fingerprints_are_those_of_the_source(self) -> None:
        summary = self._open(str(self.folder)).summary()
        packed = self._open(self._pack("packed")).summary()
        self.assertEqual(packed["splits"], summary["splits"])
        self.assertEqual(packed["features"], summary["features"])

    def test_a_folder_of_an_earlier_version_is_read_but_not_packed_again(self) -> None:
        path = Path(self._pack("packed"))
        expected = self._open(str(path))
        manifest = json.loads((path / MANIFEST).read_text())
        manifest |= {"version": 1, "plan": "of an earlier layout"}
        manifest["features"] = {
            "kind": "image",
            "shape": list(expected.source.features.input.shape),
            "task": "classification",
            "classes": ["cat", "dog"],
            "targets": 1,
            "columns": [],
        }
        (path / MANIFEST).write_text(json.dumps(manifest))
        found = self._open(str(path))
        self.assertEqual(found.features, expected.features)
        for batch, other in zip(
            self._epochs(found), self._epochs(expected), strict=True
        ):
            self.assertAllEqual(batch, other)
        with self.assertRaisesRegex(UserError, "packed by an earlier version of Atel"):
            self._pack("packed")

    def test_a_source_without_a_test_split_stays_without(self) -> None:
        images = self.home / "divided"
        for start, split in enumerate(("train", "validation")):
            write_classes(images / split, per_class=5, first_seed=100 * start)
        sizes = self._open(str(images)).split_sizes
        self.assertEqual(sizes["test"], 0)
        packed = self._pack("packed", dataset=str(images))
        self.assertEqual(self._open(packed).split_sizes, sizes)

    def test_vectors_and_values_are_packed_too(self) -> None:
        generator = np.random.default_rng(0)
        rows = generator.normal(size=(30, 4)).astype(np.float32)
        np.savez(self.home / "rows.npz", x_train=rows, y_train=rows[:, :2] * 2)
        path = self._pack("rows", dataset=str(self.home / "rows.npz"))
        found = self._open(path).examples("validation", range(6))
        self.assertAllClose(found.inputs[:, :2] * 2, found.labels)
        builder = tfds.builder_from_directory(path)
        for row in _records(builder, "test"):
            self.assertAllClose(row["vector"][:2] * 2, row["target"])

    def test_an_interrupted_pack_goes_on_and_ends_alike(self) -> None:
        whole = Path(self._pack("whole"))
        calls = iter([False] * 3)
        told: list[str] = []
        with self.assertRaises(packing.PackPaused):
            packing.pack(self._config("parts"), lambda: next(calls, True), told.append)
        self.assertFalse((self.home / "parts").exists())
        aside = self.home / ".parts.partial"
        kept = {p.name: p.stat().st_mtime_ns for p in aside.glob("*-of-*")}
        kept = {name: time for name, time in kept.items() if not name.endswith("tmp")}
        self.assertLen(kept, 3)
        damaged = sorted(kept)[0]
        data = bytearray((aside / damaged).read_bytes())
        data[-1] ^= 1
        (aside / damaged).write_bytes(data)
        parts = Path(self._pack("parts"))
        self.assertEqual(
            json.loads((parts / "atelier.json").read_text()),
            json.loads((whole / "atelier.json").read_text()),
        )
        for name in sorted(kept)[1:]:  # whole ones were not written again
            self.assertEqual((parts / name).stat().st_mtime_ns, kept[name])
        self.assertFalse(aside.exists())

    def test_what_was_begun_from_other_data_is_not_kept(self) -> None:
        calls = iter([False] * 3)
        with contextlib.suppress(packing.PackPaused):
            packing.pack(
                self._config("parts"), lambda: next(calls, True), lambda line: None
            )
        write_image(self.folder / "cat" / "new.png", 77)
        self._pack("parts")
        self.assertEqual(packing.verify(self._config("parts", verify=True)), 31)

    def test_changed_bytes_are_refused(self) -> None:
        path = Path(self._pack("packed"))
        for name in sorted(os.listdir(path)):
            whole = (path / name).read_bytes()
            (path / name).write_bytes(bytes([whole[0] ^ 1]) + whole[1:])
            with self.assertRaisesRegex(UserError, f"{name} (has changed|cannot be)"):
                self._open(str(path))
            (path / name).write_bytes(whole)
        shard = next(path.glob("*array_record*"))
        shard.write_bytes(shard.read_bytes()[:-1])
        with self.assertRaisesRegex(UserError, "has another size"):
            self._open(str(path))
        shard.unlink()
        with self.assertRaisesRegex(UserError, "cannot be read: No such file"):
            self._open(str(path))

    def test_verify_compares_with_the_source(self) -> None:
        for decode in (False, True):
            self._pack(f"packed-{decode}", decode=decode)
            config = self._config(f"packed-{decode}", verify=True, decode=decode)
            self.assertEqual(packing.verify(config), 30)
        os.replace(self.folder / "cat" / "001.png", self.folder / "dog" / "new.png")
        with self.assertRaisesRegex(UserError, "is not .*; pack it again"):
            packing.verify(config)

    def test_what_cannot_be_packed_so_is_refused(self) -> None:
        for flags, message in (
            ({"image_size": "4"}, "add --decode"),
            ({"format": "hdf5"}, "add --decode"),
            ({"format": "tar", "dataset": "digits"}, "stores encoded images"),
        ):
            with self.assertRaisesRegex(UserError, message):
                self._pack("refused", **flags)
        self._pack("packed")
        with self.assertRaisesRegex(UserError, "is there already, packed from other"):
            self._pack("packed", decode=True)
        with self.assertRaisesRegex(UserError, "is there already; remove it"):
            self._pack("pets")
        with self.assertRaisesRegex(UserError, "pack_dir is missing"):
            PackConfig()

    def test_decoded_images_are_resized_once(self) -> None:
        path = self._pack("small", decode=True, image_size="4,6")
        resized = self._open(str(self.folder), image_size="4,6")
        found = self._open(path)
        self.assertEqual(found.features.input.shape, (4, 6, 3))
        positions = range(found.split_sizes["test"])
        self.assertAllEqual(
            found.examples("test", positions).inputs,
            resized.examples("test", positions).inputs,
        )


if __name__ == "__main__":
    tf.test.main()
