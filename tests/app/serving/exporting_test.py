"""An export answers as training did, or is not published."""

import json
import pathlib
import shutil
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.configs.serving import ExportOptions, PredictorConfig
from app.serving import exporting, litert, manifest, quantization, signatures
from app.serving.inputs.base import Given
from app.serving.inputs.image import ImageInput
from app.training.evaluation import Predictions
from base.errors import ExportRefused, UserError
from tests.app.serving import exported_runs


@pytest.mark.export
class ExportTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.version = exported_runs.export()
        self.content = json.loads((self.version / "export.json").read_text())

    def test_every_runtime_answered_alike(self) -> None:
        parity = self.content["parity"]
        self.assertCountEqual(
            parity,
            [
                "keras pixels",
                "saved_model pixels",
                "saved_model serving_default",
                "litert pixels",
            ],
        )
        for runtime, found in parity.items():
            self.assertLessEqual(found["largest_difference"], 1e-5, runtime)

    def test_the_manifest_names_what_it_is_made_of(self) -> None:
        content = self.content
        splits = json.loads((exported_runs.run() / "dataset.json").read_text())[
            "splits"
        ]
        self.assertEqual(content["dataset"]["splits"], splits)
        self.assertEqual(content["flags"]["model"], "cnn")
        self.assertEqual(content["checkpoint"], {"name": "best", "step": 1})
        self.assertIsNone(content["test"])
        self.assertEqual(
            content["calibration"]["temperature"], exported_runs.TEMPERATURE
        )
        self.assertEqual(content["temperature"], exported_runs.TEMPERATURE)
        latency = content["latency"]["saved_model serving_default"]["batch_32"]
        self.assertGreaterEqual(latency["p99_ms"], latency["p50_ms"])
        files = set(content["files"])
        self.assertContainsSubset(
            {
                "saved_model.pb",
                "assets/labels.txt",
                "assets.extra/tf_serving_warmup_requests",
                "model.keras",
                "model.tflite",
                "golden/cmyk.jpg",
                "golden/golden.npz",
                "request.json",
                "MODEL_CARD.md",
            },
            files,
        )
        card = (self.version / "MODEL_CARD.md").read_text()
        self.assertIn("`image_bytes` string [None]", card)
        self.assertIn("test: not evaluated", card)

    def test_signatures_are_as_promised(self) -> None:
        loaded = tf.saved_model.load(str(self.version)).signatures
        self.assertCountEqual(loaded, self.content["signatures"])
        for name, promised in self.content["signatures"].items():
            _, inputs = loaded[name].structured_input_signature
            outputs = loaded[name].structured_outputs
            for given, found in ((inputs, "inputs"), (outputs, "outputs")):
                described = {
                    key: {"dtype": spec.dtype.name, "shape": spec.shape.as_list()}
                    for key, spec in given.items()
                }
                self.assertEqual(described, promised[found])

    def test_nothing_else_is_left_in_the_run(self) -> None:
        names = [entry.name for entry in exported_runs.run().iterdir()]
        self.assertFalse([name for name in names if name.startswith(".export-")])


@pytest.mark.export
class GateTest(tf.test.TestCase):
    """Negative controls: the gate sees what it is there to see."""

    def setUp(self) -> None:
        super().setUp()
        self.run_dir = pathlib.Path(self.get_temp_dir(), "run")
        ignored = shutil.ignore_patterns("export")
        shutil.copytree(exported_runs.run(), self.run_dir, ignore=ignored)

    def refused(self, *options: str) -> str:
        config = exported_runs.export_config(self.run_dir, *options)
        with (
            exported_runs.runtimes_in_this_process(),
            self.assertRaises(ExportRefused) as caught,
        ):
            exporting.export(config)
        self.assertFalse((self.run_dir / "export").exists())
        return str(caught.exception)

    def test_one_constant_of_the_preprocessing_altered(self) -> None:
        def altered(self: ImageInput, given: Given) -> tf.Tensor:
            return tf.cast(given["pixels"], tf.float32) + 1.0

        with mock.patch.object(ImageInput, "as_inputs", altered):
            message = self.refused("--format=saved_model")
            self.assertRegex(
                message, r"saved_model \w+ differs .* on \S+ by \S+ in probabilities"
            )
            self.assertIn("litert pixels differs", self.refused("--format=litert"))

    def test_another_way_of_resizing(self) -> None:
        def decode(self: ImageInput, image_bytes: tf.Tensor) -> tf.Tensor:
            height, width, channels = self.shape

            def one(contents: tf.Tensor) -> tf.Tensor:
                image = tf.io.decode_image(contents, channels, expand_animations=False)
                image = tf.image.resize(image, (height, width), antialias=False)
                return tf.cast(image, tf.uint8)

            spec = tf.TensorSpec((height, width, channels), tf.uint8)
            return tf.map_fn(one, image_bytes, fn_output_signature=spec)

        with mock.patch.object(ImageInput, "decode", decode):
            message = self.refused("--format=saved_model")
        self.assertIn("saved_model serving_default differs", message)

    def test_labels_in_another_order(self) -> None:
        def write_labels(path: pathlib.Path, classes: tuple[str, ...]) -> None:
            path.write_text("".join(f"{name}\n" for name in reversed(classes)))

        with mock.patch.object(signatures, "write_labels", write_labels):
            self.assertIn(" in label;", self.refused("--format=saved_model"))


