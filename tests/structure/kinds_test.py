"""No room but their own compares with a task's or a feature's name."""

import pathlib

import tensorflow as tf
from absl.testing import parameterized

from tests.structure import kinds

ROOT = pathlib.Path(__file__).parents[2]


class KindsTest(tf.test.TestCase, parameterized.TestCase):
    def test_rooms_ask_tasks_and_features(self) -> None:
        self.assertEqual(kinds.comparisons(ROOT), [])

    def test_the_names_are_those_that_there_are(self) -> None:
        known = ("classification", "multilabel", "image", "table", "class_label")
        self.assertContainsSubset(known, kinds.names())

    @parameterized.parameters(
        "def f(task):\n    return task == 'classification'",
        "def f(kind):\n    return kind in ('image', 'vector')",
        "def f(kind):\n    match kind:\n        case 'table':\n            return 1",
    )
    def test_a_comparison_is_found(self, code: str) -> None:
        self.assertLen(kinds.comparisons(self._tree(code)), 1 + code.count("', '"))

    def test_other_texts_pass(self) -> None:
        self.assertEqual(kinds.comparisons(self._tree("def f(x): return x == 'a'")), [])

    def _tree(self, code: str) -> pathlib.Path:
        root = pathlib.Path(self.get_temp_dir())
        (root / "app").mkdir(exist_ok=True)
        (root / "app" / "made_up.py").write_text(code)
        return root


if __name__ == "__main__":
    tf.test.main()
