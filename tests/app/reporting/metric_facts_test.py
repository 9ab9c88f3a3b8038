"""What metrics mean is told by the run, by its task, or by their names."""

import json
import pathlib

import tensorflow as tf

from app.reporting import figures
from app.reporting.metric_facts import MetricFacts, read_facts
from app.reporting.metrics import MetricsLog
from app.run_files import RunFiles


class MetricFactsTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.files = RunFiles(pathlib.Path(self.get_temp_dir()))

    def test_titles_are_the_runs_own(self) -> None:
        """Of a metric that Atelier has never heard of, and of one that it says else."""
        facts = MetricFacts(
            {"f1": {"title": "Macro F1", "direction": "max", "unit": ""}}, "f1"
        )
        self.assertEqual(facts.title("f1"), "Macro F1")
        self.assertEqual(facts.title("odd_one"), "Odd one")
        log = MetricsLog(self.files.metrics)
        for epoch in (1, 2):
            line = {"step": epoch, "epoch": float(epoch), "validation/loss": 1 / epoch}
            log.append(line | {"validation/f1": 0.5 + epoch, "learning_rate": 0.1})
        self.assertEqual(
            [path.name for path in figures.draw_training(self.files.path)],
            [
                "loss_over_training_epochs.png",
                "f1_over_training_epochs.png",
                "learning_rate_over_training_epochs.png",
            ],
        )
        neutral = (
            self.files.path / "figures" / "f1_over_training_epochs.png"
        ).read_bytes()
        results = {"task": {"name": "x", "headline": "f1"}, "metrics": facts.declared}
        self.files.results.write_text(json.dumps(results))
        path = figures.draw_training(self.files.path)[0]
        self.assertEqual(path.name, "f1_over_training_epochs.png")  # as it is declared
        self.assertNotEqual(path.read_bytes(), neutral)

    def test_a_run_made_before_metrics_told_their_titles_is_read(self) -> None:
        features = {"task": "classification", "classes": list("abcdefg"), "targets": 1}
        self.files.dataset.write_text(json.dumps({"features": features}))
        facts = read_facts(self.files)
        self.assertEqual(facts.title("top5_accuracy"), "Top-5 accuracy")
        self.assertEqual(facts.headline, "accuracy")
        features["task"] = "counting"
        self.files.dataset.write_text(json.dumps({"features": features}))
        facts = read_facts(self.files)
        self.assertEqual((facts.title("mae"), facts.headline), ("Mae", ""))


if __name__ == "__main__":
    tf.test.main()
