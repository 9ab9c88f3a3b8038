"""Of two that write to one place, the second is refused, and told who is there."""

import os
import pathlib

import tensorflow as tf

from base import locking
from base.errors import UserError


class LockingTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())

    def test_the_second_is_refused_until_the_first_has_ended(self) -> None:
        output = self.folder / "packed"
        with locking.alone(output, "--pack_dir"):
            refused = rf"--pack_dir=.*is being written by process {os.getpid()} on"
            with self.assertRaisesRegex(UserError, refused):
                with locking.alone(output, "--pack_dir"):
                    self.fail("two were within")
        with locking.alone(output, "--pack_dir"):
            pass
        self.assertEmpty(list(self.folder.iterdir()))

    def test_another_place_is_free(self) -> None:
        with locking.alone(self.folder / "a", "--pack_dir"):
            with locking.alone(self.folder / "b", "--pack_dir"):
                pass

    def test_a_lock_ends_with_its_file(self) -> None:
        path = self.folder / ".lock"
        with open(path, "a+") as first, open(path, "a+") as second:
            self.assertIsNone(locking.holder_of(first))
            self.assertStartsWith(locking.holder_of(second) or "", "process ")
        with open(path, "a+") as third:
            self.assertIsNone(locking.holder_of(third))


if __name__ == "__main__":
    tf.test.main()
