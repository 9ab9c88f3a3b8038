"""What has become of a trial: by its exit status and its failure, not by its words."""

import json
import os
import pathlib
import signal
import time

import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.commands import train
from app.configs.searching import AgentConfig
from app.searching import outcomes
from app.searching.folder import SearchFolder
from app.searching.processes import Starter
from base.errors import UserError
from tests.processes import PATIENCE
from tuning.objective import Objective
from tuning.runs import Outcome

LOSS = Objective("validation/loss", "min")
QUICK = ("--model=mlp", "--model_args=width=8,depth=1", "--progress=lines")


class OutcomesTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = SearchFolder(pathlib.Path(self.get_temp_dir()) / "search")
        self.run = self.folder.trial("0001")
        self.failure = self.folder.failure("0001")
        self.failure.parent.mkdir(parents=True)

    def outcome(self, status: int, kind: str = "", message: str = "") -> Outcome:
        if kind:
            said = {"kind": kind, "message": message}
            self.failure.write_text(json.dumps(said))
        return outcomes.of_exit(self.run, LOSS, None, status, self.failure)

    @parameterized.parameters(
        (2, "user_mistake", "--depth=x", "failed", "invalid flags: --depth=x"),
        (1, "out_of_memory", "5 GB", "failed", "out of memory: 5 GB"),
        (1, "non_finite", "step 3 gave nan", "failed", "step 3 gave nan"),
        (1, "internal", "KeyError: 'a'", "failed", "KeyError: 'a'"),
        (2, "unreadable_example", "7.jpg", "failed", "7.jpg"),
        (2, "in_use", "in use by process 7", "interrupted", ""),
        (75, "interrupted", "SIGTERM received", "interrupted", ""),
        (75, "disk_full", "no space left", "died", "no space left"),
        (1, "", "", "failed", "exit status 1, and it said nothing"),
        (3, "", "", "died", "ended by exit status 3"),
        (-signal.SIGSEGV, "", "", "died", "ended by SIGSEGV"),
    )
    def test_the_kind_decides(
        self, status: int, kind: str, message: str, state: str, reason: str
    ) -> None:
        found = self.outcome(status, kind, message)
        self.assertEqual((found.state, found.reason), (state, reason))

    def test_words_decide_nothing(self) -> None:
        """A message that speaks of memory and of use is of the kind that it says."""
        found = self.outcome(1, "internal", "Out of memory; it is in use by process 7")
        self.assertEqual(found.state, "failed")
        self.assertFalse(found.reason.startswith("out of memory"))
        self.folder.log("0001").write_text("MemoryError: Out of memory, OOM when\n")
        self.failure.unlink()
        self.assertNotIn("memory", self.outcome(1).reason)

    def ended(self, *flags: str, kill: bool = False) -> int:
        """The exit status of a real trial."""
        starter = Starter(AgentConfig(warm=False), train.run)
        given = ["--dataset=digits", f"--run_dir={self.run.path}", *QUICK, *flags]
        process = starter.start(0, given, self.folder.log("0001"), self.failure)
        if kill:
            end = time.monotonic() + PATIENCE
            while not self.run.metrics.exists() and process.is_alive():
                self.assertLess(time.monotonic(), end, "no evaluation")
                time.sleep(0.01)
            os.kill(process.pid or 0, signal.SIGKILL)
        process.join()
        assert process.exitcode is not None
        return process.exitcode

    @pytest.mark.process
    def test_a_mistake_leaves_its_words_and_no_run_folder(self) -> None:
        status = self.ended("--batch_size=5000")
        found = outcomes.of_exit(self.run, LOSS, None, status, self.failure)
        self.assertEqual((status, found.state), (2, "failed"))
        self.assertRegex(found.reason, "^invalid flags: .*5000")
        self.assertFalse(self.run.path.exists())

    @pytest.mark.process
    def test_a_killed_trial_leaves_nothing_and_its_signal_decides(self) -> None:
        status = self.ended("--epochs=500", "--batch_size=256", kill=True)
        self.assertEqual(status, -signal.SIGKILL)
        self.assertFalse(self.failure.exists())
        found = outcomes.of_exit(self.run, LOSS, None, status, self.failure)
        self.assertEqual(found.state, "died")
        self.assertIn("SIGKILL, as the kernel does", found.reason)
        self.assertNotEmpty(found.history)
        results = self.run.read_results()
        self.assertEqual((results["state"], results["failure"]), ("interrupted", None))

    @pytest.mark.process
    def test_the_first_trial_tells_directions_of_every_set(self) -> None:
        answer = self.folder.path / "answer.json"
        given = ["--dataset=digits", f"--run_dir={self.run.path}", *QUICK]
        log = self.folder.log("rehearsal")
        starter = Starter(AgentConfig(warm=False), train.run)
        self.assertEqual(starter.rehearse(given, log, answer), 0)
        told = json.loads(answer.read_text())
        self.assertEqual(told["monitor"], "validation/accuracy")
        directions = told["directions"]
        self.assertEqual(directions["validation/accuracy"], "max")
        self.assertEqual(directions["train/loss"], "min")
        self.assertIsNone(directions["learning_rate"])
        self.assertEqual(starter.rehearse([*given, "--model=no"], log, answer), 2)
        said = json.loads(answer.read_text())
        self.assertEqual(said["kind"], UserError.kind)
        self.assertIn("unknown model 'no'", said["message"])


if __name__ == "__main__":
    tf.test.main()
