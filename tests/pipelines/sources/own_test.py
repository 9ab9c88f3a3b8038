"""`--dataset=package.module:name`: sources and arrays of the user's own."""

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines.config import DataConfig
from pipelines.dataset import open_dataset, open_whole
from pipelines.sources.opening import open_source
from tests.own_folder import OwnFolderTestCase
from tests.promises import cases

_FILE = """
import hashlib
import pathlib
import numpy as np
import tensorflow as tf
from pipelines.sources.folder import FolderSource
from pipelines.sources.table import TableSource
from pipelines.features import ClassLabel, ExampleSpec, Vector
from pipelines.sources.base import TargetsInMemory
from pipelines.sources.npz import open_npz

def pair():
    x = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    return x, np.arange(40) % 2

def pairs():
    return pair(), pair()

def named():
    x, y = pair()
    return {"x_train": x, "y_train": y, "classes": np.array(["no", "yes"])}

def short():
    x, y = pair()
    return x[1:], y

def three():
    return 1, 2, 3

def ragged():
    return [[1.0], [1.0, 2.0]], [0, 1]

def number():
    return 5

def of_one(folder):
    return pair()

class Lazy(TargetsInMemory):
    features = ExampleSpec(Vector((3,)), ClassLabel(("no", "yes")))

    def __init__(self):
        self.x, y = pair()
        self.hold_targets(y)

    def content_hashes(self):
        digests = b"".join(hashlib.sha256(row.tobytes()).digest() for row in self.x)
        return np.frombuffer(digests, np.uint8).reshape(-1, 32)

    def read(self, indices):
        return self.x[indices]

    def lookup(self, indices):
        rows = tf.numpy_function(self.read, [indices], tf.float32, stateful=False)
        return tf.ensure_shape(rows, [*indices.shape, 3])

    def describe(self, index):
        return f"row {index}"

class Abstract(TargetsInMemory):
    pass

class Featureless(Lazy):
    features = "vectors"

class Wide(Lazy):
    features = ExampleSpec(Vector((4,)), ClassLabel(("no", "yes")))

class OneClass(Lazy):
    features = ExampleSpec(Vector((3,)), ClassLabel(("no",)))

class Doubles(Lazy):
    def read(self, indices):
        return self.x[indices].astype(np.float64)

class Unlike(Lazy):
    def lookup(self, indices):
        return super().lookup(indices) + 1

class OtherTargets(Lazy):
    def lookup_targets(self, indices):
        return 1 - super().lookup_targets(indices)

class Halved(Lazy):
    def read_targets(self, indices):
        return super().read_targets(indices)[:20]

class Hashless(Lazy):
    def content_hashes(self):
        return super().content_hashes()[:, :16]

class Beyond(Lazy):
    given_splits = {"train": np.arange(50)}

class Misnamed(Lazy):
    given_splits = {"training": np.arange(40)}

class Weighted(Lazy):
    weights = np.zeros(40, np.float32)

def folder():
    return FolderSource("pictures", pathlib.Path("pictures"))

def table():
    return TableSource("table", pathlib.Path("table.csv"), "kind", None, None, 0)

def empty():
    class Empty(Lazy):
        def __len__(self):
            return 0
    return Empty()
"""


