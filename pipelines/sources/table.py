"""Tables: rows of a CSV or Parquet file, one column of which is to be predicted."""

import hashlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import tensorflow as tf

from base.errors import UserError, did_you_mean
from pipelines import tables
from pipelines.features import ExampleSpec, Table, TableColumn, TargetFeature, registry
from pipelines.sources.base import TAKEN_FOR, TargetsInMemory


class TableSource(TargetsInMemory):
    """Rows as `tables` describes them, held in memory, in the order of the file."""

    native = True
    batched = True
    _kept: np.ndarray | None = None

    def __init__(
        self,
        name: str,
        path: Path | pa.Table,
        target: str | None,
        like: ExampleSpec | None = None,
        weights: str | None = None,
        allowed: int = 0,
    ) -> None:
        """Reads the rows.

        Args:
            name: what the user asked for.
            path: of the file; or the rows themselves.
            target: the column to predict.
            like: features that the rows are to have; guessed from the values if None.
            weights: the column that says how much each row counts.
            allowed: rows that may be left out because they cannot be used.

        Raises:
            UserError: the file or a column is not as expected.
        """
        self.name = name
        columns = _columns_of(like, name)
        rows = None if isinstance(path, Path) else path
        table = tables.read_table(name, path, columns) if rows is None else rows
        target = _checked_column(name, table, "target", target)
        apart = [target]
        kind = type(like.target) if like else _kind_of(name, table[target], target)
        table = self._leave_out(table, target, kind, allowed)
        if weights is not None:
            apart.append(_checked_column(name, table, "weights", weights))
            self.weights = _weights(name, table[weights], weights)
        columns = columns or tables.columns_of(name, table, apart)
        _require_targets(name, table[target], target, kind)
        found = kind.of_column(name, table[target], target)
        self.hold_targets(found.values)
        self.features = ExampleSpec(Table(columns), found.feature)
        self.given_splits = {}
        self.notes = (
            {"target": target}
            | ({"weights_column": weights} if weights else {})
            | ({TAKEN_FOR: found.note} if found.note else {})
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

    def read(self, indices: np.ndarray) -> tables.RowArrays:
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

    def _leave_out(
        self, table: pa.Table, target: str, kind: type[TargetFeature], allowed: int
    ) -> pa.Table:
        """The table without rows that cannot be used, if they are `allowed` or fewer.

        More of them are left for what reads the columns to refuse, by name.
        """
        problems = _problems(self.name, table, target, kind)
        if not 0 < len(problems) <= allowed:
            return table
        self.left_out = [problems[row] for row in sorted(problems)]
        good = np.setdiff1d(np.arange(table.num_rows), list(problems))
        self._kept = good
        return table.take(pa.array(good))


def _problems(
    name: str, table: pa.Table, target: str, kind: type[TargetFeature]
) -> dict[int, str]:
    """What is wrong with rows that cannot be used, by row from 0."""
    problems: dict[int, str] = {}
    for column in table.column_names:
        values = table[column]
        if pa.types.is_floating(values.type):
            found = values.to_numpy().astype(np.float32)
            for row in np.flatnonzero(np.isinf(found)).tolist():
                problems[row] = f"{name}, row {row + 1}: {column!r} is not finite."
    for row in np.flatnonzero(kind.missing_in(table[target])).tolist():
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


def _columns_of(like: ExampleSpec | None, name: str) -> tuple[TableColumn, ...]:
    """The columns of the examples that rows are to be like; () for any.

    Raises:
        UserError: those are no rows of a table.
    """
    if like is None:
        return ()
    if not isinstance(like.input, Table):
        raise UserError(
            f"{name} is a table; expected {like.input.kind} examples, as the run was "
            "trained on."
        )
    return like.input.columns


def _kind_of(name: str, column: pa.ChunkedArray, target: str) -> type[TargetFeature]:
    """What the column of targets holds.

    Raises:
        UserError: nothing that can be learnt.
    """
    found = registry.target_of_column(column)
    if found is None:
        raise UserError(
            f"{name}: the target {target!r} is of type {column.type}; expected texts, "
            "numbers or booleans."
        )
    return found


def _require_targets(
    name: str, column: pa.ChunkedArray, target: str, kind: type[TargetFeature]
) -> None:
    """Raises UserError where a row has no target."""
    missing = np.flatnonzero(kind.missing_in(column))
    if len(missing):
        raise UserError(
            f"{name}, row {missing[0] + 1}: the target {target!r} is missing, as in "
            f"{len(missing)} rows; leave such rows out of the file."
        )
