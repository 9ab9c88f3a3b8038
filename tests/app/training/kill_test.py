"""Killed at any instant, the same command finishes with the same bits."""

import os
import pathlib
import random
import shutil
import signal

import pytest
import tensorflow as tf
from absl.testing import parameterized

from tests.processes import Command, outcome

pytestmark = pytest.mark.process

QUICK = (
    "--batch_size=64",
    "--epochs=2",
    "--evaluate_every=0.25",
    "--checkpoint_every=3s",
    "--progress=lines",
)
# What a run can remember, in few runs: randomness of augmentation, dropout and noise,
# averages, loss scaling, early stopping, batch normalization, streamed data.
RUNS = {
    "dropout_and_averages": (
        "--model=mlp",
        "--model_args=width=32,depth=2,dropout=0.3",
        "--ema=0.9",
        "--augment=noise=8,translate=1",
    ),
    "normalization_in_bfloat16": (
        "--model=cnn",
        "--model_args=width=8,dropout=0.2",
        "--precision=mixed_bfloat16",
        "--augment=flip,cutout=2,mixup=0.2",
        "--optimizer=sgd",
        "--learning_rate=0.05",
    ),
    "loss_scaling_and_stream": (
        "--model=vit",
        "--model_args=width=16,depth=1,heads=2,patch=4,dropout=0.1",
        "--precision=mixed_float16",
        "--cache=none",
        "--clip_norm=1",
    ),
    "early_stopping": (
        "--model=mlp",
        "--model_args=width=16,depth=1,dropout=0.5",
        "--learning_rate=0.03",
        "--schedule=constant",
        "--epochs=8",
        "--early_stopping=2",
    ),
}


class KillTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self):
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())

    def start(self, name: str, flags, prepare=None) -> Command:
        arguments = ["train", f"--run_dir={self.root / name}", *QUICK, *flags]
        return Command(
            arguments, self.root / f"{name.replace(os.sep, '-')}.log", prepare
        )

    def finish(self, name: str, flags, prepare=None) -> dict:
        command = self.start(name, flags, prepare)
        self.assertEqual(command.wait(), 0, command.output())
        return outcome(self.root / name)

    @parameterized.named_parameters(
        *((name, flags, seed) for seed, (name, flags) in enumerate(RUNS.items()))
    )
    def test_killed_at_random_instants(self, flags, seed):
        whole = self.finish("whole", flags)
        chance = random.Random(seed)
        for kind in ("steps", "save", "evaluation", "any", "steps", "any"):
            self.kill_once("killed", flags, kind, chance)
        killed = self.finish("killed", flags)
        self.assertEqual(killed, whole)
        self.assertEqual(killed["state"], "finished")

    def kill_once(self, name, flags, kind, chance):
        """Starts the run and kills it in a save, an evaluation, a step or anywhere."""
        run_dir = self.root / name
        marker = run_dir / ".evaluating"
        marker.unlink(missing_ok=True)
        command = self.start(name, flags, mark_evaluations)
        if kind == "save":
            command.wait_for(lambda: list(run_dir.glob("checkpoints/.partial-*")))
        elif kind == "evaluation":
            command.wait_for(marker.exists)
        elif kind == "steps":
            before = len(list(run_dir.glob("checkpoints/step-*")))
            command.wait_for(
                lambda: len(list(run_dir.glob("checkpoints/step-*"))) != before
            )
        wait = chance.uniform(0, 4.0 if kind == "any" else 0.05)
        command.wait_for(after(wait))
        command.signal(signal.SIGKILL)
        self.assertIn(command.wait(), (0, -signal.SIGKILL))

    def test_killed_after_an_evaluation_that_it_had_to_do_again(self):
        """The checkpoint it goes on from knows nothing of that evaluation's line."""
        flags = RUNS["dropout_and_averages"]
        whole = self.finish("whole", flags)
        command = self.start("killed", flags, pause_in_an_evaluation)
        self.assertEqual(command.wait(), 75, command.output())
        for _ in range(2):
            command = self.start("killed", flags, die_after_an_evaluation)
            self.assertEqual(command.wait(), -signal.SIGKILL, command.output())
            written = (self.root / "killed" / "metrics.jsonl").read_text()
            self.assertLen(written.splitlines(), 1)
        self.assertEqual(self.finish("killed", flags), whole)

    @parameterized.named_parameters(
        ("draws_from_keras_own_counters", "use_keras_counters"),
        ("the_optimizer_left_out_of_the_state", "forget_the_optimizer"),
    )
    def test_negative_control(self, breakage):
        """With a piece taken out, a resumed run must not end as a whole one does."""
        flags = RUNS["dropout_and_averages"]
        prepare = {
            "use_keras_counters": use_keras_counters,
            "forget_the_optimizer": forget_the_optimizer,
        }[breakage]
        whole = self.finish("whole", flags, prepare)
        command = self.start("killed", [*flags, "--stop_after=1"], prepare)
        self.assertEqual(command.wait(), 75, command.output())
        self.assertNotEqual(self.finish("killed", flags, prepare), whole)

    def test_signals_save_at_the_next_boundary(self):
        flags = [*RUNS["dropout_and_averages"], "--epochs=40", "--checkpoint_every=9"]
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1):
            command = self.start("run", flags)
            command.wait_for(lambda log=command.output: "epoch " in log())
            command.signal(number)
            # A second signal during the save changes nothing.
            command.signal(signal.SIGTERM)
            self.assertEqual(command.wait(), 75, command.output())
            self.assertRegex(command.output(), r"SIG\w+ received .*; saved at step \d+")
            self.assertIn("the same command goes on", command.output())

    def test_a_full_disk_ends_the_run_and_leaves_whole_checkpoints(self):
        flags = (*RUNS["dropout_and_averages"], "--model_args=width=256,depth=2")
        whole = self.finish("whole", flags)
        disk = self.root / "disk"
        disk.mkdir()
        if os.system(f"mount -t tmpfs -o size=3m tmpfs {disk} 2>/dev/null"):
            self.skipTest("mounting a small disk needs root")
        self.addCleanup(os.system, f"umount {disk}")
        command = self.start("disk/run", flags)
        self.assertEqual(command.wait(), 75, command.output())
        self.assertIn("No space left on device", command.output())
        self.assertNotIn("Traceback", command.output())
        self.assertEqual(os.system(f"mount -o remount,size=90m {disk}"), 0)
        self.assertEqual(self.finish("disk/run", flags), whole)

    def test_checkpoints_all_gone_is_said_and_starts_again(self):
        flags = RUNS["early_stopping"]
        whole = self.finish("whole", flags)
        command = self.start("run", [*flags, "--stop_after=1"])
        self.assertEqual(command.wait(), 75, command.output())
        shutil.rmtree(self.root / "run" / "checkpoints")
        command = self.start("run", flags)
        self.assertEqual(command.wait(), 0, command.output())
        self.assertIn("no whole checkpoint, so the run starts again", command.output())
        self.assertEqual(outcome(self.root / "run"), whole)


