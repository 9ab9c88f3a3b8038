"""One run on 1, 2 and 4 logical CPUs: the same training, to the run folder."""

import json
import pathlib
from unittest import mock

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from app import flags
from app.config import TrainConfig
from app.distribution import strategies
from app.distribution.config import DistributionConfig
from app.errors import UserError
from app.main import main
from app.training import running

BATCH = 64
QUICK = (
    "--model=mlp",
    "--model_args=width=16,depth=1",
    "--epochs=2",
    f"--batch_size={BATCH}",
    "--progress=quiet",
)
CONVOLUTIONAL = ("--model=cnn", "--model_args=width=4,depth=2")


def replicas(count: int) -> tf.distribute.Strategy:
    """A strategy on the first `count` of this process's four logical CPUs."""
    strategies._split_cpu(4)
    if count == 1:
        return tf.distribute.get_strategy()
    return tf.distribute.MirroredStrategy([f"CPU:{i}" for i in range(count)])


def on_replicas(count: int) -> mock._patch:
    """Within it runs use so many replicas, whatever their flags say."""
    made = lambda config, cluster: replicas(count)  # noqa: E731
    return mock.patch.object(strategies, "make_strategy", made)


class LossesTest(tf.test.TestCase, parameterized.TestCase):
    def losses(self, count: int, *arguments: str, steps: int = 50) -> np.ndarray:
        config = flags.parse(TrainConfig, ["--run_dir=unused", *QUICK, *arguments])
        with on_replicas(count):
            parts = running.build_parts(config)
        trainer = running.make_trainer(config, parts)
        trainer.start_at(0)
        sums = np.zeros(len(parts.network.metrics.names))
        losses = []
        for step in range(steps):
            result = trainer.run(step, step + 1, sums)
            losses.append(result.loss)
            sums = result.sums
        names = parts.network.metrics.names
        self.assertEqual(dict(zip(names, sums, strict=True))["examples"], steps * BATCH)
        return np.array(losses)

    @parameterized.named_parameters(
        ("resident", ("--augment=translate=1,mixup=0.2",)),
        ("streamed", ("--cache=none", "--augment=translate=1")),
        ("clipped_and_averaged", ("--clip_norm=0.5", "--ema=0.9")),
        ("synchronized", (*CONVOLUTIONAL, "--sync_batch_norm")),
    )
    def test_replicas_train_as_one_does(self, arguments) -> None:
        alone = self.losses(1, *arguments)
        for count in (2, 4):
            together = self.losses(count, *arguments)
            self.assertAllClose(together, alone, rtol=1e-4, atol=0)

    def test_without_synchronization_batch_norm_goes_by_replica(self) -> None:
        alone = self.losses(1, *CONVOLUTIONAL, steps=5)
        together = self.losses(2, *CONVOLUTIONAL, steps=5)
        self.assertNotAllClose(together, alone, rtol=1e-4, atol=0)

    @parameterized.parameters(1, 2)
    def test_accumulated_parts_train_as_the_whole_does(self, count) -> None:
        for cache in ("--cache=memory", "--cache=none"):
            whole = self.losses(1, cache)
            parts = self.losses(count, cache, "--accumulate=4")
            self.assertAllClose(parts, whole, rtol=1e-4, atol=0)


class RunTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())

    def train(self, name: str, count: int, *arguments: str, status: int = 0) -> dict:
        run_dir = self.root / name
        with on_replicas(count):
            given = ["train", f"--run_dir={run_dir}", *QUICK, *arguments]
            self.assertEqual(main(given), status)
        return json.loads((run_dir / "results.json").read_text())

    def test_each_example_is_evaluated_once(self) -> None:
        alone, together = (self.train(f"on{n}", n, "--epochs=1") for n in (1, 4))
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
        self.train("moved", 4, "--stop_after=0.7", status=75)
        moved = self.train("moved", 2)
        self.assertEqual(moved["steps"], whole["steps"])
        self.assertAllClose(
            moved["validation"]["loss"], whole["validation"]["loss"], rtol=1e-4
        )


class ChecksTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (30, 1, False, "a multiple of 4"),
        (32, 4, False, "a multiple of 16"),
        (68, 1, True, "a multiple of 8"),
    )
    def test_a_batch_that_cannot_be_divided(self, size, parts, pairs, named) -> None:
        config = DistributionConfig(accumulate=parts)
        size = size + 2 if size == 32 else size
        with self.assertRaisesRegex(UserError, named):
            strategies.require_divisible(size, config, replicas(4), pairs)

    @parameterized.parameters(
        {"logical_cpus": 0},
        {"accumulate": 0},
        {"peer_timeout": 0.0},
        {"strategy": "one_device", "logical_cpus": 2},
        {"sync_batch_norm": True, "accumulate": 2},
    )
    def test_flags_that_make_no_sense(self, **values) -> None:
        with self.assertRaises(UserError):
            DistributionConfig(**values)


if __name__ == "__main__":
    tf.test.main()
