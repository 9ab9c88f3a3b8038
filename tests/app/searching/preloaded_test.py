"""The process that trials are forked from: warm, and not started."""

import os
import subprocess
import sys

import pytest
import tensorflow as tf

pytestmark = pytest.mark.process

# What AutoGraph translates it writes to the temporary folder, a file for each function.
_PROGRAM = """
import gc, pathlib, sys, tempfile
from app.searching import preloaded
from tensorflow.python.eager import context

def translated():
    files = pathlib.Path(tempfile.gettempdir()).glob("__autograph_generated_file*.py")
    texts = [path.read_text() for path in files]
    loops = ("def tf___segment_loop(", "def tf___chunk_loop(")
    return [sum(name in text for text in texts) for name in loops]

started, frozen = context.context()._initialized, gc.get_freeze_count() > 100_000
before = translated()
from app.main import main
status = main(sys.argv[1:])
print(status, started, frozen, before, translated(), sep=";", file=sys.stderr)
"""


class PreloadedTest(tf.test.TestCase):
    def test_a_trial_finds_its_loops_translated_and_tensorflow_not_started(
        self,
    ) -> None:
        folder = self.get_temp_dir()
        arguments = [
            *("train", f"--run_dir={folder}/run", "--model=mlp", "--epochs=1"),
            *("--model_args=width=8", "--progress=quiet"),
        ]
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM, *arguments],
            env={**os.environ, "TMPDIR": folder},
            capture_output=True,
            text=True,
            check=True,
        )
        status, started, frozen, before, after = done.stderr.splitlines()[-1].split(";")
        self.assertEqual((status, started, frozen), ("0", "False", "True"))
        self.assertEqual(before, "[1, 1]")
        self.assertEqual(after, before)


if __name__ == "__main__":
    tf.test.main()
