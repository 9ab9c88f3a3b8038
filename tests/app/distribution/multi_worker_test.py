"""Several workers as real processes: peers that never come, and that hang."""

import contextlib
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import tensorflow as tf

from app.distribution.cluster import Cluster

TRAIN = (
    "train",
    "--model=mlp",
    "--model_args=width=16,depth=1",
    "--batch_size=64",
    "--augment=translate=1",
    "--progress=lines",
    "--epochs=6",
    "--checkpoint_every=20s",
    "--evaluate_every=2",
)
PROGRAM = (sys.executable, "-m", "app.main")


class Started:
    """A process, and what it has said so far."""

    def __init__(self, arguments, log: pathlib.Path, **environment: str) -> None:
        self.log = log
        with open(log, "w") as file:
            self.process = subprocess.Popen(
                [*PROGRAM, *arguments],
                stdout=file,
                stderr=subprocess.STDOUT,
                env=os.environ | environment,
            )

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait(self, timeout: float = 240) -> int:
        return self.process.wait(timeout)

    def wait_until(self, condition, timeout: float = 240) -> None:
        deadline = time.monotonic() + timeout
        while not condition():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(self.said)
            time.sleep(0.02)


class MultiWorkerTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir()) / self.id()
        self.root.mkdir()

    @contextlib.contextmanager
    def started(self, name: str, arguments, **environment: str) -> Iterator[Started]:
        one = Started(arguments, self.root / f"{name}.log", **environment)
        try:
            yield one
        finally:
            with contextlib.suppress(ProcessLookupError):
                one.process.kill()
            one.wait()

    def results(self, name: str) -> dict:
        return json.loads((self.root / name / "results.json").read_text())

    def checkpoint_of(self, name: str, step: int) -> pathlib.Path:
        return self.root / name / "checkpoints" / f"step-{step:010d}"

    def pair(self) -> list[dict[str, str]]:
        """The environments of two workers."""
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            second.bind(("127.0.0.1", 0))
            ports = [one.getsockname()[1] for one in (first, second)]
        addresses = tuple(f"127.0.0.1:{port}" for port in ports)
        return [{"TF_CONFIG": Cluster(addresses, i).to_tf_config()} for i in (0, 1)]

    def test_a_worker_that_never_comes_is_named(self) -> None:
        flags = (*TRAIN, f"--run_dir={self.root / 'run'}", "--peer_timeout=5")
        with self.started("worker0", flags, **self.pair()[0]) as alone:
            self.assertEqual(alone.wait(), 75, alone.said)
        self.assertRegex(alone.said, r"worker 1 \(.*\) did not come within 5 s")

    def test_a_worker_that_hangs_is_named_and_the_run_goes_on_later(self) -> None:
        flags = (*TRAIN, f"--run_dir={self.root / 'run'}", "--peer_timeout=30")
        environments = self.pair()
        with (
            self.started("worker0", flags, **environments[0]) as chief,
            self.started("worker1", flags, **environments[1]) as other,
        ):
            chief.wait_until(self.checkpoint_of("run", 20).exists)
            other.process.send_signal(signal.SIGSTOP)
            stopped = time.monotonic()
            self.assertEqual(chief.wait(), 75, chief.said)
            self.assertLess(time.monotonic() - stopped, 60)
        self.assertRegex(chief.said, r"worker 1 \(.*\) died or hangs")
        self.assertEqual(self.results("run")["state"], "interrupted")


if __name__ == "__main__":
    tf.test.main()
