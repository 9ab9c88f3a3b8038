"""Large blocks that are freed stay with the process, to be used again."""

import platform
import subprocess
import sys

import pytest
import tensorflow as tf

pytestmark = pytest.mark.process

# Takes and frees a hundred megabytes, in blocks; counts the pages that are cleared.
_PROGRAM = """
import resource
import numpy as np
from pipelines import memory

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(3):
        blocks = [np.ones(10_000_000, np.uint8) for _ in range(10)]
        del blocks
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

faults()
given_back = faults()
memory.keep_freed_blocks()
faults()
print(given_back, faults())
"""


class MemoryTest(tf.test.TestCase):
    def test_what_is_freed_is_used_again(self) -> None:
        if platform.libc_ver()[0] != "glibc":
            self.skipTest("only glibc gives it back, and can be told not to")
        run = subprocess.run(
            [sys.executable, "-c", _PROGRAM], capture_output=True, check=True, text=True
        )
        given_back, kept = map(int, run.stdout.split())
        self.assertGreater(given_back, 10_000)
        self.assertLess(kept, 1_000)


if __name__ == "__main__":
    tf.test.main()
