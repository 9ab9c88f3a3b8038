"""`atelier pack`, killed, interrupted and started twice: whole, or not there."""

import pathlib
import random
import signal
import time

import pytest
import tensorflow as tf
from absl.testing import parameterized

from pipelines import shards
from tests.pipelines.folders import write_classes
from tests.processes import Command

pytestmark = pytest.mark.process


def slow_down() -> None:
    """Makes each shard take its time, so that there is some to interrupt."""
    write = shards.write_shard

    def write_slowly(*arguments) -> None:
        write(*arguments)
        time.sleep(0.1)

    shards.write_shard = write_slowly


def contents_of(path: pathlib.Path) -> dict[str, bytes]:
    files = sorted(path.rglob("*")) if path.is_dir() else [path]
    return {str(file.relative_to(path)): file.read_bytes() for file in files}


class PackCommandTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.home = pathlib.Path(self.get_temp_dir())
        self.images = write_classes(self.home / "pets", per_class=30)

    def start(self, name: str, *flags: str, slowly: bool = False) -> Command:
        return Command(
            [
                "pack",
                f"--dataset={self.images}",
                f"--pack_dir={self.home / name}",
                "--examples_per_shard=5",
                *flags,
            ],
            self.home / f"{name}-{time.monotonic_ns()}.log",
            slow_down if slowly else None,
        )

    def finish(self, name: str, *flags: str) -> dict[str, bytes]:
        command = self.start(name, *flags)
        self.assertEqual(command.wait(), 0, command.output())
        return contents_of(self.home / name)

    def wait_for_shards(self, name: str, command: Command, count: int) -> None:
        aside = self.home / f".{name}.partial"
        self.assertTrue(command.wait_for(lambda: len([*aside.glob("*-of-*")]) >= count))

    @parameterized.parameters(
        ("--format=array_record",),
        ("--format=tfrecord", "--decode"),
        ("--format=hdf5", "--decode"),
        ("--format=tar",),
    )
    def test_killed_at_random_instants_it_ends_with_the_same_bytes(
        self, *flags: str
    ) -> None:
        started = time.monotonic()
        whole = self.finish("whole", *flags)
        seconds = time.monotonic() - started
        chance = random.Random(flags[0])
        killed = 0
        for _ in range(4):
            command = self.start("killed", *flags)
            time.sleep(seconds * chance.uniform(0.2, 1))
            command.signal(signal.SIGKILL)
            killed += command.wait() == -signal.SIGKILL
            if (self.home / "killed").exists():
                break
        self.assertGreater(killed, 0)
        if not (self.home / "killed").is_file():  # a file is refused once it is whole
            self.finish("killed", *flags)
        self.assertEqual(contents_of(self.home / "killed"), whole)
        left = {path.name for path in self.home.iterdir() if "killed" in path.name}
        left -= {path.name for path in self.home.glob("*.log")}
        self.assertContainsSubset(left, {"killed", ".killed.lock"})

    def test_killed_while_shards_are_written_it_goes_on(self) -> None:
        whole = self.finish("whole")
        command = self.start("killed", slowly=True)
        self.wait_for_shards("killed", command, 4)
        command.signal(signal.SIGKILL)
        self.assertEqual(command.wait(), -signal.SIGKILL)
        command = self.start("killed")
        self.assertEqual(command.wait(), 0)
        self.assertRegex(command.output(), r"goes on: [3-9]\d* files are there already")
        self.assertEqual(contents_of(self.home / "killed"), whole)

    def test_a_signal_pauses_it_with_status_75(self) -> None:
        whole = self.finish("whole")
        command = self.start("paused", slowly=True)
        self.wait_for_shards("paused", command, 2)
        command.signal(signal.SIGTERM)
        self.assertEqual(command.wait(), 75, command.output())
        self.assertIn("is not complete; the same command goes on", command.output())
        self.assertNotIn("Traceback", command.output())
        self.assertFalse((self.home / "paused").exists())
        self.assertEqual(self.finish("paused"), whole)

    def test_a_second_one_into_the_same_folder_is_locked_out(self) -> None:
        first = self.start("packed", slowly=True)
        self.wait_for_shards("packed", first, 1)
        second = self.start("packed")
        self.assertEqual(second.wait(), 2)
        (line,) = second.output().strip().splitlines()
        self.assertRegex(line, rf"is being written by process {first.pid} on ")
        self.assertEqual(first.wait(), 0, first.output())
        # Once it is whole the same command has nothing to do.
        before = contents_of(self.home / "packed")
        self.assertEqual(self.finish("packed"), before)


if __name__ == "__main__":
    tf.test.main()
