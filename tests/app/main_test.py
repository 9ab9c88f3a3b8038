"""The command line as a process: what it prints may end at any time."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf
from absl.testing import parameterized

pytestmark = pytest.mark.process


class BrokenPipeTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters("--help", "train --help")
    def test_a_reader_that_leaves_makes_no_traceback(self, arguments: str) -> None:
        reading, writing = os.pipe()
        os.close(reading)  # as `head` does once it has its lines
        ended = subprocess.run(
            [sys.executable, "-m", "app.main", *arguments.split()],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
        os.close(writing)
        self.assertEqual(ended.stderr, "")
        self.assertEqual(ended.returncode, 1)

    def test_errors_may_go_nowhere_too(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        ended = subprocess.run(
            [sys.executable, "-m", "app.main", "trian"],
            stdout=subprocess.PIPE,
            stderr=writing,
            check=False,
        )
        os.close(writing)
        self.assertEqual(ended.stdout, b"")
        self.assertEqual(ended.returncode, 1)


if __name__ == "__main__":
    tf.test.main()
