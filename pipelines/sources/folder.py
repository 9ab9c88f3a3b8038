"""A folder of images: CLASS/*.jpg, with or without train/, validation/, test/ above."""

import collections
import dataclasses
import hashlib
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from pipelines.errors import DataError
from pipelines.features import Features
from pipelines.headers import HeaderError, ImageHeader, read_header
from pipelines.sources.base import Source

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif")
_SPLIT_FOLDERS = {
    "train": "train",
    "validation": "validation",
    "val": "validation",
    "valid": "validation",
    "test": "test",
}
_CHUNK = 64
_NAMED = 5  # ignored files that are named; the rest is counted


class FolderSource(Source):
    """Images in a folder of class folders; a class may have folders of its own within.

    Examples are in the order of split, class and path. Names that begin with a dot are
    left out; other files that are no images by their suffix are counted in `notes`.
    """

    encoding = "image"
    native = True
    batched = False

    def __init__(self, name: str, folder: Path) -> None:
        """Finds the files; it does not open them.

        Raises:
            DataError: there are no classes of images.
        """
        self.name = name
        self._ignored: list[str] = []
        listed = self._list(folder)
        classes = sorted({label for _, label, _ in listed})
        index_of = {label: index for index, label in enumerate(classes)}
        _check_classes(name, classes, listed)
        self._paths = [path for _, _, paths in listed for path in paths]
        labels = [index_of[label] for _, label, paths in listed for _ in paths]
        self.targets = np.array(labels, np.int64)
        self.given_splits = _indices_by_split(listed)
        self.features = Features(
            "image", (None, None, 3), "classification", (*classes,)
        )
        self.notes = {
            "ignored_files": {
                "count": len(self._ignored),
                "first": sorted(self._ignored)[:_NAMED],
            }
        }
        self._hashes: np.ndarray | None = None
        # A tensor, which every graph captures by reference: none embeds a copy.
        self._path_tensor = tf.constant([os.fsencode(path) for path in self._paths])

    def examine(self, max_pixels: int) -> None:
        """Reads every file once: its hash, its size, whether it is a whole image.

        Raises:
            DataError: a file is empty, truncated, unreadable, of no known format, or of
                more than `max_pixels`.
        """
        if self._hashes is not None:
            return
        hashes, found = [], []
        contents_of = _contents(self._paths, self._path_tensor)
        for path, contents in zip(self._paths, contents_of, strict=True):
            try:
                header = read_header(contents)
            except HeaderError as error:
                raise DataError(f"{path} {error}; replace or remove it.") from None
            check_pixels(path, header, max_pixels)
            hashes.append(hashlib.sha256(contents).digest())
            found.append(header)
        headers = np.array(found, np.int64)
        self._hashes = np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)
        height, width = (
            int(sides[0]) if np.all(sides == sides[0]) else None
            for sides in (headers[:, 0], headers[:, 1])
        )
        if height is None or width is None:
            height = width = None
        shape = (height, width, int(headers[:, 2].max()))
        self.features = dataclasses.replace(self.features, shape=shape)

    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each file: uint8 [n, 32]; known once examined."""
        if self._hashes is None:
            raise ValueError(f"{self.name} has not been examined")
        return self._hashes

    def read(self, indices: np.ndarray) -> list[bytes]:
        """The contents of the files at `indices`."""
        return [Path(self._paths[index]).read_bytes() for index in indices]

    def lookup(self, indices: tf.Tensor) -> tf.Tensor:
        """The contents of the file at `indices` []: string []."""
        return tf.io.read_file(tf.gather(self._path_tensor, indices))

    def describe(self, index: int) -> str:
        """The path of the file."""
        return self._paths[index]

    def _list(self, folder: Path) -> list[tuple[str | None, str, list[str]]]:
        """(split, class, paths), sorted: the split is None where there are none."""
        splits = {
            entry.name: _SPLIT_FOLDERS[entry.name]
            for entry in self._folders(folder)
            if entry.name in _SPLIT_FOLDERS
        }
        # A class may be called `test`; it is a split beside `train` only.
        if "train" not in splits:
            return self._list_classes(None, folder)
        if len(set(splits.values())) < len(splits):
            raise DataError(
                f"{folder} has {', '.join(sorted(splits))}: two folders for one split; "
                "keep one of them."
            )
        others = {entry.name for entry in self._folders(folder)} - set(splits)
        if others:
            raise DataError(
                f"{folder} has {', '.join(sorted(others))} beside {', '.join(splits)}; "
                "expected split folders only, or class folders only."
            )
        listed = []
        for name in sorted(splits, key=list(_SPLIT_FOLDERS).index):
            listed += self._list_classes(splits[name], folder / name)
        return listed

    def _list_classes(
        self, split: str | None, folder: Path
    ) -> list[tuple[str | None, str, list[str]]]:
        return [
            (split, entry.name, sorted(self._walk(entry.path, ())))
            for entry in self._folders(folder)
        ]

    def _folders(self, folder: Path) -> list[os.DirEntry[str]]:
        """The folders in `folder` by name; other files in it are noted as ignored."""
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise DataError(f"{folder} cannot be read: {error.strerror}.") from error
        visible = [entry for entry in entries if not entry.name.startswith(".")]
        for entry in visible:
            if not entry.is_dir() and entry.path not in self._ignored:
                self._ignored.append(entry.path)
        return [entry for entry in visible if entry.is_dir()]

    def _walk(self, folder: str, above: tuple[tuple[int, int], ...]) -> Iterator[str]:
        """Paths of the images in `folder` and within, in any order."""
        status = os.stat(folder)
        here = (status.st_dev, status.st_ino)
        if here in above:  # a link to a folder above: it would never end
            raise DataError(f"{folder} links to a folder above it; remove the link.")
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    yield from self._walk(entry.path, (*above, here))
                elif entry.name.lower().endswith(IMAGE_SUFFIXES):
                    yield entry.path
                else:
                    self._ignored.append(entry.path)


def _contents(paths: list[str], path_tensor: tf.Tensor) -> Iterator[bytes]:
    """Contents of the files in order, read ahead in parallel.

    By TensorFlow, since Python's threads spend more on their lock than on small files.
    """
    chunks = tf.data.Dataset.from_tensor_slices(path_tensor).batch(_CHUNK)
    read = chunks.map(
        lambda chunk: tf.map_fn(tf.io.read_file, chunk),
        num_parallel_calls=tf.data.AUTOTUNE,
    )
    try:
        for contents in read.prefetch(1).as_numpy_iterator():
            yield from contents
    except tf.errors.OpError as error:
        raise DataError(_unreadable(paths) or error.message) from error


def _unreadable(paths: list[str]) -> str | None:
    """Names the first file that cannot be opened, and why."""
    for path in paths:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}."
    return None


def check_pixels(path: str, header: ImageHeader, max_pixels: int) -> None:
    """Raises DataError for an image that is too large to decode."""
    if header.height * header.width > max_pixels:
        raise DataError(
            f"{path} has {header.height}×{header.width} pixels, more than --max_pixels="
            f"{max_pixels}; raise it, or remove the image."
        )


def _indices_by_split(
    listed: list[tuple[str | None, str, list[str]]],
) -> dict[str, np.ndarray]:
    sizes: dict[str, int] = {}
    for split, _, paths in listed:
        if split is not None:
            sizes[split] = sizes.get(split, 0) + len(paths)
    ends = np.cumsum(list(sizes.values()), dtype=np.int64)
    return {
        split: np.arange(end - size, end, dtype=np.int64)
        for (split, size), end in zip(sizes.items(), ends, strict=True)
    }


def _check_classes(
    name: str, classes: list[str], listed: list[tuple[str | None, str, list[str]]]
) -> None:
    if not any(paths for _, _, paths in listed):
        raise DataError(
            f"--dataset={name} holds no images; expected CLASS/*.jpg (jpeg, png, bmp, "
            "gif), with or without train/, validation/, test/ above."
        )
    for split, label, paths in listed:
        if not paths:
            place = os.path.join(*filter(None, (name, split, label)))
            raise DataError(f"{place} holds no images; add some, or remove the class.")
    if len(classes) < 2:
        raise DataError(
            f"--dataset={name} has one class, {classes[0]}; expected two or more."
        )
    found = collections.defaultdict(set)
    for split, label, _ in listed:
        found[split].add(label)
    for split, labels in found.items():
        missing = sorted(set(classes) - labels)
        if missing:
            raise DataError(
                f"{name}: class {missing[0]} is missing in {split}, but not in the "
                "other splits; expected the same classes in each."
            )
