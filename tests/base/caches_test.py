"""Where caches lie, and that there need be no place for them."""

import os
import pathlib
from unittest import mock

import tensorflow as tf
from absl.testing import parameterized

from base import caches


class FolderTest(tf.test.TestCase, parameterized.TestCase):
    def test_the_folder_that_the_user_names(self) -> None:
        found = caches.folder({"XDG_CACHE_HOME": "/scratch/me"})
        self.assertEqual(found, pathlib.Path("/scratch/me/atelier"))

    @parameterized.parameters({}, {"XDG_CACHE_HOME": ""}, {"XDG_CACHE_HOME": "here"})
    def test_otherwise_that_of_the_home(self, **environment: str) -> None:
        with mock.patch.dict("os.environ", {"HOME": "/home/me"}):
            found = caches.folder(environment)
        self.assertEqual(found, pathlib.Path("/home/me/.cache/atelier"))

    def test_without_a_home_there_is_none(self) -> None:
        # As where a container runs as a user that /etc/passwd does not know.
        nobody = mock.patch("pwd.getpwuid", side_effect=KeyError("uid not found"))
        with mock.patch.dict("os.environ"), nobody:
            os.environ.pop("HOME", None)
            with self.assertRaises(RuntimeError):
                pathlib.Path.home()
            self.assertIsNone(caches.folder({}))
            named = caches.folder({"XDG_CACHE_HOME": "/scratch"})
            self.assertEqual(named, pathlib.Path("/scratch/atelier"))

    def test_a_home_that_is_no_full_path_is_none(self) -> None:
        with mock.patch.dict("os.environ", {"HOME": "here"}):
            self.assertIsNone(caches.folder({}))


if __name__ == "__main__":
    tf.test.main()
