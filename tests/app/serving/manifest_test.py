"""export.json is on the disk before it has its name."""

import os
import pathlib
from unittest import mock

import tensorflow as tf

from app.serving import manifest


class WriteTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.version = pathlib.Path(self.get_temp_dir())

    def test_it_is_flushed_and_then_named(self) -> None:
        flushed: list[str] = []

        def synced(descriptor: int) -> None:
            place = pathlib.Path(os.readlink(f"/proc/self/fd/{descriptor}"))
            if place.is_file():
                self.assertFalse((self.version / manifest.FILE_NAME).exists())
                flushed.append(place.read_text())

        with mock.patch("os.fsync", synced):
            manifest.write(self.version, {"name": "run"})
        written = self.version / manifest.FILE_NAME
        self.assertEqual(flushed, [written.read_text()])
        self.assertEqual([*self.version.iterdir()], [written])

    def test_a_killed_write_leaves_no_half_of_it(self) -> None:
        with mock.patch("os.replace", side_effect=KeyboardInterrupt):
            with self.assertRaises(KeyboardInterrupt):
                manifest.write(self.version, {"name": "run"})
        self.assertEmpty([*self.version.iterdir()])


if __name__ == "__main__":
    tf.test.main()
