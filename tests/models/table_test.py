"""Models of tables take raw rows, and keep what was learnt inside."""

from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from models import registry
from models.layers.table_encoding import TableEncoding
from models.spec import Column, Inputs, Outputs

_COLUMNS = (
    Column("age", "numeric", mean=30.0, std=10.0, missing=True),
    Column("port", "categorical", vocabulary=("S", "C"), missing=True),
    Column("alone", "boolean"),
    Column("deck", "categorical", vocabulary=("A",)),
)
_ROWS = {
    "numbers": np.array([[20, 0], [np.nan, 1], [45, np.nan]], np.float32),
    "texts": np.array([["S", "A"], ["", "B"], ["Q", "A"]]),
}


def _rows() -> dict[str, tf.Tensor]:
    return {name: tf.constant(values) for name, values in _ROWS.items()}


class TableModelTest(parameterized.TestCase, tf.test.TestCase):
    def test_features_of_raw_rows(self) -> None:
        features = TableEncoding(_COLUMNS)(_rows())
        self.assertAllClose(
            features,
            [  # age, alone, age missing; S, C, port missing; A
                [-1.0, -1.0, 0, 1, 0, 0, 1],
                [0.0, 1.0, 1, 0, 0, 1, 0],
                [1.5, 0.0, 0, 0, 0, 0, 1],
            ],
        )

    @parameterized.product(model=("linear", "mlp"), task=("values", "classes"))
    @pytest.mark.export
    def test_a_saved_model_answers_raw_rows_alike(self, model: str, task: str) -> None:
        inputs = Inputs("table", (4,), _COLUMNS)
        outputs = (
            Outputs("regression", 1, (3.0,), (2.0,))
            if task == "values"
            else Outputs("classification", 3)
        )
        built = registry.build(model, "", inputs, outputs)
        answers = built(_rows(), training=False)
        self.assertEqual(answers.shape, (3, outputs.size))
        path = str(Path(self.get_temp_dir()) / "model.keras")
        built.save(path)
        loaded = keras.saving.load_model(path)
        self.assertAllEqual(loaded(_rows(), training=False), answers)
        folder = str(Path(self.get_temp_dir()) / "saved")
        built.export(folder, format="tf_saved_model", verbose=False)
        exported = tf.saved_model.load(folder)  # kept: it holds the variables
        self.assertAllClose(exported.serve(_rows()), answers, rtol=1e-5)

    def test_numbers_alone_and_texts_alone(self) -> None:
        for position, group in ((0, "numbers"), (1, "texts")):
            inputs = Inputs("table", (1,), (_COLUMNS[position],))
            built = registry.build("linear", "", inputs, Outputs("classification", 2))
            rows = {group: _rows()[group][:, :1]}
            self.assertEqual(built(rows).shape, (3, 2))

    def test_images_alone_go_through_convolutions(self) -> None:
        inputs = Inputs("table", (4,), _COLUMNS)
        with self.assertRaisesRegex(UserError, "use --model=mlp"):
            registry.build("cnn", "", inputs, Outputs("classification", 2))


if __name__ == "__main__":
    tf.test.main()
