"""A folder of images: CLASS/*.jpg, with or without train/, validation/, test/ above."""

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf

from base.errors import UserError
from pipelines import filecache
from pipelines.sources import tree
from pipelines.sources.encoded import (
    EncodedSource,
    Facts,
    facts_of,
    in_parallel,
    runs_of,
)

# Threads that read files to look at them, more than cores: what they wait for is the
# disk.
_READERS = 4


class FolderSource(EncodedSource):
    """Images in a folder of class folders; a class may have folders of its own within.

    Examples are in the order of split, class and path. Names that begin with a dot are
    left out; other files that are no images by their suffix are counted in `notes`.
    """

    native = True
    batched = False

    def __init__(self, name: str, folder: Path) -> None:
        """Finds the files; it does not open them.

        Raises:
            UserError: there are no classes of images.
        """
        self.name = name
        self._path = folder
        self._ignored: list[str] = []
        groups = self._list(folder)
        self._take(groups, self._ignored)
        self._paths = [path for group in groups for path in group.paths]
        # A tensor, which every graph captures by reference: none embeds a copy.
        self._path_tensor = tf.constant([os.fsencode(path) for path in self._paths])

    def read(self, indices: np.ndarray) -> list[bytes]:
        """The contents of the files at `indices`."""
        return [_contents_of(self._paths[index]) for index in indices]

    def lookup(self, indices: tf.Tensor) -> tf.Tensor:
        """The contents of the file at `indices` []: string []."""
        return tf.io.read_file(tf.gather(self._path_tensor, indices))

    def describe(self, index: int) -> str:
        """The path of the file."""
        return self._paths[index]

    def _identities(self) -> filecache.Identities:
        return filecache.identify(self._paths)

    def _read_facts(self, indices: np.ndarray) -> Iterator[Facts]:
        """Reads and looks in the same thread, a run of files at a time.

        Handed from thread to thread, small files cost more than to read them.
        """
        try:
            yield from in_parallel(
                lambda run: facts_of(self.read(run)), runs_of(indices), _READERS
            )
        except OSError as error:
            raise UserError(_unreadable(self._paths) or str(error)) from error

    def _list(self, folder: Path) -> list[tree.Group]:
        """The groups, sorted: the split is None where there are none."""
        names = [entry.name for entry in self._folders(folder)]
        # A class may be called `test`; it is a split beside `train` only.
        if "train" not in names:
            return self._list_classes(None, folder)
        tree.check_split_folders(str(folder), names)
        return [
            group
            for name in tree.in_order(names)
            for group in self._list_classes(tree.SPLIT_FOLDERS[name], folder / name)
        ]

    def _list_classes(self, split: str | None, folder: Path) -> list[tree.Group]:
        return [
            tree.Group(split, entry.name, sorted(self._walk(entry.path, ())))
            for entry in self._folders(folder)
        ]

    def _folders(self, folder: Path) -> list[os.DirEntry[str]]:
        """The folders in `folder` by name; other files in it are noted as ignored."""
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"{folder} cannot be read: {error.strerror}.") from error
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
            raise UserError(f"{folder} links to a folder above it; remove the link.")
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir():
                    yield from self._walk(entry.path, (*above, here))
                elif entry.name.lower().endswith(tree.IMAGE_SUFFIXES):
                    yield entry.path
                else:
                    self._ignored.append(entry.path)


def _contents_of(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _unreadable(paths: list[str]) -> str | None:
    """Names the first file that cannot be opened, and why."""
    for path in paths:
        try:
            with open(path, "rb"):
                pass
        except OSError as error:
            return f"{path} cannot be read: {error.strerror}."
    return None
