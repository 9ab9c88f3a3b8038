"""`atelier export` by its own processes: two at once, and a run that is none."""

import os
import pathlib
import shutil
import subprocess
import sys

import tensorflow as tf

from app.serving import manifest
from tests.app.serving import subjects

ROOT = pathlib.Path(__file__).parents[3]


def start(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "app.main", "export", *arguments],
        cwd=ROOT,
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


class CommandTest(tf.test.TestCase):
    def test_two_at_once_give_two_versions(self) -> None:
        run_dir = pathlib.Path(self.get_temp_dir(), "run")
        ignored = shutil.ignore_patterns("export")
        shutil.copytree(subjects.run(), run_dir, ignore=ignored)
        # LiteRT alone: the gate's runtime starts in a moment.
        processes = [start(f"--run_dir={run_dir}", "--format=litert") for _ in "ab"]
        said = [process.communicate() for process in processes]
        for process, (output, error) in zip(processes, said, strict=True):
            self.assertEqual(process.returncode, 0, error)
            self.assertIn("litert pixels: largest difference", output)
        names = sorted(entry.name for entry in (run_dir / "export").iterdir())
        self.assertEqual(names, ["1", "2"])
        for name in names:
            content = manifest.read_verified(run_dir / "export" / name)
            self.assertEqual(content["formats"], ["litert"])
            labels = (run_dir / "export" / name / "labels.txt").read_text()
            self.assertEqual(labels, "cat\ndog\n")

    def test_a_folder_that_is_no_run(self) -> None:
        process = start(f"--run_dir={self.get_temp_dir()}")
        _, error = process.communicate()
        self.assertEqual(process.returncode, 2)
        self.assertRegex(error.splitlines()[-1], r"^atelier: --run_dir=.* flags.txt")


if __name__ == "__main__":
    tf.test.main()
