"""Several workers as real processes: the same training, and peers that fail."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Iterator

import pytest
import tensorflow as tf

from app.distribution.cluster import Cluster
from tests.app.distribution import photographs
from tests.app.distribution.rendezvous_test import free_addresses
from tests.app.distribution.tasks import TasksTestCase, task_of
from tests.processes import Command

pytestmark = pytest.mark.cluster

TRAIN = (
    "--model=mlp",
    "--model_args=width=16,depth=1",
    "--batch_size=64",
    "--augment=translate=1",
    "--progress=quiet",
    "--epochs=30",
    "--threads=1",
    "--checkpoint_every=40s",
    "--evaluate_every=10",
)
NORMALIZED = (
    "--model=cnn",
    "--model_args=width=4,depth=2",
    "--batch_size=64",
    "--epochs=2",
    "--threads=1",
    "--progress=quiet",
    "--sync_batch_norm",
)


class MultiWorkerTest(TasksTestCase):
    @contextlib.contextmanager
    def pair(self, run: str, *flags: str) -> Iterator[list[Command]]:
        """Two workers on a run."""
        addresses = free_addresses(2)
        arguments = ["train", f"--run_dir={self.root / run}", *TRAIN, *flags]
        with contextlib.ExitStack() as held:
            yield [
                held.enter_context(
                    self.started(
                        f"worker{i}", arguments, Cluster(addresses, i).to_tf_config()
                    )
                )
                for i in (0, 1)
            ]

    def launch(self, run: str, *flags: str) -> contextlib.AbstractContextManager:
        command = ["train", f"--run_dir={self.root / run}", *flags]
        return self.started(f"{run}.log", ["launch", "--workers=2", "--", *command])

    def test_two_workers_train_as_one_does(self) -> None:
        jpegs = f"--dataset={photographs.write(self.root / 'jpegs')}"
        short = (*TRAIN, "--epochs=13", "--evaluate_every=4", jpegs, "--cache=none")
        for run, flags in (("jpegs-read", short), ("normalized", NORMALIZED)):
            alone = ["train", f"--run_dir={self.root / f'{run}-one'}", *flags]
            with self.started("alone", alone) as one:
                self.assert_ends(one, 0)
            with self.launch(run, *flags) as two:
                said = self.assert_ends(two, 0)
            self.assert_trained_alike(run, f"{run}-one")
            self.assertEqual(
                self.results(run)["validation"]["examples"],
                self.results(f"{run}-one")["validation"]["examples"],
            )
            (digest,) = re.findall(r"\[worker 1\] weights_sha256 here: (\w+)", said)
            self.assertEqual(digest, self.results(run)["weights_sha256"])

    def assert_trained_alike(self, run: str, other: str) -> None:
        for line, expected in zip(self.lines(run), self.lines(other), strict=True):
            self.assertEqual(line["step"], expected["step"])
            for name in ("train/loss", "validation/loss", "validation/accuracy"):
                self.assertAllClose(line[name], expected[name], rtol=1e-4, atol=0)

    def test_whatever_fails_the_weights_are_those_of_an_uninterrupted_run(self) -> None:
        with self.pair("whole") as workers:
            for worker in workers:
                self.assert_ends(worker, 0)
        self.terminate_one("run")
        self.lose("run", 0, signal.SIGKILL)
        self.lose("run", 1, signal.SIGSTOP)
        before = self.newest("run")
        with self.launch("run", *TRAIN, "--peer_timeout=30") as launched:
            self.wait_for_checkpoint(launched, "run", after=before)
            os.kill(task_of(launched.pid, "worker", 1), signal.SIGKILL)
            said = self.assert_ends(launched, 0)
        self.assertIn("worker 1 died of SIGKILL: starting all again", said)
        whole, run = self.results("whole"), self.results("run")
        self.assertEqual(run["weights_sha256"], whole["weights_sha256"])
        self.assertEqual(run["resumes"], 4)

    def terminate_one(self, run: str) -> None:
        """SIGTERM of one pauses both."""
        with self.pair(run) as workers:
            self.wait_for_checkpoint(workers[0], run, after="")
            workers[1].signal(signal.SIGTERM)
            for worker in workers:
                self.assertIn("SIGTERM received", self.assert_ends(worker, 75))
        self.assertEqual(self.results(run)["state"], "interrupted")

    def lose(self, run: str, index: int, number: signal.Signals) -> None:
        """A worker killed or stopped is named by the other, in time."""
        before = self.newest(run)
        with self.pair(run, "--peer_timeout=30") as workers:
            self.wait_for_checkpoint(workers[0], run, after=before)
            workers[index].signal(number)
            since = time.monotonic()
            said = self.assert_ends(workers[1 - index], 75)
            self.assertLess(time.monotonic() - since, 90)
        self.assertRegex(said, rf"worker {index} \(.*\) died or hangs; the last step")

    def test_a_worker_that_never_comes_is_named(self) -> None:
        for index in (0, 1):
            with self.pair("absent", "--peer_timeout=3") as workers:
                workers[1 - index].signal(signal.SIGKILL)
                said = self.assert_ends(workers[index], 75)
            self.assertRegex(said, rf"worker {1 - index} \(.*\) did not come within 3")


if __name__ == "__main__":
    tf.test.main()
