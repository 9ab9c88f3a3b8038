"""Figures are drawn from the run folder's own files, for few classes and for many."""

import csv
import dataclasses
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized
from PIL import Image

from app.reporting import curves, figures
from app.reporting.metrics import MetricsLog
from app.reporting.predictions import (
    SplitPredictions,
    predictions_file,
    read_predictions,
    write_predictions,
)
from app.reporting.reliability import measure
from app.reporting.tasks import classification
from app.reporting.tasks.classification import most_confident_mistakes
from base.errors import UserError
from models.intervals import wilson_95


def classified(
    classes: int, examples: int = 60, pictures: bool = True
) -> SplitPredictions:
    """Predictions that are mostly right."""
    draw = np.random.default_rng(0)
    labels = draw.integers(0, classes, examples)
    scores = draw.random((examples, classes)) + 0.7 * np.eye(classes)[labels]
    probabilities = (scores / scores.sum(1, keepdims=True)).astype(np.float32)
    mistakes = most_confident_mistakes(labels, probabilities, 7)
    images = {"mistake_images": np.zeros((len(mistakes), 8, 8, 1), np.uint8)}
    return SplitPredictions(
        task="classification",
        labels=labels,
        outputs=probabilities,
        names=tuple(f"folder/$picture_{index}.png" for index in range(examples)),
        classes=tuple(f"class ${index}" for index in range(classes)),
        more={"mistake_indices": mistakes} | (images if pictures else {}),
    )


def regressed(values: int, examples: int = 50) -> SplitPredictions:
    draw = np.random.default_rng(0)
    labels = draw.normal(size=(examples, values)).astype(np.float32)
    names = tuple(map(str, range(examples)))
    return SplitPredictions("regression", labels, labels + 0.1, names)


