"""Versions come whole, whatever happens to who writes them: real processes, killed."""

import pathlib
import subprocess
import sys
import time

import pytest
import tensorflow as tf

from app.serving import publishing

pytestmark = pytest.mark.process

ROOT = pathlib.Path(__file__).parents[3]
FILES = 12
KILLS = 24
# A whole export without the seconds of TensorFlow: the same staging, files in folders,
# flushing and renaming. It kills itself at the operation on the disk it is told to.
PROGRAM = """
import os, pathlib, signal, sys, time
from app.serving import publishing

run_dir, files, deadline, begin = pathlib.Path(sys.argv[1]), *map(float, sys.argv[2:])
done = 0

def counted(operation):
    def run(*arguments, **options):
        global done
        done += 1
        if done == deadline:
            os.kill(os.getpid(), signal.SIGKILL)
        result = operation(*arguments, **options)
        done += 1
        if done == deadline:
            os.kill(os.getpid(), signal.SIGKILL)
        return result
    return run

os.fsync, os.replace, os.mkdir = map(counted, (os.fsync, os.replace, os.mkdir))
time.sleep(max(0.0, begin - time.time()))
with publishing.staging(run_dir) as place:
    version = place / "version"
    version.mkdir()
    (version / "variables").mkdir()
    for i in range(int(files)):
        (version / "variables" / str(i)).write_bytes(bytes(100_000))
    (version / "export.json").write_text("{}")
    print(publishing.publish(version, run_dir / "export").name, done)
"""


def start(
    run_dir: pathlib.Path, deadline: int = 0, begin: float = 0.0
) -> subprocess.Popen[str]:
    arguments = (str(run_dir), str(FILES), str(deadline), str(begin))
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    )


class PublishingTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.run_dir = pathlib.Path(self.get_temp_dir(), "run")
        self.run_dir.mkdir()

    def assert_whole(self) -> list[int]:
        """Every entry of export/ is a whole version; returns their numbers."""
        exports = self.run_dir / "export"
        found = publishing.versions(exports)
        names = [entry.name for entry in exports.iterdir()] if exports.exists() else []
        self.assertCountEqual(names, map(str, found))
        for number in found:
            version = exports / str(number)
            self.assertTrue((version / "export.json").exists())
            sizes = [path.stat().st_size for path in (version / "variables").iterdir()]
            self.assertEqual(sizes, [100_000] * FILES)
        return found

    def test_killed_anywhere_there_are_whole_versions_only(self) -> None:
        said, _ = start(self.run_dir).communicate()
        version, operations = map(int, said.split())
        self.assertEqual(version, 1)
        died = 0
        for i in range(KILLS):
            # Evenly over the export, the last ones around the rename.
            deadline = 1 + i * operations // KILLS
            process = start(self.run_dir, deadline)
            process.communicate()
            died += process.returncode == -9
            self.assert_whole()
        self.assertEqual(died, KILLS)
        before = self.assert_whole()
        start(self.run_dir).communicate()
        self.assertEqual(self.assert_whole(), [*before, before[-1] + 1])
        left = [e.name for e in self.run_dir.iterdir() if e.name != "export"]
        # Killed between making its folder and locking it: nothing tells it is dead.
        self.assertLessEqual(len(left), 2, left)

    def test_processes_at_once_get_versions_of_their_own(self) -> None:
        begin = time.time() + 1.0
        processes = [start(self.run_dir, begin=begin) for _ in range(4)]
        numbers = [int(process.communicate()[0].split()[0]) for process in processes]
        self.assertCountEqual(numbers, [1, 2, 3, 4])
        self.assertEqual(self.assert_whole(), [1, 2, 3, 4])

    def test_an_export_in_progress_is_not_cleaned_away(self) -> None:
        with publishing.staging(self.run_dir) as first:
            with publishing.staging(self.run_dir) as second:
                self.assertTrue(first.exists())
                self.assertNotEqual(first, second)
            self.assertTrue(first.exists())
        self.assertFalse(first.exists())

    def test_other_names_in_the_folder_do_not_count(self) -> None:
        exports = self.run_dir / "export"
        for name in ("7", "008x", "latest", "٣"):
            (exports / name).mkdir(parents=True)
        (exports / "7" / "saved_model.pb").write_bytes(b"")
        self.assertEqual(publishing.versions(exports), [7])


if __name__ == "__main__":
    tf.test.main()
