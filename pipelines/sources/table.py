"""Tables: rows of a CSV or Parquet file, one column of which is to be predicted."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from base.errors import UserError, did_you_mean
from pipelines import tables
from pipelines.features import Features
from pipelines.sources.base import Source


class TableSource(Source):
    """Rows as `tables` describes them, held in memory, in the order of the file."""

    encoding = "row"
    native = True
    batched = True
    _kept: np.ndarray | None = None

    def __init__(
        self,
        name: str,
        path: Path,
        target: str | None,
        like: Features | None = None,
        weights: str | None = None,
        allowed: int = 0,
    ) -> None:
        """Reads the file.

        Args:
            name: what the user asked for.
            path: of the file.
            target: the column to predict.
            like: features that the rows are to have; guessed from the values if None.
            weights: the column that says how much each row counts.
            allowed: rows that may be left out because they cannot be used.

        Raises:
            UserError: the file or a column is not as expected.
        """
        self.name = name
        columns = like.columns if like else ()
        table = tables.read_table(name, path, columns)
        target = _checked_column(name, table, "target", target)
        apart = [target]
        table = self._leave_out(table, target, allowed)
        if weights is not None:
            apart.append(_checked_column(name, table, "weights", weights))
            self.weights = _weights(name, table[weights], weights)
        columns = columns or tables.columns_of(name, table, apart)
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
        self.notes = {"target": target} | (
            {"weights_column": weights} if weights else {}
        )
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
        """The file and the row in it, from 1."""
        row = index if self._kept is None else int(self._kept[index])
        return f"{self.name}, row {row + 1}"

    def _leave_out(self, table: pa.Table, target: str, allowed: int) -> pa.Table:
        """The table without rows that cannot be used, if they are `allowed` or fewer.

        More of them are left for what reads the columns to refuse, by name.
        """
        problems = _problems(self.name, table, target)
        if not 0 < len(problems) <= allowed:
            return table
        self.left_out = [problems[row] for row in sorted(problems)]
        good = np.setdiff1d(np.arange(table.num_rows), list(problems))
        self._kept = good
        return table.take(pa.array(good))


def _problems(name: str, table: pa.Table, target: str) -> dict[int, str]:
    """What is wrong with rows that cannot be used, by row from 0."""
    problems: dict[int, str] = {}
    for column in table.column_names:
        values = table[column]
        if pa.types.is_floating(values.type):
            found = values.to_numpy().astype(np.float32)
            for row in np.flatnonzero(np.isinf(found)).tolist():
                problems[row] = f"{name}, row {row + 1}: {column!r} is not finite."
    missing = table[target].is_null(nan_is_null=True).to_numpy()
    for row in np.flatnonzero(missing).tolist():
        problems[row] = f"{name}, row {row + 1}: the target {target!r} is missing."
    return problems


def _checked_column(name: str, table: pa.Table, flag: str, column: str | None) -> str:
    names = ", ".join(table.column_names[:20])
    if column is None:
        raise UserError(
            f"--dataset={name} is a table: name the column to predict by --{flag}, one "
            f"of {names}."
        )
    if column not in table.column_names:
        hint = did_you_mean(column, table.column_names)
        raise UserError(
            f"--{flag}={column}: {name} has no such column{hint}. It has {names}."
        )
    return column


def _weights(name: str, values: pa.ChunkedArray, column: str) -> np.ndarray:
    """float32 [n], all above 0."""
    kind = values.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind)):
        raise UserError(
            f"--weights={column}: the column of {name} holds {kind}; expected numbers."
        )
    found = values.cast(pa.float64()).to_numpy().astype(np.float32)
    bad = np.flatnonzero(~(np.isfinite(found) & (found > 0)))
    if len(bad):
        raise UserError(
            f"{name}, row {bad[0] + 1}: the weight {column!r} is {found[bad[0]]:g}; "
            "expected a number above 0: leave rows that are not to count out of the "
            "file."
        )
    return found


def _targets(
    name: str, column: pa.ChunkedArray, target: str, as_values: bool | None
) -> tuple[np.ndarray, tuple[str, ...]]:
    """int64 [n] and the classes' names; or float32 [n, 1] and none.

    Texts, integers and booleans are classes, reals are values, unless `as_values` says.
    """
    missing = np.flatnonzero(column.is_null(nan_is_null=True).to_numpy())
    if len(missing):
        raise UserError(
            f"{name}, row {missing[0] + 1}: the target {target!r} is missing, as in "
            f"{len(missing)} rows; leave such rows out of the file."
        )
    numeric = pa.types.is_floating(column.type) or pa.types.is_decimal(column.type)
    if as_values if as_values is not None else numeric:
        if tables.is_text(column.type):
            raise UserError(
                f"{name}: the target {target!r} holds texts; expected numbers."
            )
        values = column.cast(pa.float64()).to_numpy().astype(np.float32)[:, None]
        bad = np.flatnonzero(~np.isfinite(values[:, 0]))
        if len(bad):
            raise UserError(
                f"{name}, row {bad[0] + 1}: the target {target!r} is not finite."
            )
        return values, ()
    found, numbers = np.unique(np.array(column.to_pylist()), return_inverse=True)
    if len(found) < 2:
        raise UserError(
            f"{name}: the target {target!r} is {found[0]} in all rows; expected two "
            "or more classes."
        )
    return numbers.astype(np.int64), tuple(str(value) for value in found)
