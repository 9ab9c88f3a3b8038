"""The gate, the manifest, quantization and the CSV go by what the task says."""

import contextlib
import dataclasses
import io
import json
import pathlib
from unittest import mock

import numpy as np
import pytest
import scipy.special
import tensorflow as tf
from absl.testing import parameterized

from app.configs import flags
from app.configs.commands import PredictConfig
from app.serving import (
    answer_table,
    exporting,
    litert,
    loading,
    manifest,
    parity,
    quantization,
    tasks,
)
from app.serving.exported_run import ExportedRun
from app.serving.golden import Golden
from app.serving.inputs.registry import served_input
from app.serving.signatures import Contract
from app.training.evaluation import Predictions
from base.errors import ExportRefused, UserError
from models.spec import Outputs
from models.tasks import names
from models.tasks.base import Answers, AnswerSpec, Task
from models.tasks.classification import Classification
from models.tasks.multilabel import MultiLabel
from models.tasks.registry import task_of
from pipelines.features import ClassLabel, ExampleSpec, Values, Vector
from tests.app.serving import exported_runs

NAMES = ("a", "b", "ä c")


@dataclasses.dataclass(frozen=True)
class Independent(Classification):
    """Labels that do not exclude one another: sigmoids, by the definition."""

    name = "independent"
    calibrates = False

    def expected_answers(
        self, outputs: np.ndarray, temperature: float = 1.0
    ) -> dict[str, np.ndarray]:
        del temperature
        sigmoids = scipy.special.expit(outputs.astype(np.float64))
        class_id = outputs.argmax(-1).astype(np.int64)
        return {"probabilities": sigmoids.astype(np.float32), "class_id": class_id}


class IndependentInGraph(Independent):
    """The same, and what an export answers is it, too."""

    def answers(self, outputs: tf.Tensor, temperature: float = 1.0) -> Answers:
        class_id = tf.argmax(outputs, axis=-1)
        return {"probabilities": tf.sigmoid(outputs), "class_id": class_id}


class Misdescribed(Classification):
    """Says that it answers a number more."""

    @property
    def answer_specs(self) -> dict[str, AnswerSpec]:
        wider = AnswerSpec("float32", (self.outputs.size + 1,))
        return super().answer_specs | {"probabilities": wider}


