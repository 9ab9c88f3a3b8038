"""Steps that never end though every task answers; one worker reads a pipe for ever."""

import functools
import os
import pathlib
import signal
import time
import unittest

import numpy as np
import pytest
import tensorflow as tf

from app.distribution import outstanding_steps, servers
from tests.app.distribution.tasks import Served, TasksTestCase

pytestmark = pytest.mark.cluster

TRAIN = (
    "--image_size=4",
    "--model=linear",
    "--batch_size=4",
    "--cache=none",
    "--epochs=100000",
    "--checkpoint_every=50s",
    "--evaluate_every=100000",
    "--progress=quiet",
    "--strategy=parameter_server",
)


def look_at_steps_more_often() -> None:
    """As if --peer_timeout were 5 s, but for the start."""
    made = servers.Watch.__init__

    def make(watch: servers.Watch, cluster, timeout, last_step, standstill) -> None:
        made(watch, cluster, 5.0, last_step, standstill)

    servers.Watch.__init__ = make  # type: ignore[method-assign]


def look_at_no_steps() -> None:
    """The same without the watch for steps."""
    look_at_steps_more_often()
    outstanding_steps.OutstandingSteps.standstill = lambda self: None  # type: ignore[method-assign]


class StandstillTest(TasksTestCase):
    def write_images(self) -> pathlib.Path:
        folder = self.root / "images"
        for name in ("dark", "light"):
            (folder / name).mkdir(parents=True)
            for i in range(20):
                pixels = np.full([4, 4, 1], i + 100 * (name == "light"), np.uint8)
                path = folder / name / f"{i}.png"
                path.write_bytes(tf.io.encode_png(pixels).numpy())
        return folder

    def test_a_standstill_ends_the_chief_and_names_the_worker(self) -> None:
        folder = self.write_images()
        start = functools.partial(
            self.served, Served.on_free_ports(1), "run", *TRAIN, f"--dataset={folder}"
        )
        unwatched = self.served(
            Served.on_free_ports(1),
            "other",
            *TRAIN,
            f"--dataset={folder}",
            chief0=look_at_no_steps,
        )
        with start(chief0=look_at_steps_more_often) as tasks, unwatched as others:
            chief, other = tasks["chief0"], others["chief0"]
            self.wait_for_checkpoint(chief, "run", after="")
            self.wait_for_checkpoint(other, "other", after="")
            path = folder / "dark" / "7.png"
            whole = path.read_bytes()
            os.mkfifo(folder / "pipe")
            (folder / "pipe").rename(path)
            said = self.assert_ends(chief, 75)
            self.assertRegex(
                said,
                r"no step has ended for \d+ s, though every task answers: worker 0"
                r" \(.*\) has steps \d+ to \d+ in hand and is at step \d+",
            )
            newest = self.newest("other")
            time.sleep(2)
            self.assertTrue(other.is_running(), other.output())
            self.assertEqual(self.newest("other"), newest)
        path.unlink()
        path.write_bytes(whole)
        before = self.newest("run")
        with start() as tasks:
            self.wait_for_checkpoint(tasks["chief0"], "run", after=before)
            tasks["chief0"].signal(signal.SIGTERM)
            said = self.assert_ends(tasks["chief0"], 75)
        self.assertRegex(said, r"resumes at step \d+ of")


if __name__ == "__main__":
    unittest.main()
