"""A folder that `pack` wrote: checked as a whole, then read at random."""

import concurrent.futures
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from base.cores import available_cores
from base.errors import UserError
from base.files import sha256_of
from pipelines import filecache, serialization, shards
from pipelines.features import ExampleSpec
from pipelines.packed_format import CONTENT_HASHES, MANIFEST, TARGETS
from pipelines.sources.base import TargetsInMemory
from pipelines.sources.encoded import look_up


class PackedSource(TargetsInMemory):
    """Examples in the order in which they were packed, with the splits of then.

    Their content hashes are those of the source that was packed, so that fingerprints
    and duplicates are the same in both.
    """

    native = False
    batched = True

    def __init__(self, name: str, folder: Path) -> None:
        """Compares every file with the checksum that it was packed with.

        Raises:
            UserError: a file is missing, or its bytes changed.
        """
        self.name = name
        manifest = _read_manifest(name, folder)
        _check_files(name, folder, manifest["files"])
        self.features = ExampleSpec.from_json(manifest["features"])
        self.encoded = manifest["encoded"]
        self.hold_targets(np.load(folder / TARGETS, allow_pickle=False))
        self._hashes = np.load(folder / CONTENT_HASHES, allow_pickle=False)
        self.given_splits = _splits(manifest["splits"])
        self.notes = {
            "packed_from": manifest["source"],
            "left_out_when_packed": manifest.get("left_out", []),
        }
        self._files = [part["file"] for part in manifest["parts"]]
        self._shards = [
            shards.open_shard(folder / file, manifest["format"]) for file in self._files
        ]
        lengths = [part["stop"] - part["start"] for part in manifest["parts"]]
        self._ends = np.cumsum(lengths, dtype=np.int64)
        self._prefixes: dict[Any, bytes] = {}

    def examine(self, max_pixels: int, allowed: int = 0) -> None:
        """Images of one size are checked by that; others were when they were packed."""
        del allowed  # what was packed was usable, and is as it was
        self.features.input.require_few_pixels(max_pixels, self.name)

    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each raw example of the source that was packed: uint8 [n, 32]."""
        return self._hashes

    def read(self, indices: np.ndarray) -> Any:
        """The examples at `indices`: encoded images, or arrays [k, …]."""
        indices = np.asarray(indices)
        if not self.encoded:
            return self._arrays(indices)
        return [
            serialization.encoded_input(self.features, one)
            for one in self._records(indices)
        ]

    def each(self, indices: np.ndarray) -> Iterator[np.ndarray]:
        """The arrays at `indices`, each read into the memory of the one before."""
        scratch = memoryview(b"")
        for index in indices.tolist():
            part, row = self._place(index)
            record = self._shards[part].read_into(scratch, row)
            if len(record) > len(scratch):
                scratch = record
            yield serialization.array_of(
                self.features, record, self._prefix_of(self._targets[index])
            )

    def lookup(self, indices: tf.Tensor) -> tf.Tensor:
        """The examples at `indices` [k]; records are fetched by Python."""
        if self.encoded:
            return look_up(self.read, indices)
        stored = self.features.input
        arrays = tf.numpy_function(
            self._arrays, [indices], stored.dtype, stateful=False
        )
        return tf.ensure_shape(arrays, [*indices.shape, *stored.shape])

    def describe(self, index: int) -> str:
        """The file and the number of the record in it."""
        part, row = self._place(index)
        return f"{self.name}, {self._files[part]}, record {row}"

    def _prefix_of(self, target: Any) -> bytes:
        """What stands before the array in a record with this target."""
        key = self.features.target.record_key(target)
        if key not in self._prefixes:
            self._prefixes[key] = serialization.array_prefix(self.features, target)
        return self._prefixes[key]

    def _place(self, index: int) -> tuple[int, int]:
        part = int(np.searchsorted(self._ends, index, side="right"))
        return part, int(index - (self._ends[part - 1] if part else 0))

    def _arrays(self, indices: np.ndarray) -> np.ndarray:
        return serialization.parse_arrays(self.features, self._records(indices))

    def _records(self, indices: np.ndarray) -> np.ndarray:
        """Serialized records: object [k]."""
        records = np.empty(len(indices), object)
        part_of = np.searchsorted(self._ends, indices, side="right")
        for part in np.unique(part_of):
            chosen = np.flatnonzero(part_of == part)
            first = self._ends[part - 1] if part else 0
            rows = (indices[chosen] - first).tolist()
            for place, record in zip(
                chosen, self._shards[part].read(rows), strict=True
            ):
                records[place] = record
        return records


def _read_manifest(name: str, folder: Path) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        if set(manifest) >= {"files", "features", "splits", "parts", "format"}:
            return manifest
        reason = "fields are missing"
    except (OSError, ValueError) as error:
        reason = str(error)
    raise UserError(
        f"{name}: {MANIFEST} cannot be read ({reason}); pack the dataset again."
    )


def _check_files(name: str, folder: Path, files: Mapping[str, Any]) -> None:
    """Compares sizes and SHA-256 of all files, in parallel.

    A file that was compared before, and did not change since, is not read again.

    Raises:
        UserError: one is missing or has changed.
    """
    names = sorted(files)
    for file in names:
        _check_size(name, folder / file, files[file]["bytes"])
    identities = filecache.identify([str(folder / file) for file in names])
    cache = filecache.FileCache(folder)
    known, facts = cache.find(identities)

    def digest(row: int) -> bytes:
        if known[row]:
            return bytes(facts["sha256"][row])
        return bytes.fromhex(sha256_of(folder / names[row]))

    with concurrent.futures.ThreadPoolExecutor(len(available_cores())) as pool:
        digests = list(pool.map(digest, range(len(names))))
    for file, found in zip(names, digests, strict=True):
        if found.hex() != files[file]["sha256"]:
            raise UserError(
                f"{name}: {file} has changed; it is not used: copy or pack it again."
            )
    if not known.all():
        kind = filecache.FACTS["sha256"]
        facts["sha256"] = np.frombuffer(b"".join(digests), kind)
        cache.save(identities, facts)


def _check_size(name: str, path: Path, size: int) -> None:
    try:
        if path.stat().st_size == size:
            return
        problem = "has another size than it was packed with"
    except OSError as error:
        problem = f"cannot be read: {error.strerror}"
    raise UserError(
        f"{name}: {path.name} {problem}; it is not used: copy or pack it again."
    )


def _splits(sizes: Mapping[str, int]) -> dict[str, np.ndarray]:
    """Indices of each split that has any."""
    ends = np.cumsum(list(sizes.values()), dtype=np.int64)
    return {
        split: np.arange(end - size, end, dtype=np.int64)
        for (split, size), end in zip(sizes.items(), ends, strict=True)
        if size
    }
