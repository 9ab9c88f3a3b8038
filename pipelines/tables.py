"""Rows of CSV and Parquet files: kinds of columns, values, and what training learns.

A row is two vectors: `numbers`, the numeric and boolean columns as float32 (missing is
NaN, a boolean 0 or 1), and `texts`, the categorical ones (missing is the empty text).
"""

import collections
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.parquet

from base.errors import UserError
from pipelines.features import Column
from pipelines.tf_messages import first_sentence

_ARROW_TYPES = {
    "numeric": pa.float64(),
    "boolean": pa.bool_(),
    "categorical": pa.string(),
}
_LARGEST_VOCABULARY = 256
_LEAST_COUNT = 2

Rows = dict[str, np.ndarray]


def read_table(name: str, path: Path, columns: Sequence[Column] = ()) -> pa.Table:
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
            # Numbers are left to Arrow, which knows dates from reals, and cast later.
            types = {
                column.name: _ARROW_TYPES[column.kind]
                for column in columns
                if column.kind != "numeric"
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
) -> tuple[Column, ...]:
    """The columns by their types, without those to leave out and the empty ones.

    Raises:
        UserError: a column holds neither numbers nor texts, or none is left.
    """
    columns = []
    for field in table.schema:
        if field.name in leave_out or table[field.name].null_count == table.num_rows:
            continue
        kind = _kind(field.type)
        if kind is None:
            raise UserError(
                f"{name}: column {field.name!r} is of type {field.type}; expected "
                "numbers, booleans, dates or texts: leave it out of the file."
            )
        whole = kind == "numeric" and not (
            pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        )
        columns.append(Column(field.name, kind, integer=whole))
    if not columns:
        raise UserError(f"{name} has no columns beside {', '.join(leave_out)}.")
    return tuple(columns)


def rows_of(name: str, table: pa.Table, columns: Sequence[Column]) -> Rows:
    """The rows: `numbers` float32 [n, N] and `texts` object [n, T], as there are any.

    Raises:
        UserError: a column is missing, or holds values of another kind.
    """
    numbers: list[np.ndarray] = []
    texts: list[np.ndarray] = []
    for column in columns:
        if column.name not in table.column_names:
            raise UserError(
                f"{name} has no column {column.name!r}; expected "
                f"{', '.join(column.name for column in columns)}."
            )
        values = _cast(name, table[column.name], column)
        (texts if column.kind == "categorical" else numbers).append(values)
    rows: Rows = {}
    if numbers:
        rows["numbers"] = np.stack(numbers, axis=1)
    if texts:
        rows["texts"] = np.stack(texts, axis=1)
    return rows


def learn_columns(
    rows: Mapping[str, np.ndarray], columns: Sequence[Column]
) -> list[dict[str, Any]]:
    """What a model needs to know of each column: plain JSON values.

    Of a numeric column mean and standard deviation, of a categorical one the
    vocabulary: the 256 commonest texts that occur twice or more, by count and then by
    text; of each, whether a value is missing.

    Args:
        rows: of the training split alone.
        columns: of the table.
    """
    learnt = []
    at = {"numbers": 0, "texts": 0}
    for column in columns:
        group = "texts" if column.kind == "categorical" else "numbers"
        values = rows[group][:, at[group]]
        at[group] += 1
        learn = _learn_texts if group == "texts" else _learn_numbers
        learnt.append({"name": column.name, "kind": column.kind, **learn(values)})
    return learnt


def _learn_numbers(values: np.ndarray) -> dict[str, Any]:
    present = values[~np.isnan(values)].astype(np.float64)
    mean, std = (present.mean(), present.std()) if len(present) else (0.0, 1.0)
    return {
        "mean": float(mean),
        # A column that never varied in training is centred, not blown up.
        "std": float(std) or 1.0,
        "missing": len(present) < len(values),
    }


def _learn_texts(values: np.ndarray) -> dict[str, Any]:
    counts = collections.Counter(values.tolist())
    missing = counts.pop("", 0) > 0
    common = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    kept = [text for text, count in common if count >= _LEAST_COUNT]
    return {"vocabulary": kept[:_LARGEST_VOCABULARY], "missing": missing}


def _kind(kind: pa.DataType) -> Any:
    types = pa.types
    if types.is_boolean(kind):
        return "boolean"
    if types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind):
        return "numeric"
    if types.is_date(kind) or types.is_timestamp(kind):
        return "numeric"
    return "categorical" if is_text(kind) else None


def is_text(kind: pa.DataType) -> bool:
    """Whether an Arrow type holds texts, as they are or by a dictionary."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _cast(name: str, values: pa.ChunkedArray, column: Column) -> np.ndarray:
    """float32 [n] or texts [n]; dates become seconds since 1970."""
    if pa.types.is_date(values.type) or pa.types.is_timestamp(values.type):
        values = values.cast(pa.timestamp("s"), safe=False).cast(pa.int64())
    try:
        cast = values.cast(_ARROW_TYPES[column.kind])
    except pa.ArrowException as error:
        raise UserError(
            f"{name}: column {column.name!r} holds {values.type}, expected "
            f"{column.kind} values ({first_sentence(str(error))})."
        ) from error
    if column.kind == "categorical":
        return np.array(pa.compute.fill_null(cast, "").to_pylist(), dtype=object)
    numbers = cast.cast(pa.float64()) if column.kind == "numeric" else cast.cast("int8")
    found = numbers.to_numpy().astype(np.float32)
    # One NaN for all, since contents are told apart by their bytes.
    found[np.isnan(found)] = np.nan
    infinite = np.flatnonzero(np.isinf(found))
    if len(infinite):
        raise UserError(
            f"{name}, row {infinite[0] + 1}: {column.name!r} is not finite; replace it "
            "or leave it empty."
        )
    return found