def after(seconds: float):
    """A condition that holds once `seconds` have passed."""
    import time

    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def pause_in_an_evaluation() -> None:
    """Asks for a pause when an evaluation begins."""
    before_an_evaluation(lambda: signal.raise_signal(signal.SIGTERM))


def die_after_an_evaluation() -> None:
    """Kills the process when the line of an evaluation is written."""
    from app.runs.journal import Journal

    evaluated = Journal.evaluated

    def last(journal, line):
        evaluated(journal, line)
        os.kill(os.getpid(), signal.SIGKILL)

    Journal.evaluated = last


def mark_evaluations() -> None:
    """Makes the process leave a mark when it begins to evaluate."""

    def mark():
        folders = pathlib.Path("/proc/self/fd").iterdir()
        locks = (f.resolve() for f in folders)
        for lock in locks:
            if lock.name == ".lock":
                (lock.parent / ".evaluating").touch()

    before_an_evaluation(mark)


def before_an_evaluation(act) -> None:
    from app.training.evaluation import Evaluator

    evaluate = Evaluator.evaluate

    def evaluated(evaluator, **arguments):
        act()
        return evaluate(evaluator, **arguments)

    Evaluator.evaluate = evaluated


def use_keras_counters() -> None:
    """Lets Keras' seed generators count for themselves."""
    import contextlib

    from app.training import randomness

    randomness.keyed_draws = lambda *_: contextlib.nullcontext()


def forget_the_optimizer() -> None:
    """Leaves the optimizer's variables out of checkpoints."""
    from app.training import state

    original = state.TrainState._variables

    def without(self):
        found = original(self)
        return {n: v for n, v in found.items() if not n.startswith("optimizer/")}

    state.TrainState._variables = without


if __name__ == "__main__":
    tf.test.main()
