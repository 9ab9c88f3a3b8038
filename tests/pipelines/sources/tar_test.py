"""A tar of images: the folder's examples in the folder's order, read in place."""

import io
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset
from pipelines.order import Order
from tests.pipelines.folders import write_classes


class TarTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir()) / "pets"
        self.tar = self.folder.parent / "pets.tar"

    def _pack(self, names: list[str], prefix: str = "", mode: str = "w") -> None:
        # USTAR: headers of 512 bytes, so that what is damaged below is what it says.
        with tarfile.open(self.tar, mode, format=tarfile.USTAR_FORMAT) as archive:
            for name in names:
                archive.add(self.folder / name, prefix + name, recursive=False)

    def _files(self) -> list[str]:
        paths = sorted(p for p in self.folder.rglob("*") if p.is_file())
        return [path.relative_to(self.folder).as_posix() for path in paths]

    def _open(self, path: Path, **flags: object) -> Dataset:
        flags = {"batch_size": 4, "split": "0.5,0.25,0.25", "cache": "none", **flags}
        return open_dataset(DataConfig(dataset=str(path), **flags))

    def _assert_refused(self, message: str) -> None:
        with self.assertRaisesRegex(UserError, message) as caught:
            self._open(self.tar)
        self.assertNotIn("\n", str(caught.exception))

    @parameterized.product(prefix=("", "./", "pets/", "./pets/"), given=(False, True))
    def test_examples_and_batches_are_those_of_the_folder(
        self, prefix: str, given: bool
    ) -> None:
        for start, split in enumerate(("train", "test") if given else ("",)):
            write_classes(self.folder / split, per_class=6, first_seed=50 * start)
        names = self._files()
        np.random.default_rng(1).shuffle(names)  # an archive has any order
        self._pack(names, prefix)
        folder, tar = self._open(self.folder), self._open(self.tar)
        self.assertEqual(tar.features, folder.features)
        self.assertEqual(tar.summary()["splits"], folder.summary()["splits"])
        for split in ("train", "validation", "test"):
            found = [
                [Path(name.partition(" at byte")[0]).name for name in d.names(split)]
                for d in (folder, tar)
            ]
            self.assertEqual(*found)
        batches = [
            list(d.training(Order(d.split_sizes["train"], 4, 7)).batches(2).take(2))
            for d in (folder, tar)
        ]
        for batch, other in zip(*batches, strict=True):
            for part, other_part in zip(batch, other, strict=True):
                self.assertAllEqual(part, other_part)

    def test_other_files_are_counted_and_hidden_ones_left_out(self) -> None:
        write_classes(self.folder)
        for name in ("README", "cat/notes.txt", ".hidden", "cat/._000.png"):
            (self.folder / name).write_text("no image")
        self._pack(self._files())
        ignored = self._open(self.tar).summary()["ignored_files"]
        self.assertEqual(ignored, {"count": 2, "first": ["README", "cat/notes.txt"]})

    def test_a_damaged_image_is_named_with_its_offset(self) -> None:
        write_classes(self.folder)
        (self.folder / "dog" / "003.png").write_bytes(b"")
        self._pack(self._files())
        self._assert_refused(r"pets.tar, dog/003.png at byte \d+ is empty")

    @parameterized.named_parameters(
        ("symbolic_link", "x.png", lambda m: setattr(m, "type", tarfile.SYMTYPE)),
        ("hard_link", "x.png", lambda m: setattr(m, "type", tarfile.LNKTYPE)),
        ("device", "x.png", lambda m: setattr(m, "type", tarfile.CHRTYPE)),
        ("absolute", "/etc/x.png", lambda m: None),
        ("above", "cat/../../x.png", lambda m: None),
        ("twice", "cat/000.png", lambda m: None),
    )
    def test_members_that_do_not_belong_are_refused(
        self, name: str, change: Callable[[tarfile.TarInfo], None]
    ) -> None:
        write_classes(self.folder)
        self._pack(self._files())
        member = tarfile.TarInfo(name)
        member.linkname = "/etc/passwd"
        change(member)
        with tarfile.open(self.tar, "a") as archive:
            archive.addfile(member, io.BytesIO())
        self._assert_refused("a link;|no plain file|outside of the tree|twice")

    def test_compressed_and_truncated_archives_are_refused(self) -> None:
        write_classes(self.folder)
        self._pack(self._files(), mode="w:gz")
        self._assert_refused("expected a whole, uncompressed tar")
        compressed = self.tar.rename(self.tar.with_suffix(".tar.gz"))
        with self.assertRaisesRegex(UserError, "is compressed.*uncompress it"):
            self._open(compressed)
        self._pack(self._files())
        whole = self.tar.read_bytes()
        for end in (10_300, 10_800, 20 * 1024):  # in a header, in an image, after all
            self.tar.write_bytes(whole[:end])
            self._assert_refused("truncated|unexpected end of data")
        self.tar.write_bytes(whole[:10_250] + b"\xff" + whole[10_251:])
        self._assert_refused("damaged or truncated at byte 10240")

    def test_an_archive_without_classes_is_refused(self) -> None:
        write_classes(self.folder)
        self._pack(["cat/000.png"])
        self._assert_refused("has one class, cat")


if __name__ == "__main__":
    tf.test.main()
