"""What only a marked test may do, an unmarked one fails at; the guard is in force."""

import multiprocessing
import os
import subprocess
import sys
import tomllib

import pytest
import tensorflow as tf
from absl.testing import parameterized

from tests import tiers
from tests.structure.modules_test import ROOT

NOTHING = [sys.executable, "-c", ""]


def starts() -> dict[str, object]:
    """Ways to start a process."""
    context = multiprocessing.get_context("spawn")
    return {
        "run": lambda: subprocess.run(NOTHING, check=True),
        "Popen": lambda: subprocess.Popen(NOTHING).wait(),
        "Process": lambda: context.Process(target=os.getpid).start(),
        "fork": os.fork,
        "posix_spawn": lambda: os.posix_spawn(NOTHING[0], NOTHING, {}),
    }


class GuardTest(tf.test.TestCase, parameterized.TestCase):
    """None of these tests sets the guard: that they are refused shows that it is."""

    @parameterized.parameters("run", "Popen", "Process", "fork", "posix_spawn")
    def test_a_test_without_a_mark_starts_no_process(self, way: str) -> None:
        with self.assertRaisesRegex(tiers.Unmarked, "pytest.mark.process"):
            starts()[way]()

    def test_a_test_without_a_mark_exports_nothing(self) -> None:
        with self.assertRaisesRegex(tiers.Unmarked, "pytest.mark.export"):
            tf.saved_model.save(tf.Module(), self.get_temp_dir())

    @pytest.mark.process
    def test_a_test_with_a_mark_does(self) -> None:
        self.assertEqual(subprocess.run(NOTHING, check=True).returncode, 0)
        with self.assertRaises(tiers.Unmarked):
            tf.saved_model.save(tf.Module(), self.get_temp_dir())

    @pytest.mark.export
    def test_an_export_may_be_saved_and_tried_in_a_process(self) -> None:
        tf.saved_model.save(tf.Module(), self.get_temp_dir())
        subprocess.run(NOTHING, check=True)

    def test_what_answers_at_once_may_be_asked(self) -> None:
        subprocess.run(["git", "--version"], check=True, capture_output=True)


class MarksTest(tf.test.TestCase):
    def test_make_quick_leaves_out_every_mark(self) -> None:
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
        lines = settings["tool"]["pytest"]["ini_options"]["markers"]
        marks = [line.partition(":")[0] for line in lines]
        self.assertContainsSubset(tiers.PROCESSES, marks)
        makefile = (ROOT / "Makefile").read_text()
        self.assertIn(f"'not ({' or '.join(marks)})'", makefile)


if __name__ == "__main__":
    tf.test.main()
