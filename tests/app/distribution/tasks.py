"""Clusters of real processes for tests: tasks that are started, watched and killed."""

import contextlib
import functools
import json
import os
import pathlib
import re
import signal
from collections.abc import Iterator

import tensorflow as tf

from tests.processes import Command


class TasksTestCase(tf.test.TestCase):
    """A test with run folders below `root`, and processes that work in them."""

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir()) / self.id()
        self.root.mkdir()

    @contextlib.contextmanager
    def started(self, log: str, arguments, tf_config: str = "") -> Iterator[Command]:
        one = Command(arguments, self.root / log, functools.partial(become, tf_config))
        try:
            yield one
        finally:
            one.signal(signal.SIGKILL)
            one.wait()

    def results(self, run: str) -> dict:
        return json.loads((self.root / run / "results.json").read_text())

    def lines(self, run: str) -> list[dict[str, float]]:
        text = (self.root / run / "metrics.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    def newest(self, run: str) -> str:
        """The name of the run's newest checkpoint."""
        folder = self.root / run / "checkpoints"
        return max((path.name for path in folder.glob("step-*")), default="")

    def wait_for_checkpoint(self, command: Command, run: str, after: str) -> None:
        """Waits for one that is newer than `after`, in a run that goes on."""
        self.assertTrue(command.wait_for(lambda: self.newest(run) > after))
        self.assertTrue(command.is_running(), command.output())

    def assert_ends(self, command: Command, status: int) -> str:
        self.assertEqual(command.wait(), status, command.output())
        return command.output()


def become(tf_config: str) -> None:
    """Makes this process the task that TF_CONFIG says."""
    os.environ["TF_CONFIG"] = tf_config


def task_of(launcher: int, job: str, index: int) -> int:
    """The process id of a task that a launcher has started."""
    children = pathlib.Path(f"/proc/{launcher}/task/{launcher}/children").read_text()
    for pid in children.split():
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode()
        for config in re.findall(r"TF_CONFIG=([^\0]+)", environment):
            if json.loads(config)["task"] == {"type": job, "index": index}:
                return int(pid)
    raise AssertionError(f"no {job} {index} among {children}")
