"""What was read once is not read again, unless it has changed."""

import os
from pathlib import Path
from unittest import mock

import h5py
import numpy as np
import tensorflow as tf

from base.errors import UserError
from pipelines import filecache, packing
from pipelines.config import DataConfig
from pipelines.packconfig import PackConfig
from pipelines.sources import encoded
from pipelines.sources.base import Source
from pipelines.sources.opening import open_source
from tests.pipelines.folders import write_classes, write_image


class FileCacheTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.home = Path(self.get_temp_dir())
        self.caches = self.home / "cache"
        for name, value in (
            ("_folder", self.caches),
            ("WORTHWHILE_BYTES", 0),
            ("_SETTLED_NS", -(10**18)),
        ):
            self.enter_context(mock.patch.object(filecache, name, value))
        self.folder = write_classes(self.home / "pets", per_class=6)

    def _read(self, path: Path) -> tuple[Source, int]:
        """The source, examined, and how many images were read for that."""
        source = open_source(DataConfig(dataset=str(path)))
        read = []
        read_header = encoded.read_header

        def counting(contents):
            read.append(contents)
            return read_header(contents)

        with mock.patch.object(encoded, "read_header", counting):
            source.examine(10**6)
        return source, len(read)

    def _pack(self, name: str, **flags: object) -> Path:
        config = PackConfig(
            dataset=str(self.folder),
            pack_dir=str(self.home / name),
            split="0.5,0.25,0.25",
            **flags,
        )
        return packing.pack(config, lambda: False, lambda line: None)

    def test_a_second_start_reads_what_changed_alone(self) -> None:
        first, read = self._read(self.folder)
        self.assertEqual(read, 12)
        again, read = self._read(self.folder)
        self.assertEqual(read, 0)
        self.assertAllEqual(again.content_hashes(), first.content_hashes())
        self.assertEqual(again.features, first.features)
        write_image(self.folder / "cat" / "new.png", 99)
        _, read = self._read(self.folder)
        self.assertEqual(read, 1)
        # Of the same size, and with its old time of modification.
        path = self.folder / "cat" / "001.png"
        status = path.stat()
        data = bytearray(path.read_bytes())
        data[40] ^= 1
        path.write_bytes(data)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
        changed, read = self._read(self.folder)
        self.assertEqual(read, 1)
        self.assertNotAllEqual(changed.content_hashes()[1], first.content_hashes()[1])

    def test_what_changed_a_moment_ago_is_read_again(self) -> None:
        with mock.patch.object(filecache, "_SETTLED_NS", 10**10):
            self._read(self.folder)
        self.assertEqual(self._read(self.folder)[1], 12)

    def test_a_damaged_cache_is_made_anew(self) -> None:
        first, _ = self._read(self.folder)
        (cache,) = self.caches.rglob("*.facts")
        for damaged in (b"", cache.read_bytes()[:-1], b"x" * 500):
            cache.write_bytes(damaged)
            again, read = self._read(self.folder)
            self.assertEqual(read, 12)
            self.assertAllEqual(again.content_hashes(), first.content_hashes())
            self.assertEqual(self._read(self.folder)[1], 0)
        data = bytearray(cache.read_bytes())
        data[-20] ^= 1  # in a fact
        cache.write_bytes(data)
        self.assertEqual(self._read(self.folder)[1], 12)

    def test_one_that_cannot_be_written_is_none(self) -> None:
        self.caches.write_text("a file where a folder should be")
        for _ in range(2):
            self.assertEqual(self._read(self.folder)[1], 12)

    def test_an_image_that_became_too_large_for_a_limit_is_found(self) -> None:
        self._read(self.folder)
        source = open_source(DataConfig(dataset=str(self.folder)))
        with self.assertRaisesRegex(UserError, "has 8×8 pixels, more than"):
            source.examine(63)

    def test_members_of_a_tar_are_known_by_their_place(self) -> None:
        tar = self._pack("pets.tar", format="tar")
        first, read = self._read(tar)
        self.assertEqual(read, 12)
        again, read = self._read(tar)
        self.assertEqual(read, 0)
        self.assertAllEqual(again.content_hashes(), first.content_hashes())
        os.utime(tar)
        self.assertEqual(self._read(tar)[1], 12)

    def test_a_packed_folder_is_compared_once(self) -> None:
        packed = self._pack("packed")
        with mock.patch("hashlib.file_digest") as digest:
            with self.assertRaises(Exception):  # noqa: B017  # it wants to read
                open_source(DataConfig(dataset=str(packed)))
            self.assertGreater(digest.call_count, 0)
        open_source(DataConfig(dataset=str(packed)))
        with mock.patch("hashlib.file_digest") as digest:
            open_source(DataConfig(dataset=str(packed)))
            digest.assert_not_called()
        shard = next(packed.glob("*-of-*"))
        data = bytearray(shard.read_bytes())
        data[-1] ^= 1
        shard.write_bytes(data)
        with self.assertRaisesRegex(UserError, "has changed"):
            open_source(DataConfig(dataset=str(packed)))

    def test_rows_of_hdf5_are_read_once_for_their_hashes(self) -> None:
        path = self.home / "rows.h5"
        rows = np.random.default_rng(0).normal(size=(20, 4)).astype(np.float32)
        with h5py.File(path, "w") as file:
            file["x_train"], file["y_train"] = rows, np.arange(20) % 2
        first = open_source(DataConfig(dataset=str(path))).content_hashes()
        again = open_source(DataConfig(dataset=str(path)))
        with mock.patch.object(again, "read", side_effect=AssertionError):
            self.assertAllEqual(again.content_hashes(), first)

    def test_small_datasets_leave_no_trace(self) -> None:
        with mock.patch.object(filecache, "WORTHWHILE_BYTES", 10**6):
            self._read(self.folder)
        self.assertFalse(self.caches.exists())


if __name__ == "__main__":
    tf.test.main()
