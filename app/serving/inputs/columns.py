"""Columns of a table as a served model takes them: one named input each.

A row is handed to the model as training has it, `numbers` and `texts` (see
`pipelines.tables`). Here is how named inputs and serialized tf.train.Examples become
that, in the graph, and the way back, for golden inputs.
"""

import dataclasses
import keyword
import re
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import tensorflow as tf

from pipelines.features import TableColumn

# Stands for a feature that a tf.train.Example of whole numbers leaves out.
_ABSENT = tf.int64.min
Rows = dict[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class ServedColumn:
    """A column and how it is given.

    Attributes:
      name: in the table, and of its feature in a tf.train.Example.
      input: of the signature: the name in letters that TensorFlow takes.
      kind: numeric, boolean or categorical.
      dtype: of the input: float32 (missing is NaN), string (missing is empty) or bool.
      feature: of the tf.train.Example: float_list, int64_list or bytes_list.
    """

    name: str
    input: str
    kind: str
    dtype: str
    feature: str


def serve(
    columns: Sequence[TableColumn], missing: Collection[str] = ()
) -> tuple[ServedColumn, ...]:
    """How the columns of a table are served.

    Args:
      columns: of the table.
      missing: names of those in which the table has missing values: a boolean one is
        then float32 (0, 1 or NaN), as no bool says that a value is missing.
    """
    served: list[ServedColumn] = []
    for column in columns:
        boolean = column.kind == "boolean" and column.name not in missing
        whole = column.kind == "boolean" or column.integer
        texts = column.kind == "categorical"
        served.append(
            ServedColumn(
                name=column.name,
                input=_input_name(column.name, {other.input for other in served}),
                kind=column.kind,
                dtype="string" if texts else "bool" if boolean else "float32",
                feature=(
                    "bytes_list" if texts else "int64_list" if whole else "float_list"
                ),
            )
        )
    return tuple(served)


def _input_name(column: str, taken: Collection[str]) -> str:
    """The column's name in letters, digits and `_`, and unlike those taken."""
    name = re.sub(r"[^A-Za-z0-9_]", "_", column)
    # TensorFlow calls signatures by keyword, on a method.
    if not re.match(r"[A-Za-z]", name) or keyword.iskeyword(name) or name == "self":
        name = f"column_{name}"
    lowered = {other.lower() for other in taken}
    unlike, number = name, 2
    while unlike.lower() in lowered:
        unlike, number = f"{name}_{number}", number + 1
    return unlike


def specs(columns: Sequence[ServedColumn]) -> dict[str, tf.TensorSpec]:
    """What the named inputs take: each [None]."""
    return {
        column.input: tf.TensorSpec([None], column.dtype, name=column.input)
        for column in columns
    }


def rows_of(
    columns: Sequence[ServedColumn], given: Mapping[str, tf.Tensor]
) -> dict[str, tf.Tensor]:
    """The rows that named inputs, each [B], make: `numbers` and `texts`.

    Raises:
      tf.errors.InvalidArgumentError: when run, for inputs that differ in length, or
        are no vectors; names them.
    """
    values = []
    for column in columns:
        with tf.name_scope(column.input):
            values.append(tf.ensure_shape(given[column.input], [None]))
    counts = [tf.size(one) for one in values]
    said = [f"{column.input}:" for column in columns]
    told = [part for pair in zip(said, counts, strict=True) for part in pair]
    alike = tf.reduce_all(tf.equal(tf.stack(counts), counts[0]))
    message = ["the inputs differ in their number of rows:", *told]
    with tf.control_dependencies([tf.debugging.Assert(alike, message)]):
        return _stacked(columns, values)


def parse(
    columns: Sequence[ServedColumn], serialized: tf.Tensor
) -> dict[str, tf.Tensor]:
    """The rows of serialized tf.train.Examples, string [B]; features may be missing.

    Raises:
      tf.errors.InvalidArgumentError: when run, for what is no Example, or a feature of
        another type; names the input, and of a feature its row and name.
    """
    absent = {
        "float_list": (tf.float32, float("nan")),
        "int64_list": (tf.int64, _ABSENT),
        "bytes_list": (tf.string, ""),
    }
    rows = tf.strings.as_string(tf.range(tf.size(serialized)))
    with tf.name_scope("example_bytes"):
        features = tf.io.parse_example(
            serialized,
            {
                column.name: tf.io.FixedLenFeature([], *absent[column.feature])
                for column in columns
            },
            example_names=tf.strings.join(["example_bytes[", rows, "]"]),
        )
    return _stacked(columns, [features[column.name] for column in columns])


def _stacked(
    columns: Sequence[ServedColumn], values: Sequence[tf.Tensor]
) -> dict[str, tf.Tensor]:
    """`numbers` float32 [B, N] and `texts` string [B, T] of values, each [B]."""
    parts: dict[str, list[tf.Tensor]] = {}
    for column, value in zip(columns, values, strict=True):
        if column.kind == "categorical":
            parts.setdefault("texts", []).append(value)
        else:
            parts.setdefault("numbers", []).append(_as_number(value))
    return {part: tf.stack(tensors, axis=1) for part, tensors in parts.items()}


def _as_number(value: tf.Tensor) -> tf.Tensor:
    if value.dtype != tf.int64:
        return tf.cast(value, tf.float32)
    # By way of float64, as the rows of files are read.
    number = tf.cast(tf.cast(value, tf.float64), tf.float32)
    return tf.where(value == _ABSENT, tf.constant(float("nan")), number)


def inputs_of(columns: Sequence[ServedColumn], rows: Rows) -> Rows:
    """The named inputs, each [n], that make these rows."""
    given = {}
    for column, values in _by_column(columns, rows):
        texts = column.dtype == "string"
        given[column.input] = values if texts else values.astype(column.dtype)
    return given


def examples_of(columns: Sequence[ServedColumn], rows: Rows) -> list[bytes]:
    """Serialized tf.train.Examples of rows, without features for missing values."""
    examples = [tf.train.Example() for _ in next(iter(rows.values()))]
    for column, values in _by_column(columns, rows):
        for example, value in zip(examples, values, strict=True):
            if value == "" or value != value:
                continue
            feature = example.features.feature[column.name]
            kept = getattr(feature, column.feature).value
            if column.feature == "bytes_list":
                kept.append(str(value).encode())
            else:
                kept.append(
                    int(value) if column.feature == "int64_list" else float(value)
                )
    return [example.SerializeToString(deterministic=True) for example in examples]


def _by_column(
    columns: Sequence[ServedColumn], rows: Rows
) -> list[tuple[ServedColumn, np.ndarray]]:
    """Each column with its values, float32 [n] or texts [n]."""
    at = {"numbers": 0, "texts": 0}
    found = []
    for column in columns:
        part = "texts" if column.kind == "categorical" else "numbers"
        found.append((column, rows[part][:, at[part]]))
        at[part] += 1
    return found
