"""Named inputs and tf.train.Examples become the rows that training has."""

import numpy as np
import pytest
import tensorflow as tf
from absl.testing import parameterized

from app.serving.inputs import columns, edge_case_rows
from pipelines.features import Boolean, Category, Number, TableColumn

COLUMNS = (
    TableColumn("age", Number(whole=True)),
    TableColumn("port", Category()),
    TableColumn("fare", Number()),
    TableColumn("alone", Boolean()),
    TableColumn("ever", Boolean()),
)
SERVED = columns.serve(COLUMNS, missing={"ever", "age"})
ROWS = {
    "numbers": np.array(
        [[22, 7.25, 1, 0], [np.nan, np.nan, 0, np.nan], [2**53, -1e30, 0, 1]],
        np.float32,
    ),
    "texts": np.array([["S"], [""], ["Köln, Deutz"]]),
}


def example(**features: tf.train.Feature) -> bytes:
    made = tf.train.Example(features=tf.train.Features(feature=features))
    serialized: bytes = made.SerializeToString()
    return serialized


class ServeTest(parameterized.TestCase, tf.test.TestCase):
    def test_types_are_the_columns_own(self) -> None:
        self.assertEqual(
            [(column.dtype, column.feature) for column in SERVED],
            [
                ("float32", "int64_list"),
                ("string", "bytes_list"),
                ("float32", "float_list"),
                ("bool", "int64_list"),
                ("float32", "int64_list"),
            ],
        )

    @pytest.mark.export
    def test_names_are_such_as_tensorflow_takes(self) -> None:
        names = ("age", "Age", "age_2", "Größe (m)", "1st", "self", "class", "a/b", "")
        made = columns.serve([TableColumn(name, Number()) for name in names])
        inputs = [column.input for column in made]
        self.assertEqual(
            inputs,
            [
                *("age", "Age_2", "age_2_2", "Gr__e__m_", "column_1st", "column_self"),
                *("column_class", "a_b", "column_"),
            ],
        )
        module = tf.Module()
        call = tf.function(lambda **given: {"sum": tf.add_n(list(given.values()))})
        module.call = call.get_concrete_function(**columns.specs(made))
        path = self.get_temp_dir()
        tf.saved_model.save(module, path, signatures={"sum": module.call})
        signature = tf.saved_model.load(path).signatures["sum"]
        answer = signature(**{name: tf.ones([2]) for name in inputs})["sum"]
        self.assertAllEqual(answer, [len(names)] * 2)


class RowsTest(parameterized.TestCase, tf.test.TestCase):
    def assert_rows(self, found: dict[str, tf.Tensor]) -> None:
        self.assertAllEqual(found["numbers"], ROWS["numbers"])
        texts = [text.decode() for text in found["texts"].numpy().ravel()]
        self.assertEqual(texts, ROWS["texts"].ravel().tolist())

    def test_named_inputs_make_the_rows_they_were_made_of(self) -> None:
        given = columns.inputs_of(SERVED, ROWS)
        self.assertEqual(given["alone"].dtype, np.bool_)
        self.assertCountEqual(given, columns.specs(SERVED))
        tensors = {name: tf.constant(values) for name, values in given.items()}
        self.assert_rows(tf.function(columns.rows_of)(SERVED, tensors))

    def test_examples_make_the_rows_they_were_made_of(self) -> None:
        serialized = columns.examples_of(SERVED, ROWS)
        missing = tf.train.Example.FromString(serialized[1]).features.feature
        self.assertEqual(list(missing), ["alone"])
        self.assert_rows(columns.parse(SERVED, tf.constant(serialized)))

    def test_what_an_example_leaves_out_is_missing(self) -> None:
        empty = tf.train.Feature()
        for left_out in (example(), example(age=empty, port=empty, alone=empty), b""):
            found = columns.parse(SERVED, tf.constant([left_out]))
            self.assertAllEqual(np.isnan(found["numbers"]), [[True] * 4])
            self.assertAllEqual(found["texts"], [[b""]])

    def test_an_example_of_another_type_is_named(self) -> None:
        texts = tf.train.Feature(bytes_list=tf.train.BytesList(value=[b"old"]))
        given = tf.constant([example(), example(age=texts)])
        with self.assertRaisesRegex(
            tf.errors.InvalidArgumentError, r"example_bytes\[1\].*Key: age"
        ):
            columns.parse(SERVED, given)
        with self.assertRaisesRegex(
            tf.errors.InvalidArgumentError,
            "(?s)example_bytes.*Could not parse example input, value: 'no example'",
        ):
            tf.function(columns.parse)(SERVED, tf.constant([b"no example"]))

    def test_inputs_of_different_lengths_are_named(self) -> None:
        given = columns.inputs_of(SERVED, ROWS) | {"fare": np.zeros(2, np.float32)}
        tensors = {name: tf.constant(values) for name, values in given.items()}
        call = tf.function(lambda **inputs: columns.rows_of(SERVED, inputs))
        call = call.get_concrete_function(**columns.specs(SERVED))
        message = r"number of rows:\] \[age:\] \[3\].*\[fare:\] \[2\]"
        with self.assertRaisesRegex(tf.errors.InvalidArgumentError, message):
            call(**tensors)


class AwkwardRowsTest(tf.test.TestCase):
    def test_missing_unseen_and_far(self) -> None:
        ordinary = {
            "numbers": ROWS["numbers"][:2],
            "texts": np.array([[b"S"], ["Köln".encode()]], object),
        }
        names, rows = edge_case_rows.rows(SERVED, ordinary)
        at = {name: i for i, name in enumerate(names)}
        self.assertContainsSubset(
            {"validation-01", "all-missing", "missing-age", "missing-port", "unseen"},
            at,
        )
        # A bool cannot be missing.
        self.assertNotIn("missing-alone", at)
        numbers, texts = rows["numbers"], rows["texts"][:, 0].tolist()
        self.assertAllEqual(
            numbers[at["all-missing"]],
            np.array([np.nan, np.nan, 0, np.nan], np.float32),
        )
        self.assertAllEqual(np.isnan(numbers[at["missing-age"]]), [1, 0, 0, 0])
        self.assertEqual(texts[:2], ["S", "Köln"])
        self.assertEqual(texts[at["missing-port"]], "")
        self.assertNotIn(texts[at["unseen"]], ("S", "Köln", ""))
        self.assertAllEqual(numbers[at["far-above"]][2:], ROWS["numbers"][0][2:])
        self.assertGreater(numbers[at["far-above"]][0], 100)


if __name__ == "__main__":
    tf.test.main()
