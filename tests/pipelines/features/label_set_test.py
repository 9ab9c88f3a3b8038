"""Sets of labels: from every form of file to batches, and what does not apply to them.

They are the proof of the cut: nothing outside `label_set` and the registry names them.
"""

import json
import re
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines import augmentation, packing
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset, open_whole
from pipelines.features import ClassLabel, ExampleSpec, LabelSet, Vector, registry
from pipelines.packconfig import PackConfig
from pipelines.packed_format import MANIFEST
from pipelines.sources.arrays import ArraySource
from pipelines.sources.base import TAKEN_FOR

_NAMES = ("blue", "green", "red", "rare")
_FRACTIONS = {"blue": 0.5, "green": 0.4, "red": 0.3, "rare": 0.05}
_EXAMPLES = 200


def _sets() -> np.ndarray:
    generator = np.random.default_rng(5)
    drawn = generator.random((_EXAMPLES, len(_NAMES)))
    return (drawn < np.array([_FRACTIONS[name] for name in _NAMES])).astype(np.int64)


def _images() -> np.ndarray:
    shape = (_EXAMPLES, 5, 4, 3)
    return np.random.default_rng(6).integers(0, 256, shape, dtype=np.uint8)


class LabelSetTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir())

    def _write(self, suffix: str, **changes: np.ndarray) -> str:
        names = np.array(_NAMES)
        arrays = {"x_train": _images(), "y_train": _sets(), "classes": names} | changes
        path = self.folder / f"sets.{suffix}"
        if suffix == "npz":
            np.savez(path, **arrays)
            return str(path)
        with h5py.File(path, "w") as file:
            for name, values in arrays.items():
                file[name] = np.char.encode(values) if name == "classes" else values
        return str(path)

    def _open(self, path: str, **flags: object) -> Dataset:
        return open_dataset(DataConfig(dataset=path, **{"batch_size": 8} | flags))

    def _pack(self, path: str, form: str = "array_record") -> str:
        output = self.folder / f"packed.{form}"
        config = PackConfig(dataset=path, pack_dir=str(output), format=form)
        packing.pack(config, lambda: False, lambda line: None)
        if form != "hdf5":
            self.assertEqual(packing.verify(config), _EXAMPLES)
        return str(output)

    def _targets(self, dataset: Dataset, split: str = "train") -> np.ndarray:
        found: np.ndarray = dataset.source.read_targets(dataset.splits[split])
        return found

    @parameterized.parameters("npz", "h5")
    def test_0_and_1_in_an_array_are_sets_and_it_is_said(self, suffix: str) -> None:
        dataset = self._open(self._write(suffix))
        self.assertEqual(dataset.features.target, LabelSet(_NAMES))
        self.assertEqual(dataset.features.target.task, "multilabel")
        self.assertIn("taken for sets of labels", dataset.source.notes[TAKEN_FOR])
        self.assertIn("taken for sets", dataset.summary()[TAKEN_FOR])
        every = dataset.source.read_targets(np.arange(_EXAMPLES))
        self.assertAllEqual(every, _sets())
        self.assertEqual(every.dtype, np.uint8)

    def test_unnamed_labels_have_their_numbers(self) -> None:
        path = self.folder / "plain.npz"
        np.savez(path, x_train=_images(), y_train=_sets().astype(bool))
        self.assertEqual(
            self._open(str(path)).features.target, LabelSet(("0", "1", "2", "3"))
        )

    def test_names_are_as_many_as_columns(self) -> None:
        with self.assertRaisesRegex(UserError, "4 columns, but `classes` names 3"):
            self._open(self._write("npz", classes=np.array(_NAMES[:3])))

    def test_held_and_streamed_batches_are_equal_and_floats(self) -> None:
        path = self._write("npz")
        held, streamed = (
            dataset.training(dataset.order(2))
            for dataset in (self._open(path, cache=c) for c in ("memory", "none"))
        )
        for step, batch in enumerate(streamed.batches(0).take(5)):
            for part, other in zip(batch, held.batch(step), strict=True):
                self.assertAllEqual(part, other)
            self.assertEqual(batch.labels.dtype, tf.float32)
            self.assertEqual(batch.labels.shape, (8, 4))
        (first, *_), (also, *_) = (
            self._open(path, cache=cache).evaluation("validation", 6)
            for cache in ("memory", "none")
        )
        self.assertAllEqual(first.labels, also.labels)
        self.assertEqual(first.labels.dtype, tf.float32)

    def test_every_split_has_its_share_of_a_rare_label(self) -> None:
        dataset = self._open(self._write("npz"), split="0.6,0.2,0.2")
        counts = {s: self._targets(dataset, s).sum(0) for s in dataset.splits}
        of_all = _sets().sum(0)
        rare = _NAMES.index("rare")
        for split, share in (("train", 0.6), ("validation", 0.2), ("test", 0.2)):
            self.assertNear(counts[split][rare], share * of_all[rare], 1)
        summary = dataset.summary()["splits"]["train"]
        found = dict(zip(_NAMES, counts["train"].tolist(), strict=True))
        self.assertEqual(summary["labels"], found)
        none = int((self._targets(dataset).sum(1) == 0).sum())
        self.assertEqual(summary["without_labels"], none)
        self.assertGreater(none, 0)

    def test_the_fingerprint_tells_labels(self) -> None:
        prints = []
        for sets in (_sets(), np.roll(_sets(), 1, axis=1)):
            dataset = self._open(self._write("npz", y_train=sets))
            prints.append(dataset.describe_split("train")["sha256"])
        self.assertNotEqual(*prints)

    @parameterized.parameters("array_record", "tfrecord", "hdf5")
    def test_packed_they_come_back(self, form: str) -> None:
        path = self._write("npz")
        expected, found = self._open(path), self._open(self._pack(path, form))
        self.assertEqual(found.features, expected.features)
        for split in ("train", "validation", "test"):
            self.assertAllEqual(
                self._targets(found, split), self._targets(expected, split)
            )
        if form != "hdf5":  # which has other bytes than the source
            self.assertEqual(found.summary()["splits"], expected.summary()["splits"])

    def test_tfds_reads_them_as_a_sequence_of_its_labels(self) -> None:
        path = self._write("npz")
        folder = Path(self._pack(path))
        (folder / MANIFEST).unlink()  # now it is one of TFDS alone
        expected, found = self._open(path), self._open(str(folder))
        self.assertEqual(type(found.source).__name__, "TfdsArrays")
        self.assertEqual(found.features, expected.features)
        self.assertAllEqual(self._targets(found), self._targets(expected))

    def test_a_manifest_says_what_they_are(self) -> None:
        manifest = json.loads(
            (Path(self._pack(self._write("npz"))) / MANIFEST).read_text()
        )
        self.assertEqual(
            manifest["features"]["target"],
            {"kind": "label_set", "names": list(_NAMES)},
        )

    def _write_table(self, cells: list[str]) -> str:
        path = self.folder / "sets.csv"
        lines = [f"{row},{row % 7},{cell}" for row, cell in enumerate(cells)]
        path.write_text("\n".join(["a,b,colors", *lines]) + "\n")
        return str(path)

    def test_names_between_semicolons_in_a_column(self) -> None:
        cells = ["red;blue", " red", "", "blue ; red;", "green", "green;red"] * 10
        path = self._write_table(cells)
        for bad in (0, 5):  # an empty cell is a set, and no row to leave out
            dataset = self._open(path, target="colors", max_bad_examples=bad)
            self.assertEqual(
                dataset.features.target, LabelSet(("blue", "green", "red"))
            )
            found = dataset.source.read_targets(np.arange(6))
            self.assertAllEqual(
                found,
                [[1, 0, 1], [0, 0, 1], [0, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1]],
            )
        self.assertIn("sets of 3 labels; 10 rows", dataset.source.notes[TAKEN_FOR])

    def test_texts_without_any_semicolon_between_names_are_classes(self) -> None:
        path = self._write_table(["red", "blue;"] * 20)
        dataset = self._open(path, target="colors")
        self.assertEqual(dataset.features.target, ClassLabel(("blue;", "red")))
        self.assertNotIn(TAKEN_FOR, dataset.source.notes)

    def test_other_data_is_numbered_as_the_run_numbers_it(self) -> None:
        dataset = self._open(
            self._write_table(["red;blue", "green"] * 20), target="colors"
        )
        self._write_table(["red", "blue"] * 5)  # no set has two labels here
        config = DataConfig(dataset=str(self.folder / "sets.csv"), target="colors")
        whole = open_whole(config, dataset.features)
        self.assertAllEqual(
            whole.examples("all", [0, 1]).labels, [[0, 0, 1], [1, 0, 0]]
        )
        self._write_table(["red", "blue;pink"] * 5)
        with self.assertRaisesRegex(UserError, "has the label 'pink', which the run"):
            open_whole(config, dataset.features)

    def test_a_class_is_a_set_of_one_but_a_set_is_no_class(self) -> None:
        rows = np.zeros((4, 2), np.float32)
        classes = ExampleSpec(Vector((2,)), ClassLabel(("b", "a")))
        sets = ExampleSpec(Vector((2,)), LabelSet(("a", "b", "c")))
        source = ArraySource("classes", classes, rows, np.array([0, 1, 1, 0]))
        whole = Dataset(source, DataConfig(), whole=sets)
        self.assertAllEqual(
            whole.examples("all", [0, 1]).labels, [[0, 1, 0], [1, 0, 0]]
        )
        source = ArraySource("sets", sets, rows, np.zeros((4, 3), np.uint8))
        with self.assertRaisesRegex(UserError, "for multilabel; expected vector exam"):
            Dataset(source, DataConfig(), whole=classes)

    @parameterized.parameters(
        ({"balance": "oversample"}, "--balance=oversample: .* no classes but sets of"),
        ({"class_weights": "balanced"}, "--class_weights=balanced: .* sets of labels"),
        ({"class_weights": "red=2"}, "--class_weights=red=2: .* sets of labels"),
    )
    def test_what_wants_one_class_an_example_is_refused(
        self, flags: dict[str, str], message: str
    ) -> None:
        with self.assertRaisesRegex(UserError, message) as caught:
            self._open(self._write("npz"), **flags)
        self.assertNotIn("\n", str(caught.exception))

    def test_nothing_else_in_the_room_names_them(self) -> None:
        room = Path(registry.__file__).parents[1]
        naming = {
            path.relative_to(room).as_posix()
            for path in room.rglob("*.py")
            if re.search(r"LabelSet|label_set|multilabel", path.read_text())
        }
        self.assertEqual(
            naming,
            {"features/__init__.py", "features/label_set.py", "features/registry.py"},
        )

    def test_a_tar_has_no_folder_for_a_set(self) -> None:
        with self.assertRaisesRegex(UserError, "a folder a class, and .* sets of"):
            LabelSet(_NAMES).folder_names("sets.npz")

    def test_mixup_gives_labels_their_images_shares(self) -> None:
        dataset = self._open(self._write("npz"))
        plain = dataset.training(dataset.order(1)).batch(3)
        feed = dataset.training(dataset.order(1), augmentation.parse("mixup=1"))
        mixed = feed.batch(3)
        for first in range(0, 8, 2):
            images = [plain.inputs[first].numpy(), plain.inputs[first + 1].numpy()]
            difference = images[0] - images[1]
            place = np.unravel_index(np.abs(difference).argmax(), difference.shape)
            moved = mixed.inputs[first].numpy()[place] - images[1][place]
            share = moved / difference[place]
            expected = (
                share * plain.labels[first] + (1 - share) * plain.labels[first + 1]
            )
            self.assertAllClose(mixed.labels[first], expected, atol=1e-3)
        self.assertNotAllClose(mixed.labels, plain.labels)
        flipped = dataset.training(
            dataset.order(1), augmentation.parse("flip,translate=1")
        )
        self.assertAllEqual(flipped.batch(3).labels, plain.labels)


if __name__ == "__main__":
    tf.test.main()
