"""Classes and values: what they are recognized by, and what is said of it."""

import numpy as np
import tensorflow as tf

from base.errors import UserError
from pipelines.features import ClassLabel, Recognized, Values, registry


def _recognized(
    *parts: np.ndarray, names: np.ndarray | None = None
) -> Recognized | None:
    arrays = {f"y_{number}": part for number, part in enumerate(parts)}
    return registry.target_of_arrays("data.npz", arrays, names)


class TargetsTest(tf.test.TestCase):
    def test_integers_are_classes_without_a_word(self) -> None:
        found = _recognized(np.array([7, 3, 7]), np.array([[9], [3]], np.uint8))
        self.assertEqual(found.feature, ClassLabel(("3", "7", "9")))
        self.assertAllEqual(found.values, [1, 0, 1, 2, 0])
        self.assertEqual(found.values.dtype, np.int64)
        self.assertEqual(found.note, "")

    def test_rows_with_exactly_one_1_are_classes_and_it_is_said(self) -> None:
        one_hot = np.eye(3, dtype=np.int8)[[2, 0, 2]]
        found = _recognized(one_hot, one_hot[:1].astype(bool))
        self.assertEqual(found.feature, ClassLabel(("0", "1", "2")))
        self.assertAllEqual(found.values, [2, 0, 2, 2])
        self.assertIn("y_0 and y_1 hold 0 and 1, exactly one 1", found.note)
        self.assertIn("taken for classes", found.note)
        named = _recognized(one_hot, names=np.array(["a", "b", "c"]))
        self.assertEqual(named.feature, ClassLabel(("a", "b", "c")))

    def test_other_integers_in_rows_are_refused(self) -> None:
        with self.assertRaisesRegex(UserError, "has 2 integers a row; expected one"):
            _recognized(np.array([[0, 2], [1, 0]]))
        with self.assertRaisesRegex(UserError, "targets go from 0 to 2, but"):
            _recognized(np.array([0, 1, 2]), names=np.array(["a", "b"]))

    def test_floats_are_values_and_0_and_1_are_said(self) -> None:
        found = _recognized(np.array([0.5, 1.0]))
        self.assertEqual((found.feature, found.note), (Values(1), ""))
        found = _recognized(np.array([[0.0, 1.0], [1.0, 1.0]]))
        self.assertEqual(found.feature, Values(2))
        self.assertIn("but as floats: taken for values", found.note)

    def test_what_nothing_recognizes_is_none(self) -> None:
        self.assertIsNone(_recognized(np.zeros((2, 2, 2), np.int64)))
        self.assertIsNone(_recognized(np.zeros(2), np.zeros(2, np.int64)))
        self.assertIsNone(_recognized(np.array(["a", "b"])))

    def test_statistics_are_of_values_alone(self) -> None:
        values = np.array([[1, 10], [3, 10]], np.float32)
        self.assertEqual(
            Values(2).statistics(values),
            {"target_mean": [2.0, 10.0], "target_std": [1.0, 0.0]},
        )
        self.assertEqual(ClassLabel(("a", "b")).statistics(np.array([0, 1])), {})


if __name__ == "__main__":
    tf.test.main()
