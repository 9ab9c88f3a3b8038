"""One run on 1, 2 and 4 logical CPUs: the same training, to the run folder."""

import json
import pathlib
import subprocess
import sys

import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.configs.distribution import DistributionConfig
from app.distribution import strategies
from app.main import main
from base.errors import UserError
from tests.app.distribution import photographs
from tests.app.distribution.replicas import (
    CONVOLUTIONAL,
    QUICK,
    losses_of,
    on_replicas,
)

pytestmark = pytest.mark.slow


class LossesTest(tf.test.TestCase, parameterized.TestCase):
    @pytest.mark.process
    def test_replicas_train_as_one_does(self) -> None:
        jpegs = photographs.write(pathlib.Path(self.get_temp_dir()))
        alone, two, four = (self.losses_on(count, jpegs) for count in (1, 2, 4))
        own_statistics = "by replica"
        for case in alone.keys() - {own_statistics}:
            for together in (two, four):
                self.assertAllClose(together[case], alone[case], rtol=1e-4, atol=0)
        self.assertNotAllClose(
            two[own_statistics], alone[own_statistics], rtol=1e-4, atol=0
        )

    def losses_on(self, count: int, jpegs: pathlib.Path) -> dict[str, list[float]]:
        program = "tests.app.distribution.replicas"
        command = [sys.executable, "-m", program, str(count), str(jpegs)]
        ran = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        return json.loads(ran.stdout)

    @parameterized.parameters(1, 2)
    def test_accumulated_parts_train_as_the_whole_does(self, count) -> None:
        for cache in ("--cache=memory", "--cache=none"):
            with on_replicas(1, split=2):
                whole = losses_of(cache, steps=20)
            with on_replicas(count, split=2):
                parts = losses_of(cache, "--accumulate=4", steps=20)
            self.assertAllClose(parts, whole, rtol=1e-4, atol=0)


class RunTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir()) / self.id()

    def train(self, name: str, count: int, *arguments: str, status: int = 0) -> dict:
        run_dir = self.root / name
        with on_replicas(count, split=2):
            given = ["train", f"--run_dir={run_dir}", *QUICK, *arguments]
            self.assertEqual(main(given), status)
        return json.loads((run_dir / "results.json").read_text())

    def test_each_example_is_evaluated_once(self) -> None:
        alone, together = (self.train(f"on{n}", n, "--epochs=1") for n in (1, 2))
        self.assertEqual(together["validation"]["examples"], 180)
        self.assertAllClose(
            together["validation"]["loss"], alone["validation"]["loss"], rtol=1e-4
        )

    def test_a_pause_goes_on_to_the_same_weights(self) -> None:
        # Batch normalization by replica, whose averages one checkpoint has to hold.
        whole = self.train("whole", 2, *CONVOLUTIONAL)
        self.train("paused", 2, *CONVOLUTIONAL, "--stop_after=1", status=75)
        paused = self.train("paused", 2, *CONVOLUTIONAL)
        self.assertEqual(paused["resumes"], 1)
        self.assertEqual(paused["weights_sha256"], whole["weights_sha256"])
        self.assertEqual(paused["validation"], whole["validation"])

    def test_a_run_goes_on_with_other_replicas(self) -> None:
        whole = self.train("whole", 1)
        self.train("moved", 1, "--stop_after=1.7", status=75)
        moved = self.train("moved", 2)
        self.assertEqual(moved["steps"], whole["steps"])
        self.assertAllClose(
            moved["validation"]["loss"], whole["validation"]["loss"], rtol=1e-4
        )


class ChecksTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (31, 1, False, "a multiple of 2"),
        (36, 4, False, "a multiple of 8"),
        (34, 1, True, "a multiple of 4"),
    )
    def test_a_batch_that_cannot_be_divided(self, size, parts, pairs, named) -> None:
        config = DistributionConfig(accumulate=parts)
        with on_replicas(2, split=2):
            strategy = strategies.make_strategy(config, None)
        with self.assertRaisesRegex(UserError, named):
            strategies.require_divisible(size, config, strategy, pairs)

    @parameterized.parameters(
        {"logical_cpus": 0},
        {"accumulate": 0},
        {"peer_timeout": 0.0},
        {"parameter_servers": 0},
        {"sync_batch_norm": True, "accumulate": 2},
    )
    def test_flags_that_make_no_sense(self, **values) -> None:
        with self.assertRaises(UserError):
            DistributionConfig(**values)


if __name__ == "__main__":
    tf.test.main()
