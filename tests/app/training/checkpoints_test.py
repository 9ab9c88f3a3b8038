"""Checkpoints: whole or not there; a damaged one is named and the one before used."""

import os
import pathlib
import shutil

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from app.training import checkpoints
from app.training.checkpoints import Snapshot
from app.training.state import Progress
from base.errors import Interrupted


def snapshot(step: int, **progress) -> Snapshot:
    """A small state that is another at each step."""
    arrays = {
        "model/0000/dense/kernel": np.full((3, 2), step, np.float32),
        "optimizer/0000/iterations": np.array(step, np.int64),
    }
    return Snapshot(arrays, Progress(step=step, **progress))


class CheckpointsTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())
        self.reports: list[str] = []

    def load_newest(self):
        return checkpoints.load_newest(self.folder, self.reports.append)

    def test_what_was_saved_is_loaded(self) -> None:
        saved = snapshot(7, best={"validation/loss": 0.5}, best_step=7)
        checkpoints.save(self.folder, saved)
        loaded = self.load_newest()
        self.assertEqual(loaded.progress, saved.progress)
        self.assertEqual(set(loaded.arrays), set(saved.arrays))
        for name, value in saved.arrays.items():
            self.assertEqual(loaded.arrays[name].dtype, value.dtype)
            self.assertAllEqual(loaded.arrays[name], value)
        self.assertEmpty(self.reports)

    @parameterized.product(
        name=("state.npz", "progress.json", "manifest.json"),
        damage=("flip", "cut", "empty", "remove"),
    )
    def test_a_damaged_file_is_named_and_the_checkpoint_before_taken(
        self, name, damage
    ) -> None:
        checkpoints.save(self.folder, snapshot(10))
        newest = checkpoints.save(self.folder, snapshot(25))
        harm(newest / name, damage)
        self.assertEqual(self.load_newest().progress.step, 10)
        self.assertLen(self.reports, 1)
        named = newest if name == "manifest.json" else newest / name
        self.assertIn(str(named), self.reports[0])
        self.assertIn("going back to step 10, 15 steps lost", self.reports[0])

    def test_a_folder_that_was_half_copied_is_passed_over(self) -> None:
        whole = checkpoints.save(self.folder, snapshot(10))
        copy = checkpoints.path_of(self.folder, 20)
        copy.mkdir()
        shutil.copy(whole / "state.npz", copy)
        self.assertEqual(self.load_newest().progress.step, 10)
        self.assertIn("manifest.json cannot be read", self.reports[0])

    def test_nothing_whole_is_said(self) -> None:
        harm(checkpoints.save(self.folder, snapshot(10)) / "state.npz", "flip")
        self.assertIsNone(self.load_newest())
        self.assertIn("going back to step 0, 10 steps lost", self.reports[0])

    def test_what_a_kill_left_half_written_is_no_checkpoint(self) -> None:
        checkpoints.save(self.folder, snapshot(10))
        partial = self.folder / ".partial-step-0000000020"
        partial.mkdir()
        (partial / "state.npz").write_bytes(b"half")
        self.assertEqual(checkpoints.steps_of(self.folder), [10])
        checkpoints.clean(self.folder)
        self.assertFalse(partial.exists())
        self.assertEqual(checkpoints.steps_of(self.folder), [10])

    def test_the_writer_keeps_the_newest_and_the_best(self) -> None:
        writer = checkpoints.Writer(self.folder, keep=2)
        for step in (1, 2, 3, 4, 5):
            writer.write(snapshot(step, best_step=2))
        writer.wait()
        self.assertEqual(checkpoints.steps_of(self.folder), [2, 4, 5])

    def test_a_full_disk_leaves_the_old_ones_whole(self) -> None:
        disk = self.folder / "disk"
        disk.mkdir()
        mounted = os.system(f"mount -t tmpfs -o size=64k tmpfs {disk} 2>/dev/null")
        if mounted != 0:
            self.skipTest("mounting a small disk needs root")
        self.addCleanup(os.system, f"umount {disk}")
        writer = checkpoints.Writer(disk, keep=2)
        writer.write(snapshot(1))
        writer.wait()
        large = Snapshot({"a": np.zeros(100_000, np.uint8)}, Progress(step=2))
        writer.write(large)
        with self.assertRaisesRegex(Interrupted, "No space left on device.*step 1"):
            writer.wait()
        self.assertEqual(checkpoints.steps_of(disk), [1])
        self.assertEqual(checkpoints.load_newest(disk, print).progress.step, 1)
        writer.write(snapshot(2))
        writer.wait()
        self.assertEqual(checkpoints.steps_of(disk), [1, 2])


def harm(path: pathlib.Path, damage: str) -> None:
    """Does to a file what disks and copies do."""
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    else:
        content[len(content) // 2] ^= 1
        path.write_bytes(content)


if __name__ == "__main__":
    tf.test.main()
