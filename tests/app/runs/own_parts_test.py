"""Own parts from a folder with a dataset and one file, models.py, as a user has it."""

import functools
import json
import os
import pathlib
import signal

import numpy as np
import pytest
import tensorflow as tf

from app.training import checkpoints
from tests.own_folder import OwnFolderTestCase
from tests.processes import Command, outcome

pytestmark = pytest.mark.process

_FILE = """
import keras
import tensorflow as tf
from app.training.algorithm import Played, Player
from models.metrics import SummedMetric
from models.tasks.classification import Classification

def net(inputs, outputs, width: int = 8):
    x = keras.Input(inputs.shape)
    hidden = keras.layers.Dense(width, activation="relu", name="hidden")(x)
    hidden = keras.layers.Dropout(0.3)(keras.layers.BatchNormalization()(hidden))
    return keras.Model(x, keras.layers.Dense(outputs.size, name="last")(hidden))

def focal(labels, outputs):
    logs = tf.gather(tf.nn.log_softmax(outputs), labels, axis=1, batch_dims=1)
    return -(1 - tf.exp(logs)) ** 2 * logs

def confidence(labels, outputs):
    return tf.reduce_max(tf.nn.softmax(outputs), axis=1)

class Recall(SummedMetric):
    direction = "max"

    def __init__(self, outputs):
        super().__init__(outputs)
        self.sum_sizes = {"found": outputs.size, "there": outputs.size}

    def sums(self, labels, outputs):
        there = tf.one_hot(labels, self.outputs.size)
        right = tf.cast(labels == tf.argmax(outputs, axis=1), tf.float32)
        return {"found": there * right[:, None], "there": there}

    def result(self, sums):
        return float((sums["found"] / sums["there"].clip(1)).mean())

class Flowers(Classification):
    name = "flowers"

def make(learning_rate):
    return keras.optimizers.Adam(learning_rate, beta_1=0.8)

class Halves:
    '''The last layer and what comes before it are learnt apart.'''

    def __init__(self, model, loss, make_optimizer):
        self.model, self.loss = model, loss
        first = [v for v in model.trainable_variables if "last" not in v.path]
        last = [v for v in model.trainable_variables if "last" in v.path]
        self.players = (
            Player("last", last, make_optimizer(last)),
            Player("first", first, make_optimizer(first)),
        )

    def play(self, batch):
        outputs = self.model(batch.inputs, training=True)
        losses = self.loss(batch.labels, outputs)
        return Played({"last": losses, "first": 2 * losses}, outputs)
"""
_OWN = (
    "--model=models:net",
    "--model_args=width=6",
    "--loss=models:focal",
    "--metrics=models:confidence:max,models:Recall",
    "--task=models:Flowers",
    "--optimizer=models:make",
    "--monitor=Recall",
)
_QUICK = (
    "--dataset=flowers.npz",
    "--batch_size=16",
    "--epochs=3",
    "--checkpoint_every=3s",
    "--learning_rate=0.05",
    "--nofigures",
    "--progress=lines",
)
# A search says by itself how its trials show and draw.
_SEARCHED = tuple(f for f in _QUICK if f not in ("--nofigures", "--progress=lines"))


