"""A table's export: rows as the world has them, answered as training did."""

import json
import pathlib
import shutil
from unittest import mock

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from app.configs import flags
from app.configs.commands import PredictConfig
from app.serving import exporting, predict, warmup
from app.serving.inputs import columns
from app.serving.inputs import table as table_input
from app.serving.inputs.base import Given
from app.serving.inputs.table import TableInput
from base.errors import ExportRefused, UserError
from tests.app.serving import exported_runs
from tests.app.serving.requests_test import as_request, serve

pytestmark = pytest.mark.export


class TableExportTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.version = exported_runs.table_export()
        self.content = json.loads((self.version / "export.json").read_text())
        self.loaded = tf.saved_model.load(str(self.version))
        self.signatures = self.loaded.signatures
        with np.load(self.version / "golden" / "golden.npz") as golden:
            self.expected = golden["answer_probabilities"]
            self.names = golden["names"].tolist()

    def specs(self, signature: str) -> dict[str, tf.TensorSpec]:
        _, specs = self.signatures[signature].structured_input_signature
        return dict(specs)

    def test_every_runtime_answered_alike(self) -> None:
        parity = self.content["parity"]
        self.assertCountEqual(
            parity,
            [
                "keras rows",
                "saved_model rows",
                "saved_model serving_default",
                "saved_model tf_example",
                "litert rows",
            ],
        )
        for runtime, found in parity.items():
            self.assertLessEqual(found["largest_difference"], 1e-5, runtime)
        kinds = {name.rstrip("0123456789-").partition(".")[0] for name in self.names}
        self.assertContainsSubset(
            {"all-missing", "missing-age", "missing-port", "unseen", "far-above"}, kinds
        )

    def test_one_input_a_column_of_its_own_type(self) -> None:
        types = {
            name: spec.dtype for name, spec in self.specs("serving_default").items()
        }
        expected = {
            "age": tf.float32,
            "Gr__e__m_": tf.float32,
            "day": tf.float32,
            "price": tf.float32,
            "alone": tf.bool,
            "ever": tf.float32,
            "port": tf.string,
        }
        self.assertEqual(types, expected)
        promised = self.content["signatures"]["serving_default"]["inputs"]
        self.assertEqual(
            {name: tf.as_dtype(given["dtype"]) for name, given in promised.items()},
            expected,
        )
        card = (self.version / "MODEL_CARD.md").read_text()
        self.assertIn("| Größe (m) | `Gr__e__m_` | float32 | float_list |", card)

    def test_the_request_for_curl(self) -> None:
        text = (self.version / "request.json").read_text()
        self.assertNotIn("NaN", text)
        body = json.loads(text)
        answers = serve(
            self.signatures, as_request(body, self.specs("serving_default"))
        )
        self.assertAllClose(answers["probabilities"].sum(), 1.0)
        self.assertIn(answers["label"][0].decode(), ("a", "b", "ä c"))

    def test_rows_as_json_with_missing_and_unseen_values(self) -> None:
        given = {"age": 30, "Gr__e__m_": 1.8, "alone": True, "ever": float("nan")}
        given |= {"port": "nowhere", "day": float("nan"), "price": 99.5}
        body = json.loads(
            json.dumps(warmup.rest_request([given, given | {"port": ""}]))
        )
        answers = serve(
            self.signatures, as_request(body, self.specs("serving_default"))
        )
        nan = np.nan
        rows = {
            "numbers": np.array([[30, 1.8, 1, nan, nan, 99.5]] * 2, np.float32),
            "texts": np.array([["nowhere"], [""]]),
        }
        tensors = {name: tf.constant(values) for name, values in rows.items()}
        expected = self.signatures["rows"](**tensors)["probabilities"]
        self.assertAllEqual(answers["probabilities"], expected)

    def test_examples_as_json(self) -> None:
        files = [self.version / "golden" / name for name in self.names]
        rows = [{"example_bytes": path.read_bytes()} for path in files]
        body = json.loads(json.dumps(warmup.rest_request(rows, "tf_example")))
        answers = serve(self.signatures, as_request(body, self.specs("tf_example")))
        self.assertAllClose(answers["probabilities"], self.expected, atol=1e-5)

    def test_warm_up_requests_are_answered(self) -> None:
        path = str(self.version / warmup.WARM_UP)
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            log = prediction_log_pb2.PredictionLog.FromString(record)
            answers = serve(self.signatures, log.predict_log.request)
            self.assertIn(len(answers["label"]), (1, 32))

    def test_strangers_get_an_error_that_names_the_input(self) -> None:
        call = self.signatures["serving_default"]
        with np.load(self.version / "golden" / "golden.npz") as golden:
            prefix = "inputs/serving_default/"
            rows = {
                key.removeprefix(prefix): tf.constant(golden[key])
                for key in golden.files
                if key.startswith(prefix)
            }
        without = {name: values for name, values in rows.items() if name != "day"}
        with self.assertRaisesRegex(TypeError, "missing a required argument: 'day'"):
            call(**without)
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, r"price:\] \[1\]"):
            call(**rows | {"price": tf.ones([1])})
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, "price"):
            call(**rows | {"price": tf.ones([len(self.names), 1])})
        wrong = tf.train.Example()
        wrong.features.feature["price"].bytes_list.value.append(b"dear")
        for stranger, message in (
            (wrong.SerializeToString(), r"example_bytes\[0\].*Key: price"),
            (b"no example", "example_bytes"),
        ):
            with self.assertRaisesRegex(tf.errors.InvalidArgumentError, message):
                self.signatures["tf_example"](example_bytes=tf.constant([stranger]))
        self.assertAllClose(call(**rows)["probabilities"], self.expected, atol=1e-5)


