"""--precision=auto: what it chooses, what it keeps, and that a run stays with it."""

import json
import os
import pathlib
from unittest import mock

import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.distribution.agreement import Agreement
from app.distribution.cluster import ALONE
from app.main import main
from app.runs import assembly, precision
from tests.processes import TIMINGS

QUICK = (
    "--model=mlp",
    "--model_args=width=16,depth=1,dropout=0.2",
    "--epochs=2",
    "--batch_size=256",
    "--progress=quiet",
)
FASTER_IN_HALF = {"float32": 100.0, "mixed_bfloat16": 150.0, "mixed_float16": 150.0}


def cpu(*features: str):
    """A processor with these features."""
    return mock.patch.object(precision, "_cpu_flags", lambda: set(features))


def gpu(*capability: int):
    """A machine with a GPU of this compute capability."""
    config = mock.MagicMock()
    config.list_physical_devices.return_value = ["GPU"]
    config.experimental.get_device_details.return_value = {
        "compute_capability": capability
    }
    return mock.patch.object(precision.tf, "config", config)


class FastPrecisionTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        ((), "float32"),
        (("avx512f", "avx512_vnni"), "float32"),
        (("avx512_bf16",), "mixed_bfloat16"),
        (("amx_bf16",), "mixed_bfloat16"),
    )
    def test_of_a_processor(self, features, expected):
        with cpu(*features):
            self.assertEqual(precision.fast_precision(True)[0], expected)

    @parameterized.parameters(
        ((6, 1), "float32"),
        ((7, 0), "mixed_float16"),
        ((7, 5), "mixed_float16"),
        ((8, 0), "mixed_bfloat16"),
        ((9, 0), "mixed_bfloat16"),
    )
    def test_of_a_gpu(self, capability, expected):
        with gpu(*capability):
            self.assertEqual(precision.fast_precision(False)[0], expected)


class SettleTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        cache = {"XDG_CACHE_HOME": self.get_temp_dir()}
        self.enter_context(mock.patch.dict(os.environ, cache))
        self.measured: list[str] = []

    def settle(self, of: str = "a model", figures=FASTER_IN_HALF) -> precision.Choice:
        def measure(name: str) -> float:
            self.measured.append(name)
            return figures[name]

        alone = Agreement(tf.distribute.get_strategy(), ALONE)
        return precision.settle({"model": of}, alone, measure, on_cpu=True)

    def test_without_fast_half_precision_nothing_is_measured(self):
        with cpu():
            self.assertEqual(self.settle().precision, "float32")
        self.assertEmpty(self.measured)

    def test_measured_once_for_each_machine_and_model(self):
        with cpu("amx_bf16"):
            for of in ("a model", "a model", "another"):
                self.assertEqual(self.settle(of).precision, "mixed_bfloat16")
            self.assertIn("100 examples/s in float32, 150", self.settle().reason)
        self.assertEqual(self.measured, ["float32", "mixed_bfloat16"] * 2)

    def test_half_precision_that_does_not_pay_is_not_taken(self):
        with cpu("amx_bf16"):
            slower = {"float32": 100.0, "mixed_bfloat16": 102.0}
            self.assertEqual(self.settle(figures=slower).precision, "float32")

    def test_a_garbled_file_is_measured_again(self):
        with cpu("amx_bf16"):
            self.settle()
            (kept,) = pathlib.Path(os.environ["XDG_CACHE_HOME"]).rglob("*.json")
            kept.write_text("{")
            self.settle()
            self.assertLen(self.measured, 4)
            self.assertEqual(json.loads(kept.read_text())["of"]["model"], "a model")

    def test_without_a_home_it_is_measured_and_not_kept(self):
        nobody = mock.patch("pathlib.Path.home", side_effect=RuntimeError)
        with cpu("amx_bf16"), nobody:
            os.environ["XDG_CACHE_HOME"] = ""
            for _ in range(2):
                choice = self.settle()
                self.assertEqual(choice.precision, "mixed_bfloat16")
                self.assertIn("not kept, as there is no home", choice.reason)
        self.assertEqual(self.measured, ["float32", "mixed_bfloat16"] * 2)


@pytest.mark.slow
class RunTest(tf.test.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())
        cache = {"XDG_CACHE_HOME": str(self.root / "cache")}
        self.enter_context(mock.patch.dict(os.environ, cache))

    def train(self, name: str, *arguments: str, status: int = 0) -> dict:
        run_dir = self.root / name
        given = ["train", f"--run_dir={run_dir}", *QUICK, *arguments]
        self.assertEqual(main(given), status)
        text = (run_dir / "metrics.jsonl").read_text()
        lines = [json.loads(line) for line in text.splitlines()]
        for line in lines:
            for timing in TIMINGS:
                del line[timing]
        results = json.loads((run_dir / "results.json").read_text())
        return {"lines": lines, "weights": results["weights_sha256"]}

    def test_a_run_measures_for_itself(self):
        with cpu("amx_bf16"):
            automatic = self.train("automatic", "--precision=auto")
        (kept,) = (self.root / "cache" / "atelier").glob("precision-*.json")
        figures = json.loads(kept.read_text())["examples_per_second"]
        self.assertGreater(min(figures.values()), 0)
        flags = (self.root / "automatic" / "flags.txt").read_text()
        (chosen,) = (n for n in figures if f"--precision={n}\n" in flags)
        # That it was measured in the same process changes no bit.
        self.assertEqual(automatic, self.train("given", f"--precision={chosen}"))

    def test_a_run_goes_on_in_its_precision_on_another_machine(self):
        def measured(trial: assembly.Parts) -> float:
            return FASTER_IN_HALF[trial.config.training.precision]

        automatic = "--precision=auto"
        with cpu("amx_bf16"), mock.patch.object(assembly, "_speed", measured):
            whole = self.train("whole", automatic)
            self.train("paused", automatic, "--stop_after=1", status=75)
        with cpu():
            self.assertEqual(self.train("paused", automatic), whole)
            self.assertNotEqual(self.train("float32", automatic), whole)


if __name__ == "__main__":
    tf.test.main()
