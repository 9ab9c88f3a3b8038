"""What inputs are recognized by, and which data of others is taken for them."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines.config import DataConfig
from pipelines.dataset import Dataset
from pipelines.features import ClassLabel, ExampleSpec, Image, Values, Vector, registry
from pipelines.sources.arrays import ArraySource


def _source(given: Image | Vector, target: ClassLabel | Values) -> ArraySource:
    examples = np.zeros((10, *given.complete_shape), given.dtype)
    stored = {
        ClassLabel: np.arange(10) % 2,
        Values: np.ones((10, 2), np.float32),
    }[type(target)]
    return ArraySource("other", ExampleSpec(given, target), examples, stored)


class InputsTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.parameters(
        ((6, 5), "uint8", Image((6, 5, 1))),
        ((6, 5, 3), "uint8", Image((6, 5, 3))),
        ((6, 5, 1), "uint8", Image((6, 5, 1))),
        ((6, 5, 2), "uint8", None),
        ((6, 5), "float32", None),
        ((6,), "float64", Vector((6,))),
        ((6,), "uint8", Vector((6,))),
        ((6,), "<U3", None),
        ((), "int64", None),
    )
    def test_rows_of_arrays(
        self, shape: tuple[int, ...], dtype: str, expected: Image | None
    ) -> None:
        self.assertEqual(registry.input_of_array(shape, np.dtype(dtype)), expected)

    @parameterized.parameters(
        (Vector((5,)), ClassLabel(("a", "b")), "holds vector examples for class"),
        (Image((4, 4, 1)), ClassLabel(("a", "b")), "images of 1 channels; expected 3"),
        (Image((4, 4, 3)), Values(2), "holds image examples for regression; expected"),
        (Image((4, 4, 3)), ClassLabel(("a", "c")), "the class 'c', which the run was"),
    )
    def test_data_of_another_kind_is_refused(
        self, given: Image | Vector, target: ClassLabel | Values, message: str
    ) -> None:
        run = ExampleSpec(Image((4, 4, 3)), ClassLabel(("b", "a")))
        with self.assertRaisesRegex(UserError, message) as caught:
            Dataset(_source(given, target), DataConfig(), whole=run)
        self.assertNotIn("\n", str(caught.exception))

    def test_vectors_of_another_length_and_values_of_another_number(self) -> None:
        run = ExampleSpec(Vector((5,)), Values(2))
        for given, target, message in (
            (Vector((6,)), Values(2), "vectors of shape .6,.; expected .5,."),
            (Vector((5,)), Values(3), "has 3 values for each example; expected 2"),
        ):
            with self.assertRaisesRegex(UserError, message):
                Dataset(_source(given, target), DataConfig(), whole=run)

    def test_classes_are_numbered_as_the_run_numbers_them(self) -> None:
        run = ExampleSpec(Image((2, 2, 3)), ClassLabel(("b", "c", "a")))
        source = _source(Image((4, 4, 3)), ClassLabel(("a", "b")))
        dataset = Dataset(source, DataConfig(), whole=run)
        found = dataset.examples("all", range(4))
        self.assertEqual(found.inputs.shape, (4, 2, 2, 3))
        self.assertAllEqual(found.labels, [2, 0, 2, 0])
        indices = tf.range(4, dtype=tf.int64)
        self.assertAllEqual(source.lookup_targets(indices), [2, 0, 2, 0])
        self.assertEqual(source.features.target, run.target)


if __name__ == "__main__":
    tf.test.main()
