"""The table: each promise for each case, with what breaks it taken out as a control.

A promise is tried by the commands a user gives, in real processes. What does not apply
says why.
"""

import functools
import json
import os
import pathlib
import shutil
import signal
import tempfile
from collections.abc import Callable

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from tests.app.training.kill_test import forget_the_optimizer
from tests.processes import Command, outcome
from tests.promises.cases import BATCH, CASES, write

pytestmark = pytest.mark.export

QUICK = (
    f"--batch_size={BATCH}",
    "--epochs=3",
    "--evaluate_every=1",
    "--checkpoint_every=2s",
    "--keep_checkpoints=1",
    "--learning_rate=0.01",
    "--progress=quiet",
    "--nofigures",
    "--threads=1",
)
# Replicas draw dropout of their own, and what mixes or normalizes goes by shares.
ALIKE_ON_REPLICAS = ("--augment=flip", "--model_args=")
TASKS = [name for name in CASES if name.startswith(("vector", "own_task"))]


class PromisesTest(tf.test.TestCase, parameterized.TestCase):
    """Each test is a column of the table, each case a row."""

    root: pathlib.Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        cls.root = pathlib.Path(tempfile.mkdtemp())
        cls.addClassCleanup(shutil.rmtree, cls.root)
        write(cls.root)

    def command(self, *arguments: str, prepare: Callable[[], None] | None = None):
        log = self.root / f"{'-'.join(self.id().split('.')[-1:])}.log"
        return Command(arguments, log, functools.partial(become, self.root, prepare))

    def run_to(self, status: int, *arguments: str, prepare=None) -> str:
        command = self.command(*arguments, prepare=prepare)
        self.assertEqual(command.wait(), status, command.output())
        return command.output()

    def train(self, case: str, run: str, *flags: str, prepare=None) -> dict:
        flags = (*QUICK, *CASES[case].flags, *flags)
        self.run_to(0, "train", f"--run_dir={run}", *flags, prepare=prepare)
        return outcome(self.root / run)

    def whole(self, case: str) -> dict:
        """The outcome of the case's run that nothing happened to."""
        run = f"whole-{case}"
        if (self.root / run / "results.json").exists():
            return outcome(self.root / run)
        return self.train(case, run)

    def skip_what_does_not_apply(self, promise: str, case: str) -> None:
        if reason := CASES[case].reasons.get(promise):
            self.skipTest(f"{promise} of {case}: {reason}")

    @parameterized.parameters(*CASES)
    def test_killed_it_ends_with_the_same_bits(self, case: str) -> None:
        self.skip_what_does_not_apply("resume", case)
        flags = (f"--run_dir=killed-{case}", *QUICK, *CASES[case].flags)
        command = self.command("train", *flags, prepare=pause_at_checkpoints)
        places = self.root / f"killed-{case}" / "checkpoints"
        self.assertTrue(command.wait_for(lambda: [*places.glob("step-*")]))
        command.signal(signal.SIGKILL)
        self.assertEqual(command.wait(), -signal.SIGKILL, command.output())
        self.assertEqual(self.train(case, f"killed-{case}"), self.whole(case))

    @parameterized.parameters(*TASKS)
    def test_without_the_optimizer_it_does_not(self, case: str) -> None:
        run, flags = f"forgot-{case}", (*QUICK, *CASES[case].flags)
        given = ("train", f"--run_dir={run}", *flags, "--stop_after=1")
        self.run_to(75, *given, prepare=forget_the_optimizer)
        forgot = self.train(case, run, prepare=forget_the_optimizer)
        self.assertNotEqual(
            forgot["weights_sha256"], self.whole(case)["weights_sha256"]
        )

    def test_an_augmentation_without_its_keys_does_not(self) -> None:
        run = "keyless"
        self.train("own_augmentation", run, prepare=draw_keys_anew)
        self.assertNotEqual(
            outcome(self.root / run)["weights_sha256"],
            self.whole("own_augmentation")["weights_sha256"],
        )

    def test_a_source_that_gives_other_data_does_not_resume(self) -> None:
        case, run = "own_source", "other-data"
        flags = (f"--run_dir={run}", *QUICK, *CASES[case].flags)
        self.run_to(75, "train", *flags, "--stop_after=1")
        with np.load(self.root / "classes.npz") as arrays:
            before = dict(arrays)
        try:
            changed = before | {"x_train": before["x_train"] + 1}
            np.savez(self.root / "classes.npz", **changed)
            said = self.run_to(2, "train", *flags)
        finally:
            np.savez(self.root / "classes.npz", **before)
        self.assertIn("--dataset=models:Blobs: the train split has changed", said)

    @parameterized.parameters(*CASES)
    def test_every_example_counts_once(self, case: str) -> None:
        self.whole(case)
        described = json.loads((self.root / f"whole-{case}/dataset.json").read_text())
        sizes = {n: s["examples"] for n, s in described["splits"].items()}
        for line in self.lines(f"whole-{case}"):
            self.assertEqual(line["validation/examples"], sizes["validation"])
            self.assertEqual(line["examples"], line["step"] * BATCH)
        given = (f"--run_dir=whole-{case}", "--split=test", "--again")
        said = self.run_to(0, "evaluate", *given)
        self.assertIn(f"test: {sizes['test']} examples", said)

    @parameterized.parameters(*CASES)
    def test_replicas_train_as_one_device_does(self, case: str) -> None:
        self.skip_what_does_not_apply("replicas", case)
        alike = [
            text for text in CASES[case].flags if not text.startswith(ALIKE_ON_REPLICAS)
        ]
        lines = []
        for count in (1, 2):
            run = f"replicas-{count}-{case}"
            more = ("--model_args=dropout=0",) if "--model=mlp" in alike else ()
            flags = (*QUICK, *alike, *more, f"--logical_cpus={count}", "--epochs=1")
            self.run_to(0, "train", f"--run_dir={run}", *flags)
            lines.append(self.lines(run))
        for one, two in zip(*lines, strict=True):
            for name, value in one.items():
                if name.endswith("/loss"):
                    self.assertAllClose(two[name], value, rtol=1e-3, atol=1e-6)
                elif name.endswith("examples"):
                    self.assertEqual(two[name], value)

    @parameterized.parameters(*CASES)
    def test_what_serves_is_what_trained(self, case: str) -> None:
        self.skip_what_does_not_apply("parity", case)
        self.whole(case)
        self.run_to(0, "export", f"--run_dir=whole-{case}")
        export = self.root / f"whole-{case}" / "export" / "1" / "export.json"
        content = json.loads(export.read_text())
        self.assertNotEmpty(content["parity"])
        for parity in content["parity"].values():
            self.assertLessEqual(parity["largest_difference"], parity["tolerance"])
        self.assertEqual(content["weights_sha256"], self.best_weights(case))

    def best_weights(self, case: str) -> str:
        """SHA-256 of the best checkpoint's weights, taken apart from the export."""
        from app.runs.folder import RunFolder
        from app.runs.numerics import contained
        from app.runs.trained import load_network
        from app.training.state import weights_sha256

        before = os.getcwd()
        os.chdir(self.root)
        try:
            with contained():
                folder = RunFolder(pathlib.Path(f"whole-{case}"))
                network, _ = load_network(folder, "best")
                return weights_sha256(network.model)
        finally:
            os.chdir(before)

    def lines(self, run: str) -> list[dict[str, float]]:
        text = (self.root / run / "metrics.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]


def become(root: pathlib.Path, also: Callable[[], None] | None) -> None:
    """Makes this process one that a user started in the folder of the data."""
    os.chdir(root)
    if also is not None:
        also()


def draw_keys_anew() -> None:
    """Has the keys of augmentations be of this process alone."""
    import secrets

    from pipelines import randomness

    keys = randomness.keys
    own = secrets.randbits(32)
    randomness.keys = lambda seed, positions, draw: keys(own, positions, draw)


def pause_at_checkpoints() -> None:
    """Has the process rest after each checkpoint, to be killed before its end."""
    import time

    from app.training.checkpoints import Writer

    write_one = Writer.write

    def and_rest(self, snapshot):
        write_one(self, snapshot)
        self.wait()
        time.sleep(0.5)

    Writer.write = and_rest


if __name__ == "__main__":
    tf.test.main()
