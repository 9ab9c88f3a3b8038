"""Features come back from JSON, also from that of earlier versions."""

import json

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines.features import (
    Boolean,
    Category,
    ClassLabel,
    Date,
    ExampleSpec,
    Image,
    LabelSet,
    Number,
    Table,
    TableColumn,
    Values,
    Vector,
    column_registry,
    registry,
)

_TABLE = Table(
    (
        TableColumn("port", Category()),
        TableColumn("age", Number(whole=True)),
        TableColumn("alone", Boolean()),
        TableColumn("day", Date()),
    )
)
_INPUTS = (Image((None, None, 3)), Image((4, 5, 1)), Vector((7,)), _TABLE)
_TARGETS = (ClassLabel(("a", "b")), Values(3), LabelSet(("x", "y", "z")))


class ExampleSpecTest(parameterized.TestCase, tf.test.TestCase):
    @parameterized.product(given=_INPUTS, target=_TARGETS)
    def test_comes_back_from_json(self, given: Image, target: ClassLabel) -> None:
        spec = ExampleSpec(given, target)
        written = json.loads(json.dumps(spec.to_json()))
        self.assertEqual(ExampleSpec.from_json(written), spec)

    def test_every_feature_is_tried_above(self) -> None:
        self.assertEqual({*map(type, _INPUTS)}, {*registry.INPUTS})
        self.assertEqual({*map(type, _TARGETS)}, {*registry.TARGETS})
        columns = {type(column.feature) for column in _TABLE.columns}
        self.assertEqual(columns, {*column_registry.COLUMNS})

    def test_names_in_files_are_unlike(self) -> None:
        for features in (registry.INPUTS, registry.TARGETS, column_registry.COLUMNS):
            kinds = [feature.kind for feature in features]
            self.assertLen({*kinds}, len(kinds))
        fields = [one.field for one in (*registry.INPUTS, *registry.TARGETS)]
        self.assertLen({*fields}, len(fields))

    def test_the_flat_layout_of_earlier_versions_is_read(self) -> None:
        flat = {
            "kind": "table",
            "shape": [3],
            "task": "regression",
            "classes": [],
            "targets": 2,
            "columns": [
                {"name": "age", "kind": "numeric", "integer": True},
                {"name": "alone", "kind": "boolean", "integer": False},
                {"name": "port", "kind": "categorical", "integer": False},
            ],
        }
        columns = (("age", Number(True)), ("alone", Boolean()), ("port", Category()))
        table = Table(tuple(TableColumn(*column) for column in columns))
        self.assertEqual(ExampleSpec.from_json(flat), ExampleSpec(table, Values(2)))
        image = flat | {"kind": "image", "shape": [None, None, 3], "columns": []}
        image |= {"task": "classification", "classes": ["a", "b"], "targets": 1}
        self.assertEqual(
            ExampleSpec.from_json(image), ExampleSpec(_INPUTS[0], _TARGETS[0])
        )
        vector = image | {"kind": "vector", "shape": [7]}
        self.assertEqual(
            ExampleSpec.from_json(vector), ExampleSpec(_INPUTS[2], _TARGETS[0])
        )

    @parameterized.parameters(
        ({"kind": "imagge", "shape": [1]}, {"kind": "values", "size": 1}, "'image'"),
        ({"kind": "vector", "shape": [1]}, {"kind": "label_sets"}, "'label_set'"),
        (
            {"kind": "table", "columns": [{"name": "a", "kind": "dates"}]},
            {"kind": "values", "size": 1},
            "did you mean 'date'",
        ),
    )
    def test_an_unknown_kind_is_refused(
        self, given: dict, target: dict, message: str
    ) -> None:
        with self.assertRaisesRegex(UserError, message) as caught:
            ExampleSpec.from_json({"input": given, "target": target})
        self.assertNotIn("\n", str(caught.exception))

    def test_an_unknown_flat_layout_is_refused(self) -> None:
        flat = {"kind": "sound", "shape": [1], "task": "regression", "targets": 1}
        with self.assertRaisesRegex(UserError, "'sound' are not known"):
            ExampleSpec.from_json(flat)
        flat |= {"kind": "vector", "task": "ranking"}
        with self.assertRaisesRegex(UserError, "'ranking' are not known"):
            ExampleSpec.from_json(flat)

    @parameterized.parameters(*range(len(_TARGETS)))
    def test_a_batch_is_of_its_spec(self, number: int) -> None:
        target = _TARGETS[number]
        stored = (
            np.array([0, 1]),
            np.ones((2, 3), np.float32),
            np.array([[0, 1, 1], [0, 0, 0]], np.uint8),
        )[number]
        batch = tf.convert_to_tensor(target.prepare(stored))
        spec = target.batch_spec()
        self.assertEqual(batch.dtype, spec.dtype)
        self.assertTrue(spec.shape.is_compatible_with(batch.shape))
        mixed = target.mixed(batch)
        self.assertEqual(mixed.dtype, tf.float32)
        record = target.serialize(stored[1])
        self.assertAllEqual(target.parse(record), stored[1])


if __name__ == "__main__":
    tf.test.main()