@pytest.mark.export
class QuantizationTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.place = pathlib.Path(self.get_temp_dir())

    def test_the_change_is_reported(self) -> None:
        for kind in ("float16", "int8"):
            options = (f"--quantize={kind}", "--max_accuracy_loss=1")
            config = exported_runs.export_config(
                exported_runs.run(), "--format=litert", *options
            )
            version = self.place / kind
            run = exporting.open_run(config)
            with exported_runs.runtimes_in_this_process():
                content = exporting.build(run, config, version, self.place)
            quantized = content["quantization"]
            self.assertEqual(quantized["kind"], kind)
            change = quantized["before"] - quantized["after"]
            self.assertNear(quantized["loss"], change, 1e-9)
            self.assertEqual(content["parity"]["litert pixels"]["precision"], kind)

    def test_too_much_is_refused(self) -> None:
        config = exported_runs.export_config(
            exported_runs.run(), "--format=litert", "--quantize=int8"
        )
        run = exporting.open_run(config)
        contract = run.contract(max_pixels=100)
        (self.place / "model.tflite").write_bytes(b"")
        labels = np.array([0, 1, 1, 0])
        found = Predictions(labels, np.eye(2, dtype=np.float32)[labels])
        answers = mock.patch.object(
            litert, "validation_answers", lambda *_: {"class_id": np.zeros(4, np.int64)}
        )
        with (
            answers,
            self.assertRaisesRegex(
                ExportRefused,
                r"accuracy from 1\.0000 to 0\.5000.*max_accuracy_loss=0\.01",
            ),
        ):
            quantization.measure(run, config.export, contract, self.place, found)


@pytest.mark.export
class VerificationTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.version = pathlib.Path(self.get_temp_dir(), "1")
        shutil.copytree(exported_runs.export(), self.version)

    def test_an_export_as_it_was_made(self) -> None:
        self.assertEqual(manifest.read_verified(self.version)["name"], "run")

    def test_a_flipped_bit_is_named(self) -> None:
        path = self.version / "variables" / "variables.data-00000-of-00001"
        content = bytearray(path.read_bytes())
        content[100] ^= 1
        path.write_bytes(content)
        with self.assertRaisesRegex(UserError, "variables.data.* has changed"):
            manifest.read_verified(self.version)

    def test_a_missing_file_is_named(self) -> None:
        (self.version / "assets" / "labels.txt").unlink()
        with self.assertRaisesRegex(UserError, "labels.txt is missing"):
            manifest.read_verified(self.version)

    def test_a_file_slipped_in_is_named(self) -> None:
        (self.version / "saved_model.pbtxt").write_text("")
        with self.assertRaisesRegex(UserError, "saved_model.pbtxt is not the export's"):
            manifest.read_verified(self.version)

    def test_another_folder(self) -> None:
        with self.assertRaisesRegex(UserError, "expected a folder that `atelier expo"):
            manifest.read_verified(exported_runs.run())


class OptionsTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        ({"format": "onnx"}, "--format=onnx: expected saved_model or litert"),
        ({"format": ""}, "--format="),
        ({"quantize": "int8"}, "--format=saved_model,litert"),
        ({"max_accuracy_loss": -1.0}, "--max_accuracy_loss=-1.0"),
        ({"max_pixels": 0}, "--max_pixels=0"),
    )
    def test_mistakes(self, values: dict, message: str) -> None:
        with self.assertRaisesRegex(UserError, message):
            ExportOptions(**values)

    def test_one_of_run_and_export_predicts(self) -> None:
        with self.assertRaisesRegex(UserError, "neither is given"):
            PredictorConfig()
        with self.assertRaisesRegex(UserError, "both are given"):
            PredictorConfig(run_dir="a", export_dir="b")


if __name__ == "__main__":
    tf.test.main()
