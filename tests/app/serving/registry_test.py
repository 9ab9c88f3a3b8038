"""Every model, task and precision: the same answers in a fresh interpreter."""

import itertools
import pathlib

import keras
import pytest
import tensorflow as tf

from app.serving import exporting, golden, runtimes
from models import registry
from tests.app.serving import exported_runs

pytestmark = pytest.mark.export

# The smallest of each, on images of 8×8×3, or as large as they have to be.
SMALL = {
    "airbench": "width=4,growth=2",
    "linear": "",
    "mlp": "depth=1,width=8",
    "branches": "branches=2,depth=1,width=4",
    "cnn": "depth=1,width=4",
    "resnet": "depth=8,width=4",
    "vit": "depth=1,width=8,heads=1",
    "pretrained": "backbone=VGG16,weights=none",
}
SIDES = {"airbench": 9, "pretrained": 32}
TASKS = ("classification", "regression")
PRECISIONS = ("float32", "mixed_bfloat16")


class RegistryTest(tf.test.TestCase):
    def tearDown(self) -> None:
        keras.config.set_dtype_policy("float32")
        super().tearDown()

    def test_this_knows_every_model(self) -> None:
        self.assertCountEqual(SMALL, registry.names())

    def test_answers_are_equal_everywhere(self) -> None:
        made = dict(self._write_all())
        for runtime in (runtimes.SAVED_MODEL, runtimes.LITERT):
            versions = [
                (version, contract)
                for version, contract, *_ in made.values()
                if runtime == runtimes.SAVED_MODEL
                or (version / "model.tflite").exists()
            ]
            work = pathlib.Path(self.get_temp_dir())
            answers = runtimes.in_fresh_interpreter(runtime, versions, work)
            by_path = {
                path: answered
                for (path, _), answered in zip(versions, answers, strict=True)
            }
            for name, (version, _, run, options, examples) in made.items():
                if version in by_path:
                    with self.subTest(f"{name} in {runtime}"):
                        exporting.gate(
                            run, options, examples, {runtime: by_path[version]}
                        )

    def _write_all(self):
        """(name, (version, contract, run, options, golden)) of every combination.

        The `.keras` file passes the gate here.
        """
        for model in SMALL:
            kinds = ("image", "vector", "table") if model in ("linear", "mlp") else ()
            for kind in kinds or ("image",):
                tasks = TASKS[:1] if model == "airbench" else TASKS
                for task, precision in itertools.product(tasks, PRECISIONS):
                    name = f"{model}-{kind}-{task}-{precision}"
                    yield name, self._write(name, model, kind, task, precision)

    def _write(self, name: str, model: str, kind: str, task: str, precision: str):
        place = pathlib.Path(self.get_temp_dir(), name)
        place.mkdir()
        side = SIDES.get(model, 8)
        shape = (side, side, 3) if kind == "image" else (5,)
        run = exported_runs.exported_run(
            place / "run",
            None if kind == "table" else exported_runs.source(task, shape),
            f"--model={model}",
            f"--model_args={SMALL[model]}",
            f"--precision={precision}",
            f"--whitening={2 if model == 'airbench' else 0}",
            *(exported_runs.table_arguments(task) if kind == "table" else ()),
        )
        # LiteRT's converter takes seconds a model.
        both = (task, precision) == ("classification", "float32") or model == "cnn"
        both = both and model != "pretrained"
        formats = "saved_model,litert" if both else "saved_model"
        options = exported_runs.export_config(place, f"--format={formats}").export
        contract = run.contract(max_pixels=10**5)
        version = place / "version"
        examples = exporting.write_models(run, options, contract, version, place)
        self._check_keras(run, options, contract, version, examples)
        return version, contract, run, options, examples

    def _check_keras(self, run, options, contract, version, examples) -> None:
        reloaded = runtimes.reloaded_keras(
            version / exporting.KERAS, examples, contract
        )
        exporting.gate(run, options, examples, {"keras": reloaded})
        self.assertTrue((version / golden.FOLDER / golden.ARRAYS).exists())


if __name__ == "__main__":
    tf.test.main()
