"""`atelier export` as real processes: killed, two at once, and a run that is none."""

import functools
import os
import pathlib
import random
import signal
import time

import pytest
import tensorflow as tf

from app.serving import exporting, manifest, publishing
from tests.app.serving import exported_runs
from tests.processes import Command

pytestmark = [pytest.mark.process, pytest.mark.export]

KILLS = 20
SEED = 3


def at_once() -> None:
    """Spares the seconds that measuring latencies takes."""
    exporting._LATENCY_SECONDS = 0.0


def die_at(deadline: int) -> None:
    """Kills this process at one of the operations on the disk by which it publishes."""
    at_once()
    done = 0

    def counted(operation, *arguments, **options):
        nonlocal done
        done += 1
        if done == deadline:
            os.kill(os.getpid(), signal.SIGKILL)
        return operation(*arguments, **options)

    def publish(version: pathlib.Path, exports: pathlib.Path) -> pathlib.Path:
        for name in ("fsync", "rename", "mkdir"):
            setattr(os, name, functools.partial(counted, getattr(os, name)))
        return original(version, exports)

    original = publishing.publish
    publishing.publish = publish


class CommandTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())
        self.run_dir = self.folder / "run"
        # On vectors, and for LiteRT: an export is over in a few seconds.
        given = exported_runs.source("classification", (5,))
        path = self.folder / "vectors.npz"
        exported_runs.write_npz(path, given)
        arguments = (f"--dataset={path}", "--model=linear")
        exported_runs.write_run(
            exported_runs.exported_run(self.run_dir, None, *arguments)
        )
        self.exports = self.run_dir / "export"

    def start(self, name: str, prepare=at_once) -> Command:
        arguments = ["export", f"--run_dir={self.run_dir}", "--format=litert"]
        return Command(arguments, self.folder / f"{name}.log", prepare)

    def assert_whole(self) -> list[int]:
        """Every entry of export/ is a whole version; returns their numbers."""
        numbers = publishing.versions(self.exports)
        entries = list(self.exports.iterdir()) if self.exports.exists() else []
        self.assertCountEqual([entry.name for entry in entries], map(str, numbers))
        for entry in entries:
            self.assertEqual(manifest.read_verified(entry)["formats"], ["litert"])
        return numbers

    def test_killed_at_any_instant_there_are_whole_versions_only(self) -> None:
        begin = time.monotonic()
        first = self.start("first")
        self.assertEqual(first.wait(), 0, first.output())
        seconds = time.monotonic() - begin
        self.assertEqual(self.assert_whole(), [1])
        chance, died = random.Random(SEED), 0
        while died < KILLS:
            # One at any instant; and one while it publishes, in the same folder.
            anywhere = self.start("anywhere")
            publishing_ = self.start(
                "publishing", functools.partial(die_at, chance.randint(1, 14))
            )
            time.sleep(chance.uniform(0, seconds))
            anywhere.signal(signal.SIGKILL)
            statuses = (anywhere.wait(), publishing_.wait())
            self.assertContainsSubset(statuses, (0, -signal.SIGKILL))
            died += statuses.count(-signal.SIGKILL)
            self.assert_whole()
        before = self.assert_whole()
        both = [self.start(name) for name in ("one", "other")]
        for command in both:
            self.assertEqual(command.wait(), 0, command.output())
            self.assertIn("litert serving_default: largest diff", command.output())
        last = before[-1]
        self.assertEqual(self.assert_whole(), [*before, last + 1, last + 2])

    def test_a_folder_that_is_no_run(self) -> None:
        command = Command(["export", f"--run_dir={self.folder}"], self.folder / "log")
        self.assertEqual(command.wait(), 2)
        last = command.output().splitlines()[-1]
        self.assertRegex(last, r"^atelier: --run_dir=.* flags.txt")


if __name__ == "__main__":
    tf.test.main()
