"""Files are whole or not there, on the disk, and told apart by their content."""

import errno
import hashlib
import os
import pathlib
import stat
from unittest import mock

import tensorflow as tf

from base import files
from base.errors import Interrupted


class Broken(Exception):
    """What goes wrong while a file is written."""


class FilesTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())
        self.path = self.folder / "results.json"

    def test_what_was_written_is_read(self) -> None:
        for value in ({"loss": 0.5}, [1, None, "ä"]):
            files.write_json(self.path, value)
            self.assertEqual(files.read_json(self.path), value)
        self.assertEqual([p.name for p in self.folder.iterdir()], ["results.json"])

    def test_json_has_no_nan(self) -> None:
        files.write_json(self.path, {"loss": 0.5})
        with self.assertRaises(ValueError):
            files.write_json(self.path, {"loss": float("nan")})
        self.assertEqual(files.read_json(self.path), {"loss": 0.5})

    def test_a_folder_that_is_missing_is_made(self) -> None:
        files.write_text(self.folder / "a" / "b" / "c.txt", "c")
        self.assertEqual((self.folder / "a" / "b" / "c.txt").read_text(), "c")

    def test_what_goes_wrong_leaves_what_was_there(self) -> None:
        files.write_text(self.path, "before")
        with self.assertRaises(Broken), files.aside(self.path) as temporary:
            temporary.write_text("half of")
            self.assertEqual(self.path.read_text(), "before")
            raise Broken
        self.assertEqual(self.path.read_text(), "before")
        self.assertEqual([p.name for p in self.folder.iterdir()], ["results.json"])

    def test_the_content_is_on_the_disk_before_its_name(self) -> None:
        done: list[object] = []

        def synced(descriptor: int) -> None:
            place = pathlib.Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            done.append("folder" if place.is_dir() else place.read_text())

        def renamed(source: pathlib.Path, target: pathlib.Path) -> None:
            done.append("name")
            os.rename(source, target)

        with mock.patch("os.fsync", synced), mock.patch("os.replace", renamed):
            files.write_text(self.path, "whole")
            self.assertEqual(done, ["whole", "name", "folder"])
            done.clear()
            files.move(self.path, self.folder / "moved")
            self.assertEqual(done, ["name", "folder"])

    def test_others_may_read_what_the_umask_lets_them(self) -> None:
        for mask, mode in ((0o022, 0o644), (0o077, 0o600)):
            before = os.umask(mask)
            try:
                files.write_text(self.path, "text")
            finally:
                os.umask(before)
            self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), mode)

    def test_a_folder_is_moved_but_takes_no_others_place(self) -> None:
        for name in ("1", "2"):
            (self.folder / name).mkdir()
            (self.folder / name / "file").write_text(name)
        with self.assertRaises(OSError):
            files.move(self.folder / "1", self.folder / "2")
        files.move(self.folder / "1", self.folder / "3")
        self.assertEqual((self.folder / "3" / "file").read_text(), "1")

    def test_a_disk_that_fails_interrupts_the_run(self) -> None:
        with self.assertRaisesRegex(Interrupted, "runs/a cannot be written any more"):
            with files.disk_failures_named("runs/a"):
                raise OSError(errno.ENOSPC, "No space left on device")
        with self.assertRaises(FileNotFoundError):
            with files.disk_failures_named("runs/a"):
                raise FileNotFoundError

    def test_a_file_is_told_by_its_content(self) -> None:
        content = bytes(range(256)) * 5000
        self.path.write_bytes(content)
        digest = hashlib.sha256(content).hexdigest()
        self.assertEqual(files.sha256_of(self.path), digest)
        self.assertEqual(
            files.size_and_sha256(self.path), {"bytes": 1_280_000, "sha256": digest}
        )


if __name__ == "__main__":
    tf.test.main()
