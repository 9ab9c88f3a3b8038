"""Arrays in an HDF5 file, read in part: rows are fetched where they are asked for.

A file can point elsewhere: by links, by virtual datasets, by storage in other files, by
filters that are loaded as programs. All of these are refused.
"""

import os
from pathlib import Path

import h5py
import numpy as np
import tensorflow as tf

from base.errors import UserError
from pipelines import filecache
from pipelines.features import ExampleSpec
from pipelines.sources import arrayfiles
from pipelines.sources.base import TargetsInMemory
from pipelines.tf_messages import first_sentence

# Deflate, shuffle, Fletcher32, SZIP, n-bit, scale-offset and LZF: part of HDF5 or h5py.
_FILTERS = {1, 2, 3, 4, 5, 6, 32000}
_CHUNK_CACHE = 64 * 2**20


class HDF5Source(TargetsInMemory):
    """Images or vectors in the datasets x_train, y_train, … of a file's root."""

    native = False
    batched = True

    def __init__(self, name: str, path: Path) -> None:
        """Reads the targets, and of the examples only what they are.

        Raises:
            UserError: the file is damaged, lacks datasets, or points elsewhere.
        """
        self.name = name
        self._path = path
        try:
            self._file = h5py.File(path, "r", rdcc_nbytes=_CHUNK_CACHE)
            self._open(path)
        except (OSError, RuntimeError, KeyError) as error:
            raise UserError(
                f"{name} cannot be read ({first_sentence(str(error))}); expected a "
                "whole HDF5 file."
            ) from error
        self._hashes: np.ndarray | None = None

    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each example's bytes: uint8 [n, 32].

        The first call reads all, unless an earlier start has and the file is the same.
        """
        if self._hashes is None:
            self._hashes = self._known_hashes()
        return self._hashes

    def read(self, indices: np.ndarray) -> np.ndarray:
        """The examples at `indices`: uint8 [k,H,W,C], or float32 [k,F]."""
        indices = np.asarray(indices, np.int64)
        stored = self.features.input
        rows = np.empty((len(indices), *stored.complete_shape), stored.dtype)
        part_of = np.searchsorted(self._ends, indices, side="right")
        for part in np.unique(part_of):
            chosen = np.flatnonzero(part_of == part)
            first = self._ends[part - 1] if part else 0
            found = _rows(self._examples[part], indices[chosen] - first)
            rows[chosen] = stored.as_stored(found)
        return rows

    def lookup(self, indices: tf.Tensor) -> tf.Tensor:
        """The examples at `indices` [k]: [k, …]; by Python, not by TensorFlow."""
        stored = self.features.input
        rows = tf.numpy_function(self.read, [indices], stored.dtype, stateful=False)
        return tf.ensure_shape(rows, [*indices.shape, *stored.shape])

    def describe(self, index: int) -> str:
        """The file, the dataset and the row in it."""
        part = int(np.searchsorted(self._ends, index, side="right"))
        first = int(self._ends[part - 1]) if part else 0
        return f"{self.name}, {self._names[part]}[{index - first}]"

    def _known_hashes(self) -> np.ndarray:
        rows = np.arange(len(self), dtype=np.int64)[:, None]
        identities = filecache.identify_parts(str(self._path), rows)
        cache = filecache.FileCache(self._path)
        known, facts = cache.find(identities)
        if not known.all():
            hashes = arrayfiles.hashes_of(self.read, len(self))
            facts["sha256"] = hashes.view(filecache.FACTS["sha256"])[:, 0]
            cache.save(identities, facts)
        return np.ascontiguousarray(facts["sha256"]).view(np.uint8).reshape(-1, 32)

    def _open(self, path: Path) -> None:
        pairs = arrayfiles.pair_names(self.name, self._file.keys())
        found = {
            split: tuple(self._dataset(array) for array in pairs[split])
            for split in pairs
        }
        arrayfiles.check_lengths(
            self.name, {s: (pairs[s][0], len(x), len(y)) for s, (x, y) in found.items()}
        )
        inputs = {
            pairs[s][0]: arrayfiles.input_of(self.name, pairs[s][0], x.shape, x.dtype)
            for s, (x, _) in found.items()
        }
        rows = arrayfiles.check_together(self.name, inputs)
        targets = arrayfiles.targets_of(
            self.name,
            {pairs[s][1]: self._whole(y) for s, (_, y) in found.items()},
            self._class_names(),
        )
        self.hold_targets(targets.values)
        self.notes = arrayfiles.notes_of(targets)
        self.features = ExampleSpec(rows, targets.feature)
        lengths = {split: len(x) for split, (x, _) in found.items()}
        self.given_splits = arrayfiles.splits_of(lengths)
        self._names = [pairs[split][0] for split in found]
        self._ends = np.cumsum(list(lengths.values()), dtype=np.int64)
        self._examples = [_in_place(x, path) for x, _ in found.values()]

    def _dataset(self, array: str) -> h5py.Dataset:
        """A dataset that lies in this very file.

        Raises:
            UserError: it points elsewhere, or is none.
        """
        where = f"{array} in {self.name}"
        if not isinstance(self._file.get(array, getlink=True), h5py.HardLink):
            raise UserError(
                f"{where} is a link; links are not followed: store the data itself."
            )
        found = self._file[array]
        if not isinstance(found, h5py.Dataset) or found.ndim == 0:
            raise UserError(f"{where} is no array; expected a dataset of rows.")
        if found.is_virtual or found.external:
            raise UserError(
                f"{where} lies in other files; copy the data into this one, for "
                "example with h5repack."
            )
        plist = found.id.get_create_plist()
        filters = {plist.get_filter(i)[0] for i in range(plist.get_nfilters())}
        if filters - _FILTERS:
            raise UserError(
                f"{where} needs the HDF5 filter {min(filters - _FILTERS)}, a program "
                "of its own; store it with gzip or lzf."
            )
        return found

    def _whole(self, dataset: h5py.Dataset) -> np.ndarray:
        array = dataset.name.lstrip("/")
        arrayfiles.require_room(self.name, array, dataset.nbytes)
        return np.asarray(dataset[()])

    def _class_names(self) -> np.ndarray | None:
        if arrayfiles.CLASS_NAMES not in self._file:
            return None
        dataset = self._dataset(arrayfiles.CLASS_NAMES)
        if dataset.dtype.kind == "S" or h5py.check_string_dtype(dataset.dtype):
            return np.asarray(dataset.asstr("utf-8")[()])
        return self._whole(dataset)


class _Contiguous:
    """A dataset whose rows lie in the file one after the other, as they are.

    They are read by their place: h5py takes 100 µs for a row, and the pages of a memory
    map would count as the process's own.
    """

    def __init__(self, dataset: h5py.Dataset, offset: int, path: Path) -> None:
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  # as the source
        self._offset = offset
        self._dtype, self._shape = dataset.dtype, dataset.shape[1:]
        self._size = dataset.dtype.itemsize * int(np.prod(self._shape))

    def rows(self, wanted: np.ndarray) -> np.ndarray:
        """Rows by number, in any order and with repetitions."""
        found = np.empty((len(wanted), *self._shape), self._dtype)
        memory = found.reshape(-1).view(np.uint8).data
        starts = np.flatnonzero(np.diff(wanted, prepend=-2) != 1)
        for start, stop in zip(starts, [*starts[1:], len(wanted)], strict=True):
            run = memory[start * self._size : stop * self._size]
            at = self._offset + int(wanted[start]) * self._size
            while run:
                read = os.preadv(self._file.fileno(), [run], at)
                if not read:
                    raise OSError(f"{self._file.name} has become shorter")
                run, at = run[read:], at + read
        return found


def _in_place(dataset: h5py.Dataset, path: Path) -> "h5py.Dataset | _Contiguous":
    """The dataset, to be read without HDF5 if its rows lie in the file as they are."""
    offset = dataset.id.get_offset()
    if dataset.chunks or dataset.compression or offset is None:
        return dataset
    return _Contiguous(dataset, offset, path)


def _rows(examples: "h5py.Dataset | _Contiguous", rows: np.ndarray) -> np.ndarray:
    """Rows by number, in any order and with repetitions."""
    if isinstance(examples, _Contiguous):
        return examples.rows(rows)
    # h5py wants rising numbers; runs of them are read at once.
    wanted, order = np.unique(rows, return_inverse=True)
    runs = np.split(wanted, np.flatnonzero(np.diff(wanted) != 1) + 1)
    found = np.concatenate([examples[int(r[0]) : int(r[-1]) + 1] for r in runs])
    return found[order]
