"""`failure` in results.json: of what kind an ending was, and when there is none."""

import errno
import json
import pathlib
import resource
import signal

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.runs import failures
from app.runs.folder import RunFolder
from app.runs.results import Results
from base.errors import (
    DiskFailure,
    Interrupted,
    InUse,
    NonFinite,
    UnreadableExample,
    UserError,
)
from tests.processes import Command

QUICK = ("--dataset=digits", "--model=mlp", "--model_args=width=8,depth=1")


class FailureOfTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(
        (UserError("a"), "user_mistake", "a"),
        (InUse("a"), "in_use", "a"),
        (UnreadableExample("a\nb"), "unreadable_example", "a b"),
        (Interrupted("a"), "interrupted", "a"),
        (DiskFailure("a"), "disk_full", "a"),
        (NonFinite("a"), "non_finite", "a"),
        (MemoryError(), "out_of_memory", "MemoryError: "),
        (np._core._exceptions._ArrayMemoryError((9,), np.dtype("i1")), "out_of_memory"),
        (tf.errors.ResourceExhaustedError(None, None, "big"), "out_of_memory"),
        (OSError(errno.ENOMEM, "no memory"), "out_of_memory"),
        (OSError(errno.ENOSPC, "no space"), "disk_full"),
        (OSError(errno.EACCES, "no"), "internal"),
        (KeyError("Out of memory"), "internal", "KeyError: 'Out of memory'"),
        (ValueError("a"), "internal", "ValueError: a"),
    )
    def test_the_type_is_the_kind(
        self, error: Exception, kind: str, message: str | None = None
    ) -> None:
        found = failures.failure_of(error)
        self.assertEqual(found["kind"], kind)
        if message is not None:
            self.assertEqual(found["message"], message.strip())
        self.assertLen(found["message"].splitlines(), 1)


class RecordedTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = RunFolder(pathlib.Path(self.get_temp_dir()))
        self.folder.flags.write_text("--run_dir=x\n")
        self.folder.results.unlink(missing_ok=True)

    def fail(self, error: Exception) -> dict:
        with self.assertRaises(type(error)), failures.recorded(self.folder):
            raise error
        return self.folder.read_results()

    def test_a_failure_and_a_pause_have_their_states(self) -> None:
        found = self.fail(KeyError("x"))
        self.assertEqual(
            (found["state"], found["failure"]["kind"]), ("failed", "internal")
        )
        found = self.fail(Interrupted("SIGTERM received"))
        self.assertEqual(found["state"], "interrupted")
        self.assertEqual(found["failure"]["message"], "SIGTERM received")

    def test_a_mistake_is_no_ending_of_the_run(self) -> None:
        before = self.fail(Interrupted("SIGTERM received"))
        self.assertEqual(self.fail(UserError("other flags")), before)

    def test_a_finished_run_stays_finished(self) -> None:
        results = Results.read(self.folder)
        results.values["state"] = "finished"
        results.write(self.folder)
        found = self.fail(KeyError("in a figure"))
        self.assertEqual((found["state"], found["failure"]), ("finished", None))

    def test_what_has_no_flags_yet_is_no_run(self) -> None:
        self.folder.flags.unlink()
        self.assertEqual(self.fail(KeyError("x")), {})


@pytest.mark.process
class EndingsTest(tf.test.TestCase):
    """Real processes that end in every way."""

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())
        self.run_dir = self.root / "run"

    def start(self, *flags: str, prepare=None) -> Command:
        given = ["train", f"--run_dir={self.run_dir}", *QUICK, *flags]
        return Command(given, self.root / "log", prepare)

    def results(self) -> dict:
        return json.loads((self.run_dir / "results.json").read_text())

    def ending(self) -> tuple[str, str | None]:
        results = self.results()
        return results["state"], (results["failure"] or {}).get("kind")

    def test_killed_paused_mistaken_in_use_and_finished(self) -> None:
        flags = ("--epochs=300", "--batch_size=256", "--progress=lines")
        metrics = self.run_dir / "metrics.jsonl"
        command = self.start(*flags)
        self.assertTrue(command.wait_for(metrics.exists))
        command.signal(signal.SIGKILL)
        self.assertEqual(command.wait(), -signal.SIGKILL)
        self.assertEqual(self.ending(), ("interrupted", None))
        command = self.start(*flags)
        self.assertTrue(command.wait_for(lambda: "validation loss" in command.output()))
        second = Command(
            ["train", f"--run_dir={self.run_dir}", *QUICK, *flags], self.root / "second"
        )
        self.assertEqual(second.wait(), 2, second.output())
        self.assertIn("in use by", second.output())
        self.assertEqual(self.ending(), ("interrupted", None))
        command.signal(signal.SIGTERM)
        self.assertEqual(command.wait(), 75, command.output())
        self.assertEqual(self.ending(), ("interrupted", "interrupted"))
        self.assertRegex(self.results()["failure"]["message"], "SIGTERM .* saved at")
        before = self.results()
        command = self.start(*flags, "--learning_rate=7")
        self.assertEqual(command.wait(), 2)
        self.assertEqual(self.results(), before)

    def test_a_value_that_is_not_finite_and_a_run_that_is_done(self) -> None:
        bad = self.start("--epochs=2", "--optimizer=sgd", "--learning_rate=1e30")
        self.assertEqual(bad.wait(), 1, bad.output())
        self.assertEqual(self.ending(), ("failed", "non_finite"))
        self.run_dir = self.root / "good"
        self.assertEqual(self.start("--epochs=1").wait(), 0)
        self.assertEqual(self.ending(), ("finished", None))

    def test_no_memory(self) -> None:
        command = self.start("--epochs=1", prepare=take_memory_away)
        self.assertEqual(command.wait(), 1, command.output())
        self.assertEqual(self.ending(), ("failed", "out_of_memory"), command.output())


def take_memory_away() -> None:
    """From the first step on there is no memory for anything large."""
    from app.training.loop import Loop

    original = Loop.run

    def run(self) -> None:
        used, _ = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (2 << 30, used))
        np.ones(1 << 40, np.uint8)
        original(self)

    Loop.run = run  # type: ignore[method-assign]


if __name__ == "__main__":
    tf.test.main()
