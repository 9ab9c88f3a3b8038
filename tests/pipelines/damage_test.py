"""Examples that cannot be used: each kind is found, named, counted, and left out."""

import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from base.errors import UserError
from pipelines import packing
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset
from pipelines.packconfig import PackConfig
from tests.pipelines.folders import write_classes, write_image


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def _empty(path: Path) -> None:
    path.write_bytes(b"")


def _text(path: Path) -> None:
    path.write_text("<html>404</html>")


def _enormous(path: Path) -> None:
    Image.new("1", (20_000, 20_000)).save(path)


def _flip(path: Path) -> None:
    """A bit within the pixels, which the headers do not tell."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x10
    path.write_bytes(data)


_DAMAGE: dict[str, tuple[Callable[[Path], None], str]] = {
    "cat/a-cut.png": (_cut, "is truncated"),
    "cat/b-empty.png": (_empty, r"is empty \(0 bytes\)"),
    "cat/c-text.png": (_text, "is not a JPEG, PNG, BMP or GIF image"),
    "dog/d-enormous.png": (_enormous, "has 20000×20000 pixels, more than --max_pixels"),
    "dog/e-flipped.png": (_flip, "cannot be decoded"),
}


class DamageTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.home = Path(self.get_temp_dir())
        self.folder = write_classes(self.home / "pets")

    def _open(self, path: Path, **flags: object) -> Dataset:
        flags = {"batch_size": 4, "split": "0.6,0.2,0.2", "cache": "none", **flags}
        return open_dataset(DataConfig(dataset=str(path), **flags))

    def _damage(self, *names: str) -> None:
        for seed, name in enumerate(names or _DAMAGE):
            write_image(self.folder / name, 1000 + seed)
            _DAMAGE[name][0](self.folder / name)

    def _tar(self) -> Path:
        with tarfile.open(self.home / "pets.tar", "w") as archive:
            archive.add(self.folder, ".")
        return self.home / "pets.tar"

    def test_every_kind_is_left_out_and_the_rest_is_split_as_without_it(self) -> None:
        clean = self._open(self.folder).summary()
        self._damage()
        for path in (self.folder, self._tar()):
            dataset = self._open(path, max_bad_examples=5)
            summary = dataset.summary()
            self.assertEqual(summary["splits"], clean["splits"])
            self.assertEqual(summary["features"], clean["features"])
            self.assertLen(summary["bad_examples"], 5)
            found = zip(summary["bad_examples"], _DAMAGE.items(), strict=True)
            for line, (name, (_, reason)) in found:
                self.assertRegex(line, f"{name}.* {reason}")
            self.assertFalse([n for n in dataset.names("train") if "-" in Path(n).stem])
            for step in dataset.training(dataset.order(0)).batches(0).take(4):
                self.assertEqual(step.inputs.shape, (4, 8, 8, 3))

    @parameterized.parameters(*_DAMAGE)
    def test_one_too_many_is_refused_by_name(self, name: str) -> None:
        self._damage(name)
        self.assertLen(self._open(self.folder, max_bad_examples=1).bad_examples, 1)
        write_image(self.folder / "dog" / "zero.png", 0)
        _empty(self.folder / "dog" / "zero.png")
        message = "dog/zero.png is empty .* It is bad example 2, more than --max_bad"
        with self.assertRaisesRegex(UserError, message) as caught:
            self._open(self.folder, max_bad_examples=1)
        self.assertNotIn("\n", str(caught.exception))

    @parameterized.parameters("cat/a-cut.png", "cat/c-text.png", "dog/d-enormous.png")
    def test_none_is_left_out_by_default(self, name: str) -> None:
        self._damage(name)
        with self.assertRaisesRegex(UserError, f"{name} {_DAMAGE[name][1]}"):
            self._open(self.folder)

    def test_what_is_packed_is_the_rest(self) -> None:
        clean = self._open(self.folder).summary()
        self._damage()
        config = PackConfig(
            pack_dir=str(self.home / "packed"),
            dataset=str(self.folder),
            split="0.6,0.2,0.2",
            max_bad_examples=5,
        )
        told: list[str] = []
        packing.pack(config, lambda: False, told.append)
        self.assertLen([line for line in told if line.startswith("left out: ")], 5)
        packed = self._open(self.home / "packed").summary()
        self.assertEqual(packed["splits"], clean["splits"])
        self.assertLen(packed["left_out_when_packed"], 5)

    def test_rows_of_a_table_that_cannot_be_used(self) -> None:
        path = self.home / "rows.csv"
        good = [f"{i % 2},{i}.5,x" for i in range(20)]
        path.write_text("\n".join(["y,a,t", *good]))
        flags = {"target": "y", "split": "0.5,0.25,0.25"}
        clean = self._open(path, **flags).summary()
        bad = [",3.5,x", "1,inf,x"]
        path.write_text("\n".join(["y,a,t", *good[:3], *bad, *good[3:]]))
        dataset = self._open(path, **flags, max_bad_examples=2)
        self.assertEqual(dataset.summary()["splits"], clean["splits"])
        self.assertRegex(dataset.bad_examples[0], "row 4: the target 'y' is missing")
        self.assertRegex(dataset.bad_examples[1], "row 5: 'a' is not finite")
        self.assertEndsWith(dataset.source.describe(3), "row 6")
        self.assertAllEqual(
            np.bincount(dataset.source.read_targets(np.arange(20))), [10, 10]
        )
        for allowed in (0, 1):
            with self.assertRaisesRegex(UserError, "row 4: the target 'y' is missing"):
                self._open(path, **flags, max_bad_examples=allowed)

    def test_a_class_of_bad_images_alone_leaves_its_split_without_it(self) -> None:
        for path in (self.folder / "cat").iterdir():
            _text(path)
        dataset = self._open(self.folder, max_bad_examples=10)
        self.assertEqual(
            dataset.summary()["splits"]["train"]["classes"], {"cat": 0, "dog": 6}
        )
        for path in (self.folder / "dog").iterdir():
            _text(path)
        with self.assertRaisesRegex(UserError, "holds no image that can be used"):
            self._open(self.folder, max_bad_examples=20)


if __name__ == "__main__":
    tf.test.main()