class OwnSourceTest(OwnFolderTestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.write("models.py", _FILE)

    def open(self, name: str, **config):
        return open_source(DataConfig(dataset=f"models:{name}", **config))

    @parameterized.parameters("pair", "named", "Lazy")
    def test_each_form_is_a_source(self, name: str) -> None:
        source = self.open(name)
        self.assertLen(source, 40)
        self.assertEqual(source.name, f"models:{name}")
        config = DataConfig(dataset=f"models:{name}", batch_size=8)
        dataset = open_dataset(config)
        self.assertEqual(sum(dataset.split_sizes.values()), 40)
        feed = dataset.training(dataset.order(1))
        batch = next(iter(feed.batches(0)))
        self.assertEqual(batch.inputs.shape, [8, 3])
        self.assertFalse(batch.inputs.dtype.is_integer)

    @parameterized.parameters("folder", "table")
    def test_ateliers_own_sources_may_be_given(self, name: str) -> None:
        cases.write(self.folder)
        self.write("models.py", _FILE)
        path = {"folder": "pictures", "table": "table.csv"}[name]
        target = {"folder": None, "table": "kind"}[name]
        given = open_dataset(DataConfig(dataset=f"models:{name}", batch_size=8))
        named = DataConfig(dataset=path, target=target, batch_size=8)
        found = open_dataset(named).summary()
        self.assertEqual(given.summary()["splits"], found["splits"])

    def test_splits_are_taken(self) -> None:
        self.assertLen(self.open("pairs").given_splits["test"], 40)

    def test_forms_of_the_same_data_have_the_same_fingerprint(self) -> None:
        one, other = (
            open_dataset(DataConfig(dataset=f"models:{name}", batch_size=8)).summary()
            for name in ("pair", "Lazy")
        )
        for split, facts in one["splits"].items():
            self.assertEqual(facts["sha256"], other["splits"][split]["sha256"])

    def test_other_data_is_taken_over_by_the_runs_classes(self) -> None:
        config = DataConfig(dataset="models:Lazy", batch_size=8)
        whole = open_whole(config, self.open("named").features)
        self.assertEqual(whole.split_sizes, {"all": 40})
        with self.assertRaisesRegex(UserError, "the class 'no', which the run was not"):
            open_whole(config, self.open("pair").features)

    @parameterized.parameters(
        ("short", "has 39 examples and 40 targets"),
        ("three", "received 3 arrays; expected a .*Source, arrays"),
        ("ragged", "x_train, which is no array of numbers"),
        ("number", "received a int; expected a .*Source, arrays"),
        ("of_one", r"takes \(folder\): expected of_one\(\)"),
        ("Abstract", "lacks content_hashes, describe, lookup, read"),
        ("Featureless", r"features of type str: expected .*ExampleSpec"),
        ("Wide", r"read gave float32 \(2, 3\): expected float32 \(2, 4\)"),
        ("OneClass", "gave targets that ClassLabel.* does not have"),
        ("Doubles", r"read gave float64 \(2, 3\): expected float32 \(2, 3\)"),
        ("Unlike", "lookup gave other inputs: expected what read gives"),
        ("OtherTargets", "lookup_targets gave others"),
        ("Halved", r"read_targets gave int64 \(20,\): expected int64 \(40\)"),
        ("Hashless", r"content_hashes\(\) gave uint8 \(40, 16\): .*\(40, 32\)"),
        ("Beyond", r"given_splits\['train'\] .*: expected indices \[k\] from 0 to 39"),
        ("Misnamed", "has a split 'training': expected some of train"),
        ("Weighted", r"weights gave float32 \(40,\): .*each above 0"),
        ("empty", "has no examples"),
        ("pear", r"has no 'pear' \(did you mean 'pair'\?\)"),
    )
    def test_what_does_not_fit_is_one_line(self, name: str, message: str) -> None:
        with self.assertRaisesRegex(UserError, message) as caught:
            open_dataset(DataConfig(dataset=f"models:{name}", batch_size=8))
        self.assertNotIn("\n", str(caught.exception))

    def test_flags_of_tables_are_refused(self) -> None:
        with self.assertRaisesRegex(
            UserError, "--target=kind: models:pair is no table"
        ):
            self.open("pair", target="kind")

    def test_it_is_no_images_to_augment(self) -> None:
        dataset = open_dataset(DataConfig(dataset="models:pair", batch_size=8))
        from pipelines import augmentation

        with self.assertRaisesRegex(UserError, "holds no images; leave --augment out"):
            dataset.training(dataset.order(1), augmentation.parse("models:pair"))

    def test_a_path_of_that_name_comes_first(self) -> None:
        np.savez(
            self.folder / "models:pair", x_train=np.ones((4, 2)), y_train=[0.5] * 4
        )
        (self.folder / "models:pair.npz").rename(self.folder / "models:pair")
        with self.assertRaisesRegex(UserError, "this kind of source cannot be read"):
            self.open("pair")


if __name__ == "__main__":
    tf.test.main()
