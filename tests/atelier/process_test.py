"""A run from Python: the command's numbers, and the process as it was before."""

import contextlib
import io
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from typing import Any
from unittest import mock

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.python.framework import ops

import atelier
from app.main import main
from app.runs import numerics, train
from app.runs.journal import Journal
from app.training import randomness
from models import tf_internals
from models.layers import bias_gradient
from tests.processes import TIMINGS

pytestmark = pytest.mark.slow

ROOT = pathlib.Path(__file__).parents[2]
QUICK: dict[str, Any] = {
    "model": "mlp",
    "model_args": {"width": 16, "depth": 1, "dropout": 0.2},
    "epochs": 2,
    "batch_size": 256,
    "progress": "quiet",
    "figures": False,
}
# Whatever a run may change: another precision, eager mode, other seeds, dropout.
LOUD: dict[str, Any] = {
    **QUICK,
    "precision": "mixed_bfloat16",
    "eager": True,
    "epochs": 0.5,
    "seed": 7,
}
ARGUMENTS = (
    "--model=mlp",
    "--model_args=width=16,depth=1,dropout=0.2",
    "--epochs=2",
    "--batch_size=256",
    "--progress=quiet",
    "--nofigures",
)


class ProcessTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())

    def train(self, name: str, **flags: Any) -> atelier.Run:
        with contextlib.redirect_stdout(io.StringIO()):
            return atelier.train(run_dir=self.root / name, **{**QUICK, **flags})

    def command(self, name: str, *arguments: str) -> str:
        """The weights of the command, run in this process."""
        run_dir = self.root / name
        with contextlib.redirect_stdout(io.StringIO()):
            given = ["train", f"--run_dir={run_dir}", *ARGUMENTS, *arguments]
            self.assertEqual(main(given), 0)
        return weights(run_dir)

    def test_the_weights_are_the_command_s_and_so_are_those_of_a_second_run(self):
        by_command = self.command("command")
        self.assertEqual(weights(self.train("first").path), by_command)
        with contextlib.redirect_stdout(io.StringIO()):
            atelier.train(run_dir=self.root / "loud", **LOUD)
        self.assertEqual(weights(self.train("second").path), by_command)

    def test_without_numbers_set_anew_a_second_run_is_another(self) -> None:
        """The control of the test before."""
        alone = weights(self.train("alone").path)
        with mock.patch.object(keras.utils, "set_random_seed"):
            self.train("first")
            second = self.train("second")
        self.assertNotEqual(weights(second.path), alone)

    @pytest.mark.process
    def test_the_weights_are_those_of_a_command_in_a_process_of_its_own(self) -> None:
        run_dir = self.root / "own"
        given = ["train", f"--run_dir={run_dir}", *ARGUMENTS]
        subprocess.run(
            [sys.executable, "-m", "app.main", *given],
            cwd=ROOT,
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.assertEqual(weights(self.train("here").path), weights(run_dir))

    def test_a_thread_trains_to_the_same_weights(self) -> None:
        found: list[Any] = []
        thread = threading.Thread(target=lambda: found.append(self.train("thread")))
        thread.start()
        thread.join()
        self.assertEqual(weights(found[0].path), weights(self.train("main").path))

    def test_two_threads_at_once_are_refused_by_name(self) -> None:
        said: list[str] = []

        def other() -> None:
            try:
                self.train("other")
            except atelier.UserError as error:
                said.append(str(error))

        with numerics.contained():
            thread = threading.Thread(target=other)
            thread.start()
            thread.join()
        self.assertLen(said, 1)
        self.assertIn("another thread of this process", said[0])
        self.assertFalse((self.root / "other").exists())

    def test_an_interrupt_pauses_and_the_same_call_resumes_to_the_same_bits(self):
        # As in a terminal: a shell has its background ignore the signal.
        ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
        self.addCleanup(signal.signal, signal.SIGINT, ignored)
        whole = self.train("whole")
        handlers = [signal.getsignal(number) for number in SIGNALS]
        with interrupted_at_the_first_segment():
            paused = self.train("paused")
        self.assertEqual(paused.state, "interrupted")
        self.assertLess(paused.results["steps"], whole.results["steps"])
        self.assertEqual([signal.getsignal(n) for n in SIGNALS], handlers)
        with self.assertRaises(KeyboardInterrupt):  # as before, not ignored
            signal.raise_signal(signal.SIGINT)
        again = self.train("paused")
        self.assertEqual((again.state, again.results["resumes"]), ("finished", 1))
        self.assertEqual(weights(again.path), weights(whole.path))
        for mine, theirs in zip(again.metrics, whole.metrics, strict=True):
            for timing in TIMINGS:
                del mine[timing], theirs[timing]
            self.assertEqual(mine, theirs)

    def test_stop_after_gives_the_run_back_and_says_so(self) -> None:
        told = io.StringIO()
        with contextlib.redirect_stdout(told):
            run = atelier.train(run_dir=self.root / "run", **QUICK, stop_after=1)
        self.assertEqual(run.state, "interrupted")
        self.assertIn("paused at step 6 by --stop_after", told.getvalue())

    def test_a_process_of_several_is_left_to_the_command(self) -> None:
        tasks = {"worker": ["localhost:1", "localhost:2"]}
        task = {"cluster": tasks, "task": {"type": "worker", "index": 0}}
        with mock.patch.dict(os.environ, TF_CONFIG=json.dumps(task)):
            with self.assertRaisesRegex(atelier.UserError, "one of several"):
                self.train("run")
        self.assertFalse((self.root / "run").exists())

    def test_no_run_ends_the_process(self) -> None:
        with mock.patch.object(os, "_exit") as at_once:
            self.train("run")
            with self.assertRaises(atelier.TrainingFailed):
                self.train("failed", optimizer="sgd", learning_rate=1e30)
            self.assertEqual(atelier.open(self.root / "failed").state, "failed")
        at_once.assert_not_called()


class PutBackTest(tf.test.TestCase):
    """What is the process's is put back, and is not by the run alone."""

    def setUp(self) -> None:
        super().setUp()
        self.root = pathlib.Path(self.get_temp_dir())
        # What other tests of this process have corrected is TensorFlow's own again.
        self.enterContext(bias_gradient.contained())
        own = bias_gradient._tensorflow_own
        tf_internals.replace_gradient("BiasAdd", own)

    def test_training_and_what_follows_leave_the_process_as_it_was(self) -> None:
        names = [keras.layers.Dense(1).name]
        for name, work in self.works().items():
            before = program()
            state = settings()
            work()
            self.assertEqual(settings(), state, name)
            self.assertEqual(program(), before, name)
            names.append(keras.layers.Dense(1).name)
        self.assertLen({*names}, len(names))  # Keras counts on

    def test_a_run_changes_the_process_where_nothing_puts_it_back(self) -> None:
        """The control: without the put-back the program's numbers are others."""
        alone, state = program(), settings()
        with contextlib.ExitStack() as after:
            after.enter_context(numerics.contained())
            untouched = mock.patch.object(train, "contained", contextlib.nullcontext)
            with untouched, contextlib.redirect_stdout(io.StringIO()):
                atelier.train(run_dir=self.root / "run", **LOUD)
            changed = settings()
            self.assertNotEqual(program(), alone)
        for name in ("precision", "eager", "gradient", "python", "numpy", "tensorflow"):
            self.assertNotEqual(changed[name], state[name], name)
        self.assertEqual(settings(), state)

    def test_draws_ask_the_step_only_within_one(self) -> None:
        own = randomness._keras_next
        with randomness.keyed_draws(1, tf.constant(0, tf.int64)):
            self.assertIsNot(keras.random.SeedGenerator.next, own)
            with randomness.keyed_as(randomness.current()):
                pass
            self.assertIsNot(keras.random.SeedGenerator.next, own)
        self.assertIs(keras.random.SeedGenerator.next, own)

    def works(self) -> dict[str, Callable[[], Any]]:
        run_dir = self.root / "run"

        def quietly(work: Callable[[], Any]) -> Callable[[], Any]:
            def quiet() -> Any:
                with contextlib.redirect_stdout(io.StringIO()):
                    return work()

            return quiet

        def run() -> atelier.Run:
            return atelier.open(run_dir)

        return {
            "train": quietly(lambda: atelier.train(run_dir=run_dir, **LOUD)),
            "evaluate": quietly(lambda: run().evaluate()),
            "model": lambda: run().model,
            "predict": lambda: run().predict(np.zeros((2, 8, 8), np.uint8)),
        }


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


@contextlib.contextmanager
def interrupted_at_the_first_segment() -> Any:
    """Within it a training gets the signal of an interrupt while its bar moves."""
    segment = Journal.segment

    def interrupt(self: Journal, *given: Any) -> None:
        segment(self, *given)
        signal.raise_signal(signal.SIGINT)

    with mock.patch.object(Journal, "segment", interrupt):
        yield


def weights(run_dir: pathlib.Path) -> str:
    return json.loads((run_dir / "results.json").read_text())["weights_sha256"]


def settings() -> dict[str, Any]:
    """What of the process a run may touch, as plain values."""
    with numerics.contained():
        seeds = tf.compat.v1.get_seed(None)
    return {
        "precision": keras.config.dtype_policy().name,
        "eager": tf.config.functions_run_eagerly(),
        "gradient": ops.gradient_registry.lookup("BiasAdd"),
        "draws": keras.random.SeedGenerator.next,
        "python": random.getstate(),
        "numpy": str(np.random.get_state()),  # noqa: NPY002
        "tensorflow": seeds,
        "signals": [signal.getsignal(number) for number in SIGNALS],
    }


def program() -> list[Any]:
    """A user's program that goes by the process's states: what comes of it.

    It leaves them as it found them.
    """
    with numerics.contained():
        policy = keras.config.dtype_policy()
        keras.utils.clear_session(free_memory=False)
        layer = keras.layers.Dense(3, dtype=policy)
        layer.build((None, 2))
        return [
            random.random(),
            np.random.random(),  # noqa: NPY002
            tf.random.uniform([2]).numpy().tolist(),
            policy.name,
            keras.random.uniform([2]).numpy().tolist(),
            layer.get_weights()[0].tolist(),
        ]


if __name__ == "__main__":
    tf.test.main()
