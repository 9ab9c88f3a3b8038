"""TensorFlow Datasets as a source: what `pack` wrote, what TFDS wrote, and by name."""

import json
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from absl.testing import parameterized
from tensorflow_datasets.testing import mocking

from base.errors import UserError
from pipelines import packing
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset
from pipelines.packconfig import PackConfig
from tests.pipelines.folders import write_classes

_SPLIT = "0.6,0.2,0.2"


class TfdsTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.home = Path(self.get_temp_dir()) / self.id()
        self.folder = write_classes(self.home / "photos", per_class=15)

    def _open(self, path: object, **flags: object) -> Dataset:
        flags = {"batch_size": 4, "split": _SPLIT, "cache": "none", **flags}
        return open_dataset(DataConfig(dataset=str(path), **flags))

    def _packed(self, **flags: object) -> Path:
        """DATA/pets/1.0.0 as TFDS names it, without what only Atelier reads."""
        flags = {"dataset": str(self.folder), "split": _SPLIT, **flags}
        folder = self.home / "data" / "pets" / "1.0.0"
        config = PackConfig(pack_dir=str(folder), examples_per_shard=7, **flags)
        packing.pack(config, lambda: False, lambda line: None)
        (folder / packing.MANIFEST).unlink()
        return folder

    def _assert_same_batches(self, dataset: Dataset, other: Dataset) -> None:
        feeds = [d.training(d.order(5)).batches(0).take(6) for d in (dataset, other)]
        for batch, same in zip(*feeds, strict=True):
            for part, other_part in zip(batch, same, strict=True):
                self.assertAllEqual(part, other_part)

    @parameterized.product(format=("array_record", "tfrecord"), decode=(False, True))
    @pytest.mark.slow
    def test_a_folder_of_tfds_and_its_name_give_what_was_packed(
        self, **flags: object
    ) -> None:
        folder = self._packed(**flags)
        expected = self._open(self.folder)
        data_dir = str(self.home / "data")
        for found in (self._open(folder), self._open("tfds:pets", data_dir=data_dir)):
            self._assert_same_batches(found, expected)
            self.assertEqual(found.features, expected.features)
            self.assertEqual(found.split_sizes, expected.split_sizes)
            if not flags["decode"]:
                splits = expected.summary()["splits"]
                self.assertEqual(found.summary()["splits"], splits)
        self.assertEndsWith(found.source.describe(20), "tfds:pets, validation[2]")

    def test_what_pack_wrote_is_held_against_its_checksums(self) -> None:
        pets = self.home / "data" / "pets" / "1.0.0"
        config = PackConfig(pack_dir=str(pets), dataset=str(self.folder), split=_SPLIT)
        packing.pack(config, lambda: False, lambda line: None)
        data_dir = str(self.home / "data")
        dataset = self._open("tfds:pets", data_dir=data_dir)
        self._assert_same_batches(dataset, self._open(self.folder))
        path = next(pets.glob("*train*"))
        path.write_bytes(path.read_bytes() + b"0")
        with self.assertRaisesRegex(UserError, "tfds:pets: .* another size than"):
            self._open("tfds:pets", data_dir=data_dir)

    def test_values_of_vectors(self) -> None:
        rows = np.random.default_rng(0).normal(size=(30, 4)).astype(np.float32)
        np.savez(self.home / "rows.npz", x_train=rows, y_train=rows[:, :2] * 2)
        folder = self._packed(dataset=str(self.home / "rows.npz"))
        info = json.loads((folder / "dataset_info.json").read_text())
        info["supervisedKeys"] = {
            "tuple": {"items": [{"featureKey": "vector"}, {"featureKey": "target"}]}
        }
        (folder / "dataset_info.json").write_text(json.dumps(info))
        found = self._open(folder).examples("train", range(5))
        self.assertAllClose(found.inputs[:, :2] * 2, found.labels)

    def test_a_named_builder_on_mock_data(self) -> None:
        data = self.home / "mock"
        builder = tfds.builder("mnist", data_dir=data)
        template = tfds.core.ShardedFileTemplate(
            data_dir=builder.data_path,
            dataset_name="mnist",
            filetype_suffix="array_record",
        )
        splits = [
            tfds.core.SplitInfo(
                name=name, shard_lengths=[40], num_bytes=0, filename_template=template
            )
            for name in ("train", "test")
        ]
        builder.info.set_splits(tfds.core.splits.SplitDict(splits))
        builder.info.set_file_format("array_record", override=True)
        Path(builder.data_path).mkdir(parents=True)
        builder.info.write_to_directory(builder.data_path)
        # TFDS's mock of reading a batch expects a `self` that nobody passes.
        batches = mock.patch.object(
            mocking,
            "_getitems",
            lambda keys, generator: [generator[key] for key in keys],
        )
        with batches, tfds.testing.mock_data(num_examples=40, data_dir=str(data)):
            dataset = self._open("tfds:mnist", data_dir=str(data))
            self.assertEqual(dataset.features.input.shape, (28, 28, 1))
            self.assertLen(dataset.features.target.part_names, 10)
            sizes = dataset.split_sizes
            self.assertEqual(sizes["test"], 40)
            self.assertEqual(sizes["train"] + sizes["validation"], 40)
            (batch,) = dataset.training(dataset.order(1)).batches(0).take(1)
            self.assertEqual(batch.inputs.shape, (4, 28, 28, 1))
            summary = dataset.summary()
            self.assertEqual(summary["tfds"], "mnist/3.0.1")

    @parameterized.parameters(
        ("tfds:mnist", "not in .*; name the folder .* download it: python -c"),
        ("tfds:mnits", "knows no mnits, .* .did you mean 'mnist'"),
        ("tfds:kaggle:thing", "expected tfds:NAME"),
        ("tfds:", "expected tfds:NAME"),
    )
    def test_what_is_not_there_is_not_fetched(self, name: str, message: str) -> None:
        with self.assertRaisesRegex(UserError, message) as caught:
            self._open(name, data_dir=str(self.home))
        self.assertNotIn("\n", str(caught.exception))

    def test_features_of_other_classes_are_not_imported(self) -> None:
        folder = self._packed()
        path = folder / "features.json"
        path.write_text(
            path.read_text().replace("tensorflow_datasets.", "somebody.elses.")
        )
        for name in (str(folder), "tfds:pets"):
            with self.assertRaisesRegex(UserError, "would run that code"):
                self._open(name, data_dir=str(self.home / "data"))

    @parameterized.parameters("array_record", "tfrecord")
    def test_a_flipped_bit_is_found(self, file_format: str) -> None:
        folder = self._packed(format=file_format)
        path = sorted(folder.glob(f"*train.{file_format}*"))[0]
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 4
        path.write_bytes(data)
        with self.assertRaisesRegex(UserError, "prepare the dataset again") as caught:
            self._open(folder)
        self.assertNotIn("\n", str(caught.exception))


if __name__ == "__main__":
    tf.test.main()
