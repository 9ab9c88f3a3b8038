"""Files for predict: found in order, decoded as in training, bad ones named."""

from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from base.errors import UserError
from pipelines import files
from tests.pipelines.folders import write_classes, write_image


class FilesTest(tf.test.TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.get_temp_dir())

    def _read(self, paths: list[str]) -> list[files.FileBatch]:
        return list(files.read_images(paths, (8, 8, 3), 4, max_pixels=1000))

    def test_folders_are_searched_and_files_taken_as_they_are(self) -> None:
        write_classes(self.folder, per_class=2)
        (self.folder / "cat" / "notes.txt").write_text("no image")
        other = str(self.folder / "cat" / "notes.txt")
        cat = str(self.folder / "cat" / "001.png")
        found = files.list_images([other, cat, str(self.folder)])
        self.assertEqual(found[:2], [other, cat])
        self.assertLen(found, 5)  # each once
        self.assertEqual(found[2:], sorted(found[2:]))

    def test_nothing_to_read_is_refused(self) -> None:
        with self.assertRaisesRegex(UserError, "no such file or folder"):
            files.list_images([str(self.folder / "absent")])
        with self.assertRaisesRegex(UserError, "holds no images"):
            files.list_images([str(self.folder)])

    def test_pixels_are_those_of_training(self) -> None:
        write_classes(self.folder, per_class=3)
        batches = self._read(files.list_images([str(self.folder)]))
        self.assertEqual([len(batch.paths) for batch in batches], [4, 2])
        for batch in batches:
            self.assertEmpty(batch.problems)
            for path, image in zip(batch.paths, batch.images, strict=True):
                self.assertAllEqual(image, np.asarray(Image.open(path)))

    def test_each_bad_file_is_named_and_the_others_are_read(self) -> None:
        write_classes(self.folder, per_class=3)
        damaged = {"cat/000.png": b"", "cat/001.png": b"text", "dog/001.png": None}
        for name, contents in damaged.items():
            path = self.folder / name
            data = bytearray(path.read_bytes())
            data[60:80] = bytes(20)  # whole by its header and its end
            path.write_bytes(data if contents is None else contents)
        write_image(self.folder / "dog" / "big.png", 0, size=(40, 40))
        batches = self._read(files.list_images([str(self.folder)]))
        self.assertEqual(sum(len(batch.images) for batch in batches), 3)
        problems = " | ".join(line for batch in batches for line in batch.problems)
        self.assertRegex(problems, r"000.png is empty.*001.png is not a JPEG")
        self.assertRegex(problems, r"dog/001.png cannot be decoded.*big.png has 40×40")


if __name__ == "__main__":
    tf.test.main()
