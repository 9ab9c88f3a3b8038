"""Figures by the task's name: its own, or a table; never those of another task."""

import contextlib
import csv
import dataclasses
import io
import pathlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from app.reporting import answer_table, by_task, figures
from app.reporting.keeping import Evaluated
from app.reporting.predictions import write_predictions
from models.spec import Outputs
from models.tasks.regression import Regression
from tests.app.reporting.figures_test import regressed


class ByTaskTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.run_dir = pathlib.Path(self.get_temp_dir())

    def test_a_task_without_figures_gets_a_table_and_no_other_tasks_figures(
        self,
    ) -> None:
        regression = regressed(2)
        counting = dataclasses.replace(regression, task="counting")
        write_predictions(self.run_dir, "test", counting)
        (path,) = figures.draw_all(self.run_dir)
        self.assertEqual(path.name, "test_answers.csv")
        self.assertEqual([p.name for p in path.parent.iterdir()], [path.name])
        rows = list(csv.DictReader(path.read_text().splitlines()))
        self.assertLen(rows, len(regression.labels))
        columns = ["example", "label_0", "label_1", "output_0", "output_1"]
        self.assertEqual(list(rows[0]), columns)
        self.assertAllClose(
            [float(row["output_1"]) for row in rows],
            regression.outputs[:, 1],
            rtol=1e-5,
        )
        self.assertIn("'counting'", by_task.note("counting"))
        self.assertLen(by_task.note("counting").splitlines(), 1)
        # The same predictions of a task that has figures are drawn.
        write_predictions(self.run_dir, "test", regression)
        drawn = {path.name for path in figures.draw_all(self.run_dir)}
        self.assertIn("test_residuals.png", drawn)
        self.assertEqual(by_task.note("regression"), "")

    @parameterized.parameters("canvas", "os.path", "../curves", "__init__", "", "base")
    def test_a_module_that_is_no_tasks_is_not_taken_for_one(self, name: str) -> None:
        self.assertFalse(by_task.has_file(name))
        self.assertIs(by_task.figures_of(name), answer_table)

    def test_the_command_says_that_a_task_has_no_figures(self) -> None:
        counting = dataclasses.replace(regressed(1), task="counting")
        for split in ("test", "validation"):
            write_predictions(self.run_dir, split, counting)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            self.assertEqual(figures.main([str(self.run_dir)]), 0)
        self.assertEqual(out.getvalue().count("there are no figures"), 1)

    def test_answers_are_kept_batch_by_batch_and_large_ones_by_their_size(self) -> None:
        class Counting(Regression):
            name = "counting"

            def expected_answers(self, outputs, temperature=1.0):
                return {"count": outputs[:, 0], "map": np.zeros([len(outputs), 99, 99])}

        class Names:
            def names(self, split: str) -> list[str]:
                return [f"{split} {index}" for index in range(5)]

        task = Counting(Outputs("counting", 1))
        evaluated = Evaluated(task, Names(), "test")  # type: ignore[arg-type]
        keeper = by_task.figures_of(task.name).keeper(evaluated)
        outputs = np.arange(5, dtype=np.float32)[:, None]
        for part in (slice(0, 3), slice(3, 5)):
            keeper.observe(outputs[part, 0], outputs[part])
        write_predictions(self.run_dir, "test", keeper.kept())
        (path,) = figures.draw_evaluation(self.run_dir, "test")
        last = list(csv.DictReader(path.read_text().splitlines()))[-1]
        self.assertEqual(
            last,
            {"example": "test 4", "label": "4", "count": "4", "map": "99x99 values"},
        )


if __name__ == "__main__":
    tf.test.main()
