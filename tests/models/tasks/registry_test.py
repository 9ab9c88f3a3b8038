"""Every task keeps what the interface promises, and agrees with the table of names."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models.config import LossConfig
from models.metrics import Metrics
from models.spec import Outputs
from models.tasks.base import Task
from models.tasks.names import TASKS
from models.tasks.registry import task_of

_SIZE = 7


def _task(name: str) -> Task:
    return task_of(Outputs(name, _SIZE))


class TasksTest(tf.test.TestCase, parameterized.TestCase):
    @parameterized.parameters(*TASKS)
    def test_table_has_the_losses_that_the_task_has(self, name: str) -> None:
        self.assertEqual(TASKS[name].losses, tuple(_task(name).losses))
        self.assertEqual(_task(name).name, name)

    @parameterized.parameters(*TASKS)
    def test_every_figure_is_declared(self, name: str) -> None:
        task = _task(name)
        metrics = Metrics(task)
        found = metrics.results(np.ones(metrics.size))
        self.assertEqual(list(found), [metric.name for metric in task.metrics])
        self.assertIn(task.monitor, found)
        self.assertIn(task.headline, found)
        for metric in task.metrics:
            self.assertIn(metric.direction, ("min", "max"))

    @parameterized.parameters(*TASKS)
    def test_answers_by_numpy_are_those_of_the_graph(self, name: str) -> None:
        task = _task(name)
        outputs = np.random.default_rng(0).normal(size=(5, _SIZE)).astype(np.float32)
        expected = task.expected_answers(outputs, 1.5)
        found = {
            k: v.numpy() for k, v in task.answers(tf.constant(outputs), 1.5).items()
        }
        self.assertCountEqual(found, task.answer_specs)
        for answer, spec in task.answer_specs.items():
            self.assertEqual(found[answer].dtype.name, spec.dtype)
            self.assertEqual(found[answer].shape, (5, *spec.shape))
            self.assertEqual(expected[answer].dtype.name, spec.dtype)
        self.assertLess(task.difference(expected, found, 1e-5).rows.max(), 1e-6)

    @parameterized.parameters(*TASKS)
    def test_other_answers_are_far(self, name: str) -> None:
        task = _task(name)
        outputs = np.random.default_rng(0).normal(size=(5, _SIZE)).astype(np.float32)
        expected = task.expected_answers(outputs)
        outputs = outputs.copy()
        outputs[3] = outputs[3, ::-1] * 2
        rows = task.difference(expected, task.expected_answers(outputs), 1e-5).rows
        self.assertEqual(rows.argmax(), 3)
        self.assertGreater(rows[3], 1e-2)

    def test_a_class_that_is_not_the_likeliest_makes_no_sense(self) -> None:
        task = _task("classification")
        answers = task.expected_answers(np.eye(_SIZE, dtype=np.float32))
        wrong = answers | {"class_id": np.roll(answers["class_id"], 1)}
        self.assertAllEqual(task.difference(answers, wrong, 1e-5).rows, [np.inf] * 7)

    @parameterized.parameters(
        ("classification", np.repeat([0, 0, 0, 2], 50)),
        ("regression", np.array([[1.0] * _SIZE, [3.0] * _SIZE], np.float32)),
        ("multilabel", np.repeat([[1] * _SIZE, [0] * _SIZE], [40, 20], 0)),
    )
    def test_the_baseline_is_better_than_other_constants(self, name, labels) -> None:
        task, config = _task(name), LossConfig()
        best = task.baseline(labels)
        self.assertEqual((best.dtype, best.shape), (np.float32, (_SIZE,)))

        def loss_of(outputs: np.ndarray) -> float:
            rows = np.tile(outputs, (len(labels), 1)).astype(np.float32)
            losses = task.loss(config)(tf.constant(labels), tf.constant(rows))
            return float(tf.reduce_mean(losses))

        for step in (-1.0, 1.0):
            moved = best + step * np.eye(1, _SIZE, dtype=np.float32)[0]
            self.assertLess(loss_of(best), loss_of(moved))
        if (expected := task.expected_loss()) is not None:
            self.assertAllClose(loss_of(np.zeros(_SIZE)), expected)

    def test_misspelt_names_are_answered(self) -> None:
        with self.assertRaisesRegex(UserError, "did you mean 'regression'"):
            task_of(Outputs("regresion", 1))


if __name__ == "__main__":
    tf.test.main()
