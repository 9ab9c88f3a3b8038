"""A run on a table, from flags to a CSV of predictions."""

import csv
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from app.configs import flags
from app.configs.commands import EvaluateConfig, PredictConfig, TrainConfig
from app.runs import evaluate, train
from app.runs.data import open_data, read_description
from app.runs.folder import RunFolder
from app.serving import predict
from tests.pipelines.sources.table_test import PASSENGERS, write_passengers

pytestmark = pytest.mark.slow


class TableRunTest(tf.test.TestCase):
    def test_train_evaluate_and_predict_from_csv_and_parquet(self) -> None:
        home = Path(self.get_temp_dir())
        paths = write_passengers(home)
        run = f"--run_dir={home / 'run'}"
        arguments = [
            *(run, f"--dataset={paths['.csv']}", "--target=survived", "--model=mlp"),
            *("--model_args=width=16", "--batch_size=8", "--epochs=20"),
            *("--learning_rate=0.02", "--split=0.6,0.2,0.2", "--progress=quiet"),
        ]
        train.train(flags.parse(TrainConfig, arguments))
        evaluate.evaluate(flags.parse(EvaluateConfig, [run, "--split=test"]))
        folder = RunFolder(home / "run")
        self.assertEqual(folder.read_results()["test"]["accuracy"], 1.0)
        self._assert_learnt_on_train_only(folder)
        answers = []
        unlabelled = home / "unlabelled.csv"  # the target is not asked for
        lines = Path(paths[".csv"]).read_text().splitlines()
        rest = [line.partition(",")[2] for line in lines]
        unlabelled.write_text("\n".join(rest) + "\n")
        for given in (*paths.values(), str(unlabelled)):
            out = home / "answers.csv"
            predict.predict(
                flags.parse(PredictConfig, [run, f"--input={given}", f"--output={out}"])
            )
            answers.append(list(csv.DictReader(out.open())))
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], answers[2])
        survived = [row.partition(",")[0] for row in PASSENGERS.splitlines()[1:]] * 10
        self.assertEqual([row["label"] for row in answers[0]], survived)
        self.assertEqual([row["row"] for row in answers[0][:2]], ["1", "2"])

    def _assert_learnt_on_train_only(self, folder: RunFolder) -> None:
        description = read_description(folder)
        (age, *_) = description["statistics"]["columns"]
        dataset = open_data(folder.read_config())
        rows = dataset.source.read(dataset.splits["train"])
        self.assertAllClose(age["mean"], np.nanmean(rows["numbers"][:, 0]))
        everything = dataset.source.read(np.arange(len(dataset.source)))
        self.assertNotAllClose(age["mean"], np.nanmean(everything["numbers"][:, 0]))


if __name__ == "__main__":
    tf.test.main()
