"""Clusters of real processes for tests: tasks that are started, watched and killed."""

import contextlib
import dataclasses
import functools
import json
import os
import pathlib
import re
import signal
from collections.abc import Callable, Iterator
from typing import Self

import tensorflow as tf

from app.distribution.cluster import Cluster
from tests.app.distribution.rendezvous_test import free_addresses
from tests.processes import Command

# Alters a process before its command begins; a function of a module.
Change = Callable[[], None]


@dataclasses.dataclass(frozen=True)
class Served:
    """Addresses of a chief, a parameter server and workers."""

    chief: str
    server: str
    workers: tuple[str, ...]

    @classmethod
    def on_free_ports(cls, workers: int) -> Self:
        chief, server, *others = free_addresses(2 + workers)
        return cls(chief, server, tuple(others))

    def tasks(self) -> Iterator[tuple[str, str]]:
        """Each task's name, such as worker1, and its TF_CONFIG; the chief is last."""
        jobs = [("ps", 0), *(("worker", i) for i in range(len(self.workers)))]
        for job, index in (*jobs, ("chief", 0)):
            me = Cluster(self.workers, index, (self.server,), self.chief, job)
            yield f"{job}{index}", me.to_tf_config()


class TasksTestCase(tf.test.TestCase):
    """A test with run folders below `root`, and processes that work in them."""

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir()) / self.id()
        self.root.mkdir()

    @contextlib.contextmanager
    def started(
        self, log: str, arguments, tf_config: str = "", also: Change | None = None
    ) -> Iterator[Command]:
        prepare = functools.partial(become, tf_config, also)
        one = Command(arguments, self.root / log, prepare)
        try:
            yield one
        finally:
            one.signal(signal.SIGKILL)
            one.wait()

    @contextlib.contextmanager
    def served(
        self, cluster: Served, run: str, *flags: str, **changes: Change
    ) -> Iterator[dict[str, Command]]:
        """All tasks of a cluster with parameter servers, by name.

        Args:
          cluster: its addresses.
          run: folder below the root.
          flags: of `train`.
          changes: what is altered in a task's process before it begins, by its name.
        """
        arguments = ["train", f"--run_dir={self.root / run}", *flags]
        with contextlib.ExitStack() as held:
            yield {
                name: held.enter_context(
                    self.started(
                        f"{run}-{name}", arguments, tf_config, changes.get(name)
                    )
                )
                for name, tf_config in cluster.tasks()
            }

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


def become(tf_config: str, also: Change | None = None) -> None:
    """Makes this process the task that TF_CONFIG says, altered as a test wants it."""
    os.environ["TF_CONFIG"] = tf_config
    if also is not None:
        also()


def task_of(launcher: int, job: str, index: int) -> int:
    """The process id of a task that a launcher has started."""
    children = pathlib.Path(f"/proc/{launcher}/task/{launcher}/children").read_text()
    for pid in children.split():
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes().decode()
        for config in re.findall(r"TF_CONFIG=([^\0]+)", environment):
            if json.loads(config)["task"] == {"type": job, "index": index}:
                return int(pid)
    raise AssertionError(f"no {job} {index} among {children}")
