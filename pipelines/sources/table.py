"""Tables: rows of a CSV or Parquet file, one column of which is to be predicted."""

import difflib
import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from pipelines import tables
from pipelines.errors import DataError
from pipelines.features import Features
from pipelines.sources.base import Source


class TableSource(Source):
    """Rows as `tables` describes them, held in memory, in the order of the file."""

    encoding = "row"
    native = True
    batched = True

    def __init__(
        self, name: str, path: Path, target: str | None, like: Features | None = None
    ) -> None:
        """Reads the file.

        Args:
            name: what the user asked for.
            path: of the file.
            target: the column to predict.
            like: features that the rows are to have; guessed from the values if None.

        Raises:
            DataError: the file or a column is not as expected.
        """
        self.name = name
        columns = like.columns if like else ()
        table = tables.read_table(name, path, columns)
        target = _checked_target(name, table, target)
        columns = columns or tables.columns_of(name, table, [target])
        as_values = like.task == "regression" if like else None
        self.targets, classes = _targets(name, table[target], target, as_values)
        self.features = Features(
            kind="table",
            shape=(len(columns),),
            task="classification" if classes else "regression",
            classes=classes,
            columns=columns,
        )
        self.given_splits = {}
        self.notes = {"target": target}
        self._rows = tables.rows_of(name, table, columns)
        # Tensors, which every graph captures by reference: none embeds a copy.
        self._tensors = {part: tf.constant(v) for part, v in self._rows.items()}

    def content_hashes(self) -> np.ndarray:
        """SHA-256 of each row without its target: uint8 [n, 32]."""
        parts = []
        if "numbers" in self._rows:
            parts.append([row.tobytes() for row in self._rows["numbers"]])
        if "texts" in self._rows:
            parts.append(["\0".join(row).encode() for row in self._rows["texts"]])
        digests = [
            hashlib.sha256(b"\0".join(row)).digest() for row in zip(*parts, strict=True)
        ]
        return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 32)

    def read(self, indices: np.ndarray) -> tables.Rows:
        """The rows at `indices`: `numbers` float32 [k, N], `texts` [k, T]."""
        return {part: values[indices] for part, values in self._rows.items()}

    def lookup(self, indices: tf.Tensor) -> dict[str, tf.Tensor]:
        """The same as tensors: float32 and string."""
        return {
            part: tf.gather(values, indices) for part, values in self._tensors.items()
        }

    def describe(self, index: int) -> str:
        """The file and the row, from 1."""
        return f"{self.name}, row {index + 1}"


def _checked_target(name: str, table: pa.Table, target: str | None) -> str:
    names = ", ".join(table.column_names[:20])
    if target is None:
        raise DataError(
            f"--dataset={name} is a table: name the column to predict by --target, one "
            f"of {names}."
        )
    if target not in table.column_names:
        close = difflib.get_close_matches(target, table.column_names, 1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise DataError(
            f"--target={target}: {name} has no such column; {hint}It has {names}."
        )
    return target


def _targets(
    name: str, column: pa.ChunkedArray, target: str, as_values: bool | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """int64 [n] and the classes' names; or float32 [n, 1] and none.

    Texts, integers and booleans are classes, reals are values, unless `as_values` says.
    """
    missing = np.flatnonzero(column.is_null(nan_is_null=True).to_numpy())
    if len(missing):
        raise DataError(
            f"{name}, row {missing[0] + 1}: the target {target!r} is missing, as in "
            f"{len(missing)} rows; leave such rows out of the file."
        )
    numeric = pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)
    if as_values if as_values is not None else numeric:
        if tables.is_text(column.type):
            raise DataError(
                f"{name}: the target {target!r} holds texts; expected numbers."
            )
        values = column.cast(pa.float64()).to_numpy().astype(np.float32)[:, None]
        bad = np.flatnonzero(~np.isfinite(values[:, 0]))
        if len(bad):
            raise DataError(
                f"{name}, row {bad[0] + 1}: the target {target!r} is not finite."
            )
        return values, ()
    found, numbers = np.unique(np.array(column.to_pylist()), return_inverse=True)
    if len(found) < 2:
        raise DataError(
            f"{name}: the target {target!r} is {found[0]} in all rows; expected two "
            "or more classes."
        )
    return numbers.astype(np.int64), tuple(str(value) for value in found)
