"""Every model, task and precision: the same answers in a fresh interpreter."""

import pathlib

import keras
import tensorflow as tf

from app.serving import exporting, golden, runtimes
from app.serving.signatures import Contract
from models import registry
from tests.app.serving import subjects

# The smallest of each, on images of 8×8×3, and 32×32 for keras.applications.
SMALL = {
    "linear": "",
    "mlp": "depth=1,width=8",
    "cnn": "depth=1,width=4",
    "resnet": "depth=8,width=4",
    "vit": "depth=1,width=8,heads=1",
    "pretrained": "backbone=MobileNet,weights=none",
}
# Every model for each task and in each precision; the rest of the square adds nothing
# that is not among these.
KINDS = (("classification", "float32"), ("regression", "mixed_bfloat16"))


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
            for name, (version, _, subject, options, examples) in made.items():
                if version in by_path:
                    with self.subTest(f"{name} in {runtime}"):
                        exporting.gate(
                            subject, options, examples, {runtime: by_path[version]}
                        )

    def _write_all(self):
        """(name, (version, contract, subject, options, golden)) of every combination.

        The `.keras` file passes the gate here.
        """
        for model, arguments in SMALL.items():
            shapes = [(32, 32, 3) if model == "pretrained" else (8, 8, 3)]
            shapes += [(5,)] if model in ("linear", "mlp") else []
            for shape in shapes:
                # keras.applications' take as long to build as all others together.
                for task, precision in KINDS[: 1 if model == "pretrained" else 2]:
                    name = f"{model}-{task}-{precision}-{len(shape)}"
                    yield name, self._write(name, arguments, shape)

    def _write(self, name: str, arguments: str, shape: tuple[int, ...]):
        model, task, precision, _ = name.split("-")
        place = pathlib.Path(self.get_temp_dir(), name)
        place.mkdir()
        subject = subjects.subject(
            place / "run",
            subjects.source(task, shape),
            f"--model={model}",
            f"--model_args={arguments}",
            f"--precision={precision}",
        )
        # LiteRT's converter takes seconds a model.
        both = model == "cnn" or (task == "classification" and model != "pretrained")
        formats = "saved_model,litert" if both else "saved_model"
        options = subjects.export_config(place, f"--format={formats}").export
        contract = Contract(subject.dataset.features, max_pixels=10**5)
        version = place / "version"
        examples = exporting.write_models(subject, options, contract, version, place)
        self._check_keras(subject, options, contract, version, examples)
        return version, contract, subject, options, examples

    def _check_keras(self, subject, options, contract, version, examples) -> None:
        reloaded = runtimes.reloaded_keras(
            version / exporting.KERAS, examples, contract
        )
        exporting.gate(subject, options, examples, {"keras": reloaded})
        self.assertTrue((version / golden.FOLDER / golden.ARRAYS).exists())


if __name__ == "__main__":
    tf.test.main()