class GateTest(tf.test.TestCase):
    """Negative controls: the gate sees what it is there to see."""

    def setUp(self) -> None:
        super().setUp()
        self.run_dir = pathlib.Path(self.get_temp_dir(), "run")
        ignored = shutil.ignore_patterns("export")
        shutil.copytree(exported_runs.table_run(), self.run_dir, ignore=ignored)

    def refused(self) -> str:
        config = exported_runs.export_config(self.run_dir)
        with (
            exported_runs.runtimes_in_this_process(),
            self.assertRaises(ExportRefused) as caught,
        ):
            exporting.export(config)
        self.assertFalse((self.run_dir / "export").exists())
        return str(caught.exception)

    def test_one_constant_of_the_preprocessing_altered(self) -> None:
        def altered(self: TableInput, given: Given) -> dict[str, tf.Tensor]:
            return {"numbers": given["numbers"] + 1.0, "texts": given["texts"]}

        with mock.patch.object(TableInput, "as_inputs", altered):
            self.assertRegex(self.refused(), r"saved_model \w+ differs .* in probabil")

    def test_missing_values_taken_for_zeros(self) -> None:
        def parse(*arguments: object) -> dict[str, tf.Tensor]:
            rows = original(*arguments)
            zeros = tf.zeros_like(rows["numbers"])
            missing = tf.math.is_nan(rows["numbers"])
            return rows | {"numbers": tf.where(missing, zeros, rows["numbers"])}

        original = columns.parse
        with mock.patch.object(columns, "parse", parse):
            self.assertIn("saved_model tf_example differs", self.refused())


class ColumnsTest(tf.test.TestCase):
    def test_a_missing_value_is_found_wherever_it_is(self) -> None:
        run = exporting.open_run(exported_runs.export_config(exported_runs.table_run()))
        with mock.patch.object(table_input, "_CHUNK", 7):
            served = TableInput.columns_of(run.dataset)
        self.assertEqual(served, run.contract(max_pixels=1).columns)
        types = {column.name: column.dtype for column in served}
        self.assertEqual((types["alone"], types["ever"]), ("bool", "float32"))


class PredictTest(tf.test.TestCase):
    def predict(self, *arguments: str) -> str:
        output = pathlib.Path(self.get_temp_dir(), "answers.csv")
        named = [f"--output={output}", "--top_k=2", "--batch_size=7", *arguments]
        predict.predict(flags.parse(PredictConfig, named))
        return output.read_text()

    def test_the_same_csv_as_from_the_run(self) -> None:
        given = f"--input={exported_runs.table()}"
        from_run = self.predict(f"--run_dir={exported_runs.table_run()}", given)
        from_export = self.predict(
            f"--export_dir={exported_runs.table_export()}", given
        )
        self.assertEqual(from_run, from_export)
        self.assertLen(from_run.splitlines(), 61)
        self.assertTrue(from_run.startswith("row,label,probability,label_2"))

    def test_a_missing_column_and_a_wrong_type_are_named(self) -> None:
        path = pathlib.Path(self.get_temp_dir(), "rows.csv")
        text = exported_runs.table().read_text()
        for wrong, message in (
            (text.replace("price", "prize", 1), "rows.csv has no column 'price'"),
            (text.replace(",true,", ",maybe,"), "rows.csv .*'maybe'"),
            (text.replace("2020-", "long ago-"), "column 'day' holds string"),
        ):
            path.write_text(wrong)
            with self.assertRaisesRegex(UserError, message):
                self.predict(
                    f"--export_dir={exported_runs.table_export()}", f"--input={path}"
                )


if __name__ == "__main__":
    tf.test.main()