class OwnPartsRunTest(OwnFolderTestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("models.py", _FILE)
        generator = np.random.default_rng(0)
        labels = generator.integers(3, size=240)
        centers = generator.normal(size=(3, 5)) * 2
        examples = centers[labels] + generator.normal(size=(240, 5))
        np.savez(
            self.folder / "flowers.npz",
            x_train=examples.astype(np.float32),
            y_train=labels,
        )

    def start(self, name: str, *arguments: str) -> Command:
        """A command in the user's folder, in a process of its own."""
        log = self.folder / f"{name}.log"
        return Command(arguments, log, functools.partial(os.chdir, self.folder))

    def run_command(self, name: str, *arguments: str, status: int = 0) -> str:
        command = self.start(name, *arguments)
        self.assertEqual(command.wait(), status, command.output())
        return command.output()

    def train(self, name: str, *more: str, status: int = 0) -> str:
        given = ("train", f"--run_dir={name}", *_QUICK, *_OWN, *more)
        return self.run_command(name, *given, status=status)

    def read(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())

    def kill(self, name: str, *more: str) -> None:
        """Starts a run and kills it once there is a checkpoint."""
        given = ("train", f"--run_dir={name}", *_QUICK, *_OWN, *more)
        command = self.start(name, *given)
        folder = self.folder / name / "checkpoints"
        command.wait_for(lambda: checkpoints.steps_of(folder))
        command.signal(signal.SIGKILL)
        self.assertEqual(command.wait(), -signal.SIGKILL, command.output())


class ResumeTest(OwnPartsRunTest):
    def test_killed_runs_end_with_the_same_bits(self) -> None:
        for name, more in (("plain", ()), ("played", ("--algorithm=models:Halves",))):
            with self.subTest(name):
                self.train(f"whole_{name}", *more)
                self.kill(f"killed_{name}", *more)
                said = self.train(f"killed_{name}", *more)
                self.assertIn("resumes at step", said)
                self.assertNotIn("has changed", said)
                whole, killed = (
                    outcome(self.folder / f"{kind}_{name}")
                    for kind in ("whole", "killed")
                )
                self.assertEqual(killed, whole)
        one, other = (
            self.read(f"whole_{name}/results.json")["weights_sha256"]
            for name in ("plain", "played")
        )
        self.assertNotEqual(one, other)  # or the algorithm was not used

    def test_a_file_that_changed_is_named_and_counts(self) -> None:
        self.train("whole")
        self.kill("changed")
        with open(self.folder / "models.py", "a") as file:
            file.write("\ndef focal(labels, outputs):\n    return outputs[:, 0] ** 2\n")
        said = self.train("changed")
        self.assertRegex(said, "note: .*/models.py .* has changed since the run was")
        digests = {
            self.read(f"{name}/results.json")["weights_sha256"]
            for name in ("whole", "changed")
        }
        self.assertLen(digests, 2)  # the control of the test above

    def test_all_that_a_run_writes_knows_them(self) -> None:
        self.train("run")
        results = self.read("run/results.json")
        self.assertEqual(results["task"]["name"], "flowers")
        self.assertEqual(results["metrics"]["Recall"]["direction"], "max")
        self.assertIn("Recall", results["best"])
        lines = (self.folder / "run/metrics.jsonl").read_text().splitlines()
        best = max(json.loads(line)["validation/Recall"] for line in lines)
        self.assertEqual(results["best"]["Recall"], best)
        named = [
            part["reference"] for part in self.read("run/environment.json")["own_parts"]
        ]
        own = ("net", "focal", "confidence", "Recall", "Flowers", "make")
        self.assertCountEqual(named, [f"models:{name}" for name in own])
        said = self.run_command("eval", "evaluate", "--run_dir=run", "--split=test")
        self.assertRegex(said, r"confidence 0\.\d+")
        self.assertIn("Recall", self.read("run/results.json")["test"])

    def test_nothing_is_written_for_a_mistake(self) -> None:
        said = self.train("run", "--loss=models:confidence:max", status=2)
        self.assertIn("expected package.module:function", said)
        said = self.train("run", "--metrics=models:confidence", status=2)
        self.assertIn("has no direction", said)
        self.assertFalse((self.folder / "run").exists())

    def test_elsewhere_its_files_are_missed_by_name(self) -> None:
        self.train("run")
        (self.folder / "sub").mkdir()
        os.chdir(self.folder / "sub")
        given = ("evaluate", f"--run_dir={self.folder}/run")
        log = self.folder / "elsewhere.log"
        command = Command(given, log, functools.partial(os.chdir, self.folder / "sub"))
        self.assertEqual(command.wait(), 2)
        self.assertRegex(command.output(), "models.py is not in .*/sub: run the com")


class ManyTest(OwnPartsRunTest):
    def losses(self, name: str) -> list[float]:
        lines = (self.folder / name / "metrics.jsonl").read_text().splitlines()
        return [json.loads(line)["train/loss"] for line in lines]

    def test_two_replicas_learn_the_same(self) -> None:
        # Dropout and batch statistics are a replica's own: without them.
        plain = _FILE.replace("Dropout(0.3)", "Dropout(0.0)").replace(
            "keras.layers.BatchNormalization()(hidden)", "hidden"
        )
        self.write("models.py", plain)
        self.train("one")
        self.train("two", "--logical_cpus=2")
        self.assertAllClose(self.losses("one"), self.losses("two"), 1e-4, 1e-4)

    @pytest.mark.cluster
    def test_workers_import_it_too(self) -> None:
        given = ("launch", "--workers=2", "--", "train", "--run_dir=workers")
        said = self.run_command("workers", *given, *_QUICK, *_OWN)
        self.assertIn("Run finished", said)
        (chief, other) = (
            self.read("workers/results.json")["weights_sha256"],
            said.partition("weights_sha256 here: ")[2].split()[0],
        )
        self.assertEqual(chief, other)

    @pytest.mark.cluster
    def test_parameter_servers_apply_each_step_once(self) -> None:
        given = (
            *("launch", "--workers=2", "--parameter_servers=1", "--"),
            *("train", "--run_dir=servers", "--strategy=parameter_server"),
        )
        self.run_command("servers", *given, *_QUICK, *_OWN)
        results = self.read("servers/results.json")
        self.assertEqual((results["state"], results["steps"]), ("finished", 36))
        self.assertIn("Recall", results["validation"])

    @pytest.mark.slow
    def test_a_search_tries_them(self) -> None:
        given = (
            *("tune", "--run_dir=search", "--tuner=grid", "--trials=2", "--workers=1"),
            "--search=loss=models:focal|cross_entropy",
            "--objective=Recall",
            *_SEARCHED,
            *(flag for flag in _OWN if not flag.startswith("--loss")),
        )
        said = self.run_command("search", *given)
        self.assertIn("for the best validation/Recall (max)", said)
        trials = sorted((self.folder / "search/trials").iterdir())
        tried = {line for t in trials for line in self.flags(t) if "--loss=" in line}
        self.assertEqual(tried, {"--loss=models:focal", "--loss=cross_entropy"})

    def flags(self, run: pathlib.Path) -> list[str]:
        return (run / "flags.txt").read_text().splitlines()

    def test_a_searched_name_that_is_none_is_refused(self) -> None:
        given = ("tune", "--run_dir=search", "--trials=2", *_SEARCHED)
        searched = "--search=loss=models:focal|mes"
        said = self.run_command("search", *given, searched, status=2)
        self.assertIn("'mes' (did you mean 'mse'?)", said)

    @pytest.mark.export
    def test_an_export_answers_as_the_run(self) -> None:
        self.train("run")
        said = self.run_command("export", "export", "--run_dir=run")
        self.assertRegex(said, "saved_model.*largest difference")
        task = self.read("run/export/1/export.json")["task"]
        self.assertEqual(task["name"], "models:Flowers")


if __name__ == "__main__":
    tf.test.main()
