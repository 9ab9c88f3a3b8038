"""Parameter servers as real processes: each step once, whatever fails."""

import contextlib
import signal
import time
from collections.abc import Iterator

import tensorflow as tf

from app.distribution.cluster import Cluster
from tests.app.distribution.rendezvous_test import free_addresses
from tests.app.distribution.tasks import TasksTestCase
from tests.processes import Command

TRAIN = (
    "--model=mlp",
    "--model_args=width=64",
    "--batch_size=32",
    "--learning_rate=3e-3",
    "--progress=quiet",
    "--epochs=30",
    "--checkpoint_every=100s",
    "--evaluate_every=10",
    "--strategy=parameter_server",
)
# Streamed; a schedule and Adam's correction count steps.
SERIAL = (
    "--batch_size=64",
    "--epochs=2",
    "--warmup_epochs=0.5",
    "--cache=none",
    "--progress=quiet",
    "--threads=1",
)
MODELS = {
    "mlp": ("--model=mlp", "--model_args=width=64"),
    "normalized": ("--model=cnn", "--model_args=width=4,depth=2"),
}
STEPS = 1349


class ParameterServerTest(TasksTestCase):
    def launch(self, run: str, *flags: str, workers: int = 2, servers: int = 1):
        cluster = [f"--workers={workers}", f"--parameter_servers={servers}"]
        command = ["train", f"--run_dir={self.root / run}", *flags]
        return self.started(
            f"{run}.log",
            ["launch", *cluster, "--restarts=1", "--patience=40", "--", *command],
        )

    @contextlib.contextmanager
    def tasks(self, run: str, *flags: str) -> Iterator[dict[str, Command]]:
        """A chief, a parameter server and two workers."""
        chief, server, *workers = free_addresses(4)
        arguments = ["train", f"--run_dir={self.root / run}", *TRAIN, *flags]
        with contextlib.ExitStack() as held:
            found = {}
            for job, index in (("ps", 0), ("worker", 0), ("worker", 1), ("chief", 0)):
                me = Cluster(tuple(workers), index, (server,), chief, job)
                log = f"{run}-{job}{index}"
                started = self.started(log, arguments, me.to_tf_config())
                found[f"{job}{index}"] = held.enter_context(started)
            yield found

    def test_one_worker_trains_as_one_device_does(self) -> None:
        for name, model in MODELS.items():
            flags = (*SERIAL, *model)
            run = [f"--run_dir={self.root / name}-one", *flags]
            with self.started("alone", ["train", *run]) as one:
                self.assert_ends(one, 0)
            with self.launch(name, *flags, workers=1, servers=2) as served:
                self.assert_ends(served, 0)
            pairs = zip(self.lines(name), self.lines(f"{name}-one"), strict=True)
            for line, expected in pairs:
                for figure in ("train/loss", "validation/loss", "learning_rate"):
                    self.assertAllClose(
                        line[figure], expected[figure], rtol=1e-4, atol=1e-9
                    )
                self.assertEqual(line["staleness"], 0)

    def test_a_lost_parameter_server_and_signals_cost_a_resume(self) -> None:
        with self.tasks("run") as tasks:
            self.wait_for_checkpoint(tasks["chief0"], "run", after="")
            tasks["ps0"].signal(signal.SIGKILL)
            said = self.assert_ends(tasks["chief0"], 75)
            self.assertRegex(said, r"parameter server 0 \(.*\) died; the last step")
            self.assert_ends(tasks["worker0"], 75)
        before = self.newest("run")
        with self.tasks("run") as tasks:
            self.wait_for_checkpoint(tasks["chief0"], "run", after=before)
            for task in tasks.values():
                task.signal(signal.SIGTERM)
            said = self.assert_ends(tasks["chief0"], 75)
            self.assertRegex(said, r"resumes at step \d+ of")
            self.assertIn("SIGTERM received at step", said)
            self.assert_ends(tasks["ps0"], 75)
        with self.tasks("run") as tasks:
            for task in tasks.values():
                self.assert_ends(task, 0)
        results = self.results("run")
        self.assertEqual((results["steps"], results["resumes"]), (STEPS, 2))

    def test_a_worker_that_hangs_or_never_comes_is_named(self) -> None:
        with self.tasks("run", "--peer_timeout=20") as tasks:
            tasks["worker1"].signal(signal.SIGKILL)
            said = self.assert_ends(tasks["chief0"], 75)
        self.assertRegex(said, r"worker 1 \(.*\) did not come within 20 s")
        with self.tasks("run", "--peer_timeout=30") as tasks:
            self.wait_for_checkpoint(tasks["chief0"], "run", after="")
            tasks["worker1"].signal(signal.SIGSTOP)
            since = time.monotonic()
            said = self.assert_ends(tasks["chief0"], 75)
            self.assertLess(time.monotonic() - since, 90)
        self.assertRegex(said, r"worker 1 \(.*\) died or hangs; the last step")


if __name__ == "__main__":
    tf.test.main()
