"""Rows of CSV and Parquet files: what their columns are, and their values.

A row is two vectors: `numbers`, of numbers, dates and booleans as float32 (missing is
NaN, a boolean 0 or 1), and `texts`, of categories (missing is the empty text).
"""

import collections
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet

from base.errors import UserError
from pipelines.features import Table, TableColumn, column_registry
from pipelines.tf_messages import first_sentence

# A table's rows: `numbers` and `texts`, as there are any.
RowArrays = dict[str, np.ndarray]


def read_table(name: str, path: Path, columns: Sequence[TableColumn] = ()) -> pa.Table:
    """A file of rows.

    Args:
        name: of the file, for messages.
        path: of a .parquet file; any other is taken for CSV with a header.
        columns: that are known, and therefore not guessed from a CSV's values.

    Raises:
        UserError: it is damaged, empty, or a value is not of its column's kind.
    """
    try:
        if path.suffix.lower() == ".parquet":
            table = pa.parquet.read_table(path)
        else:
            types = {
                column.name: column.feature.csv_type
                for column in columns
                if column.feature.csv_type is not None
            }
            options = pa.csv.ConvertOptions(
                strings_can_be_null=True, column_types=types
            )
            table = pa.csv.read_csv(path, convert_options=options)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise UserError(
            f"{name} cannot be read ({first_sentence(str(error))}); expected a whole "
            f"{path.suffix[1:] or 'csv'} file, with one header and rows of one kind."
        ) from error
    require_rows(name, table)
    return table


def require_rows(name: str, table: pa.Table) -> None:
    """Raises UserError for a table without rows, or with two columns of one name."""
    twice = [n for n, k in collections.Counter(table.column_names).items() if k > 1]
    if twice:
        raise UserError(f"{name} has the column {twice[0]!r} twice; rename one.")
    if not table.num_rows:
        raise UserError(f"{name} has no rows.")


def columns_of(
    name: str, table: pa.Table, leave_out: Sequence[str]
) -> tuple[TableColumn, ...]:
    """The columns by their types, without those to leave out and the empty ones.

    Raises:
        UserError: a column holds neither numbers nor texts, or none is left.
    """
    columns = []
    for field in table.schema:
        if field.name in leave_out or table[field.name].null_count == table.num_rows:
            continue
        feature = column_registry.of_arrow(field.type)
        if feature is None:
            raise UserError(
                f"{name}: column {field.name!r} is of type {field.type}; expected "
                "numbers, booleans, dates or texts: leave it out of the file."
            )
        columns.append(TableColumn(field.name, feature))
    if not columns:
        raise UserError(f"{name} has no columns beside {', '.join(leave_out)}.")
    return tuple(columns)


def rows_of(name: str, table: pa.Table, columns: Sequence[TableColumn]) -> RowArrays:
    """The rows: `numbers` float32 [n, N] and `texts` object [n, T], as there are any.

    Raises:
        UserError: a column is missing, or holds values of another kind.
    """
    found: dict[str, list[np.ndarray]] = {}
    for column in columns:
        if column.name not in table.column_names:
            raise UserError(
                f"{name} has no column {column.name!r}; expected "
                f"{', '.join(column.name for column in columns)}."
            )
        values = _cast(name, table[column.name], column)
        found.setdefault(column.feature.group, []).append(values)
    groups = Table(tuple(columns)).groups  # in their order
    return {group: np.stack(found[group], axis=1) for group in groups}


def _cast(name: str, values: pa.ChunkedArray, column: TableColumn) -> np.ndarray:
    """float32 [n] or texts [n]; dates become seconds since 1970."""
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    try:
        cast = values.cast(column.feature.arrow_type())
    except pa.ArrowException as error:
        raise UserError(
            f"{name}: column {column.name!r} holds {values.type}, expected "
            f"{column.feature.encoding} values ({first_sentence(str(error))})."
        ) from error
    found = column.feature.of_cast(cast)
    if found.dtype.kind != "f":
        return found
    # One NaN for all, since contents are told apart by their bytes.
    found[np.isnan(found)] = np.nan
    infinite = np.flatnonzero(np.isinf(found))
    if len(infinite):
        raise UserError(
            f"{name}, row {infinite[0] + 1}: {column.name!r} is not finite; replace it "
            "or leave it empty."
        )
    return found
