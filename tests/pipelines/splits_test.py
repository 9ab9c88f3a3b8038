"""Splits by content: exact, stratified, and blind to order."""

import hashlib

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines import splits
from pipelines.config import DataConfig, parse_fractions
from pipelines.dataset import Dataset
from pipelines.features import ClassLabel, ExampleSpec, Image, Values, Vector
from pipelines.sources.arrays import ArraySource


def _hashes(contents: list[int]) -> np.ndarray:
    digests = b"".join(hashlib.sha256(b"%d" % c).digest() for c in contents)
    return np.frombuffer(digests, np.uint8).reshape(-1, 32)


def _source(
    given: dict[str, np.ndarray] | None = None, count: int = 100
) -> ArraySource:
    images = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    features = ExampleSpec(Image((1, 1, 1)), ClassLabel(("a", "b")))
    return ArraySource("array", features, images, np.arange(count) % 2, given)


class SplitsTest(parameterized.TestCase, tf.test.TestCase):
    def test_fractions_are_exact_within_each_class(self) -> None:
        classes = np.array([0] * 100 + [1] * 50)
        parts = splits.cut_by_content(_hashes(range(150)), classes, (0.8, 0.1, 0.1))
        self.assertAllEqual(np.sort(np.concatenate(parts)), range(150))
        for label, sizes in ((0, [80, 10, 10]), (1, [40, 5, 5])):
            self.assertEqual([np.sum(classes[part] == label) for part in parts], sizes)

    def test_does_not_depend_on_the_order_of_examples(self) -> None:
        contents = np.arange(60)
        shuffled = np.random.default_rng(0).permutation(60)
        parts = splits.cut_by_content(_hashes(contents), contents % 3, (0.5, 0.3, 0.2))
        other = splits.cut_by_content(_hashes(shuffled), shuffled % 3, (0.5, 0.3, 0.2))
        for part, others in zip(parts, other, strict=True):
            self.assertAllEqual(np.sort(contents[part]), np.sort(shuffled[others]))

    def test_equal_contents_fall_on_one_side_whatever_their_class(self) -> None:
        contents = np.tile(np.arange(30), 3)
        classes = np.repeat([0, 1, 1], 30)
        parts = splits.cut_by_content(_hashes(contents), classes, (0.5, 0.25, 0.25))
        for i, part in enumerate(parts):
            self.assertNotEmpty(part)
            for other in parts[:i]:
                self.assertEmpty(np.intersect1d(contents[part], contents[other]))

    def test_a_cut_by_rank_of_the_example_parts_equal_contents(self) -> None:
        contents = np.tile(np.arange(30), 3)
        parts = np.split(np.argsort(contents, kind="stable"), [44, 68])
        self.assertNotEmpty(np.intersect1d(contents[parts[0]], contents[parts[1]]))

    def test_validation_is_cut_from_train_where_test_is_given(self) -> None:
        given = {"train": np.arange(90), "test": np.arange(90, 100)}
        found = splits.split_source(_source(given), "0.8,0.2,0")
        self.assertEqual([len(found[name]) for name in found], [72, 18, 10])
        self.assertAllEqual(found["test"], given["test"])
        self.assertAllEqual(
            np.sort(np.concatenate([found["train"], found["validation"]])),
            given["train"],
        )

    def test_given_splits_stay(self) -> None:
        given = {"train": np.arange(50), "validation": np.arange(50, 100)}
        found = splits.split_source(_source(given), "0.8,0.1,0.1")
        self.assertAllEqual(found["validation"], given["validation"])
        self.assertEmpty(found["test"])

    def test_counts_contents_that_given_splits_share(self) -> None:
        found = {"train": [0, 1], "validation": [2], "test": [3, 4]}
        shared = splits.count_shared_contents(
            _hashes([1, 2, 3, 1, 3]), {k: np.array(v) for k, v in found.items()}
        )
        self.assertEqual(
            shared,
            {"validation in train": 0, "test in train": 1, "test in validation": 1},
        )

    def test_regression_is_one_stratum(self) -> None:
        features = ExampleSpec(Vector((1,)), Values())
        examples = np.arange(20, dtype=np.float32)[:, None]
        source = ArraySource("rows", features, examples, examples * 2)
        sizes = [
            len(part) for part in splits.split_source(source, "0.5,0.3,0.2").values()
        ]
        self.assertEqual(sizes, [10, 6, 4])

    @parameterized.parameters(
        ("0.8,0.2", "expected three fractions"),
        ("a,b,c", "expected three fractions"),
        ("nan,0.5,0.5", "expected three fractions"),
        ("0.8,0,0.2", "above 0"),
        ("0,0.8,0.2", "above 0"),
        ("0.8,0.3,-0.1", "above 0"),
        ("0.8,0.1,0.2", "add up to 1.1"),
    )
    def test_bad_fractions_are_refused(self, text: str, message: str) -> None:
        with self.assertRaisesRegex(UserError, message):
            DataConfig(split=text)

    def test_the_test_fraction_may_be_zero(self) -> None:
        self.assertEqual(parse_fractions("0.9,0.1,0"), (0.9, 0.1, 0.0))

    def test_an_empty_part_is_refused(self) -> None:
        with self.assertRaisesRegex(UserError, "leaves no test examples"):
            Dataset(_source(count=10), DataConfig(split="0.8,0.19,0.01", batch_size=2))

    def test_a_batch_larger_than_the_training_data_is_refused(self) -> None:
        with self.assertRaisesRegex(UserError, "batch_size=81 is larger than the 80"):
            Dataset(_source(), DataConfig(batch_size=81))


if __name__ == "__main__":
    tf.test.main()
