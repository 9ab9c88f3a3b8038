"""Parameter servers as real processes: each step once, whatever fails."""

import signal
import time

import pytest
import tensorflow as tf

from tests.app.distribution.tasks import Served, TasksTestCase

pytestmark = pytest.mark.cluster

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
    # Wide enough for a layer to be divided between two servers.
    "mlp": ("--model=mlp", "--model_args=width=400"),
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

    def tasks(self, run: str, *flags: str):
        """A chief, a parameter server and two workers."""
        return self.served(Served.on_free_ports(2), run, *TRAIN, *flags)

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

    def test_four_workers_do_each_step_once(self) -> None:
        flags = (*TRAIN, "--epochs=6", "--evaluate_every=2")
        with self.served(Served.on_free_ports(4), "four", *flags) as tasks:
            for task in tasks.values():
                self.assert_ends(task, 0)
        self.assertEqual(self.results("four")["steps"], 270)
        before = 0
        for line in self.lines("four"):
            # A share of the examples since the last line, to the last one of them.
            right = line["train/accuracy"] * (line["examples"] - before)
            self.assertAlmostEqual(right, round(right), delta=1e-6)
            self.assertEqual(line["validation/examples"], 180)
            self.assertGreater(line["staleness"], 0)
            before = line["examples"]
        self.assertEqual(before, 270 * 32)

    def test_a_lost_worker_comes_back_and_every_step_counts_once(self) -> None:
        cluster = Served.on_free_ports(2)
        config = dict(cluster.tasks())["worker1"]
        with self.served(cluster, "run", *TRAIN) as tasks:
            self.wait_for_checkpoint(tasks["chief0"], "run", after="")
            tasks["worker1"].signal(signal.SIGKILL)
            chief = tasks["chief0"]
            self.assertTrue(chief.wait_for(lambda: "is gone" in chief.output()))
            again = ["train", f"--run_dir={self.root / 'run'}", *TRAIN]
            with self.started("again", again, config) as worker:
                said = self.assert_ends(chief, 0)
                self.assert_ends(worker, 0)
        self.assertRegex(said, r"worker 1 \(.*\) is gone since step \d+")
        self.assertRegex(said, r"worker 1 \(.*\) is back")
        results = self.results("run")
        self.assertEqual((results["state"], results["steps"]), ("finished", STEPS))
        self.assertEqual(results["resumes"], 0)
        self.assertEqual(results["validation"]["examples"], 180)
        self.assertGreater(results["validation"]["accuracy"], 0.95)

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
