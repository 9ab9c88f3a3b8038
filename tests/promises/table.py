"""The columns: each promise for a case, with what breaks it taken out as a control.

A promise is tried by the commands a user gives, in real processes. What does not apply
says why.
"""

import functools
import json
import math
import os
import pathlib
import shutil
import signal
import tempfile
from collections.abc import Callable

import tensorflow as tf

from tests.app.training.kill_test import forget_the_optimizer
from tests.processes import Command, outcome
from tests.promises.cases import BATCH, CASES, write

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


class PromisesTestCase(tf.test.TestCase):
    """The columns of the table, each for a case: a row."""

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

    def assert_resumes(self, case: str) -> None:
        """Killed, the same command ends with the same bits."""
        self.skip_what_does_not_apply("resume", case)
        flags = (f"--run_dir=killed-{case}", *QUICK, *CASES[case].flags)
        command = self.command("train", *flags, prepare=pause_at_checkpoints)
        places = self.root / f"killed-{case}" / "checkpoints"
        self.assertTrue(command.wait_for(lambda: [*places.glob("step-*")]))
        command.signal(signal.SIGKILL)
        self.assertEqual(command.wait(), -signal.SIGKILL, command.output())
        self.assertEqual(self.train(case, f"killed-{case}"), self.whole(case))

    def assert_the_optimizer_counts(self, case: str) -> None:
        """A control: with the optimizer left out of the state, it does not."""
        run, flags = f"forgot-{case}", (*QUICK, *CASES[case].flags)
        given = ("train", f"--run_dir={run}", *flags, "--stop_after=1")
        self.run_to(75, *given, prepare=forget_the_optimizer)
        forgot = self.train(case, run, prepare=forget_the_optimizer)
        self.assertNotEqual(
            forgot["weights_sha256"], self.whole(case)["weights_sha256"]
        )

    def assert_counts(self, case: str) -> None:
        """Every example that is evaluated counts once, and each of a batch."""
        self.whole(case)
        described = json.loads((self.root / f"whole-{case}/dataset.json").read_text())
        sizes = {n: s["examples"] for n, s in described["splits"].items()}
        for line in self.lines(f"whole-{case}"):
            self.assertEqual(line["validation/examples"], sizes["validation"])
            self.assertEqual(line["examples"], line["step"] * BATCH)
        given = (f"--run_dir=whole-{case}", "--split=test", "--again")
        said = self.run_to(0, "evaluate", *given)
        self.assertIn(f"test: {sizes['test']} examples", said)

    def assert_replicas_agree(self, case: str) -> None:
        """Two replicas train as one device does."""
        self.skip_what_does_not_apply("replicas", case)
        lines = []
        for count in (1, 2):
            run = f"replicas-{count}-{case}"
            flags = (*QUICK, *CASES[case].flags, *CASES[case].alike)
            flags = (*flags, f"--logical_cpus={count}", "--epochs=1")
            self.run_to(0, "train", f"--run_dir={run}", *flags)
            lines.append(self.lines(run))
        for one, two in zip(*lines, strict=True):
            for name, value in one.items():
                if name.endswith("/loss"):
                    self.assertAllClose(two[name], value, rtol=1e-3, atol=1e-6)
                elif name.endswith("examples"):
                    self.assertEqual(two[name], value)

    def assert_serves_what_trained(self, case: str) -> None:
        """What is exported answers as what trained, with its weights."""
        self.skip_what_does_not_apply("parity", case)
        self.whole(case)
        self.run_to(0, "export", f"--run_dir=whole-{case}")
        export = self.root / f"whole-{case}" / "export" / "1" / "export.json"
        content = json.loads(export.read_text())
        self.assertNotEmpty(content["parity"])
        for parity in content["parity"].values():
            self.assertLessEqual(parity["largest_difference"], parity["tolerance"])
        self.assertEqual(content["weights_sha256"], self.best_weights(case))

    def assert_ledger(self, case: str) -> None:
        """Under parameter servers each step is done once, and counted once."""
        self.skip_what_does_not_apply("ledger", case)
        run, flags = f"served-{case}", (*QUICK, *CASES[case].flags)
        flags = (*flags, "--strategy=parameter_server", "--checkpoint_every=1")
        cluster = ("--workers=2", "--parameter_servers=1", "--restarts=0")
        command = ("train", f"--run_dir={run}", *flags)
        self.run_to(0, "launch", *cluster, "--", *command)
        results = json.loads((self.root / run / "results.json").read_text())
        self.assertEqual(results["steps"], self.whole(case)["steps"])
        examples = self.whole(case)["lines"][-1]["validation/examples"]
        for line in self.lines(run):
            self.assertEqual(line["examples"], line["step"] * BATCH)
            self.assertEqual(line["validation/examples"], examples)
            self.assertTrue(all(map(math.isfinite, line.values())), line)

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
