"""Rows of a table: an input a column, serialized tf.train.Examples, or whole rows."""

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from app.configs.training import PredictionConfig
from app.serving.inputs import columns, edge_case_rows
from app.serving.inputs.base import (
    DEFAULT,
    Arrays,
    Given,
    GoldenInputs,
    ReadBatch,
    ServedInput,
    Signature,
    Specs,
    first_positions,
)
from app.serving.inputs.columns import ServedColumn
from base.errors import UserError
from pipelines.dataset import Dataset
from pipelines.features import ExampleSpec, Table

# Rows that are looked at together.
_CHUNK = 4096


@dataclasses.dataclass(frozen=True)
class TableInput(ServedInput):
    """By default an input a column; `rows` are `numbers` and `texts`, as training's."""

    kind = "table"
    raw_signature = "rows"
    encoded = ("tf_example", "example_bytes")
    litert = "`rows` only: numbers and texts in the order of the columns below."
    example_column = "row"
    read_as = "rows"

    @classmethod
    def columns_of(cls, dataset: Dataset) -> tuple[ServedColumn, ...]:
        """The columns, once it is known in which of them values are missing."""
        table = _table_of(dataset.features)
        numeric = [column.name for column in table.groups.get("numbers", ())]
        total, missing = len(dataset.source), np.zeros(len(numeric), np.bool_)
        for start in range(0, total if numeric else 0, _CHUNK):
            indices = np.arange(start, min(start + _CHUNK, total))
            rows = dataset.source.read(indices)
            assert isinstance(rows, dict)  # as a table's are
            missing |= np.isnan(rows["numbers"]).any(axis=0)
        names = {name for name, lacks in zip(numeric, missing, strict=True) if lacks}
        return columns.serve(table.columns, names)

    @property
    def raw_inputs(self) -> Specs:
        """`numbers` float32 [None, N], `texts` string [None, T], as there are any."""
        types = {"numbers": tf.float32, "texts": tf.string}
        return {
            part: tf.TensorSpec([None, len(group)], types[part], name=part)
            for part, group in _table_of(self.features).groups.items()
        }

    @property
    def further(self) -> dict[str, Signature]:
        """An input a column, and tf.train.Examples."""
        signature, name = self.encoded
        by_column = Signature(
            columns.specs(self.columns),
            lambda given: columns.rows_of(self.columns, given),
        )
        examples = Signature(
            {name: tf.TensorSpec([None], tf.string, name=name)},
            lambda given: columns.parse(self.columns, given[name]),
        )
        return {DEFAULT: by_column, signature: examples}

    def named(self, examples: Any) -> dict[str, Any]:
        """`numbers` and `texts`, as they come."""
        return dict(examples)

    def as_inputs(self, given: Given) -> dict[str, tf.Tensor]:
        """The rows."""
        return dict(given)

    def as_trained(self, raw: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
        """The rows."""
        return {name: tf.constant(values) for name, values in raw.items()}

    def golden(self, dataset: Dataset) -> GoldenInputs:
        """The first validation rows, and such with missing, unseen and far values."""
        found = dataset.examples("validation", first_positions(dataset)).inputs
        names, raw = edge_case_rows.rows(self.columns, self.named(found))
        by_signature = {
            DEFAULT: columns.inputs_of(self.columns, raw),
            self.raw_signature: raw,
        }
        return GoldenInputs(
            tuple(f"{name}.tfexample" for name in names),
            tuple(columns.examples_of(self.columns, raw)),
            by_signature,
        )

    def read(self, config: PredictionConfig, run: str) -> Iterator[ReadBatch]:
        """Rows of CSV and Parquet files, in their order.

        A row is named by its number in the file, from 1; if there are several files, by
        the file's name, too.

        Raises:
          UserError: a file cannot be read, or lacks a column.
        """
        del run
        assert config.input  # PredictionConfig refuses a missing one
        paths = config.input.split(",")
        tables = [self._rows_in(path) for path in paths]
        for path, rows in zip(paths, tables, strict=True):
            prefix = f"{path}, " if len(paths) > 1 else ""
            for start in range(0, len(next(iter(rows.values()))), config.batch_size):
                end = start + config.batch_size
                part = {name: values[start:end] for name, values in rows.items()}
                count = len(next(iter(part.values())))
                names = [f"{prefix}{start + row + 1}" for row in range(count)]
                yield ReadBatch(names, part)

    def _rows_in(self, path: str) -> Arrays:
        from pipelines import tables  # here, as it imports Arrow

        if not pathlib.Path(path).is_file():
            raise UserError(
                f"--input={path}: no such file; expected a CSV or Parquet file"
            )
        given = _table_of(self.features).columns
        table = tables.read_table(path, pathlib.Path(path), given)
        return tables.rows_of(path, table, given)


def _table_of(features: ExampleSpec) -> Table:
    assert isinstance(features.input, Table)  # the registry has it by that kind
    return features.input
