"""Models whose layers are on several devices: here two logical CPUs."""

import contextlib
import io
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.configs import flags
from app.configs.commands import TrainConfig
from app.distribution import strategies
from app.main import main
from app.runs import assembly

pytestmark = pytest.mark.slow

_QUICK = ("--batch_size=64", "--epochs=1", "--progress=quiet", "--weight_decay=0.01")
_TWO = "devices=cpu:0+cpu:1"
_MODELS = {
    "mlp": "width=16,dropout=0.1",
    "cnn": "width=4,depth=2",
    "resnet": "depth=8,width=4",
    "vit": "depth=2,width=8,heads=2,dropout=0.1",
    "branches": "width=4,depth=2",
}


class DevicesTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        strategies._split_cpu(2)
        self.root = pathlib.Path(self.get_temp_dir()) / self.id()

    def train(self, name: str, *arguments: str, status: int = 0) -> dict:
        run_dir = self.root / name
        given = ["train", f"--run_dir={run_dir}", *_QUICK, *arguments]
        self.assertEqual(main(given), status)
        return json.loads((run_dir / "results.json").read_text())

    @parameterized.parameters(*_MODELS.items())
    def test_trains_as_on_one_device(self, model, args) -> None:
        wanted = (f"--model={model}", "--run_dir=unused", *_QUICK, "--accumulate=2")
        found = []
        for devices, expected in (("", {"CPU:0"}), (_TWO, {"CPU:0", "CPU:1"})):
            text = f"--model_args={args},{devices}"
            parts = assembly.build_parts(flags.parse(TrainConfig, [*wanted, text]))
            trainer = assembly.make_trainer(parts)
            (player,) = parts.algorithm.players
            optimizer = player.optimizer
            variables = [*parts.network.model.variables, *optimizer.variables]
            places = {v.value.device.rpartition("device:")[2] for v in variables}
            self.assertEqual(places, expected)
            trainer.start_at(0)
            used = self.devices_of_gradients(trainer.compiled())
            self.assertEqual(used, expected if devices else {""})
            sums = np.zeros(parts.network.metrics.size)
            losses = [trainer.run(step, step + 1, sums).loss for step in range(3)]
            found.append((losses, parts.network.model.get_weights()))
        # Where three gradients meet, as in attention, they are added in another order,
        # and products are divided among threads in another way.
        self.assertAllClose(found[0], found[1], rtol=1e-5, atol=1e-5)

    def devices_of_gradients(self, segment) -> set[str]:
        """Devices of products and convolutions of the backward pass."""
        types = {"MatMul", "BatchMatMulV2", "Conv2DBackpropFilter"}
        found = {
            node.device.rpartition("device:")[2]
            for function in segment.graph._functions.values()
            for node in function.cached_definition.node_def
            if node.op in types and "gradient" in node.name
        }
        self.assertNotEmpty(found)
        return found

    def test_a_run_goes_on_on_one_device(self) -> None:
        args = "--model_args=" + _MODELS["mlp"]
        alone = self.train("one", "--model=mlp", args)
        moved = (f"{args},{_TWO}", "--strategy=one_device", "--logical_cpus=2")
        self.train("two", "--model=mlp", *moved, "--stop_after=0.5", status=75)
        ended = self.train("two", "--model=mlp", args)
        self.assertEqual(ended["weights_sha256"], alone["weights_sha256"])
        evaluated = ["evaluate", f"--run_dir={self.root / 'two'}", "--split=validation"]
        self.assertEqual(main(evaluated), 0)

    @parameterized.parameters(
        (("--model_args=devices=cpu:0+cpu:7",), "there is no cpu:7 here, only cpu:0"),
        ((f"--model_args={_TWO}", "--strategy=mirrored"), "--strategy=one_device"),
        ((f"--model_args={_TWO}", "--recompute"), "--recompute"),
        (("--strategy=one_device", "--logical_cpus=2"), "--logical_cpus=2"),
    )
    def test_what_cannot_be_is_refused_before_anything_is_written(
        self, wanted, named
    ) -> None:
        run_dir = self.root / "refused"
        with contextlib.redirect_stderr(io.StringIO()) as said:
            self.assertEqual(main(["train", f"--run_dir={run_dir}", *wanted]), 2)
        self.assertIn(named, said.getvalue())
        self.assertLen(said.getvalue().splitlines(), 1)
        self.assertFalse(run_dir.exists())


if __name__ == "__main__":
    tf.test.main()
