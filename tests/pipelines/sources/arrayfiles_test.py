"""Arrays in .npz and .h5 files: the same examples, and every way to be wrong."""

import os
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset
from pipelines.features import Values
from pipelines.order import Order


def _images(seed: int, count: int) -> np.ndarray:
    shape = (count, 6, 5, 3)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def _arrays() -> dict[str, np.ndarray]:
    return {
        "x_train": _images(0, 20),
        "y_train": np.arange(20) % 3,
        "x_test": _images(1, 6),
        "y_test": np.arange(6) % 3,
    }


class ArrayFilesTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir())

    def _write(self, arrays: dict[str, np.ndarray], suffix: str, **how: object) -> str:
        path = self.folder / f"{len(os.listdir(self.folder))}.{suffix}"
        if suffix == "npz":
            np.savez(path, **arrays)
            return str(path)
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file.create_dataset(name, data=values, **how)
        return str(path)

    def _open(self, path: str, **flags: object) -> Dataset:
        flags = {"batch_size": 4, "split": "0.6,0.3,0.1", **flags}
        return open_dataset(DataConfig(dataset=path, **flags))

    def _assert_refused(self, path: str, message: str) -> None:
        with self.assertRaisesRegex(UserError, message) as caught:
            self._open(path)
        self.assertNotIn("\n", str(caught.exception))

    def _assert_arrays_refused(self, message: str, **changes: object) -> None:
        arrays = {k: v for k, v in (_arrays() | changes).items() if v is not None}
        for suffix in ("npz", "h5"):
            self._assert_refused(self._write(arrays, suffix), message)

    def test_npz_and_every_layout_of_hdf5_give_the_same(self) -> None:
        paths = [
            self._write(_arrays(), "npz"),
            self._write(_arrays(), "h5"),
            self._write(_arrays(), "hdf5", chunks=True, compression="gzip"),
            self._write(_arrays(), "h5", maxshape=None, chunks=True),
        ]
        opened = [self._open(path, cache="none") for path in paths]
        batches = [
            next(iter(dataset.training(Order(14, 4, seed=2)).batches(1)))
            for dataset in opened
        ]
        for dataset, batch in zip(opened, batches, strict=True):
            self.assertEqual(dataset.summary()["splits"], opened[0].summary()["splits"])
            self.assertEqual(
                dataset.split_sizes, {"train": 14, "validation": 6, "test": 6}
            )
            self.assertEqual(dataset.features.target.part_names, ("0", "1", "2"))
            for part, other in zip(batch, batches[0], strict=True):
                self.assertAllEqual(part, other)
            examples = dataset.examples("test", range(6))
            self.assertAllEqual(examples.inputs, _arrays()["x_test"])
            self.assertAllEqual(examples.labels, _arrays()["y_test"])

    def test_rows_are_read_in_any_order_and_named(self) -> None:
        source = self._open(self._write(_arrays(), "h5", chunks=True)).source
        whole = np.concatenate([_arrays()["x_train"], _arrays()["x_test"]])
        wanted = np.array([25, 3, 3, 4, 20, 0])
        self.assertAllEqual(source.read(wanted), whole[wanted])
        self.assertAllEqual(source.lookup(tf.constant(wanted)), whole[wanted])
        self.assertRegex(source.describe(21), r"\.h5, x_test\[1\]$")

    @parameterized.parameters("npz", "h5")
    def test_grey_images_and_named_classes(self, suffix: str) -> None:
        arrays = _arrays() | {
            "x_train": _images(0, 20)[..., 0],
            "x_test": _images(1, 6)[..., 0],
        }
        names = np.array(["cat", "dög", "emu"])
        arrays["classes"] = names if suffix == "npz" else np.char.encode(names, "utf8")
        features = self._open(self._write(arrays, suffix)).features
        self.assertEqual(features.input.shape, (6, 5, 1))
        self.assertEqual(features.target.part_names, ("cat", "dög", "emu"))

    @parameterized.parameters("npz", "h5")
    def test_float_targets_are_values(self, suffix: str) -> None:
        generator = np.random.default_rng(3)
        arrays = {"x_train": generator.normal(size=(20, 4))}
        arrays["y_train"] = arrays["x_train"][:, :2] * 3
        dataset = self._open(self._write(arrays, suffix))
        self.assertEqual(dataset.features.target, Values(2))
        found = dataset.examples("validation", range(6))
        self.assertEqual(found.inputs.dtype, np.float32)
        self.assertAllClose(found.inputs[:, :2] * 3, found.labels)

    def test_wrong_arrays_are_refused(self) -> None:
        images = _images(0, 20)
        refused = self._assert_arrays_refused
        refused("x_train without y_train", y_train=None)
        refused("expected arrays x_train and y_train", x_train=None, y_train=None)
        refused("two for one split", x_val=images, y_val=np.arange(20) % 3,
                x_valid=images, y_valid=np.arange(20) % 3)  # fmt: skip
        refused("expected images as uint8", x_train=images / 255)
        refused("20 examples and 19 targets", y_train=np.arange(19))
        refused("x_test holds images of shape", x_test=_images(0, 6)[:, :4])
        refused("expected integer classes", y_train=np.array([b"a"] * 20))
        refused("integer and float targets", y_train=np.arange(20.0))
        refused("has 1 class", y_train=np.zeros(20, int), y_test=np.zeros(6, int))
        refused(
            r"y_train\[3\] .* is not finite",
            y_train=np.where(np.arange(20) == 3, np.nan, 1.0),
            y_test=np.ones(6),
        )

    def test_pickles_and_damaged_files_are_refused(self) -> None:
        objects = np.array([{"a": 1}] * 20, object)
        path = self.folder / "pickled.npz"
        np.savez(path, x_train=_images(0, 20), y_train=objects)
        self._assert_refused(str(path), "cannot be read .*pickle")
        for suffix in ("npz", "h5"):
            path = Path(self._write(_arrays(), suffix))
            whole = path.read_bytes()
            path.write_bytes(whole[: len(whole) // 2])
            self._assert_refused(str(path), "cannot be read .*expected a whole")
            path.write_bytes(b"")
            self._assert_refused(str(path), "cannot be read")

    def test_a_flipped_bit_in_an_npz_is_found(self) -> None:
        path = Path(self._write(_arrays(), "npz"))
        data = bytearray(path.read_bytes())
        data[600] ^= 1
        path.write_bytes(data)
        self._assert_refused(str(path), "cannot be read .*CRC")

    def test_hdf5_that_points_elsewhere_is_refused(self) -> None:
        other = self._write(_arrays(), "h5")
        arrays = {k: v for k, v in _arrays().items() if k != "x_train"}
        layout = h5py.VirtualLayout((20, 6, 5, 3), np.uint8)
        layout[:] = h5py.VirtualSource(other, "x_train", (20, 6, 5, 3))
        raw = self.folder / "raw.bin"
        raw.write_bytes(_arrays()["x_train"].tobytes())
        for message, write in (
            ("is a link", lambda f: f.__setitem__("x_train", h5py.SoftLink("/y_test"))),
            (
                "is a link",
                lambda f: f.__setitem__("x_train", h5py.ExternalLink(other, "x_train")),
            ),
            (
                "lies in other files",
                lambda f: f.create_virtual_dataset("x_train", layout),
            ),
            (
                "lies in other files",
                lambda f: f.create_dataset(
                    "x_train", (20, 6, 5, 3), "u1", external=[(str(raw), 0, 1800)]
                ),
            ),
        ):
            path = self._write(arrays, "h5")
            with h5py.File(path, "a") as file:
                write(file)
            self._assert_refused(path, message)

    def test_a_small_file_that_promises_much_takes_no_memory(self) -> None:
        path = self.folder / "bomb.h5"
        with h5py.File(path, "w") as file:
            file.create_dataset("x_train", (20, 4), "f4")
            file.create_dataset("y_train", (1 << 42,), "i8", chunks=(1 << 16,))
        self._assert_refused(str(path), "20 examples and 4398046511104 targets")


if __name__ == "__main__":
    tf.test.main()
