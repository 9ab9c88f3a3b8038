"""A folder of images: what is found in it, and every way in which it can be wrong."""

import os
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl.testing import parameterized

from base.errors import UserError
from pipelines.config import DataConfig
from pipelines.dataset import Dataset, open_dataset
from pipelines.sources.folder import FolderSource
from pipelines.sources.opening import open_source
from tests.pipelines.folders import write_classes, write_image


class FolderTest(parameterized.TestCase, tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir())

    def _open(self, **flags: object) -> Dataset:
        flags = {"batch_size": 4, "split": "0.5,0.25,0.25", **flags}
        return open_dataset(DataConfig(dataset=str(self.folder), **flags))

    def _assert_refused(self, message: str, **flags: object) -> None:
        with self.assertRaisesRegex(UserError, message) as caught:
            self._open(**flags)
        self.assertNotIn("\n", str(caught.exception))

    def test_classes_are_folders_and_examples_stand_by_path(self) -> None:
        write_classes(self.folder, per_class=3)
        write_image(self.folder / "cat" / "deep" / "er" / "x.PNG", 90)
        source = FolderSource("pets", self.folder)
        source.examine(10_000)
        self.assertEqual(source.features.target.part_names, ("cat", "dog"))
        self.assertEqual(source.features.input.shape, (8, 8, 3))
        self.assertAllEqual(source.read_targets(np.arange(7)), [0, 0, 0, 0, 1, 1, 1])
        self.assertEqual(
            [os.path.relpath(source.describe(i), self.folder) for i in range(4)],
            ["cat/000.png", "cat/001.png", "cat/002.png", "cat/deep/er/x.PNG"],
        )

    def test_reads_the_same_in_python_and_in_a_graph(self) -> None:
        write_classes(self.folder, per_class=2)
        source = FolderSource("pets", self.folder)
        compiled = tf.function(source.lookup)
        for i in range(4):
            self.assertEqual(compiled(tf.constant(i)).numpy(), source.read([i])[0])

    @parameterized.parameters("validation", "val", "valid")
    def test_split_folders_are_splits(self, validation: str) -> None:
        for start, name in ((0, "train"), (50, validation), (80, "test")):
            write_classes(self.folder / name, per_class=4, first_seed=start)
        dataset = self._open()
        self.assertEqual(dataset.split_sizes, {"train": 8, "validation": 8, "test": 8})
        for name, folder in (("train", "train"), ("validation", validation)):
            for example in dataset.examples(name, range(8)).names:
                self.assertIn(f"/{folder}/", example)

    def test_a_class_may_be_called_test(self) -> None:
        for start, name in ((0, "test"), (8, "fest")):
            for i in range(8):
                write_image(self.folder / name / f"{i}.png", start + i)
        self.assertEqual(self._open().features.target.part_names, ("fest", "test"))

    def test_other_files_are_counted_and_hidden_ones_left_out(self) -> None:
        write_classes(self.folder)
        for name in ("README", "cat/notes.txt", ".hidden", "cat/._000.png"):
            (self.folder / name).write_text("no image")
        ignored = self._open().summary()["ignored_files"]
        self.assertEqual(ignored["count"], 2)
        self.assertEqual(
            ignored["first"],
            [str(self.folder / "README"), str(self.folder / "cat/notes.txt")],
        )

    def test_the_split_does_not_depend_on_names(self) -> None:
        write_classes(self.folder)
        before = self._open().summary()["splits"]
        for number, path in enumerate(sorted(self.folder.glob("*/*.png"))):
            path.rename(path.with_name(f"{(number * 7) % 20:03}-renamed.png"))
        self.assertEqual(self._open().summary()["splits"], before)

    def test_duplicates_across_given_splits_are_counted(self) -> None:
        write_classes(self.folder / "train", per_class=4)
        write_classes(self.folder / "test", per_class=2)  # the same seeds
        found = self._open().summary()["duplicates"]
        self.assertEqual(found["test in train"] + found["test in validation"], 4)

    def test_grey_folders_have_one_channel(self) -> None:
        write_classes(self.folder, mode="L")
        self.assertEqual(self._open().features.input.shape, (8, 8, 1))
        write_image(self.folder / "cat" / "colour.png", 99)
        self.assertEqual(self._open().features.input.shape, (8, 8, 3))

    def test_images_of_differing_size_want_an_image_size(self) -> None:
        write_classes(self.folder)
        write_image(self.folder / "cat" / "tall.png", 99, size=(16, 8))
        self._assert_refused("differ in size; give --image_size")
        size = self._open(image_size="12,10").features.input.shape
        self.assertEqual(size, (12, 10, 3))

    def test_names_that_are_not_utf8_are_read(self) -> None:
        write_classes(self.folder)
        path = os.fsencode(self.folder / "cat" / "000.png")
        os.rename(path, path.replace(b"000", b"\xff\xfe caf\xe9"))
        self.assertLen(self._open().examples("train", range(10)).inputs, 10)

    def test_a_folder_that_links_to_itself_is_refused(self) -> None:
        write_classes(self.folder)
        (self.folder / "cat" / "again").symlink_to(self.folder / "cat")
        self._assert_refused("links to a folder above it")

    def test_no_images(self) -> None:
        self._assert_refused("holds no images; expected CLASS")
        (self.folder / "cat").mkdir()
        self._assert_refused("holds no images; expected CLASS")

    def test_one_class(self) -> None:
        write_image(self.folder / "cat" / "0.png", 0)
        self._assert_refused("has one class, cat; expected two or more")

    def test_an_empty_class(self) -> None:
        write_classes(self.folder)
        (self.folder / "emu").mkdir()
        self._assert_refused("emu holds no images")

    def test_a_class_missing_in_a_split(self) -> None:
        write_classes(self.folder / "train")
        write_image(self.folder / "test" / "cat" / "0.png", 99)
        self._assert_refused("class dog is missing in test")

    def test_two_names_of_one_split_and_folders_beside_splits(self) -> None:
        for name in ("train", "val", "valid"):
            write_classes(self.folder / name)
        self._assert_refused("two folders for one split")
        (self.folder / "val").rename(self.folder / "extra")
        self._assert_refused("extra beside")

    @parameterized.named_parameters(
        ("zero_bytes", "cat/000.png", lambda data: b"", "is empty"),
        ("cut_png", "dog/001.png", lambda data: data[:-20], "PNG end chunk"),
        ("cut_jpeg", "dog/001.jpg", lambda data: data[:-20], "JPEG end marker"),
        ("text", "cat/002.png", lambda data: b"hello world", "not a JPEG"),
    )
    def test_a_damaged_image_is_named(
        self, name: str, damage: object, why: str
    ) -> None:
        write_classes(self.folder)
        write_classes(self.folder, suffix="jpg")
        path = self.folder / name
        path.write_bytes(damage(path.read_bytes()))
        self._assert_refused(f"{name} .*{why}.*; replace or remove it")

    def test_an_unreadable_image_is_named(self) -> None:
        write_classes(self.folder)
        (self.folder / "cat" / "gone.png").symlink_to(self.folder / "nowhere.png")
        self._assert_refused("gone.png cannot be read: No such file")

    def test_pixels_that_cannot_be_decoded_are_named(self) -> None:
        write_classes(self.folder)
        path = self.folder / "cat" / "003.png"
        data = bytearray(path.read_bytes())
        data[60:80] = bytes(20)  # whole by its header and its end
        path.write_bytes(data)
        found = [
            self._open(cache="none").find_bad_example(split)
            for split in ("train", "validation", "test")
        ]
        (line,) = filter(None, found)
        self.assertRegex(line, "003.png cannot be decoded")

    def test_an_image_of_too_many_pixels_is_refused_undecoded(self) -> None:
        write_classes(self.folder)
        write_image(self.folder / "cat" / "big.png", 0, size=(20, 30))
        self._assert_refused("big.png has 20×30 pixels", max_pixels=599)

    def test_unknown_sources_are_explained(self) -> None:
        file = self.folder / "data.zip"
        file.write_bytes(b"")
        for name, message in (
            ("digit", "did you mean 'digits'"),
            ("/no/such/folder", "no such folder or dataset"),
            (str(file), "this kind of source cannot be read"),
        ):
            with self.assertRaisesRegex(UserError, message):
                open_source(DataConfig(dataset=name))

    def test_data_dir_is_looked_in(self) -> None:
        write_classes(self.folder / "pets")
        config = DataConfig(dataset="pets", data_dir=str(self.folder))
        self.assertLen(open_source(config), 20)

    def test_hashes_are_of_the_files(self) -> None:
        write_classes(self.folder)
        source = FolderSource("pets", self.folder)
        source.examine(10_000)
        hashes = source.content_hashes()
        self.assertEqual((hashes.shape, hashes.dtype), ((20, 32), np.uint8))
        self.assertLen(np.unique(hashes, axis=0), 20)


if __name__ == "__main__":
    tf.test.main()
