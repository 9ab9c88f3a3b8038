"""Sources and augmentations of the user's own in other commands, and among workers."""

import functools
import json
import os

import pytest
import tensorflow as tf

from tests.own_folder import OwnFolderTestCase
from tests.processes import Command

pytestmark = pytest.mark.process

_FILE = """
import numpy as np
import tensorflow as tf
from pipelines.features import ClassLabel, ExampleSpec, Image
from pipelines.sources.arrays import ArraySource

def images(first, last):
    labels = np.arange(first, last) % 2
    generator = np.random.default_rng(first)
    found = generator.integers(0, 128, (len(labels), 4, 4), np.uint8)
    return found + labels[:, None, None].astype(np.uint8) * 100, labels

def pictures():
    return images(0, 80)

def others():
    return images(100, 130)

class ByPython(ArraySource):
    native = False

    def __init__(self):
        x, y = images(0, 80)
        features = ExampleSpec(Image((4, 4, 1)), ClassLabel(("0", "1")))
        super().__init__("", features, x[..., None], y)

    def lookup(self, indices):
        found = tf.numpy_function(self.read, [indices], tf.uint8, stateful=False)
        return tf.ensure_shape(found, [*indices.shape, 4, 4, 1])

def speckle(images, keys):
    noise = tf.map_fn(
        lambda key: tf.random.stateless_normal(images.shape[1:], key, stddev=9.0),
        keys,
        fn_output_signature=tf.float32,
    )
    return images + noise
"""
_QUICK = (
    "--dataset=models:pictures",
    "--augment=models:speckle",
    "--model=mlp",
    "--batch_size=16",
    "--epochs=1",
    "--nofigures",
    "--progress=quiet",
)


class OwnDataTest(OwnFolderTestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("models.py", _FILE)

    def run_command(self, *arguments: str, status: int = 0) -> str:
        log = self.folder / "said.log"
        command = Command(arguments, log, functools.partial(os.chdir, self.folder))
        self.assertEqual(command.wait(), status, command.output())
        return command.output()

    def read(self, path: str) -> dict:
        return json.loads((self.folder / path).read_text())

    def test_it_is_other_data_as_any_source_is(self) -> None:
        sets = "--validation_sets=more=models:others"
        self.run_command("train", "--run_dir=run", *_QUICK, sets)
        results = self.read("run/results.json")
        self.assertEqual(results["validation_sets"]["more"]["examples"], 30)
        parts = self.read("run/environment.json")["own_parts"]
        own = {f"models:{name}" for name in ("pictures", "others", "speckle")}
        self.assertEqual({part["reference"] for part in parts}, own)
        said = self.run_command("evaluate", "--run_dir=run", "--dataset=models:others")
        self.assertIn("30 examples", said)

    def test_it_is_packed_and_the_folder_trains_to_the_same_weights(self) -> None:
        self.run_command("pack", "--dataset=models:pictures", "--pack_dir=packed")
        self.run_command("train", "--run_dir=own", *_QUICK)
        self.run_command("train", "--run_dir=packs", *_QUICK, "--dataset=packed")
        one, other = (
            self.read(f"{run}/results.json")["weights_sha256"]
            for run in ("own", "packs")
        )
        self.assertEqual(one, other)

    @pytest.mark.cluster
    def test_workers_import_both_and_agree(self) -> None:
        given = ("launch", "--workers=2", "--", "train", "--run_dir=run", *_QUICK)
        said = self.run_command(*given, "--progress=lines")
        here = said.partition("weights_sha256 here: ")[2].split()[0]
        self.assertEqual(self.read("run/results.json")["weights_sha256"], here)

    @pytest.mark.cluster
    def test_parameter_servers_refuse_what_python_reads(self) -> None:
        given = (
            *("launch", "--workers=1", "--parameter_servers=1", "--", "train"),
            *(*_QUICK, "--strategy=parameter_server", "--cache=none"),
        )
        self.run_command(*given, "--run_dir=native")
        self.assertEqual(self.read("native/results.json")["steps"], 4)
        python = (*given, "--run_dir=python", "--dataset=models:ByPython")
        said = self.run_command(*python, status=2)
        self.assertIn("--dataset=models:ByPython is read by Python", said)


if __name__ == "__main__":
    tf.test.main()