class FiguresTest(tf.test.TestCase, parameterized.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.run_dir = pathlib.Path(self.get_temp_dir())

    def test_empty_folder_has_nothing_to_draw(self) -> None:
        self.assertEqual(figures.draw_all(self.run_dir), [])

    def test_training_is_drawn_over_epochs(self) -> None:
        self._log("accuracy")
        drawn = [path.name for path in figures.draw_training(self.run_dir)]
        self.assertEqual(
            drawn,
            [
                "loss_over_training_epochs.png",
                "accuracy_over_training_epochs.png",
                "learning_rate_over_training_epochs.png",
            ],
        )
        self._assert_pictures(figures.draw_training(self.run_dir))

    def test_regression_is_drawn_by_its_own_metric(self) -> None:
        self._log("mae")
        drawn = [path.name for path in figures.draw_training(self.run_dir)]
        self.assertIn("mae_over_training_epochs.png", drawn)
        self.assertNotIn("accuracy_over_training_epochs.png", drawn)

    def test_figures_follow_the_files(self) -> None:
        self._log("accuracy")
        before = figures.draw_training(self.run_dir)[0].read_bytes()
        self.assertEqual(figures.draw_training(self.run_dir)[0].read_bytes(), before)
        line = {"step": 4, "epoch": 4.0, "train/loss": 0.1, "validation/loss": 0.1}
        MetricsLog(self.run_dir / "metrics.jsonl").append(line)
        self.assertNotEqual(figures.draw_training(self.run_dir)[0].read_bytes(), before)

    def test_best_epoch_is_marked(self) -> None:
        self._log("accuracy")
        before = figures.draw_training(self.run_dir)[0].read_bytes()
        results = {"best": {"epoch": 2}}
        (self.run_dir / "results.json").write_text(json.dumps(results))
        self.assertNotEqual(figures.draw_training(self.run_dir)[0].read_bytes(), before)

    def test_values_that_are_not_numbers_are_left_out(self) -> None:
        lines = [{"epoch": 1, "train/loss": None}, {"epoch": 2, "train/loss": 0.5}]
        self.assertEqual(curves._series(lines, "loss"), {"train": [(2.0, 0.5)]})

    @parameterized.parameters(2, 10, 120)
    @pytest.mark.slow
    def test_classification_is_drawn(self, classes: int) -> None:
        write_predictions(self.run_dir, "test", classified(classes))
        drawn = figures.draw_evaluation(self.run_dir, "test")
        names = sorted(path.name for path in drawn)
        self.assertEqual(
            names,
            [
                "test_confusion_matrix.png",
                "test_mistakes.csv",
                "test_mistakes.png",
                "test_per_class.csv",
                "test_per_class.png",
                "test_reliability.png",
            ],
        )
        self._assert_pictures(drawn)

    @pytest.mark.slow
    def test_matrix_of_many_classes_grows(self) -> None:
        widths = []
        for classes in (10, 120):
            write_predictions(self.run_dir, "test", classified(classes))
            path, *_ = figures.draw_evaluation(self.run_dir, "test")
            widths.append(Image.open(path).width)
        # A name of 7 points needs some 14 pixels.
        self.assertGreater(widths[1], 120 * 14)
        self.assertLess(widths[0], widths[1])

    def test_no_mistakes_and_no_pictures_are_no_trouble(self) -> None:
        right = classified(3, pictures=False)
        certain = np.eye(3, dtype=np.float32)[right.labels]
        perfect = SplitPredictions(
            "classification", right.labels, certain, right.names, right.classes
        )
        write_predictions(self.run_dir, "test", perfect)
        drawn = figures.draw_evaluation(self.run_dir, "test")
        self.assertNotIn("test_mistakes.png", [path.name for path in drawn])

    @parameterized.parameters(1, 2)
    def test_regression_is_drawn(self, values: int) -> None:
        write_predictions(self.run_dir, "validation", regressed(values))
        drawn = figures.draw_all(self.run_dir)
        self.assertEqual(
            [path.name for path in drawn],
            ["validation_predicted_against_true.png", "validation_residuals.png"],
        )
        self._assert_pictures(drawn)

    def test_predictions_that_do_not_fit_their_classes_are_named(self) -> None:
        damaged = dataclasses.replace(classified(4), classes=("a", "b"))
        write_predictions(self.run_dir, "test", damaged)
        with self.assertRaisesRegex(UserError, "damaged: .* for 2 classes"):
            figures.draw_evaluation(self.run_dir, "test")

    def test_learning_rates_of_several_players_are_one_figure(self) -> None:
        line = {"step": 1, "epoch": 1.0, "learning_rate": 0.1, "learning_rate/other": 1}
        MetricsLog(self.run_dir / "metrics.jsonl").append(line)
        (drawn,) = figures.draw_training(self.run_dir)
        self.assertEqual(drawn.name, "learning_rate_over_training_epochs.png")

    def test_table_by_class_counts(self) -> None:
        labels = np.array([0, 0, 0, 1])
        guesses = np.eye(3, dtype=np.float32)[[0, 0, 1, 1]]
        split = SplitPredictions(
            "classification", labels, guesses, ("a", "b", "c", "d"), ("x", "y", "z")
        )
        x, y, z = classification.class_rows(split)
        low, high = wilson_95(2, 3)
        self.assertEqual(x, ["x", 3, 2, 2, 1.0, 2 / 3, low, high, 0.8])
        self.assertEqual(y[:6], ["y", 1, 2, 1, 0.5, 1.0])
        self.assertEqual(z, ["z", 0, 0, 0, None, None, None, None, None])
        self.assertAllEqual(
            classification.confusion(split), [[2, 1, 0], [0, 1, 0], [0, 0, 0]]
        )

    def test_mistakes_are_listed_the_surest_first(self) -> None:
        split = classified(10)
        write_predictions(self.run_dir, "test", split)
        figures.draw_evaluation(self.run_dir, "test")
        table = (self.run_dir / "figures" / "test_mistakes.csv").read_text()
        rows = list(csv.DictReader(table.splitlines()))
        wrong = int((split.outputs.argmax(1) != split.labels).sum())
        self.assertGreater(wrong, 0)
        self.assertLen(rows, wrong)
        sureness = [float(row["probability"]) for row in rows]
        self.assertEqual(sureness, sorted(sureness, reverse=True))
        self.assertTrue(all(row["class"] != row["predicted"] for row in rows))

    def _log(self, metric: str) -> None:
        log = MetricsLog(self.run_dir / "metrics.jsonl")
        for epoch in (1, 2, 3):
            line = {"step": epoch, "epoch": float(epoch), "learning_rate": 0.1 / epoch}
            for split in ("train", "validation"):
                line |= {f"{split}/loss": 1 / epoch, f"{split}/{metric}": 0.5 + epoch}
            log.append(line)

    def _assert_pictures(self, drawn: list[pathlib.Path]) -> None:
        """Each PNG opens, and shows something."""
        pictures = [path for path in drawn if path.suffix == ".png"]
        self.assertNotEmpty(pictures)
        for path in pictures:
            self.assertGreater(np.asarray(Image.open(path).convert("L")).std(), 5, path)


class PredictionsTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.run_dir = pathlib.Path(self.get_temp_dir())

    def test_reads_what_was_written(self) -> None:
        written = classified(4)
        write_predictions(self.run_dir, "test", written)
        read = read_predictions(self.run_dir, "test")
        self.assertAllEqual(read.labels, written.labels)
        self.assertAllEqual(read.outputs, written.outputs)
        self.assertEqual(read.names, written.names)
        self.assertEqual(read.classes, written.classes)
        self.assertCountEqual(read.more, written.more)
        for name in ("mistake_indices", "mistake_images"):
            self.assertAllEqual(read.more[name], written.more[name])

    def test_a_file_of_before_is_read(self) -> None:
        """As it was written when the pictures of mistakes had fields of their own."""
        new = classified(4)
        path = predictions_file(self.run_dir, "test")
        path.parent.mkdir(parents=True)
        np.savez_compressed(
            path,
            task=np.array("classification"),
            labels=new.labels,
            outputs=new.outputs,
            names=np.array(new.names),
            classes=np.array(new.classes),
            mistake_indices=new.more["mistake_indices"],
            mistake_images=new.more["mistake_images"],
        )
        drawn = figures.draw_evaluation(self.run_dir, "test")
        self.assertIn("test_mistakes.png", [path.name for path in drawn])

    def test_split_not_evaluated_is_named(self) -> None:
        with self.assertRaisesRegex(UserError, "--split=test"):
            read_predictions(self.run_dir, "test")

    def test_damaged_file_is_named(self) -> None:
        path = write_predictions(self.run_dir, "test", classified(4))
        whole = path.read_bytes()
        for damaged in (b"", whole[: len(whole) // 2], b"x" * 100):
            path.write_bytes(damaged)
            with self.assertRaisesRegex(UserError, "is damaged"):
                read_predictions(self.run_dir, "test")

    def test_a_pickle_is_not_opened(self) -> None:
        path = predictions_file(self.run_dir, "test")
        path.parent.mkdir(parents=True)
        harmful = np.array([{"any": "object"}], dtype=object)
        np.savez(path, task=harmful, labels=harmful)
        with self.assertRaisesRegex(UserError, "is damaged"):
            read_predictions(self.run_dir, "test")

    def test_names_that_leave_the_folder_are_refused(self) -> None:
        for split in ("../x", "a/b", "", ".hidden"):
            with self.assertRaisesRegex(ValueError, "file's name"):
                write_predictions(self.run_dir, split, classified(2))

    def test_lengths_have_to_agree(self) -> None:
        with self.assertRaisesRegex(ValueError, "as many of each"):
            SplitPredictions("regression", np.zeros(3), np.zeros(2), ("a", "b", "c"))


class MeasuresTest(tf.test.TestCase):
    def test_wilson_interval_of_the_literature(self) -> None:
        # Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
        for successes, examples, low, high in (
            (81, 263, 0.2553, 0.3662),
            (15, 148, 0.0624, 0.1605),
            (0, 20, 0.0, 0.1611),
            (1, 29, 0.0061, 0.1718),
        ):
            interval = wilson_95(successes, examples)
            self.assertAllClose(interval, (low, high), rtol=0, atol=5e-5)

    def test_interval_needs_examples(self) -> None:
        with self.assertRaisesRegex(ValueError, "at least one example"):
            wilson_95(0, 0)

    def test_calibration_error_by_hand(self) -> None:
        probabilities = np.array([[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [1.0, 0.0]])
        labels = np.array([0, 1, 1, 0])
        found = measure(labels, probabilities, bins=10)
        # Bin of 0.9: one of two right; of 0.6: one of one; of 1.0: one of one.
        self.assertAllClose(found.error, (abs(1 - 1.8) + abs(1 - 0.6) + 0.0) / 4)
        self.assertAllEqual(found.examples, [0, 0, 0, 0, 0, 1, 0, 0, 2, 1])

    def test_mistakes_of_perfect_predictions_are_none(self) -> None:
        found = most_confident_mistakes(np.arange(3), np.eye(3))
        self.assertEmpty(found)

    def test_surest_mistake_is_first(self) -> None:
        probabilities = np.array([[0.6, 0.4], [0.1, 0.9], [0.2, 0.8]])
        found = most_confident_mistakes(np.array([1, 0, 1]), probabilities)
        self.assertAllEqual(found, [1, 0])


if __name__ == "__main__":
    tf.test.main()
