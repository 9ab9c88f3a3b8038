"""The run folder: who may write it, which flags may change, where a run starts."""

import json
import os
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.configs import flags
from app.configs.commands import TrainConfig
from app.runs.folder import RunFolder, Start, decide_start
from base.errors import UserError


def config_of(folder: RunFolder, *arguments: str) -> TrainConfig:
    return flags.parse(TrainConfig, [f"--run_dir={folder.path}", *arguments])


class RunFolderTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = RunFolder(pathlib.Path(self.get_temp_dir()) / "run")

    def test_flags_txt_repeats_the_run(self) -> None:
        config = config_of(self.folder, "--epochs=3", "--augment=flip")
        self.folder.write_config(config)
        again = flags.parse(TrainConfig, [f"--flagfile={self.folder.flags}"])
        self.assertEqual(again, config)
        self.assertEqual(self.folder.read_config(), config)

    def test_a_pause_belongs_to_one_start(self) -> None:
        self.folder.write_config(config_of(self.folder, "--stop_after=1"))
        self.assertIsNone(self.folder.read_config().training.stop_after)

    def test_flags_that_change_the_mathematics_must_match(self) -> None:
        self.folder.write_config(config_of(self.folder, "--seed=1"))
        wrong = config_of(self.folder, "--seed=2", "--batch_size=64")
        with self.assertRaisesRegex(
            UserError, r"--batch_size=64 \(was 128\), --seed=2 \(was 1\)"
        ):
            self.folder.require_same_mathematics(wrong)

    def test_flags_that_do_not_may_change_and_are_told(self) -> None:
        self.folder.write_config(config_of(self.folder))
        other = config_of(self.folder, "--checkpoint_every=5m", "--logical_cpus=2")
        self.assertEqual(
            self.folder.require_same_mathematics(other),
            {"checkpoint_every": ["1", "5m"], "logical_cpus": [1, 2]},
        )

    def test_a_run_of_before_intervals_had_units_goes_on(self) -> None:
        self.folder.write_config(config_of(self.folder))
        text = self.folder.flags.read_text()
        self.assertIn("--evaluate_every=1\n", text)
        old = text.replace("--evaluate_every=1\n", "--evaluate_every=1.0\n")
        self.folder.flags.write_text(old)
        same = config_of(self.folder)
        self.assertEmpty(self.folder.require_same_mathematics(same))
        other = config_of(self.folder, "--evaluate_every=20s")
        with self.assertRaisesRegex(UserError, r"--evaluate_every=20s \(was 1\)"):
            self.folder.require_same_mathematics(other)

    def test_the_resume_rule(self) -> None:
        def decide(has_checkpoint):
            return decide_start(self.folder, has_checkpoint=has_checkpoint)

        self.assertEqual(decide(False), Start.FRESH)
        self.folder.write_config(config_of(self.folder))
        self.assertEqual(decide(False), Start.RESTART)
        self.assertEqual(decide(True), Start.RESUME)
        self.folder.results.write_text(json.dumps({"state": "interrupted"}))
        self.assertEqual(decide(True), Start.RESUME)
        self.folder.results.write_text(json.dumps({"state": "finished"}))
        self.assertEqual(decide(True), Start.FINISHED)

    def test_a_folder_of_other_things_is_refused_and_left_alone(self) -> None:
        self.folder.path.mkdir()
        (self.folder.path / "thesis.tex").write_text("x")
        with self.assertRaisesRegex(UserError, "holds files but no run"):
            self.folder.require_writable()
        self.assertEqual(os.listdir(self.folder.path), ["thesis.tex"])

    def test_a_file_in_place_of_the_folder_is_refused(self) -> None:
        self.folder.path.write_text("x")
        with self.assertRaisesRegex(UserError, "is a file"):
            self.folder.require_writable()

    def test_a_disk_without_permission_is_refused(self) -> None:
        disk = self.folder.path.with_name("disk")
        disk.mkdir()
        if os.geteuid() == 0:
            if os.system(f"mount -t tmpfs -o ro tmpfs {disk} 2>/dev/null"):
                self.skipTest("mounting a disk is not allowed here")
            self.addCleanup(os.system, f"umount {disk}")
        else:
            disk.chmod(0o500)
        with self.assertRaisesRegex(UserError, f"no permission to write in {disk}"):
            RunFolder(disk / "run").require_writable()

    def test_a_folder_that_is_no_run_is_named(self) -> None:
        with self.assertRaisesRegex(UserError, "expected a run folder"):
            self.folder.read_config()

    @pytest.mark.process
    def test_a_second_process_is_refused_with_the_first_ones_name(self) -> None:
        with self.folder.locked():
            second = try_to_lock(self.folder.path)
            self.assertIn(f"is in use by process {os.getpid()} on ", second)

    @pytest.mark.process
    def test_the_lock_of_a_killed_process_is_taken_over(self) -> None:
        holder = subprocess.Popen(
            [sys.executable, "-c", _HOLD, str(self.folder.path)],
            stdout=subprocess.PIPE,
            text=True,
        )
        self.assertEqual(holder.stdout.readline(), "held\n")
        with self.assertRaisesRegex(UserError, f"process {holder.pid} on"):
            with self.folder.locked():
                pass
        holder.kill()
        holder.communicate()
        with self.folder.locked():
            pass


_HOLD = """
import pathlib, sys, time
from app.runs.folder import RunFolder
with RunFolder(pathlib.Path(sys.argv[1])).locked():
    print("held", flush=True)
    time.sleep(60)
"""


def try_to_lock(path: pathlib.Path) -> str:
    """What a second process is told."""
    code = _HOLD.replace("time.sleep(60)", "")
    ran = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True
    )
    return ran.stderr


if __name__ == "__main__":
    tf.test.main()
