"""The records of a dataset of TensorFlow Datasets: random access, decoded by TFDS."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from base.errors import UserError
from pipelines import shards
from pipelines.features import Recognized, registry
from pipelines.sources import arrayfiles, tree
from pipelines.tf_messages import first_sentence

_CHUNK = 256


class Records:
    """The records of the splits of a TFDS dataset, one split after the other.

    Attributes:
        given_splits: as of a `Source`; empty where TFDS has a single split that is not
            the training's.
        notes: for dataset.json.
    """

    def __init__(self, name: str, builder: Any, inputs: str, target: str) -> None:
        """Opens the splits that mean something.

        Raises:
            UserError: there is no training split, or a format cannot be read.
        """
        self._name = name
        self._inputs, self._target = inputs, target
        own = [*builder.info.splits]
        chosen = [split for split in tree.in_order(tree.SPLIT_FOLDERS) if split in own]
        if "train" not in chosen:
            if len(own) != 1:
                raise UserError(
                    f"{name} has the splits {', '.join(own)}; expected train among "
                    "them, or one alone."
                )
            chosen = own
        self._splits = chosen
        is_image = isinstance(builder.info.features[inputs], tfds.features.Image)
        decoders = {inputs: tfds.decode.SkipDecoding()} if is_image else None
        self._parts = [random_access(name, builder, s, decoders) for s in chosen]
        self._ends = np.cumsum([len(part) for part in self._parts], dtype=np.int64)
        lengths = dict(zip(chosen, map(len, self._parts), strict=True))
        self.given_splits: Mapping[str, np.ndarray] = {}
        if "train" in chosen:
            named = {tree.SPLIT_FOLDERS[split]: n for split, n in lengths.items()}
            self.given_splits = arrayfiles.splits_of(named)
        self.notes = {
            "tfds": builder.info.full_name,
            "unused_splits": [split for split in own if split not in chosen],
        }

    def targets(self, feature: Any) -> Recognized:
        """The targets of all records, which are read once for them.

        Args:
            feature: what TFDS says of them.

        Raises:
            UserError: they are no classes and no values, or some are not known.
        """
        found = [
            np.asarray(record[self._target])
            for start in range(0, self._ends[-1], _CHUNK)
            for record in self._at(
                np.arange(start, min(start + _CHUNK, self._ends[-1]))
            )
        ]
        for record, value in enumerate(found if is_label(feature) else ()):
            if (value < 0).any():
                raise UserError(
                    f"{self.describe(record)} has no label ({value}), as TFDS has it "
                    "where labels are kept secret; pack the splits that have them."
                )
        said = registry.target_of_tfds(self._name, feature, found)
        if said is not None:
            return said
        values = {self._target: np.stack(found)}
        return arrayfiles.targets_of(self._name, values, None)

    def read(self, indices: np.ndarray) -> list[Any]:
        """The inputs at `indices`."""
        return [record[self._inputs] for record in self._at(indices)]

    def describe(self, index: int) -> str:
        """The dataset, and the number within a split, from 0, as TFDS slices it."""
        part = int(np.searchsorted(self._ends, index, side="right"))
        first = self._ends[part - 1] if part else 0
        return f"{self._name}, {self._splits[part]}[{index - first}]"

    def _at(self, indices: np.ndarray) -> list[Mapping[str, Any]]:
        records: list[Any] = [None] * len(indices)
        part_of = np.searchsorted(self._ends, indices, side="right")
        for part in np.unique(part_of):
            places = np.flatnonzero(part_of == part)
            first = self._ends[part - 1] if part else 0
            rows = (indices[places] - first).tolist()
            try:
                found = self._parts[part].__getitems__(rows)
            except (RuntimeError, ValueError, IndexError, OSError) as error:
                raise UserError(
                    f"{self.describe(int(indices[places[0]]))} or one of the "
                    f"{len(rows) - 1} read with it cannot be read "
                    f"({reason_of(error)}); prepare the dataset again."
                ) from error
            for place, record in zip(places, found, strict=True):
                records[place] = record
        return records


class TFRecordSplit:
    """Random access to a split that TFDS wrote as TFRecord, which it has not itself."""

    def __init__(self, name: str, builder: Any, split: str, decoders: Any) -> None:
        """Reads every record once, against its checksums.

        Raises:
            UserError: one is damaged.
        """
        self._features, self._decoders = builder.info.features, decoders
        self._shards = []
        for instruction in builder.info.splits[split].file_instructions:
            _check_records(name, instruction.filename)
            self._shards.append(shards.TFRecordShard(Path(instruction.filename)))
        self._ends = np.cumsum([len(shard) for shard in self._shards])

    def __len__(self) -> int:
        return int(self._ends[-1])

    def __getitems__(self, rows: Sequence[int]) -> list[Any]:
        found = []
        for row in rows:
            part = int(np.searchsorted(self._ends, row, side="right"))
            first = int(self._ends[part - 1]) if part else 0
            (record,) = self._shards[part].read([row - first])
            found.append(
                self._features.deserialize_example_np(record, decoders=self._decoders)
            )
        return found


def is_label(feature: Any) -> bool:
    """Whether TFDS says that a feature is a class, or a sequence of some."""
    inner = getattr(feature, "feature", feature)
    return isinstance(inner, tfds.features.ClassLabel)


def random_access(name: str, builder: Any, split: str, decoders: Any) -> Any:
    """A split with `__getitems__`."""
    try:
        return builder.as_data_source(split=split, decoders=decoders)
    except NotImplementedError:
        if builder.info.file_format == tfds.core.FileFormat.TFRECORD:
            return TFRecordSplit(name, builder, split, decoders)
        raise UserError(
            f"{name} is stored as {builder.info.file_format.value}, which cannot be "
            "read at random; prepare it with file_format='array_record'."
        ) from None


def _check_records(name: str, path: str) -> None:
    """Raises UserError where a TFRecord file is missing, cut off or damaged."""
    try:
        for _ in tf.data.TFRecordDataset(path).batch(_CHUNK):
            pass
    except tf.errors.OpError as error:
        raise UserError(
            f"{name}, {Path(path).name} is damaged ({first_sentence(error.message)}); "
            "prepare the dataset again."
        ) from error


def reason_of(error: Exception) -> str:
    """What went wrong, in one line."""
    return first_sentence(str(error) or type(error).__name__)