@pytest.mark.export
@pytest.mark.export
class OwnTaskTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = pathlib.Path(self.get_temp_dir())
        source = exported_runs.source("classification", (5,))
        run = exported_runs.exported_run(self.folder / "r", source, "--model=linear")
        self.run_ = run

    def learning(self, task: type[Task], name: str = "") -> ExportedRun:
        outputs = self.run_.network.task.outputs
        learns = task(dataclasses.replace(outputs, task=name or outputs.task))
        network = dataclasses.replace(self.run_.network, task=learns)
        return dataclasses.replace(self.run_, network=network)

    def build(self, run: ExportedRun, *options: str) -> tuple[pathlib.Path, dict]:
        self.run_.folder.path.mkdir(exist_ok=True)
        config = exported_runs.export_config(self.run_.folder.path, *options)
        version = self.folder / "version"
        with exported_runs.runtimes_in_this_process():
            content = exporting.build(run, config, version, self.folder)
        return version, content

    def test_a_softmax_for_what_are_sigmoids_is_refused(self) -> None:
        with self.assertRaisesRegex(
            ExportRefused, "saved_model serving_default differs .* in probabilities"
        ):
            self.build(self.learning(Independent))

    def test_sigmoids_pass_and_the_export_alone_knows_its_task(self) -> None:
        place = f"{__name__}:IndependentInGraph"
        entry = names.Entry(place, ("cross_entropy",), ("class_label",))
        version, content = self.build(self.learning(IndependentInGraph, "independent"))
        self.assertEqual(content["task"]["name"], "independent")
        self.assertIn("for independent", (version / "MODEL_CARD.md").read_text())
        with self.assertRaisesRegex(UserError, "unknown task 'independent'"):
            loading.Exported(version)
        with mock.patch.dict(names.TASKS, {"independent": entry}):
            exported = loading.Exported(version)
        rows = np.zeros((4, 5), np.float32)
        answers = exported.answers(rows)
        self.assertNotAllClose(answers["probabilities"].sum(1), np.ones(4))
        self.assert_a_column_a_number(exported.contract, answers)

    def assert_a_column_a_number(
        self, contract: Contract, answers: dict[str, np.ndarray]
    ) -> None:
        error = io.StringIO()
        with contextlib.redirect_stderr(error):
            table = answer_table.table_of(contract)
        self.assertIn("no table of its own for independent", error.getvalue())
        self.assertEqual(
            table.header(contract, 1),
            [*(f"probabilities_{name}" for name in NAMES), "class_id", "label"],
        )
        answer = {name: values[0] for name, values in answers.items()}
        *probabilities, class_id, label = table.cells(answer, contract, 1)
        self.assertAllClose(list(map(float, probabilities)), answer["probabilities"])
        self.assertEqual(label, NAMES[int(class_id)])
        self.assertEqual(label, answer["label"].decode())

    def test_labels_that_do_not_exclude_one_another(self) -> None:
        run = self.learning(MultiLabel, "multilabel")
        version, content = self.build(run, "--format=saved_model,litert")
        for runtime, found in content["parity"].items():
            self.assertLessEqual(found["largest_difference"], 1e-5, runtime)
        outputs = content["signatures"]["serving_default"]["outputs"]
        self.assertEqual(outputs["predicted"], {"dtype": "bool", "shape": [None, 3]})
        card = (version / "MODEL_CARD.md").read_text()
        self.assertIn("3 labels: a, b, ä c.", card)
        exported = loading.Exported(version)
        answers = exported.answers(np.ones((2, 5), np.float32))
        answer = {name: values[1] for name, values in answers.items()}
        table = answer_table.table_of(exported.contract)
        self.assertEqual(
            table.header(exported.contract, 1),
            ["labels", *(f"probability_{name}" for name in NAMES)],
        )
        labels, *probabilities = table.cells(answer, exported.contract, 1)
        said = [
            name
            for name, p in zip(NAMES, probabilities, strict=True)
            if float(p) >= 0.5
        ]
        self.assertEqual(labels, ";".join(said))

    def test_answers_that_are_not_as_specified_are_refused(self) -> None:
        with self.assertRaisesRegex(
            UserError, r"answers probabilities float32 \[None, 3\].*say: .*\[None, 4\]"
        ):
            self.build(self.learning(Misdescribed))

    def test_calibration_is_refused_by_the_name_of_the_task(self) -> None:
        config = exported_runs.export_config(self.folder, "--calibrate")
        with self.assertRaisesRegex(UserError, "--calibrate for independent: expected"):
            exporting.build(
                self.learning(Independent), config, self.folder / "x", self.folder
            )


@pytest.mark.export
@pytest.mark.export
class ManifestTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        path = exported_runs.table_export() / "export.json"
        self.content = json.loads(path.read_text())

    def test_the_task_stands_in_it(self) -> None:
        expected = {"name": "classification", "size": 3, "names": list(NAMES)}
        nothing = {"mean": [], "std": [], "thresholds": []}
        self.assertEqual(self.content["task"], expected | nothing)
        contract = manifest.contract_of(self.content)
        expected = task_of(Outputs("classification", 3, names=NAMES))
        self.assertEqual(contract.task, expected)

    @parameterized.parameters(
        Outputs("regression", 2, (0.1, 1e9 + 0.3), (1 / 3, 2.0), names=("x", "y")),
        Outputs("multilabel", 2, names=("x", "y"), thresholds=(0.1, 1 / 3)),
    )
    def test_all_that_answers_depend_on_is_kept(self, outputs: Outputs) -> None:
        before = manifest.contract_of(self.content)
        contract = dataclasses.replace(before, task=task_of(outputs))
        written = json.loads(json.dumps(manifest.task(contract)))
        found = manifest.contract_of(self.content | {"task": written})
        self.assertEqual(found.task.outputs, outputs)
        self.assertEqual(found.names, ("x", "y"))

    def test_an_export_made_before_there_were_tasks(self) -> None:
        del self.content["task"]
        self.content["columns"] = []
        self.content["features"] = {
            "kind": "vector",
            "shape": [5],
            "task": "classification",
            "classes": list(NAMES),
            "targets": 1,
            "columns": [],
        }
        contract = manifest.contract_of(self.content)
        self.assertEqual(contract.task, task_of(Outputs("classification", 3)))
        self.assertEqual(contract.names, NAMES)

    @parameterized.parameters("features", "columns", "temperature")
    def test_another_version_is_one_line(self, key: str) -> None:
        del self.content[key]
        with self.assertRaisesRegex(UserError, f"of another version.*{key}.*again"):
            manifest.contract_of(self.content)


class ParityTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.task = task_of(Outputs("classification", 3))
        logits = np.array([[1.0, 2.0, 0.0], [3.0, 0.0, 0.5]], np.float32)
        expected = self.task.expected_answers(logits)
        self.golden = Golden(("one", "two"), (), {}, expected)
        self.answers = expected | {"label": np.array(["b", "a"])}

    def measure(self, **changed: np.ndarray) -> parity.Parity:
        answers = self.answers | changed
        return parity.measure("C", "float32", self.golden, answers, self.task, NAMES)

    def test_the_same_answers(self) -> None:
        self.assertEqual(self.measure().difference, 0.0)

    def test_a_wrong_name_is_infinitely_far(self) -> None:
        found = self.measure(label=np.array(["b", "b"]))
        self.assertEqual(
            (found.difference, found.input, found.reason), (np.inf, "two", "label")
        )

    def test_what_is_no_number_is_infinitely_far(self) -> None:
        probabilities = self.answers["probabilities"].copy()
        probabilities[1, 2] = np.nan
        found = self.measure(probabilities=probabilities)
        self.assertEqual((found.difference, found.input), (np.inf, "two"))

    def test_an_answer_that_is_missing_or_of_another_shape(self) -> None:
        found = self.measure(class_id=self.answers["class_id"][:, None])
        self.assertIn("class_id of shape (2, 1)", found.reason)
        del self.answers["class_id"]
        found = self.measure()
        self.assertEqual(found.difference, np.inf)
        self.assertIn("class_id of shape none instead of (2,)", found.reason)


class QuantizationTest(tf.test.TestCase):
    """An error that grows is a loss, one that falls is none."""

    def measure(self, values: np.ndarray) -> dict | None:
        folder = pathlib.Path(self.get_temp_dir())
        (folder / litert.FILE_NAME).write_bytes(b"")
        task = task_of(Outputs("regression", 1, (0.0,), (2.0,)))
        features = ExampleSpec(Vector((5,)), Values(1))
        contract = Contract(features, task, max_pixels=1)
        config = exported_runs.export_config(
            folder, "--format=litert", "--quantize=int8", "--max_accuracy_loss=0.1"
        )
        labels = np.zeros(4, np.float32)
        found = Predictions(labels, np.ones((4, 1), np.float32))
        run = mock.create_autospec(ExportedRun, instance=True, dataset=None)
        with mock.patch.object(
            litert, "validation_answers", lambda *_: {"value": values}
        ):
            return quantization.measure(run, config.export, contract, folder, found)

    def test_by_the_direction_of_the_measure(self) -> None:
        better = self.measure(np.full(4, 0.5, np.float32))
        assert better is not None
        self.assertAllClose((better["before"], better["after"]), (0.5, 0.25))
        self.assertAllClose(better["loss"], -0.25)
        with self.assertRaisesRegex(ExportRefused, r"error.* from 0\.5000 to 1\.0000"):
            self.measure(np.full(4, 2.0, np.float32))


class TablesTest(parameterized.TestCase, tf.test.TestCase):
    def test_every_task_has_its_own(self) -> None:
        places = {path.stem for path in pathlib.Path(tasks.__path__[0]).glob("*.py")}
        self.assertContainsSubset(names.TASKS, places)

    def test_several_values(self) -> None:
        features = ExampleSpec(Vector((5,)), Values(2))
        contract = Contract(features, task_of(Outputs("regression", 2)), max_pixels=1)
        table = answer_table.table_of(contract)
        self.assertEqual(table.header(contract, 1), ["value_1", "value_2"])
        answer = {"value": np.array([0.1, -2.0], np.float32)}
        cells = table.cells(answer, contract, 1)
        self.assertEqual(cells, ["0.10000000149011612", "-2.0"])


class InputsTest(tf.test.TestCase):
    def test_an_unknown_kind_is_refused_by_name(self) -> None:
        stranger = mock.Mock(input=mock.Mock(kind="sequence"))
        with self.assertRaisesRegex(
            UserError, "unknown kind of input to serve 'sequence'.*image, vector, table"
        ):
            served_input(stranger, max_pixels=1)

    def test_predict_says_what_it_does_not_read(self) -> None:
        features = ExampleSpec(Vector((5,)), ClassLabel(NAMES))
        contract = Contract(features, task_of(Outputs("classification", 3)), 1)
        given = [f"--{name}=x" for name in ("run_dir", "input", "output")]
        config = flags.parse(PredictConfig, given)
        with self.assertRaisesRegex(UserError, "runs/x was trained on vectors: expec"):
            contract.input.read(config.prediction, "runs/x")


if __name__ == "__main__":
    tf.test.main()
