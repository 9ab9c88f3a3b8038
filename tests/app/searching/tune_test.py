"""`atelier tune` with real processes: found, repeated, killed, failed, shared."""

import csv
import json
import os
import pathlib
import random
import re
import signal

import pytest
import tensorflow as tf
from absl.testing import parameterized

from tests.processes import Command

pytestmark = pytest.mark.process

QUICK = (
    "--model=mlp",
    "--model_args=depth=1",
    "--batch_size=256",
    "--epochs=2",
    "--workers=2",
)
FOUR_FLAGS = (
    "--search=learning_rate=1e-3..1e-1:log:step=10",
    "--search=batch_size=128|256",
    "--search=optimizer=sgd|adamw",
    "--search=model_args.width=8|16",
)
TUNERS = {
    "random": ("--trials=3", "--confirm=2", "--finalists=1"),
    "grid": ("--trials=3", "--keep=1"),
    "bayesian": ("--trials=3",),
    "hyperband": ("--factor=2",),
    "asha": ("--trials=4", "--factor=2"),
    "grow": ("--trials=7", "--repeats=2"),
}


class TuneTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())

    def start(self, name: str, *arguments: str) -> Command:
        given = ["tune", f"--run_dir={self.root / name}", *QUICK, *arguments]
        return Command(given, self.root / f"{name}.log")

    def tune(self, name: str, *arguments: str, status: int = 0) -> pathlib.Path:
        command = self.start(name, *arguments)
        self.assertEqual(command.wait(), status, command.output())
        self.said = command.output()
        return self.root / name

    def results(self, run_dir: pathlib.Path) -> dict:
        return json.loads((run_dir / "results.json").read_text())

    def rows(self, folder: pathlib.Path) -> list[dict[str, str]]:
        with open(folder / "trials.csv", newline="") as file:
            return list(csv.DictReader(file))

    def trained(self, folder: pathlib.Path) -> dict[str, tuple]:
        """Flags and weights of each trial, by name."""
        return {
            run.name: (
                re.sub(r"--run_dir=.*", "", (run / "flags.txt").read_text()),
                self.results(run)["weights_sha256"],
            )
            for run in (folder / "trials").iterdir()
        }

    def lines(self, run: pathlib.Path) -> list[dict]:
        text = (run / "metrics.jsonl").read_text()
        return [json.loads(line) for line in text.splitlines()]

    @parameterized.parameters(*TUNERS)
    def test_best_flags_repeats_what_a_tuner_found(self, tuner: str) -> None:
        folder = self.tune("search", f"--tuner={tuner}", *TUNERS[tuner], *FOUR_FLAGS)
        rows = self.rows(folder)
        (best,) = (row for row in rows if row["rank"] == "1")
        train = Command(
            ["train", f"--flagfile={folder / 'best.flags'}"], self.root / "train.log"
        )
        self.assertEqual(train.wait(), 0, train.output())
        self.assertEqual(
            self.results(folder / "best")["weights_sha256"],
            self.results(folder / "trials" / best["trial"])["weights_sha256"],
        )
        self.assert_nothing_was_trained_twice(folder)
        for name in ("score_over_time", "score_by_batch_size", "parallel_coordinates"):
            self.assertTrue((folder / "figures" / f"{name}.png").exists(), name)
        self.assertNotEmpty(list((folder / "tensorboard").glob("*/events*")))
        if tuner == "grid":  # keeps one: the others have no figures of their own
            for kept in ("checkpoints", "figures"):
                (place,) = folder.glob(f"trials/*/{kept}")
                self.assertEqual(place.parent.name, best["trial"])
        if tuner == "random":
            self.assertLen([row for row in rows if "-seed+" in row["trial"]], 2)
            self.assertIn("over 2 new seeds", self.said)

    def assert_nothing_was_trained_twice(
        self, folder: pathlib.Path, full: float = 2
    ) -> None:
        """The evaluations of each trial are those of its schedule, each once."""
        state = json.loads((folder / "search.json").read_text())
        epochs: dict[str, float] = {}
        for trial in state["oracle"]["trials"]:
            run = state["run_of"][trial["trial_id"]]
            wanted = trial["hyperparameters"]["values"].get("tuner/epochs", full)
            epochs[run] = max(epochs.get(run, 0), wanted)
        for run, wanted in epochs.items():
            lines = self.lines(folder / "trials" / run)
            self.assertLen(lines, wanted)
            results = self.results(folder / "trials" / run)
            self.assertEqual(results["steps"], lines[-1]["step"])

    def test_killed_at_random_instants_it_searches_the_same(self) -> None:
        arguments = ("--tuner=random", "--trials=4", "--epochs=4", *FOUR_FLAGS)
        whole = self.trained(self.tune("whole", *arguments))
        folder, instants = self.root / "killed", random.Random(0)
        for _ in range(3):
            command = self.start("killed", *arguments)
            count = len(self.evaluations(folder)) + instants.randint(1, 4)
            if not command.wait_for(lambda n=count: len(self.evaluations(folder)) >= n):
                break
            command.signal(signal.SIGKILL)
            command.wait()
        self.tune("killed", *arguments)
        self.assertEqual(self.trained(folder), whole)
        self.assertLen(self.rows(folder), 4)
        self.assert_nothing_was_trained_twice(folder, full=4)

    def evaluations(self, folder: pathlib.Path) -> list[str]:
        return [
            line
            for log in folder.glob("trials/*/metrics.jsonl")
            for line in log.read_text().splitlines()
        ]

    def test_a_killed_trial_is_gone_on_with(self) -> None:
        arguments = ("--tuner=random", "--trials=2", "--epochs=4", *FOUR_FLAGS)
        whole = self.trained(self.tune("whole", *arguments))
        folder = self.root / "killed"
        command = self.start("killed", *arguments)
        self.assertTrue(command.wait_for(lambda: self.evaluations(folder)))
        (holder, *_) = folder.glob("trials/*/.lock")
        os.kill(int(holder.read_text().split()[1]), signal.SIGKILL)
        self.assertEqual(command.wait(), 0, command.output())
        self.assertEqual(self.trained(folder), whole)

    def test_sigterm_pauses_the_trials_and_the_same_command_goes_on(self) -> None:
        arguments = ("--tuner=random", "--trials=2", "--epochs=40", *FOUR_FLAGS)
        folder = self.root / "paused"
        command = self.start("paused", *arguments)
        self.assertTrue(command.wait_for(lambda: self.evaluations(folder)))
        command.signal(signal.SIGTERM)
        self.assertEqual(command.wait(), 75, command.output())
        self.tune("paused", *arguments)
        states = [row["state"] for row in self.rows(folder)]
        self.assertEqual(states, ["finished", "finished"])
        self.assertGreater(
            sum(self.results(run)["resumes"] for run in (folder / "trials").iterdir()),
            0,
        )

    def test_failed_trials_have_reasons_and_the_search_goes_on(self) -> None:
        folder = self.tune(
            "search",
            "--tuner=grid",
            "--optimizer=sgd",
            "--search=learning_rate=0.1|1e30",
            "--search=batch_size=256|5000",
        )
        reasons = {
            (row["learning_rate"], row["batch_size"]): (row["state"], row["reason"])
            for row in self.rows(folder)
        }
        self.assertEqual(reasons["0.1", "256"], ("finished", ""))
        self.assertRegex(reasons["1e+30", "256"][1], "finite")
        self.assertRegex(reasons["0.1", "5000"][1], "^invalid flags: .*5000")
        (kept,) = folder.glob("trials/*/checkpoints")
        self.assertEqual(kept.parent.name, "0001")

    def test_a_trial_out_of_memory_has_failed_and_says_so(self) -> None:
        folder = self.tune(
            "search",
            "--tuner=grid",
            "--workers=1",
            "--trial_memory=3",
            "--model_args=depth=2",
            "--search=model_args.width=16|40000",
        )
        small, large = self.rows(folder)
        self.assertEqual((small["state"], large["state"]), ("finished", "failed"))
        self.assertIn("out of memory", large["reason"])

    def test_failures_in_a_row_end_the_search(self) -> None:
        self.tune(
            "search",
            "--tuner=grid",
            "--optimizer=sgd",
            "--max_failures=2",
            "--workers=1",
            "--search=learning_rate=1e30|2e30|3e30",
            status=1,
        )
        self.assertIn("--max_failures", self.said)
        self.assertLen(self.rows(self.root / "search"), 2)

    def test_two_commands_share_a_search(self) -> None:
        """As two tasks of an srun step, each of whose trials is a run of its own."""
        arguments = ("--tuner=random", "--trials=4", "--workers=1", *FOUR_FLAGS)
        folder = self.root / "shared"
        given = ["tune", f"--run_dir={folder}", *QUICK, *arguments]
        commands = []
        for log in ("one.log", "other.log"):
            commands.append(Command(given, self.root / log, be_a_task_of_srun))
            commands[0].wait_for((folder / "search.json").exists)
        for command in commands:
            self.assertEqual(command.wait(), 0, command.output())
        rows = self.rows(self.root / "shared")
        self.assertEqual([row["state"] for row in rows], ["finished"] * 4)
        for run in (self.root / "shared" / "trials").iterdir():
            self.assertEqual(self.results(run)["resumes"], 0)
            self.assertLen(self.lines(run), 2)

    def test_another_space_is_refused_with_the_difference(self) -> None:
        given = ("--tuner=random", "--trials=1", "--workers=1")
        self.tune("search", *given, "--search=batch_size=128|256")
        self.tune("search", *given, "--search=batch_size=64|256", status=2)
        self.assertIn("without --search=batch_size=128|256", self.said)
        self.assertIn("with --search=batch_size=64|256", self.said)


def be_a_task_of_srun() -> None:
    os.environ.update(
        SLURM_JOB_ID="7",
        SLURM_PROCID="0",
        SLURM_STEP_NODELIST="node[1-2]",
        SLURM_STEP_NUM_TASKS="2",
        SLURM_STEP_TASKS_PER_NODE="1(x2)",
    )


if __name__ == "__main__":
    tf.test.main()
